# SPDX-License-Identifier: MIT
"""The library that is built here, in the C libraries of other releases of Debian: it loads
into programs of theirs, and their loops are measured.

Their roots are made by debootstrap; without it, or without a mirror that has the release,
the test is skipped and says so.
"""

import shutil

import pytest

from container import PACKAGES, RELEASE, debian_root, why_not
from harness import PROBE, Program, wait_for

# What a program there says of itself: the C library, and what is mapped from the probe. It
# goes on in a loop.
PROGRAM = """
import os, select
print("libc", os.confstr("CS_GNU_LIBC_VERSION"), flush=True)
maps = open("/proc/self/maps").read().splitlines()
print("loaded", any("liblooplag.so" in line and "r-xp" in line for line in maps), flush=True)
print("recording", any("memfd:looplag" in line for line in maps), flush=True)
loop = select.epoll()
while True:
    loop.poll(0.02)
"""


# Of the one release there is a root anyway.
PACKAGES_OF = {"bullseye": ["python3-minimal"], RELEASE: PACKAGES}


def root_of(release):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    try:
        return debian_root(release, PACKAGES_OF[release])
    except AssertionError as e:
        pytest.skip(f"no root of Debian {release} could be made: {e}")


@pytest.mark.parametrize("release, libc", [("bullseye", "2.31"), ("bookworm", "2.36")])
def test_the_library_loads_and_measures(daemon, release, libc):
    root = root_of(release)
    daemon.directory.chmod(0o755)
    shutil.copy(PROBE, daemon.directory)
    # The directory with the socket is seen there as /mnt, in mounts of the program's own.
    enter = (f"mount --bind {daemon.directory} {root}/mnt && mount -t proc proc {root}/proc && "
             f"exec chroot {root} env PYTHONDONTWRITEBYTECODE=1 LD_PRELOAD=/mnt/liblooplag.so "
             f"LOOPLAG_SOCKET=/mnt/probe.sock LOOPLAG_GROUP=other "
             'python3 -c "$1"')
    program = Program(["unshare", "--mount", "sh", "-c", enter, "sh", PROGRAM])
    try:
        assert program.line("libc ") == f"glibc {libc}"
        assert program.line("loaded ") == "True"
        assert program.line("recording ") == "True"
        wait_for(lambda: (daemon.loop("other") or {}).get("iterations", 0) > 20, 20,
                 "its loop is measured")
        assert program.stderr == ""
    finally:
        program.stop()
