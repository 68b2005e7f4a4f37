# SPDX-License-Identifier: MIT
"""What scrapes cost looplagd, as it says itself and as the kernel does."""

import collections
import gzip
import http.client
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


# Bytes as sent and as they are; seconds until it is there, of processor time of the loop's
# thread, and of all threads.
Cost = collections.namedtuple("Cost", "sent page took loop cpu")


def cpu_seconds(pid):
    """Processor time of the loop's thread and of all threads: without what others take."""
    loop = int(open(f"/proc/{pid}/task/{pid}/schedstat").read().split()[0]) / 1e9
    # The clock of a process has the threads that have ended, too.
    return loop, time.clock_gettime(~pid << 3 | 2)


def cost(daemon, name, encoding, count=20):
    """The Cost of a scrape of that format: medians, less what it takes without any."""
    def used(what):
        before, began = cpu_seconds(daemon.pid), time.monotonic()
        result = what()
        after, took = cpu_seconds(daemon.pid), time.monotonic() - began
        return [took, *(b - a for a, b in zip(before, after))], result

    (second, *idle), _ = used(lambda: time.sleep(1))
    figures = []
    for _ in range(count):
        time.sleep(0.02)
        (took, *cpu), (headers, body) = used(lambda: get(daemon, ACCEPT[name], encoding))
        figures.append([took, *(c - i / second * took for c, i in zip(cpu, idle))])
    page = gzip.decompress(body) if headers["Content-Encoding"] == "gzip" else body
    return Cost(len(body), len(page), *map(statistics.median, zip(*figures)))


def holds(daemon):
    """How often its loop was held so long: {upper bound in seconds: iterations up to it}."""
    return dict(daemon.metrics().buckets("looplag_iteration_seconds", groupname="looplagd",
                                         loop="main"))


def longest_hold(before, after):
    """The least bound that no iteration has exceeded between two holds()."""
    new = {bound: after[bound] - before[bound] for bound in after}
    return min(bound for bound, count in new.items() if count == max(new.values()))
