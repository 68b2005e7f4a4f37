# SPDX-License-Identifier: MIT
"""The event-driven programs of this world, each started on loopback, put under a known load
and stopped. What each of them needs is a Debian package that `./bootstrap deps` installs.

    service = services.start("redis", program, tmp_path, env=target_environment(...))
    service.load()
    service.loops  # [1]: one process, with one loop
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness import HOSTS, PYTHON, free_port, host_program, wait_for

# What is sent, and how the answer ends.
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"ok"
ECHO = b"hello\n", b"hello"
PING = b"PING\r\n", b"PONG"
VERSION = b"version\r\n", b""

NGINX = """
daemon off; pid {dir}/nginx.pid; error_log stderr; worker_processes 2; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b;
    fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
    server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 ok; }} }}
}}
"""


def _asyncio(**env):
    return lambda _, __: ([PYTHON, HOSTS / "asyncio_server.py"], env)


def _framework(name):
    return lambda _, __: ([PYTHON, HOSTS / "framework_server.py"], {"FRAMEWORK": name})


def _node_loops(mode):
    return lambda _, __: (["node", HOSTS / "node_loops.js"], {"MODE": mode})


def _redis(port, directory):
    return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", directory], {}


def _nginx(port, directory):
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
    return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-e", "stderr",
            "-p", directory, "-c", directory / "nginx.conf"], {}


def _memcached(port, directory):
    return ["memcached", "-u", "root", "-t", "4", "-l", "127.0.0.1", "-U", "0", "-p",
            port], {}


def _glib(port, directory):
    try:
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "glib-2.0"], check=True,
                               capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no glib-2.0 to build a program with")
    binary = directory / "glib_server"
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-O2", "-o", binary,
                    HOSTS / "glib_server.c", *shlex.split(flags)], check=True)
    return [binary], {}


def _java(port, directory):
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            HOSTS / "NioServer.java"], {}


# name: (command and environment, what is sent, loops of each process that has some,
#        whether it tells its ports itself)
_KINDS = {
    "node": (lambda _, __: (["node", HOSTS / "node_server.js"], {"PROTOCOL": "http"}),
             HTTP, [1], True),
    "node-workers": (_node_loops("workers"), HTTP, [3], True),
    "node-cluster": (_node_loops("cluster"), HTTP, [1, 1, 1], True),
    "asyncio": (_asyncio(), ECHO, [1], True),
    "asyncio-poll": (_asyncio(SELECTOR="poll"), ECHO, [1], True),
    "asyncio-select": (_asyncio(SELECTOR="select"), ECHO, [1], True),
    "uvloop": (_asyncio(LOOP="uvloop"), ECHO, [1], True),
    "tornado": (_framework("tornado"), HTTP, [1], True),
    "gevent": (_framework("gevent"), HTTP, [1], True),
    "redis": (_redis, PING, [1], False),
    "nginx": (_nginx, HTTP, [2], False),
    "memcached": (_memcached, VERSION, [5], False),
    "libevent": (lambda _, __: ([host_program("libevent_server")], {}), ECHO, [1], True),
    "glib": (_glib, ECHO, [1], True),
    "java": (_java, ECHO, [1], True),
}
NAMES = list(_KINDS)


class Service:
    """A server under way. `loops`: how many loops each of its processes with loops has."""

    def __init__(self, name, start, directory, env, wrapper):
        make, (self.request, self.end), self.loops, tells = _KINDS[name]
        port, self._wrapped = free_port(), bool(wrapper)
        command, own = make(port, directory)
        self.program = start([*wrapper, *command], env=dict(env, **own), name=name)
        if tells:
            ports = self.program.line("listening ", 30)
            self.ports = [int(word) for word in ports.split()]
        else:
            self.ports = [port]
        for port in self.ports:
            wait_for(lambda p=port: socket.create_connection(("127.0.0.1", p)).close()
                     or True, 20, f"{name} listens on {port}")

    def _pids(self):
        """Its processes, without what it was started by; the first one first."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(path.name)) == self.program.pid:
                    found.append(int(path.name))
            except ProcessLookupError:
                pass
        return sorted(found)[1 if self._wrapped else 0:]

    def stop(self):
        """End it and wait until it has ended."""
        os.kill(self._pids()[0], signal.SIGTERM)
        self.program.wait(20)

    def kill(self):
        """End it where it stands, with all its processes."""
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)
        self.program.wait(20)

    def load(self, rounds=25, connections=16):
        """On each of so many connections to each port, send so many requests: first all
        connections at once, then one after the other. Returns how many requests came
        alone, each of which must have woken a loop."""
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20)
                   for port in self.ports for _ in range(connections)]
        try:
            for _ in range(rounds):
                for client in clients:
                    client.sendall(self.request)
                for client in clients:
                    self._receive(client)
            for _ in range(rounds):
                for client in clients:
                    client.sendall(self.request)
                    self._receive(client)
        finally:
            for client in clients:
                client.close()
        return rounds * len(clients)

    def _receive(self, client):
        answer = b""
        while not (answer and answer.rstrip(b"\r\n").endswith(self.end)):
            part = client.recv(65536)
            assert part, "the server closed a connection"
            answer += part


def start(name, program, directory, env, wrapper=()):
    """Start the service of that name by the fixture `program`; `wrapper` is put before its
    command. Returns when it accepts connections."""
    return Service(name, program, directory, env, wrapper)
