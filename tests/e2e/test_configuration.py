# SPDX-License-Identifier: MIT
"""The configuration file: how it is checked, loaded and loaded again, and what its rules
and alerts do to real services."""

import json
import os
import signal
import socket
import subprocess
import time

import pytest

from harness import HOSTS, LOOPLAGD, PYTHON, SOURCE, wait_for

SUCCESSFUL = "looplag_config_last_reload_successful"
SUCCESS_TIME = "looplag_config_last_reload_success_timestamp_seconds"


@pytest.fixture
def file(scratch):
    return scratch / "looplagd.yaml"


def check(path):
    return subprocess.run([LOOPLAGD, "--config.check", f"--config.file={path}"],
                          capture_output=True, text=True, timeout=20, check=False)


def reload(daemon):
    """Send SIGHUP, and return what the daemon says then."""
    before = len(daemon.program.stderr)
    daemon.program.send(signal.SIGHUP)
    return wait_for(lambda: has_ended(daemon.program.stderr[before:]), 10,
                    "the daemon tells how it went")


def has_ended(words):
    ends = ("loaded", "load again", "stays in use", "defaults")
    return words if words.endswith("\n") and any(e in words for e in ends) else None


def test_a_good_file_is_told_to_be_good(file):
    file.write_text("threshold: 50ms\n")
    done = check(file)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file} is good\n", "")


def test_the_sample_is_good():
    assert check(SOURCE / "config" / "looplagd.yaml").returncode == 0


def test_every_mistake_is_told_at_once(file):
    file.write_text("treshold: 1s\nstacks: maybe\nalerts: 1\n")
    done = check(file)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == (f"{file}:1:1: unknown key 'treshold' in the configuration; did you "
                        "mean threshold?")
    assert [line.split(": ")[0] for line in lines] == [
        f"{file}:1:1", f"{file}:2:9", f"{file}:3:9"]


@pytest.mark.parametrize("text", [None, "threshold: 1\n"])
def test_a_file_that_is_missing_or_bad_ends_the_start(file, scratch, text):
    if text:
        file.write_text(text)
    done = subprocess.run(
        [LOOPLAGD, f"--config.file={file}", "--web.listen-address=127.0.0.1:0",
         f"--probe.socket={scratch}/s"],
        capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    reason, advice = done.stderr.splitlines()
    assert ("has no unit" if text else "No such file or directory") in reason
    assert f"cannot start with {file}; mend it, and try it with --config.check" in advice
    assert not (scratch / "s").exists()


def test_a_good_file_is_loaded_again(start_daemon, file):
    file.write_text("threshold: 50ms\n")
    daemon = start_daemon(f"--config.file={file}")
    first = daemon.metrics()
    assert first.value(SUCCESSFUL) == 1
    assert abs(first.value(SUCCESS_TIME) - time.time()) < 60
    file.write_text("threshold: 60ms\n")
    assert reload(daemon).count("\n") == 1
    then = daemon.metrics()
    assert then.value(SUCCESSFUL) == 1
    assert first.value(SUCCESS_TIME) < then.value(SUCCESS_TIME)


def test_a_bad_file_changes_nothing(start_daemon, file, target):
    file.write_text("groups: [{name: first, command: node}]\n")
    daemon = start_daemon(f"--config.file={file}")
    before = daemon.metrics().value(SUCCESS_TIME)
    file.write_text("groups: [{name: second, command: node}]\nstacks: maybe\n")
    words = reload(daemon)
    assert f"{file}:2:9: stacks: 'maybe'; expected true or false" in words
    assert "what was loaded before stays in use" in words
    page = daemon.metrics()
    assert page.value(SUCCESSFUL) == 0
    assert page.value(SUCCESS_TIME) == before
    target(["node", HOSTS / "node_server.js"], daemon=daemon).listening()
    wait_for(lambda: daemon.loop("first"), 10, "a process by the rule that stayed")
    assert not daemon.group("second")
    file.write_text("")
    reload(daemon)
    assert daemon.metrics().value(SUCCESSFUL) == 1


def test_without_a_file_a_hangup_does_nothing_and_says_so(daemon):
    assert "nothing to load again" in reload(daemon)
    assert daemon.metrics().value(SUCCESSFUL) == 1


def test_a_storm_of_hangups_does_no_harm(start_daemon, file):
    file.write_text("threshold: 50ms\n")
    daemon = start_daemon(f"--config.file={file}")
    for i in range(200):
        file.write_text("threshold: 50ms\n" if i % 2 else "threshold: x\n")
        os.kill(daemon.pid, signal.SIGHUP)
    assert daemon.get("/-/healthy")[0] == 200


def test_rules_name_groups_and_a_reload_leaves_those_that_are_there(start_daemon, file,
                                                                     target):
    file.write_text("groups:\n"
                    "- {name: 'by-${1}', command: '(no)de'}\n")
    daemon = start_daemon(f"--config.file={file}")
    # Before the wish of the process itself.
    target(["node", HOSTS / "node_server.js"], group="wish", daemon=daemon).listening()
    target([PYTHON, HOSTS / "asyncio_server.py"], group="wish", daemon=daemon).listening()
    wait_for(lambda: daemon.loop("by-no") and daemon.loop("wish"), 10, "both groups")
    file.write_text("groups:\n- {name: later, command: 'no.*'}\n")
    reload(daemon)
    target(["node", HOSTS / "node_server.js"], daemon=daemon).listening()
    wait_for(lambda: daemon.loop("later"), 10, "the group of the later rule")
    groups = daemon.groups()
    assert {name: groups[name]["processes"] for name in ("by-no", "wish", "later")} == {
        "by-no": 1, "wish": 1, "later": 1}


def test_the_service_manager_is_told_of_a_reload(start_daemon, scratch):
    path = scratch / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(10)
        daemon = start_daemon(env={"NOTIFY_SOCKET": str(path)})
        assert "READY=1" in manager.recv(4096).decode()
        daemon.program.send(signal.SIGHUP)
        words = dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))
        assert words["RELOADING"] == "1"
        assert abs(int(words["MONOTONIC_USEC"]) / 1e6 - time.monotonic()) < 60
        assert "READY=1" in manager.recv(4096).decode()


ALERTS = """
alerts:
- {name: stuck, type: stalled, above: 500ms, keep: 2s, groups: 'slow'}
- {name: slow, type: delay, quantile: 0.99, above: 200ms, below: 100ms, for: 2s, keep: 1s}
- {name: never, type: starved, above: 1}
"""


def firing(page, alert, group="slow"):
    return page.value("looplag_alert_firing", alert=alert, groupname=group)


def active(daemon):
    """{(alert, group): its state}, of those that are pending or fire."""
    answer = json.loads(daemon.get("/api/v1/alerts")[2])
    assert answer["status"] == "success"
    return {(alert["labels"]["alertname"], alert["labels"]["groupname"]): alert["state"]
            for alert in answer["data"]["alerts"]}


def test_alerts_fire_and_clear_as_their_rules_say(start_daemon, file, target):
    file.write_text(ALERTS)
    daemon = start_daemon(f"--config.file={file}")
    slow = target(["node", HOSTS / "node_server.js"], group="slow", daemon=daemon,
                  env={"STALLS": "900/1200", "SECONDS": "10"})
    quiet = target([PYTHON, HOSTS / "asyncio_server.py"], group="quiet", daemon=daemon)
    quiet.listening()
    with socket.create_connection(("127.0.0.1", slow.listening())):
        wait_for(lambda: firing(daemon.metrics(), "stuck") == 1, 20, "stuck fires")
        wait_for(lambda: firing(daemon.metrics(), "slow") == 1, 20, "slow fires")
        assert active(daemon) == {("stuck", "slow"): "firing", ("slow", "slow"): "firing"}
        assert daemon.group("slow")["alerts"] == ["stuck", "slow"]
        page = daemon.metrics()
        assert firing(page, "never") == 0
        assert firing(page, "slow", "quiet") == 0
        assert not page.series("looplag_alert_firing", alert="stuck", groupname="quiet")
        # In spite of the time between two stalls.
        assert daemon.program.stderr.count("alert stuck fires in group slow") == 1
        wait_for(lambda: firing(daemon.metrics(), "stuck") == 0, 30, "stuck is over")
        # Its window is a minute long.
        wait_for(lambda: firing(daemon.metrics(), "slow") == 0, 90, "slow is over", every=0.5)
    assert active(daemon) == {}
    assert "alerts" not in daemon.group("slow")
    for alert in ("stuck", "slow"):
        lines = [line for line in daemon.program.stderr.splitlines() if f"alert {alert} " in line]
        assert len(lines) == 2, lines
        assert "level=warn" in lines[0] and "fires in group slow" in lines[0]
        assert "level=info" in lines[1] and "is over in group slow" in lines[1]


def test_alerts_can_be_switched_off_by_a_reload(start_daemon, file):
    file.write_text("")
    daemon = start_daemon(f"--config.file={file}")
    wait_for(lambda: firing(daemon.metrics(), "delay_high", "looplagd") == 0, 10,
             "the default alerts look at the daemon's own group")
    file.write_text("alerts: []")
    reload(daemon)
    assert "looplag_alert_firing{" not in daemon.get("/metrics")[2]
