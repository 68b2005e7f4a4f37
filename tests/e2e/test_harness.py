# SPDX-License-Identifier: MIT
"""The tools of the other tests: a reader that overlooks faults would make them all pass."""

import json
import math
import os

import pytest

from harness import HOSTS, PYTHON, Metrics, host_program, wait_for

TEXT = """# HELP a_total Things.
# TYPE a_total counter
a_total{groupname="x \\"y\\" \\\\ z,",loop="main"} 3
# TYPE b histogram
b_bucket{loop="main",le="1.0"} 1.5
b_bucket{loop="pool",le="1.0"} 1
b_bucket{loop="main",le="+Inf"} 2
b_bucket{loop="pool",le="+Inf"} 2
b_count{loop="main"} 2
"""


def test_metrics_are_found_by_name_and_labels():
    metrics = Metrics(TEXT)
    assert metrics.value("a_total", groupname='x "y" \\ z,') == 3
    assert metrics.buckets("b") == [(1.0, 2.5), (math.inf, 4.0)]
    assert {name for name, _ in metrics.growing()} == {"a_total", "b_bucket", "b_count"}
    with pytest.raises(LookupError):
        metrics.value("b_bucket", loop="main")


@pytest.mark.parametrize("line", ["b", "b{x=1} 1", 'b{x="1" 1', "b one", 'a_total{x="1"} 1 1 1',
                                  'b_count{loop="main"} 2'])
def test_a_broken_exposition_is_refused(line):
    with pytest.raises(ValueError):
        Metrics(TEXT + line + "\n")


def test_waiting_ends_with_the_reason():
    with pytest.raises(AssertionError, match="the moon.*ValueError.*blue"):
        wait_for(lambda: int("blue"), 0.05, "the moon")


def test_a_program_is_ended_with_its_children(program):
    shell = program(["sh", "-c", "trap '' TERM; sleep 1000 & echo child $!; wait"])
    child = int(shell.line("child "))
    assert shell.stop(deadline=0.2) is None
    wait_for(lambda: not os.path.exists(f"/proc/{child}"), 5, "the child is gone")


@pytest.mark.parametrize("server", [["node", HOSTS / "node_server.js"],
                                    [PYTHON, HOSTS / "asyncio_server.py"]])
@pytest.mark.parametrize("protocol", ["echo", "http"])
def test_the_open_loop_client_sees_a_stall_whole(program, server, protocol):
    """A tenth of the requests wait for a server that is stuck for a fifth of the time; a
    client that waited for answers before it sent the next would see a few late ones."""
    environment = dict(os.environ, STALLS="100/500", PROTOCOL=protocol)
    port = program(server, env=environment).listening()
    http = ["--http"] if protocol == "http" else []
    client = program([host_program("openloop"), "--seconds", 3, *http, port])
    assert client.wait() == 0, client.stderr
    result = json.loads(client.stdout)
    assert result["answered"] == result["requests"] == 3000
    assert result["latency"]["p90"] > 0.040
    assert result["latency"]["max"] > 0.095
