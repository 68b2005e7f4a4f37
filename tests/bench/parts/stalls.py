# SPDX-License-Identifier: MIT
"""What looplag and its peers tell about stalls whose reason, length and line are known: a
table with a row for each way to stall."""

import gzip
import http.server
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path

import harness
import injected
import npm
from npm import PEERS
from report import say

MS, GAP_MS = 600, 300

NODE = ["cpu", "regexp", "json", "exec", "pbkdf2", "gzip", "atomics", "fifo", "microtasks",
        "worker"]
PYTHON = ["cpu", "sleep", "http", "sqlite", "pbkdf2", "regexp", "json", "gil"]
LOOPLAG, BLOCKED_AT, SENTRY, DEBUG = \
    "looplag", "blocked-at", "@sentry/node-native", "asyncio debug mode"

CONFIG = "threshold: 100ms\ncaptures_per_minute: 6000\nalerts: []\n"


class Sink(http.server.ThreadingHTTPServer):
    """Takes Sentry's events, and remembers when they came."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.reports = []
        self.dsn = f"http://key@127.0.0.1:{self.server_port}/1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(http.server.BaseHTTPRequestHandler):
        def body(self):
            if "content-length" in self.headers:
                return self.rfile.read(int(self.headers["content-length"]))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def do_POST(self):
            at = time.monotonic_ns()
            body = self.body()
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            for line in body.decode().splitlines():
                event = json.loads(line)
                for value in event.get("exception", {}).get("values", ()):
                    self.server.reports.append({"at": at, "stack": [
                        {"function": frame.get("function"), "file": frame.get("filename"),
                         "line": frame.get("lineno"), "lang": "js"}
                        for frame in value.get("stacktrace", {}).get("frames", ())[::-1]]})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass


class Watcher(threading.Thread):
    """Looks at looplagd's stalls all the time; remembers when each was first told."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self._daemon, self._over = daemon, threading.Event()
        self._first, self._last = {}, {}

    def run(self):
        while not self._over.wait(0.02):
            for stall in injected.stalls(self._daemon):
                if stall.get("stack"):
                    self._first.setdefault(stall["id"], time.monotonic_ns())
                self._last[stall["id"]] = stall

    def stop(self):
        time.sleep(0.3)
        self._over.set()
        self.join()
        return [dict(stall, at=self._first.get(number, stall["end"] + 1))
                for number, stall in self._last.items()]


def blocked_at_reports(path):
    """From the lines that peers/blocked_at.js has written."""
    frame = re.compile(r"at (?:(.+) \()?(.+?):(\d+):\d+\)?$")
    reports = []
    for line in path.read_text().splitlines() if path.exists() else ():
        report = json.loads(line)
        found = [frame.search(text) for text in report["stack"]]
        report["stack"] = [{"function": m[1], "file": m[2], "line": int(m[3]), "lang": "js"}
                           for m in found if m and "/node_modules/" not in m[2]]
        reports.append(report)
    return reports


class Debug(threading.Thread):
    """Reads what asyncio's debug mode says, as it says it."""

    LINE = re.compile(r"Executing <.*?([\w.<>]+)\(?\)? at (\S+):(\d+).* took ([\d.]+) sec")

    def __init__(self, program):
        super().__init__(daemon=True)
        self.reports = []
        self._program, self._over = program, threading.Event()

    def run(self):
        while not self._over.wait(0.02):
            self.look()

    def look(self):
        found = self.LINE.findall(self._program.stderr)
        for function, file, line, seconds in found[len(self.reports):]:
            self.reports.append({"at": time.monotonic_ns(), "seconds": float(seconds),
                                 "stack": [{"function": function, "file": file,
                                            "line": int(line), "lang": "python"}]})

    def stop(self):
        self._over.set()
        self.join()
        self.look()
        return self.reports


def run_case(kind, case, tool, count, modules):
    """The stalls of one case, and what a tool told of them."""
    with tempfile.TemporaryDirectory(prefix="looplag-bench-") as directory:
        directory = Path(directory)
        config = directory / "looplagd.yaml"
        config.write_text(CONFIG)
        env = {"NODE_PATH": str(modules)} if modules else {}
        daemon = sink = watcher = None
        if tool == LOOPLAG:
            daemon = harness.Daemon("--config.file", config)
            env = harness.target_environment(daemon.socket, "bench", env)
            watcher = Watcher(daemon)
        elif tool == SENTRY:
            sink = Sink()
            env.update(SENTRY_DSN=sink.dsn,
                       NODE_OPTIONS=f"-r {PEERS / 'sentry_native.js'}")
        elif tool == BLOCKED_AT:
            env.update(REPORTS=str(directory / "reports"),
                       NODE_OPTIONS=f"-r {PEERS / 'blocked_at.js'}")
        else:
            env.update(PYTHONASYNCIODEBUG="1")

        def start(command, env=env, group=None, daemon=None, **how):
            return harness.Program(command, env=dict(os.environ, **started_env), **how)
        started_env = env
        host = injected.start(start, directory, kind, case, [MS] * count, gap_ms=GAP_MS)
        if tool == DEBUG:
            watcher = Debug(host.program)
        try:
            if watcher:
                watcher.start()
            stalls = host.done(120)
            time.sleep(1)  # a report that comes later is no use
            if tool == BLOCKED_AT:
                return stalls, blocked_at_reports(directory / "reports")
            return stalls, sink.reports if sink else watcher.stop()
        finally:
            host.program.stop()
            if daemon:
                daemon.stop()
            if sink:
                sink.shutdown()
                sink.server_close()


def judge(one, reports):
    """What is known of a stall from what was told while it lasted and soon after."""
    own = [report for report in reports
           if one.start <= report["at"] <= one.end + 250_000_000 and report.get("stack")]
    if not own:
        return "-"
    report = own[0]
    frame = injected.innermost(report)
    named = [f for f in report["stack"] if (f.get("function") or "").endswith(one.function)]
    if frame in named and frame.get("line") in one.lines:
        what = "line"
    elif frame in named:
        what = "function"
    elif named:
        what = "function, not innermost"
    else:
        frame = frame or report["stack"][0]
        place = f"{os.path.basename(frame.get('file') or '?')}:{frame.get('line')}"
        what = f"`{frame.get('function') or place}`"
    if report.get("late"):
        what += f", `{report['stack'][0].get('function')}` (native)"
    when = "during" if report["at"] <= one.end else "after"
    if report.get("seconds") is None:
        return f"{what}; {when}"
    off = abs(report["seconds"] - one.seconds)
    return f"{what}; {when}; " + (f"{off * 1e3:.1f} ms off" if off < 0.1 else "wrong length")


def merged(cells):
    """One cell for several stalls: the most frequent, with the greatest error."""
    words = [re.sub(r"[\d.]+ ms off", "% ms off", cell) for cell in cells]
    common = max(words, key=words.count)
    errors = [float(m[1]) for m in (re.search(r"([\d.]+) ms off", cell)
                                    for cell, word in zip(cells, words) if word == common)
              if m]
    text = common.replace("%", f"{max(errors):.1f}") if errors else common
    share = words.count(common)
    return text if share == len(cells) else f"{text} ({share} of {len(cells)})"


def run(report, args):
    count = 1 if args.short else 5
    modules = npm.modules()
    report.heading("What is told of stalls")
    report.words(f"What is told about a loop that is blocked for about {MS} ms, {count} times "
                 "each, all with a threshold of 100 ms: whether the innermost frame that is no "
                 "library is the guilty function and line, when that was known, and how far "
                 "off the length is.")
    node_tools = [LOOPLAG] + ([BLOCKED_AT, SENTRY] if modules else [])
    for title, kind, cases, tools in (
            ("Node.js", "node", NODE, node_tools),
            ("asyncio", "asyncio", PYTHON, [LOOPLAG, DEBUG])):
        rows = []
        for case in cases:
            row = [case]
            for tool in tools:
                say(f"{title}, {case}, {tool}")
                stalls, told = run_case(kind, case, tool, count, modules)
                row.append(merged([judge(one, told) for one in stalls]))
            rows.append(row)
        report.table([title, *tools], rows)
