# SPDX-License-Identifier: MIT
"""The benchmarks run, and what they write can be read; their figures are of no interest here."""

import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

from harness import BUILD, SANITIZED, SOURCE


@pytest.mark.quiet
@pytest.mark.skipif(SANITIZED, reason="it makes no difference to the benchmarks")
def test_a_run_tells_what_each_server_does_with_and_without_looplag(tmp_path):
    page = tmp_path / "page.html"
    run = subprocess.run([SOURCE / "tests" / "bench" / "run", "--short", "--only", "hosts",
                          "--host", "memcached", "--html", page, BUILD],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    names = re.findall(r"^\| [^|]*\| ([^|]*) \| \d* \| [\d.,]+", run.stdout, re.M)
    assert names[:3] == ["nothing", "nothing, again", "**looplag**"], run.stdout
    if not shutil.which("bpftrace"):
        assert "Not possible on this machine: bpftrace" in run.stdout
    plots = re.findall(r"<svg.*?</svg>", page.read_text(), re.S)
    assert len(plots) == 2
    for plot in plots:
        words = [text.text for text in xml.etree.ElementTree.fromstring(plot).iter()]
        assert "looplag" in words and "nothing, again" in words, words
