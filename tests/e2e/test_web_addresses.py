# SPDX-License-Identifier: MIT
"""Where looplagd serves: addresses, sockets of systemd, paths; and how much at a time."""

import http.client
import shutil
import socket
import subprocess

import pytest

from certificates import TLS
from clients import curl, refused, trust
from harness import LOOPLAGD, Metrics, free_port, wait_for


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_it_listens_at_all_addresses_that_are_given(start_daemon, made, web):
    port = free_port()
    daemon = start_daemon(f"--web.listen-address=[::1]:{port}",
                          f"--web.config.file={web(TLS)}", tls=made.client())
    daemon.url = f"https://[::1]:{port}"
    assert curl(daemon, *trust(made))[1] == "looplagd is healthy.\n"
    assert daemon.get("/-/healthy")[0] == 200
    assert f"serving https://[::1]:{port}/metrics" in daemon.program.stderr


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd here")
@pytest.mark.parametrize("name", ["http", "metrics.socket"])
def test_systemd_may_hold_the_port(program, made, web, name):
    port = free_port()
    started = program(
        ["systemd-socket-activate", f"--listen=127.0.0.1:{port}", f"--fdname={name}", LOOPLAGD,
         "--web.systemd-socket", f"--web.config.file={web(TLS)}",
         f"--probe.socket={made.directory}/activated.sock"])
    context = made.client()

    def healthy():
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
        try:
            connection.request("GET", "/-/healthy")
            return connection.getresponse().read() == b"looplagd is healthy.\n"
        finally:
            connection.close()

    wait_for(healthy, 15, "it serves")
    assert f"serving https://127.0.0.1:{port}/metrics" in started.stderr
    assert "127.0.0.1:9923" not in started.stderr


def test_without_a_socket_of_systemd_it_says_so(made):
    done = subprocess.run(
        [LOOPLAGD, "--web.systemd-socket", f"--probe.socket={made.directory}/none.sock"],
        capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "systemd has passed on no socket to serve HTTP on" in done.stderr
    assert done.stderr.count("\n") == 1


def test_who_asks_for_too_much_at_a_time_is_sent_away(start_daemon):
    """Requests in one go, each on a connection of its own, while the first ones still wait."""
    daemon = start_daemon("--web.max-requests=3")
    sent_away = []

    def ask_all():
        clients = [socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
                   for _ in range(60)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for client in clients:
            answer = b""
            while part := client.recv(1 << 16):
                answer += part
            client.close()
            if answer.startswith(b"HTTP/1.1 503 "):
                assert b"\r\nRetry-After: 1\r\n" in answer
                assert b"Limit of concurrent requests reached" in answer
                sent_away.append(answer)
            else:
                assert answer.startswith(b"HTTP/1.1 200 ")
        return sent_away

    wait_for(ask_all, 30, "somebody is sent away")
    assert refused(daemon)["busy"] == len(sent_away)
    assert daemon.get("/-/healthy")[0] == 200


def test_the_landing_page_and_its_links(start_daemon):
    daemon = start_daemon("--web.telemetry-path=/somewhere/else")
    status, headers, page = daemon.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "Version" in page and 'href="/somewhere/else"' in page
    assert daemon.get("/metrics")[0] == 404
    assert Metrics(daemon.get("/somewhere/else")[2]).value("looplag_build_info") == 1
