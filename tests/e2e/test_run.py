# SPDX-License-Identifier: MIT
"""looplag run: the command notices nothing of it, and afterwards it is known how late the
command's loops were."""

import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

import pytest

from harness import (HOSTS, LOOPLAG, PROBE, PYTHON, SANITIZER_REPORT, Program,
                     short_directory, wait_for)

# Nobody listens there: what a run does then does not depend on this machine's daemon.
NOBODY = "/nonexistent/probe.sock"

NODE_STALL = """
const end = Date.now() + 1500
let stalled = false
setInterval(() => {
  if (!stalled) {
    const start = process.hrtime.bigint()
    stalled = true
    while (process.hrtime.bigint() - start < 200000000n);
    console.log(Number(process.hrtime.bigint() - start) / 1e9)
  }
  if (Date.now() > end) process.exit(0)
}, 20)
"""

ASYNCIO_STALL = """
import asyncio, time
async def main():
    end = time.monotonic() + 1.5
    await asyncio.sleep(0.05)
    start = time.monotonic()
    time.sleep(0.2)
    print(time.monotonic() - start)
    while time.monotonic() < end:
        await asyncio.sleep(0.02)
asyncio.run(main())
"""


def environment(**changes):
    """This environment, without what the tests themselves are run with."""
    result = {name: value for name, value in os.environ.items()
              if not name.startswith(("LOOPLAG_", "LD_PRELOAD", "NO_COLOR"))}
    # A looplag that was built with sanitizers takes no library before theirs otherwise.
    result.update(LOOPLAG_SOCKET=NOBODY, ASAN_OPTIONS="verify_asan_link_order=0:" +
                  os.environ.get("ASAN_OPTIONS", ""))
    result.update(changes)
    return result


class Result:
    def __init__(self, done):
        self.status = done.returncode
        self.stdout = done.stdout
        self.stderr = done.stderr
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        # That nobody listens is expected here.
        self.words = [line for line in done.stderr.splitlines()
                      if not line.startswith("looplag: warning: no daemon listens")]


def looplag(*arguments, env=None, **how):
    """Run looplag to its end."""
    return Result(subprocess.run([LOOPLAG, *map(str, arguments)], env=env or environment(),
                                 capture_output=True, text=True, timeout=60, **how))


def run(*arguments, **how):
    return looplag("run", *arguments, **how)


@pytest.fixture
def scratch():
    """A directory for files, where set-user-ID has an effect."""
    directory = short_directory()
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def report(scratch):
    """report(command...): the JSON report of a run of it, and what it printed."""
    def collect(*arguments, **how):
        path = scratch / "report.json"
        result = run("--report", "json", "--output", path, *arguments, **how)
        return json.loads(path.read_text()), result
    return collect


def loop_of(report, groupname, loop="main"):
    """The one loop of that name."""
    found = [entry for group in report["groups"] if group["groupname"] == groupname
             for entry in group["loops"] if entry["loop"] == loop]
    assert len(found) == 1, report
    return found[0]


# --- the verbs ---


def test_help_begins_with_an_example():
    for arguments in ("help",), ("--help",), ("help", "run"), ("run", "--help"):
        result = looplag(*arguments)
        assert result.status == 0
        assert result.stdout.startswith("Example: looplag run "), arguments
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_version_is_told():
    assert re.fullmatch(r"looplag \d+\.\d+\.\d+\n", looplag("--version").stdout)


@pytest.mark.parametrize("arguments, says", [
    ([], "no command"),
    (["rnu"], "did you mean 'run'"),
    (["--verison"], "did you mean '--version'"),
    (["node"], "unknown command 'node'"),
    (["x" * 5000], "unknown command"),
    (["run"], "no command to run"),
    (["run", "--"], "no command to run"),
    (["run", "--colour", "true"], "unknown option '--colour'"),
    (["run", "-z", "true"], "unknown option '-z'"),
    (["run", "--report", "xml", "true"], "text, json or none"),
    (["run", "--report"], "--report needs a value"),
    (["run", "--groupname", "", "true"], "--groupname"),
    (["run", "--groupname", "g" * 64, "true"], "--groupname"),
    (["run", "--report", "none", "--output", "x", "true"], "--output"),
])
def test_wrong_usage_is_one_line_and_status_2(arguments, says):
    result = looplag(*arguments)
    assert result.status == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("looplag: ") and says in result.stderr


# --- the command's end ---


@pytest.mark.parametrize("command, status", [
    (["true"], 0),
    (["sh", "-c", "exit 3"], 3),
    (["--", "sh", "-c", "exit 255"], 255),
    (["/etc/passwd"], 126),
    (["/"], 126),
    (["no-such-command"], 127),
    (["/no/such/command"], 127),
])
@pytest.mark.parametrize("kind", ["text", "none"])
def test_the_exit_status_is_the_commands(command, status, kind):
    assert run("--report", kind, *command).status == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT,
                                    signal.SIGPIPE, signal.SIGHUP])
def test_a_command_that_a_signal_ended_ends_looplag_by_the_same(number):
    assert run("sh", "-c", f"kill -{number.value} $$").status == -number.value


def test_a_core_is_the_commands_and_not_looplags(scratch):
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 30, -1))

    result = run(PYTHON, "-c", "import os; os.abort()", cwd=scratch, preexec_fn=limit)
    assert result.status == -signal.SIGABRT
    cores = list(scratch.iterdir())
    if not cores:
        pytest.skip("cores go elsewhere on this machine")
    # The name of the program, in the 16 bytes that the note on the process has for it.
    assert len(cores) == 1
    assert re.search(rb"(python3|looplag)\0{9}", cores[0].read_bytes())[1] == b"python3"


def test_what_cannot_be_run_is_told_in_one_line(scratch):
    script = scratch / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = run(script)
    assert result.status == 127
    assert result.words == [f"looplag: cannot run {script}: its interpreter is missing"]
    assert run("no-such").words == ["looplag: cannot run no-such: command not found"]
    assert run("/etc/passwd").words == ["looplag: cannot run /etc/passwd: Permission denied"]


# --- signals ---

TELL_SIGNALS = """
import signal, sys
def tell(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM:
        sys.exit(7)
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM,
               signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
    signal.signal(number, tell)
print("ready", flush=True)
while True:
    signal.pause()
"""


def test_signals_sent_to_looplag_reach_the_command(program):
    started = program([LOOPLAG, "run", PYTHON, "-c", TELL_SIGNALS], env=environment())
    started.line("ready")
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM"):
        started.send(getattr(signal, name))
        started.line(name)
    started.send(signal.SIGTERM)
    started.line("SIGTERM")
    assert started.wait() == 7
    assert started.stdout.split() == ["ready", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1",
                                      "SIGUSR2", "SIGALRM", "SIGTERM"]


def test_a_terminals_interrupt_reaches_the_command_once():
    master, slave = os.openpty()
    code = ("import os, sys, fcntl, termios; os.setsid(); "
            "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])")
    started = subprocess.Popen(
        [PYTHON, "-c", code, LOOPLAG, "run", PYTHON, "-c", TELL_SIGNALS],
        stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env=environment())
    os.close(slave)
    os.set_blocking(master, False)
    said = b""

    def says(word, times=1):
        nonlocal said
        try:
            said += os.read(master, 65536)
        except BlockingIOError:
            pass
        return said.count(word) >= times

    try:
        wait_for(lambda: says(b"ready"), 15)
        os.write(master, b"\x03")
        wait_for(lambda: says(b"SIGINT"), 15)
        # Looplag lives on: it still forwards.
        started.send_signal(signal.SIGUSR1)
        wait_for(lambda: says(b"SIGUSR1"), 15)
        assert said.count(b"SIGINT") == 1
        started.send_signal(signal.SIGTERM)
        wait_for(lambda: says(b"SIGTERM"), 15)
        assert started.wait(15) == 7
    finally:
        started.kill()
        started.wait()
        os.close(master)


def test_job_control_stops_and_continues_both(program):
    code = "import time\nprint('ready', flush=True)\nwhile True: time.sleep(0.01)"
    started = program([LOOPLAG, "run", PYTHON, "-c", code], env=environment())
    started.line("ready")
    child = int(open(f"/proc/{started.pid}/task/{started.pid}/children").read())

    def states():
        return [open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
                for pid in (started.pid, child)]

    # A group without a shell takes no softer stop.
    os.killpg(started.pid, signal.SIGSTOP)
    wait_for(lambda: states() == ["T", "T"], 10, "both are stopped")
    os.killpg(started.pid, signal.SIGCONT)
    wait_for(lambda: "T" not in states(), 10, "both go on")
    started.send(signal.SIGTERM)
    assert started.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_socket_is_left_behind(program, scratch, number):
    code = "import os\nprint(os.environ['LOOPLAG_SOCKET'], flush=True)\nos.read(0, 1)"
    reader, writer = os.pipe()
    started = program([LOOPLAG, "run", PYTHON, "-c", code], stdin=reader,
                      env=environment(TMPDIR=str(scratch), XDG_RUNTIME_DIR=str(scratch)))
    path = started.line("/")
    assert os.listdir(scratch)
    assert stat.S_IMODE(os.stat("/" + path).st_mode) == 0o666
    assert stat.S_IMODE(os.stat(os.path.dirname("/" + path)).st_mode) == 0o711
    started.send(number)
    started.wait()
    assert os.listdir(scratch) == []
    os.close(reader)
    os.close(writer)


def test_a_signal_in_the_first_moment_leaves_nothing_behind(scratch):
    for step in range(30):
        started = subprocess.Popen(
            [LOOPLAG, "run", "sleep", "60"], stderr=subprocess.DEVNULL,
            env=environment(TMPDIR=str(scratch), XDG_RUNTIME_DIR=str(scratch)))
        time.sleep(step / 3000)
        started.terminate()
        assert started.wait(20) == -signal.SIGTERM
        assert os.listdir(scratch) == []


# --- what the command gets ---

TELL_STATE = """
import os, sys
for line in open("/proc/self/status"):
    if line.startswith(("SigBlk", "SigIgn", "SigCgt")):
        print(line.strip())
print(sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.exists(f"/proc/self/fd/{fd}")))
print(os.getpgrp(), os.getsid(0))
"""


@pytest.mark.parametrize("kind", ["text", "none"])
def test_signals_and_descriptors_are_as_without_looplag(kind):
    def odd_signals():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGWINCH})

    command = [PYTHON, "-c", TELL_STATE]
    with open(os.devnull) as null:
        for prepare in None, odd_signals:
            plain = subprocess.run(command, env=environment(), stdin=null, text=True,
                                   stdout=subprocess.PIPE, stderr=null,
                                   preexec_fn=prepare).stdout
            carried = subprocess.run([LOOPLAG, "run", "--report", kind, *command],
                                     env=environment(), stdin=null, text=True,
                                     stdout=subprocess.PIPE, stderr=null,
                                     preexec_fn=prepare).stdout
            # Pipes are numbered anew.
            assert (re.sub(r"pipe:\[\d+\]", "pipe", carried) ==
                    re.sub(r"pipe:\[\d+\]", "pipe", plain))


def test_an_ignored_child_signal_does_not_lose_the_status():
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    for _ in range(10):
        assert run("sh", "-c", "exit 5", preexec_fn=ignore).status == 5


def test_standard_streams_are_the_commands_own():
    result = run("sh", "-c", "cat; echo words >&2", input="data")
    assert result.stdout == "data"
    assert "words" in result.words


def test_ld_preload_keeps_what_it_had():
    tell = ["sh", "-c", 'printf %s "$LD_PRELOAD"']
    assert run(*tell).stdout == str(PROBE)
    result = run(*tell, env=environment(LD_PRELOAD="libm.so.6"))
    assert result.stdout == f"libm.so.6:{PROBE}"
    result = run(*tell, env=environment(LD_PRELOAD=str(PROBE)))
    assert result.stdout == str(PROBE)


def test_another_library_can_be_named(scratch):
    copy = scratch / "liblooplag.so"
    shutil.copy(PROBE, copy)
    tell = ["sh", "-c", 'printf %s "$LD_PRELOAD"']
    assert run(*tell, env=environment(LOOPLAG_LIBRARY=str(copy))).stdout == str(copy)
    result = run("true", env=environment(LOOPLAG_LIBRARY="/no/such.so"))
    assert result.status == 125
    assert result.words == ["looplag: cannot read the probe library /no/such.so; name it in "
                            "LOOPLAG_LIBRARY"]


# --- warnings ---


def warnings(result):
    return [line for line in result.words if line.startswith("looplag: warning: ")]


def compile_program(path, source, *flags, compiler="cc"):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    subprocess.run([compiler, "-x", "c", "-", "-o", path, *flags], input=source, text=True,
                   check=True)
    return path


def test_a_static_program_is_run_and_warned_of(scratch):
    path = compile_program(scratch / "static", "int main(void) { return 4; }", "-static")
    result = run(path)
    assert result.status == 4
    assert len(warnings(result)) == 1
    assert f"{path} is statically linked" in warnings(result)[0]


def test_a_script_is_warned_of_for_its_interpreter(scratch):
    compile_program(scratch / "static", "int main(void) { return 4; }", "-static")
    script = scratch / "script"
    script.write_text("#!/usr/bin/env static\n")
    script.chmod(0o755)
    result = run(script, env=environment(PATH=f"{scratch}:{os.environ['PATH']}"))
    assert result.status == 4
    assert len(warnings(result)) == 1
    assert f"{script} is run by {scratch}/static, which" in warnings(result)[0]


def test_a_go_program_is_warned_of(scratch):
    source = """
__attribute__((section(".note.go.buildid,\\"a\\",@note#"))) static const struct {
	unsigned name, desc, type; char text[8];
} note = { 4, 4, 4, "Go\\0\\0abc" };
int main(void) { return note.type; }
"""
    path = compile_program(scratch / "gopher", source)
    result = run(path)
    assert result.status == 4
    assert len(warnings(result)) == 1
    assert "Go program" in warnings(result)[0]


def test_another_machines_program_is_warned_of(scratch):
    path = scratch / "foreign"
    image = bytearray(open("/bin/true", "rb").read())
    image[18:20] = struct.pack("=H", 22)  # s390
    path.write_bytes(image)
    path.chmod(0o755)
    result = run(path)
    assert result.status == 126
    assert "another machine" in warnings(result)[0]
    assert result.words[1:] == [f"looplag: cannot run {path}: Exec format error"]


def test_a_script_without_a_first_line_is_run_by_the_shell(scratch):
    script = scratch / "script"
    script.write_text("echo $0 $# $2\n")
    script.chmod(0o755)
    for kind in "text", "none":
        result = run("--report", kind, script, "a", "b c")
        assert result.stdout == f"{script} 2 b c\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make such a file")
def test_programs_with_privileges_are_warned_of_to_other_users(scratch):
    path = compile_program(scratch / "privileged", "int main(void) { return 4; }")

    def nobody():
        os.setgid(65534)
        os.setuid(65534)

    path.chmod(0o4755)
    if os.statvfs(scratch).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID has no effect here")
    result = run(path, preexec_fn=nobody)
    assert result.status == 4
    assert "another user" in warnings(result)[0]
    assert "another user" not in str(run(path).words)

    path.chmod(0o755)
    # Version 2, effective, CAP_NET_RAW.
    os.setxattr(path, "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    result = run(path, preexec_fn=nobody)
    assert result.status == 4
    assert "file capabilities" in warnings(result)[0]


def test_a_run_without_a_loop_is_warned_of():
    result = run("true")
    assert result.status == 0
    assert len(result.words) == 1
    assert "no event loop was seen" in result.words[0]
    result = run(PYTHON, "-c", "pass")
    assert result.words == ["looplag: warning: no event loop was seen in 1 process that "
                            "carried the probe"]


def test_a_probe_that_is_switched_off_is_warned_of():
    result = run(PYTHON, "-c", "pass", env=environment(LOOPLAG_DISABLE="1"))
    assert len(result.words) == 1
    assert "LOOPLAG_DISABLE=1" in result.words[0]


# --- the report ---


@pytest.mark.parametrize("groupname, command", [
    ("node", ["node", "-e", NODE_STALL]),
    ("python3", [PYTHON, "-c", ASYNCIO_STALL]),
])
def test_a_stall_is_in_the_report(report, groupname, command):
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    for attempt in range(3):
        data, result = report(*command)
        assert result.status == 0
        assert result.words == []
        stall = float(result.stdout)
        loop = loop_of(data, groupname)
        delay = loop["delay"]
        assert delay["max"] >= stall * 0.99
        assert delay["p50"] <= delay["p90"] <= delay["p99"] <= delay["p999"] <= delay["max"]
        assert loop["iterations"] > 20
        # With the stall alone: P(delay > x) = (stall - x) / life. A busy machine adds to it.
        life = loop["active_seconds"] + loop["idle_seconds"]
        p99 = stall - 0.01 * life
        if delay["max"] <= stall * 1.05 and abs(delay["p99"] - p99) <= 0.05 * stall:
            return
    raise AssertionError(f"a stall of {stall} s, p99 should be {p99}: {loop}")


def test_the_text_report_is_written_to_standard_error():
    result = run(PYTHON, "-c", ASYNCIO_STALL, env=environment(LC_ALL="C.UTF-8"))
    assert result.status == 0
    assert re.fullmatch(r"[\d.]+\n", result.stdout)
    assert re.search(r"^GROUP +LOOP +p50 +p90 +p99 +p99\.9 +max +ITERATIONS +ACTIVE",
                     result.stderr, re.M)
    assert re.search(r"^python3 +main +0 ", result.stderr, re.M)
    assert "\u2588" in result.stderr and "\033" not in result.stderr
    assert all(len(line) <= 80 for line in result.stderr.splitlines()[1:])


def test_output_chooses_the_file_and_a_report(scratch, daemon):
    path = scratch / "report"
    result = run("--output", path, "--socket", daemon.socket, PYTHON, "-c", ASYNCIO_STALL)
    assert result.words == []
    assert "GROUP" in path.read_text()
    assert not daemon.groups().get("python3")
    result = run("--output", "-", "--report", "json", PYTHON, "-c", ASYNCIO_STALL)
    assert loop_of(json.loads(result.stdout.partition("\n")[2]), "python3")
    result = run("--output", scratch / "no" / "such", "touch", scratch / "ran")
    assert result.status == 125
    assert not (scratch / "ran").exists()


def test_a_report_nobody_reads_does_not_change_the_status():
    with open("/dev/full", "w") as full:
        done = subprocess.run([LOOPLAG, "run", PYTHON, "-c", ASYNCIO_STALL + "exit(6)"],
                              env=environment(), stdout=subprocess.DEVNULL, stderr=full)
    assert done.returncode == 6
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([LOOPLAG, "run", PYTHON, "-c", ASYNCIO_STALL + "exit(6)"],
                          env=environment(), stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    assert done.returncode == 6


def test_children_have_groups_of_their_own(report, scratch):
    code = "import subprocess, sys\nsubprocess.run(['./worker', '-c', sys.argv[1]])\n"
    os.symlink(PYTHON, scratch / "worker")
    data, _ = report(PYTHON, "-c", code + ASYNCIO_STALL, ASYNCIO_STALL, cwd=scratch)
    assert {group["groupname"] for group in data["groups"] if group["loops"]} == {
        "python3", "worker"}


def test_groupname_names_them_all(report, scratch):
    code = "import subprocess, sys\nsubprocess.run(['./worker', '-c', sys.argv[1]])\n"
    os.symlink(PYTHON, scratch / "worker")
    data, _ = report("--groupname", "shop", PYTHON, "-c", code + ASYNCIO_STALL,
                     ASYNCIO_STALL, cwd=scratch)
    assert {group["groupname"] for group in data["groups"]} == {"shop"}


@pytest.fixture
def service():
    """The control group of a systemd service that does not exist."""
    for line in open("/proc/mounts"):
        _, path, kind, options, *_ = line.split()
        group = f"{path}/looplag-{os.getpid()}.service"
        if kind != "cgroup2" and "name=systemd" not in options:
            continue
        try:
            os.mkdir(group)
        except OSError:
            continue
        yield group
        wait_for(lambda: not os.rmdir(group), 10)
        return
    pytest.skip("no control group can be made here")


def test_a_command_that_ends_at_once_is_seen_whole(report):
    code = ("import os, select\nreader, writer = os.pipe()\nos.write(writer, b'x')\n"
            "waits = select.epoll()\nwaits.register(reader, select.EPOLLIN)\n"
            "for _ in range(50): waits.poll()")
    data, _ = report(PYTHON, "-S", "-c", code)
    assert loop_of(data, "python3")["iterations"] == 49


def test_a_run_inside_a_service_is_named_as_one_outside(report, service):
    def enter():
        with open(f"{service}/cgroup.procs", "w") as processes:
            processes.write(str(os.getpid()))

    data, _ = report(PYTHON, "-c", ASYNCIO_STALL, preexec_fn=enter)
    assert loop_of(data, "python3")
    data, _ = report("--groupname", "shop", PYTHON, "-c", ASYNCIO_STALL, preexec_fn=enter)
    assert loop_of(data, "shop")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change the user")
def test_a_command_that_changes_the_user_is_seen(report):
    data, result = report("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                          PYTHON, "-c", ASYNCIO_STALL)
    assert result.status == 0
    assert loop_of(data, "python3")["delay"]["max"] >= 0.19


# --- with a daemon ---


def test_it_attaches_where_a_daemon_listens(daemon, program):
    code = ASYNCIO_STALL.replace("1.5", "60")
    started = program([LOOPLAG, "run", "--socket", daemon.socket, "--groupname", "attached",
                       PYTHON, "-c", code], env=environment())
    wait_for(lambda: daemon.loop("attached"), 15, "the loop is with the daemon")
    # The command took looplag's place.
    assert os.readlink(f"/proc/{started.pid}/exe").endswith(os.path.realpath(PYTHON))
    started.send(signal.SIGTERM)
    assert started.wait() == 128 + signal.SIGTERM
    assert started.stderr == ""


def test_looking_for_the_daemon_does_not_disturb_it(daemon):
    for _ in range(20):
        assert run("--socket", daemon.socket, "true").stderr == ""
    # Another target's hello comes after all that went before.
    run("--socket", daemon.socket, "--groupname", "after", PYTHON, "-c", ASYNCIO_STALL)
    wait_for(lambda: daemon.group("after"), 15)
    assert daemon.metrics().sum("looplag_rejected_segments_total") == 0


def test_without_a_daemon_on_the_socket_that_was_named_it_says_so(scratch):
    dead = scratch / "dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(dead))
        listener.listen()
    for path in scratch / "none.sock", dead, scratch, "/" + "x" * 200:
        result = run("--socket", path, "true", env=environment())
        assert result.status == 0
        assert f"no daemon listens on {path}" in result.stderr
