# SPDX-License-Identifier: MIT
"""What the packages put into a Debian with systemd: the units, the user, the drop-in.

A container boots with looplagd, Debian's redis-server and a Node service, both with the
drop-in, and nothing else changed.
"""

import json
import os
import shutil
import stat

import pytest

import packages
from container import Container, call, why_not
from harness import HOSTS, Metrics, delay_quantile, host_program, wait_for
from restarts import with_version
from runs import compile_program

NODE, REDIS, UNIT = "lagging.service", "redis-server.service", "looplagd.service"
METRICS = "http://127.0.0.1:9923/metrics"
STALLS = "http://127.0.0.1:9923/api/v1/stalls"
BLOCKED_SECONDS = 0.120
NODE_UNIT = """
[Unit]
Description=A Node service that blocks its loop for 120 ms twice a second
[Service]
DynamicUser=yes
Environment=PROTOCOL=http STALLS=120/500 PORT=8000
ExecStart=/usr/bin/node /srv/node_server.js
[Install]
WantedBy=multi-user.target
"""


def prepare(root):
    """Install the packages, and enable what else shall run."""
    packages.install(root)
    shutil.copy(HOSTS / "node_server.js", root / "srv")
    units = root / "etc/systemd/system"
    (units / NODE).write_text(NODE_UNIT)
    for unit in (NODE, REDIS):
        (units / f"{unit}.d").mkdir()
        shutil.copy(root / "usr/share/looplag/target-dropin.conf",
                    units / f"{unit}.d/50-looplag.conf")
    call("systemctl", f"--root={root}", "enable", NODE)


@pytest.fixture(scope="module")
def machine():
    reason = why_not() or packages.why_not()
    if reason:
        pytest.skip(reason)
    machine = Container("looplag", prepare)
    try:
        machine.boot()
        yield machine
    finally:
        machine.stop()


def metrics(machine):
    return Metrics(machine.get(METRICS))


def answers(machine):
    """Both services do their work."""
    assert machine.outside("redis-cli", "ping") == "PONG\n"
    assert machine.get("http://127.0.0.1:8000/").startswith("ok")
    return True


def measured(machine, unit):
    """The daemon has seen a loop of that unit."""
    return metrics(machine).value("looplag_delay_seconds_count", groupname=unit,
                                  loop="main") > 0


def entries(machine, *arguments):
    """What looplagd has written to the journal."""
    text = machine.run("journalctl", "--boot", "--unit=looplagd", "--quiet", "--no-pager",
                       "--output=json", *arguments)
    return [json.loads(line) for line in text.splitlines()]


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
    """As systemd rates it: below 1.5 of 10, where less is safer."""
    machine.run("systemd-analyze", "security", "--no-pager", "--threshold=14", UNIT)


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


def doctor(machine, word):
    """What looplag doctor finds: the codes by their level, and whether it is carried."""
    told = json.loads(machine.run("looplag", "doctor", "--json", str(word), check=False))
    codes = {level: {finding["code"] for finding in told["findings"]
                     if finding["level"] == level}
             for level in ("obstacle", "warning", "note")}
    assert told["can_carry"] == (not codes["obstacle"])
    return codes, told["carries"]


def test_the_doctor_finds_measured_services_healthy(machine):
    def healthy(word):
        codes, carries = doctor(machine, word)
        return carries and "loops" in codes["note"] and not codes["obstacle"]

    for unit in NODE, REDIS:
        machine.run("systemctl", "restart", unit)
        wait_for(lambda: healthy(unit), 30, f"{unit} is healthy")
        wait_for(lambda: healthy(machine.property(unit, "MainPID")), 30, "its process, too")
        # Nothing to complain of, redis' NoExecPaths= notwithstanding.
        assert doctor(machine, unit)[0]["warning"] == set()


# Settings, what is said of the unit, and what of the process that it has then.
SANDBOXES = [
    ("RestrictAddressFamilies=AF_INET AF_INET6", "families", None),
    ("NoExecPaths=LIBRARY", "noexec-paths", "noexec"),
    ("InaccessiblePaths=/run/looplag", "socket-hidden", None),
    ("SystemCallFilter=~memfd_create\nSystemCallErrorNumber=EPERM", "call-filter",
     "no-segment"),
    ("Environment=LOOPLAG_DISABLE=1", "disabled", "disabled"),
    ("LimitFSIZE=4096", "file-limit", "file-limit"),
    ("SystemCallFilter=~memfd_create", "call-filter", "no-segment"),
    ("SystemCallFilter=~unshare", None, None),
    ("NoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n"
     "PrivateDevices=yes\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"
     "RestrictNamespaces=yes\nSystemCallFilter=~@mount @swap\nNoExecPaths=/\n"
     "ExecPaths=/usr /lib", None, None),
]


@pytest.mark.parametrize("settings, of_unit, of_process", SANDBOXES)
def test_the_doctor_knows_what_sandboxes_do(machine, settings, of_unit, of_process):
    library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2].split()[0]
    dropin = machine.root / f"etc/systemd/system/{NODE}.d/60-test.conf"
    dropin.write_text("[Service]\n" + settings.replace("LIBRARY", library) + "\n")
    try:
        machine.run("systemctl", "daemon-reload")
        codes, _ = doctor(machine, NODE)
        assert of_unit is None or of_unit in codes["obstacle"], codes
        machine.run("systemctl", "restart", NODE)
        wait_for(lambda: machine.get("http://127.0.0.1:8000/"), 30, "the service runs")

        def diagnosed():
            codes, carries = doctor(machine, machine.property(NODE, "MainPID"))
            wanted = {of_unit, of_process} - {None}
            return wanted == codes["obstacle"] and (wanted or carries), codes

        wait_for(lambda: diagnosed()[0], 30, f"the process is diagnosed: {diagnosed()}")
        # And so it is: the daemon knows the process, or does not.
        wait_for(lambda: metrics(machine).sum("looplag_group_processes", groupname=NODE)
                 == (of_unit is None), 30, "the diagnosis is right")
    finally:
        dropin.unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", NODE)


def test_the_doctor_sees_what_a_shell_has_started(machine):
    unit = "wrapped.service"
    library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2]
    (machine.root / "etc/systemd/system" / unit).write_text(
        f"[Service]\nEnvironment=LD_PRELOAD={library} PORT=8001\n"
        "ExecStart=/bin/sh -c '/usr/bin/node /srv/node_server.js; exit 0'\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", unit)

    def found():
        text = machine.run("looplag", "doctor", unit)
        return (f"{unit} has 1 other process, of which 1 carries the probe, with 1 event loop"
                in text and text.endswith(f"{unit} carries the probe"))

    wait_for(found, 30, "its child is seen")
    assert "skipped" in doctor(machine, unit)[0]["warning"]
    machine.run("systemctl", "stop", unit)


def test_the_doctor_knows_that_privileges_of_files_need_no_new_privileges(machine):
    unit = "privileged.service"
    compile_program(machine.root / "srv/privileged",
                    "#include <unistd.h>\nint main(void) { for (;;) pause(); }")
    (machine.root / "srv/privileged").chmod(0o4755)
    for setting, obstacles in ("NoNewPrivileges=no", {"setuid"}), \
                              ("NoNewPrivileges=yes", set()):
        library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2]
        (machine.root / "etc/systemd/system" / unit).write_text(
            f"[Service]\nUser=nobody\nEnvironment=LD_PRELOAD={library}\n{setting}\n"
            "ExecStart=/srv/privileged\n")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "stop", unit)
        assert doctor(machine, unit)[0]["obstacle"] == obstacles
        machine.run("systemctl", "restart", unit)
        wait_for(lambda: "privileged" in machine.run(
            "cat", f"/proc/{machine.property(unit, 'MainPID')}/comm"), 30, "it runs")
        codes, carries = doctor(machine, unit)
        assert carries == (not obstacles)
        assert codes["obstacle"] == obstacles | ({"secure"} if obstacles else set())
    machine.run("systemctl", "stop", unit)


def said(machine):
    return machine.run("journalctl", "--boot", "--unit=looplagd", "--quiet", "--no-pager")


# --- looplag enable and disable ---


LIBRARY = f"/usr/lib/{call('gcc', '-print-multiarch').strip()}/liblooplag.so"
WEB_UNIT = """
[Service]
DynamicUser=yes
Environment=PROTOCOL=http STALLS=150/500 PORT=8010
ExecStart=/usr/bin/node /srv/node_server.js
"""
APP_UNIT = """
[Service]
DynamicUser=yes
Environment=PROTOCOL=http STALLS=150/500 PORT=8011
ExecStart=/usr/bin/python3 /srv/asyncio_server.py
"""


def unit_files(machine):
    """Names, kinds, modes and contents of all files that make units."""
    return machine.run("sh", "-c", "cd / && find etc/systemd run/systemd/system -printf "
                       "'%p %y %m %l\n' | sort && find etc/systemd run/systemd/system -type f "
                       "-exec sha256sum {} + | sort")


def say(machine, *words, status=0):
    """Run looplag; what it tells on standard output and on standard error."""
    done = machine.run("sh", "-c", '"$@" 2>/tmp/words; echo $?', "sh", "looplag", *words)
    text, _, ended = done.rpartition("\n")
    told = machine.run("cat", "/tmp/words")
    assert int(ended) == status, (words, done, told)
    return text, told


def put_unit(machine, unit, text):
    (machine.root / "etc/systemd/system" / unit).write_text(text)
    machine.run("systemctl", "daemon-reload")


def dropin(machine, unit, name="50-looplag.conf"):
    """The settings in the drop-in of a unit."""
    text = (machine.root / f"etc/systemd/system/{unit}.d/{name}").read_text()
    return [line for line in text.splitlines() if line[:1] not in "#["]


def maps(machine, unit):
    return machine.run("cat", f"/proc/{machine.property(unit, 'MainPID')}/maps")


@pytest.fixture
def before(machine):
    """The units as they are before; they are again when all is disabled. web runs."""
    shutil.rmtree(machine.root / f"etc/systemd/system/{REDIS}.d", ignore_errors=True)
    for name in "node_server.js", "asyncio_server.py":
        shutil.copy(HOSTS / name, machine.root / "srv")
    (machine.root / "etc/systemd/system/app.service").write_text(APP_UNIT)
    put_unit(machine, "web.service", WEB_UNIT)
    machine.run("systemctl", "restart", "web.service")
    files = unit_files(machine)
    yield files
    say(machine, "disable", "--force", "web", "app", REDIS)
    machine.run("systemctl", "stop", "web.service", "app.service", REDIS)


def stall(machine):
    """Have each of them be stuck; two block themselves once somebody has asked them."""
    machine.outside("redis-cli", "eval", "for i = 1, 30000000 do end", "0")
    for port in 8010, 8011:
        machine.get(f"http://127.0.0.1:{port}/")


def test_services_are_enabled_seen_stuck_and_disabled(machine, before):
    lines = {REDIS: "", "web.service": "/srv/node_server.js:",
             "app.service": "/srv/asyncio_server.py:"}
    machine.run("systemctl", "restart", *lines)
    shown, told = say(machine, "enable", "--now", "redis", "web", "app.service")
    for unit in lines:
        assert dropin(machine, unit) == [f"Environment=LD_PRELOAD={LIBRARY}"]
        assert f"+++ /etc/systemd/system/{unit}.d/50-looplag.conf" in shown
        assert f"{unit} is enabled, and was restarted" in told

    def stuck(unit, line):
        stall(machine)
        text = machine.run("looplag", "stalls", "--group", unit)
        journal = "".join(entry["MESSAGE"] for entry in
                          entries(machine, f"LOOPLAG_GROUP={unit}"))
        return (unit in text and line in text and line in journal and journal
                and metrics(machine).sum("looplag_stalls_total", groupname=unit) > 0)

    for unit, line in lines.items():
        wait_for(lambda: stuck(unit, line), 60, f"the line of {unit}", every=0.2)
    shown, told = say(machine, "disable", "--now", *lines)
    for unit in lines:
        assert f"--- /etc/systemd/system/{unit}.d/50-looplag.conf" in shown
        assert f"{unit} is disabled, and was restarted" in told
        assert "liblooplag" not in maps(machine, unit)
    assert unit_files(machine) == before


def test_what_is_enabled_already_is_left_as_it_is(machine, before):
    say(machine, "enable", "web")
    enabled, pid = unit_files(machine), machine.property("web.service", "MainPID")
    shown, told = say(machine, "enable", "web.service")
    assert shown == "" and "is enabled already, by /etc" in told
    assert "systemctl restart web.service" in told
    assert unit_files(machine) == enabled
    say(machine, "enable", "--now", "web")
    assert machine.property("web.service", "MainPID") != pid
    pid = machine.property("web.service", "MainPID")
    say(machine, "enable", "--now", "web")
    assert machine.property("web.service", "MainPID") == pid
    say(machine, "disable", "web")
    assert unit_files(machine) == before
    _, told = say(machine, "disable", "web")
    assert "is not enabled" in told


def test_what_is_shown_only_is_not_done(machine, before):
    for verb in "enable", "disable":
        text, _ = say(machine, verb, "--dry-run", "--json", "--now", "web")
        told = json.loads(text)
        assert told["result"] == {"enable": "done", "disable": "already"}[verb]
        assert ("+[Service]" in told["changes"]) == (verb == "enable")
    assert unit_files(machine) == before



@pytest.mark.parametrize("name, ours", [("10-durable.conf", "50-looplag.conf"),
                                        ("override.conf", "zz-looplag.conf")])
def test_what_a_unit_preloads_already_is_kept(machine, before, name, ours):
    other = machine.root / f"etc/systemd/system/web.service.d/{name}"
    other.parent.mkdir()
    try:
        other.write_text("[Service]\nEnvironment=A=1 \\\n  \"LD_PRELOAD=libeatmydata.so\"\n")
        files = unit_files(machine)
        say(machine, "enable", "--now", "web")
        assert dropin(machine, "web.service", ours) \
            == [f"Environment=LD_PRELOAD=libeatmydata.so:{LIBRARY}"]
        wait_for(lambda: "libeatmydata" in maps(machine, "web.service")
                 and "liblooplag" in maps(machine, "web.service"), 30, "both are loaded")
        say(machine, "disable", "--now", "web")
        assert unit_files(machine) == files
    finally:
        shutil.rmtree(other.parent)


def prepare_root(machine):
    """A root directory for a service, with this one's programs."""
    root = machine.root / "srv/root"
    for name in "usr", "run", "proc", "dev", "sys", "tmp", "srv":
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in "bin", "lib", "lib64":
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")


# What a unit's sandbox is, and what the drop-in adds to it.
NEEDS = [
    ("NoExecPaths=/\nExecPaths=/usr /lib\nRestrictAddressFamilies=AF_INET\n"
     "Environment=LOOPLAG_HELPER=0",
     ["ExecPaths=/opt/liblooplag.so", "RestrictAddressFamilies=AF_UNIX"]),
    ("TemporaryFileSystem=/run\nSystemCallFilter=~memfd_create @swap",
     ["SystemCallFilter=memfd_create", "BindReadOnlyPaths=-/run/looplag"]),
    ("RootDirectory=/srv/root\nBindReadOnlyPaths=/usr /srv/node_server.js\nUser=nobody\n"
     "DynamicUser=no",
     ["BindReadOnlyPaths=-/opt/liblooplag.so:/run/liblooplag.so",
      "BindReadOnlyPaths=-/run/looplag"]),
]


@pytest.mark.parametrize("sandbox, added", NEEDS)
def test_a_sandbox_gets_what_the_probe_needs_and_nothing_else(machine, before, sandbox, added):
    prepare_root(machine)
    (machine.root / "opt").mkdir(exist_ok=True)
    shutil.copy(machine.root / LIBRARY[1:], machine.root / "opt")
    put_unit(machine, "web.service", WEB_UNIT + sandbox + "\n")
    files = unit_files(machine)
    enable = "env", "LOOPLAG_LIBRARY=/opt/liblooplag.so", "looplag", "enable"
    machine.run(*enable, "--now", "web")
    assert dropin(machine, "web.service")[1:] == added
    wait_for(lambda: machine.get("http://127.0.0.1:8010/") and measured(machine, "web.service"),
             30, "it is measured")
    enabled = unit_files(machine)
    assert machine.run(*enable, "web") == ""
    assert unit_files(machine) == enabled
    # What the unit needs no longer is taken back, or it would be all that is allowed.
    put_unit(machine, "web.service", WEB_UNIT)
    machine.run(*enable, "--now", "web")
    assert dropin(machine, "web.service") == ["Environment=LD_PRELOAD=/opt/liblooplag.so"]
    wait_for(lambda: machine.get("http://127.0.0.1:8010/"), 30, "it answers")
    put_unit(machine, "web.service", WEB_UNIT + sandbox + "\n")
    say(machine, "disable", "web")
    assert unit_files(machine) == files


REFUSED = [
    ("EnvironmentFile=/srv/environment", "goes before every drop-in"),
    ("InaccessiblePaths=/run/looplag", "is hidden from web.service"),
    ("UnsetEnvironment=LD_PRELOAD", "unsets LD_PRELOAD"),
    ("ExecStart=\nExecStart=/srv/static", "is statically linked"),
    ("Environment=LD_PRELOAD=/a\\x01b", "control characters"),
    ("RootDirectory=/srv/root\nMountAPIVFS=no", "MountAPIVFS"),
]


def test_what_cannot_work_is_refused_with_the_reason(machine, before):
    prepare_root(machine)
    (machine.root / "srv/environment").write_text("LD_PRELOAD=libeatmydata.so\n")
    compile_program(machine.root / "srv/static", "int main(void) { return 0; }", "-static")
    for settings, reason in REFUSED:
        put_unit(machine, "web.service", WEB_UNIT + settings + "\n")
        files = unit_files(machine)
        shown, told = say(machine, "enable", "--now", "web", status=1)
        assert shown == "" and reason in told and "web.service was not enabled" in told
        assert unit_files(machine) == files
    assert "no such unit" in say(machine, "enable", "no-such", status=2)[1]


def test_a_drop_in_that_somebody_has_changed_is_left(machine, before):
    say(machine, "enable", "web")
    file = machine.root / "etc/systemd/system/web.service.d/50-looplag.conf"
    file.write_text(file.read_text() + "Nice=5\n")
    changed = unit_files(machine)
    for verb in "enable", "disable":
        assert "was changed" in say(machine, verb, "web", status=1)[1]
        assert unit_files(machine) == changed
    say(machine, "disable", "--force", "web")
    assert unit_files(machine) == before
    file.parent.mkdir()
    file.write_text("[Service]\nNice=5\n")
    foreign = unit_files(machine)
    assert "was not made by looplag" in say(machine, "enable", "--force", "web", status=1)[1]
    assert "was not made by looplag" in say(machine, "disable", "--force", "web")[1]
    assert unit_files(machine) == foreign
    shutil.rmtree(file.parent)


def test_a_template_is_enabled_for_its_instances(machine, before):
    put_unit(machine, "shop@.service", WEB_UNIT.replace("8010", "%i"))
    machine.run("systemctl", "start", "shop@8012", "shop@8013")
    files = unit_files(machine)
    say(machine, "enable", "--now", "--runtime", "shop@")
    for unit in "shop@8012.service", "shop@8013.service":
        wait_for(lambda: machine.get(f"http://127.0.0.1:{unit[5:9]}/")
                 and measured(machine, unit), 30, f"{unit} is measured")
    assert "shop@.service.d/50" in say(machine, "enable", "shop@8012")[1]
    assert "other units" in say(machine, "disable", "shop@8012", status=1)[1]
    say(machine, "disable", "--now", "shop@")
    assert unit_files(machine) == files
    say(machine, "enable", "--now", "shop@8012")
    assert "liblooplag" not in maps(machine, "shop@8013.service")
    wait_for(lambda: "liblooplag" in maps(machine, "shop@8012.service"), 30, "one has it")
    say(machine, "disable", "shop@8012")
    assert unit_files(machine) == files
    machine.run("systemctl", "stop", "shop@8012", "shop@8013")
