# SPDX-License-Identifier: MIT
"""What the probe puts into the capture records of a segment when the bell is rung."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from harness import HOSTS, PYTHON, host_program, wait_for
from segments import (BLOCKED, HANDLER, HELPER_AWAKE, HELPER_NONE, HELPER_REFUSED, HOLDS_GIL,
                      PYTHON_STATE, ROLE_HOLDER, ROLE_LOOP, SANDBOX, TAKEN,
                      WAITS_GIL)

STALL = 0.1
CAPTURED = HOSTS / "captured.py"


def captured(target, segments, case, *arguments, **env):
    """The host program in one case, with its loop running."""
    server = target([PYTHON, CAPTURED, case, *arguments], env=env, daemon=segments)
    server.line("ready")
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    return server


def capture(segments, pid, matches=lambda capture: True, deadline=20):
    """Ask until there is a capture that matches; return it."""
    def found():
        segments.ask(pid, STALL)
        return [c for c in segments.captures_of(pid) if matches(c)]
    return wait_for(found, deadline, "such a capture", every=0.05)[-1]


def taken(found):
    return found.result == TAKEN


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("case,native", [
    ("cpu_loop", "python3"), ("fall_asleep", "libc.so.6"), ("sqlite_lock", "libc.so.6"),
])
def test_the_guilty_function_is_the_innermost(case, native, loop, segments, target):
    server = captured(target, segments, case, LOOP=loop)
    # A stall that has just begun or is about to end is elsewhere in the program.
    found = capture(segments, server.pid, lambda c: taken(c) and c.functions and
                    c.functions[0][2] in (case, "plain", "sqlite_lock") and
                    native in (c.natives[0][1] or ""))
    loop_slot = segments.loops_of(server.pid)[0]
    assert found.functions[0][0] == "captured.py"
    assert [f[2] for f in found.functions].index("main") < 4
    assert (found.role, found.slot, found.tid) == (ROLE_LOOP, loop_slot.index, server.pid)
    assert found.since_ns + STALL * 1e9 <= found.taken_ns <= time.monotonic_ns()
    assert found.flags & PYTHON_STATE and not found.flags & WAITS_GIL
    # Down to the start of the program, through all the objects on the way.
    modules = [module for _, module in found.natives]
    assert "python3" in modules[-1] and len(modules) > 10
    assert ("libc.so" in modules[-2] and "libc.so" in modules[-3])
    if loop == "uvloop":
        assert any("uvloop" in (module or "") for module in modules)
    for path, build_id in found.build_ids.items():
        assert os.path.exists(path) or path.startswith("linux-vdso")
        assert build_id


def test_the_stack_goes_on_wherever_the_thread_was(segments, target):
    """Also where it had just taken its registers from the stack, and was about to return: that
    is one place in a hundred, so that one run in four would miss it."""
    server = captured(target, segments, "cpu_loop")
    depths = {}

    def enough():
        segments.ask(server.pid, STALL)
        depths.update({c.taken_ns: len(c.natives) for c in segments.captures_of(server.pid)
                       if taken(c) and c.functions})
        return len(depths) >= 150
    wait_for(enough, 60, "captures", every=0.03)
    assert min(depths.values()) > 5


def test_frames_are_offsets_into_files(segments, target):
    """The innermost one of a sleep is in the function of libc that sleeps."""
    server = captured(target, segments, "fall_asleep")
    found = capture(segments, server.pid, lambda c: taken(c) and c.functions and
                    c.functions[0][2] == "fall_asleep")
    offset, path = found.natives[0]
    symbols = os.popen(f"nm -D --defined-only {path}").read().split("\n")
    at, name = max((int(line.split()[0], 16), line.split()[2]) for line in symbols
                   if line and line.split()[1] in "TW" and int(line.split()[0], 16) <= offset)
    assert "nanosleep" in name and offset - at < 1000


def test_a_loop_that_waits_for_the_gil_is_told_with_the_thread_that_holds_it(segments,
                                                                            target):
    server = captured(target, segments, "wait_for_gil")
    found = capture(segments, server.pid, lambda c: c.role == ROLE_HOLDER)
    assert found.result == TAKEN
    assert found.flags & HOLDS_GIL and found.flags & PYTHON_STATE
    assert "hold_gil" in [name for _, _, name in found.functions]
    assert found.tid != server.pid
    waiting = [c for c in segments.captures_of(server.pid)
               if c.role == ROLE_LOOP and c.since_ns == found.since_ns]
    assert waiting and waiting[0].slot == found.slot
    assert waiting[0].flags & WAITS_GIL and not waiting[0].flags & HOLDS_GIL
    assert "wait_for_gil" in [name for _, _, name in waiting[0].functions]


def handlers(pid):
    """Whether the process catches SIGURG."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.split("SigCgt:\t")[1].split()[0], 16)
    return bool(caught >> (signal.SIGURG - 1) & 1)


def last_count(server):
    """How many signals its handler has had, as it said last."""
    return int(server.stdout.rpartition("count ")[2].split()[0])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_program_keeps_its_own_handler(when, segments, target):
    server = captured(target, segments, "fall_asleep", URG=when)
    found = capture(segments, server.pid)
    assert found.result == HANDLER
    assert not found.natives and not found.python
    assert handlers(server.pid)
    server.send(signal.SIGURG)
    count = wait_for(lambda: int(server.stdout.split("count ")[-1]), 10, "its own signal")
    assert count == 1


def test_a_handler_that_is_set_among_captures_stays(segments, target):
    server = captured(target, segments, "fall_asleep", URG="late")
    capture(segments, server.pid, taken)
    wait_for(lambda: not handlers(server.pid), 5, "nothing is left of ours")
    with Ringer(segments):
        server.send(signal.SIGUSR1)
        wait_for(lambda: segments.captures_of(server.pid)[-1].result == HANDLER, 10,
                 "its handler is seen")
    assert handlers(server.pid)
    # One of ours that was on its way to the thread, when that set its own, has come to it.
    told = server.stdout.count("count ")
    wait_for(lambda: server.stdout.count("count ") > told + 1, 10, "it goes on")
    before = last_count(server)
    assert before <= 1
    server.send(signal.SIGURG)
    wait_for(lambda: last_count(server) == before + 1, 10,
             lambda: f"its own signal after {before}: {last_count(server)}")


def test_without_stacks_the_helper_says_so_and_takes_none(segments, target):
    server = captured(target, segments, "fall_asleep", LOOPLAG_STACKS="0")
    segment = segments.of(server.pid)
    wait_for(lambda: segment.header()["helper"] == HELPER_REFUSED, 5, "it refuses")
    for _ in range(20):
        segments.ask(server.pid, STALL)
        time.sleep(0.02)
    assert not segment.captures()
    # It still registers again, and says the same there.
    segments.ring()
    wait_for(lambda: len(segments.all_of(server.pid)) == 2, 10, "another segment")
    wait_for(lambda: segments.of(server.pid).header()["helper"] == HELPER_REFUSED, 5,
             "it refuses")


def test_a_helper_says_that_it_takes_stacks_also_after_a_registration(segments, target):
    server = captured(target, segments, "fall_asleep", "0.2")
    for number in (1, 2):
        wait_for(lambda: segments.of(server.pid).header()["helper"] == HELPER_AWAKE, 5,
                 "it is awake")
        capture(segments, server.pid, taken)
        segments.ring()
        wait_for(lambda n=number: len(segments.all_of(server.pid)) == n + 1, 10,
                 "another segment")
        wait_for(lambda: segments.loops_of(server.pid), 10, "the loop in it")
    native = target([host_program("libevent_server")], daemon=segments)
    native.listening()
    wait_for(lambda: segments.of(native.pid), 10, "its segment")
    assert segments.of(native.pid).header()["helper"] == HELPER_NONE


def test_a_thread_that_blocks_the_signal_is_sent_none(segments, target):
    server = captured(target, segments, "fall_asleep", "0.06", BLOCK="1")
    with Ringer(segments):
        found = capture(segments, server.pid)
        assert found.result == BLOCKED
        assert not found.natives and not found.python
        before = segments.loops_of(server.pid)[0].iterations
        wait_for(lambda: segments.loops_of(server.pid)[0].iterations > before + 20, 20,
                 "captures in later stalls")
    # Its loop looks at its signalfd after each stall.
    assert "signalled" not in server.stdout


def test_a_thread_in_a_sandbox_that_it_has_set_up_is_left_alone(segments, target):
    server = captured(target, segments, "fall_asleep", FILTER="1")
    found = capture(segments, server.pid)
    assert found.result == SANDBOX
    assert not found.natives and not found.python


def test_nobody_is_bothered_while_no_loop_is_late(segments, target):
    server = target([PYTHON, HOSTS / "asyncio_server.py"], daemon=segments)
    server.listening()
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    for _ in range(20):
        segments.ask(server.pid, STALL)
    capture_count = len(segments.captures_of(server.pid))
    assert capture_count == 0


class Ringer:
    """Rings the bells of all targets 200 times a second, until it is closed."""

    def __init__(self, segments, stall=0.01):
        self.segments, self.stall, self.rings = segments, stall, 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing = True
        self._thread.join()

    def _run(self):
        while not self._closing:
            for pid in {segment.peer for segment in list(self.segments.segments)}:
                self.segments.ask(pid, self.stall)
            self.rings += 1
            time.sleep(0.005)


@pytest.mark.parametrize("case", ["calls_from_c", "generators", "exceptions", "forks", "spawns",
                                  "short_threads", "system_calls", "wait_for_gil"])
def test_200_captures_a_second_do_no_harm(case, segments, target):
    server = captured(target, segments, case)
    begin = server.stdout.count("count")
    with Ringer(segments) as ringer:
        wait_for(lambda: ringer.rings > 600, 60, "600 rings")
        now = server.stdout.count("count")
        wait_for(lambda: server.stdout.count("count") > now or not server.running, 30,
                 "it goes on")
        # Of threads that are about to end many a one is gone before it answers.
        found = wait_for(lambda: [c for c in segments.captures_of(server.pid) if taken(c)],
                         30, "one that is taken")
    assert server.running and not server.stderr
    assert server.stdout.count("count") > begin
    assert all(c.natives for c in found)
    wait_for(lambda: not handlers(server.pid), 5, "nothing is left of ours")


@pytest.mark.parametrize("kind,count", [("exec", 60), ("fork", 40), ("thread", 20)])
def test_what_a_program_becomes_during_captures(kind, count, segments, target):
    with Ringer(segments):
        server = target([PYTHON, HOSTS / "races.py", kind, str(count), "1"],
                        daemon=segments)
        assert server.wait(90) == 0, server.stderr
    assert server.stdout.startswith("ok") and not server.stderr


def test_programs_that_end_during_captures(segments, target):
    with Ringer(segments):
        for seed in range(30):
            server = target([PYTHON, HOSTS / "races.py", "exit", "0", str(seed)],
                            daemon=segments)
            assert server.wait(30) == 0, server.stderr
            assert server.stdout == "ok 0\n" and not server.stderr


def test_node_goes_on_through_captures(segments, target):
    """Its native stack is walked through code that has no tables, by frame pointers."""
    script = ("function crunch() { const end = Date.now() + 300; while (Date.now() < end); }"
              "setInterval(crunch, 350); setInterval(() => 0, 5)")
    server = target([shutil.which("node"), "-e", script], daemon=segments)
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    found = capture(segments, server.pid, lambda c: taken(c) and len(c.natives) > 10)
    modules = [module for _, module in found.natives]
    assert None in modules and "libc.so" in modules[-2] and "node" in modules[-1]
    with Ringer(segments) as ringer:
        wait_for(lambda: ringer.rings > 400, 60, "400 rings")
    assert server.running and not server.stderr
