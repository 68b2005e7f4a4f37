# SPDX-License-Identifier: MIT
"""HTTP clients that are slow, greedy, rude or gone: while they last, and they last, the
daemon's own loop is never late, a good scraper gets what it asks for, and memory and
descriptors stay bounded; afterwards all is as it was."""

import contextlib
import json
import random
import re
import signal
import socket
import time

import pytest

from abuse import MEMORY_LIMIT, descriptors, endure, have_half_a_minute
from clients import Drip, ask, closing, connect, read_all, refused, statuses, whole
from crowds import crowd
from harness import Metrics, wait_for

# What is made and not taken yet is no more than this, and who reads it has so many seconds.
MADE_BYTES, TAKING_SECONDS = 32 << 20, 2
CLOSE = "Host: x\r\nConnection: close\r\n\r\n"
pytestmark = pytest.mark.usefixtures("many_descriptors")


# --- nobody, slow and silent clients ---


@pytest.mark.quiet
@pytest.mark.parametrize("groups,loops", [(0, 0), (100, 4), (100, 20)])
def test_nobody_but_a_scraper(start_daemon, groups, loops):
    endure(start_daemon, lambda daemon: contextlib.nullcontext(), crowded=(groups, loops))


@pytest.mark.quiet
def test_two_thousand_idle_connections(start_daemon):
    @contextlib.contextmanager
    def idle(daemon):
        opened = descriptors(daemon)
        with closing([connect(daemon) for _ in range(2000)]):
            wait_for(lambda: descriptors(daemon) < opened + 165, 5, "most are closed")
            assert refused(daemon)["connections"] >= 1800
            yield

    endure(start_daemon, idle)


@pytest.mark.quiet
def test_requests_that_drip(start_daemon):
    endure(start_daemon, lambda daemon: Drip(daemon, 400, 0.02))


def test_whoever_owes_a_request_or_takes_no_answer_has_half_a_minute(daemon):
    """Whether it is silent, drips, or reads nothing; and one that scrapes stays."""
    crowd(daemon, 60, 30)
    began = time.monotonic()
    with connect(daemon) as silent, connect(daemon) as dripping, \
            connect(daemon, 4096) as deaf, connect(daemon) as good:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

        def meanwhile():
            good.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            assert statuses(good.recv(4096)) == [200]
            with contextlib.suppress(OSError):
                dripping.send(b"G")

        have_half_a_minute({"silent": silent, "dripping": dripping}, began, meanwhile)
        wait_for(lambda: refused(daemon)["timeout"] == 3, 15, "three were given up")
        taken = read_all(deaf)
        assert len(taken) < 8 << 20
        assert taken.startswith(b"HTTP/1.1 200 ")


@pytest.mark.quiet
def test_readers_that_read_nothing(start_daemon):
    """Of one page after the other, each of megabytes; they give way to who asks next, but
    not before they had time to read."""
    @contextlib.contextmanager
    def deaf(daemon):
        clients, asked, answered = [], [], []
        with closing(clients):
            for _ in range(40):
                clients.append(connect(daemon, 4096))
                asked.append(time.monotonic())
                clients[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                assert clients[-1].recv(15) == b"HTTP/1.1 200 OK"
                answered.append(time.monotonic())
            assert refused(daemon)["slow"] > 0
            kept = MADE_BYTES // len(daemon.get("/metrics")[2]) + 1
            assert all(late - early >= TAKING_SECONDS
                       for early, late in zip(asked, answered[kept:]))
            yield

    endure(start_daemon, deaf, crowded=(100, 4), limit=2 * MEMORY_LIMIT)


# --- what is no proper request ---


NONSENSE = {
    "no request": b"\r\n\r\n\r\n\r\n",
    "zeros": bytes(20000),
    "noise": random.Random(1).randbytes(20000),
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(600),
    "a long line": b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
    "a line without an end": b"GET /" + b"a" * 1000000,
    "a long header": b"GET / HTTP/1.1\r\nX: " + b"a" * 100000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
    "headers continued": b"GET / HTTP/1.1\r\nX: y\r\n" + b" z\r\n" * 20000 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: y\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    "a continued nothing": b"GET / HTTP/1.1\r\n y\r\n\r\n",
    "a large body": b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + b"a" * 1000000,
    "a huge length": b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\na",
    "a negative length": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\na",
    "no number": b"POST / HTTP/1.1\r\nContent-Length: 0x10\r\n\r\na",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\naa",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 4\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n",
    "a negative chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "a huge chunk": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"fffffffffffffff\r\n" + b"a" * 100000,
    "chunks without end": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                          + b"1\r\na\r\n" * 20000,
    "no version": b"GET /\r\n\r\n",
    "version 0.9": b"GET / HTTP/0.9\r\n\r\n",
    "version 9.9": b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
    "no URL": b"GET  HTTP/1.1\r\n\r\n",
    "a URL with a NUL": b"GET /-/healthy\0 HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a URL with a line feed": b"GET /\nX: y HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a header with a NUL": b"GET / HTTP/1.1\r\nX: \0y\r\nConnection: close\r\n\r\n",
    "a header with a carriage return": b"GET / HTTP/1.1\r\nX: \rSet-Cookie: y\r\n"
                                       b"Connection: close\r\n\r\n",
    "injected lines": b"GET /api/v1/stalls?group=a%0d%0aSet-Cookie:%20y HTTP/1.1\r\n"
                      b"Connection: close\r\n\r\n",
    "an injected query": b"GET /api/v1/stalls?x%0d%0aSet-Cookie:%20y HTTP/1.1\r\n"
                         b"Connection: close\r\n\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a small method": b"get / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a proxy's request": b"GET http://127.0.0.1:1/ HTTP/1.1\r\nConnection: close\r\n\r\n",
    "half an expectation": b"POST / HTTP/1.1\r\nExpect: 200-maybe\r\nContent-Length: 1\r\n\r\na",
    "a hundred ranges": b"GET / HTTP/1.1\r\nRange: bytes=" + b"0-1," * 1000
                        + b"\r\nConnection: close\r\n\r\n",
    "an upgrade": b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n",
    "version 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.hostile
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_or_dropped(daemon, name):
    """Never a crash, never a line of the sender's in the answer, never half a body."""
    answer = ask(daemon, NONSENSE[name], half_close=True)
    for status in statuses(answer):
        assert status in (100, 200, 400, 404, 405, 413, 417, 501), answer[:200]
    assert b"Set-Cookie" not in answer.split(b"\r\n\r\n")[0]
    assert daemon.get("/-/healthy")[0] == 200


@pytest.mark.quiet
def test_a_storm_of_nonsense(start_daemon):
    @contextlib.contextmanager
    def storm(daemon):
        for _ in range(10):
            for data in NONSENSE.values():
                with connect(daemon) as client, contextlib.suppress(OSError):
                    client.sendall(data)
        yield

    endure(start_daemon, storm)


@pytest.mark.hostile
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE",
                                    "PATCH", "CONNECT", "BREW"])
def test_each_method_gets_its_answer(daemon, method):
    if method == "CONNECT":  # which libevent keeps open for what is to follow
        with connect(daemon) as client:
            client.sendall(f"CONNECT 127.0.0.1:22 HTTP/1.1\r\n{CLOSE}".encode())
            assert statuses(client.recv(4096)) == [405]
        return
    answer = ask(daemon, f"{method} /metrics HTTP/1.1\r\n{CLOSE}")
    if method == "GET":
        assert statuses(answer) == [200]
        Metrics(whole(answer).decode())
    elif method == "HEAD":
        assert statuses(answer) == [200]
        assert re.search(rb"Content-Length: [1-9]", answer)
        assert answer.endswith(b"\r\n\r\n")
    elif method == "BREW":
        assert statuses(answer) == [501]
    else:
        assert statuses(answer) == [405]
        assert b"\r\nAllow: GET, HEAD\r\n" in answer


# --- connections ---


@pytest.mark.hostile
@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/api/v1/groups", "/nothing"])
def test_who_closes_one_half_still_gets_the_answer(daemon, path):
    for _ in range(20):
        answer = ask(daemon, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n", half_close=True)
        assert statuses(answer) == [404 if path == "/nothing" else 200]
        assert whole(answer)


def test_who_closes_one_half_gets_a_large_answer_too(daemon):
    crowd(daemon, 50, 20)
    answer = ask(daemon, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", half_close=True)
    assert len(whole(answer)) > 5 << 20


@pytest.mark.hostile
def test_half_a_request_is_dropped(daemon):
    opened = descriptors(daemon)
    for data in ["GET /metr", "GET /metrics HTTP/1.1\r\nHost: x\r\n",
                 "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345"]:
        assert ask(daemon, data, half_close=True) == b""
    assert descriptors(daemon) <= opened + 1


@pytest.mark.hostile
def test_requests_in_one_go_are_answered_in_order(daemon):
    paths = ["/-/healthy", "/-/ready", "/metrics", "/nothing", "/api/v1/stalls"] * 20
    text = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
    answer = ask(daemon, text + f"GET /-/healthy HTTP/1.1\r\n{CLOSE}")
    assert statuses(answer) == [200, 200, 200, 404, 200] * 20 + [200]


@pytest.mark.quiet
def test_requests_without_end_and_no_reading(start_daemon):
    @contextlib.contextmanager
    def flood(daemon):
        with closing([connect(daemon, 4096) for _ in range(50)]) as clients:
            text = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 10000
            for client in clients:
                client.settimeout(0.01)
                with contextlib.suppress(TimeoutError):
                    while True:
                        client.sendall(text)
            yield

    endure(start_daemon, flood)


@pytest.mark.parametrize("version,header,kept", [
    ("1.0", "", False), ("1.0", "Connection: keep-alive\r\n", True),
    ("1.1", "", True), ("1.1", "Connection: close\r\n", False)])
def test_a_connection_is_kept_as_its_client_wants_it(daemon, version, header, kept):
    with connect(daemon) as client:
        for _ in range(3):
            client.sendall(f"GET /-/healthy HTTP/{version}\r\nHost: x\r\n{header}\r\n".encode())
            answer = client.recv(4096)
            assert statuses(answer) == [200]
            assert whole(answer) == b"looplagd is healthy.\n"
            if not kept:
                assert client.recv(1) == b""
                return


@pytest.mark.quiet
def test_a_hundred_scrapers_at_once(start_daemon):
    """All get a whole page, of their own time, and share the work."""
    @contextlib.contextmanager
    def scrapers(daemon):
        for _ in range(3):
            now = time.time()
            with closing([connect(daemon) for _ in range(100)]) as clients:
                for client in clients:
                    client.sendall(f"GET /metrics HTTP/1.1\r\n{CLOSE}".encode())
                bodies = [whole(read_all(client)) for client in clients]
            assert len({len(body) for body in bodies}) < 50
            for body in {*bodies}:
                assert body.endswith(b"\n") and b"\nprocess_threads " in body
            print(f"100 scrapes of {len(bodies[0]) >> 10} KiB: {time.time() - now:.2f} s")
        yield

    endure(start_daemon, scrapers, "--web.max-requests=0", crowded=(50, 8),
           limit=2 * MEMORY_LIMIT)


@pytest.mark.quiet
def test_ten_readers_of_a_thousand_stalls(start_daemon):
    @contextlib.contextmanager
    def readers(daemon):
        wait_for(lambda: len(json.loads(daemon.get("/api/v1/stalls")[2])["stalls"]) == 1000, 20,
                 "a thousand stalls")
        for turn in range(5):
            with closing([connect(daemon) for _ in range(10)]) as clients:
                for number, client in enumerate(clients):
                    query = f"?since={number}" if turn % 2 else ""
                    client.sendall(f"GET /api/v1/stalls{query} HTTP/1.1\r\n{CLOSE}".encode())
                for client in clients:
                    answer = read_all(client)
                    assert statuses(answer)[0] in ((200, 503) if turn % 2 else (200,))
                    if statuses(answer) == [503]:
                        assert b"\r\nRetry-After: " in answer
                    else:
                        assert len(json.loads(whole(answer))["stalls"]) > 900
        yield

    endure(start_daemon, readers, crowded=(2, 32, 20))


# --- descriptors, and the end ---


def test_connections_never_take_the_descriptors_of_targets(start_daemon):
    daemon = start_daemon(wrapper=["prlimit", "--nofile=256:256"])
    with closing([connect(daemon) for _ in range(500)]):
        crowd(daemon, 30, 1)
        assert "cannot accept" not in daemon.program.stderr
        assert daemon.metrics().sum("looplag_rejected_segments_total") == 0


def test_what_was_asked_for_is_answered_before_the_end(start_daemon):
    daemon = start_daemon()
    start_daemon.running.remove(daemon)
    crowd(daemon, 50, 8)
    with closing([connect(daemon) for _ in range(10)]) as clients, \
            connect(daemon) as idle:
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        daemon.get("/-/healthy")  # they are on their way
        daemon.program.send(signal.SIGTERM)
        for client in clients:
            assert len(whole(read_all(client))) > 2 << 20
        assert read_all(idle) == b""
    assert daemon.program.wait(10) == 0
    daemon.program.stop()


def is_served(daemon):
    """Whether a request is answered with 200."""
    with socket.socket() as client:
        client.settimeout(0.3)
        with contextlib.suppress(OSError):
            client.connect(("127.0.0.1", daemon.port))
            client.sendall(f"GET /-/healthy HTTP/1.1\r\n{CLOSE}".encode())
            return statuses(client.recv(4096)) == [200]
    return False


def test_who_takes_no_answer_does_not_keep_it_from_ending(start_daemon):
    daemon = start_daemon()
    start_daemon.running.remove(daemon)
    crowd(daemon, 100, 10)
    with connect(daemon, 4096) as deaf, connect(daemon) as late:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert deaf.recv(15) == b"HTTP/1.1 200 OK"
        daemon.program.send(signal.SIGTERM)
        wait_for(lambda: not is_served(daemon), 4, "it accepts nobody")
        late.sendall(b"GET /api/v1/groups HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(read_all(late)) == [503]
        assert daemon.program.wait(15) == 0
    daemon.program.stop()


def test_a_second_signal_ends_it_at_once(start_daemon):
    daemon = start_daemon()
    start_daemon.running.remove(daemon)
    crowd(daemon, 100, 10)
    with connect(daemon, 4096) as deaf:
        deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert deaf.recv(15) == b"HTTP/1.1 200 OK"
        for wanted in range(2):
            daemon.program.send(signal.SIGTERM)
            if not wanted:
                wait_for(lambda: not is_served(daemon), 3, "it accepts nobody")
        began = time.monotonic()
        assert daemon.program.wait(10) == 0
        assert time.monotonic() - began < 1.5
    daemon.program.stop()
