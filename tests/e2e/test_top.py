# SPDX-License-Identifier: MIT
"""looplag top on a terminal, by tmux: what its screens show, and what keys, sizes and a daemon
that goes away do to it."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, LOOPLAG, PYTHON, free_port, wait_for
from runs import environment, looplag

pytestmark = [
    pytest.mark.skipif("HAVE_NCURSESW 1" not in (BUILD / "config.h").read_text(),
                       reason="built without ncursesw"),
    pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux"),
]

# Stuck for 1.5 of each 2 seconds.
STUCK = """
import asyncio, time
def overslept():
    time.sleep(1.5)
async def main():
    while True:
        await asyncio.sleep(0.5)
        overslept()
asyncio.run(main())
"""

IDLE = """
import asyncio
async def main():
    while True:
        await asyncio.sleep(0.02)
asyncio.run(main())
"""


class Terminal:
    """A terminal in which a command runs. Its screen is what tmux says it shows."""

    def __init__(self, directory, command, columns=80, rows=24, **env):
        self.tmux = ["tmux", "-S", directory / "tmux", "-f", "/dev/null"]
        self.words = " ".join(["env", *(f"{name}={value}" for name, value in env.items()),
                               *map(str, command)])
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows),
                        f"{self.words}; echo status $?; exec sleep 600"],
                       env=environment(LC_ALL="C.UTF-8"), check=True, timeout=20)

    def call(self, *words):
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, check=True,
                              timeout=20).stdout

    def screen(self, *how):
        return self.call("capture-pane", "-p", *how)

    def lines(self):
        return self.screen().splitlines()

    def press(self, *keys):
        self.call("send-keys", *keys)

    def resize(self, columns, rows):
        self.call("resize-window", "-x", str(columns), "-y", str(rows))

    def shows(self, words, deadline=15):
        """Wait for a match of a pattern on the screen."""
        return wait_for(lambda: re.search(words, self.screen(), re.M), deadline,
                        lambda: f"{words!r} on the screen:\n{self.screen()}")


@pytest.fixture
def terminal(scratch):
    """terminal(command, ...): a Terminal."""
    started = []

    def start(command, **how):
        directory = scratch / str(len(started))
        directory.mkdir()
        started.append(Terminal(directory, command, **how))
        return started[-1]

    yield start
    for one in started:
        subprocess.run([*one.tmux, "kill-server"], capture_output=True, timeout=20)


@pytest.fixture
def services(daemon, target):
    """A group that is stuck most of the time, and one at rest."""
    target([PYTHON, "-c", STUCK], group="web")
    target([PYTHON, "-c", IDLE], group="idle")
    wait_for(lambda: all((daemon.loop(name) or {}).get("delay") for name in ("web", "idle")),
             20, "both are known")
    return daemon


def top(daemon):
    return [LOOPLAG, "top", "--url", daemon.url]


def stalls(daemon):
    return json.loads(daemon.get("/api/v1/stalls?group=web")[2])["stalls"]


def unread(port):
    """Bytes that whoever listens on that port has not read from its connections."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(words[4].split(":")[1], 16) for words in connections
               if words[1].endswith(f":{port:04X}") and words[3] == "01")


def first_cells(screen):
    """The first words of the rows between the headings and the last line."""
    lines = screen.splitlines()
    return [line[2:].split()[0] for line in lines[2:-1] if line[2:].strip()]


def test_the_list_shows_who_is_stuck_on_top_and_the_last_minute(services, terminal):
    screen = terminal(top(services))
    # In the column of the age, whatever the p99 is.
    screen.shows(r"^! web +main .* \d+(\.\d+)? m?s +")
    lines = screen.lines()
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert re.match(r"\d\d:\d\d:\d\d  3 loops, \d stuck, by p99ms  http://127", lines[0])
    assert lines[1].split() == ["GROUP", "LOOP", "PROCS", "p50ms", "p99ms", "maxms", "ACTIVE%",
                                "STALLS", "STUCK", "LAST", "MINUTE"]
    assert lines[-1].startswith("q quit  ? help")
    # A bar for over a second, and those of a loop at rest.
    screen.shows("^[! ] web .*\u2588$")
    screen.shows("^  idle .*[\u2581-\u2584]$")


def test_keys_sort_move_and_end_it(daemon, target, terminal):
    for name in ("web", "idle"):
        target([PYTHON, "-c", IDLE], group=name)
        wait_for(lambda: daemon.loop(name), 20, f"{name} is known")
    screen = terminal(top(daemon))
    screen.shows("by p99ms")
    screen.press("g")
    screen.shows("by GROUP")
    wait_for(lambda: first_cells(screen.screen()) == ["idle", "looplagd", "web"], 15,
             "sorted by name")
    screen.press("r")
    screen.shows("by GROUP reversed")
    wait_for(lambda: first_cells(screen.screen()) == ["web", "looplagd", "idle"], 15,
             "the other way round")
    screen.press(">")
    screen.shows("by LOOP ")
    screen.press("?")
    screen.shows("reverse the order")
    screen.press("x")
    screen.shows("by LOOP ")
    screen.press("q")
    screen.shows(r"^status 0$")


def test_enter_shows_a_group_with_its_stacks_and_escape_goes_back(services, terminal):
    screen = terminal(top(services), columns=100, rows=40)
    wait_for(lambda: any(not stall["open"] and stall["samples"] for stall in
                         stalls(services)), 20, "a stall with a stack has ended")
    # The worst is chosen, as long as nobody moves.
    screen.shows(r"^[! ] web .*\n(.*\n)*^  idle")
    screen.press("Enter")
    screen.shows(r"^\d\d:\d\d:\d\d  web$")
    screen.shows(r"^loop = main, the last minute$")
    screen.shows(r"^ *1000000 -> 2000000 +: .*\|\*+")
    screen.shows(r"^Last stalls, the newest first$")
    screen.shows(r"web, main, process \d+  asleep in clock_nanosleep\(\)")
    screen.shows(r"^   > overslept \(<string>:4\)$")
    screen.press("Escape")
    screen.shows("by p99ms")


@pytest.mark.parametrize("columns, rows", [(40, 10), (20, 4), (5, 2), (1, 1), (200, 60)])
def test_any_size_will_do(daemon, terminal, columns, rows):
    wait_for(lambda: daemon.loop("looplagd"), 10, "looplagd has a loop")
    screen = terminal(top(daemon))
    screen.shows("looplagd")
    for key in ("Enter", "Escape", "?"):
        screen.resize(columns, rows)
        wait_for(lambda: screen.call("display", "-p", "#{pane_width}").strip() ==
                 str(columns), 10, "the new size")
        screen.press(key)
        screen.resize(80, 24)
        screen.shows({"Enter": "^loop = main, the last minute|from the next second on",
                      "Escape": "^  looplagd ", "?": "reverse the order"}[key])
    screen.press("q")
    screen.shows(r"^status 0$")


def test_colours_are_left_out_where_nobody_wants_them(services, terminal):
    coloured = terminal(top(services), TERM="screen-256color")
    plain = terminal(top(services), TERM="screen-256color", NO_COLOR="1")
    colour = re.compile(r"\033\[[0-9;]*3[0-7]m")
    for screen in (coloured, plain):
        screen.shows("^! web")
    wait_for(lambda: colour.search(coloured.screen("-e")), 10, "a colour")
    assert not colour.search(plain.screen("-e"))


def test_a_daemon_that_goes_away_is_waited_for(start_daemon, terminal):
    daemon = start_daemon()
    wait_for(lambda: daemon.loop("looplagd"), 10, "looplagd has a loop")
    address = daemon.address
    screen = terminal(top(daemon))
    screen.shows("^  looplagd ")
    start_daemon.running.remove(daemon)
    daemon.stop()
    screen.shows(rf"^\d\d:\d\d:\d\d  no answer from http://{re.escape(address)}: ")
    screen.shows("^  looplagd ")  # what was known is still there
    start_daemon("--web.listen-address", address)
    screen.shows("1 loop, ")
    screen.press("q")
    screen.shows(r"^status 0$")


def test_an_answer_that_does_not_come_keeps_no_key_waiting(start_daemon, terminal):
    daemon = start_daemon()
    wait_for(lambda: daemon.loop("looplagd"), 10, "looplagd has a loop")
    screen = terminal(top(daemon))
    screen.shows("^  looplagd ")
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: unread(daemon.port), 10, "a request that is not read")
        screen.press("?")
        screen.shows("reverse the order", 5)
        screen.press("q")
        screen.shows(r"^status 0$", 5)
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def test_signals_end_it_in_order(daemon, terminal):
    wait_for(lambda: daemon.loop("looplagd"), 10, "looplagd has a loop")
    screen = terminal(top(daemon))
    screen.shows("by p99ms")
    screen.press("C-c")
    screen.shows(r"^status 0$")


def test_without_a_terminal_or_a_daemon_one_error_is_told(daemon, terminal):
    result = looplag("top", "--url", daemon.url)
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr == ("looplag: top needs a terminal; 'looplag ps' shows the same "
                             "once\n")
    unknown = terminal(top(daemon), TERM="nonesuch")
    unknown.shows("^looplag: top does not know the terminal 'nonesuch'; set TERM$")
    unknown.shows(r"^status 1$")
    nobody = terminal([LOOPLAG, "top", "--url", f"http://127.0.0.1:{free_port()}"],
                      columns=120)
    nobody.shows(r"^looplag: no looplagd at http://127.0.0.1:\d+ \(Connection refused\); start")
    nobody.shows(r"^status 1$")
