#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio loop that takes one event at a time, until SIGTERM; then it says "events N",
all that its waits have returned but for the first one, and waits for ever."""

import asyncio
import os
import selectors
import signal


class Counted(selectors.EpollSelector):
    counts = []

    def select(self, timeout=None):
        found = super().select(timeout)
        self.counts.append(len(found))
        return found


async def main():
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    receive, send = os.pipe()
    turns = 0

    def turn():
        nonlocal turns
        os.read(receive, 1)
        turns += 1
        if turns % 10 == 0:
            sum(range(20000))
        loop.call_later(0.0005, os.write, send, b"x")

    loop.add_reader(receive, turn)
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    os.write(send, b"x")
    print("begun", flush=True)
    await stopped.wait()
    loop.remove_reader(receive)
    await asyncio.sleep(0.01)
    loop.remove_signal_handler(signal.SIGTERM)
    loop.call_later(0.1, lambda: print("events", sum(Counted.counts[1:]), flush=True))
    await asyncio.Event().wait()


asyncio.SelectorEventLoop(Counted()).run_until_complete(main())
