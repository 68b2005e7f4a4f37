# SPDX-License-Identifier: MIT
"""--web.config.file: it takes no file that promtool refuses, and says clearly why; nothing
starts with a bad one."""

import json
import os
import random
import re
import shutil
import subprocess

import pytest

from certificates import HASH, MUTUAL, SERVER, TLS, USERS
from harness import LOOPLAGD, SOURCE, free_port

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here")

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
