# SPDX-License-Identifier: MIT
"""No command that README or a manual page shows goes untried: each is run here as it stands,
or it is told here what runs it. A command that is in neither list fails the test.

They are run in a network and a /run of their own, where looplagd has its usual places, as on
a machine that has it installed."""

import os
import re
import shutil
import subprocess

import pytest

import readme
from harness import BUILD, PROBE, SOURCE, Program, short_directory, wait_for
from runs import looplag

PAGES = [SOURCE / name for name in ("cli/looplag.1", "daemon/looplagd.8",
                                    "daemon/looplagd.yaml.5", "probes/looplag-probe.7")]
# What stands in blocks beside commands: keys of YAML, expressions, what commands say.
OTHER = re.compile(r"\w+:( |$)|P\(|1 - |histogram_quantile\(|GROUP |loop = |\d{4}-")
OURS = r"looplagd? |\./|tests/(?!e2e$)|test_\w+\.py|python3 -m pytest -s tests"

# Some releases of Node.js put the name of an object before that of a function.
LINE = r"> (\w+\.)?makeReport \(\S*/server\.js:3\)"
# Commands that are run here, and what they must say.
HERE = {
    "looplag ps": r"(?m)^web +main +1 ",
    "looplag hist web.service 5": r"usecs +: +seconds",
    "looplag hist shop.service 5": r"usecs +: +seconds",
    "looplag stalls --follow": LINE,
    "looplag stalls --since 5m": LINE,
    "looplag stalls --since 1h --json | jq -r 'first(.stack[] | select(.lang != \"native\")) | "
    "\"\\(.file):\\(.line)\"' | sort | uniq -c | sort -n": r"(?m)^ *\d+ \S*/server\.js:3$",
    "curl http://127.0.0.1:9923/metrics": r'(?m)^looplag_stalls_total\{groupname="web"',
    "looplag run node server.js": r"listening",
    "looplag run --report json --output lag.json python3 -m pytest": r"1 passed",
    "jq '[.groups[].loops[].delay.p99] | max' lag.json": r"^0\.\d+\n$",
    "looplag check-config looplagd.yaml":
        r"^looplagd\.yaml:3:5: unknown key 'treshold' in the configuration; "
        r"did you mean threshold\?\n$",
}
DAEMON = "looplagd --web.listen-address=:9923 --log.level=warn"
WITHOUT_SYSTEMD = """mkdir -p ~/looplag
export LOOPLAG_SOCKET=$HOME/looplag/probe.sock
looplagd --probe.socket=$LOOPLAG_SOCKET &
LD_PRELOAD=/usr/lib/x86_64-linux-gnu/liblooplag.so node server.js
"""
ENDLESS = ("looplag hist", "looplag stalls --follow", "looplag run node")
STATUS = {"looplag check-config looplagd.yaml": 1}
E2E = "tests/e2e/"
# Commands that something else runs: the file, and words of it.
ELSEWHERE = {
    r"\./bootstrap check": (".ci/run", "./bootstrap check"),
    r"\./bootstrap demo": (E2E + "test_demo.py", '"demo"'),
    r"\./bootstrap deb": (E2E + "packages.py", '"make", "-C", BUILD, "deb"'),
    r"apt install .*\.deb": (E2E + "test_package.py", 'apt(machine, "install"'),
    r"looplag doctor redis-server\.service": (
        E2E + "test_enable.py", "for unit in NODE, REDIS"),
    r"looplag enable --now (NAME|redis-server)": (
        E2E + "test_package.py", '"looplag", "enable", "--now", REDIS'),
    r"looplag disable --now (NAME|redis-server)": (
        E2E + "test_enable.py", 'say(machine, "disable", "--now", *lines)'),
    r"systemctl enable --now looplagd\.socket looplagd\.service": (
        E2E + "test_enable.py", '"--now", "looplagd.socket", "looplagd.service"'),
    r"looplagd --web\.listen-address=:9923 --web\.config\.file=\S+": (
        E2E + "test_web_access.py", 'start_daemon(f"--web.config.file='),
    r"journalctl MESSAGE_ID=\w+ LOOPLAG_GROUP=web\.service": (
        E2E + "test_systemd.py", '"MESSAGE_ID=1a7866b906b84c43b4607d76028b59c5"'),
    r"apt-get install .*|autoreconf -fi|\./configure --prefix=.*|make( check| install)?":
        ("bootstrap", "distcheck"),
    "systemd-sysusers": ("debian/rules", "installsysusers"),
    "tests/bench/run .*build": (E2E + "test_bench.py", '"--only"'),
    "tests/harm/run SUITE build": (E2E + "test_harm.py", '"harm" / "run"'),
    r"tests/fuzz/run --seconds \d+ BUILD": ("Makefile.am", "tests/fuzz/run --seconds"),
    r"tests/check_\w+": ("Makefile.am", "TESTS = $(gates) $(check_PROGRAMS)"),
}
# What takes hours, or builds everything again.
BY_HAND = {r"\./bootstrap check --sanitized": ("bootstrap", "--sanitized"),
           "tests/packages build": ("tests/packages", "usage: tests/packages [BUILD_DIR]"),
           "tests/soak build": ("tests/soak", "usage: tests/soak [--seconds N] [BUILD_DIR]")}
# Sections that are followed step by step, and by whom.
FOLLOWED = {"On Node.js": "test_readme.py", "On asyncio": "test_readme.py",
            "On a systemd unit": "test_package.py"}


def commands_of(block):
    """The commands in what stands apart from the text."""
    lines = re.sub(r"\\\n\s*|(?<=\|)\n\s*", " ", block).splitlines()
    if lines[0][:2] in ("$ ", "# "):
        return [line[2:] for line in lines if line.startswith(lines[0][:2])]
    if OTHER.match(lines[0]):
        return []
    return [re.sub(r"\s+", " ", re.sub(r"\s# .*", "", line)).strip() for line in lines if line]


def shown():
    """All commands that are shown, in the order of the documents."""
    for heading, body in re.findall(r"^#+ (.*)\n((?:(?!#+ ).*\n)*)", readme.TEXT, re.M):
        body = re.sub(r"^```.*?^```$", "", body, flags=re.M | re.S)
        blocks = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.M)
        if heading not in FOLLOWED:
            for block in blocks.findall(body):
                yield from commands_of(re.sub("^    ", "", block.strip("\n"), flags=re.M))
        for span in re.findall(r"`([^`]+)`", blocks.sub("\n", body)):
            if re.match(OURS, span):
                yield re.sub(r"\s+", " ", span)
    for page in PAGES:
        text = page.read_text().replace("\\e", "\\").replace("\\&", "")
        for line, block in re.findall(
                r"^\.Dl (.*)$|^\.Bd -literal.*\n((?:(?!\.Ed).*\n)*)", text, re.M):
            yield from commands_of(line or block)


def test_each_command_that_is_shown_is_run_by_a_test():
    commands = list(dict.fromkeys(shown()))
    assert len(commands) > 40
    for command in commands:
        if command in [*HERE, DAEMON, *WITHOUT_SYSTEMD.splitlines()]:
            continue
        verb = re.fullmatch(r"looplag ([a-z-]+)", command)
        script = re.fullmatch(r"(?:python3 -m pytest -s )?(?:tests/e2e/)?(test_[\w*]+\.py|)"
                              r"(?: -k \"?([\w ]+?)\"?)?", command)
        if verb:
            assert looplag("help", verb[1]).status == 0, command
        elif script:
            files = list((SOURCE / E2E).glob(script[1] or "*.py"))
            assert files, command
            for word in (script[2] or "").replace(" and ", " ").split():
                assert word in files[0].read_text(), command
        else:
            runs = [told for pattern, told in {**ELSEWHERE, **BY_HAND}.items()
                    if re.fullmatch(pattern, command)]
            assert len(runs) == 1, f"no test is known to run {command!r}"
            file, words = runs[0]
            assert words in (SOURCE / file).read_text(), f"{file} does not run {command!r}"
    assert set(HERE) <= set(commands), "what is no longer shown need not be run"


@pytest.mark.parametrize("heading", FOLLOWED)
def test_sections_are_followed_step_by_step(heading):
    text = (SOURCE / E2E / FOLLOWED[heading]).read_text()
    assert f'"{heading}"' in text and "readme.commands(" in text


# --- a machine of its own ---


SERVER = """// Blocks its loop.
function makeReport() {
    for (const end = Date.now() + 150; Date.now() < end;);
}
setInterval(makeReport, 500);
console.log('listening');
"""
TEST = """import asyncio, time
async def main():
    for _ in range(3):
        await asyncio.sleep(0.05)
        time.sleep(0.15)
def test_it():
    asyncio.run(main())
"""


APART = ["unshare", "--net", "--mount"]


class Machine:
    """A network and a /run of its own, and the programs that run there."""

    def __init__(self, directory):
        self.directory = directory
        (directory / "server.js").write_text(SERVER)
        (directory / "test_it.py").write_text(TEST)
        (directory / "looplagd.yaml").write_text("\n\n    treshold: 50ms\n")
        self.path = f"{BUILD}:/usr/sbin:/usr/bin:/bin:{os.path.dirname(shutil.which('node'))}"
        holder = Program([*APART, "sh", "-ec", "mount -t tmpfs tmpfs /run; mkdir /run/looplag; "
                          "ip link set lo up; echo ready; exec sleep 600"])
        self.programs = [holder]
        self.wrapper = ["nsenter", f"--target={holder.pid}", "--net", "--mount", "--"]
        holder.line("ready")

    def run(self, command, **env):
        """Start it as a shell does. No units are here; groups have their names."""
        command = command.replace("/usr/lib/x86_64-linux-gnu/liblooplag.so", str(PROBE))
        command = command.replace(".service", "")
        self.programs.append(Program(
            [*self.wrapper, "sh", "-c", f"cd; {command}"], env=dict(
                PATH=self.path, HOME=str(self.directory), LC_ALL="C.UTF-8", **env)))
        return self.programs[-1]

    def wait_ready(self):
        wait_for(lambda: self.run("curl -sf http://127.0.0.1:9923/-/ready").wait() == 0, 20,
                 "looplagd is ready", every=0.2)

    def stop(self):
        for program in reversed(self.programs):
            program.stop()


def why_not():
    if os.geteuid():
        return "namespaces need root"
    missing = [tool for tool in ("curl", "ip", "jq", "node", "nsenter", "unshare")
               if not shutil.which(tool)]
    if missing:
        return "not installed: " + ", ".join(missing)
    attempt = subprocess.run([*APART, "mount", "-t", "tmpfs", "tmpfs", "/run"],
                             capture_output=True, text=True)
    return f"this machine makes no namespaces: {attempt.stderr}" if attempt.returncode else None


@pytest.fixture
def new_machine():
    if why_not():
        pytest.skip(why_not())
    directory = short_directory()
    machine = Machine(directory)
    yield machine
    machine.stop()
    shutil.rmtree(directory)


@pytest.mark.not_sanitized("each verb and option has tests of its own")
def test_commands_work_as_they_are_shown(new_machine):
    run = new_machine.run
    looplagd = run(f"exec {DAEMON}")
    new_machine.wait_ready()
    for group in "web", "shop":
        run("node server.js", LD_PRELOAD=str(PROBE), LOOPLAG_GROUP=group)

    def says(command, words):
        """Who runs on is waited for; others are run again."""
        program = run(command)
        if command.startswith(ENDLESS):
            wait_for(lambda: re.search(words, program.stdout), 30, f"{command} says {words}")
            program.stop()
            return True
        status, said = program.wait(), program.stdout + program.stderr
        return re.search(words, said) and status == STATUS.get(command, 0)

    for command, words in HERE.items():
        wait_for(lambda: says(command, words), 40,
                 lambda: f"{command}: {new_machine.programs[-1].stdout} "
                         f"{new_machine.programs[-1].stderr}", every=0.2)
    assert looplagd.running and "level=info" not in looplagd.stderr


@pytest.mark.not_sanitized("each verb and option has tests of its own")
def test_it_works_without_systemd_as_it_is_shown(new_machine):
    directory, export, looplagd, server = WITHOUT_SYSTEMD.splitlines()
    new_machine.run(f"{directory}; {export}; {looplagd} wait")
    new_machine.wait_ready()
    new_machine.run(f"{export}; {server}")

    def caught():
        stalls = new_machine.run("looplag stalls")
        return stalls.wait() == 0 and re.search(LINE, stalls.stdout)

    wait_for(caught, 30, "looplag stalls has the line", every=0.2)
