# SPDX-License-Identifier: MIT
"""A stack names the guilty line: the innermost frame of the application, as opposed to the
runtime and its libraries, is the function and the line that blocked; and the cause is right.

Each case has LOOPLAG_STALLS stalls (5; 20 for the full truth), and all but one in twenty,
but at least one, must be right.
"""

import os
import socket
import time
from pathlib import Path

import pytest

import injected
import services
from harness import wait_for

COUNT = int(os.environ.get("LOOPLAG_STALLS", "5"))
MAY_BE_WRONG = max(1, COUNT // 20)
MS = 300
# What is cut to length before, when others may use the machine.
CALIBRATED = ["gil", "gzip", "pbkdf2", "regexp"]

CONFIG = """
threshold: 50ms
captures_per_minute: 6000
"""

# kind, case: the cause
CASES = {
    ("node", "cpu"): "cpu",
    ("node", "regexp"): "cpu",
    ("node", "json"): "cpu",
    ("node", "exec"): "nested_wait",
    ("node", "pbkdf2"): "cpu",
    ("node", "gzip"): "cpu",
    ("node", "atomics"): "blocked",
    ("node", "fifo"): "blocked",
    ("node", "microtasks"): "cpu",
    ("node", "worker"): "cpu",
    ("asyncio", "cpu"): "cpu",
    ("asyncio", "sleep"): "blocked",
    ("asyncio", "http"): "blocked",
    # A socket with a timeout calls poll().
    ("asyncio", "http-timeout"): "nested_wait",
    ("asyncio", "sqlite"): "blocked",
    ("asyncio", "pbkdf2"): "cpu",
    ("asyncio", "regexp"): "cpu",
    ("asyncio", "json"): "cpu",
    ("asyncio", "gil"): "gil",
    ("uvloop", "cpu"): "cpu",
    ("uvloop", "sleep"): "blocked",
    ("c", "cpu"): "cpu",
    ("c", "fsync"): "blocked",
    ("c", "getaddrinfo"): "blocked",
    ("c", "mutex"): "blocked",
}


def says(frame, *names):
    """Whether a function is one of those names, with or without what it belongs to."""
    return frame and (frame.get("function") or "").rpartition(".")[2] in names


def deprived(one):
    """The cause that is right, too, when others have used the processor meanwhile."""
    return ["starved"] if one.run_delay_ns > 0.3e9 * one.seconds else []


def judge(kind, case, one, report):
    """Why a report is wrong, or None."""
    frame = injected.innermost(report, "stalls" if kind == "c" else "")
    if report["cause"] not in [CASES[kind, case], *deprived(one)]:
        return "the cause"
    if not frame:
        return "no frame of the application"
    if (kind, case) == ("node", "json"):
        # V8 looks for interrupts after the parser is through; native frames name it.
        if not report.get("late"):
            return "not marked late"
        # The first may be to clear away what the parser has made, which takes as long.
        names = " ".join(f.get("function") or "" for f in report["stack"])
        if "Json" not in names and not ("HandleInterrupts" in names
                                        and "CollectGarbage" in names):
            return "the parser is not named"
        return None if frame.get("file", "").endswith("stalls.js") else "the caller"
    if not says(frame, one.function):
        return f"function {frame.get('function')}, not {one.function}"
    if frame.get("line") not in one.lines:
        return f"line {frame.get('line')}, not {one.lines}"
    return None


@pytest.fixture
def loud_daemon(start_daemon, tmp_path):
    """It takes as many stacks as there are stalls."""
    (tmp_path / "looplagd.yaml").write_text(CONFIG)
    return start_daemon("--config.file", tmp_path / "looplagd.yaml")


def settled(daemon, group, count):
    """The reports of a group when nothing more comes: all have ended, and stacks that were
    under way have arrived."""
    def ended():
        found = injected.stalls(daemon, group)
        return found if len(found) >= count and not any(s["open"] for s in found) else None
    wait_for(ended, 5, f"{count} stalls of {group}")

    def arrived():
        found = injected.stalls(daemon, group)
        return found if all(s.get("stack") for s in found) else None
    try:
        return wait_for(arrived, 2, "all stacks")
    except AssertionError:
        return injected.stalls(daemon, group)  # the judge says what is missing


def check(judged):
    """judged: why or None, report; of each injected stall."""
    wrong = [f"{why}: {injected.brief(report) if report else ''}" for why, report in judged
             if why]
    assert len(judged) > COUNT / 2, "too few are long enough to count"
    print(f"{len(judged) - len(wrong)} of {len(judged)} right")
    assert len(wrong) <= MAY_BE_WRONG, "\n".join(wrong)
    # Stalls of one code path are told by one stack_id.
    ids = [report.get("stack_id") for why, report in judged if not why]
    commonest = max(ids.count(i) for i in ids)
    print(f"{commonest} of {len(ids)} have the same stack_id")


@pytest.mark.parametrize("kind, case", [
    pytest.param(*case, id="-".join(case), marks=[pytest.mark.quiet] * (case[1] in CALIBRATED))
    for case in CASES])
def test_the_guilty_line(loud_daemon, target, tmp_path, kind, case):
    length = MS * 1.5 if case in CALIBRATED else MS
    host = injected.start(target, tmp_path, kind, case, [length] * COUNT, group="guilty",
                          daemon=loud_daemon)
    stalls = host.done(60 + COUNT * 3)
    assert len(stalls) == COUNT
    pairs = injected.match(stalls, settled(loud_daemon, "guilty", COUNT)).pairs
    check([("reported %d times" % len(reports), None) if len(reports) != 1 else
           (judge(kind, case, one, reports[0]), reports[0])
           for one, reports in pairs if one.seconds > 0.2])


class Redis:
    """A redis whose loop a client stops by commands."""

    def __init__(self, target, daemon, directory):
        port = services.free_port()
        self.program = target(
            ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", directory, "--enable-debug-command", "yes"],
            group="guilty", daemon=daemon)
        self.client = wait_for(lambda: socket.create_connection(("127.0.0.1", port)), 10,
                               "redis listens")
        for _ in range(3):
            self.call("PING")

    def call(self, *words):
        """Call a command; when it was sent and when the answer came."""
        start = time.monotonic_ns()
        self.client.sendall(b"*%d\r\n" % len(words) + b"".join(
            b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words)))
        answer = self.client.recv(4096)
        assert answer and not answer.startswith(b"-"), answer
        return start, time.monotonic_ns()

    def run_delay(self):
        """How long the kernel has kept it waiting for a processor."""
        return int(Path(f"/proc/{self.program.pid}/schedstat").read_text().split()[1])


LUA = "local s = 0 for i = 1, {} do s = s + i end return s"


@pytest.mark.parametrize("case, names, cause", [
    ("sleep", ["debugCommand"], "blocked"),
    # Lua is a part of the program; without debugging symbols its loop has no name.
    ("script", ["luaV_execute", "lua_pcall", "luaCallFunction"], "cpu"),
])
def test_the_guilty_function_of_redis(loud_daemon, target, tmp_path, case, names, cause):
    redis = Redis(target, loud_daemon, tmp_path)
    if case == "sleep":
        words = ["DEBUG", "SLEEP", str(MS / 1e3)]
    else:
        start, end = redis.call("EVAL", LUA.format(1000000), "0")
        turns = int(1000000 * MS * 1e6 / (end - start))
        words = ["EVAL", LUA.format(turns), "0"]
    stalls = []
    for _ in range(COUNT):
        time.sleep(0.06)  # a gap, so that each is a stall of its own
        # What the server takes is a little less than what its client sees.
        before = redis.run_delay()
        start, end = redis.call(*words)
        stalls.append(injected.Injected(case, names[0], [], start + 2000000, end - 2000000,
                                        redis.run_delay() - before))

    def judge_redis(one, report):
        if report["cause"] not in [cause, *deprived(one)]:
            return "the cause"
        # Debian's server is a link to another of its programs.
        frame = injected.innermost(report, "redis-check-rdb") or \
            injected.innermost(report, "redis-server")
        return None if says(frame, *names) else f"not {names}"

    pairs = injected.match(stalls, settled(loud_daemon, "guilty", COUNT)).pairs
    check([("reported %d times" % len(reports), None) if len(reports) != 1 else
           (judge_redis(one, reports[0]), reports[0]) for one, reports in pairs])
