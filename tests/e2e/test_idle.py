# SPDX-License-Identifier: MIT
"""A program that does nothing still does nothing when it carries the probe."""

import http.client
import os
import subprocess
import time
from pathlib import Path

import pytest

import harness
from harness import HOSTS, wait_for

SERVER = HOSTS / "node_server.js"
SECONDS = 5


def switches(pid):
    """How often its threads have gone to sleep by themselves so far."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def idle_servers(start, environments):
    """Start an HTTP server in each of these environments, have each answer once (which is
    when its monitor starts), and leave them alone."""
    servers = {}
    for name, (command, env) in environments.items():
        server = start(command, env=dict(env, PROTOCOL="http"))
        connection = http.client.HTTPConnection("127.0.0.1", server.listening())
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()
        servers[name] = server
    return servers


def per_second(pids, seconds):
    """Voluntary context switches a second of each of these processes."""
    before, begin = {name: switches(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    return {name: (switches(pid) - before[name]) / (time.monotonic() - begin)
            for name, pid in pids.items()}


def prom_client():
    """The directory of npm's prom-client, which is what a Node service measures its delay
    with today; None where npm cannot install it."""
    directory = harness.BUILD / "node"
    module = directory / "node_modules" / "prom-client"
    if not module.exists():
        directory.mkdir(exist_ok=True)
        try:
            subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund",
                            "--prefix", directory, "prom-client@15.1.3"], check=True,
                           capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return None
    return module


def test_an_idle_server_sleeps_as_it_does_without_the_probe(segments, program):
    servers = idle_servers(program, {
        "plain": (["node", SERVER], os.environ),
        "probe": (["node", SERVER], harness.target_environment(segments.socket)),
    })
    probed = servers["probe"].pid
    wait_for(lambda: segments.loops_of(probed), 10, "its loop")
    assert "looplag" in [path.read_text().strip() for path in
                         Path(f"/proc/{probed}/task").glob("*/comm")], "no helper thread"
    pids = {name: server.pid for name, server in servers.items()}

    def silent():
        rates = per_second(pids, SECONDS)
        print("voluntary context switches a second:", rates)
        return not any(rates.values())

    # V8 tidies up for some seconds after its last work, and Node looks after its
    # connections every 30 s.
    wait_for(silent, 60, f"{SECONDS} s without one context switch in either")


def test_the_usual_monitors_wake_an_idle_server_a_hundred_times_a_second(program):
    """The figures to compare with: what a user takes today instead of the probe."""
    environments = {
        "monitorEventLoopDelay": (["node", SERVER], dict(os.environ, MONITOR="1")),
    }
    module = prom_client()
    if module:
        environments["prom-client"] = (
            ["node", "-e", f"require('{module}').collectDefaultMetrics();"
             f"require('{SERVER}')"], os.environ)
    servers = idle_servers(program, environments)
    rates = per_second({name: s.pid for name, s in servers.items()}, SECONDS)
    print("voluntary context switches a second:", rates)
    for name, rate in rates.items():
        assert rate > 20, name
    if not module:
        pytest.skip("npm could not install prom-client; monitorEventLoopDelay was compared")
