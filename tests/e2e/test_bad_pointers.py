# SPDX-License-Identifier: MIT
"""What the kernel refuses, it refuses under the probe too, and nothing crashes."""

import subprocess

from harness import host_program, target_environment


def test_bad_arguments_fail_as_they_do_without_the_probe(daemon):
    command = [host_program("bad_pointers")]
    plain = subprocess.run(command, capture_output=True, timeout=30)
    probed = subprocess.run(command, capture_output=True, timeout=30,
                            env=target_environment(daemon.socket))
    assert plain.returncode == 0
    assert (probed.returncode, probed.stdout, probed.stderr) == \
        (plain.returncode, plain.stdout, plain.stderr)
