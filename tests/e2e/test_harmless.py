# SPDX-License-Identifier: MIT
"""Taking stacks does no harm: servers under load answer everything, as fast as without, and
programs may end, fork and become others while their stacks are taken.

LOOPLAG_HARMLESS_SECONDS is how long each server is under load (short by default: then the
ratio of throughputs is only printed). Both halves of a pair have the same stalls, 20 a
second and hardly longer than the threshold; in one of them the daemon takes stacks, in the
other its configuration says that it shall not.
"""

import os
import re
import signal
import socket
import statistics
import threading
import time
import urllib.error
import urllib.request

import pytest

import services
from harness import BUILD, HOSTS, PYTHON, Program, cores, host_program, wait_for

SECONDS = float(os.environ.get("LOOPLAG_HARMLESS_SECONDS", "8"))
LONG = SECONDS >= 60
BURST = 2  # seconds; short pairs see the same machine
RATIO = 0.97
STALLS_PER_SECOND = 20
STALL_MS = 13

CONFIG = """
threshold: 10ms
captures_per_minute: 6000
stacks: {stacks}
alerts: []
"""

pytestmark = pytest.mark.skipif(len(cores()) < 2, reason="needs two cores")


class Captures:
    """A daemon that takes stacks, or not, as it is told."""

    def __init__(self, start_daemon, directory, stacks=True):
        self._file = directory / "looplagd.yaml"
        self._file.write_text(CONFIG.format(stacks=str(stacks).lower()))
        self.daemon = start_daemon("--config.file", self._file)

    def switch(self, stacks):
        def reloaded():
            metrics = self.daemon.metrics()
            name = "looplag_config_last_reload_success_timestamp_seconds"
            assert metrics.value("looplag_config_last_reload_successful") == 1
            return metrics.value(name)
        before = reloaded()
        self._file.write_text(CONFIG.format(stacks=str(stacks).lower()))
        os.kill(self.daemon.pid, signal.SIGHUP)
        wait_for(lambda: reloaded() > before, 5, "the configuration is loaded")

    def taken(self):
        """How many stacks so far."""
        metrics = self.daemon.metrics()
        return sum(metrics.sum("looplag_captures_total", result=result)
                   for result in ("taken", "late"))

    def tried(self):
        return {labels["result"]: value for labels, value in
                self.daemon.metrics().series("looplag_captures_total") if value}


@pytest.fixture
def captures(start_daemon, tmp_path):
    return Captures(start_daemon, tmp_path)


def http_load(port, seconds):
    """Requests a second; a single failed one is an error."""
    wrk = Program(["wrk", "-t", "1", "-c", 32, "-d", round(seconds),
                   f"http://127.0.0.1:{port}/"], cpu=cores()[1])
    assert wrk.wait(seconds + 30) == 0, wrk.stderr
    out = wrk.stdout
    assert "Non-2xx" not in out and "Socket errors" not in out, out
    return float(re.search(r"Requests/sec: +([\d.]+)", out)[1])


def echo_load(port, seconds):
    client = Program([BUILD / "tests" / "bench" / "load", 32, 1, "0123456789abcdef\n", "\n",
                      "open", port, "run", seconds], cpu=cores()[1])
    assert client.wait(seconds + 30) == 0, client.stderr
    _, count, took, _, _ = client.stdout.split()
    return int(count) / float(took)


def redis_load(port, seconds):
    # It takes a number, not a time; one that it can do with all those stalls.
    count = int(20000 * seconds)
    client = Program(["redis-benchmark", "-p", port, "-t", "get", "-c", 32, "-n", count,
                      "--csv"], cpu=cores()[1])
    assert client.wait(seconds * 10 + 30) == 0, client.stderr
    assert "rror" not in client.stdout, client.stdout
    return float(re.search(r'^"GET","([\d.]+)"', client.stdout, re.M)[1])


class Stalls(threading.Thread):
    """Calls a function that makes a server stall, again and again."""

    def __init__(self, stall):
        super().__init__(daemon=True)
        self.errors = []
        self._stall, self._over = stall, threading.Event()

    def run(self):
        try:
            while not self._over.wait(1 / STALLS_PER_SECOND):
                self._stall()
        except Exception as e:  # told by stop(), in the thread of the test
            self.errors.append(e)

    def stop(self):
        self._over.set()
        self.join()
        assert not self.errors, self.errors


def own_stalls(command, **env):
    """A server that stalls by itself."""
    def start(target, daemon, directory):
        schedule = f"{STALL_MS}/{1000 // STALLS_PER_SECOND}"
        server = target(command, group="server", daemon=daemon, cpu=cores()[0],
                        env={"STALLS": schedule, **env})
        return server, server.listening(), None
    return start


def redis(target, daemon, directory):
    port = services.free_port()
    server = target(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                     "--appendonly", "no", "--dir", directory, "--enable-debug-command",
                     "yes"], group="server", daemon=daemon, cpu=cores()[0])
    client = wait_for(lambda: socket.create_connection(("127.0.0.1", port)), 10, "redis")
    turns = [60000, 0]

    def call(line):
        client.sendall(line + b"\r\n")
        answer = client.recv(4096)
        assert answer[:1] in (b"+", b":"), answer

    def stall():
        # By turns it sleeps and computes.
        turns[1] += 1
        if turns[1] % 2:
            call(b"DEBUG SLEEP %f" % (STALL_MS / 1e3))
            return
        start = time.monotonic()
        call(b'EVAL "local s = 0 for i = 1, %d do s = s + i end return s" 0' % turns[0])
        took = (time.monotonic() - start) * 1e3
        turns[0] = int(turns[0] * min(2, max(0.5, (STALL_MS + 1) / took)))
    return server, port, stall


NGINX = services.NGINX.replace("worker_processes 2", "worker_processes 1").replace(
    # An expression that backtracks without end, for those who ask for it.
    "location / {{", "location ~ ^/(a+)+$ {{ return 200 no; }} location / {{")


def nginx(target, daemon, directory):
    port = services.free_port()
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
    path = services.shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    server = target([path, "-e", "stderr", "-p", directory, "-c", directory / "nginx.conf"],
                    group="server", daemon=daemon, cpu=cores()[0])

    def ask(letters):
        start = time.monotonic()
        url = f"http://127.0.0.1:{port}/{'a' * letters}!"
        try:
            urllib.request.urlopen(url, timeout=30).read()
        except urllib.error.HTTPError as e:
            assert e.code == 500, e  # it gives up after so many steps
        return (time.monotonic() - start) * 1e3
    wait_for(lambda: ask(1), 10, "nginx listens")
    letters = next(n for n in range(10, 30) if min(ask(n), ask(n)) > STALL_MS)
    return server, port, lambda: ask(letters)


SERVERS = {
    "node": (own_stalls(["node", HOSTS / "node_server.js"], PROTOCOL="http"), http_load),
    "asyncio": (own_stalls([PYTHON, HOSTS / "asyncio_server.py"]), echo_load),
    "redis": (redis, redis_load),
    "nginx": (nginx, http_load),
}


@pytest.mark.quiet
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_under_load_does_not_notice(captures, target, tmp_path, kind):
    make, load = SERVERS[kind]
    server, port, stall = make(target, captures.daemon, tmp_path)
    stalls = Stalls(stall) if stall else None
    if stalls:
        stalls.start()
    load(port, 1)  # to get warm
    ratios, taken, seconds, began = [], 0, 0, time.monotonic()
    while len(ratios) < 2 or time.monotonic() - began < SECONDS:
        rates = {}
        for stacks in (True, False) if len(ratios) % 2 else (False, True):
            captures.switch(stacks)
            before, start = captures.taken(), time.monotonic()
            rates[stacks] = load(port, BURST)
            took = time.monotonic() - start
            grown = captures.taken() - before
            if stacks:
                taken += grown
                seconds += took
            else:
                assert grown <= 2  # under way when it was switched
        ratios.append(rates[True] / rates[False])
    if stalls:
        stalls.stop()
    assert server.running, server.stderr
    # Many of them are over before their stack is taken.
    assert taken >= seconds * STALLS_PER_SECOND / 8, captures.tried()
    ratio = statistics.median(ratios)
    print(f"{kind}: {taken:.0f} stacks in {seconds:.1f} s of {len(ratios)} bursts, throughput with "
          f"them {ratio:.3f} of that without ({min(ratios):.3f} to {max(ratios):.3f})")
    if LONG:
        assert ratio >= RATIO


@pytest.mark.parametrize("helper", ["0", "1"])
def test_calls_that_are_restarted_do_not_fail(captures, target, helper):
    # With a helper the thread gets signals; without, the daemon traces it.
    rounds, length_ms = (20 if LONG else 3), 45
    host = target([host_program("eintr"), rounds, length_ms], group="eintr",
                  daemon=captures.daemon, env={"LOOPLAG_HELPER": helper})
    calls = int(host.line("calls ", 60))
    assert "failed" not in host.stdout, host.stdout
    # At 10, 20 and 40 ms.
    assert captures.taken() >= calls * 2, captures.tried()


RACES = 120 if LONG else 30


def has_stacks(captures):
    """Or it was no race at all."""
    print(captures.tried())
    assert captures.taken() >= RACES / 4, captures.tried()


@pytest.mark.parametrize("kind", ["exec", "fork", "thread"])
def test_a_python_that_changes_while_its_stack_is_taken(captures, target, kind):
    host = target([PYTHON, HOSTS / "races.py", kind, RACES, 1], group=kind,
                  daemon=captures.daemon)
    assert host.wait(60 + RACES) == 0, host.stderr
    assert host.stdout.startswith("ok") and not host.stderr, host.stderr
    has_stacks(captures)


def test_a_python_that_ends_while_its_stack_is_taken(captures, target):
    for seed in range(RACES):
        host = target([PYTHON, HOSTS / "races.py", "exit", 1, seed], group="exit",
                      daemon=captures.daemon)
        assert host.wait(30) == 0, host.stderr
        assert host.stdout == "ok 1\n" and not host.stderr, host.stderr
    has_stacks(captures)


def test_workers_of_node_that_end_while_their_stack_is_taken(captures, target):
    host = target(["node", HOSTS / "races.js", RACES, 1], group="workers",
                  daemon=captures.daemon)
    assert host.wait(60 + RACES) == 0, host.stderr
    assert host.stdout == f"ok {RACES}\n" and not host.stderr, host.stderr
    has_stacks(captures)
