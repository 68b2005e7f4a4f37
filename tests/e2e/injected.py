# SPDX-License-Identifier: MIT
"""Programs that stall in ways and at times that are known (tests/hosts/stalls.*), what they
say of it, and what the daemon says of it."""

import json
import os
import time
from dataclasses import dataclass, field
from datetime import datetime

from harness import HOSTS, PYTHON, host_program, wait_for

# The daemon tells the start of a stall in milliseconds, by the wall clock.
SLACK_NS = 5_000_000


@dataclass
class Injected:
    """A stall as the program says that it was."""
    case: str
    function: str
    lines: list
    start: int  # CLOCK_MONOTONIC
    end: int
    run_delay_ns: int = 0  # the thread waited for a processor, in the turns around it too
    outer_ns: int = 0  # no iteration around it was longer; 0: unknown

    @property
    def seconds(self):
        return (self.end - self.start) / 1e9


@dataclass
class Host:
    """One of the programs under way; its stalls begin about 200 ms after its start."""
    program: object
    path: object

    def done(self, deadline=60):
        """Wait for the last stall; returns all of them in their order."""
        def ended():
            text = self.program.stdout
            if "skip" in text:
                import pytest  # the benchmarks do without it
                pytest.skip(text.strip())
            assert self.program.running, self.program.stderr
            return "done" in text
        wait_for(ended, deadline, f"{self.program.name} has had its stalls", every=0.1)
        return read_log(self.path)


def read_log(path):
    """The stalls so far."""
    return [Injected(**json.loads(line)) for line in path.read_text().splitlines()]


def start(target, directory, kind, cases, lengths, gap_ms=60, group=None, daemon=None,
          **how):
    """Start a host by the fixture `target`: kind is node, asyncio, uvloop or c; lengths are
    milliseconds. A C program has one case, and stalls of one length."""
    path = directory / f"{group or kind}.log"
    text = ",".join(f"{length:.3f}" for length in lengths)
    command = {
        "node": ["node", HOSTS / "stalls.js", path, cases, gap_ms, text],
        "asyncio": [PYTHON, HOSTS / "stalls.py", path, cases, gap_ms, text],
        "uvloop": [PYTHON, HOSTS / "stalls.py", path, cases, gap_ms, text],
        "c": [host_program("stalls"), path, cases, gap_ms, round(lengths[0]),
              len(lengths)],
    }[kind]
    env = {"LOOP": "uvloop"} if kind == "uvloop" else {}
    return Host(target(command, group=group, env=env, daemon=daemon, name=group or kind,
                       **how), path)


def stalls(daemon, group=None):
    """What the API says of the stalls of a group, oldest first, with `start` and `end` as
    CLOCK_MONOTONIC in nanoseconds."""
    status, _, body = daemon.get("/api/v1/stalls" + (f"?group={group}" if group else ""))
    assert status == 200, body
    found = json.loads(body)["stalls"]
    shift = time.time_ns() - time.monotonic_ns()
    for stall in found:
        assert not group or stall["groupname"] == group, stall
        wall = datetime.fromisoformat(stall["started"].replace("Z", "+00:00"))
        stall["start"] = int(wall.timestamp() * 1e9) - shift
        stall["end"] = stall["start"] + int(stall["seconds"] * 1e9)
    return sorted(found, key=lambda stall: stall["start"])


@dataclass
class Match:
    """Which reports are of which injected stall."""
    pairs: list = field(default_factory=list)  # (injected, [reports])
    strange: list = field(default_factory=list)  # reports of no injected one


def match(injected, reported):
    """An injected stall and a report belong together where the first lies in the second."""
    result = Match([(one, []) for one in injected])
    for report in reported:
        for one, reports in result.pairs:
            if report["start"] - SLACK_NS <= one.start and \
                    one.end <= report["end"] + SLACK_NS:
                reports.append(report)
                break
        else:
            result.strange.append(report)
    return result


def is_application(frame, program=""):
    """Code that somebody wrote for this service: no library, no runtime."""
    file = frame.get("file") or ""
    if frame["lang"] == "js":
        return bool(file) and not file.startswith("node:")
    if frame["lang"] == "python":
        return not file.startswith(("/usr/lib/python3", "<"))
    return bool(program and frame.get("function")) and \
        os.path.basename(frame.get("module") or "") == program


def innermost(report, program=""):
    return next((frame for frame in report.get("stack") or ()
                 if is_application(frame, program)), None)


def brief(report):
    """A report in a line, for people."""
    frames = " < ".join(f"{f.get('function') or f.get('file') or '?'}:{f.get('line', '')}"
                        for f in report.get("stack") or ())
    return (f"{report['seconds'] * 1e3:.2f} ms, {report['cause']}, "
            f"{report.get('samples', 0)} samples: {frames or report.get('missing')}")
