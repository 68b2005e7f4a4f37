#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio program that blocks its loop in the waits of others, for 0.2 s each time.

usage: nested.py recv|subprocess|libpq DSN|twice|chatty

recv, subprocess, libpq: a socket's timeout, a child's output, a database's answer, five
times inside a coroutine; then it idles. twice: one loop to its end, a file opened, then
another loop, which has a descriptor of its own. chatty: much output of a child before the
loop. Says "done" when it idles."""

import asyncio
import socket
import subprocess
import sys

what = sys.argv[1]


def make_block():
    if what == "recv":
        ours, _theirs = socket.socketpair()
        ours.settimeout(0.2)

        def block(_keep=_theirs):
            try:
                ours.recv(1)
            except TimeoutError:
                pass
        return block
    if what == "subprocess":
        return lambda: subprocess.run(["sleep", "0.2"], capture_output=True, check=True)
    if what == "libpq":
        import psycopg2
        cursor = psycopg2.connect(sys.argv[2]).cursor()
        return lambda: cursor.execute("select pg_sleep(0.2)")
    return None


async def turn(times):
    for _ in range(times):
        await asyncio.sleep(0.001)


async def main():
    block = make_block()
    await turn(20)
    for _ in range(5 if block else 0):
        block()
        await turn(3)
    print("done", flush=True)
    await asyncio.sleep(1000)


if what == "twice":
    asyncio.run(turn(30))
    in_its_place = open("/dev/null")
elif what == "chatty":
    subprocess.run(["seq", "1", "1000000"], capture_output=True, check=True)
asyncio.run(main())
