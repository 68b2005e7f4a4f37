# SPDX-License-Identifier: MIT
"""JavaScript stacks: what V8 is asked for, what it answers, and that it does no harm."""

import json
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from harness import HOSTS, PROBE, target_environment, wait_for
from segments import HELPER_REFUSED, TAKEN

NODE = shutil.which("node")
SCRIPTS = HOSTS / "scripts.js"
STALLS = HOSTS / "stalls.js"
JS_TAKEN = 2
LATE_NS = 20_000_000
STALL = 0.1

pytestmark = [
    pytest.mark.skipif(not NODE, reason="no node here"),
    pytest.mark.skipif(not PROBE.with_name("liblooplag-v8.so").exists(),
                       reason="configured with --disable-v8"),
]


class Ringer:
    """Rings the bells of all targets again and again, and keeps what their records say."""

    def __init__(self, segments, stall=STALL, every=0.04):
        self.segments, self.stall, self.every = segments, stall, every
        self.rings, self.found = 0, {}
        self._closing = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._closing = True
        self._thread.join()

    def _look(self):
        for segment in list(self.segments.segments):
            for capture in segment.captures():
                self.found[segment.id, capture.tid, capture.taken_ns] = capture

    def _run(self):
        while not self._closing:
            for segment in list(self.segments.segments):
                self.segments.ask(segment.peer, self.stall)
            self.rings += 1
            time.sleep(self.every)
            if self.every >= 0.04:
                self._look()
        self._look()

    def stacks(self):
        """The captures with JavaScript that was taken at once, the oldest first."""
        return [c for _, c in sorted(self.found.items(), key=lambda item: item[1].taken_ns)
                if c.js_state == JS_TAKEN and c.js_taken_ns - c.taken_ns < LATE_NS]


def module_is_loaded(pid):
    return "liblooplag-v8.so" in Path(f"/proc/{pid}/maps").read_text()


def stacks_of(segments, target, *arguments, matches=bool, deadline=30):
    """Captures of a program until one matches."""
    server = target([NODE, SCRIPTS, *arguments], daemon=segments)
    with Ringer(segments) as ringer:
        wait_for(lambda: any(matches(c) for c in ringer.stacks()), deadline,
                 "such a JavaScript stack")
    assert server.running and not server.stderr
    return [c for c in ringer.stacks() if matches(c)]


def own_name(function):
    """Without the receiver and the property: "f" of "Object.f [as g]"."""
    return function.split(" [as ")[0].split(".")[-1]


def application(capture, file="stalls.js"):
    """The innermost frame of the application: (line, function)."""
    for path, line, function in capture.scripts:
        if path == file:
            return line, function
    return None


def run_stalls(segments, target, scratch, case, length, count):
    """Let it stall; return the captures that were taken inside, each with the stall's entry
    in the log."""
    log = scratch / "log"
    server = target([NODE, STALLS, log, case, "150", f"{length}x{count}"], daemon=segments)
    with Ringer(segments) as ringer:
        server.line("done", deadline=60)
    assert not server.stderr
    entries = [json.loads(line) for line in log.read_text().split("\n") if line]
    assert len(entries) == count
    return [(capture, entry) for capture in ringer.found.values() for entry in entries
            if capture.result == TAKEN and
            entry["start"] < capture.taken_ns < entry["end"]]


def without_returned(answered):
    """Without the last answer of a stall, if its function had returned by then and others
    were before: a busy machine may stop the thread between that and the end in the log."""
    kept = []
    for capture, entry in answered:
        later = [c for c, e in answered if e is entry and c.taken_ns > capture.taken_ns]
        earlier = [c for c, e in answered if e is entry and c.taken_ns < capture.taken_ns]
        returned = own_name(application(capture)[1]) == "_onTimeout"
        if later or not earlier or not returned:
            kept.append((capture, entry))
    return kept


@pytest.mark.parametrize("case", ["cpu", "regexp", "exec", "pbkdf2", "gzip", "atomics", "fifo",
                                  pytest.param("microtasks", marks=pytest.mark.quiet), "worker"])
def test_the_innermost_application_frame_is_the_guilty_line(case, segments, target, scratch):
    inside = run_stalls(segments, target, scratch, case, 500, 3)
    # The last microtask is another function, which takes the time of the end.
    last_ns = 1_000_000 if case == "microtasks" else 0
    answered = [(c, entry) for c, entry in inside if c.js_state == JS_TAKEN and
                c.js_taken_ns <= entry["end"] - last_ns]
    # The last of many captures in a call of native code has the answer, when it returns.
    assert len({entry["start"] for _, entry in answered}) == 3
    answered = without_returned(answered)
    right = 0
    for capture, entry in answered:
        line, function = application(capture)
        assert own_name(function) == entry["function"]
        right += line in entry["lines"]
    # An async function that goes on is where it begins, most of the time; V8 is asked until
    # it is somewhere else, or has been asked often enough.
    assert right >= (0.9 if case == "microtasks" else 1) * len(answered), right


@pytest.mark.parametrize("case", ["cpu", "regexp", "atomics", "worker",
                                  pytest.param("microtasks", marks=pytest.mark.quiet)])
def test_v8_answers_while_the_stall_lasts(case, segments, target, scratch):
    """Where V8 itself is busy or waits, it looks for interrupts; each capture has a stack."""
    inside = run_stalls(segments, target, scratch, case, 500, 3)
    at_once = [c for c, _ in inside if c.js_state == JS_TAKEN and
               c.js_taken_ns - c.taken_ns < LATE_NS]
    # Between microtasks no function runs, and asking again has an end.
    assert len(at_once) >= (0.6 if case == "microtasks" else 0.8) * len(inside) > 0


def test_json_parse_answers_late_with_the_caller(segments, target, scratch):
    inside = run_stalls(segments, target, scratch, "json", 500, 3)
    assert inside
    answered = [(c, entry) for c, entry in inside if c.js_state == JS_TAKEN]
    assert answered
    for capture, entry in answered:
        # Not before the parser has come back.
        assert capture.js_taken_ns > entry["end"] - 20_000_000


def test_loops_that_stall_at_once_have_each_their_own_stack(segments, target):
    found = stacks_of(segments, target, "main and worker",
                      matches=lambda c: "workerLoop" in c.js)
    worker = {c.tid for c in found}
    with Ringer(segments) as ringer:
        wait_for(lambda: any("mainLoop" in c.js for c in ringer.stacks()) and
                 any("workerLoop" in c.js for c in ringer.stacks()), 30, "both")
    # Some are of a moment when the timer's function had not begun, or had returned.
    for capture in ringer.stacks():
        assert "workerLoop" not in capture.js or capture.tid in worker
        assert "mainLoop" not in capture.js or capture.tid not in worker


def test_names_are_utf8(segments, target):
    found = stacks_of(segments, target, "unicode", matches=lambda c: "spin" in c.js)
    assert [f[2] for f in found[0].scripts[:3]] == ["spin", "函数", "größe"]
    assert found[0].scripts[1][0] == "scripts.js"


def test_latin_names_are_utf8_too(segments, target):
    found = stacks_of(segments, target, "latin", matches=lambda c: "spin" in c.js)
    assert [own_name(f[2]) for f in found[0].scripts[:2]] == ["spin", "größe"]


def test_a_deep_stack_costs_no_time_and_has_its_innermost_frames(segments, target):
    found = stacks_of(segments, target, "deep", matches=lambda c: "spin" in c.js)
    functions = [own_name(f[2]) for f in found[0].scripts]
    assert functions[0] == "spin" and set(functions[1:]) == {"descend"}
    assert 50 < len(functions) < 200
    # All lines are whole.
    assert len(functions) == len(found[0].js.split("\n"))


@pytest.mark.parametrize("case,functions,file", [
    ("eval", ["evaluated", "eval"], None), ("module", ["imported"], "esm.mjs"),
    ("async", ["spin", "inner", "outer"], "scripts.js"),
])
def test_other_kinds_of_code_are_named(case, functions, file, segments, target):
    found = stacks_of(segments, target, case, matches=lambda c: functions[0] in c.js)
    lines = found[0].js.split("\n")
    for line, function in zip(lines, functions):
        assert function in line.split(" (")[0]
    if file:
        assert found[0].scripts[0][0] == file
    if case == "module":
        assert "(file:///" in lines[0]
    if case == "eval":
        # Where the text comes from the V8 of Node.js 18 does not say.
        assert re.match(r"evaluated \((eval at .*scripts\.js|<anonymous>:\d)", lines[0])


def test_getters_and_hooks_are_not_called(segments, target):
    server = target([NODE, SCRIPTS, "user code"], daemon=segments)
    with Ringer(segments) as ringer:
        wait_for(lambda: len([c for c in ringer.stacks() if "spin" in c.js]) > 5, 30, "stacks")
        lines = server.stdout.count("touched")
        wait_for(lambda: server.stdout.count("touched") > lines, 10, "another line")
    assert set(server.stdout.split("\n")) <= {"touched 0", ""}


def test_what_a_program_computes_stays_the_same(segments, target, program):
    plain = program([NODE, SCRIPTS, "compute"])
    assert plain.wait(60) == 0
    captured = target([NODE, SCRIPTS, "compute"], daemon=segments)
    with Ringer(segments, stall=0.001, every=0.005) as ringer:
        assert captured.wait(120) == 0, captured.stderr
    assert any(c.js_state == JS_TAKEN for s in segments.segments for c in s.captures())
    assert captured.stdout == plain.stdout and captured.stdout.startswith("sum ")
    assert not captured.stderr and ringer.rings


def test_without_stalls_the_module_is_not_loaded(segments, target):
    server = target([NODE, SCRIPTS, "idle"], daemon=segments)
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    with Ringer(segments, stall=1) as ringer:
        wait_for(lambda: ringer.rings > 20, 20, "rings")
    assert server.running and not module_is_loaded(server.pid)


def test_with_stacks_switched_off_the_module_is_not_loaded(segments, target):
    server = target([NODE, SCRIPTS, "async"], env={"LOOPLAG_STACKS": "0"}, daemon=segments)
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    wait_for(lambda: segments.of(server.pid).header()["helper"] == HELPER_REFUSED, 10,
             "it refuses")
    with Ringer(segments) as ringer:
        wait_for(lambda: ringer.rings > 40, 20, "rings")
    assert not segments.captures_of(server.pid) and not module_is_loaded(server.pid)


def test_without_the_module_there_are_native_frames(segments, program, scratch):
    shutil.copy(PROBE, scratch / "liblooplag.so")
    environment = target_environment(segments.socket, None, None)
    environment["LD_PRELOAD"] = str(scratch / "liblooplag.so")
    server = program([NODE, SCRIPTS, "async"], env=environment)
    with Ringer(segments) as ringer:
        wait_for(lambda: any(c.natives for c in ringer.found.values()), 30, "a capture")
    assert server.running and not server.stderr and not module_is_loaded(server.pid)
    assert all(c.js_state == 0 for c in ringer.found.values())


@pytest.mark.parametrize("malloc", [None, "perturbed"])
@pytest.mark.parametrize("case,count", [("workers", 120), ("children", 20), ("cluster", 15)])
def test_isolates_come_and_go_during_captures(case, count, malloc, segments, target):
    """Each ends in another way: terminated, by process.exit(), by an exception, by itself.
    What is freed is overwritten in half of the runs, so that its use would show."""
    env = {"MALLOC_PERTURB_": "165"} if malloc else None
    server = target([NODE, SCRIPTS, case, str(count)], env=env, daemon=segments)
    with Ringer(segments, stall=0.001, every=0.005):
        assert server.wait(180) == 0, server.stderr
    assert server.stdout == "ok\n" and not server.stderr
    assert any(c.js_state == JS_TAKEN for s in segments.segments for c in s.captures())


def test_allocations_go_on_through_captures(segments, target):
    """The thread may have V8's or the allocator's lock when it is stopped."""
    server = target([NODE, SCRIPTS, "allocate"], daemon=segments)
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    with Ringer(segments, stall=0.001, every=0.005) as ringer:
        wait_for(lambda: ringer.rings > 1500, 60, "rings")
        count = server.stdout.count("count")
        wait_for(lambda: server.stdout.count("count") > count + 20, 20, "it goes on")
    slot = segments.loops_of(server.pid)[0]
    # Nobody has waited for the helper until its time was over.
    assert max(length for _, length, _, _ in slot.ring) < 1_000_000_000
    assert server.running and not server.stderr
    assert module_is_loaded(server.pid)


def test_programs_that_end_in_a_stall_end_as_they_do(segments, target):
    with Ringer(segments, stall=0.001, every=0.005):
        for seed in range(8):
            server = target([NODE, HOSTS / "races.js", "6", str(seed + 1)], daemon=segments)
            assert server.wait(60) == 0, server.stderr
            assert server.stdout == "ok 6\n" and not server.stderr
