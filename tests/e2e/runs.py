# SPDX-License-Identifier: MIT
"""Runs of looplag: in an environment that does not depend on this machine's daemon, to their
end, and what they said."""

import os
import shutil
import subprocess

import pytest

from harness import LOOPLAG, SANITIZER_REPORT

# Nobody listens there: what a run does then does not depend on this machine's daemon.
NOBODY = "/nonexistent/probe.sock"

ASYNCIO_STALL = """
import asyncio, time
async def main():
    end = time.monotonic() + 1.5
    await asyncio.sleep(0.05)
    start = time.monotonic()
    time.sleep(0.2)
    print(time.monotonic() - start)
    while time.monotonic() < end:
        await asyncio.sleep(0.02)
asyncio.run(main())
"""


def environment(**changes):
    """This environment, without what the tests themselves are run with."""
    result = {name: value for name, value in os.environ.items()
              if not name.startswith(("LOOPLAG_", "LD_PRELOAD", "NO_COLOR"))}
    # A looplag that was built with sanitizers takes no library before theirs otherwise.
    result.update(LOOPLAG_SOCKET=NOBODY, ASAN_OPTIONS="verify_asan_link_order=0:" +
                  os.environ.get("ASAN_OPTIONS", ""))
    result.update(changes)
    return result


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        # That nobody listens is expected here.
        self.words = [line for line in done.stderr.splitlines()
                      if not line.startswith("looplag: warning: no daemon listens")]


def looplag(*arguments, env=None, **how):
    """Run looplag to its end."""
    return Result(subprocess.run([LOOPLAG, *map(str, arguments)], env=env or environment(),
                                 capture_output=True, text=True, timeout=60, **how))


def run(*arguments, **how):
    return looplag("run", *arguments, **how)


def compile_program(path, source, *flags, compiler="cc"):
    """Make a program of C source; skip the test without that compiler."""
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    subprocess.run([compiler, "-x", "c", "-", "-o", path, *flags], input=source, text=True,
                   check=True)
    return path


def loop_of(report, groupname, loop="main"):
    """The one loop of that name."""
    found = [entry for group in report["groups"] if group["groupname"] == groupname
             for entry in group["loops"] if entry["loop"] == loop]
    assert len(found) == 1, report
    return found[0]
