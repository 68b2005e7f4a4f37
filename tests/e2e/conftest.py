# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests; harness.py says how to use them."""

import json
import shutil
import sys

import pytest

sys.dont_write_bytecode = True

import harness  # noqa: E402
import runs  # noqa: E402
from segments import Receiver  # noqa: E402


def pytest_sessionstart(session):
    for path in (harness.LOOPLAGD, harness.PROBE):
        if not path.exists():
            pytest.exit(f"no {path}: build first, and set LOOPLAG_BUILDDIR to the build "
                        "directory", returncode=2)


@pytest.fixture
def start_daemon():
    """start_daemon(*options, env=None, cpu=None, realtime=False): a looplagd. All that a test
    starts are ended after it, and must end cleanly; one that the test itself has ended
    (daemon.program.stop()) it takes from the list start_daemon.running."""
    running = []

    def start(*options, **how):
        daemon = harness.Daemon(*options, **how)
        running.append(daemon)
        return daemon

    start.running = running
    yield start
    errors = []
    for daemon in reversed(running):
        try:
            daemon.stop()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def daemon(start_daemon):
    """A looplagd of the test's own, ended and checked after the test."""
    return start_daemon()


@pytest.fixture
def segments():
    """A segments.Receiver: takes the segments of targets in place of a daemon, as in
    target(command, daemon=segments)."""
    with Receiver(doorbell=True) as receiver:
        yield receiver


@pytest.fixture
def program():
    """program(command, ...): a harness.Program that surely ends with the test."""
    running = []

    def start(command, **how):
        started = harness.Program(command, **how)
        running.append(started)
        return started

    yield start
    for started in reversed(running):
        started.stop(deadline=5)


@pytest.fixture
def target(request, program):
    """target(command, group=None, env=None, daemon=None, ...): a program that carries the
    probe and reports to the test's daemon, or to the one given."""
    def start(command, group=None, env=None, daemon=None, **how):
        daemon = daemon or request.getfixturevalue("daemon")
        environment = harness.target_environment(daemon.socket, group, env)
        return program(command, env=environment, **how)

    return start


@pytest.fixture
def scratch():
    """A directory for files, where set-user-ID has an effect."""
    directory = harness.short_directory()
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def report(scratch):
    """report(command...): the JSON report of a run of it, and what it printed."""
    def collect(*arguments, **how):
        path = scratch / "report.json"
        result = runs.run("--report", "json", "--output", path, *arguments, **how)
        return json.loads(path.read_text()), result
    return collect
