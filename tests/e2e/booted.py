# SPDX-License-Identifier: MIT
"""A booted Debian with the packages installed: looplagd, Debian's redis-server and a Node
service, both with the drop-in, and nothing else changed. The fixture `machine` is one.
"""

import json
import shutil

import container
import packages
from container import call
from harness import HOSTS, Metrics

NODE, REDIS, UNIT = "lagging.service", "redis-server.service", "looplagd.service"
METRICS = "http://127.0.0.1:9923/metrics"
STALLS = "http://127.0.0.1:9923/api/v1/stalls"
BLOCKED_SECONDS = 0.120
NODE_UNIT = """
[Unit]
Description=A Node service that blocks its loop for 120 ms twice a second
[Service]
DynamicUser=yes
Environment=PROTOCOL=http STALLS=120/500 PORT=8000
ExecStart=/usr/bin/node /srv/node_server.js
[Install]
WantedBy=multi-user.target
"""


def prepare(root):
    """Install the packages, and enable what else shall run."""
    packages.install(root)
    shutil.copy(HOSTS / "node_server.js", root / "srv")
    units = root / "etc/systemd/system"
    (units / NODE).write_text(NODE_UNIT)
    for unit in (NODE, REDIS):
        (units / f"{unit}.d").mkdir()
        shutil.copy(root / "usr/share/looplag/target-dropin.conf",
                    units / f"{unit}.d/50-looplag.conf")
    call("systemctl", f"--root={root}", "enable", NODE)


def why_not():
    """Why this machine cannot have one; None if it can."""
    return container.why_not() or packages.why_not()


def metrics(machine):
    return Metrics(machine.get(METRICS))


def answers(machine):
    """Both services do their work."""
    assert machine.outside("redis-cli", "ping") == "PONG\n"
    assert machine.get("http://127.0.0.1:8000/").startswith("ok")
    return True


def measured(machine, unit):
    """The daemon has seen a loop of that unit."""
    return metrics(machine).value("looplag_delay_seconds_count", groupname=unit,
                                  loop="main") > 0


def entries(machine, *arguments):
    """What looplagd has written to the journal."""
    text = machine.run("journalctl", "--boot", "--unit=looplagd", "--quiet", "--no-pager",
                       "--output=json", *arguments)
    return [json.loads(line) for line in text.splitlines()]


def said(machine):
    return machine.run("journalctl", "--boot", "--unit=looplagd", "--quiet", "--no-pager")
