# SPDX-License-Identifier: MIT
"""looplag ps and looplag hist against a daemon: what they print, and how they fail."""

import json
import os
import re
import signal
import subprocess

import pytest

from harness import LOOPLAG, PYTHON, free_port, wait_for
from runs import environment, looplag

# Blocks for 60 ms ten times a second.
BUSY = """
import asyncio, time
async def main():
    while True:
        await asyncio.sleep(0.04)
        time.sleep(0.06)
asyncio.run(main())
"""

# Wakes up, and does nothing.
IDLE = """
import asyncio
async def main():
    while True:
        await asyncio.sleep(0.02)
asyncio.run(main())
"""


@pytest.fixture
def services(daemon, target):
    """A busy group, one at rest, and looplagd itself."""
    target([PYTHON, "-c", BUSY], group="busy")
    target([PYTHON, "-c", IDLE], group="idle")

    def lived():
        loops = [daemon.loop(name) for name in ("busy", "idle")]
        return all(loop and loop["active_seconds"] + loop["idle_seconds"] > 1
                   for loop in loops)
    wait_for(lived, 20, "both have lived for a second")
    return daemon


def ps(daemon, *arguments, **how):
    return looplag("ps", "--url", daemon.url, *arguments, **how)


def test_loops_are_shown_the_worst_first(services):
    result = ps(services)
    assert (result.status, result.stderr) == (0, "")
    head, *rows = [line.split() for line in result.stdout.splitlines()]
    assert head == ["GROUP", "LOOP", "PROCS", "p50ms", "p99ms", "maxms", "ACTIVE%", "STALLS",
                    "STUCK"]
    assert {row[0] for row in rows} == {"busy", "idle", "looplagd"}
    busy = rows[0]
    assert busy[:3] == ["busy", "main", "1"]
    # Six tenths of the time, in iterations of 60 ms and whatever else the machine does.
    assert 50 < float(busy[4]) <= float(busy[5])
    assert 20 < float(busy[6]) < 95
    widths = {len(line) for line in result.stdout.splitlines()}
    assert len(widths) == 1 and widths.pop() <= 79
    assert "\033" not in result.stdout


def test_groups_are_chosen_by_a_pattern_of_the_whole_name(services):
    def shown(pattern):
        return [group["groupname"] for group in
                json.loads(ps(services, "--json", "--group", pattern).stdout)["groups"]]
    assert shown("busy") == ["busy"]
    assert sorted(shown("busy|i.*")) == ["busy", "idle"]
    assert shown("us") == []
    result = ps(services, "--group", "us")
    assert (result.status, result.stdout, result.stderr) == (0, "", "looplag: no such loops\n")


def test_json_is_what_the_daemon_says(services):
    result = ps(services, "--json")
    assert result.stdout.count("\n") == 1
    mine = json.loads(result.stdout)
    theirs = json.loads(services.get("/api/v1/groups")[2])

    def shape(value):
        if isinstance(value, dict):
            return {key: shape(inner) for key, inner in value.items()}
        return [shape(inner) for inner in value] if isinstance(value, list) else type(value)
    assert shape(mine) == shape(theirs)
    loop = next(group for group in mine["groups"] if group["groupname"] == "busy")["loops"][0]
    assert 0.2 < loop["active_share"] < 0.95


def test_a_terminal_gets_colours_unless_it_wants_none(services):
    def typescript(**changes):
        env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        env.update(TERM="xterm", **changes)
        command = f"{LOOPLAG} ps --url {services.url}"
        return subprocess.run(["script", "-qec", command, "/dev/null"], env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                              check=True).stdout
    assert "\033[33m" in typescript()  # a delay of some 60 ms
    assert "\033" not in typescript(NO_COLOR="1")


# --- looplag hist ---

ROW = re.compile(r"^ *(\d+) -> (\d*) *: +(\S+ \S+) +(\S+ %)  \|(\**) *\|$", re.M)


def hist(daemon, *arguments, **how):
    return looplag("hist", "--url", daemon.url, *arguments, **how)


def rows(text):
    """(upper bound in us, share in per cent, stars) of each row."""
    return [(int(upper), float(share.lstrip("<").split()[0]), len(stars))
            for _, upper, _, share, stars in ROW.findall(text)]


def test_the_delay_is_spread_over_rows_that_double(services):
    result = hist(services, "busy")
    assert (result.status, result.stderr) == (0, "")
    head, titles, *lines, empty = result.stdout.splitlines()
    assert head == "loop = main" and empty == ""
    assert titles == "     usecs               :   seconds     share  distribution"
    found = rows(result.stdout)
    assert len(found) == len(lines)
    assert {len(line) for line in lines} == {80}
    assert [upper for upper, _, _ in found[:6]] == [1, 2, 4, 8, 15, 31]
    assert 99 < sum(share for _, share, _ in found) < 101
    # Of 60 ms an event waits longer than 31 in about half: no row below has more.
    most = max(found[1:], key=lambda row: row[1])
    assert most[0] >= 62500 and most[2] == max(stars for _, _, stars in found)
    assert found[0][2] == 0


def test_an_interval_is_only_what_comes_in_it(services):
    documents = [json.loads(line) for line in
                 hist(services, "busy", "1", "2", "--json").stdout.splitlines()]
    assert len(documents) == 2
    for document in documents:
        [loop] = document["histograms"]
        assert loop["groupname"] == "busy" and loop["loop"] == "main"
        assert len(loop["seconds"]) == len(document["bounds"]) + 1
        # It lives all the time; a daemon that others keep waiting looks later.
        assert 0.5 < sum(loop["seconds"]) < 5
    total = json.loads(hist(services, "busy", "--json").stdout)["histograms"][0]
    assert sum(total["seconds"]) > sum(
        sum(document["histograms"][0]["seconds"]) for document in documents) * 0.99
    result = hist(services, "busy", "0.2", "3")
    assert result.stdout.count("loop = main\n") == 3
    assert len(re.findall(r"^\d\d:\d\d:\d\d$", result.stdout, re.M)) == 3


def test_intervals_go_on_until_a_signal(services, program):
    watcher = program([LOOPLAG, "hist", "busy", "0.1", "--url", services.url],
                      env=environment())
    wait_for(lambda: watcher.stdout.count("loop = main\n") >= 3, 15, "three intervals")
    watcher.send(signal.SIGINT)
    assert (watcher.wait(5), watcher.stderr) == (0, "")


def test_a_group_that_is_not_there_is_told(services):
    result = hist(services, "nobody")
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == "looplag: no loops of 'nobody'; 'looplag ps' shows all groups\n"


def test_the_api_refuses_what_it_does_not_know(daemon):
    status, headers, body = daemon.get("/api/v1/histograms?loop=main")
    assert (status, body) == (400, 'There is no parameter "loop"; there is group.\n')
    status, headers, body = daemon.get("/api/v1/histograms")
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert set(json.loads(body)) == {"bounds", "histograms"}


# --- all verbs that ask ---


@pytest.mark.parametrize("words", [["ps"], ["ps", "--json"], ["hist", "web"]])
def test_without_a_daemon_they_say_what_to_do(words):
    url = f"http://127.0.0.1:{free_port()}"
    result = looplag(*words, "--url", url)
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == (f"looplag: no looplagd at {url} (Connection refused); start it, "
                             "or name another with --url\n")


@pytest.mark.parametrize("words, complaint", [
    (["ps", "--group", "(a"], r"--group '\(a': .+"),
    (["ps", "web"], "unexpected argument 'web'"),
    (["ps", "--urk"], "unknown option '--urk'"),
    (["hist"], "it needs a group"),
    (["hist", "web", "5s"], "the interval is from 0.1 to 86400 seconds, not '5s'"),
    (["hist", "web", "5", "x"], "the count is a number from 1 on, not 'x'"),
    (["hist", "web", "5", "1", "2"], "unexpected argument '2'"),
    (["ps", "--url", "localhost"], "--url takes http://HOST:PORT, not 'localhost'"),
])
def test_mistakes_are_told_in_one_line(words, complaint):
    result = looplag(*words)
    assert (result.status, result.stdout) == (2, "")
    assert re.fullmatch(rf"looplag: {complaint}; see 'looplag {words[0]} --help'\n",
                        result.stderr)


def test_what_is_no_looplagd_is_told(daemon):
    result = looplag("ps", "--url", daemon.url + "/nowhere")
    assert result.status == 1
    assert "is no looplagd that knows of groups: it answers with HTTP status 404" in \
        result.stderr


@pytest.mark.parametrize("words", [["ps"], ["ps", "--json"], ["ps", "--help"],
                                   ["hist", "looplagd"], ["hist", "looplagd", "--json"]])
def test_a_reader_that_goes_away_is_no_error(daemon, words):
    wait_for(lambda: daemon.loop("looplagd"), 10, "looplagd has a loop")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([LOOPLAG, *words, "--url", daemon.url], stdout=writer,
                          stderr=subprocess.PIPE, text=True, timeout=20)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "w") as full:
        done = subprocess.run([LOOPLAG, *words, "--url", daemon.url], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == ("looplag: cannot write to standard output: No space left on "
                           "device\n")
