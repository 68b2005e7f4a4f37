# SPDX-License-Identifier: MIT
"""What looplagd pays for a scrape, by the number of its series."""

import crowds
import harness
import scrapes
from report import say


def run(report, args):
    count = 10 if args.short else 50
    rows, times = [], {name: [] for name in scrapes.ACCEPT}
    for groups, loops in ((1, 1), (20, 1), (200, 1), (200, 3)):
        say(f"scrapes of {groups} groups of {loops}")
        daemon = harness.Daemon(preferred=True)
        try:
            crowds.gather(daemon, groups, loops)
            before = scrapes.holds(daemon)
            for name in scrapes.ACCEPT:
                plain = scrapes.cost(daemon, name, "identity", count)
                packed = scrapes.cost(daemon, name, "gzip", count)
                times[name].append((groups * loops, packed.cpu * 1e3))
                rows.append([
                    f"{groups} x {loops}", name, f"{plain.page / 1e3:.0f} kB",
                    f"{packed.sent / 1e3:.0f} kB, 1/{packed.page / packed.sent:.1f}",
                    f"{packed.loop * 1e3:.1f} ms", f"{packed.cpu * 1e3:.1f} ms",
                    f"{packed.took * 1e3:.1f} ms"])
            longest = scrapes.longest_hold(before, scrapes.holds(daemon))
            rows[-1].append(f"{longest * 1e3:g} ms")
        finally:
            daemon.stop()
    report.heading("Scrapes")
    report.words("A scrape of looplagd, by its groups and their loops. Compressed, it takes so "
                 "much time of its loop and of all its threads, and is there after that. In "
                 "none of all scrapes of that many groups its loop was held for longer than "
                 "the last column says.")
    report.table(["groups x loops", "format", "size", "with gzip", "loop", "processor time",
                  "there after", "held for"], [row + [""] * (8 - len(row)) for row in rows])
    report.lines("A compressed scrape", "groups x loops", "processor time, ms", times)
