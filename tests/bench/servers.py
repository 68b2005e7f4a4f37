# SPDX-License-Identifier: MIT
"""The servers that are put under load, each of them several times over: as it is, with the
probe, and with what else its users could take to watch its event loop.

All of them run on the same core, and the client on another one. Those that are not under load
at the moment are stopped by SIGSTOP, so that they disturb nobody, but for those with Node.js:
Sentry's watchdog takes a process that was stopped for one that is stuck, and if only that one
were awake, it alone could collect its garbage at the cost of others.
"""

import importlib.util
import os
import shutil
import signal
import socket
from pathlib import Path

from harness import HOSTS, PYTHON, Program, free_port, target_environment, wait_for
from npm import PEERS

OWN = Path(__file__).resolve().parent / "hosts"
PLAIN, AGAIN, PROBE = "nothing", "nothing, again", "looplag"

NGINX = """
daemon off; pid {dir}/nginx.pid; error_log stderr; worker_processes 1; user root;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/a;
    proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d;
    scgi_temp_path {dir}/e;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok\\n"; }} }}
}}
"""

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend web
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string "ok\\n"
"""


def _program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")


def _node(script):
    return lambda port, directory, more: ["node", *more, script]


def _asyncio(port, directory, more):
    return [PYTHON, HOSTS / "asyncio_server.py"]


def _uvicorn(port, directory, more):
    return [PYTHON, "-m", "uvicorn", "--port", port, "--no-access-log", "--log-level",
            "warning", "--app-dir", OWN, "uvicorn_app:app"]


def _redis(port, directory, more):
    return ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", directory]


def _nginx(port, directory, more):
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, port=port))
    return [_program("nginx"), "-e", "stderr", "-p", directory, "-c",
            directory / "nginx.conf"]


def _memcached(port, directory, more):
    return ["memcached", "-u", "root", "-l", "127.0.0.1", "-p", port, "-t", "1"]


def _haproxy(port, directory, more):
    (directory / "haproxy.cfg").write_text(HAPROXY.format(port=port))
    return [_program("haproxy"), "-db", "-f", directory / "haproxy.cfg"]


# name: how to start it, with which environment; whether it chooses its port and tells it
KINDS = {
    "node": (_node(HOSTS / "node_server.js"), {"PROTOCOL": "http"}, True),
    "fastify": (_node(OWN / "fastify_server.js"), {}, True),
    "asyncio": (_asyncio, {}, True),
    "uvloop": (_asyncio, {"LOOP": "uvloop"}, True),
    "uvicorn": (_uvicorn, {}, False),
    "redis": (_redis, {}, False),
    "nginx": (_nginx, {}, False),
    "memcached": (_memcached, {}, False),
    "haproxy": (_haproxy, {}, False),
}

# What a kind of server is made of: a program, a module of Python's, a package of npm's.
NEEDS = {"node": "node", "fastify": "fastify", "uvloop": "uvloop", "uvicorn": "uvicorn",
         "redis": "redis-server", "nginx": "nginx", "memcached": "memcached",
         "haproxy": "haproxy"}

# What else a user could take: (name, environment, more arguments).
NODE = [
    ("monitorEventLoopDelay", {}, ["-r", PEERS / "monitor.js"]),
    ("prom-client", {}, ["-r", PEERS / "prom_client.js"]),
    ("blocked-at", {}, ["-r", PEERS / "blocked_at.js"]),
    ("@sentry/node-native", {}, ["-r", PEERS / "sentry_native.js"]),
]
ASYNCIO = [
    ("a task that sleeps 10 ms", {"MONITOR": "1"}, []),
    ("PYTHONASYNCIODEBUG=1", {"PYTHONASYNCIODEBUG": "1"}, []),
]
THREAD = [("a second thread, which sleeps", {"THREAD": "1"}, [])]
FROM_NPM = ("prom-client", "blocked-at", "@sentry/node-native")
STAY_AWAKE = ("node", "fastify")
OTHERS = {"node": NODE, "fastify": NODE,
          "asyncio": ASYNCIO + THREAD, "uvloop": ASYNCIO + THREAD, "uvicorn": ASYNCIO}


def missing(kind, modules):
    """What is not there for this kind of server; None if everything is."""
    needed = NEEDS.get(kind)
    if not needed or _program(needed) or importlib.util.find_spec(needed) \
            or modules and (modules / needed).exists():
        return None
    return needed


class Server:
    """A server under way, as a rule asleep by SIGSTOP but while it is measured."""

    def __init__(self, kind, name, directory, cpu, daemon, modules, env=None, more=()):
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
        self.program = Program(make(port, directory, more), env=environment, cpu=cpu,
                               cwd=directory, preferred=True)
        self.port = self.program.listening() if tells else port
        wait_for(lambda: socket.create_connection(("127.0.0.1", self.port)).close() or True,
                 20, lambda: f"{kind} listens; it says: {self.program.stderr}")
        self.pause()

    def pause(self):
        if self.kind not in STAY_AWAKE:
            os.killpg(self.program.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.program.pid, signal.SIGCONT)

    def stop(self):
        self.resume()
        self.program.stop()

    def pids(self):
        """Its processes: the one that was started, then its workers."""
        pid = self.program.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def _tasks(self):
        for pid in self.pids():
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


def start_all(kind, directory, cpu, daemon, modules, with_others, chance):
    """One server of the kind for each thing to compare, the plain ones first, then the one
    with looplag, then those with what else one could take, if they are wanted. They are
    started in a random order, as it makes a difference."""
    others = OTHERS.get(kind, []) if with_others else []
    things = [(name, {}, []) for name in (PLAIN, AGAIN, PROBE)] \
        + [one for one in others if modules or one[0] not in FROM_NPM]
    servers = {}
    try:
        for name, env, more in chance.sample(things, len(things)):
            servers[name] = Server(kind, name, directory, cpu, daemon, modules, env, more)
    except BaseException:
        for server in servers.values():
            server.stop()
        raise
    return [servers[name] for name, _, _ in things]
