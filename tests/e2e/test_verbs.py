# SPDX-License-Identifier: MIT
"""What the verbs of looplag have in common, and the small ones: help texts, check-config and
the completion of bash."""

import json
import os
import re
import subprocess

import pytest

from harness import BUILD, LOOPLAGD, PYTHON, SOURCE, wait_for
from runs import environment, looplag

VERBS = re.findall(r"^  ([a-z-]+) ", looplag("help").stdout, re.M)

IDLE = """
import asyncio
async def main():
    while True:
        await asyncio.sleep(0.02)
asyncio.run(main())
"""


@pytest.mark.parametrize("verb", VERBS)
def test_help_begins_with_an_example(verb):
    results = [looplag("help", verb)]
    if verb != "help":
        results.append(looplag(verb, "--help"))
    for result in results:
        assert (result.status, result.stderr) == (0, "")
        first, *rest = result.stdout.splitlines()
        assert re.match(r"Example: .*\blooplag .", first)
        assert any(line.startswith("Usage: looplag ") for line in rest)
        assert max(map(len, rest)) <= 90
        assert "\033" not in result.stdout


def test_all_verbs_are_there():
    assert {"run", "ps", "top", "hist", "stalls", "doctor", "check-config", "completion",
            "help"} <= set(VERBS)


# --- check-config ---

MISTAKES = """\
treshold: 3
groups:
  - {name: x}
"""


def test_mistakes_are_those_that_looplagd_tells(scratch):
    path = scratch / "looplagd.yaml"
    path.write_text(MISTAKES)
    result = looplag("check-config", path)
    theirs = subprocess.run([LOOPLAGD, "--config.check", f"--config.file={path}"],
                            capture_output=True, text=True, timeout=20)
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == theirs.stderr and result.stderr.count("\n") >= 2
    assert f"{path}:1:1: unknown key 'treshold'" in result.stderr


def test_a_good_file_is_told_on_stdout(scratch):
    path, web = scratch / "looplagd.yaml", scratch / "web.yml"
    path.write_text("threshold: 200ms\n")
    web.write_text("")
    result = looplag("check-config", path)
    assert (result.status, result.stdout, result.stderr) == (0, f"{path} is good\n", "")
    result = looplag("check-config", "--web", web)
    assert (result.status, result.stdout, result.stderr) == (0, f"{web} is good\n", "")
    web.write_text("nothing: 1\n")
    result = looplag("check-config", path, "--web", web)
    assert (result.status, result.stdout) == (1, f"{path} is good\n")
    assert "unknown key 'nothing'" in result.stderr


def test_json_has_an_object_for_each_file(scratch):
    path, web = scratch / "looplagd.yaml", scratch / "web.yml"
    path.write_text(MISTAKES)
    web.write_text("")
    result = looplag("check-config", "--json", path, "--web", web)
    bad, good = map(json.loads, result.stdout.splitlines())
    assert (result.status, result.stderr) == (1, "")
    assert good == {"file": str(web), "good": True, "mistakes": []}
    assert (bad["file"], bad["good"]) == (str(path), False)
    assert bad["mistakes"] == looplag("check-config", path).stderr.splitlines()


def test_the_example_of_the_manual_page_is_good(scratch):
    page = (SOURCE / "daemon" / "looplagd.yaml.5").read_text()
    example = page.split(".Sh EXAMPLES")[1].split(".Bd -literal -offset indent\n")[1]
    path = scratch / "looplagd.yaml"
    path.write_text(example.split(".Ed\n")[0].replace("\\e", "\\"))
    result = looplag("check-config", path)
    assert (result.status, result.stderr) == (0, "")


@pytest.mark.parametrize("words, complaint", [
    (["check-config", "a", "b"], "unexpected argument 'b'"),
    (["check-config", "--web"], "--web needs a value"),
    (["completion"], "it needs the name of a shell: bash"),
    (["completion", "zsh"], "bash is the only shell, not 'zsh'"),
    (["completion", "bash", "x"], "unexpected argument 'x'"),
])
def test_mistakes_of_the_command_line_are_told_in_one_line(words, complaint):
    result = looplag(*words)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"looplag: {complaint}; see 'looplag {words[0]} --help'\n"


def test_a_file_that_is_not_there_is_told():
    result = looplag("check-config", "/nonexistent.yaml")
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == "/nonexistent.yaml: cannot be read: No such file or directory\n"


# --- completion ---

COMPLETE = """
set -u
source <(looplag completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_looplag looplag "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
"""


def complete(*words, before=""):
    done = subprocess.run(["bash", "--norc", "-c", before + COMPLETE, "bash", "looplag", *words],
                          env=environment(PATH=f"{BUILD}:{os.environ['PATH']}"), timeout=60,
                          capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_commands_and_options_are_completed():
    assert complete("") == VERBS
    assert complete("co") == ["completion"]
    assert complete("help", "che") == ["check-config"]
    assert complete("ps", "--") == ["--group", "--json", "--url", "--help"]
    assert complete("stalls", "--f") == ["--follow"]
    assert complete("run", "--report", "") == ["json", "none", "text"]
    assert "cat" in complete("run", "ca")
    assert complete("completion", "") == ["bash"]
    # Left to bash: names of files.
    assert complete("check-config", "") == complete("run", "--output", "") == []
    assert complete("nonsense", "") == complete("nonsense", "--") == []


def test_groups_are_completed_and_their_names_are_never_run(daemon, target, scratch):
    # The address is that of the test's daemon.
    other = f'looplag() {{ [ "$1" = completion ] || set -- "$@" --url {daemon.url}; ' \
            'command looplag "$@"; }\n'
    trap = f"$(touch {scratch}/run)"
    for name in ("web", trap):
        target([PYTHON, "-c", IDLE], group=name)
    wait_for(lambda: {"looplagd", "web", trap} <= daemon.groups().keys(), 20, "all groups")
    assert sorted(complete("hist", "", before=other)) == ["looplagd", "web"]
    assert complete("ps", "--group", "w", before=other) == ["web"]
    assert complete("hist", "web", "", before=other) == []
    assert not (scratch / "run").exists()
