# SPDX-License-Identifier: MIT
"""looplag run without a daemon: what it warns of, and how late the command's loops were."""

import json
import os
import re
import shutil
import struct
import subprocess

import pytest

from harness import LOOPLAG, PYTHON, wait_for
from runs import ASYNCIO_STALL, compile_program, environment, loop_of, run

NODE_STALL = """
const end = Date.now() + 1500
let stalled = false
setInterval(() => {
  if (!stalled) {
    const start = process.hrtime.bigint()
    stalled = true
    while (process.hrtime.bigint() - start < 200000000n);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9
    setTimeout(() => console.log(seconds), 50)  // the first of these takes a while, too
  }
  if (Date.now() > end) process.exit(0)
}, 20)
"""

# --- warnings ---


def warnings(result):
    return [line for line in result.words if line.startswith("looplag: warning: ")]


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


@pytest.mark.quiet
@pytest.mark.parametrize("groupname, command", [
    ("node", ["node", "-e", NODE_STALL]),
    ("python3", [PYTHON, "-c", ASYNCIO_STALL]),
])
def test_a_stall_is_in_the_report(report, groupname, command):
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]}")
    for _ in range(8):
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
