# SPDX-License-Identifier: MIT
"""The servers that are put under load, each of them several times over: as it is, with the
probe, and with what else its users could take to watch its event loop.

Those that are not under load at the moment are stopped by SIGSTOP, so that they disturb
nobody; all of them run on the same core, and the clients on another one.
"""

import os
import shutil
import signal
import socket
from pathlib import Path

from harness import HOSTS, PYTHON, Program, free_port, target_environment, wait_for

PEERS = Path(__file__).resolve().parent / "peers"

PLAIN, AGAIN, PROBE = "nothing", "nothing, again", "looplag"

NGINX = """
daemon off; pid {dir}/nginx.pid; error_log stderr; worker_processes 1; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/a;
    proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d;
    scgi_temp_path {dir}/e;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }}
}}
"""


def _node(port, directory, script=None):
    return ["node", *(["-r", PEERS / script] if script else []), HOSTS / "node_server.js"]


def _asyncio(port, directory):
    return [PYTHON, HOSTS / "asyncio_server.py"]


def _redis(port, directory):
    return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", directory]


def _nginx(port, directory):
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
    return [shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), "-e", "stderr",
            "-p", directory, "-c", directory / "nginx.conf"]


# name: how to start it, with which environment; whether it chooses its port and tells it
KINDS = {
    "node": (_node, {"PROTOCOL": "http"}, True),
    "asyncio": (_asyncio, {}, True),
    "redis": (_redis, {}, False),
    "nginx": (_nginx, {}, False),
}

# What else a user could take: (name, environment, script for node, needs npm packages)
OTHERS = {
    "node": [
        ("monitorEventLoopDelay({resolution: 10})", {"MONITOR": "1"}, None, False),
        ("prom-client, default metrics", {}, "prom_client.js", True),
        ("blocked-at", {}, "blocked_at.js", True),
        ("@sentry/node-native", {}, "sentry_native.js", True),
    ],
    "asyncio": [
        ("a task that sleeps 10 ms", {"MONITOR": "1"}, None, False),
        ("PYTHONASYNCIODEBUG=1", {"PYTHONASYNCIODEBUG": "1"}, None, False),
    ],
}


class Server:
    """A server under way, asleep by SIGSTOP but while it is measured."""

    def __init__(self, kind, name, directory, cpu, daemon, modules=None, env=None,
                 script=None):
        make, own, tells = KINDS[kind]
        environment = dict(os.environ, **own, **(env or {}))
        self.kind, self.name = kind, name
        self.group = f"{kind}-{os.urandom(4).hex()}" if name == PROBE else None
        if self.group:
            environment = target_environment(daemon.socket, self.group, environment)
        if modules:
            environment["NODE_PATH"] = str(modules)
        directory = directory / os.urandom(4).hex()
        directory.mkdir()
        port = free_port()
        command = make(port, directory, *([script] if script else []))
        self.program = Program(command, env=environment, cpu=cpu, cwd=directory)
        self.port = self.program.listening() if tells else port
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.port)).close() or True,
                 20, f"{kind} listens")
        self.pause()

    def pause(self):
        os.killpg(self.program.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.program.pid, signal.SIGCONT)

    def stop(self):
        self.resume()
        self.program.stop()

    def _tasks(self):
        """The directories in /proc of its threads and of its workers' threads."""
        pids = [self.program.pid]
        children = Path(f"/proc/{pids[0]}/task/{pids[0]}/children").read_text()
        for pid in pids + children.split():
            yield from Path(f"/proc/{pid}/task").iterdir()

    def cpu_ns(self):
        """CPU time that it has used, in the kernel and outside."""
        return sum(int((task / "schedstat").read_text().split()[0])
                   for task in self._tasks())

    def wakeups(self):
        """How often its threads have gone to sleep."""
        name = "voluntary_ctxt_switches:"
        return sum(int(line.split()[1]) for task in self._tasks()
                   for line in (task / "status").read_text().splitlines()
                   if line.startswith(name))


def start_all(kind, directory, cpu, daemon, modules):
    """One server of the kind for each thing to compare, the plain one first."""
    servers = []
    try:
        for name in (PLAIN, AGAIN, PROBE):
            servers.append(Server(kind, name, directory, cpu, daemon))
        for name, env, script, npm in OTHERS.get(kind, ()):
            if not npm or modules:
                servers.append(Server(kind, name, directory, cpu, daemon, modules, env,
                                      script))
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return servers
