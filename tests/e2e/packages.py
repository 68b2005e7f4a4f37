# SPDX-License-Identifier: MIT
"""The Debian packages of this tree: built once for all tests, and changed as upgrades are."""

import fcntl
import os
import shutil

from container import call
from harness import BUILD, SOURCE
from restarts import with_version

DEB = BUILD / "deb"
PARTS = ["cli", "config", "daemon", "debian", "docs", "probes", "systemd"]
TOOLS = ["dh", "dpkg-buildpackage", "make"]
NAMES = ["liblooplag", "liblooplag-dev", "looplag"]


def why_not():
    """Why there can be no packages; None if there can."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    return "not installed: " + ", ".join(missing) if missing else None


def _newest():
    """When a file was changed that the packages are made of."""
    files = [SOURCE / "Makefile.am", SOURCE / "configure.ac"]
    for part in PARTS:
        files += (SOURCE / part).rglob("*")
    return max(file.stat().st_mtime for file in files)


def packages():
    """Their files, as `make deb` makes them, but without debug symbols."""
    done = DEB / "done"
    with open(BUILD / "deb.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others may want the same at the same time
        newest = _newest()
        if not done.exists() or done.stat().st_mtime < newest:
            call("make", "-C", BUILD, "deb",
                 env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck noautodbgsym",
                          DEB_BUILD_PROFILES="nocheck"))
            done.touch()
            os.utime(done, (newest, newest))  # not what was changed meanwhile
    return [next(DEB.glob(f"{name}_*.deb")) for name in NAMES]


def install(root):
    """Install them in a root that is not booted."""
    place = root / "srv/packages"
    place.mkdir()
    for deb in packages():
        shutil.copy(deb, place)
    call("chroot", root, "dpkg", "--install", "--recursive", "/srv/packages")
    shutil.rmtree(place)


def upgraded(deb, version, scratch):
    """The same package with a higher version, as has looplagd in it."""
    tree = scratch / deb.stem
    call("dpkg-deb", "--raw-extract", deb, tree)
    control = tree / "DEBIAN/control"
    old = call("dpkg-deb", "--field", deb, "Version").strip()
    control.write_text(control.read_text().replace(f"Version: {old}", f"Version: {version}")
                       .replace(f"(= {old})", f"(= {version})"))
    binary = tree / "usr/sbin/looplagd"
    if binary.exists():
        with_version(binary, version, binary.parent).rename(binary)
    made = scratch / deb.name.replace(f"_{old}_", f"_{version}_")
    call("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made)
    return made
