# SPDX-License-Identifier: MIT
"""Programs that close what they do not know, put another file in the place of their loop,
lock their memory or give up their rights do so with the probe as they do without it; and the
probe goes on to count where it can."""

import os

import pytest

from harness import host_program, wait_for
from test_lives import made

WAYS = ["loop", "closefrom", "close_range", "raw", "dup2", "mlockall", "setuid", "chroot",
        "spawn"]


def finished(program, command, env):
    """What the program says until it has made its last wait."""
    running = program(command, env=env)
    running.line("waits ", 30)
    assert not running.stderr
    return running


@pytest.mark.parametrize("way", WAYS)
def test_an_upheaval_goes_as_without_the_probe(way, segments, target, program):
    if way in ("setuid", "chroot") and os.geteuid():
        pytest.skip("only root can do that")
    command = [host_program("upheavals"), way]
    plain = finished(program, command, dict(os.environ))
    probed = target(command, daemon=segments)
    probed.line("waits ", 30)
    assert probed.stdout == plain.stdout and not probed.stderr
    assert probed.stdout.endswith("done\nwaits " + str(made(probed)[0]) + "\n")
    segment = wait_for(lambda: segments.of(probed.pid), 5, "its segment")
    wait_for(lambda: segment.waits() == made(probed)[0], 5, "all its waits")


def test_two_thousand_children_at_once(segments, target):
    """There are slots for 64; who gets none is counted, and all run."""
    bomb = target([host_program("forks"), "prefork", 2000], daemon=segments)
    wait_for(lambda: len(made(bomb)) == 2001, 120, "all children have a loop")
    assert bomb.stdout.count("child ") == 2000 and not bomb.stderr
    segment = segments.of(bomb.pid)
    header = segment.header()
    assert header["slots_used"] == header["slot_count"]
    assert header["dropped_loops"] + header["dropped_threads"] >= 2000 - 64
