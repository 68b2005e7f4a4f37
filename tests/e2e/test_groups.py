# SPDX-License-Identifier: MIT
"""Groups of real programs: by rules about arguments, users and control groups; who is too
many; and those that are forgotten."""

import json
import os
import socket
from pathlib import Path

import pytest

from harness import HOSTS, PYTHON, wait_for

NOBODY = 65534
SERVER = ["node", HOSTS / "node_server.js"]
EVENTS = "looplag_events_total"

root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to be several users")


@pytest.fixture
def configured(start_daemon, scratch):
    """configured(text, *options): a daemon with that configuration, open to every user."""
    def start(text, *options, **how):
        file = scratch / "looplagd.yaml"
        file.write_text(text)
        daemon = start_daemon(f"--config.file={file}", *options, **how)
        daemon.directory.chmod(0o755)
        daemon.socket.chmod(0o666)
        return daemon
    return start


@pytest.fixture
def control_group():
    """A control group of the test's own: its directory, and its path as the kernel says."""
    name = f"looplag-test-{os.getpid()}"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind != "cgroup2":
            continue
        directory = Path(where) / name
        try:
            directory.mkdir()
        except OSError:
            continue
        yield directory, "/" + name
        wait_for(lambda: not (directory / "cgroup.procs").read_text(), 10, "it is empty")
        directory.rmdir()
        return
    pytest.skip("no control group can be made here")


def as_user(uid, words):
    return ["setpriv", f"--reuid={uid}", "--clear-groups", *words]


def names(daemon):
    return {name for name, group in daemon.groups().items()
            if name != "looplagd" and group["loops"]}


def test_a_rule_takes_names_out_of_the_arguments(configured, target):
    daemon = configured("groups:\n"
                        "- {name: 'app-${1}', arguments: '[^ ]*node .*\\.js --name=([a-z]+).*'}\n"
                        "- {name: 'py-${command}-${arguments:1}', command: python.*,\n"
                        "   arguments: '.*/([a-z]+)_server\\.py'}\n")
    target([*SERVER, "--name=shop"], daemon=daemon).listening()
    target([*SERVER, "--name=shop", "-v"], daemon=daemon).listening()
    target([*SERVER, "--name=Shop"], daemon=daemon, group="wish").listening()
    target([PYTHON, HOSTS / "asyncio_server.py"], daemon=daemon).listening()
    wait_for(lambda: names(daemon) == {"app-shop", "py-python3-asyncio", "wish"}, 15,
             lambda: f"three groups: {names(daemon)}")
    wait_for(lambda: daemon.group("app-shop")["processes"] == 2, 10, "both are one group")


@root
def test_a_name_out_of_the_arguments_is_one_users_alone(configured, target):
    daemon = configured("groups:\n"
                        "- {name: '${1}', arguments: '.* --name=([a-z.]+)'}\n"
                        "- {name: jobs, user: root}\n")
    target([*SERVER, "--name=shop"], daemon=daemon).listening()
    wait_for(lambda: names(daemon) == {"shop"}, 15, "the first one")
    for name in ("shop", "jobs", "x.service", "looplagd"):
        target(as_user(NOBODY, [*SERVER, f"--name={name}"]), daemon=daemon).listening()
    expected = {"shop", f"shop@{NOBODY}", f"jobs@{NOBODY}", f"x.service@{NOBODY}",
                f"looplagd@{NOBODY}"}
    wait_for(lambda: names(daemon) == expected, 15, lambda: f"all of them: {names(daemon)}")


@root
def test_a_rule_tells_users_apart(configured, target):
    daemon = configured("groups:\n"
                        "- {name: 'of-${user}', user: 'root|nobody'}\n"
                        "- {name: 'unknown-${1}', user: '([0-9]+)'}\n")
    target(SERVER, daemon=daemon, group="wish").listening()
    target(as_user(NOBODY, SERVER), daemon=daemon).listening()
    target(as_user(54321, SERVER), daemon=daemon).listening()
    wait_for(lambda: names(daemon) == {"of-root", "of-nobody", "unknown-54321"}, 15,
             lambda: f"three groups: {names(daemon)}")


@root
def test_a_rule_goes_by_the_control_group(control_group, configured, target):
    directory, path = control_group
    daemon = configured(f"groups: [{{name: 'in-${{1}}', cgroup: '{path}/?(.*)'}}]\n")
    enter = f'echo $$ >{directory}/cgroup.procs && exec "$@"'
    target(["sh", "-c", enter, "sh", *SERVER], daemon=daemon, group="wish").listening()
    target(SERVER, daemon=daemon, group="outside").listening()
    wait_for(lambda: names(daemon) == {"in-", "outside"}, 15,
             lambda: f"both groups: {names(daemon)}")


def test_what_comes_after_the_last_group_is_in_other(configured, target):
    # One of them is the daemon's own.
    daemon = configured("max_groups: 3\n")
    for name in ("a", "b", "c", "d"):
        target(SERVER, daemon=daemon, group=name).listening()
        wait_for(lambda: sum(group["processes"] for group in daemon.groups().values())
                 == 2 + "abcd".index(name), 10, f"{name} is counted")
    assert names(daemon) == {"a", "b", "other"}
    assert daemon.group("other")["processes"] == 2


def stalls(daemon, group):
    page = json.loads(daemon.get(f"/api/v1/stalls?group={group}")[2])
    return page["stalls"]


FORGETFUL = """
forget_groups: 2s
alerts: [{name: stuck, type: stalled, above: 150ms, keep: 1h}]
"""


def test_a_group_without_a_process_is_forgotten_and_begins_at_zero_again(configured, target,
                                                                         scratch):
    state = scratch / "state"
    state.mkdir()
    daemon = configured(FORGETFUL, f"--state.dir={state}")
    stays = target(SERVER, daemon=daemon, group="stays")
    stays.listening()
    server = target(SERVER, daemon=daemon, group="web", env={"STALLS": "200/500"})
    with socket.create_connection(("127.0.0.1", server.listening())):
        wait_for(lambda: stalls(daemon, "web") and daemon.metrics().value(
            "looplag_alert_firing", alert="stuck", groupname="web") == 1, 20, "an alert fires")
    before = daemon.metrics()
    assert before.value(EVENTS, groupname="web") > 0
    server.stop()
    # Without anybody who asks: a page in the making would hold it.
    wait_for(lambda: "alert stuck is over in group web" in daemon.program.stderr, 30,
             "the alert is over as its group is gone")
    page = daemon.get("/metrics")[2]
    assert 'groupname="web"' not in page
    assert 'groupname="stays"' in page
    assert not daemon.group("web")
    assert daemon.group("stays")["processes"] == 1
    assert stalls(daemon, "web") == []
    again = target(SERVER, daemon=daemon, group="web")
    again.listening()
    wait_for(lambda: daemon.loop("web"), 10, "it is back")
    after = daemon.metrics()
    assert after.value(EVENTS, groupname="web") < before.value(EVENTS, groupname="web")
    assert after.value("looplag_stalls_total", groupname="web", cause="cpu") == 0
    wait_for(lambda: daemon.metrics().value(
        "looplag_alert_firing", alert="stuck", groupname="web") == 0, 10, "no alert fires")
    again.stop()
    wait_for(lambda: not daemon.group("web"), 30, "it is forgotten while pages are made, too")


def test_what_was_forgotten_stays_so_over_a_restart(configured, start_daemon, target, scratch):
    state = scratch / "state"
    state.mkdir()
    daemon = configured("forget_groups: 1s\n", f"--state.dir={state}")
    server = target(SERVER, daemon=daemon, group="web")
    server.listening()
    wait_for(lambda: daemon.loop("web"), 10, "the group")
    server.stop()
    wait_for(lambda: not daemon.group("web"), 30, "it is forgotten")
    daemon.program.process.kill()
    daemon.program.wait()
    start_daemon.running.remove(daemon)
    daemon = configured("forget_groups: never\n", f"--state.dir={state}")
    assert not daemon.group("web")
    assert daemon.group("looplagd")
    assert "cannot be used" not in daemon.program.stderr


def rows(page, name, group="web"):
    """{pid: value} of a family of processes."""
    return {int(labels["pid"]): value for labels, value in page.series(name, groupname=group)}


ACTIVE, IDLE = "looplag_process_active_seconds_total", "looplag_process_idle_seconds_total"


def test_single_processes_have_series_where_they_are_wanted(start_daemon, target):
    daemon = start_daemon("--collector.processes=20")
    good = target(SERVER, daemon=daemon, group="web")
    bad = target(SERVER, daemon=daemon, group="web", env={"STALLS": "300/600"})
    good.listening()
    with socket.create_connection(("127.0.0.1", bad.listening())):
        page = wait_for(lambda: (page := daemon.metrics()) and
                        rows(page, "looplag_process_stalls_total").get(bad.pid, 0) > 2 and page,
                        20, "stalls of one process")
        assert set(rows(page, ACTIVE)) == {good.pid, bad.pid}
        assert rows(page, "looplag_process_stalls_total")[good.pid] == 0
        assert rows(page, ACTIVE)[bad.pid] > rows(page, ACTIVE)[good.pid]
        # Together they are what the group is.
        group = page.sum("looplag_loop_time_seconds_total", groupname="web")
        assert sum([*rows(page, ACTIVE).values(), *rows(page, IDLE).values()]) == \
            pytest.approx(group, rel=1e-6)
        wait_for(lambda: rows(daemon.metrics(), "looplag_process_stall_age_seconds")[bad.pid] > 0,
                 20, "a stall that lasts")
    bad.stop()
    wait_for(lambda: set(rows(daemon.metrics(), ACTIVE)) == {good.pid}, 10, "it is gone")


def test_single_processes_are_no_more_than_there_may_be(start_daemon, target):
    daemon = start_daemon("--collector.processes=2")
    for _ in range(3):
        target(SERVER, daemon=daemon, group="web").listening()
    wait_for(lambda: (group := daemon.group("web")) and group["processes"] == 3, 10, "three")
    page = daemon.metrics()
    # One is the daemon's own.
    assert len(page.series(ACTIVE)) == 2
    assert "raise --collector.processes" in daemon.program.stderr


def test_single_processes_have_none_by_default(daemon, target):
    target(SERVER, group="web").listening()
    wait_for(lambda: daemon.loop("web"), 10, "the group")
    assert "looplag_process_" not in daemon.get("/metrics")[2]


@root
def test_it_is_told_whose_a_group_is(configured, target):
    daemon = configured("")
    target(as_user(NOBODY, SERVER), daemon=daemon, group="web").listening()
    wait_for(lambda: daemon.loop("web"), 10, "the group")
    assert daemon.metrics().value("looplag_group_info", groupname="web", runtime="node",
                                  user="nobody") == 1
