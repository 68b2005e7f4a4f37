# SPDX-License-Identifier: MIT
"""Each runtime, unchanged, shows the loops that it really has, and each loop the waits that
the kernel saw."""

import time

import pytest

import services
import traces
from harness import target_environment, wait_for
from segments import EPOLL


def loop_counts(segments):
    """How many loops each segment has, of those that have any."""
    return sorted(n for n in (len(s.loops()) for s in segments.segments) if n)


def is_quiet(segments):
    """Whether every loop has been attended for a moment: then no thread is on its way into
    a wait, which strace would not tell of if it were killed there."""
    slots = [slot for segment in segments.segments for slot in segment.loops()]
    now = time.monotonic_ns()
    return all(slot.waiters and slot.last_ns < now - 30e6 for slot in slots)


@pytest.mark.parametrize("name", services.NAMES)
def test_a_runtime_shows_the_loops_that_it_has(name, segments, program, tmp_path):
    env = target_environment(segments.socket)
    log = tmp_path / "strace"
    wrapper = traces.strace(log, traces.EPOLL_WAITS + traces.SITE_WAITS, env)
    service = services.start(name, program, tmp_path, env, wrapper)
    requests = service.load()
    wait_for(lambda: loop_counts(segments) == service.loops, 10,
             lambda: f"{service.loops} loops; there are {loop_counts(segments)}")
    loops = [(segment, slot) for segment in segments.segments for slot in segment.loops()]
    for segment in segments.segments:
        header = segment.header()
        assert header["dropped_loops"] == header["dropped_threads"] == 0
    wait_for(lambda: is_quiet(segments), 10, "no loop turns any more")
    service.kill()
    assert loop_counts(segments) in ([], service.loops), "loops came after the load"
    waits = traces.Waits(log)
    counted = sum(segment.waits() for segment in segments.segments)
    assert waits.total <= counted <= waits.total + waits.unknown
    after = [segment.slots()[slot.index] for segment, slot in loops]
    for (_, before), slot in zip(loops, after):
        assert sum(slot.counts) == slot.iterations
        if slot.kind == EPOLL:
            # The first wait did not belong to a loop yet.
            assert slot.waits == waits.epoll[before.tid, slot.descriptor] - 1
    assert sum(slot.iterations for slot in after) > requests


RUNTIME = {"node": "node", "node-workers": "node", "node-cluster": "node",
           **dict.fromkeys(["asyncio", "asyncio-poll", "asyncio-select", "uvloop", "tornado",
                            "gevent"], "python"), "java": "java"}


def test_the_daemon_shows_the_loops_of_all_of_them_at_once(daemon, program, tmp_path):
    running = {}
    for name in services.NAMES:
        (tmp_path / name).mkdir()
        running[name] = services.start(name, program, tmp_path / name,
                                       target_environment(daemon.socket, group=name))
        running[name].load(rounds=5)
    for name, service in running.items():
        loops = sum(service.loops)
        wait_for(lambda n=name, c=loops: daemon.metrics().value(
            "looplag_group_loops", groupname=n) == c, 10, f"{loops} loops of {name}")
    metrics = daemon.metrics()
    for name, service in running.items():
        assert metrics.value("looplag_group_loops", groupname=name) == sum(service.loops)
        assert metrics.sum("looplag_iteration_seconds_count", groupname=name) > 5 * 16
        labels, _ = metrics.series("looplag_group_info", groupname=name)[0]
        assert labels["runtime"] == RUNTIME.get(name, "unknown")
    assert metrics.sum("looplag_dropped_loops_total") == 0
    assert metrics.sum("looplag_rejected_segments_total") == 0
