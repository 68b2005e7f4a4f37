# SPDX-License-Identifier: MIT
"""The probe counts every wait that the kernel sees, and times what the kernel times."""

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

import services
from harness import target_environment
from segments import EPOLL, POLL, SELECT

# glibc's select() enters the kernel as pselect6.
CALLS = {EPOLL: ("epoll_wait", "epoll_pwait", "epoll_pwait2"), POLL: ("poll", "ppoll"),
         SELECT: ("select", "pselect6")}
TRACEFS = Path("/sys/kernel/tracing")


@pytest.fixture(scope="module")
def perf():
    """Skip where the kernel's tracepoints cannot be counted."""
    if not shutil.which("perf"):
        pytest.skip("no perf here")
    mounted = os.getuid() == 0 and not (TRACEFS / "events").exists() and subprocess.run(
        ["mount", "-t", "tracefs", "nodev", TRACEFS], capture_output=True).returncode == 0
    if subprocess.run(["perf", "stat", "-e", "syscalls:sys_enter_epoll_wait", "true"],
                      capture_output=True).returncode:
        pytest.skip("no tracepoints here: tracefs is not mounted, or not for us")
    yield
    if mounted:
        subprocess.run(["umount", TRACEFS], capture_output=True)


def wrapper(env, *words):
    """perf and its options, followed by what loads the probe into the program alone."""
    return ["perf", *words, "--", "env"] + [
        f"{name}={env.pop(name)}" for name in ("LD_PRELOAD", "LOOPLAG_SOCKET")]


def kernel_counts(file):
    """Wait calls by kind, from what perf stat wrote."""
    counts = {}
    for line in file.read_text().splitlines():
        match = re.match(r"(\d+),[^,]*,syscalls:sys_enter_(\w+),", line)
        if match:
            counts[match[2]] = int(match[1])
    return {kind: sum(counts[name] for name in names) for kind, names in CALLS.items()}


def probe_counts(segments):
    counts = dict.fromkeys(CALLS, 0)
    for segment in segments.segments:
        for slot in segment.slots():
            counts[slot.kind] += slot.waits
        for kind in CALLS:
            counts[kind] += segment.header()["other_waits"][kind - 1]
    return counts


@pytest.mark.parametrize("name", ["redis", "nginx", "node", "asyncio", "asyncio-select",
                                  "java"])
def test_every_wait_is_counted(name, perf, segments, program, tmp_path):
    env = target_environment(segments.socket)
    file = tmp_path / "perf"
    events = ",".join(f"syscalls:sys_enter_{call}" for calls in CALLS.values()
                      for call in calls)
    service = services.start(name, program, tmp_path, env,
                             wrapper(env, "stat", "-e", events, "-x,", "-o", file))
    service.load(rounds=100)
    service.stop()
    counted = probe_counts(segments)
    print(name, counted)
    assert counted == kernel_counts(file)
    assert sum(counted.values()) > 1600


def redis_stats(port):
    """INFO stats of a redis-server, as far as its values are numbers."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"INFO stats\r\n")
        with client.makefile("rb") as answer:
            text = answer.read(int(answer.readline()[1:])).decode()
    return {name: float(value) for name, value in re.findall(r"(\w+):(\d+)\r", text)}


def test_redis_itself_counts_the_same(segments, program, tmp_path):
    env = target_environment(segments.socket)
    service = services.start("redis", program, tmp_path, env)
    if "eventloop_cycles" not in redis_stats(service.ports[0]):
        service.stop()
        pytest.skip("this redis-server does not count its cycles (7.2 and later do)")
    service.load(rounds=200)
    stats, slot = redis_stats(service.ports[0]), segments.segments[0].loops()[0]
    service.stop()
    assert slot.iterations == pytest.approx(stats["eventloop_cycles"], rel=0.01)
    assert slot.active_ns / 1e3 == pytest.approx(stats["eventloop_duration_sum"], rel=0.05)


EVENT = re.compile(r"\s*(\d+) +(\d+\.\d+): +syscalls:sys_(enter|exit)_epoll_wait:")


def kernel_active(file):
    """(iterations, seconds) between the waits of a program with one loop, by perf script."""
    text = subprocess.run(["perf", "script", "--ns", "-F", "tid,time,event", "-i", file],
                          check=True, capture_output=True, text=True).stdout
    left, seconds, count = None, 0, 0
    for match in map(EVENT.match, text.splitlines()):
        if not match:
            continue
        if match[3] == "exit":
            left = float(match[2])
        elif left is not None:
            seconds += float(match[2]) - left
            count += 1
    return count, seconds


@pytest.mark.quiet
def test_the_kernel_times_the_same(perf, segments, program, tmp_path):
    """Work of a millisecond or more a request, so that what a trace itself costs is small."""
    env = target_environment(segments.socket)
    file = tmp_path / "perf.data"
    service = services.start(
        "redis", program, tmp_path, env,
        wrapper(env, "record", "-q", "-k", "CLOCK_MONOTONIC", "-o", file, "-e",
                "syscalls:sys_enter_epoll_wait,syscalls:sys_exit_epoll_wait"))
    service.request = b"EVAL 'for i=1,100000 do end return redis.status_reply(\"PONG\")' 0\r\n"
    service.load(rounds=10)
    service.stop()
    slot = segments.segments[0].slots()[0]
    iterations, seconds = kernel_active(file)
    print(f"kernel: {iterations} iterations, {seconds:.6f} s; probe: {slot.iterations}, "
          f"{slot.active_ns / 1e9:.6f} s")
    assert slot.iterations + slot.other_waits == iterations
    assert slot.active_ns / 1e9 == pytest.approx(seconds, rel=0.01)
