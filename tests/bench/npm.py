# SPDX-License-Identifier: MIT
"""The npm packages of the peers, installed once into the build directory."""

import functools
import subprocess
import sys
from pathlib import Path

import harness
from report import say

PEERS = Path(__file__).resolve().parent / "peers"


@functools.cache
def modules():
    """The directory of the installed packages; None where that cannot be done."""
    directory = harness.BUILD / "tests" / "bench" / "npm"
    directory.mkdir(parents=True, exist_ok=True)
    package = (PEERS / "package.json").read_text()
    (directory / "package.json").write_text(package)
    try:
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"],
                       cwd=directory, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as e:
        say(f"the peers from npm are left out: {e}")
        return None
    return directory / "node_modules"
