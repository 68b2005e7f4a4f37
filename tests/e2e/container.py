# SPDX-License-Identifier: MIT
"""A Debian container with systemd as its init, for tests of what is installed.

    machine = Container("looplag-test", prepare)    # prepare(root): install into it
    machine.boot()
    machine.run("systemctl", "start", "redis-server")
    machine.get("http://127.0.0.1:9923/metrics")
    machine.stop()

The root is made once, by debootstrap from the mirror that this machine's apt uses, and
kept in $LOOPLAG_CACHE (default: cache/ in the build directory); each container runs on a
copy of it, with a network of its own that is nothing but loopback.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import uuid
from pathlib import Path

from harness import BUILD, Program, wait_for

CACHE = Path(os.environ.get("LOOPLAG_CACHE", BUILD / "cache")).resolve()
PACKAGES = ["dbus", "gunicorn", "libcurl4", "libdw1", "libeatmydata1", "libevent-core-2.1-7",
            "libevent-extra-2.1-7", "libevent-openssl-2.1-7", "libjansson4", "liblmdb0",
            "libncursesw6", "libprotobuf-c1", "libssl3", "libsystemd0", "libyaml-0-2", "nodejs",
            "python3", "python3-uvicorn", "python3-uvloop", "redis-server", "systemd"]
RELEASE = "bookworm"
TOOLS = ["chroot", "cp", "curl", "debootstrap", "nsenter", "systemd-nspawn", "unshare"]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def why_not():
    """Why this machine cannot run a container; None if it can."""
    if os.geteuid() != 0:
        return "a container needs root"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return "not installed: " + ", ".join(missing)
    attempt = subprocess.run(["unshare", "--mount", "--pid", "--net", "--fork", "true"],
                             capture_output=True, text=True)
    if attempt.returncode:
        return "this machine makes no namespaces: " + attempt.stderr.strip()
    return None


def call(*command, **how):
    """Run a command to its end and return what it said; AssertionError if it failed."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, **how)
    words = done.stdout + done.stderr
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {words[-3000:]}"
    return done.stdout


def mirror():
    """Where this machine's apt gets the release from."""
    listed = call("apt-get", "indextargets", "--format",
                  "$(CODENAME) $(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
    for line in listed.splitlines():
        codename, release, component, uri = line.split(" ", 3)
        if RELEASE in (codename, release) and component == "main":
            return uri
    raise AssertionError(f"apt on this machine knows no Debian {RELEASE}")


def debian_root(release=RELEASE, packages=PACKAGES):
    """The cached root directory, made first if need be."""
    key = hashlib.sha256(" ".join([release, *packages]).encode()).hexdigest()[:12]
    root = CACHE / f"debian-{release}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{root}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others may want the same at the same time
        if not root.exists():
            make_root(root, release, packages)
    return root


def make_root(root, release, packages):
    """By debootstrap, whose mounts and processes end with it, however it ends."""
    partial = CACHE / f"partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    call("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "debootstrap",
         "--variant=minbase", "--include=" + ",".join(packages), release, partial, mirror())
    for archive in (partial / "var/cache/apt/archives").glob("*.deb"):
        archive.unlink()
    partial.rename(root)


class Container:
    """One container, not yet running; prepare(root) may install into it."""

    def __init__(self, name, prepare):
        self.name = f"{name}-{os.getpid()}"
        self.root = CACHE / self.name
        self.program = None
        self.init = None
        call("cp", "-a", "--reflink=auto", debian_root(), self.root)
        (self.root / "etc/machine-id").write_text(uuid.uuid4().hex + "\n")
        try:
            prepare(self.root)
        except BaseException:
            self.stop()
            raise

    def boot(self, deadline=90):
        """Start it, and wait until systemd has started what is enabled."""
        # Without a systemd on the outside there is nobody to ask for a unit.
        keep = [] if os.path.isdir("/run/systemd/system") else ["--keep-unit"]
        self.program = Program(
            ["systemd-nspawn", "--quiet", "--boot", "--directory", self.root, "--machine",
             self.name, "--private-network", "--register=no", "--console=pipe", *keep])
        wait_for(self._find_init, deadline, "the container's init is there")
        wait_for(lambda: self.state() in ("running", "degraded"), deadline,
                 "the container has started", every=0.2)

    def _find_init(self):
        if not self.program.running:
            raise AssertionError("systemd-nspawn has ended: " + self.program.stderr
                                 + self.program.stdout)
        children = Path(f"/proc/{self.program.pid}/task/{self.program.pid}/children")
        for pid in map(int, children.read_text().split()):
            if Path(f"/proc/{pid}/comm").read_text().strip() == "systemd":
                self.init = pid
        return self.init

    def run(self, *command, check=True):
        """Run a command in the container and return what it says."""
        done = self._enter(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"], command)
        assert not check or done.returncode == 0, \
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def outside(self, *command):
        """Run a program of this machine in the container's network; what it says."""
        done = self._enter(["--net"], command)
        if done.returncode:
            raise ValueError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def way_in(self, here, port):
        """A command by which a port of this machine leads to one of the container's, both on
        loopback."""
        return ["systemd-socket-activate", f"--listen=127.0.0.1:{here}",
                "nsenter", "--target", str(self.init), "--net", "--",
                "/lib/systemd/systemd-socket-proxyd", f"127.0.0.1:{port}"]

    def _enter(self, namespaces, command):
        return subprocess.run(
            ["nsenter", "--target", str(self.init), *namespaces, "--", *command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8"})

    def get(self, url):
        """The page at a URL, as the container's own network has it."""
        return self.outside("curl", "--silent", "--show-error", "--fail", "--max-time", "10",
                            url)

    def state(self):
        return self.run("systemctl", "is-system-running", check=False)

    def property(self, unit, name):
        """A property of a unit, as `systemctl show` prints it."""
        return self.run("systemctl", "show", "--property", name, "--value", unit)

    def stop(self):
        """Power it off and remove its root."""
        if self.program:
            self.program.stop(deadline=60)
        shutil.rmtree(self.root)
