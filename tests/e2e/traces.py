# SPDX-License-Identifier: MIT
"""What the kernel saw of a program, by strace: the witness against which the probe's counts
are held."""

import collections
import re
import shutil
import subprocess

import pytest

EPOLL_WAITS = ("epoll_wait", "epoll_pwait", "epoll_pwait2")
SITE_WAITS = ("poll", "ppoll", "select", "pselect6")
CALL = re.compile(r"(\d+) +(\w+|\?+)\(([^,) ]*)")


def _can_trace():
    return shutil.which("strace") and subprocess.run(
        ["strace", "-qq", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


def strace(file, calls, env):
    """The words to put before a command to have these system calls of it and its children
    written to a file, and env's probe loaded into it and not into strace."""
    if not _can_trace():
        pytest.skip("no strace here, or no leave to trace")
    words = ["strace", "-f", "-qq", "-o", str(file), "-e", "signal=none"]
    if calls:
        words += ["--seccomp-bpf", "-e", "trace=" + ",".join(calls)]
    for name in ("LD_PRELOAD", "LOOPLAG_SOCKET", "LOOPLAG_HELPER"):
        if name in env:
            words += ["-E", f"{name}={env.pop(name)}"]
    return words


def entered(file):
    """Every system call that was entered, in order: (tid, name, first argument)."""
    with open(file, errors="replace") as lines:
        for line in lines:
            match = CALL.match(line)
            if match:
                yield int(match[1]), match[2], match[3]


class Waits:
    """The wait calls in a trace: `total` of them at least, and `unknown` at most that a
    thread entered while its process ended, so that strace cannot tell what they were."""

    def __init__(self, file):
        self.epoll = collections.Counter()  # by (tid, descriptor)
        self.total = self.unknown = 0
        for tid, name, argument in entered(file):
            if name in EPOLL_WAITS:
                self.epoll[tid, int(argument)] += 1
            self.total += name in EPOLL_WAITS + SITE_WAITS
            self.unknown += name.startswith("?")
