# SPDX-License-Identifier: MIT
"""Debian's source packages, by an apt configuration of their own: the machine's is not
touched, and nothing is installed."""

import os
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def _release():
    with open("/etc/os-release") as file:
        for line in file:
            if line.startswith("VERSION_CODENAME="):
                return line.split("=")[1].strip().strip('"')
    raise OSError("this is no Debian: /etc/os-release names no release")


class Sources:
    """Gets source packages into a directory, where they stay."""

    def __init__(self, directory, log):
        self.directory, self._log, self._apt = directory, log, None

    def _run(self, *words, cwd):
        with open(self._log, "a") as file:
            subprocess.run(words, cwd=cwd, check=True, stdout=file, stderr=file,
                           stdin=subprocess.DEVNULL,
                           env=dict(os.environ, APT_CONFIG=str(self._apt / "apt.conf")))

    def _configure(self):
        self._apt = self.directory / "apt"
        (self._apt / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (self._apt / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        release = _release()
        (self._apt / "sources.list").write_text("".join(
            f"deb-src [signed-by={KEYRING}] http://deb.debian.org/{place} main\n"
            for place in (f"debian {release}", f"debian {release}-updates",
                          f"debian-security {release}-security")))
        (self._apt / "apt.conf").write_text(
            f'Dir::Etc::SourceList "{self._apt}/sources.list";\n'
            'Dir::Etc::SourceParts "/nonexistent";\n'
            f'Dir::State::Lists "{self._apt}/lists";\n'
            f'Dir::Cache "{self._apt}";\n'
            'APT::Sandbox::User "root";\n')
        self._run("apt-get", "-q", "update", cwd=self._apt)

    def get(self, package):
        """The directory of the unpacked source; OSError if it cannot be had."""
        tree = self.directory / package
        if tree.exists():
            return tree
        try:
            if not self._apt:
                self._configure()
            place = self.directory / f"{package}.packed"
            place.mkdir(exist_ok=True)
            self._run("apt-get", "-q", "source", "--download-only", package, cwd=place)
            (dsc,) = place.glob("*.dsc")
            self._run("dpkg-source", "-x", dsc.name, tree, cwd=place)
        except (subprocess.CalledProcessError, FileNotFoundError, ValueError):
            raise OSError(f"apt-get source {package} failed; see {self._log}") from None
        return tree
