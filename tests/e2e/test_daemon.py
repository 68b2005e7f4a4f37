# SPDX-License-Identifier: MIT
"""looplagd towards its operator: how it starts, what it says when it cannot, what it
serves, and how it ends."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import LOOPLAGD, SANITIZER_REPORT, short_directory, wait_for

pytestmark = pytest.mark.hostile


@pytest.fixture
def directory():
    path = short_directory()
    yield path
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


def refused(*options, status=1, **how):
    """Start looplagd, which must end by itself; return the one line that it says."""
    done = subprocess.run([LOOPLAGD, *map(str, options)], capture_output=True, text=True,
                          timeout=20, check=False, **how)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_port_in_use_is_named_with_the_option_that_mends_it(daemon, directory):
    words = refused("--web.listen-address", daemon.address, "--probe.socket",
                    directory / "s")
    assert daemon.address in words
    assert "Address already in use" in words
    assert "--web.listen-address" in words
    # Nothing is left behind, and the other one serves on.
    assert list(directory.iterdir()) == []
    assert daemon.get("/-/healthy")[0] == 200


def test_a_second_address_in_use_costs_one_line_too(daemon, directory):
    refused("--web.listen-address=127.0.0.1:0", "--web.listen-address", daemon.address,
            "--probe.socket", directory / "s")


def test_a_socket_in_use_is_left_to_the_daemon_that_has_it(daemon):
    words = refused("--web.listen-address=127.0.0.1:0", "--probe.socket", daemon.socket)
    assert str(daemon.socket) in words
    assert "another looplagd" in words
    assert "--probe.socket" in words
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.connect(str(daemon.socket))


def test_a_missing_directory_is_named():
    words = refused("--web.listen-address=127.0.0.1:0",
                    "--probe.socket=/nonexistent/place/s")
    assert "there is no directory /nonexistent/place" in words


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_a_directory_without_permission_is_named(directory):
    words = refused("--web.listen-address=127.0.0.1:0", "--probe.socket",
                    directory / "s", user="nobody")
    assert "Permission denied" in words
    assert str(directory) in words


def test_a_file_that_is_no_socket_is_not_removed(directory):
    (directory / "s").write_text("precious")
    words = refused("--web.listen-address=127.0.0.1:0", "--probe.socket",
                    directory / "s")
    assert "no socket" in words
    assert (directory / "s").read_text() == "precious"


def test_a_host_that_does_not_exist_is_told(directory):
    words = refused("--web.listen-address=256.0.0.1:9923", "--probe.socket",
                    directory / "s")
    assert "256.0.0.1:9923" in words
    assert "no such host" in words


@pytest.mark.parametrize("option,hint", [
    ("--web.listen-adress=:1", "did you mean --web.listen-address?"),
    ("--log.level=loud", "debug, info, warn or error"),
    ("--web.telemetry-path=/-/ready", "is taken"),
    ("--web.listen-address=9923", ":PORT"),
])
def test_a_wrong_option_is_status_2_with_a_hint(option, hint):
    assert hint in refused(option, status=2)


def test_the_socket_of_a_killed_daemon_is_taken_over(program, directory):
    command = [LOOPLAGD, "--web.listen-address=127.0.0.1:0", "--probe.socket",
               directory / "s"]
    first = program(command)
    wait_for(lambda: "is ready" in first.stderr, 10, "the first daemon is ready")
    first.stop(signal.SIGKILL)
    assert (directory / "s").exists()
    second = program(command)
    wait_for(lambda: "is ready" in second.stderr, 10, "the second daemon is ready")
    assert second.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_on_request_and_takes_its_socket_along(start_daemon, number):
    daemon = start_daemon()
    start_daemon.running.remove(daemon)
    assert daemon.socket.exists()
    assert daemon.program.stop(number) == 0
    assert not daemon.socket.exists()
    assert not SANITIZER_REPORT.search(daemon.program.stderr)
    shutil.rmtree(daemon.directory)


def test_hangups_and_broken_pipes_do_not_end_it(daemon):
    daemon.program.send(signal.SIGHUP)
    daemon.program.send(signal.SIGPIPE)
    assert daemon.get("/-/healthy")[0] == 200


def test_a_client_that_leaves_in_the_middle_does_no_harm(daemon):
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", daemon.port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert daemon.get("/-/healthy")[0] == 200


PAGES = {
    "/": "text/html; charset=utf-8",
    "/metrics": "text/plain; version=0.0.4; charset=utf-8",
    "/api/v1/alerts": "application/json",
    "/api/v1/groups": "application/json",
    "/api/v1/histograms": "application/json",
    "/-/healthy": "text/plain; charset=utf-8",
    "/-/ready": "text/plain; charset=utf-8",
}


def request(daemon, text):
    """Send raw bytes; return the whole answer."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as client:
        client.sendall(text.encode())
        answer = b""
        while part := client.recv(65536):
            answer += part
        return answer.decode()


@pytest.mark.parametrize("path", PAGES)
def test_pages_tell_their_type(daemon, path):
    status, headers, body = daemon.get(path)
    assert status == 200
    assert headers["Content-Type"] == PAGES[path]
    assert body.endswith("\n")


@pytest.mark.parametrize("path", PAGES)
def test_head_gives_the_same_without_a_body(daemon, path):
    answer = request(daemon, f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, body = answer.split("\r\n\r\n", 1)
    assert head.startswith("HTTP/1.1 200 ")
    assert f"Content-Type: {PAGES[path]}" in head
    assert re.search(r"Content-Length: [1-9]", head)
    assert body == ""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_with_what_is_allowed(daemon, method):
    answer = request(daemon, f"{method} /metrics HTTP/1.1\r\nHost: x\r\n"
                             "Connection: close\r\nContent-Length: 0\r\n\r\n")
    assert answer.startswith("HTTP/1.1 405 ")
    assert "Allow: GET, HEAD" in answer


@pytest.mark.parametrize("path", ["/metric", "/metrics/", "//metrics", "/%2e%2e/etc/passwd",
                                  "/api/v1", "*"])
def test_an_unknown_path_is_not_found(daemon, path):
    answer = request(daemon, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 404 ") or answer.startswith("HTTP/1.1 400 ")


def test_a_query_does_not_change_the_page(daemon):
    assert daemon.get("/metrics?x=1")[0] == 200


def test_the_landing_page_links_to_everything(start_daemon):
    daemon = start_daemon("--web.telemetry-path=/probe/metrics")
    _, _, body = daemon.get("/")
    for path in ["/probe/metrics", "/api/v1/groups", "/-/healthy", "/-/ready"]:
        assert f'href="{path}"' in body
    assert "Version" in body
    assert daemon.get("/probe/metrics")[0] == 200
    assert daemon.get("/metrics")[0] == 404


def test_headers_and_bodies_are_limited(daemon):
    answer = request(daemon, "GET / HTTP/1.1\r\nX: " + "a" * 100000 + "\r\n\r\n")
    assert answer == "" or answer.startswith("HTTP/1.1 4")
    answer = request(daemon, "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")
    assert answer.startswith("HTTP/1.1 413 ")
    assert daemon.get("/-/healthy")[0] == 200


def test_silent_connections_give_way_to_a_request(daemon):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(1000)]
    try:
        assert daemon.get("/-/healthy", timeout=5)[0] == 200
        wait_for(lambda: daemon.metrics().value("process_open_fds") < 200, 10,
                 "most of the silent connections were closed")
    finally:
        for client in silent:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_left_it_neither_spins_nor_goes_silent(start_daemon):
    daemon = start_daemon()
    opened = int(daemon.metrics().value("process_open_fds"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (opened + 10, opened + 10))
    silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(60)]
    try:
        before = daemon.metrics().value("process_cpu_seconds_total")
        started = time.monotonic()
        wait_for(lambda: "cannot accept" in daemon.program.stderr, 10, "it says so")
        for _ in range(20):
            assert daemon.get("/-/healthy", timeout=5)[0] == 200
        spent = daemon.metrics().value("process_cpu_seconds_total") - before
        assert spent < 0.5 * (time.monotonic() - started) + 0.1
        assert daemon.program.stderr.count("cannot accept") <= 2
    finally:
        for client in silent:
            client.close()


def test_the_groups_are_json_and_know_the_daemon_itself(daemon):
    wait_for(lambda: daemon.loop("looplagd"), 10, "the daemon's own loop")
    _, _, body = daemon.get("/api/v1/groups")
    group = {g["groupname"]: g for g in json.loads(body)["groups"]}["looplagd"]
    assert group["processes"] == 1
    loop = group["loops"][0]
    assert loop["loop"] == "main"
    assert loop["iterations"] > 0
    assert 0 < loop["delay"]["max"] < 5


def test_promtool_finds_nothing_to_say(daemon):
    wait_for(lambda: daemon.loop("looplagd"), 10, "the daemon's own loop")
    _, _, body = daemon.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, text=True,
                          capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_log_lines_are_json_if_asked_for(start_daemon):
    daemon = start_daemon("--log.format=json")
    for line in daemon.program.stderr.splitlines():
        entry = json.loads(line)
        assert set(entry) == {"ts", "level", "component", "msg"}


def test_sockets_from_systemd_are_used_and_not_removed(directory):
    """As systemd hands them over: descriptors from 3 on, with their names."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    probe.bind(str(directory / "given"))
    probe.listen(512)
    http = socket.create_server(("127.0.0.1", 0))
    port = http.getsockname()[1]
    script = ('exec 3<&%d 4<&%d; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=probe:http '
              'exec "$@"' % (probe.fileno(), http.fileno()))
    daemon = subprocess.Popen(
        ["bash", "-c", script, "bash", LOOPLAGD, "--probe.socket", directory / "other"],
        pass_fds=[probe.fileno(), http.fileno()], stderr=subprocess.PIPE, text=True)
    try:
        probe.close()
        http.close()
        assert f"http://127.0.0.1:{port}/metrics" in daemon.stderr.readline()
        assert f"probes register on {directory / 'given'}" in daemon.stderr.readline()
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
            assert b" 200 " in client.recv(4096)
        assert not (directory / "other").exists()
    finally:
        daemon.terminate()
        assert daemon.wait(10) == 0
        daemon.stderr.close()
    assert (directory / "given").exists()


def test_a_wrong_socket_from_systemd_is_named(directory):
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.bind(str(directory / "stream"))
    stream.listen()
    for name in ["probe", "http", "looplagd.socket"]:
        script = ('exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=%s exec "$@"'
                  % (stream.fileno(), name))
        done = subprocess.run(
            ["bash", "-c", script, "bash", LOOPLAGD], pass_fds=[stream.fileno()],
            capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert name in done.stderr
        assert "FileDescriptorName=probe" in done.stderr
    stream.close()
