# SPDX-License-Identifier: MIT
"""Machines that are network namespaces, on one bridge, each with an address of its own.

    with Network(10) as network:
        host = network.hosts[3]
        server = Program([*host.wrapper, "node", "server.js"])
        get(host, "http://127.0.0.1:9923/metrics")     # as seen from that machine
        host.cut()
        host.join()

Nothing of it is seen outside: the bridge is in a namespace, too (network.hub), and all are gone
with the processes that hold them."""

import ctypes
import http.client
import os
import shutil
import subprocess
import urllib.parse
from contextlib import contextmanager

from harness import Program

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def why_not():
    """Why this machine cannot do it; None if it can."""
    if os.geteuid() != 0:
        return "namespaces need root"
    missing = [tool for tool in ("ip", "nsenter", "unshare") if not shutil.which(tool)]
    if missing:
        return "not installed: " + ", ".join(missing)
    made = "link add bridge type bridge\nlink add port type veth\n"
    tried = subprocess.run(["unshare", "--net", "ip", "-batch", "-"], input=made, text=True,
                           capture_output=True)
    return f"no bridge here: {tried.stderr.strip()}" if tried.returncode else None


class Namespace:
    """A network namespace with loopback, held by a process that sleeps."""

    def __init__(self, address):
        self.address = address
        self.holder = Program(["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"])
        self.holder.line("ready")
        self.path = f"/proc/{self.holder.pid}/ns/net"
        self.wrapper = ["nsenter", f"--net={self.path}", "--"]
        self.ip("link set lo up")

    def ip(self, *commands):
        done = subprocess.run([*self.wrapper, "ip", "-batch", "-"], text=True,
                              input="\n".join(commands) + "\n", capture_output=True)
        assert done.returncode == 0, (commands, done.stderr)

    @contextmanager
    def entered(self):
        """Sockets that this thread makes are made in there."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            assert _libc.setns(there, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            yield
        finally:
            assert _libc.setns(home, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            os.close(home)
            os.close(there)

    def get(self, url):
        """GET a page from in there: its body."""
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        with self.entered():
            connection.connect()
        try:
            connection.request("GET", url[len(f"http://{parts.netloc}"):])
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise OSError(f"{url}: {answer.status} {body}")
            return body
        finally:
            connection.close()


class Host(Namespace):
    """A machine on the bridge of a hub, behind the port of that number."""

    def __init__(self, hub, number):
        super().__init__(f"10.99.0.{10 + number}")
        self.hub, self.port = hub, f"port{number}"
        hub.ip(f"link add {self.port} type veth peer name eth0 netns {self.holder.pid}",
               f"link set {self.port} master bridge", f"link set {self.port} up")
        self.ip(f"addr add {self.address}/24 dev eth0", "link set eth0 up")

    def cut(self):
        """Pull the cable."""
        self.hub.ip(f"link set {self.port} down")

    def join(self):
        """Put it in again."""
        self.hub.ip(f"link set {self.port} up")


class Network:
    def __init__(self, count):
        self.hosts = []
        self.hub = Namespace("10.99.0.1")
        try:
            self.hub.ip("link add bridge type bridge", "addr add 10.99.0.1/24 dev bridge",
                        "link set bridge up")
            for number in range(count):
                self.hosts.append(Host(self.hub, number))
        except BaseException:
            self.close()
            raise

    def close(self):
        for namespace in [*self.hosts, self.hub]:
            namespace.holder.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
