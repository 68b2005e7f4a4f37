# SPDX-License-Identifier: MIT
"""The kernel's own way to watch an event loop: bpftrace on the system calls that wait."""

import contextlib
import shutil

from harness import Program, wait_for
from npm import PEERS

NAME = "bpftrace on epoll's system calls"


def why_not():
    """Why it cannot be done on this machine; None if it can."""
    if not shutil.which("bpftrace"):
        return "there is no bpftrace"
    try:
        with watching(1):
            return None
    except AssertionError as e:
        return str(e)


@contextlib.contextmanager
def watching(pid, cpu=None):
    """It looks at that process meanwhile."""
    program = Program(["bpftrace", PEERS / "epoll.bt", pid], cpu=cpu)
    try:
        wait_for(lambda: "attached\n" in program.stdout or not program.running, 20,
                 lambda: f"bpftrace is attached; it says: {program.stderr}")
        assert program.running, f"bpftrace ended: {program.stderr}"
        yield
    finally:
        program.stop()
