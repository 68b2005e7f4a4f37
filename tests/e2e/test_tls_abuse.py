# SPDX-License-Identifier: MIT
"""TLS clients that are slow, silent, rude or many: what test_http_abuse.py asks for holds with
handshakes, too. `-s` shows what each cost."""

import contextlib
import ssl
import subprocess
import threading
import time

import pytest

from abuse import descriptors, endure, have_half_a_minute
from clients import Drip, closing, connect, read_all, refused
from crowds import crowd
from harness import SANITIZED, wait_for

CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"
pytestmark = pytest.mark.usefixtures("many_descriptors")


@pytest.fixture
def by_tls(made):
    """What start_daemon and endure need for a daemon with that certificate."""
    def how(name="server", more=""):
        path = made.directory / "web.yml"
        path.write_text(f"tls_server_config: {{cert_file: {name}.crt, key_file: {name}.key"
                        f"{more}}}\n")
        return [f"--web.config.file={path}"], {"tls": made.client("client" if more else None)}
    return how


@pytest.fixture
def endure_by_tls(start_daemon, by_tls):
    """The same as abuse.endure(), by TLS with that certificate."""
    def run(abuse, name="server", more="", crowded=(0, 0)):
        options, how = by_tls(name, more)
        endure(start_daemon, abuse, *options, crowded=crowded, **how)
    return run


def hello(context):
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def wrap(daemon, client):
    return daemon.tls.wrap_socket(client, server_hostname="localhost")


@pytest.mark.quiet
@pytest.mark.parametrize("name,more,groups,loops", [
    ("server", "", 0, 0), ("rsa", "", 0, 0), ("server", "", 100, 4), ("server", "", 100, 20),
    ("server", ", client_ca_file: ca.crt, client_auth_type: RequireAndVerifyClientCert",
     100, 4)])
def test_nobody_but_a_scraper(endure_by_tls, name, more, groups, loops):
    """By a handshake for each scrape."""
    endure_by_tls(lambda daemon: contextlib.nullcontext(), name, more, (groups, loops))


class Scrapers:
    """Four that keep their connections and scrape every second, as Prometheus does."""

    def __init__(self, daemon, count=4, seconds=12):
        self._daemon = daemon
        self._seconds = seconds
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        self.count = 0
        self.errors = []

    def _run(self):
        try:
            with wrap(self._daemon, connect(self._daemon)) as client:
                for _ in range(self._seconds):
                    began = time.monotonic()
                    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                    head = b""
                    while b"\r\n\r\n" not in head:
                        head += client.recv(1 << 16)
                    left = (int(head.split(b"Content-Length: ")[1].split(b"\r")[0])
                            - len(head.split(b"\r\n\r\n", 1)[1]))
                    while left:
                        left -= len(client.recv(1 << 16))
                    self.count += 1
                    time.sleep(max(0, began + 1 - time.monotonic()))
        except Exception as e:  # whatever it was, the test is to tell
            self.errors.append(repr(e))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for thread in self._threads:
            thread.join()
        assert not self.errors, self.errors


@pytest.mark.quiet
@pytest.mark.parametrize("groups,loops", [(0, 0), (200, 3)])
def test_four_scrapers_at_a_second(endure_by_tls, groups, loops):
    endure_by_tls(Scrapers, crowded=(groups, loops))


@pytest.mark.quiet
def test_two_thousand_idle_connections(endure_by_tls):
    @contextlib.contextmanager
    def idle(daemon):
        opened = descriptors(daemon)
        with closing([connect(daemon) for _ in range(2000)]):
            wait_for(lambda: descriptors(daemon) < opened + 165, 10, "most are closed")
            assert refused(daemon)["connections"] >= 1800
            yield

    endure_by_tls(idle)


@pytest.mark.quiet
def test_half_a_handshake_from_many(endure_by_tls):
    @contextlib.contextmanager
    def halves(daemon):
        data = hello(daemon.tls)
        opened = descriptors(daemon)
        clients = []
        with closing(clients):
            for _ in range(600):
                clients.append(connect(daemon))
                with contextlib.suppress(OSError):
                    clients[-1].sendall(data[:len(data) // 2])
            wait_for(lambda: descriptors(daemon) < opened + 165, 10, "most are closed")
            yield

    endure_by_tls(halves)


@pytest.mark.quiet
@pytest.mark.parametrize("name", ["server", "rsa"])
def test_many_handshakes_at_once(endure_by_tls, name):
    """Held back by one byte until all are there; none goes on after the server's answer."""
    @contextlib.contextmanager
    def hellos(daemon):
        for _ in range(5):
            data = hello(daemon.tls)
            with closing([connect(daemon) for _ in range(100)]) as clients:
                for client in clients:
                    client.sendall(data[:-1])
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.sendall(data[-1:])
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.recv(1)
        yield

    endure_by_tls(hellos, name)


@pytest.mark.quiet
def test_garbage_and_plain_requests(endure_by_tls):
    @contextlib.contextmanager
    def garbage(daemon):
        data = hello(daemon.tls)
        broken = bytearray(data)
        broken[60] ^= 0xff
        for _ in range(20):
            for text in (b"GET / HTTP/1.1\r\n" + CLOSE, bytes(5000), b"\x16\x03\x01\xff\xff" * 99,
                         data + data, bytes(broken), data[:5], b"\x15\x03\x01\x00\x02\x02\x28",
                         b"\x80\x2e\x01\x00\x02" + bytes(50), data + bytes(20000)):
                with connect(daemon) as client, contextlib.suppress(OSError):
                    client.sendall(text)
                    client.settimeout(0.005)
                    client.recv(4096)
        assert refused(daemon)["tls"] >= 100
        yield

    endure_by_tls(garbage)


@pytest.mark.quiet
def test_what_is_not_tls_drips(endure_by_tls):
    endure_by_tls(lambda daemon: Drip(daemon, 400, 0.02))


@pytest.mark.hostile
def test_garbage_is_dropped(start_daemon, by_tls):
    """Never a crash; and each kind for itself."""
    options, how = by_tls()
    daemon = start_daemon(*options, **how)
    data = hello(daemon.tls)
    opened = descriptors(daemon)
    for at in range(0, len(data), 7):
        broken = bytearray(data)
        broken[at] ^= 0xff
        with connect(daemon) as client, contextlib.suppress(OSError):
            client.sendall(broken)
            client.settimeout(0.02)
            client.recv(4096)
    assert daemon.get("/-/healthy")[0] == 200
    wait_for(lambda: descriptors(daemon) <= opened + 1, 10, "descriptors are closed")


def test_who_is_slow_with_the_handshake_has_half_a_minute(start_daemon, by_tls):
    """Silent, in the middle of the handshake, or silent after it; one that asks stays."""
    options, how = by_tls()
    daemon = start_daemon(*options, **how)
    data = hello(daemon.tls)
    began = time.monotonic()
    with connect(daemon) as silent, connect(daemon) as half, \
            wrap(daemon, connect(daemon)) as done, wrap(daemon, connect(daemon)) as good:
        half.sendall(data[:100])

        def meanwhile():
            good.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b" is healthy.\n"):
                part = good.recv(4096)
                assert part
                answer += part

        have_half_a_minute({"silent": silent, "half": half, "done": done}, began, meanwhile)
        wait_for(lambda: refused(daemon)["timeout"] == 3, 15, "three were given up")


@pytest.mark.hostile
def test_nobody_renegotiates(start_daemon, made, by_tls):
    options, how = by_tls()
    daemon = start_daemon(*options, **how)
    done = subprocess.run(
        ["openssl", "s_client", "-connect", daemon.address, "-CAfile", made.certificate,
         "-tls1_2", "-state"], input="R\n", capture_output=True, text=True, timeout=30,
        check=False)
    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr
    assert "Secure Renegotiation IS supported" in done.stdout
    assert daemon.get("/-/healthy")[0] == 200


def test_nothing_is_resumed(start_daemon, made, by_tls):
    options, how = by_tls()
    daemon = start_daemon(*options, **how)
    for version in ("-tls1_2", "-tls1_3"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", daemon.address, "-CAfile", made.certificate,
             version, "-reconnect"], input="", capture_output=True, text=True, timeout=30,
            check=False)
        assert "New, TLSv1" in done.stdout
        assert "Reused, TLSv1" not in done.stdout


@pytest.mark.hostile
def test_a_large_page_arrives_whole(start_daemon, by_tls):
    options, how = by_tls()
    daemon = start_daemon(*options, **how)
    crowd(daemon, 50, 10 if SANITIZED else 20)
    for _ in range(3):
        with wrap(daemon, connect(daemon)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + CLOSE)
            head, body = read_all(client).split(b"\r\n\r\n", 1)
            assert f"Content-Length: {len(body)}".encode() in head
            assert len(body) > 2 << 20
