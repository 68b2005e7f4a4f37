#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Add up what `./bootstrap check` ran, from what the test programs themselves wrote.

usage: tally.py BUILD_DIR STEP=passed|failed...

Counts the cases of every check program, each gate, each pytest case, and each of the other
steps as one. A step that failed without a failed case of its own counts as one failure.
The last line is "N passed, N failed"; the exit status is 1 if anything failed.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

CHECKS = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.M)
RESULT = re.compile(r"^:test-result: (\w+)", re.M)


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, name, ok, reason=""):
        if ok:
            self.passed += 1
        else:
            self.failed.append(f"{name}: {reason}" if reason else name)


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The last line of a .log is automake's own "SKIP name (exit status: 77)".
    return lines[-2] if len(lines) > 1 else "no reason given"


def add_unit(tally, build):
    """Everything that `make check` ran in the build directory itself."""
    for trs in sorted(build.glob("tests/**/*.trs")):
        name = str(trs.relative_to(build).with_suffix(""))
        log = trs.with_suffix(".log").read_text(errors="replace")
        result = RESULT.search(trs.read_text())
        outcome = result.group(1) if result else "ERROR"
        if outcome == "SKIP":
            tally.skipped.append(f"{name}: {last_line(log)}")
            continue
        cases = bad = 0
        for match in CHECKS.finditer(log):
            checks, failures, errors = map(int, match.groups())
            cases += checks
            bad += failures + errors
        if outcome == "PASS" and bad == 0:
            tally.passed += max(cases, 1)
            continue
        tally.passed += cases - bad
        for _ in range(max(bad, 1)):
            tally.add(name, False, "see its .log")


def add_e2e(tally, step, junit):
    """Every pytest case."""
    if not junit.exists():
        return
    cases = list(xml.etree.ElementTree.parse(junit).iter("testcase"))
    if not all(case.get("name") for case in cases):
        tally.add(step, False, "was interrupted; what had not run then is not counted")
    for case in cases:
        name = f"{step}: {case.get('classname')}.{case.get('name')}"
        bad = case.find("failure")
        if bad is None:
            bad = case.find("error")
        skip = case.find("skipped")
        if bad is not None:
            message = bad.get("message") or "failed"
            tally.add(name, False, message.splitlines()[0])
        elif skip is not None:
            tally.skipped.append(f"{name}: {skip.get('message')}")
        elif case.get("name"):
            tally.passed += 1


def main():
    build = pathlib.Path(sys.argv[1])
    tally = Tally()
    collectors = {
        "unit": lambda: add_unit(tally, build),
        **{name: lambda name=name: add_e2e(tally, name, build / f"{name}.xml")
           for name in ("quiet", "e2e", "hostile")},
    }
    for argument in sys.argv[2:]:
        step, outcome = argument.split("=")
        before = tally.passed, len(tally.failed), len(tally.skipped)
        if step not in collectors:
            tally.add(step, outcome == "passed", f"see build/log/{step}.log")
            continue
        collectors[step]()
        counted = (tally.passed, len(tally.failed), len(tally.skipped)) != before
        if len(tally.failed) == before[1] and not (counted and outcome == "passed"):
            tally.add(step, False, f"see build/log/{step}.log")

    for name in tally.skipped:
        print(f"skipped: {name}")
    for name in tally.failed:
        print(f"failed: {name}")
    line = f"{tally.passed} passed, {len(tally.failed)} failed"
    if tally.skipped:
        line += f", {len(tally.skipped)} skipped"
    print(line)
    return 1 if tally.failed else 0


sys.exit(main())
