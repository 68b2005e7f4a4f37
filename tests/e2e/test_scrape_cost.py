# SPDX-License-Identifier: MIT
"""What scrapes of many groups cost looplagd's own loop. On a busy machine everything takes
longer, so that each figure has three chances, and may be twice what it is to be on a machine
that has nothing else to do: there, LOOPLAG_LEEWAY=1."""

import os
import threading

import pytest

import crowds
import scrapes
from harness import SANITIZED

GROUPS, LOOPS = 200, 3
LEEWAY = float(os.environ.get("LOOPLAG_LEEWAY", "2"))
USED, HELD, DELAY_P99 = 0.020 * LEEWAY, 0.005 * LEEWAY, 0.002 * LEEWAY


def best_of_three(measure, limit):
    """The first figure that is good, or the best."""
    figures = []
    for _ in range(3):
        figures.append(measure())
        if figures[-1] < limit:
            break
    return min(figures)


@pytest.mark.quiet
@pytest.mark.skipif(SANITIZED, reason="sanitizers cost more than what is measured")
@pytest.mark.parametrize("name", scrapes.ACCEPT)
def test_a_scrape_of_many_groups_takes_little_and_never_holds_the_loop(start_daemon, name):
    figures = []

    def measure():
        daemon = start_daemon(preferred=True)
        crowds.gather(daemon, GROUPS, LOOPS)
        before = scrapes.holds(daemon)
        figures.append(scrapes.cost(daemon, name, "gzip"))
        holds.append(scrapes.longest_hold(before, scrapes.holds(daemon)))
        return max(figures[-1].loop / USED, holds[-1] / (HELD * 1.01))

    holds = []
    best_of_three(measure, 1)
    print(f"{name}: {figures[-1]}, held for {holds[-1]} at most")
    assert min(figure.loop for figure in figures) < USED
    assert min(holds) <= HELD
    assert figures[-1].sent < figures[-1].page / 3


@pytest.mark.quiet
@pytest.mark.skipif(SANITIZED, reason="sanitizers cost more than what is measured")
def test_four_scrapers_do_not_make_it_late(start_daemon):
    def measure():
        daemon = start_daemon(preferred=True)
        crowds.gather(daemon, GROUPS, LOOPS)
        end = threading.Event()

        def scrape(name, first):
            if end.wait(first):
                return
            scrapes.get(daemon, scrapes.ACCEPT[name], "gzip")
            while not end.wait(1):
                scrapes.get(daemon, scrapes.ACCEPT[name], "gzip")

        threads = [threading.Thread(target=scrape, args=(name, first / 4))
                   for first, name in enumerate([*scrapes.ACCEPT, "OpenMetrics"])]
        for thread in threads:
            thread.start()
        end.wait(15)
        end.set()
        for thread in threads:
            thread.join()
        p99 = daemon.metrics().value("looplag_delay_window_seconds", groupname="looplagd",
                                     loop="main", quantile="0.99")
        print(f"p99 of looplagd's own delay: {p99}")
        return p99

    assert best_of_three(measure, DELAY_P99) < DELAY_P99
