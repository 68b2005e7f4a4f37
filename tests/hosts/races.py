#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio program that, at random moments of short stalls, ends, becomes another program,
forks, or lets threads with loops of their own end.

    races.py KIND COUNT SEED

KIND: exec (COUNT times this program, one after the other), fork (COUNT children, each of
which goes on with the stall and ends), thread (COUNT threads with a loop each) or exit (it
ends at once; COUNT is not used). Says "ok COUNT" at the end.
"""

import asyncio
import os
import random
import sys
import threading
import time

KIND, COUNT, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(SEED)


def stall():
    """For about as long as it takes until a stack is asked for and taken."""
    end = time.monotonic() + dice.uniform(0.009, 0.026)
    while time.monotonic() < end:
        pass


async def turn():
    for _ in range(5):
        await asyncio.sleep(0.002)


def in_thread():
    async def body():
        await turn()
        stall()
    asyncio.run(body())


async def main():
    await turn()
    if KIND == "exit":
        stall()
        print("ok", COUNT, flush=True)
        os._exit(0)
    if KIND == "exec":
        stall()
        if COUNT:
            os.execv(sys.executable, [sys.executable, __file__, KIND, str(COUNT - 1),
                                      str(SEED + 1)])
        print("ok", 0, flush=True)
        return
    for _ in range(COUNT):
        await turn()
        if KIND == "thread":
            threads = [threading.Thread(target=in_thread) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            continue
        stall()
        pid = os.fork()
        stall()
        if not pid:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    print("ok", COUNT, flush=True)


asyncio.run(main())
