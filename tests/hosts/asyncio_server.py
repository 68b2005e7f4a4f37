#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio server that blocks its event loop on a schedule, for tests and the demo.

PROTOCOL  echo: sends every line back (default); http: answers every request "ok"
STALLS    none, periodic (120 ms every 2 s), random (1 to 500 ms, about one a second),
          rare (500 ms about every 7 s), brief (20 ms every 0.5 s), or LENGTH_MS/PERIOD_MS;
          every other stall is a time.sleep(), the rest a busy loop
SECONDS   how long after the first connection stalls may begin (default: 10^9)
SEED      of the random schedule
PORT      on 127.0.0.1 (default: any free one; it says "listening PORT")
SELECTOR  epoll (default), poll or select; LOOP=uvloop runs on uvloop instead
MONITOR   1: on SIGTERM, print the drift of a task that sleeps 10 ms, as JSON, seconds
THREAD    1: have a second thread, which sleeps for ever
"""

import asyncio
import json
import os
import random
import selectors
import signal
import threading
import time

env = os.environ.get
SECONDS = float(env("SECONDS", "1e9"))
STALLS = env("STALLS", "none")
HTTP = env("PROTOCOL") == "http"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

schedule_random = random.Random(int(env("SEED", "1")))
begun = asyncio.Event()
drifts = []


def next_stall():
    """How long after the start of the last stall, and how long, in seconds; or None."""
    uniform = schedule_random.uniform
    if STALLS == "none":
        return None
    if STALLS == "periodic":
        return 2.0, 0.120
    if STALLS == "random":
        return uniform(0.6, 1.4), uniform(0.001, 0.5)
    if STALLS == "rare":
        return uniform(6.5, 7.5), 0.5
    if STALLS == "brief":
        return 0.5, 0.020
    length, after = STALLS.split("/")
    return float(after) / 1e3, float(length) / 1e3


def block(seconds, asleep):
    if asleep:
        time.sleep(seconds)
        return
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def schedule(loop, first, last, count):
    stall = next_stall()
    if not stall or last + stall[0] - first > SECONDS:
        return

    def run():
        block(stall[1], count % 2)
        schedule(loop, first, last + stall[0], count + 1)

    loop.call_at(last + stall[0], run)


async def serve(reader, writer):
    if not begun.is_set():
        begun.set()
        loop = asyncio.get_running_loop()
        schedule(loop, loop.time(), loop.time(), 0)
    try:
        while data := await (reader.readuntil(b"\r\n\r\n") if HTTP else reader.read(65536)):
            writer.write(ANSWER if HTTP else data)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def watch_drift():
    await begun.wait()
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(0.010)
        drifts.append(loop.time() - before - 0.010)


def print_drift():
    drifts.sort()
    if drifts:
        values = {name: drifts[min(len(drifts) - 1, int(q * len(drifts)))]
                  for name, q in (("p50", .5), ("p90", .9), ("p99", .99), ("p999", .999))}
        print("monitor", json.dumps({**values, "max": drifts[-1], "count": len(drifts)}),
              flush=True)


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, "127.0.0.1", int(env("PORT", "0")))
    print("listening", server.sockets[0].getsockname()[1], flush=True)
    monitor = asyncio.create_task(watch_drift()) if env("MONITOR") == "1" else None
    if env("THREAD") == "1":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    await stop.wait()
    if monitor:
        monitor.cancel()
        print_drift()
    server.close()


def new_loop():
    if env("LOOP") == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    kind = {"epoll": selectors.EpollSelector, "poll": selectors.PollSelector,
            "select": selectors.SelectSelector}[env("SELECTOR", "epoll")]
    return asyncio.SelectorEventLoop(kind())


with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
