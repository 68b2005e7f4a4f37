# SPDX-License-Identifier: MIT
"""From a stall to the people it concerns: looplagd, Prometheus with the rules, Alertmanager
with the sample's routes, and a receiver on loopback."""

import http.server
import json
import shutil
import threading
import urllib.parse
import urllib.request

import pytest
import yaml

from browser import Browser
from harness import HOSTS, SOURCE, Program, free_port, wait_for
from prometheus import Prometheus

CONFIG = SOURCE / "config" / "prometheus"
GROUP = "shop & co"
STALL_SECONDS = 9

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("prometheus-alertmanager")),
    reason="no prometheus or no prometheus-alertmanager here")


class Receiver(http.server.ThreadingHTTPServer):
    """Takes what Alertmanager posts."""

    def __init__(self):
        self.alerts = []  # in the order in which they came
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.server.alerts += body["alerts"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    def alert(self, name, status="firing", **labels):
        """The first alert of that name and state, LookupError while there is none."""
        for alert in list(self.alerts):
            if (alert["labels"]["alertname"], alert["status"]) == (name, status) \
                    and labels.items() <= alert["labels"].items():
                return alert
        raise LookupError(f"no {status} {name} in {[a['labels'] for a in self.alerts]}")


@pytest.fixture
def receiver():
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def alertmanager(receiver, tmp_path):
    """With the sample's routes, but for the address and the times; returns its address."""
    config = yaml.safe_load((CONFIG / "alertmanager.yml").read_text())
    (route,) = config["route"]["routes"]
    route.update(group_wait="0s", group_interval="1s")
    hook = next(r for r in config["receivers"] if r["name"] == route["receiver"])
    hook["webhook_configs"][0]["url"] = f"http://127.0.0.1:{receiver.server_port}/"
    path = tmp_path / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    program = Program(["prometheus-alertmanager", f"--config.file={path}",
                       f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address=",
                       f"--web.listen-address={address}"])
    wait_for(lambda: urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
             or True, 20, "Alertmanager is ready")
    yield address
    program.stop()


@pytest.fixture
def prometheus(daemon, alertmanager):
    started = Prometheus(config=f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ['{CONFIG}/looplag-rules.yml', '{CONFIG}/looplag-alerts.yml']
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager}']}}]}}]}}
scrape_configs:
- {{job_name: looplag, static_configs: [{{targets: ['{daemon.address}']}}]}}
""")
    yield started
    started.stop()


def stalls_of(daemon):
    group = urllib.parse.quote_plus(GROUP)
    return json.loads(daemon.get(f"/api/v1/stalls?group={group}")[2])["stalls"]


def guilty_frame(stall):
    """The innermost one that is the service's own."""
    return next(frame for frame in stall["stack"] if frame.get("file") == str(HOSTS / "stalls.js"))


def test_a_stall_arrives_with_group_cause_and_a_link_to_it(daemon, prometheus, receiver,
                                                           target, tmp_path):
    log = tmp_path / "stalls"
    stuck = target(["node", HOSTS / "stalls.js", log, "atomics", 6000, STALL_SECONDS * 1000],
                   group=GROUP)
    wait_for(lambda: prometheus.query(
        f'count_over_time(looplag_stalls_total{{groupname="{GROUP}",cause="blocked"}}[1m])') >= 2,
        20, "the group is scraped before it stalls")

    def arrived(*what, **labels):
        return wait_for(lambda: receiver.alert(*what, groupname=GROUP, **labels), 40,
                        f"{what} arrives")
    # While it lasts.
    alert = arrived("LooplagLoopStalled")
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["instance"] == daemon.address
    assert alert["annotations"]["summary"] == (
        f"An event loop of {GROUP} on {daemon.address} is stuck.")
    assert not log.exists(), "the stall was over before it was told of"
    (stall,) = stalls_of(daemon)
    assert stall["open"] and stall["pid"] == stuck.pid
    assert guilty_frame(stall)["function"] == "waitForMemory"

    # When it is over.
    stuck.line("done", 30)
    alert = arrived("LooplagTimeLostInStalls")
    assert alert["labels"]["cause"] == "blocked"
    assert alert["annotations"]["summary"] == (
        f"Event loops of {GROUP} on {daemon.address} get stuck, cause: blocked.")
    known = json.loads(log.read_text())
    (stall,) = stalls_of(daemon)
    assert (stall["open"], stall["cause"], stall["groupname"]) == (False, "blocked", GROUP)
    assert STALL_SECONDS <= stall["seconds"] < STALL_SECONDS + 1
    guilty = guilty_frame(stall)
    assert guilty["function"] == known["function"] and guilty["line"] in known["lines"]
    arrived("LooplagLoopStalled", "resolved")
    with Browser() as browser:
        browser.get(alert["annotations"]["link"])
        line = f"{guilty['function']} {guilty['file']}:{guilty['line']}"
        wait_for(lambda: line in browser.text("#stalls"), 20, "the link leads to the line")
        assert browser.text("#delay-title") == f"Delay of {GROUP}"
        assert browser.text("#groups [aria-current] a") == GROUP
