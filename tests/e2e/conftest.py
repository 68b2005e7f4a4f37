# SPDX-License-Identifier: MIT
"""Fixtures of the end-to-end tests; harness.py says how to use them."""

import json
import os
import resource
import shutil
import sys

import pytest

sys.dont_write_bytecode = True

import booted  # noqa: E402
import certificates  # noqa: E402
import harness  # noqa: E402
import runs  # noqa: E402
from container import Container  # noqa: E402
from segments import Receiver  # noqa: E402


def pytest_sessionstart(session):
    for path in (harness.LOOPLAGD, harness.PROBE):
        if not path.exists():
            pytest.exit(f"no {path}: build first, and set LOOPLAG_BUILDDIR to the build "
                        "directory", returncode=2)


# They take longest. With several files at a time they begin first.
LONGEST = ["test_systemd", "test_v8_captures", "test_releases", "test_guilty_lines",
           "test_enable", "test_configuration", "test_http_abuse", "test_harm", "test_captures",
           "test_hostile", "test_demo", "test_web_access", "test_prometheus", "test_ledger"]


def pytest_collection_modifyitems(items):
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
    if not harness.SANITIZED:
        return
    for item in items:
        for mark in item.iter_markers("not_sanitized"):
            item.add_marker(pytest.mark.skip(reason=f"built with sanitizers: {mark.args[0]}"))


@pytest.fixture(scope="session")
def sanitizer_reports(tmp_path_factory):
    """Where programs that were built with sanitizers leave their reports."""
    directory = tmp_path_factory.mktemp("reports")
    for path in (directory, *directory.parents[:2]):
        path.chmod(0o755)
    directory.chmod(0o777)  # of daemons of any user
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        os.environ[name] = f"log_path={directory}/report:print_stacktrace=1"
    return directory


def no_report(directory):
    """See that there is none; what is there is told once."""
    reports = sorted(directory.iterdir())
    words = "".join(path.read_text(errors="replace") for path in reports)
    for path in reports:
        path.unlink()
    assert not words, words


if harness.SANITIZED:
    @pytest.fixture(autouse=True)
    def no_sanitizer_complains(sanitizer_reports):
        """A report fails the test that it is of."""
        yield
        no_report(sanitizer_reports)

    @pytest.fixture(autouse=True, scope="module")
    def no_sanitizer_complains_in_the_end(sanitizer_reports):
        """The same for what has run for all tests of a module."""
        yield
        no_report(sanitizer_reports)


@pytest.fixture
def start_daemon():
    """start_daemon(*options, env, cpu, preferred, wrapper): a looplagd. All that a test
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


@pytest.fixture(scope="module")
def machine():
    """A container.Container that has booted with the packages; see booted.py."""
    reason = booted.why_not()
    if reason:
        pytest.skip(reason)
    container = Container("looplag", booted.prepare)
    try:
        container.boot()
        yield container
    finally:
        container.stop()


@pytest.fixture(scope="module")
def many_descriptors():
    """Thousands of connections take as many descriptors on this side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def scratch():
    """A directory for files, where set-user-ID has an effect."""
    directory = harness.short_directory()
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def made():
    """The certificates.Authority of all that certificates.make_all() makes."""
    directory = harness.short_directory()
    yield certificates.make_all(directory)
    shutil.rmtree(directory)


@pytest.fixture
def web(made):
    """web(text): the path of a file with that text, beside the certificates."""
    paths = []

    def write(text):
        path = made.directory / f"web-{len(paths)}.yml"
        path.write_text(text)
        paths.append(path)
        return path

    yield write
    for path in paths:
        path.unlink(missing_ok=True)


@pytest.fixture
def report(scratch):
    """report(command...): the JSON report of a run of it, and what it printed."""
    def collect(*arguments, **how):
        path = scratch / "report.json"
        result = runs.run("--report", "json", "--output", path, *arguments, **how)
        return json.loads(path.read_text()), result
    return collect
