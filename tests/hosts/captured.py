#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An asyncio program that stalls again and again in one way, for tests of captures.

    captured.py CASE [SECONDS]

CASE is the name of a function below; it is called every 50 ms and blocks for SECONDS
(default 0.4). Says "ready" when its loop runs. LOOP=uvloop runs it on uvloop; URG=before,
URG=after or URG=late sets a handler for SIGURG of its own, before or after the loop has begun
or on SIGUSR1, which counts the signals; BLOCK=1 blocks SIGURG in the loop's thread and
reads it from a descriptor; FILTER=1 sets up a filter of system calls there, which allows all.
Every line "count N" on its standard output is that count, at the end of a stall.
"""

import asyncio
import ctypes
import os
import re
import signal
import sqlite3
import struct
import sys
import tempfile
import threading
import time

CASE = sys.argv[1]
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.4
signals = 0


def cpu_loop():
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pass


def fall_asleep():
    time.sleep(SECONDS)


def calls_from_c():
    """Python called by C called by Python, all the time and some levels deep."""
    def deeper(n):
        return n if not n else max(map(deeper, (n - 1,)))

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        sorted(range(8), key=lambda n: deeper(n))


def generators():
    def count(n):
        if n:
            yield from count(n - 1)
        yield n

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        sum(count(20))


def exceptions():
    def fail(n):
        if not n:
            raise ValueError
        try:
            fail(n - 1)
        finally:
            n = 0

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            fail(10)
        except ValueError:
            pass


def sqlite_lock():
    database.execute("UPDATE t SET n = n + 1")
    database.rollback()


def forks():
    """Children that go on for a while, one after the other."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pid = os.fork()
        if not pid:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                pass
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def spawns():
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert os.waitpid(os.posix_spawn("/bin/true", ["true"], os.environ), 0)[1] == 0


def short_threads():
    """Threads with loops of their own that end while they are stalled, or right after."""
    async def stall():
        for _ in range(3):
            await asyncio.sleep(0.001)
        time.sleep(0.03)

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        threads = [threading.Thread(target=lambda: asyncio.run(stall())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def system_calls():
    """None of these may be seen to be interrupted; Python itself would hide it by trying
    again, but not from the time that it takes."""
    end = time.monotonic() + SECONDS
    reader, writer = os.pipe()
    while time.monotonic() < end:
        begin = time.monotonic()
        time.sleep(0.02)
        assert time.monotonic() - begin >= 0.02
        threading.Timer(0.01, os.write, (writer, b"x")).start()
        assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


def wait_for_gil():
    """Another thread matches a bad regular expression and never lets go of the GIL."""
    threading.Thread(target=hold_gil).start()
    time.sleep(0.001)


def hold_gil():
    re.match(r"(a+)+$", "a" * 25 + "b")


def count_signal(_number, _frame):
    global signals
    signals += 1


def set_handler(*_):
    signal.signal(signal.SIGURG, count_signal)


def block_signal():
    """And have its loop read it from a descriptor."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
    mask = struct.pack("Q", 1 << signal.SIGURG - 1).ljust(128, b"\0")
    descriptor = ctypes.CDLL(None).signalfd(-1, mask, os.O_NONBLOCK)
    asyncio.get_running_loop().add_reader(
        descriptor, lambda: print("signalled", os.read(descriptor, 128)[0], flush=True))


def set_filter():
    """The shortest program that seccomp takes: return SECCOMP_RET_ALLOW."""
    allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000), 8)
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, a filter


async def main():
    for _ in range(3):
        await asyncio.sleep(0.005)
    if os.environ.get("URG") == "after":
        set_handler()
    if os.environ.get("URG") == "late":
        signal.signal(signal.SIGUSR1, set_handler)
    if os.environ.get("BLOCK"):
        block_signal()
    if os.environ.get("FILTER"):
        set_filter()
    print("ready", flush=True)
    while True:
        await asyncio.sleep(0.05)
        globals()[CASE]()
        print("count", signals, flush=True)


def new_loop():
    if os.environ.get("LOOP") == "uvloop":
        import uvloop
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


if os.environ.get("URG") == "before":
    set_handler()
if CASE == "sqlite_lock":
    directory = tempfile.TemporaryDirectory()
    path = os.path.join(directory.name, "db")
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (n)")
    other.commit()
    other.execute("BEGIN EXCLUSIVE")
    database = sqlite3.connect(path, timeout=SECONDS)
    plain = sqlite_lock

    def sqlite_lock():  # noqa: F811
        try:
            plain()
        except sqlite3.OperationalError:
            pass
with asyncio.Runner(loop_factory=new_loop) as runner:
    runner.run(main())
