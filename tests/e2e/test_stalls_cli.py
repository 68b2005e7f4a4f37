# SPDX-License-Identifier: MIT
"""Where stalls go: looplag stalls and what it prints, the journal, the lines on stderr, and
the report of a run."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from harness import LOOPLAG, LOOPLAGD, PYTHON, free_port, wait_for
from runs import environment, looplag, run

MS = 300
BEGAN = "5f6d78c090a24109afb12f9d73f5c5b5"
ENDED = "1a7866b906b84c43b4607d76028b59c5"

# Blocks for so many ms as a line of its input says.
BLOCKER = """
import asyncio, sys, time

def oversleep(ms):
    time.sleep(ms / 1e3)

async def main():
    loop = asyncio.get_running_loop()
    loop.add_reader(0, lambda: oversleep(float(sys.stdin.readline())))
    for _ in range(5):
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} +(\S+ m?s)  (\S+), (\S+), "
                  r"process (\d+)  (.*)$", re.M)


class Blocker:
    """An asyncio service that blocks when it is told to."""

    def __init__(self, target, group, **how):
        reader, self.writer = os.pipe()
        self.program = target([PYTHON, "-u", "-c", BLOCKER], group=group, stdin=reader, **how)
        os.close(reader)
        self.pid = self.program.pid
        self.program.line("ready")

    def block(self, ms=MS):
        os.write(self.writer, b"%d\n" % ms)


@pytest.fixture
def blocker(target):
    """blocker(group, ...): a Blocker."""
    started = []

    def start(group, **how):
        started.append(Blocker(target, group, **how))
        return started[-1]

    yield start
    for one in started:
        os.close(one.writer)


def stalls_of(daemon):
    return json.loads(daemon.get("/api/v1/stalls")[2])["stalls"]


def ended(daemon, group, count=1):
    """The stalls of a group, when so many have ended and their stacks are there."""
    def found():
        stalls = [stall for stall in stalls_of(daemon) if stall["groupname"] == group
                  and not stall["open"] and any(f["lang"] == "python" for f in stall["stack"])]
        return stalls if len(stalls) >= count else None
    return wait_for(found, 20, f"{count} stalls of {group}")


def known(daemon, group):
    wait_for(lambda: daemon.loop(group), 10, f"{group} is known")


def stalls(daemon, *arguments, **how):
    return looplag("stalls", "--url", daemon.url, *arguments, **how)


def follow(program, url, *arguments):
    """looplag stalls --follow under way."""
    return program([LOOPLAG, "stalls", "--follow", "--url", url, *arguments],
                   env=environment())


def objects(text):
    return [json.loads(line) for line in text.splitlines(keepends=True)
            if line.endswith("\n")]


# --- looplag stalls ---


def test_a_stall_is_shown_with_the_line_to_blame(daemon, blocker):
    blocker = blocker("web")
    known(daemon, "web")
    blocker.block()
    ended(daemon, "web")
    result = stalls(daemon)
    assert (result.status, result.stderr) == (0, "")
    length, group, loop, pid, cause = LINE.search(result.stdout).groups()
    assert (group, loop, pid) == ("web", "main", str(blocker.pid))
    assert 0.99 * MS <= float(length.split()[0])
    assert cause == "asleep in clock_nanosleep()"
    assert re.search(r"^   > oversleep \(<string>:5\)$", result.stdout, re.M)
    assert "\033" not in result.stdout


def test_json_is_what_the_daemon_says_one_object_a_line(daemon, blocker):
    blocker = blocker("web")
    known(daemon, "web")
    for count in (1, 2):
        blocker.block()
        expected = ended(daemon, "web", count)
    result = stalls(daemon, "--json", "--group", "web")
    assert objects(result.stdout) == expected
    assert len(result.stdout.splitlines()) == 2


def test_groups_and_times_are_chosen(daemon, blocker):
    web, shop = blocker("web"), blocker("shop")
    known(daemon, "web")
    known(daemon, "shop")
    web.block()
    first = ended(daemon, "web")[0]
    shop.block()
    second = ended(daemon, "shop")[0]

    def shown(*arguments):
        return [stall["groupname"] for stall in
                objects(stalls(daemon, "--json", *arguments).stdout)]

    assert shown() == ["web", "shop"]
    assert shown("--group", "shop") == ["shop"]
    assert shown("--group", "sho") == []
    assert shown("--since", "1h") == ["web", "shop"]
    assert shown("--since", first["started"]) == ["web", "shop"]
    # Web's was over when that of shop began.
    assert shown("--since", second["started"]) == ["shop"]
    assert shown("--since", "2099-01-01T00:00:00Z") == []
    result = stalls(daemon, "--since", "2099-01-01T00:00:00Z")
    assert (result.status, result.stdout, result.stderr) == (0, "", "looplag: no stalls\n")


def test_follow_shows_a_stall_while_it_lasts_and_when_it_has_ended(daemon, blocker, program):
    blocker = blocker("web")
    known(daemon, "web")
    blocker.block()
    ended(daemon, "web")
    text, lines = follow(program, daemon.url), follow(program, daemon.url, "--json")
    blocker.block(2500)
    # It lasts: nothing is said of the one before, which had ended.
    opened = wait_for(lambda: objects(lines.stdout), 2.4, "an open stall is shown")
    assert [stall["open"] for stall in opened] == [True]
    wait_for(lambda: len(objects(lines.stdout)) == 2, 10, "its end is shown")
    final = objects(lines.stdout)[1]
    assert final["id"] == opened[0]["id"] and not final["open"]
    assert 2.475 <= final["seconds"]
    wait_for(lambda: len(LINE.findall(text.stdout)) == 2, 10, "the same as text")
    assert "still open" in text.stdout
    assert "> oversleep (<string>:5)" in text.stdout
    for one in (text, lines):
        one.send(signal.SIGINT)
        assert one.wait(5) == 0
        assert one.stderr == ""


def test_follow_outlives_a_daemon_that_is_restarted(start_daemon, blocker, program):
    daemon = start_daemon()
    first = blocker("web", daemon=daemon)
    known(daemon, "web")
    follower = follow(program, daemon.url, "--json")
    first.block()
    wait_for(lambda: [s for s in objects(follower.stdout) if not s["open"]], 10, "a stall")
    address = daemon.address
    start_daemon.running.remove(daemon)
    daemon.stop()
    wait_for(lambda: follower.stderr, 10, "the loss is told")
    # The last --web.listen-address is one more: the same port as before.
    other = start_daemon("--web.listen-address", address)
    second = blocker("shop", daemon=other)
    known(other, "shop")
    second.block()
    wait_for(lambda: [s for s in objects(follower.stdout) if s["groupname"] == "shop"
                      and not s["open"]], 10, "a stall of the new daemon")
    follower.send(signal.SIGTERM)
    assert follower.wait(5) == 0
    assert re.fullmatch(rf"looplag: lost looplagd at http://{re.escape(address)} \(.*\); "
                        r"waiting for it\n", follower.stderr)


def test_without_a_daemon_it_says_what_to_do(program):
    url = f"http://127.0.0.1:{free_port()}"
    for arguments in ([], ["--follow"], ["--json"]):
        result = looplag("stalls", "--url", url, *arguments)
        assert (result.status, result.stdout) == (1, "")
        assert result.stderr == (f"looplag: no looplagd at {url} (Connection refused); start "
                                 "it, or name another with --url\n")


def test_what_is_no_looplagd_is_told(daemon):
    result = looplag("stalls", "--url", daemon.url + "/nowhere")
    assert result.status == 1
    assert "is no looplagd that knows of stalls: it answers with HTTP status 404" in \
        result.stderr


@pytest.mark.parametrize("arguments, words", [
    (["--since", "yesterday"], "--since takes a time like 10m, 10:30, 2026-01-31T10:30 or "
                               "2026-01-31T10:30:00Z, not 'yesterday'"),
    (["--since"], "--since needs a value"),
    (["--url", "localhost"], "--url takes http://HOST:PORT, not 'localhost'"),
    (["--follw"], "unknown option '--follw'"),
    (["-x"], "unknown option '-x'"),
    (["--json=1"], "--json takes no value"),
    (["web"], "unexpected argument 'web'"),
])
def test_mistakes_are_told_in_one_line(arguments, words):
    result = looplag("stalls", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr == f"looplag: {words}; see 'looplag stalls --help'\n"


def test_a_reader_that_goes_away_is_no_error(daemon, blocker):
    blocker = blocker("web")
    known(daemon, "web")
    blocker.block()
    ended(daemon, "web")
    for arguments in ([], ["--follow", "--since", "1h"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([LOOPLAG, "stalls", "--url", daemon.url, *arguments],
                              stdout=writer, stderr=subprocess.PIPE, text=True, timeout=20)
        os.close(writer)
        assert (done.returncode, done.stderr) == (0, "")
    with open("/dev/full", "w") as full:
        done = subprocess.run([LOOPLAG, "stalls", "--url", daemon.url], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 1
    assert done.stderr == ("looplag: cannot write to standard output: No space left on "
                           "device\n")


@pytest.mark.parametrize("helper", ["0", "1"])
def test_a_target_without_stacks_says_why(helper, daemon, blocker):
    # Without the thread of the library the daemon would look from outside.
    blocker = blocker("web", env={"LOOPLAG_STACKS": "0", "LOOPLAG_HELPER": helper})
    known(daemon, "web")
    blocker.block()
    stall = wait_for(lambda: [s for s in stalls_of(daemon) if not s["open"]], 10, "a stall")
    assert stall[0]["samples"] == 0
    wait_for(lambda: "(no stack: " in stalls(daemon).stdout, 10, "the reason")
    assert "LOOPLAG_STACKS" in stalls(daemon).stdout


# --- entries ---

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def test_stalls_are_lines_on_stderr_with_their_facts(start_daemon, blocker):
    for form in ("logfmt", "json"):
        daemon = start_daemon(f"--log.format={form}")
        one = blocker("web", daemon=daemon)
        known(daemon, "web")
        one.block()

        def lines():
            found = [line for line in daemon.program.stderr.splitlines() if '"stalls"' in line
                     or "component=stalls" in line]
            return found if len(found) == 2 else None
        both = wait_for(lines, 10, "two entries")
        if form == "json":
            began, ended = map(json.loads, both)
        else:
            began, ended = ({key: json.loads(value) if value[0] == '"' else value
                             for key, value in PAIR.findall(line)} for line in both)
        assert (began["level"], ended["level"]) == ("warn", "info")
        assert began["group"] == ended["group"] == "web"
        assert began["stall_id"] == ended["stall_id"]
        assert int(ended["pid"]) == one.pid
        assert int(began["stall_usec"]) < int(ended["stall_usec"])
        assert 0.99 * MS * 1000 <= int(ended["stall_usec"])
        assert (ended["cause"], ended["syscall"]) == ("blocked", "clock_nanosleep")
        assert "oversleep (<string>:5)" in ended["stack"].split("\n")
        assert ended["msg"].endswith(", asleep in clock_nanosleep(), in oversleep (<string>:5)")


# Stands where the journal's socket is, in a mount namespace of its own, starts a looplagd
# whose stderr is the journal's as far as it can tell, and prints what comes, as JSON.
JOURNAL = """
import json, os, socket, struct, subprocess, sys
os.makedirs("/run/systemd", exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/systemd"], check=True)
os.mkdir("/run/systemd/journal")
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
os.chmod("/run/systemd/journal/socket", 0o666)
st = os.fstat(2)
env = dict(os.environ, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}")
daemon = subprocess.Popen(sys.argv[1:], env=env, preexec_fn=lambda: __import__("ctypes").CDLL(
    None).prctl(1, 9, 0, 0, 0))
while True:
    data, fields = journal.recv(1 << 20), {}
    while data:
        line, _, data = data.partition(b"\\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            length, = struct.unpack("<Q", data[:8])
            value, data = data[8:8 + length], data[9 + length:]
        fields[name.decode()] = value.decode()
    print(json.dumps(fields), flush=True)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to stand in the journal's place")
def test_stalls_are_entries_of_the_journal(program, scratch, target, blocker):
    class Daemon:
        socket = scratch / "probe.sock"

    port = free_port()
    journal = program(["unshare", "--mount", sys.executable, "-c", JOURNAL, LOOPLAGD,
                       "--probe.socket", Daemon.socket, "--web.listen-address",
                       f"127.0.0.1:{port}"])

    def ready():
        with socket.create_connection(("127.0.0.1", port)):
            return Daemon.socket.exists()
    wait_for(ready, 15, "looplagd is there")
    one = blocker("web", daemon=Daemon)
    # On a machine that others use a thread may be kept from giving its stack in time.
    for turn in range(1, 4):
        one.block()
        wait_for(lambda: len(objects(journal.stdout)) >= 2 * turn, 15, "two entries")
        began, ended = objects(journal.stdout)[-2:]
        if "LOOPLAG_STACK" in ended:
            break
    assert (began["MESSAGE_ID"], ended["MESSAGE_ID"]) == (BEGAN, ENDED)
    assert (began["PRIORITY"], ended["PRIORITY"]) == ("4", "6")
    assert ended["SYSLOG_IDENTIFIER"] == "looplagd"
    assert ended["LOOPLAG_GROUP"] == "web" and ended["LOOPLAG_LOOP"] == "main"
    assert ended["LOOPLAG_PID"] == ended["OBJECT_PID"] == str(one.pid)
    assert ended["LOOPLAG_STALL_ID"] == began["LOOPLAG_STALL_ID"]
    assert int(ended["LOOPLAG_STALL_USEC"]) >= 0.99 * MS * 1000
    assert ended["LOOPLAG_CAUSE"] == "blocked"
    assert "oversleep (<string>:5)" in ended["LOOPLAG_STACK"].split("\n")
    assert re.fullmatch("[0-9a-f]{16}", ended["LOOPLAG_STACK_ID"])
    assert "component=stalls" not in journal.stderr


# --- the report of a run ---

TWO_PLACES = """
import asyncio, time

def nap(s):
    time.sleep(s)

def crunch(s):
    end = time.monotonic() + s
    while time.monotonic() < end: pass

async def main():
    for block, s in ((nap, 0.12), (crunch, 0.09), (nap, 0.15)):
        await asyncio.sleep(0.03)
        block(s)
    await asyncio.sleep(0.1)

asyncio.run(main())
"""


def guilty(place):
    """The innermost Python function of a place, None without one."""
    return next((frame["function"] for frame in place["longest"]["stack"]
                 if frame["lang"] == "python"), None)


def test_a_run_reports_where_it_was_stuck(report):
    # On a machine that others use a thread may be kept from giving its stack in time.
    for _ in range(3):
        data, result = report("--threshold=50ms", PYTHON, "-c", TWO_PLACES)
        assert result.words == []
        places = {guilty(place): place for place in data["stalls"]}
        if places.keys() >= {"nap", "crunch"} and places["nap"]["count"] == 2:
            break
    assert (places["nap"]["count"], places["nap"]["cause"]) == (2, "blocked")
    assert places["crunch"]["count"] == 1
    assert places["nap"]["seconds"] >= 0.27
    assert places["nap"]["longest"]["seconds"] >= 0.15
    sums = [place["seconds"] for place in data["stalls"]]
    assert sums == sorted(sums, reverse=True)
    assert data["groups"][0]["loops"][0]["stalls"] == sum(
        place["count"] for place in data["stalls"])


def test_the_text_report_shows_the_line():
    for _ in range(3):
        result = run("--threshold", "50ms", PYTHON, "-c", TWO_PLACES)
        if "in 2 times" in result.stderr:
            break
    assert re.search(r"^Stuck for over 50\.0 ms: \d times$", result.stderr, re.M)
    assert re.search(r"^\d\d\d ms in 2 times, longest \d\d\d ms: python3, main, asleep in "
                     r"clock_nanosleep\(\)$", result.stderr, re.M)
    assert "   > nap (<string>:5)\n" in result.stderr


def test_a_stall_just_before_the_end_has_its_stack_too():
    code = """
import asyncio, os, time
def last():
    time.sleep(0.3)
    os._exit(0)
async def main():
    for _ in range(5):
        await asyncio.sleep(0.01)
    last()
asyncio.run(main())
"""
    result = run("--threshold", "50ms", PYTHON, "-c", code)
    assert "   > last (<string>:4)\n" in result.stderr, result.stderr


@pytest.mark.parametrize("value", ["1ms", "0", "50", "x"])
def test_a_threshold_that_cannot_be_is_refused(value):
    result = run("--threshold", value, "true")
    assert result.status == 2
    assert f"--threshold takes a time like 50ms, not less than 10ms, not '{value}'" in \
        result.stderr


def test_a_run_leaves_no_directory(scratch):
    run("--threshold", "50ms", PYTHON, "-c", TWO_PLACES,
        env=environment(TMPDIR=str(scratch), XDG_RUNTIME_DIR=""))
    assert os.listdir(scratch) == []
