# SPDX-License-Identifier: MIT
"""A program with the probe runs as it does without it where something is missing or in the
way: no /dev/shm, no /proc, namespaces, a read-only root, system calls that kill, other
libraries that are preloaded, checkers of memory."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import HOSTS, PYTHON, free_port, host_program, target_environment, wait_for
from segments import EPOLL

DONE = (0, "done\n", "")


def run(env, words, wrapper=(), **how):
    """Run a command with that environment, and the wrapper without its probe."""
    only = {name: value for name, value in env.items() if os.environ.get(name) != value}
    assigned = [f"{name}={value}" for name, value in only.items()]
    done = subprocess.run([*map(str, wrapper), "/usr/bin/env", *assigned, *map(str, words)],
                          env=dict(os.environ), capture_output=True, text=True, timeout=60,
                          **how)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def probed(segments):
    return target_environment(segments.socket)


def the_loops(segments):
    """The epoll loops of all segments that arrived."""
    wait_for(lambda: segments.segments, 5, "a segment")
    return [slot for segment in segments.segments for slot in segment.slots()
            if slot.kind == EPOLL and slot.iterations]


def in_namespace(prepare, *flags):
    """Words that run a command after a preparation, in mounts of its own."""
    return ["unshare", "-m", *flags, "sh", "-ec", prepare + '\nexec "$@"', "sh"]


PLACES = {
    "no /dev/shm": in_namespace("mount -t tmpfs none /dev"),
    "a full /dev/shm": in_namespace("mount -t tmpfs -o size=4k none /dev/shm\n"
                                    "dd if=/dev/zero of=/dev/shm/full 2>/dev/null || true"),
    "no /proc": in_namespace("mount -t tmpfs none /proc"),
    "a read-only root": in_namespace("mount --bind / /\nmount -o remount,ro,bind /"),
    "a user namespace": ["unshare", "-Ur"],
    "a network namespace": ["unshare", "-n"],
    "a process namespace": ["unshare", "-pf"],
    "a time namespace": ["unshare", "-T", "--monotonic", "100000"],
    "another user": ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"],
    "no new privileges": ["setpriv", "--no-new-privs"],
}


@pytest.mark.parametrize("place", PLACES)
def test_a_program_in_another_place(place, probed, segments):
    if os.geteuid():
        pytest.skip("needs root")
    words = [host_program("scripted"), "waits"]
    assert run({}, words, PLACES[place]) == DONE
    assert run(probed, words, PLACES[place]) == DONE


def test_a_program_in_a_root_without_anything_else(probed, segments, tmp_path):
    """There it finds neither the probe's socket nor /proc."""
    if os.geteuid():
        pytest.skip("needs root")
    words = [host_program("scripted"), "waits"]
    listed = subprocess.run(["ldd", words[0]], capture_output=True, text=True, check=True)
    needed = [word for word in listed.stdout.split() if word.startswith("/")]
    for path in (*needed, *words[:1], probed["LD_PRELOAD"]):
        copy = tmp_path / str(path).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for env in ({}, probed):
        done = subprocess.run(["chroot", tmp_path, *words], capture_output=True, text=True,
                              env={**env, "PATH": os.environ["PATH"]}, timeout=30)
        assert done.stdout == "done\n" and done.returncode == 0
    # chroot itself carries the probe, too; its complaint comes from before the new root.
    assert "ERROR" not in done.stderr


SYSTEM_CALLS = {"memfd_create": 319, "socket": 41, "sendmsg": 46, "connect": 42,
                "ftruncate": 77, "madvise": 28}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("call", SYSTEM_CALLS)
def test_a_program_that_is_killed_for_what_only_the_probe_does(call, probed):
    forbid = [host_program("forbid"), SYSTEM_CALLS[call], "--"]
    words = [host_program("scripted"), "waits"]
    assert run({}, words, forbid) == DONE
    assert run(probed, words, forbid) == DONE


GROUP = "forbidden"
HELPERS_CALLS = {"process_vm_readv": 310, "close_range": 436, "unshare": 272, "tgkill": 234,
                 "pipe2": 293, "nanosleep": 35}
STALLS = """
import asyncio, hashlib
async def main():
    for _ in range(3):
        hashlib.pbkdf2_hmac('sha256', b'', b'', 1500000)
        await asyncio.sleep(0.01)
    print('done')
asyncio.run(main())"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
@pytest.mark.parametrize("call", HELPERS_CALLS)
def test_a_python_that_is_killed_for_what_only_a_helper_does(call, daemon):
    """A helper takes stacks; services that may not debug are common. Counts go on, from the
    loop's second wait."""
    forbid = [host_program("forbid"), HELPERS_CALLS[call], "--"]
    env = target_environment(daemon.socket, GROUP)
    assert run(env, [PYTHON, "-c", STALLS], forbid) == DONE
    wait_for(lambda: daemon.metrics().sum("looplag_stalls_total", groupname=GROUP) >= 2, 10,
             "its stalls are counted")


LIBRARIES = {"libjemalloc.so.2": {}, "libeatmydata.so": {},
             "faketime/libfaketime.so.1": {"FAKETIME": "+1d x10"}}


def library(name):
    for path in Path("/usr/lib").glob(f"*-linux-*/{name}"):
        return path
    pytest.skip(f"no {name} here")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("name", LIBRARIES)
def test_beside_another_preloaded_library(name, first, probed, segments):
    env, other = LIBRARIES[name], str(library(name))
    words = [PYTHON, "-c", """
import asyncio, time
async def main():
    for _ in range(30):
        time.sleep(0.001)
        await asyncio.sleep(0.002)
    print('done')
asyncio.run(main())"""]
    pair = [probed["LD_PRELOAD"], other] if first else [other, probed["LD_PRELOAD"]]
    assert run(dict(env, LD_PRELOAD=other), words) == DONE
    assert run(dict(env, **dict(probed, LD_PRELOAD=":".join(pair))), words) == DONE
    loops = the_loops(segments)
    assert sum(slot.iterations for slot in loops) >= 60
    # With somebody else's clock it would seem ten times as long.
    if "faketime" in name:
        assert sum(slot.active_ns for slot in loops) < 250e6


def compiled(compiler, flags, directory):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    binary = directory / "checked"
    done = subprocess.run([compiler, "-D_GNU_SOURCE", "-w", "-g", *flags, "-o", binary,
                           HOSTS / "scripted.c"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{compiler} cannot build it: {done.stderr}")
    return binary


CHECKED = {
    "clang's ASan": ("clang", ["-fsanitize=address,undefined"], {}),
    "gcc's static ASan": ("gcc", ["-fsanitize=address", "-static-libasan"], {}),
    "gcc's ASan, told to bear it": ("gcc", ["-fsanitize=address"],
                                    {"ASAN_OPTIONS": "verify_asan_link_order=0"}),
    "clang's TSan": ("clang", ["-fsanitize=thread"], {}),
}


@pytest.mark.parametrize("kind", CHECKED)
def test_in_a_program_with_a_sanitizer(kind, probed, segments, tmp_path):
    compiler, flags, env = CHECKED[kind]
    words = [compiled(compiler, flags, tmp_path), "waits"]
    assert run(env, words) == DONE
    assert run(dict(probed, **env), words) == DONE
    assert sum(slot.iterations for slot in the_loops(segments)) >= 200


def test_gccs_shared_asan_refuses_every_preloaded_library_by_itself(probed, tmp_path):
    """Nothing that is preloaded can help that; the answer is an option of its own, above."""
    words = [compiled("gcc", ["-fsanitize=address"], tmp_path), "waits"]
    for preload in (probed["LD_PRELOAD"], str(library("libeatmydata.so"))):
        status, _, words_of_it = run(dict(probed, LD_PRELOAD=preload), words)
        assert status == 1 and "does not come first" in words_of_it


def test_under_valgrind(probed, segments):
    if not shutil.which("valgrind"):
        pytest.skip("no valgrind here")
    words = ["valgrind", "-q", "--error-exitcode=9", host_program("scripted"), "waits"]
    assert run({}, words) == DONE
    assert run(probed, words) == DONE
    assert sum(slot.iterations for slot in the_loops(segments)) >= 200


SSHD = """
Port {port}
ListenAddress 127.0.0.1
HostKey {dir}/host
AuthorizedKeysFile {dir}/key.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
"""


def test_sshd_lets_a_user_in(probed, segments, program, scratch):
    """Its child before the login lives in a sandbox that kills for an unexpected call."""
    sshd = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
    if not sshd or os.geteuid():
        pytest.skip("no sshd here, or not root")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", scratch / name],
                       check=True)
    (scratch / "config").write_text(SSHD.format(port=port, dir=scratch))
    server = program([sshd, "-D", "-e", "-f", scratch / "config"],
                     env=dict(os.environ, **probed))
    wait_for(lambda: "listening on" in server.stderr, 10, "sshd listens")
    done = subprocess.run(
        ["ssh", "-F", "none", "-i", scratch / "key", "-p", str(port), "-o", "BatchMode=yes",
         "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={scratch}/hosts",
         "root@127.0.0.1", "echo logged in"], capture_output=True, text=True, timeout=30)
    assert done.stdout == "logged in\n" and done.returncode == 0, (done, server.stderr)
    wait_for(lambda: segments.of(server.pid), 5, "sshd's segment")
