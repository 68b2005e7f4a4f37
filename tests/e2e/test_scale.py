# SPDX-License-Identifier: MIT
"""What grows with the number of services and loops, and what does not."""

import time
from pathlib import Path

import pytest

from crowds import Crowd
from harness import SANITIZED, wait_for

SERVICES, SECONDS, TRIES = 20, 3, 3


def reads(daemon):
    """How many system calls that read something it has made."""
    words = Path(f"/proc/{daemon.pid}/io").read_text()
    return int(words.split("syscr:")[1].split()[0])


@pytest.mark.skipif(SANITIZED, reason="it makes no difference to what is read")
def test_an_idle_loop_costs_no_system_call(start_daemon):
    few, many = start_daemon(), start_daemon()
    with Crowd(few, "hold", SERVICES, 5, 2, 0) as twos, \
            Crowd(many, "hold", SERVICES, 5, 20, 0) as twenties:
        for daemon, crowd, loops in ((few, twos, 2), (many, twenties, 20)):
            crowd.said("started")
            wait_for(lambda d=daemon, n=loops: d.metrics().sum("looplag_group_loops")
                     >= SERVICES * n, 30, "all loops are known")
        # A loop that another program keeps waiting for the processor is read, for a while.
        for _ in range(TRIES):
            before = [reads(daemon) for daemon in (few, many)]
            time.sleep(SECONDS)
            used = [reads(daemon) - b for daemon, b in zip((few, many), before)]
            print(f"reads with {SERVICES * 2}, {SERVICES * 20} idle loops: {used}")
            if used[1] <= 1.5 * used[0] + SERVICES:
                break
        else:
            raise AssertionError(used)


def test_nothing_is_lost_of_a_hundred_services_that_come_and_go_in_a_second(daemon):
    with Crowd(daemon, "storm", 100, 100, 5) as crowd:
        events = crowd.said("events")
    assert events == 500
    wait_for(lambda: daemon.metrics().sum("looplag_events_total", groupname="storm") == events,
             10, "all events are told of")
    metrics = daemon.metrics()
    assert metrics.sum("looplag_rejected_segments_total") == 0
    assert metrics.sum("looplag_dropped_loops_total") == 0
