# SPDX-License-Identifier: MIT
"""The message that hands a segment over, made by hand from probes/segment.h: whole, or
wrong in exactly one way."""

import fcntl
import os
import socket
import struct
import time

MAGIC = 0x31474c504f4f4c
VERSION = 1
SLOTS = 64
PAGE = 4096
SLOT_BYTES = 12288
CAPTURE_BYTES = 131072
SLOTS_OFFSET = PAGE + PAGE  # with 64 slots
ID = bytes(range(16))
ATTENDED = 1 << 63
KIND_EPOLL, KIND_CUSTOM = 1, 4
LONG_COUNT = 112  # where it lies in a slot

F_ADD_SEALS = 1033
SEAL, SHRINK, GROW, FUTURE_WRITE = 1, 2, 4, 16
ALL_SEALS = SEAL | SHRINK | GROW | FUTURE_WRITE


def segment_size(slots=SLOTS):
    threads = (slots * 64 + 4095) // 4096
    return PAGE + threads * PAGE + slots * SLOT_BYTES + CAPTURE_BYTES


def header(**fields):
    """A segment_header; a field that is named is what it is told to be."""
    slots = fields.pop("slots", SLOTS)
    slots_offset = PAGE + (slots * 64 + 4095) // 4096 * PAGE
    values = {
        "magic": MAGIC, "version": VERSION, "compat_version": VERSION,
        "size": segment_size(slots), "id": ID, "pid": os.getpid(), "runtime": 0,
        "thread_count": slots, "slot_count": slots, "threads_offset": PAGE,
        "slots_offset": slots_offset, "capture_offset": slots_offset + slots * SLOT_BYTES,
        "capture_bytes": CAPTURE_BYTES, "owner_word": 0, "registrations": 0,
        "created_ns": time.monotonic_ns(), "exe": b"by-hand", "group": b"", "slots_used": 1,
    }
    assert fields.keys() <= values.keys()
    values.update(fields)
    return struct.pack("=QIIQ16sIIIIIIIIIIQ64s64sQ", *values.values()).ljust(PAGE, b"\0")


def slot(**fields):
    """A segment_slot, up to its label, of a loop that has made one wait and is in its second;
    the same."""
    now = time.monotonic_ns()
    values = {
        "state": ATTENDED | 1, "sequence": 1, "iterations": 0, "active_ns": 0,
        "last_ns": now - 1000, "events": 1, "shared_events": 0, "other_waits": 1, "max_ns": 0,
        "kind": KIND_EPOLL, "life": 1, "thread": 0, "descriptor": 3, "born_ns": now - 1000000,
        "ended_ns": 0, "past_life_ns": 0, "long_count": 0, "nested_wait_ns": 0,
        "label": b"by-hand",
    }
    assert fields.keys() <= values.keys()
    values.update(fields)
    return struct.pack("=QQQQQQQQQIIIiQQQQQ32s", *values.values())


def hello(**fields):
    """A segment_hello; the same."""
    slots = fields.pop("slots", SLOTS)
    values = {
        "magic": MAGIC, "version": VERSION, "bytes": 256, "segment_size": segment_size(slots),
        "clock_ns": time.monotonic_ns(), "slot_count": slots, "pid": os.getpid(),
        "runtime": 0, "registrations": 0, "id": ID, "exe": b"by-hand", "group": b"by-hand",
        "reserved": b"",
    }
    assert fields.keys() <= values.keys()
    values.update(fields)
    return struct.pack("=QIIQQIIII16s64s64s64s", *values.values())


def memfd(content=None, size=None, seals=ALL_SEALS, flags=0):
    """A descriptor such as the probe hands over, with one loop in it."""
    fd = os.memfd_create("looplag", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    try:
        os.ftruncate(fd, segment_size() if size is None else size)
        if not flags and os.fstat(fd).st_size >= segment_size():
            os.pwrite(fd, header() if content is None else content, 0)
            os.pwrite(fd, slot(), SLOTS_OFFSET)
        if seals:
            fcntl.fcntl(fd, F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def connect(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        s.connect(str(path))
    except BaseException:
        s.close()
        raise
    return s


def send(path, message, *descriptors):
    """Say one thing and hang up, as the probe does. The descriptors are closed too."""
    try:
        with connect(path) as s:
            socket.send_fds(s, [message], list(descriptors))
    finally:
        for fd in descriptors:
            os.close(fd)
