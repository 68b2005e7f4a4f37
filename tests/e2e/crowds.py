# SPDX-License-Identifier: MIT
"""Many groups of many loops at once, without as many programs: segments of ours."""

import fcntl
import os
import random
import struct
import time

import hello as h
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


def loop(noise, number):
    """A segment_slot of a loop that the program itself has registered."""
    now = time.monotonic_ns()
    lengths, iterations, active_ns = histogram(noise)
    slot = bytearray(h.slot())
    struct.pack_into("=QQQ", slot, 16, iterations, active_ns, now - 1000)
    struct.pack_into("=I", slot, 56, 4)
    struct.pack_into("=i", slot, 76, -1)
    struct.pack_into("=Q", slot, 80, now - LIFE_NS)
    slot[120:152] = (b"loop-" + bytes([97 + number % 26, 97 + number // 26])).ljust(32, b"\0")
    return bytes(slot).ljust(RINGS, b"\0") + lengths


def gather(daemon, groups, loops):
    """Have it know so many groups of so many loops, which are at rest."""
    noise = random.Random(1)
    for number in range(groups):
        own = {"exe": b"crowd", "group": b"service-%03d" % number, "id": b"%16d" % number}
        fd = os.memfd_create("looplag", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, h.segment_size())
        os.pwrite(fd, h.header(slots_used=loops, **own), 0)
        for index in range(loops):
            os.pwrite(fd, loop(noise, index), h.SLOTS_OFFSET + index * h.SLOT_BYTES)
        fcntl.fcntl(fd, h.F_ADD_SEALS, h.SEAL | h.SHRINK | h.GROW)
        h.send(daemon.socket, h.hello(**own), fd)
    wait_for(lambda: len(daemon.metrics().series("looplag_events_total")) > groups * loops,
             30, "all loops are known", every=0.2)
