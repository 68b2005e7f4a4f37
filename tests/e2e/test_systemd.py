# SPDX-License-Identifier: MIT
"""What the packages put into a Debian with systemd: the units, the user, the drop-in."""

import json
import os
import shutil
import stat

from booted import (BLOCKED_SECONDS, METRICS, NODE, REDIS, STALLS, UNIT, answers, entries,
                    measured, metrics, said)
from harness import HOSTS, delay_quantile, host_program, wait_for
from restarts import with_version


def test_the_system_is_healthy(machine):
    failed = machine.run("systemctl", "--failed", "--no-legend", "--plain")
    assert (machine.state(), failed) == ("running", "")
    for unit in ("looplagd.socket", "looplagd.service", NODE, REDIS):
        assert machine.property(unit, "ActiveState") == "active", unit
    wait_for(lambda: answers(machine), 30, "redis and node answer")
    journal = machine.run("journalctl", "--boot", "--no-pager")
    assert "cannot be preloaded" not in journal
    # What has an id is of the services that are watched.
    warnings = [entry for entry in entries(machine, "--priority=warning")
                if "LOOPLAG_GROUP" not in entry]
    assert warnings == []


def test_stalls_are_in_the_journal(machine):
    """The Node service's loop is stuck for longer than the threshold twice a second."""
    def ended():
        return entries(machine, "MESSAGE_ID=1a7866b906b84c43b4607d76028b59c5",
                       f"LOOPLAG_GROUP={NODE}")
    entry = wait_for(ended, 30, "a stall in the journal")[0]
    assert entry["LOOPLAG_LOOP"] == "main"
    assert entry["LOOPLAG_PID"] == machine.property(NODE, "MainPID")
    assert int(entry["LOOPLAG_STALL_USEC"]) >= BLOCKED_SECONDS * 1e6 * 0.99
    assert entry["PRIORITY"] == "6"
    assert entry["SYSLOG_IDENTIFIER"] == "looplagd"
    assert entry["MESSAGE"].startswith(f"loop main of {NODE} (process ")


def test_stalls_have_the_line_with_debians_node_too(machine):
    """It is older than the one of the other tests."""
    configure(machine, "threshold: 20ms")

    text = (HOSTS / "node_server.js").read_text().splitlines()
    caller = 1 + text.index("        block(stall.length);")

    def stacks():
        stalls = json.loads(machine.get(f"{STALLS}?group={NODE}"))["stalls"]
        return [[f for f in stall["stack"] if f["lang"] == "js"] for stall in stalls]

    def is_right(frames):
        return ([f.get("file") for f in frames[:2]] == ["/srv/node_server.js"] * 2
                and frames[0].get("function") == "block" and frames[1]["line"] == caller)

    wait_for(lambda: any(map(is_right, stacks())), 60, "the function and who called it",
             every=0.5)
    configure(machine, "")


def configure(machine, text):
    file = machine.root / "etc/looplag/looplagd.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    machine.run("systemctl", "reload", "looplagd.service")


def test_looplagd_runs_as_a_user_without_rights(machine):
    pid = machine.property("looplagd.service", "MainPID")
    status = dict(line.split(":\t", 1) for line in
                  machine.run("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    uid = machine.run("id", "-u", "_looplag")
    assert set(status["Uid"].split()) == {uid} != {"0"}
    assert {int(status[kind], 16) for kind in ("CapEff", "CapBnd")} == {0}


def test_any_user_may_register_and_none_but_the_daemon_may_write(machine):
    facts = machine.run("stat", "--format=%n %U %f", "/run/looplag",
                        "/run/looplag/probe.sock", "/run/looplag/doorbell").splitlines()
    assert facts == [f"/run/looplag _looplag {stat.S_IFDIR | 0o755:x}",
                     f"/run/looplag/probe.sock root {stat.S_IFSOCK | 0o666:x}",
                     f"/run/looplag/doorbell _looplag {stat.S_IFREG | 0o644:x}"]


def test_its_unit_is_locked_down(machine):
    """As systemd rates it: 1.5 of 10 at most, where less is safer."""
    machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", UNIT)


def test_its_status_has_the_figures_of_now(machine):
    def figures():
        page = metrics(machine)
        return (f"{len(page.series('looplag_group_processes'))} groups, "
                f"{page.sum('looplag_group_loops'):.0f} loops, "
                f"{page.sum('looplag_stalled_loops'):.0f} stalled")

    def told():
        return machine.property(UNIT, "StatusText")

    machine.run("systemctl", "stop", NODE)  # so that nobody else is stalled
    try:
        wait_for(lambda: figures().endswith(", 0 stalled") and told() == figures(), 30,
                 lambda: f"{told()} is {figures()}")
        machine.outside("redis-cli", "config", "set", "busy-reply-threshold", "600000")
        machine.run("systemd-run", "--unit=endless", "redis-cli", "eval", "while true do end",
                    "0")
        wait_for(lambda: figures().endswith(", 1 stalled") and told() == figures(), 30,
                 lambda: f"{told()} is {figures()}")
    finally:
        machine.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", REDIS)
        machine.run("systemctl", "start", NODE)  # redis starts by itself


def test_services_are_measured_under_the_names_of_their_units(machine):
    def told():
        answers(machine)
        page = metrics(machine)
        node = {q: delay_quantile(page, NODE, "main", q) for q in (0.99, 1.0)}
        redis = delay_quantile(page, REDIS, "main", 0.99)
        # The longest cannot be shorter than the block, but for the histogram's error.
        return (BLOCKED_SECONDS * 0.985 <= node[1.0] and redis < node[0.99] / 2
                and BLOCKED_SECONDS / 2 < node[0.99] <= node[1.0])

    wait_for(told, 60, "the p99 of both is as it must be", every=0.2)
    page = metrics(machine)
    for group in (NODE, REDIS, "looplagd"):
        assert page.value("looplag_group_processes", groupname=group) == 1


def test_a_service_that_starts_while_the_daemon_is_stopped_starts_it(machine):
    machine.run("systemctl", "stop", "looplagd.service")
    assert machine.property("looplagd.service", "ActiveState") == "inactive"
    answers(machine)
    machine.run("systemctl", "restart", REDIS)
    wait_for(lambda: machine.property("looplagd.service", "ActiveState") == "active", 30,
             "the registration has started looplagd")
    wait_for(lambda: answers(machine) and measured(machine, REDIS), 30, "redis is measured")


def test_a_running_service_registers_with_the_next_daemon(machine):
    """Even if it was there before the first one, as after a boot."""
    machine.run("systemctl", "stop", "looplagd.service", "looplagd.socket")
    machine.run("rm", "-r", "/run/looplag")
    machine.run("systemctl", "start", "looplagd.socket")
    machine.run("systemctl", "restart", NODE)
    wait_for(lambda: measured(machine, NODE), 30, "node is measured")
    node = machine.property(NODE, "MainPID")
    before = machine.property("looplagd.service", "MainPID")
    machine.run("systemctl", "restart", "looplagd.service")
    assert machine.property("looplagd.service", "MainPID") != before
    wait_for(lambda: measured(machine, NODE), 30, "node is measured again")
    assert machine.property(NODE, "MainPID") == node


def test_a_scrape_starts_the_daemon_where_systemd_holds_the_port(machine):
    machine.run("systemctl", "stop", "looplagd.service")
    machine.run("systemctl", "start", "looplagd-http.socket")
    assert machine.property("looplagd.service", "ActiveState") == "inactive"
    assert metrics(machine).value("looplag_build_info") == 1
    assert machine.property("looplagd.service", "ActiveState") == "active"


def test_a_reload_loads_the_file_in_its_place_all_or_nothing(machine):
    successful = "looplag_config_last_reload_successful"
    firing = "looplag_alert_firing{"
    file = "/etc/looplag/looplagd.yaml"
    sample = "/usr/share/doc/looplag/examples/looplagd.yaml"
    pid = machine.property("looplagd.service", "MainPID")
    machine.run("install", "-D", "-m", "644", sample, file)
    machine.run("systemctl", "reload", "looplagd.service")
    wait_for(lambda: f"loaded {file} again" in said(machine), 20, "it is loaded")
    wait_for(lambda: firing in machine.get(METRICS), 20, "the default alerts look")
    machine.run("sh", "-c", f"echo 'alerts: []' >>{file}")
    machine.run("systemctl", "reload", "looplagd.service")
    wait_for(lambda: firing not in machine.get(METRICS), 20, "alerts are off")
    machine.run("sh", "-c", f"echo 'stack: no' >>{file}")
    machine.run("systemctl", "reload", "looplagd.service")
    wait_for(lambda: metrics(machine).value(successful) == 0, 20, "the mistake is told")
    assert "did you mean stacks?" in said(machine)
    machine.run("rm", file)
    machine.run("systemctl", "reload", "looplagd.service")
    wait_for(lambda: metrics(machine).value(successful) == 1, 20, "all is well again")
    assert machine.property("looplagd.service", "ActiveState") == "active"
    assert machine.property("looplagd.service", "MainPID") == pid


def test_by_a_drop_in_it_takes_stacks_of_native_programs(machine):
    dropins = machine.root / "etc/systemd/system/looplagd.service.d"
    dropins.mkdir()
    shutil.copy(machine.root / "usr/share/looplag/native-stacks.conf", dropins)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "looplagd.service", REDIS)
    wait_for(lambda: answers(machine) and measured(machine, REDIS), 30, "redis is measured")

    def frames():
        machine.outside("redis-cli", "eval", "for i = 1, 200000000 do end", "0")
        stalls = json.loads(machine.get(f"{STALLS}?group={REDIS}"))["stalls"]
        return [f.get("function") for stall in stalls for f in stall["stack"]]

    wait_for(lambda: "aeMain" in frames(), 60, "the stack of redis")


# A program that counts what looplagd has to say of it; see tests/hosts/turns.c.
TURNS_UNIT = """
[Service]
ExecStart=/srv/turns 0 2000 /srv/turns-%i
"""


ROUNDS = int(os.environ.get("LOOPLAG_RESTART_ROUNDS", "1"))


class Turns:
    """Units of that, and looplagd, whom something happens to all the time."""

    def __init__(self, machine, name=""):
        self.machine, self.name, self.started, self.killed = machine, name, [], set()
        if not (machine.root / "srv/turns").exists():
            shutil.copy(host_program("turns"), machine.root / "srv")
        units = machine.root / "etc/systemd/system"
        (units / "turns@.service").write_text(TURNS_UNIT)
        shutil.copytree(units / f"{REDIS}.d", units / "turns@.service.d", dirs_exist_ok=True)
        machine.run("systemctl", "daemon-reload")

    def start(self):
        self.started.append(f"turns@{self.name}{len(self.started)}.service")
        self.machine.run("systemctl", "start", self.started[-1])
        wait_for(lambda: self.events(self.started[-1]) > 2, 10)

    def kill(self, unit):
        self.machine.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", unit)
        self.killed.add(unit)

    def events(self, unit):
        """What it has counted so far; its first wait is outside of the loop."""
        file = self.machine.root / f"srv/turns-{unit[6:-8]}"
        return int.from_bytes(file.read_bytes(), "little") - 1

    def shown(self, unit):
        return metrics(self.machine).sum("looplag_events_total", groupname=unit)


def lost(machine):
    return metrics(machine).value("looplag_dropped_loops_total", reason="restart")


def end_daemon(machine, how, meanwhile):
    """Have something happen while it can do nothing, then end it; wait for the next one."""
    pid = machine.property("looplagd.service", "MainPID")
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", UNIT)
    meanwhile()
    if how == "killed":
        machine.run("systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT)
    else:
        machine.run("systemctl", "kill", "--kill-who=main", "--signal=CONT", UNIT)
        machine.run("systemctl", "restart", "looplagd.service")
    wait_for(lambda: machine.property("looplagd.service", "MainPID") not in ("0", pid)
             and metrics(machine), 30, "the next looplagd", every=0.1)
    machine.run("systemctl", "reset-failed", "looplagd.service")


def test_counts_go_on_exactly_whatever_ends_the_daemon(machine):
    turns = Turns(machine)
    binary = machine.root / "usr/sbin/looplagd"
    before, lost_before = said(machine), lost(machine)
    ends = ["killed", "restarted", "killed", "replaced", "killed", "restarted"] * ROUNDS
    for _ in range(3):
        turns.start()
    for how in ends:
        if how == "replaced":
            with_version(binary, "9.9.9", binary.parent).rename(binary)

        def meanwhile():
            turns.kill(turns.started[-2])
            turns.start()

        shown = {unit: turns.shown(unit) for unit in turns.started}
        end_daemon(machine, how, meanwhile)
        for unit, count in shown.items():
            assert turns.shown(unit) >= count, (how, unit)
        turns.start()
    assert metrics(machine).value("looplag_build_info", version="9.9.9") == 1
    for unit in turns.started:
        if unit not in turns.killed:
            machine.run("systemctl", "kill", "--kill-who=main", "--signal=TERM", unit)
    for unit in turns.started:
        wait_for(lambda: turns.shown(unit) >= turns.events(unit), 20,
                 lambda: f"{unit}: {turns.shown(unit)} of {turns.events(unit)} are shown")
        # A kill may come between the wait and the count.
        assert turns.shown(unit) - turns.events(unit) <= (unit in turns.killed), unit
    # One that is killed with a registration in hand cannot say whether that is lost: the next
    # one counts it in any case. They come one at a time here, so that it is one at the most.
    dropped = lost(machine) - lost_before
    assert dropped <= len(ends)
    assert "history" not in said(machine).removeprefix(before)
    print(f"{len(ends)} ends of looplagd, {len(turns.killed)} of {len(turns.started)} targets, "
          f"{sum(map(turns.events, turns.started))} events, at most {dropped} registrations lost")


def test_a_looplagd_that_hangs_is_started_anew_and_counts_go_on(machine):
    turns = Turns(machine, "hung")
    dropin = machine.root / "etc/systemd/system/looplagd.service.d/hung.conf"
    dropin.parent.mkdir(exist_ok=True)
    dropin.write_text("[Service]\nWatchdogSec=2\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
    turns.start()
    [unit] = turns.started
    shown = wait_for(lambda: turns.shown(unit), 10, "it is counted")
    pid = machine.property(UNIT, "MainPID")
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", UNIT)
    wait_for(lambda: machine.property(UNIT, "MainPID") not in ("0", pid)
             and metrics(machine), 30, "the next looplagd", every=0.1)
    assert f"Killing process {pid} (looplagd) with signal SIGABRT" in said(machine)
    assert turns.shown(unit) >= shown
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=TERM", unit)
    wait_for(lambda: turns.shown(unit) == turns.events(unit), 20,
             lambda: f"{turns.shown(unit)} of {turns.events(unit)} are shown")
    dropin.unlink()
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
