# SPDX-License-Identifier: MIT
"""Who may ask a looplagd with a --web.config.file: who has the wrong certificate or password is
told so once and clearly, and keeps nobody else from asking. Also how looplag and Prometheus
ask."""

import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import threading
import time

import pytest

from certificates import LOGIN, MUTUAL, PASSWORD, SERVER, TLS, USERS, bcrypt
from clients import curl, refused, show, trust
from harness import LOOPLAG, wait_for
from prometheus import Prometheus


def test_a_user_needs_the_right_password_for_every_page(start_daemon, web):
    daemon = start_daemon(f"--web.config.file={web(USERS)}", login=LOGIN)
    for path in ("/", "/metrics", "/-/healthy", "/api/v1/groups", "/nothing"):
        for login in ([], ["-u", "alice:wrong"], ["-u", f"bob:{PASSWORD}"], ["-u", "alice:"],
                      ["-u", ":"]):
            status, answer, _ = curl(daemon, "-i", *login, path=path)
            assert status == 0
            assert answer.startswith("HTTP/1.1 401 Unauthorized\n")
            assert "\nWWW-Authenticate: Basic\n" in answer
            assert answer.endswith("\n\nUnauthorized\n")
    status, answer, _ = curl(daemon, "-u", LOGIN)
    assert (status, answer) == (0, "looplagd is healthy.\n")
    assert refused(daemon)["unauthorized"] >= 25
    assert PASSWORD not in daemon.program.stderr


def test_an_unknown_user_takes_as_long_as_a_wrong_password(start_daemon, web):
    """The middle of many, alternately: what else goes on meets both."""
    daemon = start_daemon(f"--web.config.file={web(USERS)}", login=LOGIN)
    daemon.get("/-/healthy")

    def took(login):
        daemon.login, before = login, daemon.login
        began = time.monotonic()
        assert daemon.get("/-/healthy")[0] == 401
        daemon.login = before
        return time.monotonic() - began

    for _ in range(3):
        wrong, unknown = zip(*((took("alice:x"), took("bob:x")) for _ in range(40)))
        ratio = statistics.median(unknown) / statistics.median(wrong)
        print(f"wrong password {statistics.median(wrong) * 1e3:.2f} ms, unknown user "
              f"{statistics.median(unknown) * 1e3:.2f} ms")
        # That it is the hash which takes the time.
        assert min(*wrong, *unknown) > 0.003
        if 0.9 < ratio < 1.1:
            return
    pytest.fail(f"an unknown user takes {ratio} times as long")


def test_the_right_password_is_compared_once(start_daemon, web):
    path = web(f"basic_auth_users: {{alice: {bcrypt(PASSWORD, 13)}}}\n")
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN)

    def took(login):
        began = time.monotonic()
        curl(daemon, "-u", login)
        return time.monotonic() - began

    assert min(took(LOGIN) for _ in range(5)) < took("alice:wrong") / 2


def test_passwords_never_keep_the_loop_from_its_work(start_daemon, web):
    """Each takes a third of a second; wait for many of them, and for nothing else. Where asking
    takes so long that some are seen to meanwhile, more of them find room: ask again then."""
    path = web(f"basic_auth_users: {{alice: {bcrypt(PASSWORD, 13)}}}\n")
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN, preferred=True)
    daemon.get("/-/healthy")

    def ask(done):
        try:
            answer = daemon.get("/-/healthy", timeout=60,
                                headers={"Authorization": "Basic Ym9iOng="})
            done.append((answer[0], "Retry-After" in answer[1]))
        except OSError as e:
            done.append(repr(e))

    for _ in range(3):
        done = []
        threads = [threading.Thread(target=ask, args=[done]) for _ in range(40)]
        for thread in threads:
            thread.start()
        wait_for(lambda: (503, True) in done, 20, "who comes too late is told to come again")
        assert daemon.get("/-/healthy", timeout=5)[0] == 200  # and who is known does not wait
        assert daemon.loop("looplagd")["delay"]["max"] < 0.2
        for thread in threads:
            thread.join()
        assert set(done) == {(401, False), (503, True)}
        if done.count((401, False)) <= 33:
            break
    assert 30 <= done.count((401, False)) <= 33


def test_who_waits_for_his_password_at_the_end_is_answered(start_daemon, web):
    path = web(f"basic_auth_users: {{alice: {bcrypt(PASSWORD, 13)}}}\n")
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN)
    start_daemon.running.remove(daemon)
    request = "GET /-/healthy HTTP/1.1\r\nHost: x\r\nAuthorization: Basic Ym9iOng=\r\n\r\n"
    clients = [socket.create_connection(("127.0.0.1", daemon.port), timeout=10)
               for _ in range(2)]
    for client in clients:
        client.sendall(request.encode())
    assert clients[0].recv(4096).startswith(b"HTTP/1.1 401 ")
    daemon.program.send(signal.SIGTERM)
    assert clients[1].recv(4096).startswith(b"HTTP/1.1 401 ")
    for client in clients:
        client.close()
    assert daemon.program.wait(10) == 0
    shutil.rmtree(daemon.directory)


def test_tls_is_spoken_and_nothing_else(start_daemon, made, web):
    daemon = start_daemon(f"--web.config.file={web(TLS)}", tls=made.client())
    assert f"serving https://{daemon.address}/metrics" in daemon.program.stderr
    status, answer, _ = curl(daemon, *trust(made))
    assert (status, answer) == (0, "looplagd is healthy.\n")
    # Who does not trust us says so, and we say whom it was.
    assert "self-signed certificate" in curl(daemon)[2] or "certificate" in curl(daemon)[2]
    assert curl(daemon, *trust(made), "--tls-max", "1.1")[0] == 35
    assert curl(daemon, *trust(made), "--http2")[0] == 0
    plain = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    with pytest.raises((http.client.HTTPException, OSError)):
        plain.request("GET", "/-/healthy")
        plain.getresponse()
    assert refused(daemon)["tls"] >= 3
    assert "no TLS connection with 127.0.0.1:" in daemon.program.stderr


@pytest.mark.parametrize("settings,options,works", [
    ("min_version: TLS13", ["--tls-max", "1.2"], False),
    ("min_version: TLS13", ["--tlsv1.3"], True),
    ("max_version: TLS12", ["--tlsv1.3"], False),
    ("max_version: TLS12", ["--tlsv1.2"], True),
    ("min_version: TLS10", ["--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0"], True),
    ("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
     ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"], False),
    ("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]",
     ["--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"], True),
    ("cipher_suites: [TLS_AES_128_GCM_SHA256]", ["--tls-max", "1.2"], False),
    ("cipher_suites: [TLS_AES_128_GCM_SHA256]", ["--tlsv1.3"], True),
    ("curve_preferences: [CurveP384]", ["--curves", "X25519"], False),
    ("curve_preferences: [CurveP384]", ["--curves", "P-384"], True),
])
def test_versions_ciphers_and_curves_are_what_the_file_says(start_daemon, made, web, settings,
                                                            options, works):
    path = web(f"tls_server_config: {{{SERVER}, {settings}}}")
    daemon = start_daemon(f"--web.config.file={path}", tls=made.client())
    status, answer, said = curl(daemon, *trust(made), *options)
    assert (answer == "looplagd is healthy.\n") == works, said
    assert status == (0 if works else 35)


def alert(daemon, context):
    """What we tell a client that is not to be let in; it waits for that."""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as raw:
        with pytest.raises(ssl.SSLError) as refusal:
            with context.wrap_socket(raw, server_hostname="localhost") as client:
                client.recv(1)
        return refusal.value.reason


@pytest.mark.parametrize("version,none", [
    (ssl.TLSVersion.TLSv1_3, "TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    (ssl.TLSVersion.TLSv1_2, "SSLV3_ALERT_HANDSHAKE_FAILURE")])
def test_only_known_clients_are_let_in(start_daemon, made, web, version, none):
    """By both versions, as clients hear of it at different times there."""
    path = web(MUTUAL)
    known = made.client("client", maximum_version=version)
    for name, ours, theirs in [
            ("expired", "certificate has expired", "SSLV3_ALERT_CERTIFICATE_EXPIRED"),
            ("stranger", "unable to get local issuer certificate", "TLSV1_ALERT_UNKNOWN_CA"),
            (None, "peer did not return a certificate", none)]:
        daemon = start_daemon(f"--web.config.file={path}", tls=known)
        before = refused(daemon)["tls"]
        for _ in range(3):
            assert alert(daemon, made.client(name, maximum_version=version)) == theirs
        assert refused(daemon)["tls"] == before + 3
        # At most one line in ten seconds.
        (line,) = [line for line in daemon.program.stderr.splitlines() if "TLS conn" in line]
        assert re.search(r'msg="no TLS connection with 127\.0\.0\.1:\d+: ' + ours + '"$', line)
        status, answer, said = curl(daemon, *trust(made), *(show(made, name) if name else ()))
        assert (bool(status), answer) == (True, ""), said


def test_other_ways_to_ask_clients(start_daemon, made, web):
    """Which are let in: with no certificate, a stranger's, one of ours, one that has expired."""
    ways = {
        "NoClientCert": "yyyy", "RequestClientCert": "yyyy", "RequireAnyClientCert": "nyyy",
        "VerifyClientCertIfGiven": "ynyn", "RequireAndVerifyClientCert": "nnyn",
    }
    for way, expected in ways.items():
        ca = ", client_ca_file: ca.crt" if "Verify" in way else ""
        path = web(f"tls_server_config: {{{SERVER}{ca}, client_auth_type: {way}}}")
        daemon = start_daemon(f"--web.config.file={path}", tls=made.client("client"))
        seen = "".join(
            "y" if curl(daemon, *trust(made), *shown)[1] else "n"
            for shown in ([], show(made, "stranger"), show(made, "client"),
                          show(made, "expired")))
        assert (way, seen) == (way, expected)


def test_headers_are_sent_with_every_answer(start_daemon, web):
    path = web("http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
               "    Strict-Transport-Security: max-age=31536000\n"
               "    X-Content-Type-Options: nosniff\n" + USERS)
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN)
    for path, login, status in (("/metrics", LOGIN, 200), ("/nothing", LOGIN, 404),
                                ("/", "x:y", 401), ("/", None, 401)):
        daemon.login = login
        answer = daemon.get(path)
        assert answer[0] == status
        assert answer[1].get_all("X-Frame-Options") == ["deny"]
        assert answer[1].get_all("Strict-Transport-Security") == ["max-age=31536000"]
        assert answer[1].get_all("X-Content-Type-Options") == ["nosniff"]
    daemon.login = LOGIN


def test_looplag_asks_by_tls_as_a_user(start_daemon, made, web, scratch):
    daemon = start_daemon(f"--web.config.file={web(TLS + USERS)}", tls=made.client(),
                          login=LOGIN)
    netrc = scratch / ".netrc"

    def stalls(**env):
        done = subprocess.run([LOOPLAG, "stalls", "--json", "--url", daemon.url],
                              env=dict(os.environ, HOME=str(scratch), **env),
                              capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stderr

    trusted = {"SSL_CERT_FILE": str(made.certificate)}
    assert "certificate" in stalls()[1]
    assert "it answers with HTTP status 401" in stalls(**trusted)[1]
    netrc.write_text(f'machine 127.0.0.1 login alice password "{PASSWORD}"\n')
    assert stalls(**trusted) == (0, "")


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")
def test_prometheus_scrapes_by_tls_with_a_certificate_and_a_password(start_daemon, made, web):
    daemon = start_daemon(f"--web.config.file={web(MUTUAL + USERS)}",
                          tls=made.client("client"), login=LOGIN)

    def settings(name, password):
        return (f"scheme: https, tls_config: {{ca_file: {made.certificate}, "
                f"cert_file: {made.directory}/{name}.crt, "
                f"key_file: {made.directory}/{name}.key}}, "
                f"basic_auth: {{username: alice, password: '{password}'}}")

    for name, password, error in [
            ("client", PASSWORD, ""),
            ("client", "wrong", "server returned HTTP status 401 Unauthorized"),
            ("expired", PASSWORD, "tls: expired certificate"),
            ("stranger", PASSWORD, "tls: unknown certificate authority")]:
        prometheus = Prometheus(daemon.address, settings=settings(name, password))
        try:
            def target():
                (found,) = prometheus.api("targets")["activeTargets"]
                return found if found["health"] != "unknown" else None
            found = wait_for(target, 30, "Prometheus has tried")
            if error:
                assert found["health"] == "down"
                assert error in found["lastError"], found["lastError"]
            else:
                assert (found["health"], found["lastError"]) == ("up", "")
                wait_for(lambda: prometheus.query("looplag_build_info") == 1, 20, "a metric")
        finally:
            prometheus.stop()
