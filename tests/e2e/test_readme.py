# SPDX-License-Identifier: MIT
"""README's first steps do what it says, and no command in it has another name by now."""

import os
import re
import shutil
import subprocess

import pytest

import readme
from harness import BUILD
from runs import environment, looplag

VERBS = re.findall(r"^  ([a-z-]+) ", looplag("help").stdout, re.M)


def follow(heading, directory):
    """Do what the section says; what was said on the way."""
    path = f"{BUILD}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-e"], input=readme.commands(heading), cwd=directory,
                          env=environment(PATH=path), capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("heading, program", [
    ("On Node.js", "node"), ("On asyncio", "/usr/bin/python3")])
def test_the_first_stall_is_caught_with_the_line_that_is_shown(heading, program, scratch):
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    shown = re.search(r"^   > (\w+) \(/srv/shop/(.*)\)$", readme.section(heading), re.M)
    function, place = shown.groups()
    said = follow(heading, scratch)
    assert "Stuck for over 100 ms: " in said
    # Some releases of Node.js put the name of an object before that of the function.
    assert re.search(rf"^ +> (\w+\.)?{function} \({scratch}/{place}\)$", said, re.M), said


def test_no_verb_or_option_that_is_shown_has_gone():
    shown = re.findall(r"^    (?:\$ )?looplag ([a-z-]+)(.*)", readme.TEXT, re.M)
    assert len(shown) >= 10
    for verb, rest in shown:
        assert verb in VERBS
        known = looplag("help", verb).stdout
        for option in re.findall(r" (--[a-z-]+)", rest.split("#")[0]):
            assert re.search(rf"{option}\b", known), f"looplag {verb} {option}"
