# SPDX-License-Identifier: MIT
"""Certificates, made by openssl, and the web configurations that name them."""

import crypt
import ssl
import subprocess
import warnings

# Cheap enough for a test, and dear enough to be measured.
COST = 8


def openssl(*arguments, **how):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True,
                   timeout=60, **how)


def bcrypt(password, cost=COST):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=1 << cost))


PASSWORD = "correct horse"
HASH = bcrypt(PASSWORD)
LOGIN = f"alice:{PASSWORD}"

SERVER = "cert_file: server.crt, key_file: server.key"
TLS = f"tls_server_config: {{{SERVER}}}\n"
MUTUAL = (f"tls_server_config: {{{SERVER}, client_ca_file: ca.crt, "
          "client_auth_type: RequireAndVerifyClientCert}\n")
USERS = f"basic_auth_users: {{alice: {HASH}}}\n"


class Authority:
    """One that vouches for others; its own certificate is NAME.crt in that directory."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        self.certificate = directory / f"{name}.crt"
        self._make_key(name)
        openssl("req", "-x509", "-new", "-key", directory / f"{name}.key", "-out",
                self.certificate, "-days", "30", "-subj", f"/CN=test {name}")

    def _make_key(self, name, kind="P-256"):
        path = self.directory / f"{name}.key"
        if kind.startswith("P-"):
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{kind}",
                    "-out", path)
        elif kind == "ED25519":
            openssl("genpkey", "-algorithm", kind, "-out", path)
        else:
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{kind}",
                    "-out", path)

    def issue(self, name, days=30, kind="P-256"):
        """Make NAME.key and NAME.crt, for this machine; negative days: one that was."""
        self._make_key(name, kind)
        request = self.directory / f"{name}.csr"
        openssl("req", "-new", "-key", self.directory / f"{name}.key", "-out", request,
                "-subj", f"/CN={name}")
        extensions = self.directory / "extensions"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
                self.directory / f"{self.name}.key", "-CAcreateserial", "-days", str(days),
                "-extfile", extensions, "-out", self.directory / f"{name}.crt")

    def client(self, name=None, **settings):
        """A client's side: trusts us, and shows the certificate NAME.crt."""
        context = ssl.create_default_context(cafile=self.certificate)
        if name:
            context.load_cert_chain(self.directory / f"{name}.crt",
                                    self.directory / f"{name}.key")
        for key, value in settings.items():
            setattr(context, key, value)
        return context


def make_all(directory):
    """Certificates of all kinds, good and bad, there."""
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
    return authority
