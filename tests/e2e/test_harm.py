# SPDX-License-Identifier: MIT
"""Other people's test suites give the same result under the probe: the part of CPython's that
takes a minute. All of them: tests/harm/run --all."""

import subprocess
from pathlib import Path

import pytest

from harness import BUILD, SOURCE

CPYTHON = Path("/usr/lib/python3.11/test/test_asyncio")


@pytest.mark.skipif(not CPYTHON.exists(), reason="no libpython3.11-testsuite here")
def test_no_test_of_cpython_fails_with_the_probe_alone():
    done = subprocess.run([SOURCE / "tests" / "harm" / "run", "--short", BUILD],
                          capture_output=True, text=True, timeout=600)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    row = [word.strip() for word in done.stdout.splitlines()[2].split("|")]
    assert row[1] == "cpython-short" and int(row[2]) > 300
    assert int(row[6]) > 0, "no stack was taken, so that nothing was tried"
