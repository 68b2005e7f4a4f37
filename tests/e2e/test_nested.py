# SPDX-License-Identifier: MIT
"""What waits inside a callback blocks the loop, and is no loop of its own."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import HOSTS, PYTHON, wait_for
from segments import ATTENDED, EPOLL


def idle_loop(segment):
    """The one loop of a program that idles, None while it is not that."""
    loops = segment.loops()
    return loops[0] if len(loops) == 1 and loops[0].waiters == 1 else None


def started(segments, target, command, env=None):
    """Start a program, wait until it says "done" and idles; return its one segment with a
    loop, and that loop."""
    program = target(command, env=env, daemon=segments)
    program.line("done", 30)
    segment = wait_for(lambda: segments.of(program.pid), 10, "the segment")
    return segment, wait_for(lambda: idle_loop(segment), 10, "one loop, which idles")


def blocked_five_times(slot):
    """Check that the loop was late by five waits of 0.2 s, and that they are named."""
    long = [(length, nested) for _, length, nested, _ in slot.ring if length > 190e6]
    assert len(long) == 5
    assert slot.max_ns >= 199e6
    for length, nested in long:
        # What a child's start and end or a database's planning take is no wait.
        assert 0.5 * length < nested <= length
    assert slot.nested_wait_ns <= slot.active_ns


@pytest.fixture
def database():
    """The data source name of a PostgreSQL server of our own."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL server here")
    directory = Path(tempfile.mkdtemp(prefix="looplag-pg-"))
    user = []
    if os.getuid() == 0:
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(directory, "postgres", "postgres")
    server = None
    try:
        subprocess.run([*user, programs[-1] / "initdb", "-D", directory / "data", "-A",
                        "trust", "-U", "postgres", "-N", "--no-instructions"], check=True,
                       capture_output=True, cwd=directory)
        server = subprocess.Popen(
            [*user, programs[-1] / "postgres", "-D", directory / "data", "-k", directory,
             "-c", "listen_addresses=", "-F"], cwd=directory,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: (directory / ".s.PGSQL.5432").exists(), 20, "PostgreSQL listens")
        wait_for(lambda: subprocess.run(
            [programs[-1] / "pg_isready", "-q", "-h", directory]).returncode == 0, 20,
            "PostgreSQL is ready")
        yield f"host={directory} user=postgres dbname=postgres"
    finally:
        if server:
            server.terminate()
            server.wait(20)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("what", ["recv", "subprocess"])
def test_a_wait_inside_a_coroutine_is_the_loops_delay(what, segments, target):
    _, loop = started(segments, target, [PYTHON, HOSTS / "nested.py", what])
    blocked_five_times(loop)


def test_a_databases_answer_inside_a_coroutine_is_the_loops_delay(database, segments,
                                                                  target):
    _, loop = started(segments, target, [PYTHON, HOSTS / "nested.py", "libpq", database])
    blocked_five_times(loop)


def test_execsync_inside_a_callback_is_the_loops_delay(segments, target):
    _, loop = started(segments, target, ["node", HOSTS / "nested.js"])
    blocked_five_times(loop)


def test_execsync_before_the_loop_runs_leaves_no_loop_behind(segments, target):
    segment, loop = started(segments, target, ["node", HOSTS / "nested.js"],
                            env={"WHEN": "start"})
    assert segment.header()["slots_used"] == 1
    assert loop.nested_wait_ns < loop.active_ns
    assert not any(slot.open_ns(time.monotonic_ns()) for slot in segment.slots())


def test_the_second_loop_of_a_program_takes_the_place_of_the_first(segments, target):
    segment, loop = started(segments, target, [PYTHON, HOSTS / "nested.py", "twice"])
    assert segment.header()["slots_used"] == 1
    assert loop.life == 2
    assert loop.past_life_ns > 30e6
    assert loop.iterations > 30


def test_a_childs_output_read_before_the_loop_runs_leaves_no_loop_behind(segments, target):
    """poll() is called hundreds of times at one place there, as in a loop."""
    segment, _ = started(segments, target, [PYTHON, HOSTS / "nested.py", "chatty"])
    program = segment.peer
    loops = segment.loops()
    assert program and len(loops) == 1 and loops[0].kind == EPOLL
    assert loops[0].state & ATTENDED
