# SPDX-License-Identifier: MIT
"""What has been counted stays counted, and once, whatever happens to the daemon."""

import os
import random
import shutil
import signal
import socket
import struct
import time

import pytest

import segments
from harness import HOSTS, LOOPLAGD, PYTHON, host_program, wait_for
from restarts import Restarted

# The first wait of a loop is outside of it (DESIGN section 3), and so is its event.
OUTSIDE = 1
SECONDS = float(os.environ.get("LOOPLAG_RESTART_SECONDS", "4"))
SEED = int(os.environ.get("LOOPLAG_RESTART_SEED", "1"))
# Of another build, to take turns with this one.
OTHER = os.environ.get("LOOPLAG_OTHER_BUILD")
MOST_TURNS = 600
EVENTS, ITERATIONS = "looplag_events_total", "looplag_iteration_seconds_count"
LOST = "looplag_dropped_loops_total"
# What it takes to open a process's segment anew.
NO_MAP_FILES = ["setpriv", "--bounding-set", "-sys_admin,-checkpoint_restore"]


class Way:
    """How a daemon gets the segments of the one before it."""
    store = "store"        # the service manager has kept them
    maps = "maps"          # it opens what the processes map
    anew = "anew"          # not at all: Node and Python register again


@pytest.fixture(params=[Way.store, Way.maps, Way.anew])
def way(request):
    if os.geteuid() and request.param != Way.store:
        pytest.skip("needs root, or the privilege to do without it")
    return request.param


@pytest.fixture
def looplagd(way):
    with Restarted(manager=way == Way.store,
                   prefix=[] if way == Way.maps or os.geteuid() else NO_MAP_FILES) as daemon:
        yield daemon


class Turns:
    """Programs of tests/hosts/turns.*, and what they know of themselves."""

    def __init__(self, target, looplagd, directory):
        self.target, self.looplagd, self.directory = target, looplagd, directory
        self.files = []  # of each program in C, with its group
        self.programs = []

    def start(self, count, pause_us, *how, group):
        file = self.directory / f"{group}-{len(self.files)}"
        self.files.append((group, file))
        program = self.target([host_program("turns"), count, pause_us, file, *how],
                              group=group, daemon=self.looplagd)
        return self._begun(program)

    def python(self, group):
        return self._begun(self.target([PYTHON, HOSTS / "turns.py"], group=group,
                                       daemon=self.looplagd))

    def _begun(self, program):
        self.programs.append(program)
        program.line("begun")
        return program

    def end(self):
        for program in self.programs:
            program.stop(signal.SIGKILL)

    def events(self, group):
        """How many events their loops have had."""
        counts = [int.from_bytes(file.read_bytes(), "little") for name, file in self.files
                  if name == group]
        return sum(count - OUTSIDE for count in counts if count)


@pytest.fixture
def turns(target, looplagd, scratch):
    made = Turns(target, looplagd, scratch)
    yield made
    made.end()


def finish(program):
    """Have it stop its turns; how many events it had."""
    program.send(signal.SIGTERM)
    return int(program.line("events "))


def gone_back(before, after):
    """The counters of the later scrape that are below those of the earlier one."""
    now = after.growing()
    return {key: (value, now.get(key)) for key, value in before.growing().items()
            if not key[0].startswith("process_") and now.get(key, -1) < value}


def counted(looplagd, group, name=EVENTS):
    return looplagd.metrics().sum(name, groupname=group)


def is_shown(looplagd, group, events):
    """Wait until the group has had so many events, and see that it stays at that."""
    wait_for(lambda: counted(looplagd, group) >= events, 10,
             lambda: f"{group}: {events} events; {counted(looplagd, group)} were counted")
    assert counted(looplagd, group) == events


def known_by_segment(pid):
    """Events and iterations of all loops of a process, as the probe has counted them."""
    latest = {}
    for segment in segments.of_process(pid):
        for slot in segment.slots():
            latest[slot.index] = max(latest.get(slot.index, (0, 0)),
                                     (slot.iterations, slot.events))
        os.close(segment.descriptor)
    return sum(events for _, events in latest.values()), sum(n for n, _ in latest.values())


def test_a_killed_daemon_goes_on_where_it_ended(looplagd, turns, way):
    python, native = turns.python("python"), turns.start(0, 500, group="c")
    for group in ("python", "c"):
        wait_for(lambda: counted(looplagd, group) > 20, 10, f"{group} is counted")
    before = looplagd.metrics()
    looplagd.kill()
    looplagd.start()
    assert not gone_back(before, looplagd.metrics())
    is_shown(looplagd, "python", finish(python))
    events = finish(native) - OUTSIDE
    if way == Way.anew:
        # Nobody can know what it has done since, but that it did is said.
        assert before.value(EVENTS, groupname="c") <= counted(looplagd, "c") < events
        native.stop(signal.SIGKILL)
        wait_for(lambda: looplagd.metrics().value(LOST, reason="restart") == 1, 20, every=0.2)
    else:
        is_shown(looplagd, "c", events)
        assert looplagd.metrics().value(LOST, reason="restart") == 0
    assert "ledger" not in looplagd.words + looplagd.program.stderr


class Storm:
    """A daemon that is killed at random, and targets that come and go meanwhile."""

    def __init__(self, looplagd, turns, way, seed):
        self.looplagd, self.turns, self.way = looplagd, turns, way
        self.random = random.Random(seed)
        self.restarts = self.killed = 0
        self.running = []
        self.last = looplagd.metrics()

    def scrape(self):
        now = self.looplagd.metrics()
        assert not gone_back(self.last, now), self.restarts
        self.last = now

    def start_some(self):
        """Targets that end by themselves, or are killed."""
        for _ in range(self.random.randrange(3)):
            if len(self.running) < 10:
                self.running.append(self.turns.start(
                    self.random.randrange(50, MOST_TURNS), self.random.randrange(200, 1500),
                    "exit", group="short"))

    def end_some(self):
        for program in list(self.running):
            if program.running and self.random.random() < 0.1:
                program.send(signal.SIGKILL)
                program.process.wait()
                self.killed += program.process.returncode == -signal.SIGKILL
            if not program.running:
                self.running.remove(program)

    def turn(self):
        self.looplagd.kill(self.random.choice([signal.SIGKILL] * 3 + [signal.SIGTERM]))
        self.restarts += 1
        if OTHER:
            self.looplagd.binary = self.random.choice([LOOPLAGD, f"{OTHER}/looplagd"])
        if self.way == Way.store:
            # Those wait in the socket.
            self.start_some()
            self.end_some()
        time.sleep(self.random.choice([0, 0, 0.05, 0.3]))
        if self.random.random() < 0.2:
            # It does not even get to serve.
            self.looplagd.start(wait=False)
            time.sleep(self.random.random() * 0.1)
            self.looplagd.kill()
        self.looplagd.start()
        self.scrape()
        self.start_some()
        for _ in range(self.random.randrange(4)):
            time.sleep(self.random.random() * 0.2)
            self.end_some()
            if self.random.random() < 0.5:
                self.scrape()


@pytest.mark.timeout(240 + SECONDS)
def test_random_kills_lose_nothing_and_count_nothing_twice(looplagd, turns, way, target):
    python, native = turns.python("python"), turns.start(0, 300, group="c")
    node = target(["node", HOSTS / "node_server.js"], group="node", daemon=looplagd,
                  env={"STALLS": "5/20", "SECONDS": "1e9"}) if shutil.which("node") else None
    if node:
        # It begins with that.
        socket.create_connection(("127.0.0.1", node.listening())).close()
    for group in ("python", "c", "node") if node else ("python", "c"):
        wait_for(lambda: counted(looplagd, group), 10, f"{group} is counted")
    storm = Storm(looplagd, turns, way, SEED)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        storm.turn()
    for program in storm.running:
        wait_for(lambda: not program.running, 30)
    time.sleep(0.1)
    storm.scrape()
    print(f"{way}: {storm.restarts} kills of looplagd, {storm.killed} of targets, "
          f"{len(turns.files)} native targets", storm.last.series(LOST))
    assert "ledger" not in looplagd.words + looplagd.program.stderr, looplagd.words
    is_shown(looplagd, "python", finish(python))
    if node and not os.geteuid():
        node.send(signal.SIGSTOP)
        wait_for(lambda: known_by_segment(node.pid)[0] == counted(looplagd, "node"), 5,
                 lambda: f"{known_by_segment(node.pid)} {counted(looplagd, 'node')}")
        assert counted(looplagd, "node", ITERATIONS) == known_by_segment(node.pid)[1]
        node.send(signal.SIGKILL)
    known = finish(native) - OUTSIDE, turns.events("short")
    if way == Way.anew:
        assert counted(looplagd, "c") < known[0]
    else:
        is_shown(looplagd, "c", known[0])
    # Between the wait's return and the next line of the program it has one more.
    assert counted(looplagd, "short") <= known[1] + storm.killed
    if counted(looplagd, "short") < known[1]:
        missing = known[1] - counted(looplagd, "short")
        wait_for(lambda: looplagd.metrics().value(LOST, reason="restart") * MOST_TURNS > missing,
                 15, "that something was lost is said", every=0.2)
        lost = looplagd.metrics().value(LOST, reason="restart")
        # Nothing but what came at the moment of a kill, or ended where nobody could see it.
        assert way != Way.store or lost < max(2, storm.restarts / 20)
        print(f"{missing} of {known[1]} are lost, of {lost} loops")


def test_an_orderly_restart_and_a_reload_change_no_count(looplagd, turns, way):
    python, native = turns.python("python"), turns.start(0, 500, group="c")
    wait_for(lambda: counted(looplagd, "python") > 20 and counted(looplagd, "c") > 20, 10)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
        before = looplagd.metrics()
        if number == signal.SIGHUP:
            looplagd.program.send(number)
        else:
            looplagd.kill(number)
            looplagd.start()
        assert not gone_back(before, looplagd.metrics())
    is_shown(looplagd, "python", finish(python))
    if way != Way.anew:
        is_shown(looplagd, "c", finish(native) - OUTSIDE)


@pytest.fixture
def alone():
    with Restarted() as looplagd:
        yield looplagd


def begins_at_zero(looplagd, words):
    """It has said once why, and counts from now on."""
    said = [line for line in looplagd.program.stderr.splitlines() if "component=ledger" in line]
    assert len(said) == 1 and words in said[0], looplagd.program.stderr
    assert looplagd.metrics().sum(EVENTS, groupname="gone") == 0


def leave_history(looplagd, turns):
    """The counts of a target that is gone."""
    turns.start(50, 100, "exit", group="gone").wait()
    wait_for(lambda: counted(looplagd, "gone") == 50 - OUTSIDE, 5)
    looplagd.kill()


@pytest.mark.parametrize("damage", ["cut", "overwritten", "of another kind"])
def test_a_damaged_history_is_not_used(damage, alone, target, scratch):
    turns = Turns(target, alone, scratch)
    leave_history(alone, turns)
    ledger = alone.state / "ledger"
    data = ledger.read_bytes()
    if damage == "cut":
        ledger.write_bytes(data[:8192 + 100])
    elif damage == "overwritten":
        ledger.write_bytes(data[:8192] + b"\xa5" * (len(data) - 8192))
    else:
        ledger.unlink()
        ledger.symlink_to("/dev/zero")
    alone.start()
    begins_at_zero(alone, "cannot be used: it is damaged")
    # The next one has a history again.
    leave_history(alone, turns)
    alone.start()
    assert counted(alone, "gone") == 50 - OUTSIDE


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount namespace")
def test_a_history_of_another_boot_is_not_used(alone, target, scratch):
    leave_history(alone, Turns(target, alone, scratch))
    other = scratch / "boot_id"
    other.write_text("12345678-1234-1234-1234-123456789abc\n")
    alone.prefix = ["unshare", "--mount", "sh", "-c",
                    f'mount --bind {other} /proc/sys/kernel/random/boot_id && exec "$@"', "sh"]
    alone.start()
    begins_at_zero(alone, "before this machine was booted")


@pytest.mark.parametrize("state", ["absent", "read-only", "in use"])
def test_without_a_state_directory_it_goes_on_without_history(state, target, scratch, alone):
    alone.kill()
    if state == "absent":
        shutil.rmtree(alone.state)
        alone.start()
        begins_at_zero(alone, "No such file or directory")
    elif state == "read-only":
        if os.geteuid():
            alone.state.chmod(0o500)
        else:
            alone.prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind -o ro {alone.state} '
                            f'{alone.state} && exec "$@"', "sh"]
        alone.start()
        begins_at_zero(alone, "cannot keep history")
    else:
        alone.start()
        with Restarted(state=False) as second:
            second.kill()
            second.options += ["--state.dir", alone.state]
            second.start()
            begins_at_zero(second, "another looplagd does")
    turns = Turns(target, alone, scratch)
    turns.start(50, 100, "exit", group="gone").wait()
    wait_for(lambda: counted(alone, "gone") == 50 - OUTSIDE, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a mount namespace")
def test_a_full_disk_ends_the_history_and_nothing_else(alone, target, scratch):
    alone.kill()
    alone.prefix = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=64k none "
                    f'{alone.state} && exec "$@"', "sh"]
    alone.start()
    turns = Turns(target, alone, scratch)
    programs = [turns.start(0, 5000, group=f"group{i}") for i in range(60)]
    wait_for(lambda: "cannot keep history" in alone.program.stderr, 15, every=0.2)
    wait_for(lambda: all(counted(alone, f"group{i}") for i in range(60)), 10, every=0.2)
    is_shown(alone, "group7", finish(programs[7]) - OUTSIDE)
    said = [line for line in alone.program.stderr.splitlines() if "component=ledger" in line]
    assert len(said) == 1, said
    turns.end()


def test_a_registration_that_all_loops_have_left_is_forgotten(target, scratch):
    """Though the threads live, whose loops are in a later one."""
    (scratch / "looplagd.yaml").write_text("forget_groups: 2s\n")
    with Restarted("--config.file", scratch / "looplagd.yaml", manager=True) as daemon:
        program = target([PYTHON, HOSTS / "turns.py"], group="again", daemon=daemon)
        program.line("begun")
        wait_for(lambda: counted(daemon, "again") > 10, 10, "it is counted")
        wait_for(lambda: len(daemon.manager.stored) == 2, 10, "its segment, and our own, are kept")
        daemon.kill()
        # A registration was in hand: whoever can is asked to register again.
        (daemon.state / "lock").write_bytes(struct.pack("=I", 1))
        daemon.start()
        wait_for(lambda: len(daemon.manager.stored) > 2, 10, "it has registered again")
        wait_for(lambda: len(daemon.manager.stored) == 2, 30, "what was before is forgotten")
        events = finish(program)
        is_shown(daemon, "again", events)
