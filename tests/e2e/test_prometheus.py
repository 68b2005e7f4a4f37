# SPDX-License-Identifier: MIT
"""A real Prometheus is content with looplagd, and reads the same answers out of it."""

import shutil
import subprocess

import pytest

from harness import HOSTS, PYTHON, delay_quantile, host_program, wait_for
from prometheus import Prometheus

GROUP = "shop"
STALLS = "100/500"  # P(delay > x) = (0.1 - x) / 0.5: p90 is 50 ms, p99 95 ms

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"),
                                      reason="no prometheus here")


@pytest.fixture
def prometheus(daemon):
    started = Prometheus(daemon.address)
    yield started
    started.stop()


@pytest.fixture
def shop(target, program):
    """A group that is stuck for a fifth of the time, and has clients."""
    server = target([PYTHON, HOSTS / "asyncio_server.py"], group=GROUP,
                    env={"STALLS": STALLS})
    program([host_program("openloop"), "--rate", 200, "--seconds", 120, server.listening()])
    return server


@needs_prometheus
def test_promtool_finds_no_fault(daemon, shop, target):
    node = target(["node", HOSTS / "node_server.js"], group='odd "name"\\ of\ttwo')
    node.listening()
    wait_for(lambda: daemon.metrics().value("looplag_iteration_seconds_count",
                                            groupname=GROUP, loop="main") > 10)
    text = daemon.get("/metrics")[2]
    said = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                          capture_output=True, timeout=30)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def buckets_width(edges, value):
    """The width of the classic bucket that holds the value."""
    low = max((e for e in edges if e < value), default=0.0)
    return min(e for e in edges if e >= value) - low


@needs_prometheus
def test_prometheus_scrapes_and_computes_the_same_quantiles(daemon, prometheus, shop):
    def scraped(seconds):
        return prometheus.query(f"count_over_time(up[{seconds}s])") >= seconds - 1

    # Two windows in which the loop is equally often stuck have the same quantiles.
    wait_for(lambda: scraped(25), 60, "Prometheus has scraped for 25 s", every=0.5)
    (health,) = prometheus.api("targets")["activeTargets"]
    assert (health["health"], health["lastError"]) == ("up", "")
    assert prometheus.query("min_over_time(up[1m])") == 1
    for name in ("sample_duplicate_timestamp", "sample_out_of_bounds", "sample_out_of_order",
                 "exceeded_sample_limit"):
        assert prometheus.own_metric(f"prometheus_target_scrapes_{name}_total") == 0
    assert "scrape" not in prometheus.program.stderr.lower(), prometheus.program.stderr
    (kind,) = prometheus.api("metadata", metric="looplag_delay_seconds").values()
    assert kind[0]["type"] == "histogram"

    metrics = daemon.metrics()
    edges = [le for le, _ in metrics.buckets("looplag_delay_seconds", groupname=GROUP)]
    for q in (0.5, 0.9, 0.99, 0.999):
        computed = prometheus.query(
            f"histogram_quantile({q}, sum by (groupname, le) ("
            f'rate(looplag_delay_seconds_bucket{{groupname="{GROUP}"}}[20s])))')
        shown = delay_quantile(metrics, GROUP, "main", q)
        assert abs(computed - shown) <= buckets_width(edges, shown), (q, computed, shown)


@needs_prometheus
def test_the_share_of_late_requests_is_a_division(daemon, prometheus, shop):
    """1 - rate(bucket)/rate(_count) is the part of the time in which a request would wait
    longer: of 0.5 s, the first 50 ms of a stall of 100 ms."""
    edges = [le for le, _ in
             wait_for(lambda: daemon.metrics().buckets("looplag_delay_seconds",
                                                       groupname=GROUP))]
    edge = next(le for le in edges if le >= 0.05)
    expected = (0.1 - edge) / 0.5
    expression = (
        f'1 - sum(rate(looplag_delay_seconds_bucket{{groupname="{GROUP}",le="{edge}"}}[10s]))'
        f' / sum(rate(looplag_delay_seconds_count{{groupname="{GROUP}"}}[10s]))')
    wait_for(lambda: abs(prometheus.query(expression) - expected) < expected / 10, 40,
             f"a share of {expected}", every=0.5)
