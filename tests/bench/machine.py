# SPDX-License-Identifier: MIT
"""The machine: what it is, and how much others use it."""

import json
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

import harness
from npm import PEERS


def facts():
    """One line: processor, cores, kernel."""
    model = next((line.split(": ")[1] for line in
                  Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    return f"{model}, {len(harness.cores())} cores, Linux {platform.release()}"


def versions():
    """Of the hosts and of the peers."""
    debian = ("bpftrace haproxy memcached nginx-light python3 python3-uvicorn python3-uvloop "
              "redis-server")
    told = [subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                           text=True, check=False).stdout.split("\n")
            for command in (["node", "--version"],
                            ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n",
                             *debian.split()])]
    npm = json.loads((PEERS / "package.json").read_text())["dependencies"]
    return ", ".join([f"Node.js {told[0][0]}", *filter(None, told[1]),
                      *(" ".join(pair) for pair in npm.items())])


class Neighbours:
    """How much others use the machine from now on: a number to be suspicious about."""

    def __init__(self):
        self.begin = self._now()

    @staticmethod
    def _now():
        """Clock, CPU time of all programs, what the hypervisor took, our own CPU time."""
        user, nice, system, _, _, irq, softirq, steal = (
            int(word) / os.sysconf("SC_CLK_TCK")
            for word in Path("/proc/stat").read_text().split()[1:9])
        own = sum(sum(resource.getrusage(who)[:2])
                  for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return (time.monotonic(), user + nice + system + irq + softirq, steal, own)

    def __str__(self):
        took, busy, stolen, own = (b - a for a, b in zip(self.begin, self._now()))
        return (f"Meanwhile other programs used {max(0, (busy - own) / took):.0%} of a core, "
                f"and the hypervisor took {stolen / took:.0%} of one.")
