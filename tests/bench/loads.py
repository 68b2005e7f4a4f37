# SPDX-License-Identifier: MIT
"""The clients, each on a core of its own: a load is a function of a server's port and a
time in seconds that returns how many requests were answered, and in how many seconds."""

import re

from harness import BUILD, Program


def _run(command, cpu, seconds):
    program = Program(command, cpu=cpu)
    status = program.wait(seconds + 60)
    if status:
        raise RuntimeError(f"{command} ended with {status}: {program.stderr}")
    return program.stdout


def wrk(connections):
    def load(port, seconds, cpu):
        # It takes whole seconds only.
        out = _run(["wrk", "-t", "1", "-c", connections, "-d", max(1, round(seconds)),
                    f"http://127.0.0.1:{port}/"], cpu, seconds)
        if "Non-2xx" in out or "Socket errors" in out:
            raise RuntimeError(f"wrk saw errors: {out}")
        count = re.search(r"(\d+) requests in", out)
        rate = re.search(r"Requests/sec: +([\d.]+)", out)
        return int(count[1]), int(count[1]) / float(rate[1])
    return load


def echo(connections):
    def load(port, seconds, cpu):
        count, took = _run([BUILD / "tests" / "bench" / "echo_load", connections, seconds,
                            port], cpu, seconds).split()
        return int(count), float(took)
    return load


def redis(connections, pipeline):
    """It takes a number of requests: as many as the last run says will fill the time."""
    rate = [20000.0]

    def load(port, seconds, cpu):
        count = max(1000, int(rate[0] * seconds))
        out = _run(["redis-benchmark", "-p", port, "-t", "get", "-c", connections, "-P",
                    pipeline, "-n", count, "--csv"], cpu, seconds)
        rate[0] = float(re.search(r'^"GET","([\d.]+)"', out, re.M)[1])
        return count, count / rate[0]
    return load


# kind of server: (what the table calls it, [(what it calls the load, the load)])
LOADS = {
    "node": ("Node.js HTTP server", [("wrk, 32 connections", wrk(32))]),
    "asyncio": ("asyncio echo server", [("32 connections", echo(32))]),
    "redis": ("redis GET", [
        ("redis-benchmark, 50 connections", redis(50, 1)),
        ("50 connections, pipelines of 16", redis(50, 16)),
        ("1 connection", redis(1, 1)),
    ]),
    "nginx": ("nginx, 1 worker", [("wrk, 32 connections", wrk(32)),
                                  ("1 connection", wrk(1))]),
}
