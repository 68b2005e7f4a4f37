# SPDX-License-Identifier: MIT
"""--web.config.file: it takes no file that promtool refuses; who has the wrong certificate or
password is told so once and clearly; and what is in use stays in use while a file is broken.
Also the other options of that kind: addresses, sockets of systemd, limits, /-/reload."""

import http.client
import json
import os
import random
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

from certificates import Authority, bcrypt, openssl
from harness import LOOPLAG, LOOPLAGD, SOURCE, Metrics, free_port, short_directory, wait_for
from prometheus import Prometheus

PASSWORD = "correct horse"
HASH = bcrypt(PASSWORD)
LOGIN = f"alice:{PASSWORD}"
SUCCESSFUL = "looplag_web_config_last_reload_successful"

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here")


@pytest.fixture(scope="module")
def made():
    """Certificates of all kinds, made once."""
    directory = short_directory()
    authority = Authority(directory)
    authority.issue("server")
    authority.issue("rsa", kind="2048")
    authority.issue("ed25519", kind="ED25519")
    authority.issue("other")
    authority.issue("client")
    authority.issue("expired", days=-1)
    stranger = Authority(directory, "stranger-ca")
    stranger.issue("stranger")
    openssl("ec", "-in", directory / "server.key", "-aes256", "-passout", "pass:x", "-out",
            directory / "locked.key")
    (directory / "empty.crt").write_text("")
    (directory / "garbage.crt").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (directory / "chain.crt").write_text((directory / "server.crt").read_text()
                                         + (directory / "ca.crt").read_text())
    yield authority
    shutil.rmtree(directory)


@pytest.fixture
def web(made):
    """web(text): the path of a file with that text, beside the certificates."""
    paths = []

    def write(text):
        path = made.directory / f"web-{len(paths)}.yml"
        path.write_text(text)
        paths.append(path)
        return path

    yield write
    for path in paths:
        path.unlink(missing_ok=True)


SERVER = "cert_file: server.crt, key_file: server.key"
TLS = f"tls_server_config: {{{SERVER}}}\n"
MUTUAL = (f"tls_server_config: {{{SERVER}, client_ca_file: ca.crt, "
          "client_auth_type: RequireAndVerifyClientCert}\n")
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"


# --- what is accepted ---

GOOD = {
    "nothing": "",
    "a comment": "# nothing\n",
    "empty sections": "tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n",
    "a certificate": TLS,
    "an RSA key": "tls_server_config: {cert_file: rsa.crt, key_file: rsa.key}",
    "an Ed25519 key": "tls_server_config: {cert_file: ed25519.crt, key_file: ed25519.key}",
    "a chain": "tls_server_config: {cert_file: chain.crt, key_file: server.key}",
    "client certificates": MUTUAL,
    "users": USERS,
    "an expired certificate": "tls_server_config: {cert_file: expired.crt, "
                              "key_file: expired.key}",
    "HTTP 2": "http_server_config: {http2: true}",
    "no HTTP 2": "http_server_config: {http2: false}",
    "all headers": "http_server_config:\n  headers:\n"
                   "    Strict-Transport-Security: max-age=1\n"
                   "    X-Content-Type-Options: nosniff\n    X-Frame-Options: deny\n"
                   "    X-XSS-Protection: 1; mode=block\n"
                   "    Content-Security-Policy: default-src 'self'\n",
    "numbers for names": f"basic_auth_users: {{1: {HASH}, '2': {HASH}}}",
    "JSON": json.dumps({"basic_auth_users": {"alice": HASH}}),
    "all curves": f"tls_server_config: {{{SERVER}, "
                  "curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]}",
    "all ciphers": f"tls_server_config: {{{SERVER}, cipher_suites: [TLS_AES_128_GCM_SHA256, "
                   "TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, "
                   "TLS_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_AES_256_CBC_SHA, "
                   "TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_GCM_SHA384, "
                   "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "
                   "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "
                   "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "
                   "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "
                   "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "
                   "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
                   "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "
                   "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "
                   "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]}",
    "TLS 1.3 alone": f"tls_server_config: {{{SERVER}, min_version: TLS13}}",
    "old TLS": f"tls_server_config: {{{SERVER}, min_version: TLS10, max_version: TLS12, "
               "prefer_server_cipher_suites: false}",
}
for auth in ("NoClientCert", "RequestClientCert", "RequireClientCert", "RequireAnyClientCert"):
    GOOD[auth] = f"tls_server_config: {{{SERVER}, client_auth_type: {auth}}}"
for auth in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert"):
    GOOD[auth] = (f"tls_server_config: {{{SERVER}, client_auth_type: {auth}, "
                  "client_ca_file: ca.crt}")

# What the file says, and a part of the one line that is said of it.
BAD = {
    "no YAML": ("tls_server_config: [}", ":1:"),
    "a list": ("- a\n", ":1:1: a list; expected the web configuration"),
    "a text": ("a\n", ":1:1: a text; expected the web configuration"),
    "an unknown key": ("tls_sever_config: {}\n", "did you mean tls_server_config?"),
    "an unknown key of TLS": (f"tls_server_config: {{{SERVER}, cert: x}}", "unknown key 'cert'"),
    "an unknown key of HTTP": ("http_server_config: {http3: true}", "did you mean http2?"),
    "a key of a newer exporter": ("rate_limit: {interval: 1s}", "unknown key 'rate_limit'"),
    "names that a newer exporter knows": (
        f"tls_server_config: {{{SERVER}, client_allowed_sans: [x]}}",
        "unknown key 'client_allowed_sans'"),
    "a key that stands twice": (TLS + TLS, ":2:1: 'tls_server_config' is given twice"),
    "no certificate": ("tls_server_config: {key_file: server.key}", "needs 'cert_file'"),
    "no key": ("tls_server_config: {cert_file: server.crt}", "needs 'key_file'"),
    "a certificate that is not there": (
        "tls_server_config: {cert_file: none.crt, key_file: server.key}",
        "none.crt cannot be read: No such file or directory"),
    "a key that is not there": (
        "tls_server_config: {cert_file: server.crt, key_file: none.key}",
        "none.key cannot be read: No such file or directory"),
    "an empty certificate": (
        "tls_server_config: {cert_file: empty.crt, key_file: server.key}",
        "there is no certificate in"),
    "a broken certificate": (
        "tls_server_config: {cert_file: garbage.crt, key_file: server.key}",
        "garbage.crt cannot be used"),
    "a key for a certificate": (
        "tls_server_config: {cert_file: server.key, key_file: server.key}",
        "there is no certificate in"),
    "a certificate for a key": (
        "tls_server_config: {cert_file: server.crt, key_file: server.crt}",
        "there is no private key in"),
    "a directory": ("tls_server_config: {cert_file: ., key_file: server.key}",
                    "cannot be read: Is a directory"),
    "another's key": ("tls_server_config: {cert_file: server.crt, key_file: other.key}",
                      "does not belong to the certificate"),
    "a key with a password": (
        "tls_server_config: {cert_file: server.crt, key_file: locked.key}", "has a password"),
    "client certificates that nobody asks for": (
        f"tls_server_config: {{{SERVER}, client_ca_file: ca.crt}}", "no client is asked"),
    "a CA that is not there": (
        f"tls_server_config: {{{SERVER}, client_ca_file: none.crt, "
        "client_auth_type: RequireAndVerifyClientCert}",
        "none.crt cannot be read: No such file or directory"),
    "an unknown way to ask": (f"tls_server_config: {{{SERVER}, client_auth_type: Maybe}}",
                              "client_auth_type: 'Maybe'; expected NoClientCert, "),
    "an unknown version": (f"tls_server_config: {{{SERVER}, min_version: TLS14}}",
                           "min_version: 'TLS14'; expected TLS10, TLS11, TLS12 or TLS13"),
    "a number for a version": (f"tls_server_config: {{{SERVER}, max_version: 1.3}}",
                               "max_version: '1.3'"),
    "an unknown cipher": (f"tls_server_config: {{{SERVER}, cipher_suites: [NULL-MD5]}}",
                          "cipher_suites: 'NULL-MD5'"),
    "an insecure cipher": (
        f"tls_server_config: {{{SERVER}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}",
        "cipher_suites: 'TLS_RSA_WITH_RC4_128_SHA'"),
    "an unknown curve": (f"tls_server_config: {{{SERVER}, curve_preferences: [P256]}}",
                         "curve_preferences: 'P256'"),
    "a text for a list": (f"tls_server_config: {{{SERVER}, cipher_suites: all}}",
                          "cipher_suites: 'all'; expected a list"),
    "a text for yes or no": ("http_server_config: {http2: maybe}",
                             "http2: 'maybe'; expected true or false"),
    "an unknown header": ("http_server_config: {headers: {Server: us}}",
                          "unknown key 'Server' in headers"),
    "a header in small letters": ("http_server_config: {headers: {x-frame-options: deny}}",
                                  "did you mean X-Frame-Options?"),
    "a wrong value of a header": ("http_server_config: {headers: {X-Frame-Options: allow}}",
                                  "'allow'; expected deny or sameorigin"),
    "a password in the clear": ("basic_auth_users: {alice: secret}",
                                "expected a bcrypt hash"),
    "another hash": ("basic_auth_users: {alice: '$6$x$" + 80 * "a" + "'}",
                     "expected a bcrypt hash"),
    "a short hash": (f"basic_auth_users: {{alice: '{HASH[:58]}'}}", "expected a bcrypt hash"),
    "a hash of no cost": (f"basic_auth_users: {{alice: '{HASH.replace('$08$', '$03$')}'}}",
                          "has a cost out of range"),
    "users in a list": (f"basic_auth_users: [alice, {HASH}]",
                        "a list; expected basic_auth_users"),
    "a user twice": (f"basic_auth_users: {{alice: {HASH}, alice: {HASH}}}",
                     "'alice' is given twice"),
}

# What promtool lets pass, and we do not: none of it could work, or be safe.
STRICTER = {
    "no certificate for a version": "tls_server_config: {min_version: TLS13}",
    "versions that exclude each other":
        f"tls_server_config: {{{SERVER}, min_version: TLS13, max_version: TLS12}}",
    "a CA without certificates":
        f"tls_server_config: {{{SERVER}, client_ca_file: empty.crt, "
        "client_auth_type: RequireAndVerifyClientCert}",
    "the machine's CAs for clients":
        f"tls_server_config: {{{SERVER}, client_auth_type: RequireAndVerifyClientCert}}",
    "a cost that takes hours": f"basic_auth_users: {{alice: '{HASH.replace('$08$', '$30$')}'}}",
    "a second document": "---\n---\n",
    "an anchor": f"tls_server_config: &x {{{SERVER}}}",
}


def check(path):
    return subprocess.run([LOOPLAGD, "--config.check", f"--web.config.file={path}"],
                          capture_output=True, text=True, timeout=30, check=False)


def promtool(path):
    return subprocess.run(["promtool", "check", "web-config", path], capture_output=True,
                          text=True, timeout=30, check=False)


@needs_promtool
@pytest.mark.parametrize("name", GOOD)
def test_what_is_accepted_promtool_accepts(web, name):
    path = web(GOOD[name])
    done = check(path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path} is good\n", "")
    assert promtool(path).returncode == 0


@needs_promtool
@pytest.mark.parametrize("name", BAD)
def test_what_promtool_refuses_is_refused_in_one_clear_line(web, name):
    text, expected = BAD[name]
    path = web(text)
    assert promtool(path).returncode != 0
    done = check(path)
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr
    assert done.stderr.startswith(f"{path}:")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@needs_promtool
@pytest.mark.parametrize("name", STRICTER)
def test_some_that_promtool_accepts_are_refused(web, name):
    path = web(STRICTER[name])
    assert promtool(path).returncode == 0
    done = check(path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def odd_files(seed, count):
    """Files of keys that are known, and of values in all the ways of YAML."""
    dice = random.Random(seed)
    values = ["true", "false", "yes", "~", "null", "", "1", "1e3", "2020-01-01", "a", "'a'",
              '"a\\n"', "é", "deny", "nosniff", "TLS12", "'TLS13'", "TLS10", "''", "server.crt",
              "RequireAnyClientCert", "[]", "{}", "[X25519]", "[~]", "[TLS_AES_128_GCM_SHA256]",
              "- a", "|\n      a", "|-\n      deny", "!!str a", "&x a", "*x", HASH, f"'{HASH}'",
              HASH[:-1], HASH + "x", "1; mode=block", "deny # c", "deny#c", "a: b", "%a", "@a"]
    keys = {
        "tls_server_config": ["cert_file", "key_file", "client_auth_type", "min_version",
                              "max_version", "cipher_suites", "curve_preferences",
                              "prefer_server_cipher_suites", "'min_version'", "<<", "~"],
        "http_server_config": ["http2", "headers"],
        "basic_auth_users": ["a", "b", "1", "true", "~", "'~'", "<<", "é", "''", "? a", "-1"],
    }
    headers = ["X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection", "<<",
               "Content-Security-Policy", "Strict-Transport-Security", "x-frame-options"]

    def line(indent, names):
        return f"{' ' * indent}{dice.choice(names)}: {dice.choice(values)}\n"

    for _ in range(count):
        text = ""
        for section in dice.sample([*keys], dice.randint(1, 3)):
            text += section + ":\n"
            if section == "tls_server_config":
                text += "  cert_file: server.crt\n  key_file: server.key\n"
            elif section == "http_server_config" and dice.random() < 0.8:
                text += "  headers:\n" + "".join(
                    line(4, headers) for _ in range(dice.randint(0, 2)))
                continue
            elif section == "basic_auth_users" and dice.random() < 0.5:
                text += f"  {dice.choice(keys[section])}: {HASH}\n"
                continue
            text += "".join(line(2, keys[section]) for _ in range(dice.randint(0, 2)))
        if dice.random() < 0.1:
            text = dice.choice(["\ufeff", "---\n", "%YAML 1.2\n---\n", "# c\n", "\n\n"]) + text
        if dice.random() < 0.1:
            at = dice.randrange(len(text) + 1)
            text = text[:at] + dice.choice("\t \n:#'{}[],-\x01é") + text[at:]
        yield text


@needs_promtool
def test_of_odd_files_too_none_is_accepted_that_promtool_refuses(made):
    path = made.directory / "odd.yml"
    accepted = 0
    for text in odd_files(1, 300):
        path.write_text(text)
        done = check(path)
        assert done.returncode in (0, 1), text
        if done.returncode == 0:
            accepted += 1
            assert promtool(path).returncode == 0, text
        else:
            assert done.stderr.startswith(f"{path}:"), text
    assert accepted > 20


def test_the_sample_is_good_as_it_is_and_with_all_that_it_offers(made, web):
    text = (SOURCE / "config" / "web-config.yml").read_text()
    assert check(web(text)).returncode == 0
    for name, source in (("looplagd.crt", "server.crt"), ("looplagd.key", "server.key"),
                         ("clients-ca.crt", "ca.crt")):
        shutil.copy(made.directory / source, made.directory / name)
    path = web("\n".join(line[1:] for line in text.splitlines()
                         if re.match("#([a-z]|  )", line)))
    done = check(path)
    assert (done.returncode, done.stdout) == (0, f"{path} is good\n"), done.stderr
    words = path.read_text()
    for key in ("tls_server_config", "basic_auth_users", "http_server_config", "cert_file",
                "key_file", "client_ca_file", "client_auth_type", "min_version", "max_version",
                "cipher_suites", "prefer_server_cipher_suites", "curve_preferences", "headers"):
        assert f"{key}:" in words


def test_a_file_that_is_not_there_is_told(made):
    done = check(made.directory / "none.yml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (f"{made.directory}/none.yml: cannot be read: No such file or "
                           "directory\n")


@pytest.mark.parametrize("name", ["an unknown key", "another's key", "a password in the clear"])
def test_it_does_not_start_with_a_bad_file(made, web, name):
    path = web(BAD[name][0])
    done = subprocess.run(
        [LOOPLAGD, f"--web.config.file={path}", f"--probe.socket={made.directory}/p.sock",
         f"--web.listen-address=127.0.0.1:{free_port()}"],
        capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert BAD[name][1].replace('"', '\\"') in done.stderr
    assert done.stderr.splitlines()[-1].endswith(
        f'cannot serve by {path} as it is; mend it, or leave out --web.config.file"')
    assert not os.path.exists(made.directory / "p.sock")


# --- who may ask ---


def curl(daemon, *options, path="/-/healthy"):
    """Its exit status, what it printed, and what it said."""
    done = subprocess.run(["curl", "-sS", "--max-time", "10", *map(str, options),
                           daemon.url + path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def refused(metrics):
    return {labels["reason"]: value for labels, value in
            metrics.series("looplag_http_refused_total")}


def trust(made, *more):
    return ["--cacert", made.certificate, *more]


def show(made, name):
    return ["--cert", made.directory / f"{name}.crt", "--key", made.directory / f"{name}.key"]


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
    assert refused(daemon.metrics())["unauthorized"] >= 25
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
    """Each takes a third of a second; wait for many of them, and for nothing else."""
    path = web(f"basic_auth_users: {{alice: {bcrypt(PASSWORD, 13)}}}\n")
    daemon = start_daemon(f"--web.config.file={path}", login=LOGIN, preferred=True)
    daemon.get("/-/healthy")
    done = []

    def ask():
        try:
            answer = daemon.get("/-/healthy", timeout=60,
                                headers={"Authorization": "Basic Ym9iOng="})
            done.append((answer[0], "Retry-After" in answer[1]))
        except OSError as e:
            done.append(repr(e))

    threads = [threading.Thread(target=ask) for _ in range(40)]
    for thread in threads:
        thread.start()
    wait_for(lambda: (503, True) in done, 20, "who comes too late is told to come again")
    assert daemon.get("/-/healthy", timeout=5)[0] == 200  # and who is known does not wait
    assert daemon.loop("looplagd")["delay"]["max"] < 0.2
    for thread in threads:
        thread.join()
    assert set(done) == {(401, False), (503, True)}
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
    assert refused(daemon.metrics())["tls"] >= 3
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
        before = refused(daemon.metrics())["tls"]
        for _ in range(3):
            assert alert(daemon, made.client(name, maximum_version=version)) == theirs
        assert refused(daemon.metrics())["tls"] == before + 3
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


# --- while it serves ---


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


# --- who asks: looplag, a real Prometheus ---


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


# --- addresses, sockets, limits, reload ---


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
    assert refused(daemon.metrics())["busy"] == len(sent_away)
    assert post(daemon, "/-/healthy", "GET")[0] == 200


def test_the_landing_page_and_its_links(start_daemon):
    daemon = start_daemon("--web.telemetry-path=/somewhere/else")
    status, headers, page = daemon.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "Version" in page and 'href="/somewhere/else"' in page
    assert daemon.get("/metrics")[0] == 404
    assert Metrics(daemon.get("/somewhere/else")[2]).value("looplag_build_info") == 1
