# SPDX-License-Identifier: MIT
"""Rules, alerts and samples for Prometheus: promtool and amtool find no fault in them, each
rule has a test of its own, and a real Prometheus computes them from a real looplagd."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness import HOSTS, PYTHON, SOURCE, host_program, wait_for
from prometheus import Prometheus

DIRECTORY = SOURCE / "config" / "prometheus"
RULES = sorted(DIRECTORY.glob("looplag-*.yml"))
MANUAL = (SOURCE / "daemon" / "looplagd.8").read_text()

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here")


def run(*command, cwd=DIRECTORY):
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True,
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def unit_tests(path):
    return [f"tests/{test.name}"
            for test in sorted((DIRECTORY / "tests").glob(f"{path.stem}-*test.yml"))]


def rules_of(path):
    return [rule for group in yaml.safe_load(path.read_text())["groups"]
            for rule in group["rules"]]


def name_of(rule):
    return rule.get("record") or rule["alert"]


def metrics_in(expression):
    """The names of metrics from looplagd that a PromQL expression has."""
    bare = re.sub(r'"[^"]*"|\[[^]]*\]', "", expression)
    names = re.findall(r"(?<![\w:$])(?:looplag|process)_[a-z_]+(?![\w:])", bare)
    return {re.sub(r"(?<=_seconds)_(bucket|count|sum)$", "", name) for name in names}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_promtool_finds_no_fault_in_rules(path):
    status, words = run("promtool", "check", "rules", path)
    assert status == 0 and "SUCCESS" in words, words


@pytest.mark.parametrize("options", [["prometheus.yml"], ["--agent", "prometheus-agent.yml"]],
                         ids=["server", "agent"])
def test_promtool_finds_no_fault_in_samples(options):
    """All files that they name are there, too."""
    status, words = run("promtool", "check", "config", *options)
    assert status == 0 and "WARNING" not in words, words


@pytest.mark.skipif(not shutil.which("amtool"), reason="no amtool here")
def test_amtool_finds_no_fault_in_the_sample():
    status, words = run("amtool", "check-config", "alertmanager.yml")
    assert status == 0, words


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_rules_pass_their_tests(path):
    status, words = run("promtool", "test", "rules", *unit_tests(path))
    assert status == 0, words


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_each_rule_has_a_test_that_fails_without_it(path, tmp_path):
    shutil.copytree(DIRECTORY, tmp_path, dirs_exist_ok=True)
    rules = yaml.safe_load(path.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            kept, rule["expr"] = rule["expr"], "vector(0) > 1"
            (tmp_path / path.name).write_text(yaml.safe_dump(rules))
            rule["expr"] = kept
            status, words = run("promtool", "test", "rules", *unit_tests(path), cwd=tmp_path)
            assert status == 1 and "FAILED" in words, (name_of(rule), words)


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_alerts_say_how_bad_where_and_what_to_do(path):
    for rule in rules_of(path):
        for name in metrics_in(rule["expr"]):
            assert re.search(rf"\b{name}\b", MANUAL), name
        if "alert" not in rule:
            assert re.fullmatch(r"[a-z_]+:looplag_[a-z_]+:[a-z0-9_]+", rule["record"])
            continue
        assert rule["alert"].startswith("Looplag")
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert {"summary", "description"} <= set(rule["annotations"])
        if "stall" in rule["expr"] or "delay" in rule["expr"]:
            assert "/#group=" in rule["annotations"]["link"]


@pytest.fixture
def shops(daemon, target, program):
    """A Node service and a Python service that are stuck for a fifth of the time, which is not
    for lack of a CPU."""
    for group, command in (("node-shop", ["node", HOSTS / "node_server.js"]),
                           ("python-shop", [PYTHON, HOSTS / "asyncio_server.py"])):
        server = target(command, group=group, env={"STALLS": "150/750"}, preferred=True)
        program([host_program("openloop"), "--rate", 50, "--seconds", 300,
                 server.listening()])


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")
def test_prometheus_computes_the_rules_and_fires_what_is_due(daemon, shops):
    """The rules as they are, but for being computed every second."""
    prometheus = Prometheus(config=f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{", ".join(f"'{path}'" for path in RULES)}]
scrape_configs:
- {{job_name: looplag, static_configs: [{{targets: ['{daemon.address}']}}]}}
""")
    try:
        def healthy():
            found = [rule for group in prometheus.api("rules")["groups"]
                     for rule in group["rules"]]
            assert not [rule for rule in found if rule.get("lastError")], found
            return found and all(rule["health"] == "ok" for rule in found)
        wait_for(healthy, 30, "Prometheus has computed all rules")
        for path in RULES:
            for rule in rules_of(path):
                if "record" in rule:
                    wait_for(lambda name=rule["record"]:
                             prometheus.api("query", query=name)["result"], 30,
                             f"a value of {rule['record']}", every=0.3)
        p99 = 'groupname:looplag_delay_seconds:p99_5m{groupname="node-shop"}'
        # P(delay > x) = (0.15 - x) / 0.75: 142 ms; between the bounds 100 and 250 ms.
        wait_for(lambda: 0.1 < prometheus.query(p99) <= 0.25, 30, "a p99 of 142 ms", every=0.3)

        def firing():
            return {(alert["labels"]["alertname"], alert["labels"].get("groupname"))
                    for alert in prometheus.api("alerts")["alerts"]
                    if alert["state"] == "firing"}
        wait_for(lambda: {("LooplagTimeLostInStalls", "node-shop"),
                          ("LooplagTimeLostInStalls", "python-shop")} <= firing(),
                 60, lambda: f"alerts fire, not {firing()}", every=0.3)
        assert not {name for name, _ in firing()} & {
            "LooplagDown", "LooplagProbeMissing", "LooplagConfigurationBroken",
            "LooplagLoopsNotSeen"}
    finally:
        prometheus.stop()


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")
def test_an_agent_sends_on_what_it_scrapes(daemon, shops, tmp_path):
    """The sample, but for addresses and the interval."""
    receiver = Prometheus(config="global: {}", options=[
        f"--storage.tsdb.path={tmp_path / 'received'}", "--web.enable-remote-write-receiver"])
    agent = None
    try:
        config = yaml.safe_load((DIRECTORY / "prometheus-agent.yml").read_text())
        config["global"].update(scrape_interval="1s", scrape_timeout="1s")
        targets = json.loads((DIRECTORY / "looplag-targets.json").read_text())
        targets[0]["targets"] = [daemon.address]
        (tmp_path / "targets.json").write_text(json.dumps(targets))
        config["scrape_configs"][0]["file_sd_configs"] = [
            {"files": [str(tmp_path / "targets.json")]}]
        config["remote_write"][0]["url"] = f"{receiver.url}/api/v1/write"
        agent = Prometheus(config=yaml.safe_dump(config), options=[
            "--enable-feature=agent", f"--storage.agent.path={tmp_path / 'agent'}"])
        wait_for(lambda: receiver.query(
            'sum(looplag_group_processes{site="example",job="looplag",groupname=~".*-shop"})')
            == 2, 60, "the groups arrive", every=0.3)
    finally:
        if agent:
            agent.stop()
        receiver.stop()
