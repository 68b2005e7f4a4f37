# SPDX-License-Identifier: MIT
"""A daemon that only listens: it takes the segments that targets hand over and reads them
as probes/segment.h says, for tests that want the probe's own counts.

    def test_it_has_one_loop(segments, target):
        server = target([PYTHON, HOSTS / "asyncio_server.py"], daemon=segments)
        segment = wait_for(lambda: segments.of(server.pid), 10, "its segment")
        wait_for(lambda: len(segment.loops()) == 1, 10, "its loop")

The fixture `segments` is made in conftest.py.
"""

import array
import ctypes
import mmap
import os
import re
import shutil
import socket
import struct
import threading
from dataclasses import dataclass

from harness import short_directory

MAGIC = 0x31474C504F4F4C
ATTENDED = 1 << 63
RECORDING, UNTIL, UNTIL_SHIFT = 1 << 62, 1 << 61, 16
WAITERS = 0xFFFF
OWNER_DIED = 0x40000000
EPOLL, POLL, SELECT, CUSTOM = 1, 2, 3, 4
V8, CPYTHON = 1, 2
HELPER_NONE, HELPER_AWAKE, HELPER_REFUSED = 0, 1, 2
ROLE_LOOP, ROLE_HOLDER = 1, 2
TAKEN, HANDLER, SILENT, OVER, SANDBOX, FAILED, BLOCKED = 1, 2, 3, 4, 5, 6, 7
WAITS_GIL, HOLDS_GIL, PYTHON_STATE, TRUNCATED = 1, 2, 4, 8

_HELLO = struct.Struct("QIIQQIIII16s64s64s64x")
_HEADER = struct.Struct("QIIQ16sIIIIIIIIIIQ64s64sQQQ4QI")
_SLOT = struct.Struct("QQQQQQQQQIIIiQQQQQ32s")
_SLOT_BYTES = 12288
_THREAD_BYTES = 64
_LONG_OFFSET, _LONG = 256, struct.Struct("QQQQ")
_CAPTURES, _CAPTURE_BYTES = 8, 16384
_CAPTURE = struct.Struct("QQQIIIIIIIIQII56x")
_NATIVES_OFFSET, _NATIVE = 128, struct.Struct("QII")
_MODULES_OFFSET, _MODULE = 1152, struct.Struct("II24s")
_NAMES_OFFSET, _NAMES_BYTES = 2176, 2048
_PYTHON_OFFSET, _JS_OFFSET = 4224, 10368
_NO_MODULE = 0xFFFFFFFF
_HISTOGRAM_OFFSET, _HISTOGRAM = 1280, struct.Struct("898Q114Q2Q")
_WAKEUP_OFFSET, _WAKEUP = 9392, struct.Struct("114QQ")
_FUTEX_WAKE = 1
_libc = ctypes.CDLL(None, use_errno=True)
_SYS_FUTEX = {"x86_64": 202, "aarch64": 98}


def _is_written(state, sequence):
    return bool(state & ATTENDED and (
        state & RECORDING or
        state & UNTIL and 0 < (state >> UNTIL_SHIFT) - sequence & 0xFFFFFFFF < 1 << 31))


def _text(field):
    return field.split(b"\0")[0].decode(errors="replace")


@dataclass
class Capture:
    """A capture record as it stood when it was read; times in nanoseconds."""
    sequence: int
    since_ns: int
    taken_ns: int
    slot: int
    tid: int
    role: int
    result: int
    flags: int
    js_taken_ns: int
    js_state: int
    natives: list   # innermost first: (offset, path of the module or None)
    build_ids: dict  # of the modules, by path
    python: str     # as CPython wrote it
    js: str

    @property
    def scripts(self):
        """The JavaScript functions, innermost first: (file, line, function)."""
        found = re.findall(r"^(?:(.*) \()?(.*?):(\d+):\d+\)?$", self.js, re.M)
        return [(os.path.basename(path), int(line), name) for name, path, line in found]

    @property
    def functions(self):
        """The Python functions, innermost first: (file, line, function)."""
        found = re.findall(r'^  File "(.*)", line (\d+) in (.*)$', self.python, re.M)
        return [(os.path.basename(path), int(line), name) for path, line, name in found]


@dataclass
class Slot:
    """A loop slot as it stood when it was read; times in nanoseconds."""
    index: int
    state: int
    sequence: int
    iterations: int
    active_ns: int
    last_ns: int
    lone_events: int
    shared_events: int
    other_waits: int
    max_ns: int
    kind: int
    life: int
    thread: int
    descriptor: int
    born_ns: int
    ended_ns: int
    past_life_ns: int
    long_count: int
    nested_wait_ns: int
    label: str
    tid: int        # of its thread
    died: bool      # its thread has
    counts: tuple   # of the iteration histogram
    wakeups: int    # how many waits timed out
    ring: list      # the long iterations: (start_ns, length_ns, nested_ns, iteration)

    @property
    def waits(self):
        """How many waits of its loops there were, but for those before each was a loop."""
        return self.iterations + self.other_waits

    @property
    def events(self):
        """How many its waits returned."""
        return self.lone_events + self.shared_events

    @property
    def live(self):
        """Whether a reader takes it for a loop."""
        return self.state != 0 and not self.died

    @property
    def waiters(self):
        return self.state & WAITERS if self.state & ATTENDED else 0

    def open_ns(self, now_ns):
        """How long it has been unattended; 0 while it is attended or rests."""
        return 0 if self.state & ATTENDED or not self.state else now_ns - self.state


class Segment:
    """A segment that was handed over, with the hello that came with it."""

    def __init__(self, hello, descriptor, peer):
        (magic, self.version, size, self.segment_size, self.clock_ns, self.slot_count,
         self.pid, self.runtime, self.registrations, self.id, exe,
         group) = _HELLO.unpack(hello)
        if magic != MAGIC or size != len(hello):
            raise ValueError(f"not a hello: {hello[:32]!r}")
        self.exe, self.group = _text(exe), _text(group)
        self.descriptor = descriptor
        self.peer = peer  # the pid as the kernel tells it

    def header(self):
        """The header's fields that change: slots_used, dropped_loops, dropped_threads,
        other_waits (a list by kind - 1), helper; and where things lie."""
        fields = _HEADER.unpack(os.pread(self.descriptor, _HEADER.size, 0))
        return dict(zip(("slot_count", "threads_offset", "slots_offset", "capture_offset",
                         "owner_word"), (*fields[8:12], fields[13])),
                    slots_used=fields[18], dropped_loops=fields[19],
                    dropped_threads=fields[20], other_waits=list(fields[21:25]), helper=fields[25])

    def _slot(self, header, index):
        """Read one slot by the protocol of segment.h."""
        at = header["slots_offset"] + index * _SLOT_BYTES
        for _ in range(100):
            before = os.pread(self.descriptor, 16, at)
            copy = os.pread(self.descriptor, _SLOT_BYTES, at)
            if not _is_written(*struct.unpack("QQ", before)) \
                    and os.pread(self.descriptor, 16, at) == before:
                break
        fields = list(_SLOT.unpack_from(copy))
        fields[18] = _text(fields[18])
        record = struct.unpack("16I", os.pread(
            self.descriptor, 64, header["threads_offset"] + fields[11] * _THREAD_BYTES))
        ring = [_LONG.unpack_from(copy, _LONG_OFFSET + i * _LONG.size) for i in range(32)]
        return Slot(index, *fields, tid=record[13],
                    died=bool(record[header["owner_word"]] & OWNER_DIED),
                    counts=_HISTOGRAM.unpack_from(copy, _HISTOGRAM_OFFSET)[:898],
                    wakeups=sum(_WAKEUP.unpack_from(copy, _WAKEUP_OFFSET)[:114]),
                    ring=sorted(entry for entry in ring if entry[3]))

    def slots(self):
        """All slots that were ever used."""
        header = self.header()
        return [self._slot(header, i) for i in range(header["slots_used"])]

    def loops(self):
        """The slots of the loops that live."""
        return [slot for slot in self.slots() if slot.live]

    def captures(self):
        """The captures that are whole, the oldest first."""
        begin = self.header()["capture_offset"]
        found = []
        for at in range(begin, begin + _CAPTURES * _CAPTURE_BYTES, _CAPTURE_BYTES):
            copy = os.pread(self.descriptor, _CAPTURE_BYTES, at)
            sequence = struct.unpack_from("Q", copy)[0]
            if (sequence and not sequence & 1 and
                    os.pread(self.descriptor, 8, at) == copy[:8]):
                found.append(_parse_capture(copy))
        return sorted(found, key=lambda capture: capture.taken_ns)

    def waits(self):
        """All the waits that were ever counted, in a loop or outside any."""
        return sum(slot.waits for slot in self.slots()) + sum(self.header()["other_waits"])


def of_process(pid):
    """The segments that a living process maps, the first registration first: root's look."""
    found = []
    with open(f"/proc/{pid}/maps") as maps:
        places = [line.split()[0] for line in maps if "/memfd:looplag" in line]
    for place in places:
        descriptor = os.open(f"/proc/{pid}/map_files/{place}", os.O_RDONLY)
        fields = _HEADER.unpack(os.pread(descriptor, _HEADER.size, 0))
        found.append(Segment(_HELLO.pack(
            MAGIC, fields[1], _HELLO.size, fields[3], fields[15], fields[8], fields[5],
            fields[6], fields[14], fields[4], fields[16], fields[17]), descriptor, pid))
    return sorted(found, key=lambda segment: segment.registrations)


def _parse_capture(copy):
    (sequence, since_ns, taken_ns, slot, tid, role, result, flags, natives, modules, python,
     js_taken_ns, js_bytes, js_state) = _CAPTURE.unpack_from(copy)

    def name(index):
        if index == _NO_MODULE:
            return None
        assert index < modules
        start = _NAMES_OFFSET + _MODULE.unpack_from(
            copy, _MODULES_OFFSET + index * _MODULE.size)[0]
        return copy[start:_NAMES_OFFSET + _NAMES_BYTES].split(b"\0")[0].decode()

    build_ids = {}
    for i in range(modules):
        _, size, build_id = _MODULE.unpack_from(copy, _MODULES_OFFSET + i * _MODULE.size)
        build_ids[name(i)] = build_id[:size].hex()
    frames = [_NATIVE.unpack_from(copy, _NATIVES_OFFSET + i * _NATIVE.size)
              for i in range(natives)]
    return Capture(
        sequence, since_ns, taken_ns, slot, tid, role, result, flags, js_taken_ns,
        js_state, [(offset, name(module)) for offset, module, _ in frames], build_ids,
        copy[_PYTHON_OFFSET:_PYTHON_OFFSET + python].decode(),
        copy[_JS_OFFSET:_JS_OFFSET + js_bytes].decode())


class Receiver:
    """Listens on a socket of its own, at .socket, until it is closed; a context manager."""

    def __init__(self, doorbell=False):
        self.directory = short_directory()
        self.socket = self.directory / "probe.sock"
        self.segments = []  # in the order in which they came
        self._doorbell = None
        if doorbell:
            path = self.directory / "doorbell"
            path.write_bytes(struct.pack("QII", MAGIC, 1, 0).ljust(4096, b"\0"))
            with path.open("r+b") as file:
                self._doorbell = mmap.mmap(file.fileno(), 4096)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(self.socket))
        self._listener.listen(1024)
        self._listener.settimeout(0.1)
        self._closing = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing = True
        self._thread.join()
        self._listener.close()
        for segment in self.segments:
            os.close(segment.descriptor)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _serve(self):
        while not self._closing:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                self._take(connection)

    def _take(self, connection):
        connection.settimeout(5)
        peer = struct.unpack("iII", connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        hello, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        if not control:
            return
        descriptors = array.array("i")
        descriptors.frombytes(control[0][2][:4])
        self.segments.append(Segment(hello, descriptors[0], peer))

    def all_of(self, pid):
        """Every segment that this process has handed over, the first one first."""
        return [segment for segment in self.segments if segment.peer == pid]

    def of(self, pid):
        """The last segment of this process, None while there is none."""
        found = self.all_of(pid)
        return found[-1] if found else None

    def loops_of(self, pid):
        """The loops that live in the last segment of this process."""
        segment = self.of(pid)
        return segment.loops() if segment else []

    def _change(self, at):
        """Change a word of the doorbell, and wake those who wait for that."""
        word = ctypes.c_uint32.from_buffer(self._doorbell, at)
        word.value += 1
        return _libc.syscall(_SYS_FUTEX[os.uname().machine], ctypes.byref(word),
                             _FUTEX_WAKE, 0x7FFFFFFF, None, None, 0)

    def ring(self):
        """Ask the targets to register again, as a daemon without their segments does."""
        self._change(12)
        for bell in range(256):
            self._change(20 + 4 * bell)

    def ask(self, pid, stall=0.05):
        """Ask a target for the stacks of loops that have stalled for so long."""
        ctypes.c_uint32.from_buffer(self._doorbell, 16).value = int(stall * 1e6)
        self._change(20 + 4 * self.of(pid).id[0])

    def captures_of(self, pid):
        """The captures in the last segment of this process, the oldest first."""
        segment = self.of(pid)
        return segment.captures() if segment else []
