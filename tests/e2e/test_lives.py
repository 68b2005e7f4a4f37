# SPDX-License-Identifier: MIT
"""Threads that come and go, forks of every kind, signals at bad moments: no wait is lost, no
loop stays behind. The programs count their own wait calls (tests/hosts/counted.h)."""

import os
import signal

import pytest

from harness import host_program, wait_for
from segments import EPOLL


def made(program):
    """How many waits a program and its children have called when they have finished."""
    return [int(line.split()[1]) for line in program.stdout.splitlines()
            if line.startswith("waits ")]


def finished(segments, target, name, *arguments, processes=1, env=None):
    """Run a program until so many of its processes have finished, and see that each wait
    that they called is counted and no loop dropped; return it and its segment."""
    program = target([host_program(name), *arguments], daemon=segments, env=env)
    wait_for(lambda: len(made(program)) == processes, 60, f"{name} has finished")
    segment = wait_for(lambda: segments.segments and segments.segments[0], 5, "its segment")
    wait_for(lambda: segment.waits() == max(made(program)), 5,
             lambda: f"{max(made(program))} waits; there are {segment.waits()}")
    header = segment.header()
    assert header["dropped_loops"] == header["dropped_threads"] == 0
    return program, segment


def the_loop(segment, tid):
    """The only loop of the segment, which must be that thread's, and attended."""
    loops = segment.loops()
    assert [(slot.tid, slot.kind, slot.waiters) for slot in loops] == [(tid, EPOLL, 1)]
    return loops[0]


@pytest.mark.parametrize("at_once", [1, 8, 50])
def test_two_thousand_short_threads_with_loops(at_once, segments, target):
    program, segment = finished(segments, target, "threads", "short", 2000, at_once)
    the_loop(segment, program.pid)
    # An epoll loop's first wait is outside any loop, and a call site's first fifteen. Two
    # threads that want the slot of a dead one at the same moment may take it from each
    # other, which makes the loser's loop begin anew.
    expected = 1000 * 4 + 1000 * 5 + 20
    assert 0.99 * expected <= sum(slot.waits for slot in segment.slots()) <= expected


def test_more_threads_than_slots_are_counted_as_dropped(segments, target):
    program = target([host_program("threads"), "short", "200", "200"], daemon=segments)
    program.line("waits ", 30)
    segment = wait_for(lambda: segments.of(program.pid), 5, "its segment")
    header = segment.header()
    assert header["slots_used"] == header["slot_count"] == 64
    assert 0 < header["dropped_loops"] + header["dropped_threads"] <= 200 - 63


def test_more_slots_can_be_asked_for(segments, target):
    _, segment = finished(segments, target, "threads", "short", 200, 200,
                          env={"LOOPLAG_SLOTS": "256"})
    assert segment.slot_count == segment.header()["slot_count"] == 256


def test_a_shared_instance_is_unattended_only_while_no_thread_waits(segments, target):
    # On a busy machine the three may begin and end their work at different times.
    for _ in range(3):
        _, segment = finished(segments, target, "threads", "shared")
        shared = max(segment.loops(), key=lambda slot: slot.waiters)
        assert shared.waiters == 3
        # One busy thread of three keeps nobody waiting, be it asleep or in a poll().
        assert len(shared.ring) <= 3
        assert shared.nested_wait_ns < 1e6
        lengths = [length // 10**6 for _, length, _, _ in shared.ring]
        if len(lengths) == 3 and min(lengths) >= 80 and max(lengths) < 130:
            return
    pytest.fail(f"unattended for {lengths} ms")


def test_a_thread_cancelled_in_its_wait_leaves_no_loop_behind(segments, target):
    program, segment = finished(segments, target, "threads", "cancel")
    assert program.stdout.startswith("cleaned up\ncancelled\n")
    the_loop(segment, program.pid)


def test_a_wait_left_by_siglongjmp_does_not_hide_the_loop(segments, target):
    # On a busy machine it may take longer, and others may be long.
    for _ in range(3):
        program, segment = finished(segments, target, "signals", "jump")
        loop = the_loop(segment, program.pid)
        lengths = [length // 10**6 for _, length, _, _ in loop.ring]
        assert max(lengths) >= 99
        if len(lengths) == 1 and lengths[0] < 150:
            return
    pytest.fail(f"unattended for {lengths} ms")


def test_a_poll_in_a_signal_handler_is_no_wait_of_the_loop(segments, target):
    program = target([host_program("signals"), "handler"], daemon=segments)
    waits, polls = int(program.line("waits ")), int(program.line("polls "))
    segment = wait_for(lambda: segments.of(program.pid), 5, "its segment")
    wait_for(lambda: segment.waits() == waits + polls, 5, "all waits are counted")
    assert segment.header()["other_waits"] == [1, polls, 0, 0]
    assert polls >= 30
    loop = the_loop(segment, program.pid)
    assert loop.nested_wait_ns == 0


def test_a_storm_of_signals_loses_no_wait_of_the_loop(segments, target):
    """Handlers that run inside the probe itself are not recorded; all else is."""
    program = target([host_program("signals"), "storm"], daemon=segments)
    waits, polls = int(program.line("waits ")), int(program.line("polls "))
    segment = wait_for(lambda: segments.of(program.pid), 5, "its segment")
    loop = wait_for(lambda: [s for s in segment.loops() if s.waits == waits - 1], 5,
                    f"{waits - 1} waits of the loop")[0]
    assert polls > 1000
    assert polls / 2 < segment.header()["other_waits"][1] <= polls
    assert loop.waiters == 1 and len(segment.loops()) == 1


@pytest.mark.parametrize("way", ["fork", "_Fork", "handler", "vfork"])
def test_children_that_end_leave_no_loop_behind(way, segments, target):
    program, segment = finished(segments, target, "forks", way)
    the_loop(segment, program.pid)


def test_children_of_a_raw_clone_call_are_counted_as_dropped(segments, target):
    """libc does not know who they are, and so nor does the probe."""
    program = target([host_program("forks"), "clone"], daemon=segments)
    program.line("waits ", 30)
    segment = wait_for(lambda: segments.of(program.pid), 5, "its segment")
    wait_for(lambda: segment.waits() == max(made(program)), 5, "all waits are counted")
    the_loop(segment, program.pid)
    assert segment.header()["dropped_threads"] >= 3


def test_a_thousand_forks(segments, target):
    program, segment = finished(segments, target, "forks", "fork", 1000)
    the_loop(segment, program.pid)
    assert sum(slot.waits for slot in segment.slots()) == 1000 * 39 + 1019 + 1


def test_workers_of_a_prefork_server_have_a_loop_each(segments, target):
    program, segment = finished(segments, target, "forks", "prefork", 3, processes=4)
    children = {int(line.split()[1]) for line in program.stdout.splitlines()
                if line.startswith("child ")}
    loops = segment.loops()
    assert {slot.tid for slot in loops} == {program.pid} | children
    assert len(loops) == 4 and all(slot.waiters == 1 for slot in loops)


def test_a_daemon_keeps_its_loop_through_two_forks(segments, target):
    program, segment = finished(segments, target, "forks", "daemon")
    child = int(program.line("child "))
    try:
        the_loop(segment, child)
        os.kill(child, signal.SIGKILL)
        wait_for(lambda: not segment.loops(), 5, "its loop is gone with it")
    finally:
        if segment.loops():
            os.kill(child, signal.SIGKILL)
