# SPDX-License-Identifier: MIT
"""Each runtime, unchanged, shows the loops that it really has, and each loop the waits that
the kernel saw."""

import pytest

import services
import traces
from harness import target_environment, wait_for
from segments import EPOLL


def loop_counts(segments):
    """How many loops each segment has, of those that have any."""
    return sorted(n for n in (len(s.loops()) for s in segments.segments) if n)


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
    service.stop(segments)
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
