# SPDX-License-Identifier: MIT
"""What looplagd has to endure, and what is asserted of it meanwhile.

The daemon measures its own loop. On a busy machine it may be kept from its CPU even so: it
is preferred to other programs, and a delay that is too long gets two more chances. Nothing
else does.
"""

import contextlib
import os
import re
import resource
import ssl
import threading
import time

import pytest

from clients import IN_TIME
from crowds import crowd
from harness import SANITIZED, wait_for

# Seconds; 0.010 is the aim, for a machine that has nothing else to do.
OWN_DELAY_LIMIT = float(os.environ.get("LOOPLAG_OWN_DELAY", "0.100"))
MEMORY_LIMIT = 64 << 20


class Scraper:
    """Scrapes as long as it lasts, by a connection for each scrape."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.longest = 0
        self.count = 0
        self.errors = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._end.wait(0.05):
            began = time.monotonic()
            try:
                status, _, body = self.daemon.get("/metrics", timeout=IN_TIME)
                self.longest = max(self.longest, time.monotonic() - began)
                assert status == 200, body
                assert "\nlooplag_build_info{" in body and body.endswith("\n")
                self.count += 1
            except Exception as e:  # whatever it was, the test is to tell
                self.errors.append(repr(e))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def memory(daemon):
    """Resident bytes."""
    with open(f"/proc/{daemon.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak_memory(daemon):
    with open(f"/proc/{daemon.pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) << 10


def endure(start_daemon, abuse, *options, crowded=(0, 0), limit=MEMORY_LIMIT, **how):
    """Start a daemon, with so many groups, loops and stalls, and abuse it: abuse(daemon) is a
    context that holds the abuse as long as it is entered."""
    worst = []
    for _ in range(3):
        daemon = start_daemon(*options, preferred=True, **how)
        crowd(daemon, *crowded)
        daemon.metrics()
        opened, resident = descriptors(daemon), memory(daemon)
        with Scraper(daemon) as scraper:
            wait_for(lambda: scraper.count > 2, 20, "the scraper scrapes")
            with abuse(daemon):
                already = scraper.count
                wait_for(lambda: scraper.count > already + 2 or scraper.errors, 30,
                         "the scraper goes on")
        assert not scraper.errors, scraper.errors[0]
        wait_for(lambda: descriptors(daemon) <= opened + 1, 10, "descriptors are closed")
        if not SANITIZED:  # ASan keeps for a while what is freed
            wait_for(lambda: memory(daemon) <= resident + (16 << 20), 10, "memory is given back")
        peak = peak_memory(daemon) - resident
        delay = daemon.loop("looplagd")["delay"]
        worst.append(delay["max"])
        print(f"own delay p99 {delay['p99'] * 1e3:.2f} ms, max {delay['max'] * 1e3:.2f} ms, "
              f"{resident >> 10} KiB before, {(peak + resident) >> 10} at the most, "
              f"{memory(daemon) >> 10} after, {scraper.count} scrapes, "
              f"longest {scraper.longest * 1e3:.0f} ms")
        assert peak <= limit or SANITIZED
        if worst[-1] < OWN_DELAY_LIMIT:
            return
    pytest.fail(f"own delay in three tries: {worst}")


def have_half_a_minute(waiting, began, meanwhile):
    """See these clients given up half a minute after that, by name, and call meanwhile() until
    then."""
    while waiting and time.monotonic() < began + 60:
        meanwhile()
        for name, client in list(waiting.items()):
            client.settimeout(0.5)
            with contextlib.suppress(TimeoutError):
                try:
                    assert client.recv(1) == b""
                except (ConnectionResetError, ssl.SSLError):
                    pass
                assert 29 < time.monotonic() - began < 45, name
                del waiting[name]
    assert not waiting
