# SPDX-License-Identifier: MIT
"""What scrapes cost looplagd, as it says itself and as the kernel does."""

import gzip
import http.client
import os
import statistics
import time

import formats

ACCEPT = {"text": "text/plain", "OpenMetrics": formats.OPENMETRICS,
          "protobuf": formats.PROTOBUF}


def get(daemon, accept, encoding):
    """One scrape: (headers, body), the body as it was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.request("GET", "/metrics",
                           headers={"Accept": accept, "Accept-Encoding": encoding})
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.headers, answer.read()
    finally:
        connection.close()


def cpu_seconds(pid):
    """Processor time of all threads, in which nobody else's lateness is."""
    return sum(int(open(f"/proc/{pid}/task/{tid}/schedstat").read().split()[0])
               for tid in os.listdir(f"/proc/{pid}/task")) / 1e9


def idle_share(daemon, seconds=1):
    """What it takes without a scrape, of a second."""
    before = cpu_seconds(daemon.pid)
    time.sleep(seconds)
    return (cpu_seconds(daemon.pid) - before) / seconds


def cost(daemon, name, encoding, count=20):
    """Of a scrape of that format: bytes as sent, bytes of the page, seconds until it is there,
    seconds of processor time. Medians."""
    idle = idle_share(daemon)
    took, used = [], []
    for _ in range(count):
        time.sleep(0.02)
        before, began = cpu_seconds(daemon.pid), time.monotonic()
        headers, body = get(daemon, ACCEPT[name], encoding)
        took.append(time.monotonic() - began)
        used.append(cpu_seconds(daemon.pid) - before - idle * took[-1])
    page = gzip.decompress(body) if headers["Content-Encoding"] == "gzip" else body
    return len(body), len(page), statistics.median(took), statistics.median(used)


def longest_stretch(daemon):
    """The longest iteration of its loop in about the last minute, in seconds."""
    return daemon.metrics().value("looplag_delay_window_seconds", groupname="looplagd",
                                  loop="main", quantile="1.0")
