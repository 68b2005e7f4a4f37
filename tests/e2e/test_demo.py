# SPDX-License-Identifier: MIT
"""The demo shows what it promises, and leaves nothing behind, however it ends."""

import os
import re
import shutil
import signal
import uuid
from pathlib import Path

import pytest

from harness import BUILD, SOURCE, short_directory

DEMO = SOURCE / "tests" / "demo" / "demo"
ROW = re.compile(r"^  (\S.*?) {2,}((?:[\d.]+ ms|-)(?: +(?:[\d.]+ ms|-)){2})$", re.M)

pytestmark = pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")


def processes_with(mark):
    """Those that have inherited this from the demo's environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass
    return found


@pytest.fixture
def demo(program):
    """A demo under way. Afterwards none of its processes and files may be left."""
    directory = short_directory()
    mark = uuid.uuid4().hex
    started = program([DEMO, BUILD], name="demo",
                      env=dict(os.environ, TMPDIR=str(directory), DEMO_MARK=mark))
    yield started
    # Not stop(): that would end what the demo has forgotten.
    assert not started.running, started.stdout
    left = processes_with(mark), os.listdir(directory)
    shutil.rmtree(directory, ignore_errors=True)
    assert left == ([], [])


def test_the_demo_shows_four_opinions_on_two_services(demo):
    assert demo.wait(75) == 0, demo.stderr
    rows = [(name, [float(cell) if cell else None
                    for cell in re.findall(r"(?:([\d.]+) ms|-)", cells)])
            for name, cells in ROW.findall(demo.stdout)]
    assert [name for name, _ in rows] == [
        "what its clients suffered", "looplag, delay", "Prometheus, from looplag",
        "monitorEventLoopDelay",
        "what its clients suffered", "looplag, delay", "Prometheus, from looplag",
        "sleep-drift monitor"], demo.stdout
    for suffered, delay, computed in (rows[0:3], rows[4:7]):
        # No truth test: the machine is as busy as it is. But they are about the same thing.
        assert 0.5 < delay[1][1] / suffered[1][1] < 2
        assert 0.5 < computed[1][1] / suffered[1][1] < 2
    for file in ("node_server.js", "asyncio_server.py"):
        assert re.search(rf"^ +> block \(.*{file}:\d+\)$", demo.stdout, re.M), demo.stdout
    assert "README" in demo.stdout


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_interrupted_stops_what_it_started(demo, number, status):
    demo.line("  may. looplagd reads them")
    demo.send(number)
    assert demo.wait(20) == status, demo.stderr
    assert "Traceback" not in demo.stderr


def test_a_demo_without_its_services_says_what_is_missing(program):
    broken = program([DEMO, SOURCE / "tests"])
    assert broken.wait() == 1
    assert re.fullmatch(r"demo: no .*: run make in .* first\n", broken.stderr)
