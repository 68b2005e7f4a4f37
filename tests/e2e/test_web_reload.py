# SPDX-License-Identifier: MIT
"""Files of looplagd that change while it serves: what is in use stays in use while a file is
broken. When they are looked at: as somebody comes, by a signal, by /-/reload."""

import http.client
import os
import shutil
import signal
import socket
import time

import pytest

from certificates import LOGIN, USERS, bcrypt
from clients import curl
from harness import wait_for

SUCCESSFUL = "looplag_web_config_last_reload_successful"


def says(daemon, words, count=1):
    wait_for(lambda: daemon.program.stderr.count(words) >= count, 10, words)
    assert daemon.program.stderr.count(words) == count


def serial(daemon, context):
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as client:
        return client.getpeercert()["serialNumber"]


@pytest.fixture
def own(made, web):
    """A pair of files of the test's own, that are served."""
    for name in ("crt", "key"):
        shutil.copy(made.directory / f"server.{name}", made.directory / f"own.{name}")
    yield web("tls_server_config: {cert_file: own.crt, key_file: own.key}\n")
    for name in ("crt", "key"):
        (made.directory / f"own.{name}").unlink(missing_ok=True)


def replace(made, name):
    for kind in ("crt", "key"):
        shutil.copy(made.directory / f"{name}.{kind}", made.directory / "new")
        os.rename(made.directory / "new", made.directory / f"own.{kind}")


def test_a_new_certificate_is_served_to_the_next_who_comes(start_daemon, made, own):
    daemon = start_daemon(f"--web.config.file={own}", tls=made.client())
    first = serial(daemon, daemon.tls)
    kept = http.client.HTTPSConnection("127.0.0.1", daemon.port, timeout=10,
                                       context=daemon.tls)
    kept.request("GET", "/-/healthy")
    kept.getresponse().read()
    replace(made, "other")
    assert serial(daemon, daemon.tls) != first
    says(daemon, f"loaded {own} and its certificates again")
    kept.request("GET", "/-/healthy")  # and who is there stays
    assert kept.getresponse().read() == b"looplagd is healthy.\n"
    kept.close()


@pytest.mark.parametrize("breakage,expected", [
    ("a key of another", "does not belong to the certificate"),
    ("half a certificate", "own.crt cannot be used"),
    ("no key", "own.key cannot be read: No such file or directory"),
    ("a bad file", "unknown key 'x' in the web configuration"),
    ("no file", "cannot be read: No such file or directory"),
])
def test_what_is_broken_is_told_once_and_what_was_there_is_served(start_daemon, made, own,
                                                                  breakage, expected):
    daemon = start_daemon(f"--web.config.file={own}", tls=made.client())
    first = serial(daemon, daemon.tls)
    good = own.read_text()
    if breakage == "a key of another":
        shutil.copy(made.directory / "other.key", made.directory / "own.key")
    elif breakage == "half a certificate":
        text = (made.directory / "server.crt").read_text()
        (made.directory / "own.crt").write_text(text[:len(text) // 2])
    elif breakage == "no key":
        (made.directory / "own.key").unlink()
    elif breakage == "a bad file":
        own.write_text(good + "x: y\n")
    else:
        own.unlink()
    for _ in range(5):
        assert serial(daemon, daemon.tls) == first
        assert daemon.metrics().value(SUCCESSFUL) == 0
    says(daemon, expected)
    says(daemon, "keeping the web configuration and the certificates that are in use")
    own.write_text(good)
    replace(made, "other")
    wait_for(lambda: serial(daemon, daemon.tls) != first, 10, "the new one is served")
    assert daemon.metrics().value(SUCCESSFUL) == 1
    assert daemon.metrics().value("looplag_web_config_last_reload_success_timestamp_seconds") \
        == pytest.approx(time.time(), abs=60)


def test_a_certificate_that_a_new_file_names_may_come_later(start_daemon, made, own):
    daemon = start_daemon(f"--web.config.file={own}", tls=made.client())
    first = serial(daemon, daemon.tls)
    late = [made.directory / f"late.{kind}" for kind in ("crt", "key")]
    own.write_text("tls_server_config: {cert_file: late.crt, key_file: late.key}\n")
    assert serial(daemon, daemon.tls) == first
    says(daemon, "late.crt cannot be read")
    for path in late:
        shutil.copy(made.directory / f"other.{path.suffix[1:]}", path)
    wait_for(lambda: serial(daemon, daemon.tls) != first, 10, "the new one is served")
    for path in late:
        path.unlink()


def test_users_come_and_go_while_it_serves(start_daemon, web):
    path = web(USERS)
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN)
    assert curl(daemon, "-u", LOGIN)[1]
    path.write_text(f"basic_auth_users: {{alice: {bcrypt('new')}, bob: {bcrypt('b')}}}\n")
    assert "Unauthorized" in curl(daemon, "-u", LOGIN)[1]
    assert "healthy" in curl(daemon, "-u", "alice:new")[1]
    assert "healthy" in curl(daemon, "-u", "bob:b")[1]
    path.write_text("basic_auth_users: {alice: secret}\n")
    assert "healthy" in curl(daemon, "-u", "bob:b")[1]
    says(daemon, "expected a bcrypt hash")
    assert "secret" not in daemon.program.stderr
    path.write_text("")
    assert "healthy" in curl(daemon)[1]


def test_a_signal_has_it_looked_at_too(start_daemon, made, own):
    daemon = start_daemon(f"--web.config.file={own}", tls=made.client())
    own.write_text("x: y\n")
    daemon.program.send(signal.SIGHUP)
    says(daemon, "unknown key 'x' in the web configuration")
    own.write_text("")
    daemon.program.send(signal.SIGHUP)
    says(daemon, f"loaded {own} and its certificates again")
    daemon.tls = None
    assert daemon.get("/-/healthy")[0] == 200


def post(daemon, path, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def test_a_reload_may_be_asked_for_if_that_is_allowed(start_daemon, made, web):
    closed = start_daemon()
    assert post(closed, "/-/reload")[0] == 403
    assert "Lifecycle API is not enabled" in post(closed, "/-/reload", "PUT")[2]
    config, access = web("threshold: 50ms\n"), web("")
    daemon = start_daemon("--web.enable-lifecycle", f"--config.file={config}",
                          f"--web.config.file={access}")
    for method in ("POST", "PUT"):
        assert post(daemon, "/-/reload", method)[0] == 200
    status, headers, _ = daemon.get("/-/reload")
    assert (status, headers["Allow"]) == (405, "POST, PUT")
    assert post(daemon, "/metrics")[0] == 405
    says(daemon, f"loaded {config} again", 2)
    config.write_text("treshold: 50ms\n")
    status, _, words = post(daemon, "/-/reload")
    assert status == 500 and words.startswith("failed to reload config")
    says(daemon, "did you mean threshold?")
    config.write_text("threshold: 50ms\n")
    access.write_text("x: y\n")
    assert post(daemon, "/-/reload")[0] == 500
    access.write_text("")
    assert post(daemon, "/-/reload")[0] == 200
