# SPDX-License-Identifier: MIT
"""Servers under load: as they are, with looplag, and with what else watches an event loop.

In each of many rounds every server gets a slice of load, in another order each time, and its
figures are compared to those of two servers with nothing in the same round, so that what
drifts on the machine drifts out. What differs by chance from one process to the next, such as
where its memory lies, does not: so all of them are started several times.
"""

import collections
import random
import statistics
import tempfile
import time
from pathlib import Path

import harness
import kernel
import loads
import npm
import servers
from figures import interval
from parts import wait
from report import say

GOAL = 0.99

CHANCE = random.Random(1)

# starts of all servers; whether those with nothing and with looplag are started more often,
# as loads.LOADS says; rounds of each start; seconds of a slice; seconds of idleness
Plan = collections.namedtuple("Plan", "starts more rounds slice idle")
FULL, SHORT = Plan(11, True, 16, 0.035, 3), Plan(2, False, 25, 0.035, 1)
KERNEL_SLICES = 8

# Of one slice: requests a second, CPU time of a request, 0.99 quantile of their latency.
Slice = collections.namedtuple("Slice", "rate cost_ns p99")


class Load:
    """One load on all servers of a kind; what was measured, and its ratios."""

    def __init__(self, kind, ask, connections, pipeline, plan, cpu):
        self.title = f"{loads.LOADS[kind][0]}, {connections} connection" + \
            ("s" if connections > 1 else "") + \
            (f", pipelines of {pipeline}" if pipeline > 1 else "")
        self._client = loads.Client(ask, connections, pipeline, cpu)
        self._plan, self._cpu, self._at_once = plan, cpu, connections * pipeline
        self.plain = []  # slices with nothing
        self.ratios = {}  # by server's name: for each start a list of Slices of ratios
        self.requests = self.iterations = 0  # of the server with looplag

    def _slice(self, server, seconds=None):
        server.resume()
        self._client.open(server.port)
        before = server.cpu_ns()
        answers = self._client.run(seconds or self._plan.slice)
        used = server.cpu_ns() - before
        self._client.close()
        server.pause()
        if server.name == servers.PROBE:
            self.requests += answers.count + self._at_once
        return Slice(answers.count / answers.seconds, used / answers.count, answers.p99)

    def _add(self, name, values, *plain):
        mean = [statistics.mean(of) for of in zip(*plain)]
        self.ratios.setdefault(name, [[]])[-1].append(
            Slice(*(value / by for value, by in zip(values, mean))))

    def measure(self, all_servers, warm, with_kernel, daemon):
        """All slices of one start."""
        group = next(server.group for server in all_servers if server.group)
        before = iterations(daemon, group)
        self._measure(all_servers, warm, with_kernel)
        self.iterations += iterations(daemon, group) - before

    def _measure(self, all_servers, warm, with_kernel):
        for server in CHANCE.sample(all_servers, len(all_servers)):
            self._slice(server, warm)
        for lists in self.ratios.values():
            lists.append([])
        plain, again, *others = all_servers
        for _ in range(self._plan.rounds):
            slices = {server: self._slice(server)
                      for server in CHANCE.sample(all_servers, len(all_servers))}
            self.plain.append(slices[plain])
            self._add(again.name, slices[again], slices[plain])
            for server in others:
                self._add(server.name, slices[server], slices[plain], slices[again])
        if with_kernel:
            before = self._slices(plain)
            with kernel.watching(plain.pids()[-1], self._cpu):
                own = self._slices(plain)
            for slices in zip(own, before, self._slices(plain)):
                self._add(kernel.NAME, *slices)

    def _slices(self, server):
        return [self._slice(server) for _ in range(KERNEL_SLICES)]

    def stop(self):
        self._client.stop()

    def starts(self, name):
        return sum(map(bool, self.ratios[name]))

    def intervals(self, name, figure):
        return interval([[getattr(ratio, figure) for ratio in one]
                         for one in self.ratios[name] if one])


def iterations(daemon, group):
    found = daemon.group(group)
    return sum(loop["iterations"] for loop in found["loops"]) if found else 0


def idle_wakeups(all_servers, seconds):
    """How often each server wakes up in a second in which nobody asks it anything."""
    for server in all_servers:
        server.resume()
    time.sleep(0.5)
    before = [server.wakeups() for server in all_servers]
    time.sleep(seconds)
    after = [server.wakeups() for server in all_servers]
    for server in all_servers:
        server.pause()
    return {server.name: (b - a) / seconds
            for server, a, b in zip(all_servers, before, after)}


def measure(kind, daemon, plan, cpus, with_kernel, modules):
    """All that is measured with one kind of server: (its loads, its idle wakeups)."""
    _, kinds, warm, times = loads.LOADS[kind]
    every = times if plan.more else 1
    count = plan.starts * every
    all_loads = [Load(kind, *load, plan, cpus[1]) for load in kinds]
    try:
        for start in range(count):
            is_whole = start % every == 0
            with tempfile.TemporaryDirectory(prefix="looplag-bench-") as directory:
                all_servers = servers.start_all(kind, Path(directory), cpus[0], daemon,
                                                modules, is_whole, CHANCE)
                try:
                    for load in all_loads:
                        say(f"{load.title}, {start + 1} of {count}")
                        load.measure(all_servers, warm,
                                     with_kernel and start % (3 * every) == 0, daemon)
                    if start == 0:
                        wakeups = idle_wakeups(all_servers, plan.idle)
                finally:
                    for server in all_servers:
                        server.stop()
    finally:
        for load in all_loads:
            load.stop()
    return all_loads, wakeups


def verdict(low, high, starts):
    """What the interval of a ratio of throughput says about the goal."""
    if starts > 2 and low >= GOAL:
        return "yes"
    return "no" if starts > 2 and high < GOAL else "open"


def rows(load, wakeups, wait_ns):
    """The lines of the table for one load."""
    rate, cost_ns, p99 = (statistics.median(of) for of in zip(*load.plain))
    waits = load.iterations / load.requests
    counted = f"{1 + waits * wait_ns / cost_ns:.3f}, {waits:.2g} iterations"
    yield [f"**{load.title}**", servers.PLAIN, "", f"{rate:,.0f}/s", "", f"{cost_ns / 1e3:.2f} us",
           "", f"{p99 * 1e3:.2f} ms", f"{wakeups[servers.PLAIN]:.0f}"]
    for name in load.ratios:
        cells = {}
        for figure in Slice._fields:
            low, middle, high = load.intervals(name, figure)
            cells[figure] = f"{middle:.3f} ({low:.3f} to {high:.3f})"
            if figure == "rate":
                good = verdict(low, high, load.starts(name))
        yield ["", f"**{name}**" if name == servers.PROBE else name,
               str(load.starts(name)), cells["rate"], good,
               cells["cost_ns"], counted if name == servers.PROBE else "", cells["p99"],
               f"{wakeups[name]:.0f}" if name in wakeups else ""]


def run(report, args):
    cpus = harness.cores()
    if len(cpus) < 2:
        say("hosts: left out: it needs two cores, one for servers and one for clients")
        return
    plan = SHORT if args.short else FULL
    report.heading("Servers under load")
    report.words(f"""Each server is on a core of its own, the client and `looplagd` on another
        one. In each round every server gets {plan.slice * 1e3:.0f} ms of load, in another
        order each time. A figure is the median of the ratios to the mean of two servers with
        nothing in the same round, from so many starts of {plan.rounds} rounds each; in
        brackets where that median lies with a probability of 0.95, by a bootstrap over starts
        and rounds. The row of the second server with nothing, which is compared to the first,
        shows what the machine itself is good for. Goal: with something, the throughput is at
        least {GOAL} of that with nothing; "yes" and "no" are said where all of the interval of
        more than two starts is on one side of that. By count: the iterations of a request,
        times the most that the probe was seen to add to a wait, which no noise can hide.""")
    wait_ns = max(one["with"]["median"] - one["without"]["median"]
                  for one in (wait.cost(21, [how]) for how in ("ready", "busy", "cold")))
    error = kernel.why_not()
    if error:
        report.words(f"Not possible on this machine: {kernel.NAME}: {error}")
    table = []
    for kind in args.host or loads.LOADS:
        modules = npm.modules() if kind in ("node", "fastify") else None
        missing = servers.missing(kind, modules)
        if missing:
            report.words(f"{loads.LOADS[kind][0]} is left out: there is no {missing}.")
            continue
        daemon = harness.Daemon(cpu=cpus[1], preferred=True)
        try:
            all_loads, wakeups = measure(kind, daemon, plan, cpus, not error, modules)
        finally:
            daemon.stop()
        for load in all_loads:
            table += rows(load, wakeups, wait_ns)
            for figure, title in (("rate", "throughput"), ("cost_ns", "CPU time a request")):
                report.intervals(
                    f"{load.title}: {title}, as a ratio to that with nothing",
                    [(name, *load.intervals(name, figure)) for name in load.ratios],
                    GOAL if figure == "rate" else 1)
    report.table(["server, load", "with", "starts", "throughput", f"{GOAL} or better",
                  "CPU time a request", "the same by count", "0.99 quantile of latency",
                  "idle wakeups/s"], table)
