# SPDX-License-Identifier: MIT
"""A looplagd that is killed and started anew, at one place all the time: address, socket and
state stay. With a manager it is as under systemd: the socket is held open for it, and so
are the descriptors that it has put into the manager's store.

    with Restarted(directory, manager=True) as looplagd:
        looplagd.kill()
        looplagd.start()
        assert looplagd.metrics().value(...)
"""

import array
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import threading

from harness import (LOOPLAGD, PYTHON, Daemon, Program, SANITIZER_REPORT, free_port,
                     short_directory, wait_for)

# Becomes the command of its second argument, with the descriptors of its first from 3 on.
_HAND_OVER = """
import os, sys
for i, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """What systemd does for a service with a socket unit and FileDescriptorStoreMax=."""

    def __init__(self, directory):
        self.probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.probe.bind(str(directory / "probe.sock"))
        self.probe.listen(4096)
        self.stored = {}  # name -> descriptor
        self.path = directory / "notify.sock"
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self._notify.bind(str(self.path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        while True:
            data, control, _, _ = self._notify.recvmsg(65536, socket.CMSG_SPACE(4 * 253))
            fds = array.array("i")
            for level, kind, rights in control:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(rights)
            if data == b"stop":
                return
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            if fields.get("FDSTORE") == "1":
                self._drop(fields["FDNAME"])
                self.stored[fields["FDNAME"]] = fcntl.fcntl(fds[0], fcntl.F_DUPFD_CLOEXEC, 300)
            elif fields.get("FDSTOREREMOVE") == "1":
                self._drop(fields["FDNAME"])
            for fd in fds:
                os.close(fd)

    def _drop(self, name):
        fd = self.stored.pop(name, None)
        if fd is not None:
            os.close(fd)

    def flush(self):
        """Wait until all that a daemon which is dead has said was heard, and hear on."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"stop", str(self.path))
        self._thread.join(10)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self):
        self.flush()
        self.probe.close()
        for name in list(self.stored):
            self._drop(name)

    def program(self, command, env):
        """Start a daemon with all that is held for it."""
        names = ["probe", *self.stored]
        fds = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 300)
               for fd in (self.probe.fileno(), *self.stored.values())]
        env = dict(env, LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(names),
                   NOTIFY_SOCKET=str(self.path))
        for fd in fds:
            os.set_inheritable(fd, True)
        try:
            return Program([PYTHON, "-S", "-c", _HAND_OVER, ",".join(map(str, fds)), *command],
                           env=env, name="looplagd", keep=fds)
        finally:
            for fd in fds:
                os.close(fd)


def with_version(binary, version, directory):
    """A copy of that looplagd which has this number."""
    data = binary.read_bytes()
    told = subprocess.run([binary, "--version"], capture_output=True, check=True).stdout
    own = b"\0" + told.split()[1] + b"\0"
    assert own in data  # each compilation unit may have its own
    copy = directory / f"looplagd-{version}"
    copy.write_bytes(data.replace(own, b"\0" + version.encode().ljust(len(own) - 1, b"\0")))
    copy.chmod(0o755)
    return copy


class Restarted(Daemon):
    """See above. `binary` may be another build's from one start to the next; `prefix` is
    a command that it is started by."""

    def __init__(self, *options, manager=False, state=True, prefix=()):
        self.directory = short_directory()
        self.socket = self.directory / "probe.sock"
        self.state = self.directory / "state"
        self.state.mkdir()
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        self.manager = Manager(self.directory) if manager else None
        self.options = [*options, *(["--state.dir", self.state] if state else [])]
        self.binary, self.prefix = LOOPLAGD, prefix
        self.words = ""
        self.program = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.program.stop(signal.SIGKILL)
            self.words += self.program.stderr
            assert not SANITIZER_REPORT.search(self.words), self.words
        finally:
            if self.manager:
                self.manager.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self, wait=True):
        """Start it again, and wait until it serves."""
        command = [*self.prefix, self.binary, "--web.listen-address", self.address, "--probe.socket",
                   self.socket, *self.options]
        if self.manager:
            self.program = self.manager.program(command, dict(os.environ))
        else:
            self.program = Program(command, name="looplagd")
        self.pid = self.program.pid
        if wait:
            wait_for(self._is_ready, 15, "looplagd is ready")
            assert self.program.running, self.words + self.program.stderr

    def _is_ready(self):
        return not self.program.running or super()._is_ready()

    def kill(self, number=signal.SIGKILL):
        """End it; what it has said is kept in `words`."""
        self.program.stop(number)
        self.words += self.program.stderr
        if self.manager:
            self.manager.flush()
