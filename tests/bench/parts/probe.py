# SPDX-License-Identifier: MIT
"""What the probe costs a process besides its wait calls: memory, time to start; and what its
histogram costs."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import harness
from figures import spread
from report import say

BENCH = harness.BUILD / "tests" / "bench"
NOWHERE = "/nonexistent/probe.sock"
LOOPS = (1, 4, 64)

# How long one record() takes in JavaScript, in nanoseconds: the least of many rounds.
NODE_RECORD = """
const { createHistogram } = require('perf_hooks');
const histogram = createHistogram();
let least = Infinity;
for (let round = 0; round < 300; round++) {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < 4096; i++)
    histogram.record(1 + (i * 7919) % 1000000);
  least = Math.min(least, Number(process.hrtime.bigint() - begin) / 4096);
}
console.log(least.toFixed(1));
"""


def environment(socket):
    """With the probe and that daemon's socket, or without a probe."""
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if socket:
        env.update(LD_PRELOAD=str(harness.PROBE), LOOPLAG_SOCKET=str(socket))
    return env


def memory(loops, probe):
    """Kilobytes of a process with so many loops: all of it, proportionally, and what is
    resident of the segment and of the library's file."""
    process = subprocess.Popen([BENCH / "held_loops", str(loops)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=environment(probe and NOWHERE))
    try:
        process.stdout.readline()
        proc = Path(f"/proc/{process.pid}")
        name, sizes = "", {"memfd:looplag": 0, "liblooplag.so": 0}
        for line in (proc / "smaps").read_text().splitlines():
            if "-" in line.split()[0]:
                name = line
            for part in sizes:
                if part in name and line.startswith("Rss:"):
                    sizes[part] += int(line.split()[1])
        total = next(int(line.split()[1]) for line in
                     (proc / "smaps_rollup").read_text().splitlines()
                     if line.startswith("Pss:"))
        return [total, *sizes.values()]
    finally:
        process.stdin.close()
        process.wait()


def memories(report, rounds):
    rows = []
    for loops in LOOPS:
        say(f"memory of {loops} loops")
        plain = [memory(loops, False) for _ in range(rounds)]
        probed = [memory(loops, True) for _ in range(rounds)]
        middle = [statistics.median(column) for column in zip(*probed)]
        without = statistics.median(row[0] for row in plain)
        rows.append([str(loops), f"{without:.0f} kB", f"{middle[0] - without:.0f} kB",
                     f"{middle[1]:.0f} kB", f"{middle[2]:.0f} kB"])
    report.heading("Memory of a target")
    report.words(f"Medians of {rounds} processes. Proportional size without a probe, and what "
                 "is added; of that, what is resident of the segment, and of the library, "
                 "most of which all targets share.")
    report.table(["loops", "without", "the probe adds", "segment", "library"], rows)


def start(command, env):
    """Microseconds of processor time of a process that starts and ends. Other programs do
    not count as they would in the time that it takes."""
    pid = os.posix_spawnp(command[0], command, env)
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"bench: {command[0]} failed")
    return (usage.ru_utime + usage.ru_stime) * 1e6


def starts(report, args):
    with tempfile.TemporaryDirectory(prefix="looplag-bench-") as directory:
        # Not under the name of a program in which the probe does nothing.
        nothing = shutil.copy(shutil.which("true"), f"{directory}/nothing")
        commands = [("a program that does nothing", [nothing], 400),
                    ("Python", ["/usr/bin/python3", "-S", "-c", "pass"], 100)]
        if shutil.which("node"):
            commands.append(("Node", ["node", "-e", "0"], 30))
        rows = []
        daemon = harness.Daemon()
        try:
            environments = [environment(None), environment(NOWHERE),
                            environment(daemon.socket)]
            for name, command, rounds in commands:
                say(f"starts of {name}")
                times = [[start(command, env) for env in environments]
                         for _ in range(rounds // (4 if args.short else 1))]
                added = [[row[i] - row[0] for row in times] for i in (1, 2)]
                rows.append([name, f"{statistics.median(row[0] for row in times):.0f} us",
                             *(f"{spread(values, 0)} us" for values in added)])
        finally:
            daemon.stop()
    report.heading("Start of a process")
    report.words("Processor time of a process that has nothing to do, from its start to its "
                 "end, in turns; medians of the differences within a turn, in brackets the "
                 "quartiles.")
    report.table(["program", "without", "the probe adds, no daemon", "with a daemon"], rows)


def histograms(report):
    say("histograms")
    costs = json.loads(subprocess.run([BENCH / "histogram_cost"], check=True, text=True,
                                      stdout=subprocess.PIPE).stdout)
    titles = {"increment": "an element of a plain array counted up",
              "record": "a duration recorded",
              "band": "a wakeup latency recorded, by any of several threads",
              "merge": "a histogram merged into another one",
              "quantiles": "five quantiles of the delay",
              "excesses": "the delay above 20 limits"}
    rows = [[title, f"{costs[kind]:,.1f} ns", f"{costs[kind] / costs['increment']:,.1f}"]
            for kind, title in titles.items()]
    if shutil.which("node"):
        node = float(subprocess.run(["node", "-e", NODE_RECORD], check=True, text=True,
                                    stdout=subprocess.PIPE).stdout)
        rows.insert(2, ["Node's createHistogram().record(), from JavaScript", f"{node:.1f} ns",
                        f"{node / costs['increment']:.1f}"])
    report.heading("Histograms")
    report.words("The least of many rounds. Node's is called from JavaScript, so it is an upper "
                 "bound of what its HdrHistogram itself costs.")
    report.table(["", "each", "against the plain array"], rows)


def run(report, args):
    memories(report, 3 if args.short else 9)
    starts(report, args)
    histograms(report)
