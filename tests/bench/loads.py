# SPDX-License-Identifier: MIT
"""The client of the servers, and what it asks each of them."""

import collections
import contextlib
import os
import subprocess

from harness import BUILD

HTTP = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "ok\n"
ECHO = "0123456789abcdef\n", "\n"
REDIS = "GET key:000000000001\r\n", "$-1\r\n"
MEMCACHED = "get key:000000000001\r\n", "END\r\n"

# kind of server: (what the tables call it, [(request and end of an answer, connections,
# requests at once)], seconds until it is as fast as it gets, how many times as often it is
# started, the more the more its processes differ or a difference is close to the goal)
LOADS = {
    "node": ("Node.js HTTP", [(HTTP, 32, 1)], 0.7, 6),
    "fastify": ("Fastify", [(HTTP, 32, 1)], 0.7, 6),
    "asyncio": ("asyncio echo", [(ECHO, 32, 1)], 0.3, 10),
    "uvloop": ("uvloop echo", [(ECHO, 32, 1)], 0.3, 1),
    "uvicorn": ("uvicorn", [(HTTP, 32, 1)], 0.3, 1),
    "redis": ("redis", [(REDIS, 50, 1), (REDIS, 50, 16)], 0.2, 4),
    "nginx": ("nginx", [(HTTP, 32, 1)], 0.2, 1),
    "memcached": ("memcached", [(MEMCACHED, 32, 1)], 0.2, 1),
    "haproxy": ("HAProxy", [(HTTP, 32, 1)], 0.2, 1),
}

Answers = collections.namedtuple("Answers", "count seconds p50 p99")


class Client:
    """A closed-loop client under way, see load.c."""

    def __init__(self, ask, connections, pipeline, cpu):
        def prepare():
            os.sched_setaffinity(0, {cpu})
            # It must never be the reason why an answer takes long.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))

        self._process = subprocess.Popen(
            [BUILD / "tests" / "bench" / "load", str(connections), str(pipeline), *ask],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=prepare, text=True)

    def _do(self, command):
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline().split()
        if not line:  # it said why
            raise RuntimeError(f"the client ended at {command!r}")
        return line

    def open(self, port):
        """Connect, and have each connection answered once."""
        self._do(f"open {port}")

    def run(self, seconds):
        count, *figures = self._do(f"run {seconds}")
        return Answers(int(count), *map(float, figures))

    def close(self):
        self._do("close")

    def stop(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
