# SPDX-License-Identifier: MIT
"""Where a suite runs: without the probe, with it and no daemon, with it and a daemon that
takes stacks of all that lasts 20 ms. Each run has a network namespace of its own with nothing
but loopback, and, if the runner is root, a user without privileges."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

import harness  # noqa: E402

WITHOUT, PROBE, DAEMON = "without", "probe", "daemon"
ALL = (WITHOUT, PROBE, DAEMON)
NOBODY = 65534

CONFIG = """
threshold: 20ms
captures_per_minute: 6000
alerts: []
"""

ENTER = """
ip link set lo up || exit 125
exec "$@"
"""


def user():
    """The user that runs the tests."""
    return NOBODY if os.geteuid() == 0 else os.getuid()


class Settings:
    """The daemon, a copy of the probe that everybody can read, and a scratch directory."""

    def __init__(self):
        self.scratch = Path(tempfile.mkdtemp(prefix="harm-"))
        self.scratch.chmod(0o755)
        for name in ("liblooplag.so", "liblooplag-v8.so"):
            library = harness.PROBE.parent / name
            if library.exists():
                shutil.copy(library, self.scratch / name)
        config = self.scratch / "looplagd.yaml"
        config.write_text(CONFIG)
        self.daemon = harness.Daemon("--config.file", config)
        self.daemon.directory.chmod(0o755)
        self._count = 0

    def close(self):
        """End the daemon, which must end cleanly."""
        self.daemon.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def stacks(self):
        """How many stacks the daemon has got so far."""
        metrics = self.daemon.metrics()
        return int(sum(metrics.sum("looplag_captures_total", result=result)
                       for result in ("taken", "late")))

    def work(self):
        """A fresh directory that the user may write to."""
        self._count += 1
        work = self.scratch / str(self._count)
        work.mkdir()
        if os.geteuid() == 0:
            os.chown(work, user(), user())
        return work

    def _environment(self, setting, work):
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                       "LANG": "C.UTF-8", "HOME": work, "TMPDIR": work,
                       "PYTHONDONTWRITEBYTECODE": "1"}
        if setting != WITHOUT:
            environment["LD_PRELOAD"] = self.scratch / "liblooplag.so"
            environment["LOOPLAG_SOCKET"] = (
                self.daemon.socket if setting == DAEMON else self.scratch / "none.sock")
        return [f"{name}={value}" for name, value in environment.items()]

    def run(self, setting, words, where, work, limit_seconds):
        """Run a command in a setting; return its output, and its status, None when it took
        too long and was killed."""
        if os.geteuid() == 0:
            enter = ["unshare", "-n", "sh", "-c", ENTER, "sh", "setpriv", "--reuid", NOBODY,
                     "--regid", NOBODY, "--clear-groups"]
        else:
            enter = ["unshare", "-rn", "sh", "-c", ENTER, "sh"]
        command = [*enter, "env", "-i", "--default-signal", *self._environment(setting, work), *words]
        log = work / "output"
        with open(log, "wb") as file:
            process = subprocess.Popen(list(map(str, command)), cwd=where, stdout=file,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
            try:
                status = process.wait(limit_seconds)
            except subprocess.TimeoutExpired:
                status = None
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                process.wait()
        return log.read_text(errors="replace"), status
