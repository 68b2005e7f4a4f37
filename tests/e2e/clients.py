# SPDX-License-Identifier: MIT
"""Clients of looplagd's HTTP server: curl, and others that need not be as polite."""

import contextlib
import re
import socket
import subprocess
import threading

IN_TIME = 5


def curl(daemon, *options, path="/-/healthy"):
    """Its exit status, what it printed, and what it said."""
    done = subprocess.run(["curl", "-sS", "--max-time", "10", *map(str, options),
                           daemon.url + path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def trust(made, *more):
    """What curl needs to trust them."""
    return ["--cacert", made.certificate, *more]


def show(made, name):
    return ["--cert", made.directory / f"{name}.crt", "--key", made.directory / f"{name}.key"]


def refused(daemon):
    """How much it has not answered, by reason."""
    return {labels["reason"]: value for labels, value in
            daemon.metrics().series("looplag_http_refused_total")}


def connect(daemon, receive_bytes=None):
    client = socket.socket()
    client.settimeout(IN_TIME)
    if receive_bytes:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.connect(("127.0.0.1", daemon.port))
    return client


def read_all(client):
    """All until the end of the stream; a reset is one, too."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            answer += part
    return answer


def ask(daemon, data, half_close=False):
    """Send raw bytes; return all that comes."""
    with connect(daemon) as client:
        with contextlib.suppress(OSError):  # it may have been refused before its end
            client.sendall(data if isinstance(data, bytes) else data.encode())
            if half_close:
                client.shutdown(socket.SHUT_WR)
        return read_all(client)


def statuses(answer):
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.M)]


def whole(answer):
    """The body of the only answer, which is as long as its header says."""
    head, body = answer.split(b"\r\n\r\n", 1)
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])
    return body


@contextlib.contextmanager
def closing(clients):
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


class Drip:
    """Clients that send a header, a byte at a time."""

    def __init__(self, daemon, count, pause):
        self._clients = [connect(daemon) for _ in range(count)]
        self._pause = pause
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.ended = 0

    def _run(self):
        text = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 10000
        for at in range(len(text)):
            for client in self._clients:
                try:
                    client.send(text[at:at + 1])
                except OSError:
                    self.ended += 1
            if self._end.wait(self._pause):
                break

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        for client in self._clients:
            client.close()
