# SPDX-License-Identifier: MIT
"""A real Prometheus is content with looplagd, and reads the same answers out of it."""

import http.client
import http.server
import json
import shutil
import subprocess
import threading
import time

import pytest

from harness import HOSTS, PYTHON, delay_quantile, host_program, wait_for
from prometheus import Prometheus

GROUP = "shop"
STALLS = "100/500"  # P(delay > x) = (0.1 - x) / 0.5: p90 is 50 ms, p99 95 ms

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"),
                                      reason="no prometheus here")


@pytest.fixture
def prometheus(daemon):
    started = Prometheus(daemon.address)
    yield started
    started.stop()


@pytest.fixture
def shop(target, program):
    """A group that is stuck for a fifth of the time, and has clients."""
    server = target([PYTHON, HOSTS / "asyncio_server.py"], group=GROUP,
                    env={"STALLS": STALLS})
    program([host_program("openloop"), "--rate", 200, "--seconds", 120, server.listening()])
    return server


@needs_prometheus
def test_promtool_finds_no_fault(daemon, shop, target):
    node = target(["node", HOSTS / "node_server.js"], group='odd "name"\\ of\ttwo')
    node.listening()
    wait_for(lambda: daemon.metrics().value("looplag_iteration_seconds_count",
                                            groupname=GROUP, loop="main") > 10)
    text = daemon.get("/metrics")[2]
    said = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=30)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def buckets_width(edges, value):
    """The width of the classic bucket that holds the value."""
    low = max((e for e in edges if e < value), default=0.0)
    return min(e for e in edges if e >= value) - low


class Between:
    """Hands each scrape on, with another Accept if need be, and knows what was answered."""

    def __init__(self, daemon, accept=None):
        self.types = set()
        between = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                headers = dict(self.headers)
                if accept:
                    headers["Accept"] = accept
                connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
                connection.request("GET", self.path, headers=headers)
                answer = connection.getresponse()
                between.types.add(answer.headers["Content-Type"].split(";")[0])
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Encoding", "Content-Length"):
                    if answer.headers[name]:
                        self.send_header(name, answer.headers[name])
                self.end_headers()
                self.wfile.write(answer.read())
                connection.close()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


FORMATS = {
    "text": ("text/plain", "text/plain", ()),
    "openmetrics": (None, "application/openmetrics-text", ("exemplar-storage",)),
    "protobuf": (None, "application/vnd.google.protobuf",
                 ("exemplar-storage", "native-histograms")),
}


@pytest.fixture
def scrape(daemon):
    """scrape(name): a Prometheus that gets that format, and what is between."""
    running = []

    def start(name):
        accept, _, features = FORMATS[name]
        running.append(Between(daemon, accept))
        running.append(Prometheus(running[-1].address, features=features))
        return running[-1], running[-2]

    yield start
    for started in reversed(running):
        started.stop()


def has_scraped(prometheus, seconds):
    return prometheus.query(f"count_over_time(up[{seconds}s])") >= seconds - 1


def check_health(prometheus, delay, kind):
    (health,) = prometheus.api("targets")["activeTargets"]
    assert (health["health"], health["lastError"]) == ("up", "")
    assert prometheus.query("min_over_time(up[1m])") == 1
    for name in ("sample_duplicate_timestamp", "sample_out_of_bounds", "sample_out_of_order",
                 "exceeded_sample_limit"):
        assert prometheus.own_metric(f"prometheus_target_scrapes_{name}_total") == 0
    assert "scrape" not in prometheus.program.stderr.lower(), prometheus.program.stderr
    ((told,),) = prometheus.api("metadata", metric=delay).values()
    assert told["type"] == kind


def native_width(value):
    """The width of the native bucket of schema 2, or the zero bucket, that holds the value."""
    edge, width = 2.0 ** -20, 2.0 ** -20
    while edge < value:
        width = edge * (2 ** 0.25 - 1)
        edge += width
    return width


@needs_prometheus
@pytest.mark.parametrize("name", FORMATS)
def test_prometheus_scrapes_and_computes_the_same_quantiles(daemon, scrape, shop, name):
    prometheus, between = scrape(name)
    # Two windows in which the loop is equally often stuck have the same quantiles.
    wait_for(lambda: has_scraped(prometheus, 25), 60, "Prometheus has scraped for 25 s",
             every=0.5)
    check_health(prometheus, *(("looplag_delay_seconds_bucket", "unknown")
                               if name == "openmetrics" else
                               ("looplag_delay_seconds", "histogram")))
    assert between.types == {FORMATS[name][1]}
    metrics = daemon.metrics()
    edges = [le for le, _ in metrics.buckets("looplag_delay_seconds", groupname=GROUP)]
    if name == "protobuf":
        expression = f'rate(looplag_delay_seconds{{groupname="{GROUP}"}}[20s])'
    else:
        expression = ('sum by (groupname, le) '
                      f'(rate(looplag_delay_seconds_bucket{{groupname="{GROUP}"}}[20s]))')
    for q in (0.5, 0.9, 0.99, 0.999):
        computed = prometheus.query(f"histogram_quantile({q}, {expression})")
        shown = delay_quantile(metrics, GROUP, "main", q)
        width = (native_width(shown) if name == "protobuf" else buckets_width(edges, shown))
        assert abs(computed - shown) <= width, (q, computed, shown)


@needs_prometheus
def test_native_histograms_count_what_classic_ones_do(daemon, scrape, shop):
    prometheus, _ = scrape("protobuf")
    wait_for(lambda: has_scraped(prometheus, 5), 30, "some scrapes", every=0.5)
    wait_for(lambda: daemon.metrics().value("looplag_wakeup_latency_seconds_count",
                                            groupname=GROUP, loop="main") > 0, 20)
    for name in ("looplag_delay_seconds", "looplag_iteration_seconds",
                 "looplag_wakeup_latency_seconds"):
        for what in ("count", "sum"):
            before = daemon.metrics().value(f"{name}_{what}", groupname=GROUP, loop="main")
            asked = time.time()
            expression = f'histogram_{what}({name}{{groupname="{GROUP}"}})'
            scraped = wait_for(lambda: prometheus.query(
                f"{expression} and timestamp({name}) > {asked}"), 10, "another scrape")
            after = daemon.metrics().value(f"{name}_{what}", groupname=GROUP, loop="main")
            assert before <= scraped <= after
    share = prometheus.query(
        f'histogram_fraction(0, 1, rate(looplag_delay_seconds{{groupname="{GROUP}"}}[4s]))')
    assert share == pytest.approx(1, abs=1e-6)


@needs_prometheus
@pytest.mark.parametrize("name", ["openmetrics", "protobuf"])
def test_a_stall_is_an_exemplar(daemon, scrape, shop, name):
    """By which its stack is found. In OpenMetrics, the delay is no histogram that could have
    any."""
    prometheus, _ = scrape(name)
    suffix, metrics = (("", ("looplag_delay_seconds", "looplag_iteration_seconds"))
                       if name == "protobuf" else ("_bucket", ("looplag_iteration_seconds",)))
    for metric in metrics:
        def found(metric=metric):
            return prometheus.api(
                "query_exemplars", query=f'{metric}{suffix}{{groupname="{GROUP}"}}',
                start=time.time() - 60, end=time.time() + 1)
        series = wait_for(found, 30, "an exemplar", every=0.5)[0]
        exemplar = series["exemplars"][-1]
        assert exemplar["labels"]["pid"] == str(shop.pid)
        stall_id = int(exemplar["labels"]["stall_id"])
        (stall,) = [stall for stall in json.loads(daemon.get("/api/v1/stalls")[2])["stalls"]
                    if stall["id"] == stall_id]
        assert stall["seconds"] == pytest.approx(float(exemplar["value"]), abs=1e-6)
        assert abs(time.time() - exemplar["timestamp"]) < 60
        if suffix:
            le = float(series["seriesLabels"]["le"])
            assert float(exemplar["value"]) <= le


@needs_prometheus
def test_the_share_of_late_requests_is_a_division(daemon, prometheus, shop):
    """1 - rate(bucket)/rate(_count) is the part of the time in which a request would wait
    longer: of 0.5 s, the first 50 ms of a stall of 100 ms."""
    edges = [le for le, _ in
             wait_for(lambda: daemon.metrics().buckets("looplag_delay_seconds",
                                                       groupname=GROUP))]
    edge = next(le for le in edges if le >= 0.05)
    expected = (0.1 - edge) / 0.5
    expression = (
        f'1 - sum(rate(looplag_delay_seconds_bucket{{groupname="{GROUP}",le="{edge}"}}[10s]))'
        f' / sum(rate(looplag_delay_seconds_count{{groupname="{GROUP}"}}[10s]))')
    wait_for(lambda: abs(prometheus.query(expression) - expected) < expected / 10, 40,
             f"a share of {expected}", every=0.5)
