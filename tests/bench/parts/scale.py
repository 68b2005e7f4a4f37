# SPDX-License-Identifier: MIT
"""What looplagd costs, by how many services there are, and in a storm of them."""

import datetime
import json
import math
import statistics
import tempfile
import time
from pathlib import Path

import harness
import scrapes
from crowds import Crowd
from report import say

# Services, their groups, loops of each, of those the busy ones.
SIZES = [(1, 1, 2, 1), (10, 10, 2, 1), (100, 100, 2, 1), (1000, 180, 2, 0), (1000, 180, 2, 1),
         (1000, 180, 10, 0), (1000, 180, 10, 1)]
SHORT = [(1, 1, 2, 1), (100, 100, 2, 1), (1000, 180, 2, 1)]
# Services, so many a second.
STORMS = [(1000, 200), (12000, 200)]
TURNS = 5
THRESHOLD_SECONDS = 0.1
TICK_SECONDS = 0.025


def unit_environment():
    """What its unit has in looplagd's environment."""
    unit = (harness.SOURCE / "systemd" / "looplagd.service.in").read_text()
    return dict(line.split("=", 2)[1:] for line in unit.splitlines()
                if line.startswith("Environment="))


def quantile(before, after, q):
    """A quantile of what a histogram's buckets have grown by."""
    total, below, reached = after[max(after)] - before[max(before)], 0, 0
    for le in sorted(after):
        grown = after[le] - before[le]
        if grown >= q * total:
            share = (q * total - reached) / max(grown - reached, 1e-12)
            return below + (min(le, 1e9) - below) * share
        below, reached = le, grown
    return below


def own_buckets(daemon):
    return dict(daemon.metrics().buckets("looplag_delay_seconds", groupname="looplagd"))


def resident_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def at_rest(daemon, seconds):
    """Its processor time a second while nobody asks it anything, and its own p99 then."""
    buckets = own_buckets(daemon)
    (_, before), began = scrapes.cpu_seconds(daemon.pid), time.monotonic()
    time.sleep(seconds)
    (_, after), ended = scrapes.cpu_seconds(daemon.pid), time.monotonic()
    return (after - before) / (ended - began), quantile(buckets, own_buckets(daemon), 0.99)


def lateness(daemon, count):
    """By how many ms after its threshold each of so many stalls was to be seen in the API;
    infinite for one that never was."""
    seen = {}
    with tempfile.TemporaryDirectory(prefix="looplag-scale-") as directory:
        log = Path(directory) / "log"
        program = harness.Program(
            [harness.host_program("stalls"), log, "cpu", 400, 300, count],
            env=harness.target_environment(daemon.socket, "staller"))

        def is_done():
            body = daemon.get("/api/v1/stalls?group=staller")[2]
            now = time.time()
            for stall in json.loads(body)["stalls"]:
                started = datetime.datetime.fromisoformat(stall["started"]).timestamp()
                seen.setdefault(started, now)
            return "done" in program.stdout

        try:
            harness.wait_for(is_done, 120, "the last stall is over", every=0.003)
            shift = time.time() - time.monotonic()
            stalls = [json.loads(line)["start"] / 1e9 + shift
                      for line in log.read_text().splitlines()]
        finally:
            program.stop()
    return [min(((now - started - THRESHOLD_SECONDS) * 1e3 for started, now in seen.items()
                 if abs(started - stall) < THRESHOLD_SECONDS), default=math.inf)
            for stall in stalls]


def held(services, groups, loops, busy, short):
    """A row of so many services, and the processor time."""
    count = services * loops
    with tempfile.TemporaryDirectory(prefix="looplag-scale-") as state:
        daemon = harness.Daemon("--state.dir", state, preferred=True, env=unit_environment())
        try:
            with Crowd(daemon, "hold", services, groups, loops, busy) as crowd:
                crowd.said("started")
                harness.wait_for(
                    lambda: daemon.metrics().sum("looplag_group_loops") >= count, 60,
                    "all loops are known", every=1)
                time.sleep(3)
                cpu, p99 = at_rest(daemon, 3 if short else 15)
                resident = resident_mb(daemon.pid)
                scrape = scrapes.cost(daemon, "text", "gzip", 5 if short else 20)
                late = lateness(daemon, 5 if short else 20)
        finally:
            daemon.stop()
    return [f"{services:,} x {loops}", f"{services * busy:,}", f"{cpu * 100:.2f} %",
            f"{cpu * TICK_SECONDS * 1e6:.0f} us", f"{cpu / count * 1e6:.1f} us",
            f"{p99 * 1e3:.2f} ms", f"{resident:.0f} MB",
            f"{scrape.cpu * 1e3:.1f} ms, {scrape.page / 1e3:.0f} kB, {scrape.sent / 1e3:.0f} kB",
            f"{statistics.median(late):.0f}, {max(late):.0f} ms"], cpu


def storm(count, rate):
    """A row of so many short lives."""
    with tempfile.TemporaryDirectory(prefix="looplag-scale-") as state:
        daemon = harness.Daemon("--state.dir", state, preferred=True, env=unit_environment())
        try:
            buckets, (_, before) = own_buckets(daemon), scrapes.cpu_seconds(daemon.pid)
            began = time.monotonic()
            with Crowd(daemon, "storm", count, rate, TURNS) as crowd:
                events = crowd.said("events")
            took = time.monotonic() - began
            (_, after), then = scrapes.cpu_seconds(daemon.pid), own_buckets(daemon)
            metrics = daemon.metrics()
            resident = resident_mb(daemon.pid)
        finally:
            daemon.stop()
    told = int(metrics.sum("looplag_events_total", groupname="storm"))
    lost = int(metrics.sum("looplag_rejected_segments_total")
               + metrics.sum("looplag_dropped_loops_total"))
    return [f"{count:,}", f"{count / took:.0f}", f"{events:,}", f"{told:,}", f"{lost}",
            f"{(after - before) / took * 100:.1f} %", f"{(after - before) / count * 1e6:.0f} us",
            f"{quantile(buckets, then, 0.99) * 1e3:.2f}, "
            f"{quantile(buckets, then, 0.9999) * 1e3:.2f} ms", f"{resident:.0f} MB"]


def run(report, args):
    rows, points = [], {}
    for size in SHORT if args.short else SIZES:
        say(f"{size[0]} services of {size[2]} loops")
        row, cpu = held(*size, args.short)
        rows.append(row)
        name = "one loop of each is busy" if size[3] else "all are idle"
        points.setdefault(name, []).append((size[0] * size[2], cpu * 100))
    report.heading("Many services")
    report.words("What looplagd costs with so many services, real ones with an epoll loop in "
                 "each of their threads, in up to 180 groups, with a ledger, the environment of "
                 "its unit and the default threshold of 100 ms. A busy loop turns 5 times a "
                 "second. At rest: processor time a second, of it in a tick of 25 ms, and for a "
                 "loop in a second. A scrape is text, compressed: processor time, size, size as "
                 "it is sent. The last column: how long after its threshold a stall is to be "
                 "seen in the API, median and most.")
    report.table(["services x loops", "busy", "processor", "a tick", "a loop", "own p99",
                  "resident", "a scrape", "a stall is seen"], rows)
    report.lines("At rest", "loops", "processor time, %", points)
    rows = []
    for count, rate in STORMS[:1] if args.short else STORMS:
        say(f"a storm of {count} services")
        rows.append(storm(count, rate))
    report.heading("Storms")
    report.words(f"Services that live for {TURNS} turns of their loop, so many and so many a "
                 "second; the events that they have had, and that looplagd told of.")
    report.table(["services", "a second", "events", "told", "counted as lost", "processor",
                  "a service", "own p99, p99.99", "resident"], rows)
