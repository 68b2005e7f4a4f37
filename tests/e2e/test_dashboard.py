# SPDX-License-Identifier: MIT
"""The dashboard: what Grafana reads is there, and each expression in it gets an answer from a
real Prometheus that scrapes a real looplagd. Grafana itself is not run: Debian has none."""

import json
import re
import shutil

import pytest

from harness import HOSTS, PYTHON, SOURCE, host_program, wait_for
from prometheus import Prometheus

PATH = SOURCE / "config" / "grafana" / "looplag.json"
DASHBOARD = json.loads(PATH.read_text())
ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {entry["name"]: entry for entry in DASHBOARD["templating"]["list"]}
# What Grafana puts in by itself.
BUILT_IN = {"__rate_interval"}


def expressions():
    return [(panel["title"], target["expr"]) for panel in PANELS
            for target in panel["targets"]]


def test_it_can_be_imported_and_updated_anywhere():
    """Fixed uid, no database id; the data source is a variable, nowhere a name."""
    assert re.fullmatch(r"[a-z-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["id"] is None and DASHBOARD["schemaVersion"] >= 36
    assert "__inputs" not in DASHBOARD
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    for thing in [*PANELS, VARIABLES["instance"], VARIABLES["groupname"],
                  *(target for panel in PANELS for target in panel["targets"])]:
        assert thing["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_panels_have_a_place_a_unit_and_words():
    seen = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & seen, panel["title"]
        seen |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in PANELS]
    assert len(set(titles)) == len(titles)
    for panel in PANELS:
        assert panel["fieldConfig"]["defaults"]["unit"] and panel["description"], panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters and len(set(letters)) == len(letters)
    assert {panel["type"] for panel in PANELS} == {"heatmap", "stat", "table", "timeseries"}


def test_variables_are_all_known_and_rates_fit_the_zoom():
    for title, expression in expressions():
        assert set(re.findall(r"\$\{?(\w+)", expression)) <= {*VARIABLES, *BUILT_IN}, title
        for span in re.findall(r"\[([^]]+)\]", expression):
            assert span in ("$__rate_interval", "1h"), title


def substituted(expression):
    for name, value in {"$__rate_interval": "5s", "$instance": ".+", "$groupname": ".+"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, expression
    return expression


@pytest.fixture
def prometheus(daemon, target, program):
    """One that scrapes a looplagd with a Node and a Python service, stuck for up to 1.2 s, so
    that there is an alert of looplagd's own, too."""
    for group, command, stalls in (
            ("node-shop", ["node", HOSTS / "node_server.js"], "1200/2500"),
            ("python-shop", [PYTHON, HOSTS / "asyncio_server.py"], "150/600")):
        server = target(command, group=group, env={"STALLS": stalls})
        program([host_program("openloop"), "--rate", 50, "--seconds", 300,
                 server.listening()])
    started = Prometheus(daemon.address)
    yield started
    started.stop()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")
def test_each_expression_gets_an_answer(prometheus):
    """Also those that show only what is wrong: with the comparison at their end they must be
    understood, without it there is something to compare."""
    def is_answered(expression):
        found = prometheus.api("query", query=expression)["result"]
        return found and any(row["value"][1] != "NaN" for row in found)

    for title, expression in expressions():
        full = substituted(expression)
        prometheus.api("query", query=full)
        bare = re.sub(r" (> 0|== 1)$", "", full)
        wait_for(lambda asked=bare: is_answered(asked), 60, f"{title}: {bare}", every=0.3)
    for name in ("instance", "groupname"):
        query = substituted(VARIABLES[name]["definition"])
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        assert prometheus.api(f"label/{label}/values", **{"match[]": selector}), name

    # The heatmap's rows are the buckets, and what it shows is the groups' loop life.
    target = next(panel for panel in PANELS if panel["type"] == "heatmap")["targets"][0]
    assert target["format"] == "heatmap"

    def is_loop_life():
        rows = {row["metric"]["le"]: float(row["value"][1]) for row in prometheus.api(
            "query", query=substituted(target["expr"]))["result"]}
        loops = prometheus.query("sum(looplag_group_loops)")
        return len(rows) > 10 and 0.8 * loops < rows["+Inf"] < 1.2 * loops
    wait_for(is_loop_life, 30, "the heatmap shows the life of all loops", every=0.3)
