# SPDX-License-Identifier: MIT
"""What every end-to-end test stands on: programs that are started and surely stopped, a
daemon with a port and a socket of its own, and readers of what it says.

    def test_a_group_appears(daemon, target):
        server = target(["node", HOSTS / "node_server.js"], group="web")
        port = server.listening()
        wait_for(lambda: daemon.group("web"), 10, "group web")
        assert daemon.metrics().value("looplag_group_loops", groupname="web") == 1

The fixtures `daemon`, `start_daemon` and `target` are made in conftest.py. The build under
test is that of $LOOPLAG_BUILDDIR, or ./build. Nothing here sleeps for a result: wait_for()
polls a condition until its deadline.
"""

import base64
import contextlib
import ctypes
import http.client
import itertools
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
HOSTS = SOURCE / "tests" / "hosts"
BUILD = Path(os.environ.get("LOOPLAG_BUILDDIR", "build")).resolve()
PROBE = BUILD / ".libs" / "liblooplag.so"
LOOPLAGD = BUILD / "looplagd"
LOOPLAG = BUILD / "looplag"

PYTHON = "/usr/bin/python3"
SANITIZED = LOOPLAGD.exists() and b"__asan_init" in LOOPLAGD.read_bytes()
SANITIZER_REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def host_program(name):
    """A program that the build made from tests/hosts/NAME.c."""
    return BUILD / "tests" / "hosts" / name


def wait_for(condition, deadline=10.0, what=None, every=0.02):
    """Return condition() as soon as it is true; fail after `deadline` seconds, with the words
    in `what`, or those that it returns.

    What the condition raises (a refused connection, a series that is not there yet)
    counts as "not yet", and is told when the time is over."""
    end = time.monotonic() + deadline
    error = None
    while True:
        try:
            result = condition()
            error = None
            if result:
                return result
        except (OSError, LookupError, ValueError, http.client.HTTPException) as e:
            error = e
        if time.monotonic() > end:
            name = what() if callable(what) else what or getattr(condition, "__name__", "")
            raise AssertionError(f"not within {deadline} s: {name}"
                                 + (f" ({error!r})" if error else "")) from error
        time.sleep(every)


_ports = itertools.count(os.getpid() * 97)


def free_port():
    """A TCP port on loopback that nobody listens on, nor gets before the caller does: they
    are below those that the kernel chooses, and each process begins elsewhere."""
    while True:
        port = 10000 + next(_ports) % 20000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def short_directory():
    """A directory whose path is short enough for the name of a socket."""
    return Path(tempfile.mkdtemp(prefix="looplag-"))


def cores():
    """The CPUs that this test may use, as a sorted list."""
    return sorted(os.sched_getaffinity(0))


def prefer():
    """This process gets the CPU first, as a service of much weight does."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # Where each session is a group for the scheduler.
        Path("/proc/self/autogroup").write_text("-20")


class Program:
    """A program under way. Its output goes to a file, so it never waits for a reader.

    `cpu` pins it to a core, `realtime` lets it run before all ordinary programs where the
    machine allows that (a measurement wants it; no test may need it). `preferred` does so
    but for a share of the time: from a real-time program that is busy for a second the
    kernel takes 50 ms at a stretch. It inherits the descriptors that are to be kept, by
    their numbers. The program leads a
    process group of its own; stop() ends all of that, and it dies with the test run."""

    def __init__(self, command, env=None, cpu=None, realtime=False, preferred=False, cwd=None,
                 name=None, stdin=subprocess.DEVNULL, keep=()):
        self.command = [str(word) for word in command]
        self.name = name or os.path.basename(self.command[0])
        self._stdout = tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if cpu is not None:
                os.sched_setaffinity(0, {cpu})
            if realtime:
                try:
                    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
                except OSError:
                    pass
            if preferred:
                prefer()

        self.process = subprocess.Popen(
            self.command, env=env, cwd=cwd, stdin=stdin, stdout=self._stdout,
            stderr=self._stderr, start_new_session=True, preexec_fn=prepare, pass_fds=keep)
        self.pid = self.process.pid

    @staticmethod
    def _text(file):
        return os.pread(file.fileno(), 1 << 26, 0).decode(errors="replace")

    @property
    def stdout(self):
        """What it has written to its standard output so far."""
        return self._text(self._stdout)

    @property
    def stderr(self):
        return self._text(self._stderr)

    @property
    def running(self):
        return self.process.poll() is None

    def line(self, start, deadline=15.0):
        """Wait for a line of its output that begins with `start`; return the rest of it."""
        def found():
            running = self.running  # before its last words are read, not after
            for line in self.stdout.splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    return (line[len(start):].strip(),)
            if not running:
                raise AssertionError(f"{self.name} ended with {self.process.returncode} "
                                     f"before it said {start!r}: {self.stderr}")
            return None
        return wait_for(found, deadline, f"{self.name} says {start!r}")[0]

    def listening(self, deadline=15.0):
        """The port it listens on, from its line "listening PORT"."""
        return int(self.line("listening ", deadline))

    def wait(self, deadline=30.0):
        """Wait until it ends by itself; return its exit status as a shell counts it."""
        try:
            status = self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {deadline} s") from None
        return status if status >= 0 else 128 - status

    def send(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, deadline=10.0):
        """Send a signal and wait for the end; then kill what is left of its group.
        Returns the exit status, None if it had to be killed."""
        status = None
        if self.running:
            self.process.send_signal(number)
        try:
            self.process.wait(deadline)
            status = self.wait(0)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        return status


class Metrics:
    """A text exposition (0.0.4), parsed strictly: a line that cannot be read is an error."""

    SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)(?: (-?\d+))?$')
    LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|$)')
    ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}

    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = {}  # (name, frozenset of label pairs) -> value
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                if name in self.types:
                    raise ValueError(f"two TYPE lines for {name}")
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self._add(line)

    def _add(self, line):
        match = self.SAMPLE.match(line)
        if not match:
            raise ValueError(f"not a sample: {line!r}")
        name, inside, value, _ = match.groups()
        labels, at = {}, 0
        while inside and at < len(inside):
            label = self.LABEL.match(inside, at)
            if not label:
                raise ValueError(f"bad labels: {line!r}")
            labels[label[1]] = re.sub(r"\\(.)", lambda m: self.ESCAPES[m[1]], label[2])
            at = label.end()
        key = (name, frozenset(labels.items()))
        if key in self.samples:
            raise ValueError(f"the same series twice: {line!r}")
        self.samples[key] = float(value)

    def series(self, name, **labels):
        """All samples of that name that have these labels: a list of (labels, value)."""
        wanted = labels.items()
        return [(dict(pairs), value) for (n, pairs), value in self.samples.items()
                if n == name and wanted <= pairs]

    def value(self, name, **labels):
        """The one sample of that name that has these labels, LookupError otherwise."""
        found = self.series(name, **labels)
        if len(found) != 1:
            raise LookupError(f"{len(found)} samples of {name} with {labels}")
        return found[0][1]

    def sum(self, name, **labels):
        return sum(value for _, value in self.series(name, **labels))

    def buckets(self, name, **labels):
        """A histogram's buckets: sorted (le, value), cumulative, summed over series."""
        sums = {}
        for found, value in self.series(name + "_bucket", **labels):
            le = float(found["le"])
            sums[le] = sums.get(le, 0.0) + value
        return sorted(sums.items())

    def growing(self):
        """Every sample that may never go down: counters, and all parts of histograms."""
        names = set()
        for name, kind in self.types.items():
            if kind == "counter":
                names.add(name)
            elif kind == "histogram":
                names.update((name + "_bucket", name + "_count", name + "_sum"))
            elif kind == "summary":
                names.update((name + "_count", name + "_sum"))
        return {key: value for key, value in self.samples.items() if key[0] in names}


def delay_quantile(metrics, group, loop, q):
    """Quantile q of the delay over the window, in seconds, from the summary."""
    for labels, value in metrics.series("looplag_delay_window_seconds", groupname=group,
                                        loop=loop):
        if "quantile" in labels and math.isclose(float(labels["quantile"]), q):
            return value
    raise LookupError(f"no quantile {q} of group {group}, loop {loop}")


class Daemon:
    """A looplagd with a port and a socket of its own, ready to serve; run by a command that
    executes another one, if need be. Asked by TLS in an ssl.SSLContext, and as a user with a
    password, "USER:PASSWORD", if those are given."""

    tls = login = None

    def __init__(self, *options, env=None, cpu=None, preferred=False, wrapper=(), tls=None,
                 login=None):
        self.tls = tls
        self.login = login
        self.directory = short_directory()
        self.socket = self.directory / "probe.sock"
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"
        self.program = Program(
            [*wrapper, LOOPLAGD, "--web.listen-address", self.address, "--probe.socket",
             self.socket, *options],
            env=dict(os.environ, **(env or {})), cpu=cpu, preferred=preferred,
            name="looplagd")
        self.pid = self.program.pid
        try:
            wait_for(self._is_ready, 15, "looplagd is ready")
        except AssertionError as e:
            self.program.stop()
            shutil.rmtree(self.directory, ignore_errors=True)
            raise AssertionError(f"{e}; it says: {self.program.stderr}") from None

    def _is_ready(self):
        if not self.program.running:
            raise AssertionError(f"looplagd ended with {self.program.process.returncode}")
        return self.get("/-/ready")[0] == 200

    def get(self, path, headers=None, timeout=10):
        """GET a page: (status, headers, body as text)."""
        where = {"host": "127.0.0.1", "port": self.port, "timeout": timeout}
        connection = (http.client.HTTPSConnection(**where, context=self.tls) if self.tls
                      else http.client.HTTPConnection(**where))
        headers = dict(headers or {})
        if self.login:
            headers.setdefault("Authorization",
                               "Basic " + base64.b64encode(self.login.encode()).decode())
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """Scrape now."""
        status, _, body = self.get("/metrics")
        assert status == 200, body
        return Metrics(body)

    def groups(self):
        """The JSON API: {groupname: group}, as DESIGN shapes a group."""
        status, _, body = self.get("/api/v1/groups")
        assert status == 200, body
        return {group["groupname"]: group for group in json.loads(body)["groups"]}

    def group(self, name):
        """One group of the JSON API, None while it is not there."""
        return self.groups().get(name)

    def loop(self, group, loop="main"):
        """One loop of a group in the JSON API, None while it is not there."""
        found = self.group(group)
        for entry in found["loops"] if found else ():
            if entry["loop"] == loop:
                return entry
        return None

    def stop(self):
        """End it by SIGTERM, and see that it ended cleanly and leaves nothing behind."""
        try:
            was_running = self.program.running
            status = self.program.stop()
            words = self.program.stderr + self.program.stdout
            assert was_running, f"looplagd had ended by itself: {words}"
            assert not SANITIZER_REPORT.search(words), words
            assert status == 0, f"looplagd ended with {status}: {words}"
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def target_environment(socket_path, group=None, env=None):
    """The environment of a program that carries the probe."""
    environment = dict(os.environ, **(env or {}))
    preload = environment.get("LD_PRELOAD", "")
    environment["LD_PRELOAD"] = f"{PROBE}:{preload}" if preload else str(PROBE)
    environment["LOOPLAG_SOCKET"] = str(socket_path)
    if group:
        environment["LOOPLAG_GROUP"] = group
    return environment
