# SPDX-License-Identifier: MIT
"""Every stall over the threshold is reported exactly once, with its length, while it lasts.

A Node and an asyncio program, at the same time, each have LOOPLAG_TRUTH_STALLS stalls (120;
200 for the full truth) from 20 ms to 3 s, short ones more often than long ones, and log them
from inside: from the first statement of the callback that blocks to its last one. The iteration is longer than that by what the runtime
does around the callback, which is some microseconds, unless the machine takes the processor
away just there: then the iteration really is that much longer. So the programs have a second
witness that looplag has nothing to do with: asyncio's selector is wrapped and measures the
iteration from outside; libuv tells how long it was idle, and all the rest of the time from
the turn before to the turn after is the most that the iteration can have lasted. A report is
right when it is at most 1 ms or 1 % shorter than the first and longer than the second, and
in no more than one case in twenty the second may be needed.
"""

import os
import random
import threading
import time
from types import SimpleNamespace

import pytest

import harness
import injected

THRESHOLD = 0.050
TICK = THRESHOLD / 4
COUNT = int(os.environ.get("LOOPLAG_TRUTH_STALLS", "120"))
SHORTEST, LONGEST = 0.020, 3.0
# From when on an open stall must be seen: threshold, one tick, and what a machine with
# other things to do takes to run a daemon.
SEEN_AFTER = THRESHOLD + TICK + 0.030
# Rules are looked at every second, and what ended in the second before the last look still
# counts; after that `keep` has to pass between two looks.
FIRES_WITHIN, CLEARS_WITHIN = 1.3, 4.5
KINDS = ["node", "asyncio"]
CASES = {"node": "cpu,atomics", "asyncio": "cpu,sleep"}

CONFIG = """
threshold: 50ms
alerts:
  - name: old
    type: stalled
    above: 1s
    keep: 100ms
"""


def lengths(seed):
    """Lengths in seconds in random order: the extremes, some close to the threshold on
    both sides, and the rest as often as its length to the power of -1.5."""
    dice = random.Random(seed)
    result = [SHORTEST, LONGEST, 2.0] + [THRESHOLD + d / 1e3 for d in
                                         (-3, -2, -1.5, -0.5, 0.5, 1.5, 2, 3)]
    a, b = SHORTEST ** -0.5, LONGEST ** -0.5
    while len(result) < COUNT:
        result.append((a + dice.random() * (b - a)) ** -2)
    dice.shuffle(result)
    return result


class Scraper(threading.Thread):
    """Scrapes all the time; remembers of each group what it saw, and when."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.looks = {kind: [] for kind in KINDS}
        self._daemon, self._over = daemon, threading.Event()

    def run(self):
        while not self._over.wait(0.03):
            before = time.monotonic_ns()
            metrics = self._daemon.metrics()
            after = time.monotonic_ns()
            for kind, looks in self.looks.items():
                def of(name, group=kind, **labels):
                    return metrics.sum(name, groupname=group, **labels)
                looks.append(SimpleNamespace(
                    before=before, after=after, stalled=of("looplag_stalled_loops"),
                    age=of("looplag_stall_age_seconds"), stalls=of("looplag_stalls_total"),
                    firing=of("looplag_alert_firing", alert="old")))

    def stop(self):
        self._over.set()
        self.join()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Both programs from begin to end: injected, reported, matched and scraped, by kind."""
    directory = tmp_path_factory.mktemp("truth")
    (directory / "looplagd.yaml").write_text(CONFIG)
    daemon = harness.Daemon("--config.file", directory / "looplagd.yaml")
    programs = []

    def target(command, group, env, daemon, **how):
        environment = harness.target_environment(daemon.socket, group, env)
        programs.append(harness.Program(command, env=environment, **how))
        return programs[-1]

    scraper = Scraper(daemon)
    try:
        hosts = {kind: injected.start(
            target, directory, kind, CASES[kind], [s * 1e3 for s in lengths(seed)],
            gap_ms=40, group=kind, daemon=daemon) for seed, kind in enumerate(KINDS)}
        scraper.start()
        result = {}
        injected_stalls = {kind: host.done(240) for kind, host in hosts.items()}
        time.sleep(CLEARS_WITHIN + 0.5)  # so that there surely is a time without alerts
        for kind, stalls in injected_stalls.items():
            reported = injected.stalls(daemon, kind)
            result[kind] = SimpleNamespace(
                injected=stalls, reported=reported,
                match=injected.match(stalls, reported), looks=scraper.looks[kind],
                metrics=daemon.metrics())
        yield result
    finally:
        if scraper.is_alive():
            scraper.stop()
        for program in programs:
            program.stop()
        daemon.stop()


pytestmark = [pytest.mark.quiet, pytest.mark.parametrize("kind", KINDS)]


def describe(one, reports):
    return (f"{one.case} of {one.seconds * 1e3:.2f} ms (the iteration at most "
            f"{one.outer_ns / 1e6:.2f} ms): {[injected.brief(r) for r in reports]}")


def test_every_stall_over_the_threshold_is_reported_exactly_once(scene, kind):
    over = [(one, reports) for one, reports in scene[kind].match.pairs
            if one.seconds > THRESHOLD + 0.001]
    assert len(scene[kind].injected) == COUNT and len(over) > COUNT / 4
    wrong = [describe(*pair) for pair in over if len(pair[1]) != 1]
    assert not wrong, "\n".join(wrong)
    print(f"{kind}: {len(over)} of {COUNT} were over the threshold")


def test_nothing_under_the_threshold_is_reported(scene, kind):
    wrong = [describe(one, reports) for one, reports in scene[kind].match.pairs
             if reports and one.outer_ns / 1e9 < THRESHOLD - 0.001]
    # An iteration in which nothing was injected: only one that got no processor is long.
    wrong += [injected.brief(report) for report in scene[kind].match.strange
              if report["cause"] != "starved" or report["seconds"] <= THRESHOLD]
    assert not wrong, "\n".join(wrong)


def test_lengths_are_exact(scene, kind):
    wrong, hidden, errors = [], 0, []
    for one, reports in scene[kind].match.pairs:
        tolerance = max(0.001, 0.01 * one.seconds)
        for report in reports:
            error = report["seconds"] - one.seconds
            errors.append(error)
            hidden += error > tolerance
            if error < -tolerance or report["seconds"] > one.outer_ns / 1e9 + tolerance:
                wrong.append(describe(one, reports))
    assert not wrong, "\n".join(wrong)
    assert hidden <= len(errors) / 20
    print(f"{kind}: longer than the callback by {min(errors) * 1e3:.3f} to "
          f"{max(errors) * 1e3:.3f} ms; {hidden} of {len(errors)} by more than allowed, as "
          "the second witness says, too")


def test_counters_agree_with_the_reports(scene, kind):
    metrics, reported = scene[kind].metrics, scene[kind].reported
    assert metrics.sum("looplag_stalls_total", groupname=kind) == len(reported)
    assert metrics.sum("looplag_stall_seconds_total", groupname=kind) == pytest.approx(
        sum(report["seconds"] for report in reported), abs=1e-3)
    by_cause = {}
    for report in reported:
        by_cause[report["cause"]] = by_cause.get(report["cause"], 0) + 1
    told = {labels["cause"]: value for labels, value in
            metrics.series("looplag_stalls_total", groupname=kind) if value}
    assert told == by_cause


def test_open_stalls_are_seen_before_they_end(scene, kind):
    inside = wrong = 0
    for one in scene[kind].injected:
        for look in scene[kind].looks:
            if look.before < one.start + SEEN_AFTER * 1e9 or look.after > one.end:
                continue
            inside += 1
            least = (look.before - one.start) / 1e9 - TICK - 0.030
            most = (look.after - one.start) / 1e9 + 0.005
            wrong += look.stalled != 1 or not least <= look.age <= most
    assert inside > 100
    # The tick itself may be late on a busy machine.
    assert wrong <= inside / 50, f"{wrong} of {inside} scrapes in a stall did not see it"
    print(f"{kind}: {inside} scrapes in stalls, {wrong} were wrong")


def test_nothing_is_open_between_stalls(scene, kind):
    ends = [(one.start, one.end) for one in scene[kind].injected]
    wrong = [look for look in scene[kind].looks
             if look.stalled and not any(
                 start <= look.after and look.before <= end + (TICK + 0.030) * 1e9
                 for start, end in ends)]
    # What was kept from running for so long was stalled.
    starved = sum(report["cause"] == "starved" for report in scene[kind].match.strange)
    assert len(wrong) <= starved


def test_the_alert_fires_while_a_stall_is_old_and_clears(scene, kind):
    old = [one for one in scene[kind].injected if one.seconds > 1.0]
    assert old
    for one in old:
        late = [look for look in scene[kind].looks
                if look.before > one.start + (1 + FIRES_WITHIN) * 1e9
                and look.after < one.end]
        assert all(look.firing for look in late), "did not fire"
        assert any(look.firing for look in scene[kind].looks if one.start + 1e9 < look.after
                   and look.before < one.end + FIRES_WITHIN * 1e9), "never fired"
    # An iteration can be old when the callback in it is not quite.
    maybe = [(one.start, one.end) for one in scene[kind].injected if one.outer_ns > 0.99e9] \
        + [(report["start"], report["end"]) for report in scene[kind].match.strange]
    quiet = [look for look in scene[kind].looks if not any(
        start + 0.99e9 <= look.after and look.before <= end + CLEARS_WITHIN * 1e9
        for start, end in maybe)]
    assert quiet and not any(look.firing for look in quiet), "fired without reason"
