# SPDX-License-Identifier: MIT
"""What one wait call costs: libc's own, the probe's, and two clock reads, in turns."""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import harness
from figures import quartiles, spread
from report import say

WAIT_COST = harness.BUILD / "tests" / "bench" / "wait_cost"
ENVIRONMENT = dict(os.environ, LOOPLAG_SOCKET="/nonexistent/probe.sock")

WAITS = [
    ("an event is there", ["ready"]),
    ("nothing is there", ["empty"]),
    ("an event, after 2 us of work", ["busy"]),
    ("an event, after reading 4 MiB", ["cold"]),
    ("4 threads, a loop each", ["--threads", "4", "busy"]),
    ("4 threads, one epoll instance", ["--threads", "4", "--shared", "empty"]),
    ("4 threads, one instance, 2 us of work", ["--threads", "4", "--shared", "busy"]),
]


def cost(rounds, how):
    """What a process of wait_cost tells."""
    return json.loads(subprocess.run(
        [WAIT_COST, "--rounds", str(rounds), *how],
        env=dict(ENVIRONMENT, LD_PRELOAD=str(harness.PROBE)), check=True,
        stdout=subprocess.PIPE, text=True).stdout)


def instructions(how):
    """What the probe adds to one wait call in instructions outside the kernel, as callgrind
    counts them; None where there is no valgrind."""
    if not shutil.which("valgrind"):
        return None
    counts = []
    with tempfile.TemporaryDirectory(prefix="looplag-bench-") as directory:
        # Not every valgrind can read every compiler's debug information.
        for file in (harness.PROBE, WAIT_COST):
            subprocess.run(["strip", "--strip-debug", "-o", Path(directory) / file.name,
                            file], check=True)
        for kind in ("with", "without"):
            out = subprocess.run(
                ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                 "--toggle-collect=make_calls*", Path(directory) / WAIT_COST.name,
                 "--calls", "1000", "--count", kind, *how],
                env=dict(ENVIRONMENT, LD_PRELOAD=f"{directory}/{harness.PROBE.name}"),
                check=True, stderr=subprocess.PIPE, text=True).stderr
            counts.append(int(re.search(r"Collected : (\d+)", out)[1]))
    return (counts[0] - counts[1]) // 1000


def run(report, args):
    runs, rounds = (2, 21) if args.short else (9, 61)
    results = {name: [] for name, _ in WAITS}
    for number in range(runs):
        say(f"wait calls, {number + 1} of {runs}")
        for name, how in WAITS:
            results[name].append(cost(rounds, how))
    rows = []
    for name, how in WAITS:
        def median(of, runs=results[name]):
            return statistics.median(of(run) for run in runs)

        def more(kind):
            return lambda run: run[kind]["median"] - run["without"]["median"]
        added, around = median(more("with")), median(more("around"))
        in_place = [more("with")(run) / more("around")(run) for run in results[name]]
        rows.append([
            name, f"{median(lambda run: run['without']['median']):.0f} ns",
            f"{added:.0f} ns", f"{around:.0f} ns",
            f"{median(lambda run: run['clock']['median']):.0f} ns",
            spread([run["ratio"]["median"] for run in results[name]], 2),
            spread(in_place, 2),
            str("--threads" not in how and instructions(how) or "")])
    report.heading("One wait call")
    report.words(f"{runs} processes of {rounds} rounds, in each of which libc's own "
                 "`epoll_wait`, the probe's, and two clock reads take turns. In its place are "
                 "two clock reads around libc's own, and where threads share an instance "
                 "a word, too, in which they count who waits. Medians, in brackets the "
                 "quartiles.")
    report.table(["`epoll_wait(0)`", "without", "the probe adds", "in its place add",
                  "two clock reads alone", "probe / two clock reads", "probe / in its place",
                  "instructions added"], rows)
    report.intervals("What the probe adds to a wait call, over two clock reads", [
        (name, *quartiles([run["ratio"]["median"] for run in results[name]]))
        for name, _ in WAITS], 1.5)
