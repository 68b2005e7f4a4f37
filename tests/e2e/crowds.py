# SPDX-License-Identifier: MIT
"""Many groups of many loops at once: without as many programs, by segments of ours; and real
ones, by tests/hosts/crowd.c."""

import fcntl
import os
import random
import struct
import subprocess
import time

import hello as h
import harness
from harness import wait_for

BUCKETS, PER_BAND, BANDS = 898, 8, 114
RINGS = 1280  # what comes before a slot's histogram
LIFE_NS = 1_000_000_000  # no process was active for longer than it lives


def histogram(noise):
    """The iterations of a loop that answers requests: most take some 50 us, few long."""
    counts, sums, squares = [0] * BUCKETS, [0] * BANDS, 0
    for _ in range(300):
        bucket = min(max(round(640 + 32 * noise.gauss(-14.3, 2.5)), 1), 500)
        length_ns = int(2 ** ((bucket - 640.5) / 32) * 1e9)
        count = 1 + noise.randrange(3)
        counts[bucket] += count
        sums[-(-bucket // PER_BAND)] += count * length_ns
        squares += count * length_ns ** 2
    packed = struct.pack(f"={BUCKETS}Q{BANDS}QQQ", *counts, *sums, squares % 2 ** 64,
                         squares >> 64)
    return packed, sum(counts), sum(sums)


def slot_of(number, **fields):
    """A segment_slot, up to its label, of a loop that the program itself has registered."""
    return h.slot(kind=h.KIND_CUSTOM, descriptor=-1,
                  label=b"loop-" + bytes([97 + number % 26, 97 + number // 26]), **fields)


def register(daemon, number, names, slots):
    """Hand a segment with those slots over; returns a descriptor of it."""
    own = {"id": b"%16d" % number, "exe": b"crowd", "group": names % number}
    fd = os.memfd_create("looplag", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, h.segment_size())
    os.pwrite(fd, h.header(slots_used=len(slots), **own), 0)
    for index, slot in enumerate(slots):
        os.pwrite(fd, slot, h.SLOTS_OFFSET + index * h.SLOT_BYTES)
    fcntl.fcntl(fd, h.F_ADD_SEALS, h.SEAL | h.SHRINK | h.GROW)
    kept = os.dup(fd)
    h.send(daemon.socket, h.hello(**own), fd)
    return kept


def are_known(daemon, groups, loops):
    wait_for(lambda: len(daemon.metrics().series("looplag_events_total")) > groups * loops,
             30, "all loops are known", every=0.2)


def loop(noise, number):
    """A slot with its histogram, of a loop that has worked."""
    now = time.monotonic_ns()
    lengths, iterations, active_ns = histogram(noise)
    slot = slot_of(number, iterations=iterations, active_ns=active_ns, born_ns=now - LIFE_NS)
    return slot.ljust(RINGS, b"\0") + lengths


def gather(daemon, groups, loops):
    """Have it know so many groups of so many loops, which are at rest."""
    noise = random.Random(1)
    for number in range(groups):
        os.close(register(daemon, number, b"service-%03d",
                          [loop(noise, index) for index in range(loops)]))
    are_known(daemon, groups, loops)


def crowd(daemon, groups, loops, stalls=0):
    """Have it know so many groups of so many loops with long pages, each with so many
    stalls."""
    noise = random.Random(1)
    for number in range(groups):
        counts = [[noise.randrange(1000) for _ in range(100)] for _ in range(loops)]
        fd = register(daemon, number, b"crowd-%03d",
                      [slot_of(index).ljust(RINGS + 8 * 300, b"\0")
                       + struct.pack("=100Q", *counts[index]) for index in range(loops)])
        if stalls:
            wait_for(lambda: daemon.group(f"crowd-{number:03}"), 10, "the group")
            have_stalls(fd, loops, stalls)
        os.close(fd)
    if groups:
        are_known(daemon, groups, loops)


def have_stalls(fd, loops, stalls):
    """Each loop has had some, of 200 ms."""
    now = time.monotonic_ns()
    for loop in range(loops):
        place = h.SLOTS_OFFSET + loop * h.SLOT_BYTES
        for number in range(stalls):
            os.pwrite(fd, struct.pack("=QQQQ", now - (stalls - number) * 300_000_000,
                                      200_000_000, 0, 2 + number), place + 256 + 32 * number)
        os.pwrite(fd, struct.pack("=QQQQ", 3, 1 + stalls, stalls * 200_000_000, now), place + 8)
        os.pwrite(fd, struct.pack("=Q", stalls), place + h.LONG_COUNT)


class Crowd:
    """tests/hosts/crowd.c under way with these words; its services register with a daemon."""

    def __init__(self, daemon, *words):
        env = dict(os.environ, CROWD_PROBE=str(harness.PROBE), LOOPLAG_SOCKET=str(daemon.socket))
        self.process = subprocess.Popen(
            [harness.host_program("crowd"), *map(str, words)], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def said(self, word):
        """The number after that word, with which its next line begins."""
        found = self.process.stdout.readline().split()
        assert found[:1] == [word], found
        return int(found[1])

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
