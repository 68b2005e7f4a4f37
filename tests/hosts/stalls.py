#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio program that blocks its event loop in ways and for times that are known.

    stalls.py LOG CASES GAP_MS LENGTHS

CASES are names of the functions in CASES below, separated by commas, and take turns.
LENGTHS are milliseconds, separated by commas, or LENGTHxCOUNT; what cannot be cut to
length lasts about as long. A gap is between the end of a stall and the next one. Each stall
becomes a line of LOG, as JSON: its case, the guilty function and lines (those that are
marked so here), when it began and ended (CLOCK_MONOTONIC, nanoseconds), how long its
iteration was from the end of one select() of asyncio's to the next, and how long the kernel
kept the thread waiting for a processor from the turn before it to the turn after it.
Says "done" after the last one and lives on. LOOP=uvloop runs it on uvloop.
"""

import asyncio
import concurrent.futures
import hashlib
import json
import os
import re
import selectors
import socket
import sqlite3
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

SOURCE = Path(__file__).read_text().splitlines()


def cpu_loop(ms):
    end = time.monotonic_ns() + int(ms * 1e6)
    while time.monotonic_ns() < end: pass  # noqa: E701  guilty: cpu_loop


def fall_asleep(ms):
    time.sleep(ms / 1e3)  # guilty: fall_asleep


def slow_server(ms):
    """A server that answers one request after so many ms; returns its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = listener.accept()
        client.recv(65536)
        time.sleep(ms / 1e3)
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
        client.close()
        listener.close()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def fetch(url):
    urllib.request.urlopen(url).read()  # guilty: fetch


def fetch_in_time(url):
    urllib.request.urlopen(url, timeout=30).read()  # guilty: fetch_in_time


def locked_database(ms):
    """A database that somebody else holds for so many ms from when it is asked for."""
    path = tempfile.mktemp(dir=Path(sys.argv[1]).parent)
    asked, held = threading.Event(), threading.Event()

    def hold():
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("create table t(x)")
        other.execute("begin exclusive")
        held.set()
        asked.wait()
        time.sleep(ms / 1e3)
        other.execute("commit")
        other.close()

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    return sqlite3.connect(path, timeout=60, isolation_level=None), asked


def insert_row(database):
    connection, asked = database
    asked.set()
    connection.execute("insert into t values (1)")  # guilty: insert_row


def measured(work):
    """How many seconds it takes: the least of three, as a hiccup would make stalls too short."""
    def once():
        start = time.monotonic()
        work()
        return time.monotonic() - start
    return min(once() for _ in range(3))


def calibrated(rounds, ms, function):
    return int(rounds * ms / 1e3 / measured(lambda: function(rounds))) + 1


def derive_key(rounds):
    hashlib.pbkdf2_hmac("sha512", b"secret", b"salt", rounds)  # guilty: derive_key


def evil_text(ms):
    text = "a" * 18
    while measured(lambda: match_slowly(text + "!")) < ms / 2e3:
        text += "a"
    return text + "a!"


def match_slowly(text):
    re.match(r"(a+)+$", text)  # guilty: match_slowly


def much_json(ms):
    row = json.dumps({"id": 123456, "name": "somebody", "tags": ["a", "b"], "on": True})
    return "[" + ",".join([row] * (50_000_000 // (len(row) + 1))) + "]"


def parse_json(text):
    json.loads(text)  # guilty: parse_json


def hold_gil(number):
    # One instruction of the interpreter that takes long and lets no other thread run.
    number * number  # guilty: hold_gil


def big_number(ms):
    """A number whose square takes about so many ms."""
    digits = 200_000
    while True:
        number = 3 ** digits
        start = time.monotonic()
        hold_gil(number)
        took = (time.monotonic() - start) * 1e3
        if 0.9 < took / ms < 1.2:
            return number
        # Karatsuba: time grows with the power 1.585 of the length.
        digits = int(digits * min(4, max(0.25, ms / took)) ** (1 / 1.585))


def as_it_is(ms):
    return ms


# name: (what makes the argument from the length, what blocks)
CASES = {
    "cpu": (as_it_is, cpu_loop),
    "sleep": (as_it_is, fall_asleep),
    "http": (slow_server, fetch),
    "http-timeout": (slow_server, fetch_in_time),
    "sqlite": (locked_database, insert_row),
    "pbkdf2": (lambda ms: calibrated(20000, ms, derive_key), derive_key),
    "regexp": (evil_text, match_slowly),
    "json": (much_json, parse_json),
    "gil": (big_number, hold_gil),
}

class Selector(selectors.EpollSelector):
    """Measures the iterations of its loop."""
    ended = 0
    longest = 0

    def select(self, timeout=None):
        if Selector.ended:
            Selector.longest = max(Selector.longest, time.monotonic_ns() - Selector.ended)
        try:
            return super().select(timeout)
        finally:
            Selector.ended = time.monotonic_ns()


executor = concurrent.futures.ThreadPoolExecutor(1)


def guilty(case):
    name = CASES[case][1].__name__
    return {"case": case, "function": name,
            "lines": [number for number, text in enumerate(SOURCE, 1)
                      if text.endswith(f" guilty: {name}")]}


def run_delay():
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1])


def timed(function, argument):
    start = time.monotonic_ns()
    function(argument)
    return start, time.monotonic_ns()


async def inject(case, argument):
    """Block in a callback of a timer, so that it is one iteration with nothing else."""
    loop = asyncio.get_running_loop()
    if case == "gil":
        future = loop.run_in_executor(executor, timed, hold_gil, argument)
        asked = time.monotonic_ns()
        # The wait returns after that time and cannot go on; or this thread could not even
        # get there.
        await asyncio.sleep(0.010)
        start, end = await future
        return start if asked > start + 5_000_000 else max(start, asked + 10_000_000), end
    future = loop.create_future()
    loop.call_later(0.005, lambda: future.set_result(timed(CASES[case][1], argument)))
    return await future


async def main():
    log, cases, gap, lengths = sys.argv[1:]
    if "x" in lengths:
        length, count = lengths.split("x")
        lengths = [float(length)] * int(count)
    else:
        lengths = [float(length) for length in lengths.split(",")]
    cases = cases.split(",")
    await asyncio.sleep(0.2)
    arguments = {}
    for index, ms in enumerate(lengths):
        case = cases[index % len(cases)]
        make = CASES[case][0]
        # What is slow to make and can be used again is made once.
        if case in ("regexp", "json", "gil", "pbkdf2"):
            argument = arguments.setdefault((case, ms), None) or make(ms)
            arguments[case, ms] = argument
        else:
            argument = make(ms)
        await asyncio.sleep(float(gap) / 1e3)
        before = run_delay()
        Selector.longest = 0
        start, end = await inject(case, argument)
        await asyncio.sleep(0.001)
        entry = {**guilty(case), "start": start, "end": end,
                 "outer_ns": Selector.longest, "run_delay_ns": run_delay() - before}
        with open(log, "a") as file:
            file.write(json.dumps(entry) + "\n")
    print("done", flush=True)
    while True:
        await asyncio.sleep(3600)


def new_loop():
    if os.environ.get("LOOP") == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.SelectorEventLoop(Selector())


with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
