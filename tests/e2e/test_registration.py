# SPDX-License-Identifier: MIT
"""Programs that tell of their own loops, and programs that hand over their segment anew when
the doorbell rings."""

import os
import shlex
import socket
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, HOSTS, PYTHON, SOURCE, host_program, wait_for
from segments import CPYTHON, CUSTOM, V8

HTTP = {"PROTOCOL": "http"}


def request(port, times=20):
    """Ask an HTTP server so many times for something."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(times):
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(65536)


def threads(pid):
    return [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]


@pytest.fixture(scope="module")
def custom(tmp_path_factory):
    """tests/hosts/custom.c, built with the public header and library as a user would."""
    binary = tmp_path_factory.mktemp("custom") / "custom"
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-O2", "-pthread",
                    "-I", SOURCE / "probes", "-o", binary, HOSTS / "custom.c",
                    "-L", BUILD / ".libs", "-llooplag", f"-Wl,-rpath,{BUILD / '.libs'}"],
                   check=True)
    return binary


def test_a_program_tells_of_its_own_loops(custom, segments, program):
    server = program([custom], env=dict(os.environ, LOOPLAG_SOCKET=str(segments.socket)))
    server.line("done")
    segment = wait_for(lambda: segments.of(server.pid), 5, "its segment")
    loops = {slot.label: slot for slot in segment.slots()}
    wait_for(lambda: {s.label: s.waiters for s in segment.loops()} ==
             {"render": 1, "audio": 1}, 10, "both loops wait")
    loops = {slot.label: slot for slot in segment.loops()}
    render, audio = loops["render"], loops["audio"]
    assert render.kind == audio.kind == CUSTOM
    assert (render.iterations, audio.iterations) == (21, 10)
    assert render.tid == server.pid != audio.tid
    assert render.events == 3 * 21
    assert 20e6 <= render.nested_wait_ns < 60e6
    assert render.max_ns >= 50e6
    assert 20 * 2e6 + 20e6 + 50e6 <= render.active_ns < 1e9
    # The one that it has ended is a slot without a loop.
    assert len(segment.slots()) == 3


def test_the_functions_do_nothing_without_a_daemon_or_when_switched_off(custom, segments,
                                                                        program):
    for env in ({"LOOPLAG_SOCKET": "/nonexistent/probe.sock"},
                {"LOOPLAG_SOCKET": str(segments.socket), "LOOPLAG_DISABLE": "1"}):
        program([custom], env=dict(os.environ, **env)).line("done")
    assert not segments.segments


@pytest.mark.parametrize("command,runtime", [
    (["node", HOSTS / "node_server.js"], V8),
    ([PYTHON, HOSTS / "asyncio_server.py"], CPYTHON),
], ids=["node", "asyncio"])
def test_a_ring_brings_the_same_loops_with_all_their_counts(command, runtime, segments,
                                                            target):
    server = target(command, env=HTTP, group="web", daemon=segments)
    port = server.listening()
    request(port)
    wait_for(lambda: len(segments.loops_of(server.pid)) == 1, 10, "its loop")
    first = segments.of(server.pid)
    assert threads(server.pid).count("looplag") == 1
    before = first.loops()[0]
    for ring in (1, 2):
        segments.ring()
        wait_for(lambda: len(segments.all_of(server.pid)) == ring + 1, 10, "another segment")
        request(port)
        now = segments.of(server.pid)
        assert (now.id, now.registrations) == (first.id, ring)
        assert (now.runtime, now.group, now.exe) == (runtime, "web", first.exe)
        loop = wait_for(now.loops, 10, "the loop in it")[0]
        assert (loop.tid, loop.descriptor, loop.born_ns) == (
            before.tid, before.descriptor, before.born_ns)
        assert loop.iterations >= before.iterations + 20
        assert loop.events >= before.events + 20
        assert sum(loop.counts) == loop.iterations
        # What it has left is no loop any more.
        assert not segments.all_of(server.pid)[ring - 1].loops()
        before = loop


def test_every_loop_of_a_process_moves_also_one_that_is_new(segments, target):
    server = target(["node", HOSTS / "node_loops.js"], env={"MODE": "workers"},
                    daemon=segments)
    ports = [int(port) for port in server.line("listening ").split()]
    for port in ports:
        request(port)
    wait_for(lambda: len(segments.loops_of(server.pid)) == 3, 10, "three loops")
    segments.ring()
    wait_for(lambda: len(segments.all_of(server.pid)) == 2, 10, "another segment")
    for port in reversed(ports):
        request(port)
    first, second = segments.all_of(server.pid)
    wait_for(lambda: len(second.loops()) == 3, 10, "three loops in the other segment")
    assert not first.loops()
    assert all(loop.iterations > 40 for loop in second.loops())


def test_a_helper_thread_exists_where_it_is_of_use(segments, target):
    """In V8 and CPython processes with a loop, or where it is asked for."""
    command = [host_program("libevent_server")]
    for env, expected in (({}, 0), ({"LOOPLAG_HELPER": "1"}, 1)):
        server = target(command, env=env, daemon=segments)
        server.listening()
        socket.create_connection(("127.0.0.1", server.listening())).close()
        wait_for(lambda s=server: segments.loops_of(s.pid), 10, "its loop")
        assert threads(server.pid).count("looplag") == expected
    server = target([PYTHON, HOSTS / "asyncio_server.py"], env={"LOOPLAG_HELPER": "0"},
                    daemon=segments)
    request_port = server.listening()
    wait_for(lambda: segments.loops_of(server.pid), 10, "its loop")
    assert request_port and "looplag" not in threads(server.pid)
    idle = target([PYTHON, "-c", "print('no loop', flush=True); input()"],
                  daemon=segments, stdin=subprocess.PIPE)
    idle.line("no loop")
    assert threads(idle.pid) == ["python3"]
