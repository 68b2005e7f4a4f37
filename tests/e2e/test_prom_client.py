# SPDX-License-Identifier: MIT
"""--compat.prom-client: dashboards that know prom-client find its metrics of event loops."""

import json
import re
import socket
import subprocess

import pytest

from harness import HOSTS, PYTHON, delay_quantile, wait_for
from test_idle import prom_client

NAMES = re.compile(r"# (HELP|TYPE) (nodejs_eventloop_lag_\w+) (.*)")

LIBRARY = """
const client = require(process.argv[1]);
client.collectDefaultMetrics();
setTimeout(async () => { console.log(JSON.stringify(await client.register.metrics()));
                         process.exit(); }, 100);
"""


def told(page):
    """What is told of the families of event loops: {(HELP or TYPE, name): words}."""
    return {(kind, name): words for kind, name, words in NAMES.findall(page)}


def test_names_types_and_words_are_those_of_the_library(start_daemon, target):
    module = prom_client()
    if not module:
        pytest.skip("npm cannot install prom-client here")
    theirs = json.loads(subprocess.run(["node", "-e", LIBRARY, module], check=True,
                                       capture_output=True, text=True, timeout=60).stdout)
    daemon = start_daemon("--compat.prom-client")
    target(["node", HOSTS / "node_server.js"], daemon=daemon, group="web").listening()
    wait_for(lambda: daemon.loop("web"), 10, "the group")
    ours = daemon.get("/metrics")[2]
    assert len(told(theirs)) == 16
    assert told(ours) == told(theirs)


def test_node_groups_alone_have_them_and_they_are_the_delay(start_daemon, target):
    daemon = start_daemon("--compat.prom-client")
    server = target(["node", HOSTS / "node_server.js"], daemon=daemon, group="web",
                    env={"STALLS": "200/1000"})
    target([PYTHON, HOSTS / "asyncio_server.py"], daemon=daemon, group="snake").listening()
    with socket.create_connection(("127.0.0.1", server.listening())):
        page = wait_for(lambda: (page := daemon.metrics()) and page.value(
            "nodejs_eventloop_lag_p99_seconds", groupname="web") > 0.1 and page, 20, "a delay")
    assert page.value("nodejs_eventloop_lag_p99_seconds", groupname="web") == \
        delay_quantile(page, "web", "main", 0.99)
    assert page.value("nodejs_eventloop_lag_max_seconds", groupname="web") == \
        delay_quantile(page, "web", "main", 1)
    assert page.value("nodejs_eventloop_lag_min_seconds", groupname="web") == 0
    assert page.series("looplag_group_info", groupname="snake")
    assert not page.series("nodejs_eventloop_lag_seconds", groupname="snake")


def test_by_default_there_are_none(daemon, target):
    target(["node", HOSTS / "node_server.js"], group="web").listening()
    wait_for(lambda: daemon.loop("web"), 10, "the group")
    assert "nodejs_eventloop" not in daemon.get("/metrics")[2]
