# SPDX-License-Identifier: MIT
"""Causes that come from outside: a loop that gets no processor is starved, one that a signal
stopped is stopped. The others are tested with their lines, in test_guilty_lines.py."""

import os
import signal
import time

import pytest

import injected
from harness import cores, wait_for

COUNT = int(os.environ.get("LOOPLAG_STALLS", "5"))
MAY_BE_WRONG = max(1, COUNT // 20)
HOGS = 4
CONFIG = "threshold: 50ms\nstacks: false\nalerts: []\n"


@pytest.fixture
def quiet_daemon(start_daemon, tmp_path):
    """One that counts, and takes no stacks."""
    (tmp_path / "looplagd.yaml").write_text(CONFIG)
    return start_daemon("--config.file", tmp_path / "looplagd.yaml")


def check(pairs, cause):
    assert len(pairs) >= COUNT
    causes = [[report["cause"] for report in reports] for _, reports in pairs]
    right = causes.count([cause])
    print(f"{cause}: {right} of {len(pairs)} right")
    assert len(pairs) - right <= MAY_BE_WRONG, causes


@pytest.mark.quiet
def test_a_loop_among_busy_programs_is_starved(quiet_daemon, target, program, tmp_path):
    for _ in range(HOGS):
        program(["sh", "-c", "while :; do :; done"], cpu=cores()[0])
    # Its work takes five times as long as it should.
    host = injected.start(target, tmp_path, "c", "cpu", [400] * COUNT, group="starved",
                          daemon=quiet_daemon, cpu=cores()[0])
    stalls = host.done(60 + COUNT * 3)
    found = wait_for(lambda: [s for s in injected.stalls(quiet_daemon, "starved")
                              if not s["open"]], 5, "reports")
    pairs = injected.match(stalls, found).pairs
    check(pairs, "starved")


def test_a_stopped_loop_is_stopped(quiet_daemon, target, tmp_path):
    host = injected.start(target, tmp_path, "c", "cpu", [300] * COUNT, gap_ms=300,
                          group="stopped", daemon=quiet_daemon)
    for number in range(COUNT):
        wait_for(lambda: quiet_daemon.metrics().value(
            "looplag_stalled_loops", groupname="stopped") == 1, 20, f"stall {number}")
        host.program.send(signal.SIGSTOP)
        time.sleep(1)  # that is what is wrong with it
        host.program.send(signal.SIGCONT)
        wait_for(lambda: quiet_daemon.metrics().value(
            "looplag_stalled_loops", groupname="stopped") == 0, 20, "it goes on")
    stalls = host.done(30)
    check(injected.match(stalls, injected.stalls(quiet_daemon, "stopped")).pairs, "stopped")
