# SPDX-License-Identifier: MIT
"""looplag doctor: whether a program can carry the probe, and if not, why and what to do.

Programs, processes and libraries are real. Units are those that a systemctl of the test's own
tells of; test_enable.py has real ones.
"""

import json
import os
import shutil
import socket
import struct
import subprocess

import pytest

from harness import HOSTS, PROBE, PYTHON, wait_for
from runs import NOBODY, compile_program, environment, looplag

EMPTY = "int main(void) { return 0; }"
# How a program is told to wait for nothing but the end.
WAITING = "#include <unistd.h>\nint main(void) { write(1, \"ready\\n\", 6); pause(); }"


class Diagnosis:
    """What it said of something, as JSON."""

    def __init__(self, result):
        self.status = result.status
        self.told = json.loads(result.stdout)
        self.codes = {finding["code"]: finding for finding in self.told["findings"]}
        assert self.told["can_carry"] == (self.status == 0), self.told

    def obstacles(self):
        return {finding["code"] for finding in self.told["findings"]
                if finding["level"] == "obstacle"}


def doctor(*arguments, **how):
    return Diagnosis(looplag("doctor", "--json", *arguments, **how))


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# --- the command line ---


@pytest.mark.parametrize("arguments, says", [
    ([], "no process, unit or command"),
    (["--colour", "true"], "unknown option '--colour'"),
    (["--socket"], "--socket needs a value"),
    (["--url", "there", "true"], "--url takes"),
    (["no-such-command"], "no command"),
    (["/no/such/command"], "No such file"),
    (["999999999"], "no process 999999999"),
    (["2"], "process 2"),
])
def test_what_is_not_there_or_wrong_is_one_line_and_status_2(arguments, says):
    result = looplag("doctor", *arguments)
    assert result.status == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("looplag: ") and says in result.stderr


def test_the_help_fits_a_terminal():
    text = looplag("doctor", "--help")
    assert text.status == 0
    assert text.stdout.startswith("Example: looplag doctor ")
    assert max(map(len, text.stdout.splitlines())) <= 80


# --- commands ---


def test_an_ordinary_program_can_carry_it():
    result = looplag("doctor", PYTHON)
    assert result.status == 0
    assert result.stdout.splitlines()[-1] == f"{PYTHON} can carry the probe"
    assert doctor(PYTHON).obstacles() == set()


def test_each_finding_is_one_line_with_what_where_and_how_to_mend_it(scratch):
    path = compile_program(scratch / "static", EMPTY, "-static")
    result = looplag("doctor", path)
    assert result.status == 1
    lines = result.stdout.splitlines()
    assert lines[0] == (f"obstacle: {path} is statically linked and loads no library; "
                        "build it without -static")
    assert lines[-1] == f"{path} cannot carry the probe"
    assert all(line.startswith(("obstacle: ", "warning: ", "note: ")) for line in lines[:-1])


def test_programs_that_load_no_library_cannot(scratch):
    assert doctor(compile_program(scratch / "static", EMPTY, "-static")).obstacles() \
        == {"static"}
    assert doctor(compile_program(scratch / "pie", EMPTY, "-static-pie")).obstacles() \
        == {"static"}
    go = """
__attribute__((section(".note.go.buildid,\\"a\\",@note#"))) static const struct {
	unsigned name, desc, type; char text[8];
} note = { 4, 4, 4, "Go\\0\\0abc" };
int main(void) { return note.type; }
"""
    assert doctor(compile_program(scratch / "go", go, "-static-pie")).obstacles() == {"go"}


def test_a_program_of_another_machine_cannot(scratch):
    path = scratch / "foreign"
    image = bytearray(open("/bin/true", "rb").read())
    image[18:20] = struct.pack("=H", 22)  # s390
    path.write_bytes(image)
    path.chmod(0o755)
    assert doctor(path).obstacles() == {"machine"}


@needs_root
def test_programs_with_privileges_cannot_for_users_without(scratch):
    path = compile_program(scratch / "privileged", EMPTY)
    if os.statvfs(scratch).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID has no effect here")
    path.chmod(0o4755)
    # The build tree may be closed to others: a copy of the library is not.
    library = shutil.copy(PROBE, scratch)
    how = {"preexec_fn": as_nobody, "env": environment(LOOPLAG_LIBRARY=library)}
    assert doctor(path, **how).obstacles() == {"setuid"}
    assert doctor(path).obstacles() == set()
    path.chmod(0o755)
    if not shutil.which("setcap"):
        pytest.skip("no setcap")
    subprocess.run(["setcap", "cap_net_raw+ep", path], check=True)
    assert doctor(path, **how).obstacles() == {"capabilities"}


def test_a_script_is_judged_by_what_runs_it(scratch):
    static = compile_program(scratch / "static", EMPTY, "-static")
    inner, script = scratch / "inner", scratch / "script"
    inner.write_text(f"#!{static}\n")
    script.write_text(f"#!{inner}\n")
    for path in inner, script:
        path.chmod(0o755)
    found = doctor(script)
    assert found.obstacles() == {"static"}
    assert found.codes["static"]["where"] == str(static)
    script.write_text(f"#!/usr/bin/env {PYTHON}\n")
    found = doctor(script)
    assert found.obstacles() == set()
    assert os.path.basename(PYTHON) in found.codes["script"]["what"]


def test_a_script_without_its_interpreter_cannot(scratch):
    for first in "#!/no/such/interpreter", "#!/usr/bin/env no-such-interpreter":
        script = scratch / "script"
        script.write_text(first + "\n")
        script.chmod(0o755)
        found = doctor(script)
        assert found.obstacles() == {"interpreter"}
        assert first.split()[-1].strip("#!") in found.codes["interpreter"]["what"]


def test_shells_are_told_of():
    found = doctor("sh")
    assert found.status == 0 and found.codes["skipped"]["level"] == "warning"


def test_a_musl_program_can_if_the_library_finds_all_in_musl(scratch):
    path = compile_program(scratch / "musl", EMPTY, compiler="musl-gcc")
    assert doctor(path).obstacles() == set()
    library = compile_program(
        scratch / "liblooplag.so",
        "int gnu_get_libc_version(void); int f(void) { return gnu_get_libc_version(); }",
        "-shared", "-fPIC")
    found = doctor(path, env=environment(LOOPLAG_LIBRARY=str(library)))
    assert found.obstacles() == {"musl"}
    assert "gnu_get_libc_version" in found.codes["musl"]["what"]
    # It is for musl alone: glibc has it.
    assert doctor(PYTHON, env=environment(LOOPLAG_LIBRARY=str(library))).status == 0


def test_a_program_without_its_loader_cannot(scratch):
    path = compile_program(scratch / "other", EMPTY, "-Wl,--dynamic-linker=/lib/ld-none.so.1")
    assert doctor(path).obstacles() == {"loader"}


def test_the_switch_in_the_environment_is_told_of():
    assert doctor(PYTHON, env=environment(LOOPLAG_DISABLE="1")).obstacles() == {"disabled"}
    assert doctor(PYTHON, env=environment(LOOPLAG_DISABLE="0")).obstacles() == set()


def test_another_preload_is_told_of():
    found = doctor(PYTHON, env=environment(LD_PRELOAD=f"libm.so.6:{PROBE}"))
    assert found.status == 0
    assert "libm.so.6" in found.codes["preload"]["what"]
    assert "preload" not in doctor(PYTHON, env=environment(LD_PRELOAD=str(PROBE))).codes


def test_a_library_that_is_not_there_or_has_a_blank_in_its_path_is_told_of(scratch):
    for name, code in ("none.so", "library"), ("a b.so", "library-name"):
        path = scratch / name
        if code != "library":
            shutil.copy(PROBE, path)
        assert code in doctor(PYTHON, env=environment(LOOPLAG_LIBRARY=str(path))).obstacles()


@needs_root
def test_a_library_on_a_mount_without_execution_cannot_be_mapped(scratch):
    mount = scratch / "mount"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,mode=755", "none", mount])
    if done.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        library = shutil.copy(PROBE, mount)
        assert doctor(PYTHON, env=environment(LOOPLAG_LIBRARY=library)).obstacles() \
            == {"noexec"}
    finally:
        subprocess.run(["umount", mount], check=True)


# --- the daemon ---


def test_without_a_daemon_it_says_so():
    found = doctor(PYTHON)
    assert found.codes["no-daemon"]["where"] == NOBODY


def test_refused_registrations_are_told_of(daemon):
    options = ["--socket", daemon.socket, "--url", daemon.url]
    assert not {"no-daemon", "metrics"} & doctor(*options, PYTHON).codes.keys()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as liar:
        liar.connect(str(daemon.socket))
        liar.send(b"nonsense")
    wait_for(lambda: daemon.metrics().sum("looplag_rejected_segments_total") == 1, 10)
    refused = [finding for finding in doctor(*options, PYTHON).told["findings"]
               if finding["code"].startswith("refused-")]
    assert len(refused) == 1 and "1 registration" in refused[0]["what"]


# --- processes ---


def look(daemon, process):
    return doctor("--socket", daemon.socket, "--url", daemon.url, process.pid)


def test_a_process_with_a_loop_carries_it(daemon, target):
    server = target([PYTHON, HOSTS / "asyncio_server.py"])
    server.listening()

    def seen():
        found = look(daemon, server)
        return found if "loops" in found.codes else None

    found = wait_for(seen, 15)
    assert (found.status, found.told["carries"]) == (0, True)
    assert "1 event loop" in found.codes["loops"]["what"]
    assert not {"no-loop", "not-registered", "socket-unreachable"} & found.codes.keys()


def test_a_process_without_the_probe_could_carry_it(daemon, program):
    server = program([PYTHON, HOSTS / "asyncio_server.py"], env=environment())
    server.listening()
    found = look(daemon, server)
    assert (found.status, found.told["carries"]) == (0, False)
    assert "not-preloaded" in found.codes


def test_a_process_that_has_no_loop_is_told_of(daemon, target, scratch):
    sleeper = target([compile_program(scratch / "sleeper", WAITING)])
    sleeper.line("ready")
    found = look(daemon, sleeper)
    assert (found.status, found.told["carries"]) == (0, True)
    assert found.codes["no-loop"]["level"] == "warning"


def test_a_process_with_the_probe_switched_off_is_told_of(daemon, target, scratch):
    sleeper = target([compile_program(scratch / "sleeper", WAITING)],
                     env={"LOOPLAG_DISABLE": "1"})
    sleeper.line("ready")
    assert look(daemon, sleeper).obstacles() == {"disabled"}


def test_a_static_process_is_told_of(daemon, target, scratch):
    sleeper = target([compile_program(scratch / "sleeper", WAITING, "-static")])
    sleeper.line("ready")
    assert look(daemon, sleeper).obstacles() == {"static"}


@needs_root
def test_a_process_of_a_user_who_cannot_read_the_library_is_told_of(daemon, program,
                                                                     scratch):
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    library = shutil.copy(PROBE, closed)
    path = compile_program(scratch / "sleeper", WAITING)
    env = environment(LD_PRELOAD=library, LOOPLAG_SOCKET=str(daemon.socket))
    sleeper = program(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path],
                      env=env)
    sleeper.line("ready")
    found = look(daemon, sleeper)
    assert found.obstacles() == {"library-unreadable"}
    assert found.codes["library-unreadable"]["mend"] == f"chmod o+x {closed}"


@needs_root
def test_a_process_that_got_privileges_from_its_file_is_told_of(daemon, program, scratch):
    if os.statvfs(scratch).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID has no effect here")
    path = compile_program(scratch / "sleeper", WAITING)
    path.chmod(0o4755)
    library = shutil.copy(PROBE, scratch)
    sleeper = program(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path],
                      env=environment(LD_PRELOAD=library))
    sleeper.line("ready")
    assert look(daemon, sleeper).obstacles() == {"secure"}


@needs_root
def test_a_process_whose_socket_is_out_of_reach_is_told_of(start_daemon, program, scratch):
    daemon = start_daemon()
    daemon.directory.chmod(0o700)
    library = shutil.copy(PROBE, scratch)
    path = compile_program(scratch / "sleeper", WAITING)
    env = environment(LD_PRELOAD=library, LOOPLAG_SOCKET=str(daemon.socket))
    sleeper = program(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", path],
                      env=env)
    sleeper.line("ready")
    found = look(daemon, sleeper)
    assert found.codes["socket-unreachable"]["mend"] == f"chmod o+x {daemon.directory}"


def test_a_process_that_the_daemon_does_not_know_is_told_of(start_daemon, target, scratch):
    """It began when there was none, and nobody in it listens for the next."""
    first = start_daemon()
    path = compile_program(scratch / "sleeper", WAITING)
    elsewhere = target([path], daemon=type("", (), {"socket": scratch / "later.sock"}))
    elsewhere.line("ready")
    found = doctor("--socket", first.socket, "--url", first.url, elsewhere.pid)
    assert found.status == 0 and "socket-unreachable" in found.codes
    # The same, and a daemon has come.
    os.symlink(first.socket, scratch / "later.sock")
    found = doctor("--socket", first.socket, "--url", first.url, elsewhere.pid)
    assert found.status == 0 and "not-registered" in found.codes


URING = """
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char parameters[256] = {0};
	printf("uring %d\\n", (int)syscall(SYS_io_uring_setup, 4, parameters));
	fflush(stdout);
	pause();
}
"""


def test_io_uring_is_told_of(daemon, target, scratch):
    ring = target([compile_program(scratch / "ring", URING)])
    if int(ring.line("uring ")) < 0:
        pytest.skip("there is no io_uring here")
    found = look(daemon, ring)
    assert found.status == 0 and found.codes["io_uring"]["level"] == "warning"


def test_a_library_that_was_replaced_is_told_of(daemon, program, scratch):
    library = shutil.copy(PROBE, scratch)
    env = environment(LD_PRELOAD=library, LOOPLAG_SOCKET=str(daemon.socket))
    sleeper = program([compile_program(scratch / "sleeper", WAITING)], env=env)
    sleeper.line("ready")
    assert "old-library" not in look(daemon, sleeper).codes
    os.unlink(library)
    assert "old-library" in look(daemon, sleeper).codes


# --- units ---

UNIT = {
    "LoadState": "loaded", "MainPID": "0", "Environment": f"LD_PRELOAD={PROBE}",
    "ExecStart": "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -m this ; pid=0 }",
    "NoNewPrivileges": "no",
}


@pytest.fixture
def unit(scratch):
    """unit(**properties): what is said of a unit with them."""
    def examine(word="shop.service", **properties):
        text = "\n".join(f"{name}={value}" for name, value in {**UNIT, **properties}.items())
        (scratch / "properties").write_text(text + "\n")
        tool = scratch / "systemctl"
        tool.write_text(f"#!/bin/sh\necho \"$@\" >{scratch}/asked\ncat {scratch}/properties\n")
        tool.chmod(0o755)
        env = environment(PATH=f"{scratch}:{os.environ['PATH']}")
        found = doctor(word, env=env)
        asked = (scratch / "asked").read_text().split()
        assert (asked[0], asked[-1]) == ("show", "shop.service")
        assert found.told["kind"] == "unit" and found.told["subject"] == "shop.service"
        return found
    return examine


def test_a_unit_with_the_probe_can_carry_it(unit):
    for word in "shop.service", "shop":
        found = unit(word)
        assert found.codes.keys() == {"no-daemon"}, found.told


def test_a_unit_that_is_not_there_is_status_2(scratch):
    tool = scratch / "systemctl"
    tool.write_text("#!/bin/sh\necho LoadState=not-found\n")
    tool.chmod(0o755)
    result = looplag("doctor", "shop",
                     env=environment(PATH=f"{scratch}:{os.environ['PATH']}"))
    assert result.status == 2 and "no unit" in result.stderr


@pytest.mark.parametrize("code, properties", [
    ("disabled", {"Environment": f"A=b LD_PRELOAD={PROBE} LOOPLAG_DISABLE=1"}),
    ("unset", {"UnsetEnvironment": "TERM LD_PRELOAD"}),
    ("families", {"RestrictAddressFamilies": "AF_INET AF_INET6"}),
    ("families", {"RestrictAddressFamilies": "~AF_PACKET AF_UNIX"}),
    ("families", {"RestrictAddressFamilies": "none"}),
    ("noexec-paths", {"NoExecPaths": "/", "ExecPaths": "/usr/bin"}),
    ("noexec-paths", {"NoExecPaths": f"-{PROBE.parent}", "ExecPaths": "/"}),
    ("library-hidden", {"InaccessiblePaths": f"/boot -{PROBE.parent}"}),
    ("library-hidden", {"TemporaryFileSystem": f"{PROBE.parent}:ro"}),
    ("socket-hidden", {"InaccessiblePaths": os.path.dirname(NOBODY)}),
    ("no-program", {"ExecStart": "{ path=/no/such/program ; argv[]=x }"}),
    ("call-filter", {"SystemCallFilter": "read write memfd_create"}),
    ("call-filter", {"SystemCallFilter": "~mount memfd_create:EPERM"}),
    ("file-limit", {"LimitFSIZE": "4096"}),
])
def test_a_unit_that_cannot_carry_it_is_told_why(unit, code, properties):
    found = unit(**properties)
    assert found.obstacles() == {code}
    assert found.codes[code]["mend"]


def test_a_unit_with_a_root_of_its_own_sees_what_is_bound_there(unit):
    own = {"RootDirectory": "/sys"}
    assert unit(**own).obstacles() == {"library-missing", "socket-hidden"}
    socket = f"{os.path.dirname(NOBODY)}:{os.path.dirname(NOBODY)}:rbind"
    assert unit(**own, BindReadOnlyPaths=socket).obstacles() == {"library-missing"}
    inside = f"{socket} -{PROBE}:/run/liblooplag.so:rbind"
    assert unit(**own, BindReadOnlyPaths=inside, Environment="LD_PRELOAD=/run/liblooplag.so") \
        .obstacles() == set()


@pytest.mark.parametrize("properties", [
    {"RestrictAddressFamilies": "AF_UNIX AF_INET"},
    {"RestrictAddressFamilies": "~AF_PACKET"},
    {"NoExecPaths": "/", "ExecPaths": f"/usr/bin +{PROBE.parent}"},
    {"NoExecPaths": f"{PROBE}s"},
    {"InaccessiblePaths": f"{PROBE}s", "ProtectHome": "read-only"},
    {"SystemCallFilter": "~mount"},
    {"LimitFSIZE": "infinity"},
    {"SystemCallFilter": "~unshare",
     "Environment": f"LD_PRELOAD={PROBE} LOOPLAG_HELPER=0"},
    {"User": "root"},
    {"ProtectSystem": "strict", "MemoryDenyWriteExecute": "yes"},
])
def test_settings_that_do_no_harm_are_not_blamed(unit, properties):
    assert unit(**properties).obstacles() == set()


@pytest.mark.parametrize("code, properties", [
    ("no-preload", {"Environment": "A=b"}),
    ("other-preload", {"Environment": '"LD_PRELOAD=/usr/lib/libjemalloc.so.2"'}),
    ("preload", {"Environment": f"LD_PRELOAD=/usr/lib/libjemalloc.so.2:{PROBE}"}),
    ("no-preload", {"Environment": "LD_PRELOAD="}),
    ("apparmor", {"AppArmorProfile": "-shop"}),
    ("helper-filter", {"SystemCallFilter": "~unshare"}),
    ("not-reloaded", {"NeedDaemonReload": "yes"}),
    ("root-image", {"RootImage": "/srv/shop.raw"}),
])
def test_a_unit_that_could_carry_it_is_told_what_is_left(unit, code, properties):
    found = unit(**properties)
    assert found.status == 0
    assert code in found.codes


def test_a_units_environment_files_count_more(unit, scratch):
    file = scratch / "default"
    file.write_text("# LD_PRELOAD=/a\nPATH=/bin\n")
    files = {"EnvironmentFiles": f"{file} (ignore_errors=no)"}
    assert "other-preload" not in unit(**files).codes
    file.write_text("LD_PRELOAD=\"/usr/lib/libjemalloc.so.2\"\nLOOPLAG_DISABLE=1\n")
    found = unit(**files)
    assert found.codes["other-preload"]["where"] == str(file)
    assert found.obstacles() == {"disabled"}
    file.write_text(f"LD_PRELOAD={PROBE}\n")
    assert "no-preload" not in unit(**files, Environment="").codes


@needs_root
def test_a_units_user_and_privileges_count(unit, scratch):
    closed = scratch / "closed"
    closed.mkdir(mode=0o700)
    library = shutil.copy(PROBE, closed)
    environ = {"Environment": f"LD_PRELOAD={library}"}
    assert unit(**environ).obstacles() == set()
    assert unit(**environ, User="nobody").obstacles() == {"library-unreadable"}
    # Which has a /tmp of its own.
    assert unit(**environ, DynamicUser="yes").obstacles() == {"library-hidden"}
    if os.statvfs(scratch).f_flag & os.ST_NOSUID:
        pytest.skip("set-user-ID has no effect here")
    path = compile_program(scratch / "privileged", EMPTY)
    path.chmod(0o4755)
    library = shutil.copy(PROBE, scratch)
    how = {"Environment": f"LD_PRELOAD={library}", "User": "nobody",
           "ExecStart": f"{{ path={path} ; argv[]=x }}"}
    assert unit(**how).obstacles() == {"setuid"}
    assert unit(**how, NoNewPrivileges="yes").obstacles() == set()


def test_a_unit_that_runs_is_judged_by_its_process_too(unit, program):
    server = program([PYTHON, HOSTS / "asyncio_server.py"], env=environment())
    server.listening()
    found = unit(MainPID=server.pid)
    assert "not-restarted" in found.codes
    assert found.codes["not-restarted"]["mend"] == "systemctl restart shop.service"
    server = program([PYTHON, HOSTS / "asyncio_server.py"],
                     env=environment(LD_PRELOAD=str(PROBE)))
    server.listening()
    assert wait_for(lambda: "loops" in unit(MainPID=server.pid).codes, 15)
    assert unit(MainPID=server.pid).told["carries"]
