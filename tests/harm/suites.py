# SPDX-License-Identifier: MIT
"""The test suites of others: how each is got, built, run, and how its results are read.

A suite consists of units (a module, a file, a group) that are run one by one; what a unit
says becomes {name of a test: "ok", "failed" or "skipped"}. A unit can be run for some names
alone."""

import os
import re
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

PYTHON = "/usr/bin/python3"

TAP = re.compile(r"(not ok|ok) +\d+ *(?:- *)?([^#]*)(?:# *(skip|todo)?.*)?$", re.I)
TAP_LETTERS = 200  # of a line; memcached's have thousands
# What is rolled anew each time: letters, a port, a socket.
RANDOM = re.compile(r"[A-Z]{20,}|(?<=\(got )\d+(?=\))|(?<=/memcachetest)\d+")


def junit(path):
    """The results in a JUnit file."""
    results = {}
    for case in xml.parse(path).getroot().iter("testcase"):
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        kinds = {child.tag for child in case} | {case.get("result", "completed")}
        results[name] = ("failed" if kinds & {"failure", "error"} else
                         "skipped" if "skipped" in kinds else "ok")
    return results


def tap(text):
    """The results in the output of a test that speaks TAP. Equal names are told apart by a
    number, since they come in the same order each time."""
    results, seen = {}, {}
    for line in text.splitlines():
        if line.startswith("1..0 "):  # and why
            results[line] = "skipped"
        found = TAP.match(line[:TAP_LETTERS])
        if not found:
            continue
        verdict, directive = found[1], found[3]
        name = RANDOM.sub("RANDOM", found[2].strip())
        seen[name] = seen.get(name, 0) + 1
        unique = name if seen[name] == 1 else f"{name} ({seen[name]})"
        results[unique] = ("skipped" if directive else
                           "ok" if verdict.lower() == "ok" else "failed")
    return results


class Suite:
    """What all suites have. `tree` is the unpacked source, `build` where it was built."""
    source = None  # name of the Debian source package
    needs = ()  # files without which it cannot be built or run
    steps = ()  # commands that build it, in the directory `build`
    limit_seconds = 900  # for a unit
    retries_alone = True  # whether a single test can be run

    def __init__(self, tree=None, build=None):
        self.tree, self.build = tree, build

    def units(self):
        raise NotImplementedError

    def command(self, unit, names, work):
        """The words that run a unit, or some tests of it, and its working directory."""
        raise NotImplementedError

    def results(self, unit, output, work):
        """What was found when the unit ran in `work` and wrote this output."""
        raise NotImplementedError


class CPython(Suite):
    """The modules of Python's own tests that concern waits, processes and threads."""
    name = "cpython"
    needs = ("/usr/lib/python3.11/test/test_asyncio",)
    modules = ("test_asyncio", "test_selectors", "test_epoll", "test_poll", "test_select",
               "test_subprocess", "test_socket", "test_signal", "test_threading",
               "test_multiprocessing_fork")

    def units(self):
        return self.modules

    def command(self, unit, names, work):
        patterns = [word for name in names for word in ("-m", name)]
        return [PYTHON, "-m", "test", "--timeout", "300", "--junit-xml",
                work / "result.xml", "--tempdir", work, *patterns, unit], work

    def results(self, unit, output, work):
        return junit(work / "result.xml")


class CPythonInShort(CPython):
    """What of it fits into a minute, three times."""
    name = "cpython-short"
    modules = ("test_selectors", "test_epoll", "test_poll", "test_select",
               "test.test_asyncio.test_streams", "test.test_asyncio.test_unix_events",
               "test_signal")
    # These take longest.
    left_out = ("*_interrupt_noraise", "*SelectorTestCase.test_timeout", "*.test_poll2",
                "*.SiginterruptTest.*", "*.StressTest.*", "*.ItimerTest.*")

    def command(self, unit, names, work):
        words, where = super().command(unit, names, work)
        ignored = [word for name in self.left_out for word in ("-i", name)]
        return words[:-1] + ignored + words[-1:], where


class Libuv(Suite):
    name = "libuv"
    source = "libuv1"
    needs = ("/usr/bin/cmake",)
    steps = (["cmake", "{tree}", "-DCMAKE_BUILD_TYPE=Release"],
             ["make", "-j2", "uv_run_tests_a"])

    def units(self):
        return ("all",)

    def command(self, unit, names, work):
        # A test that is called by its name alone takes its helpers along.
        return [self.build / "uv_run_tests_a", *names], self.tree

    def results(self, unit, output, work):
        return tap(output)


class Libevent(Suite):
    name = "libevent"
    source = "libevent"
    needs = ("/usr/bin/cmake",)
    steps = (["cmake", "{tree}", "-DCMAKE_BUILD_TYPE=Release", "-DEVENT__LIBRARY_TYPE=STATIC",
              "-DEVENT__DISABLE_OPENSSL=ON", "-DEVENT__DISABLE_MBEDTLS=ON",
              "-DEVENT__DISABLE_SAMPLES=ON", "-DEVENT__DISABLE_BENCHMARK=ON"],
             ["make", "-j2", "regress"])
    LINE = re.compile(r"^([\w./-]+/[\w./-]+): (.*?)(?=^[\w./-]+/[\w./-]+: |\Z)", re.M | re.S)

    def units(self):
        return ("all",)

    def command(self, unit, names, work):
        return [self.build / "bin" / "regress", *names], work

    def results(self, unit, output, work):
        results = {}
        for name, text in self.LINE.findall(output):
            results[name] = ("failed" if "FAILED" in text else
                             "skipped" if re.search(r"SKIPPED|DISABLED", text) else
                             "ok" if "OK" in text else "failed")
        return results


class Uvloop(Suite):
    """Its tests, on Debian's python3-uvloop."""
    name = "uvloop"
    source = "uvloop"
    needs = tuple(f"/usr/lib/python3/dist-packages/{name}"
                  for name in ("uvloop", "pytest", "psutil"))
    # The source would be imported in place of what Debian built of it.
    steps = (["mv", "{tree}/uvloop", "{tree}/uvloop.source"],)
    # The first compares the source with its formatting, the other needs a build of its own.
    left_out = ("test_sourcecode.py", "test_dealloc.py")

    def units(self):
        return tuple(sorted(file.name for file in (self.tree / "tests").glob("test_*.py")
                            if file.name not in self.left_out))

    def command(self, unit, names, work):
        selected = ["-k", " or ".join(name.split(".")[-1] for name in names)] if names else []
        return [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir",
                self.tree, "--junit-xml", work / "result.xml", *selected,
                self.tree / "tests" / unit], work

    def results(self, unit, output, work):
        return junit(work / "result.xml")


class Redis(Suite):
    """Its tests, on Debian's binaries of the same version; no cluster, no modules."""
    name = "redis"
    source = "redis"
    needs = ("/usr/bin/redis-server", "/usr/bin/redis-benchmark", "/usr/bin/tclsh")
    programs = ("redis-server", "redis-cli", "redis-benchmark", "redis-check-aof",
                "redis-check-rdb")
    steps = tuple(["ln", "-sf", f"/usr/bin/{name}", f"{{tree}}/src/{name}"]
                  for name in programs)
    LINE = re.compile(r"^(?:\x1b\[[\d;]*m)?\[(?:\x1b\[[\d;]*m)?(ok|err|skip|ignore|exception|"
                      r"timeout)(?:\x1b\[[\d;]*m)?\]:? ?(.*)$", re.M)
    WORDS = {"ok": "ok", "skip": "skipped", "ignore": "skipped"}

    def units(self):
        text = (self.tree / "tests" / "test_helper.tcl").read_text()
        names = re.search(r"set ::all_tests \{(.*?)\}", text, re.S)[1].split()
        nothing = ("unit/printver", "unit/tls")  # is tested by these
        return tuple(name for name in names
                     if "cluster" not in name and name not in nothing)

    def command(self, unit, names, work):
        only = [word for name in names for word in ("--only", name)]
        return ["./runtest", "--clients", "1", "--single", unit, *only], self.tree

    def results(self, unit, output, work):
        results = {}
        for verdict, text in self.LINE.findall(output):
            name = re.sub(r" \(\d+ ms\)$| in tests/.*$", "", text.strip())
            # Of these, what is done to whom and how often is rolled anew each time.
            if name.startswith("PSYNC2: "):
                name = re.sub(r"(?<!C)\d+", "N", name)
            if results.get(name) != "failed":
                results[name] = self.WORDS.get(verdict, "failed")
        return results


class Memcached(Suite):
    name = "memcached"
    source = "memcached"
    needs = ("/usr/include/event.h", "/usr/bin/prove")
    steps = (["sh", "-c", "cd {tree} && ./configure -q && make -j2 memcached "
              "memcached-debug testapp timedrun sizes"],)
    retries_alone = False  # a file is run as a whole
    limit_seconds = 300

    def units(self):
        files = sorted(file.name for file in (self.tree / "t").glob("*.t"))
        return ("testapp", *files)

    def command(self, unit, names, work):
        if unit == "testapp":
            return ["./testapp"], self.tree
        return ["perl", f"t/{unit}"], self.tree

    def results(self, unit, output, work):
        return tap(output)


ALL = (CPython, Libuv, Libevent, Uvloop, Redis, Memcached)
SHORT = (CPythonInShort,)


def missing(suite):
    """What the suite needs and the machine lacks."""
    return [path for path in suite.needs if not Path(path).exists()]


def build(suite, log):
    """Build it, unless that has been done; False if it failed, and `log` says why."""
    done = suite.build / "built"
    if done.exists():
        return True
    suite.build.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as file:
        for step in suite.steps:
            words = [word.replace("{tree}", str(suite.tree)) for word in step]
            if subprocess.run(words, cwd=suite.build, stdout=file, stderr=file,
                              stdin=subprocess.DEVNULL).returncode:
                return False
    done.touch()
    return True


def give_away(path, user):
    """Let the user who runs the tests own what they may write to."""
    for directory, _, files in os.walk(path):
        for name in ("", *files):
            os.lchown(os.path.join(directory, name), user, user)
