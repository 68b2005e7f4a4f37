# SPDX-License-Identifier: MIT
"""A looplagd of another build takes over: counts go on exactly, or it says once that it goes
on without history.

LOOPLAG_OTHER_BUILD=DIR has the looplagd of that build take turns with this one's too.
"""

import os
import signal
import struct
from pathlib import Path

import lmdb
import pytest

from harness import HOSTS, LOOPLAGD, PYTHON, host_program, wait_for
from restarts import Restarted, with_version

EVENTS = "looplag_events_total"
KEY = struct.Struct(">IIQ")  # kind, index, number
ABOUT, SERIES = 1, 3         # kinds of daemon/ledger.h
OTHER_VERSION = "another version of looplagd wrote it"


def counted(looplagd, group):
    return looplagd.metrics().sum(EVENTS, groupname=group)


def checksum(data):
    total = 0xcbf29ce484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001b3 % (1 << 64)
    return struct.pack("=Q", total)


def rewrite(state, kind, change):
    """Have change(data) in place of the data of the first record of that kind."""
    with lmdb.open(str(state / "ledger"), subdir=False, lock=False) as store:
        with store.begin(write=True) as transaction:
            cursor = transaction.cursor()
            assert cursor.set_range(KEY.pack(kind, 0, 0))
            key, record = cursor.item()
            assert KEY.unpack(key)[0] == kind
            data = change(record[8:])
            assert cursor.put(key, checksum(key + data) + data)


@pytest.fixture(params=["store", "maps"])
def looplagd(request):
    if os.geteuid() and request.param == "maps":
        pytest.skip("needs root")
    with Restarted(manager=request.param == "store") as daemon:
        yield daemon


@pytest.fixture
def programs(target, looplagd, scratch):
    """One that registers anew when it is asked to, and one that does not."""
    python = target([PYTHON, HOSTS / "turns.py"], group="python", daemon=looplagd)
    native = target([host_program("turns"), 0, 500, scratch / "count"], group="c",
                    daemon=looplagd)
    yield python, native
    native.send(signal.SIGKILL)


def finish(program):
    program.send(signal.SIGTERM)
    return int(program.line("events "))


def test_counts_go_on_exactly_from_build_to_build(looplagd, programs, scratch):
    builds = [with_version(LOOPLAGD, "9.9.9", scratch), LOOPLAGD,
              with_version(LOOPLAGD, "0.0.1", scratch)]
    if "LOOPLAG_OTHER_BUILD" in os.environ:
        builds.append(Path(os.environ["LOOPLAG_OTHER_BUILD"]) / "looplagd")
    wait_for(lambda: counted(looplagd, "c") > 20 and counted(looplagd, "python") > 20, 10)
    for number, build in zip([signal.SIGKILL, signal.SIGTERM] * len(builds), builds * 2):
        before = looplagd.metrics()
        looplagd.kill(number)
        looplagd.binary = build
        looplagd.start()
        told = [page.series("looplag_build_info") for page in (before, looplagd.metrics())]
        assert told[0] != told[1] or "LOOPLAG_OTHER_BUILD" in os.environ
        for group in ("c", "python"):
            assert counted(looplagd, group) >= before.sum(EVENTS, groupname=group)
    python, native = programs
    for group, events in ("c", finish(native) - 1), ("python", finish(python)):
        wait_for(lambda: counted(looplagd, group) >= events, 10)
        assert counted(looplagd, group) == events
    assert looplagd.metrics().sum("looplag_dropped_loops_total") == 0
    assert "component=ledger" not in looplagd.words + looplagd.program.stderr


@pytest.mark.parametrize("kind, change, words", [
    (ABOUT, lambda data: bytes([data[0] + 1]) + data[1:], OTHER_VERSION),
    (ABOUT, lambda data: bytes([data[0] - 1]) + data[1:], OTHER_VERSION),
    (SERIES, lambda data: data + b"\x00", "part of it makes no sense"),
    (SERIES, lambda data: data[:-1], "part of it makes no sense"),
], ids=["a newer format", "an older format", "more in a record", "less in a record"])
def test_what_another_build_wrote_otherwise_is_not_used(looplagd, programs, kind, change, words):
    python = programs[0]
    wait_for(lambda: counted(looplagd, "python") > 200, 10)
    looplagd.kill()
    rewrite(looplagd.state, kind, change)
    looplagd.start()
    said = [line for line in looplagd.program.stderr.splitlines() if "component=ledger" in line]
    assert len(said) == 1 and words in said[0], looplagd.program.stderr
    # Who can registers again, and from then on its counts go on.
    wait_for(lambda: counted(looplagd, "python"), 20, "python is known again")
    before = counted(looplagd, "python")
    looplagd.kill()
    looplagd.start()
    assert before <= counted(looplagd, "python") <= finish(python)
    assert "component=ledger" not in looplagd.program.stderr
