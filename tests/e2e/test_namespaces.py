# SPDX-License-Identifier: MIT
"""Namespaces: processes in containers are who they are, and so are those around a looplagd
in a container, or nobody is told what they are."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import LOOPLAGD, PROBE, PYTHON, Daemon, wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="takes root, to make namespaces")

HIDDEN = "looplag_hidden_processes_total"

# Two loops that sleep on duty, one of them in a thread with a name.
SLEEPY = """
import asyncio, ctypes, threading, time

def guilty():
    time.sleep(0.3)

async def main():
    while True:
        await asyncio.sleep(0.7)
        guilty()

def thread():
    ctypes.CDLL(None).prctl(15, b"helper-3", 0, 0, 0)
    asyncio.run(main())

threading.Thread(target=thread, daemon=True).start()
asyncio.run(main())
"""

PID = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
INSIDE = {
    "none": [],
    "pid": PID,
    "pid in pid": [*PID, *PID],
    "user and pid": ["unshare", "--user", "--map-root-user", *PID[1:]],
    "mount, cgroup and ipc": ["unshare", "--mount", "--cgroup", "--ipc", "--uts"],
}


@pytest.fixture
def sleepy(program, scratch):
    """sleepy(daemon, wrapper, group): SLEEPY with the probe, and the wrapper without."""
    file = scratch / "sleepy.py"
    file.write_text(SLEEPY)

    def start(daemon, wrapper=(), group="sleepy"):
        return program([*wrapper, "env", f"LD_PRELOAD={PROBE}",
                        f"LOOPLAG_SOCKET={daemon.socket}", f"LOOPLAG_GROUP={group}",
                        PYTHON, file], name="sleepy")
    return start


def stalls(daemon, group="sleepy"):
    """The stalls of a group that have ended, with their stacks, by their loop."""
    page = json.loads(daemon.get(f"/api/v1/stalls?group={group}")[2])
    return {stall["loop"]: stall for stall in page["stalls"]
            if not stall["open"] and stall.get("stack")}


def pid_of(started, file="sleepy.py"):
    """Our number of the process that the program has become, below its wrappers."""
    pids = [started.pid]
    while pids:
        pid = pids.pop()
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        if words[0] == PYTHON and words[1].endswith(file):
            return pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
    raise LookupError(file)


def thread_of(pid, name):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text() == name + "\n":
            return int(task.name)
    raise LookupError(name)


def is_right(daemon, started):
    """Whether all that is told of the program is as we see it from outside."""
    found = wait_for(lambda: len(stalls(daemon)) == 2 and stalls(daemon), 30,
                     lambda: f"stalls with stacks: {daemon.get('/api/v1/stalls')[2]}")
    pid = pid_of(started)
    assert set(found) == {"main", "helper"}
    assert {stall["pid"] for stall in found.values()} == {pid}
    assert found["main"]["tid"] == pid
    assert found["helper"]["tid"] == thread_of(pid, "helper-3")
    for stall in found.values():
        assert "guilty" in [frame.get("function") for frame in stall["stack"]]
        # Waiting for the interpreter's lock, or for a processor, is no lie.
        assert stall["cause"] in ("blocked", "gil", "starved")
    group = daemon.group("sleepy")
    assert group["processes"] == 1
    assert group["runtime"] == "python"
    assert daemon.metrics().value(HIDDEN) == 0


@pytest.mark.parametrize("place", INSIDE)
def test_a_process_in_a_namespace_is_seen_as_any_other(daemon, sleepy, place):
    is_right(daemon, sleepy(daemon, INSIDE[place]))


CONTAINER = """
mount -t tmpfs none /etc
echo 'app:x:0:0::/:/bin/sh' >/etc/passwd
mount -t tmpfs none /media
exec "$@"
"""


def test_a_daemon_in_a_container_with_the_pids_of_the_host_sees_all(start_daemon, sleepy,
                                                                    scratch):
    file = scratch / "looplagd.yaml"
    file.write_text("groups: [{name: 'of-${user}', arguments: '.* /no/such/file'},\n"
                    "         {name: 'sleepy', user: app}]\n")
    daemon = start_daemon(
        f"--config.file={file}",
        wrapper=["unshare", "--mount", "--cgroup", "--ipc", "--uts", "sh", "-ec", CONTAINER, "sh"])
    is_right(daemon, sleepy(daemon, PID, group="other-wish"))


def test_what_a_daemon_cannot_see_is_measured_and_nothing_is_made_up(program, sleepy):
    # It is the first process of its namespace, and it goes by a signal that the first one gets
    # from outside alone: from unshare's parent.
    daemon = Daemon(wrapper=PID)
    try:
        sleepy(daemon)
        found = wait_for(lambda: len(stalls(daemon)) == 2 and stalls(daemon), 30,
                         "stalls with stacks")
        assert set(found) == {"main", "thread"}
        for stall in found.values():
            assert "pid" not in stall and "tid" not in stall
            assert stall["cause"] == "unknown"
            assert "guilty" in [frame.get("function") for frame in stall["stack"]]
        group = daemon.group("sleepy")
        assert group["processes"] == 1
        assert daemon.group("looplagd")["processes"] == 1
        assert daemon.metrics().value(HIDDEN) == 1
        words = [line for line in daemon.program.stderr.splitlines() if "cannot see" in line]
        assert len(words) == 1
        assert "another pid namespace" in words[0]
        assert "run looplagd with the pids of the host" in words[0]
    finally:
        daemon.program.stop()


def test_a_daemon_with_the_proc_of_another_namespace_does_not_start(scratch):
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", LOOPLAGD, "--web.listen-address=127.0.0.1:0",
         f"--probe.socket={scratch}/s"], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "/proc is that of another pid namespace; mount one of this namespace" in done.stderr
    assert not (scratch / "s").exists()
