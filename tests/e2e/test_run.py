# SPDX-License-Identifier: MIT
"""looplag run: the command notices nothing of it, with a daemon and without one."""

import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness import LOOPLAG, PROBE, PYTHON, wait_for
from runs import ASYNCIO_STALL, environment, looplag, run

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
