# SPDX-License-Identifier: MIT
"""What a host costs the Prometheus that scrapes it: the figures in docs/fleet.md. With -s they
are printed; LOOPLAG_FLEET_SECONDS is for how long the Prometheus scrapes once a second."""

import gzip
import json
import os
import shutil
import urllib.request

import pytest

from harness import Metrics, host_program, wait_for
from prometheus import Prometheus

SECONDS = float(os.environ.get("LOOPLAG_FLEET_SECONDS", 8))
ALIKE = 40  # how many hosts that Prometheus takes the one looplagd for
AGENT = "looplag_(delay_window|iteration|wakeup_latency)_seconds"  # what its sample may drop


def services(start, daemon, directory, first, last):
    """Services that do something ten times a second, each a group."""
    for number in range(first, last):
        start([host_program("stalls"), directory / "log", "nothing", 100, 0, 1],
              group=f"service-{number}.service")
    # Its alerts are looked at once a second.
    wait_for(lambda: len(daemon.metrics().series("looplag_alert_firing", alert="stalled"))
             == last + 1, 60, f"{last} groups and looplagd's own", every=0.3)


def scrape(daemon):
    """(metrics, bytes of text, bytes of it compressed)."""
    request = urllib.request.Request(f"{daemon.url}/metrics",
                                     headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        packed = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
    text = gzip.decompress(packed)
    return Metrics(text.decode()), len(text), len(packed)


def test_each_group_has_the_same_number_of_series(daemon, target, tmp_path):
    """So many of a host, and so many of each group with one loop; nothing else grows."""
    counts, have = {}, 0
    for groups in (1, 10, 50, 199):
        services(target, daemon, tmp_path, have, groups)
        have = groups
        metrics, plain, packed = scrape(daemon)
        counts[groups] = len(metrics.samples)
        dropped = sum(name.startswith(tuple(f"looplag_{part}_seconds" for part in (
            "delay_window", "iteration", "wakeup_latency"))) for name, _ in metrics.samples)
        print(f"\n{groups} groups: {counts[groups]} series, {dropped} of them of {AGENT}; "
              f"{plain} bytes, {packed} compressed", end="")
    of_a_group = counts[10] - counts[1]
    assert of_a_group % 9 == 0
    of_a_group //= 9
    of_a_host = counts[1] - of_a_group
    print(f"\n{of_a_host} series of a host, and {of_a_group} of each group")
    for groups, series in counts.items():
        assert abs(series - (of_a_host + of_a_group * groups)) <= 2, (groups, counts)


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here")
def test_what_a_sample_costs_prometheus(daemon, target, tmp_path):
    services(target, daemon, tmp_path, 0, 10)
    copies = ", ".join(f"{{targets: ['{daemon.address}'], labels: {{instance: 'host-{number}'}}}}"
                       for number in range(ALIKE))
    prometheus = Prometheus(config=f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- {{job_name: looplag, static_configs: [{copies}]}}
""", options=[f"--storage.tsdb.path={tmp_path / 'data'}", "--web.enable-admin-api"])
    try:
        empty = prometheus.own_metric("process_resident_memory_bytes")
        wait_for(lambda: prometheus.query("count(count_over_time(up[1h]) >= "
                                          f"{max(SECONDS - 2, 1)})") == ALIKE,
                 SECONDS * 2 + 30, "all are scraped", every=0.5)
        series = prometheus.own_metric("prometheus_tsdb_head_series")
        resident = prometheus.own_metric("process_resident_memory_bytes")
        request = urllib.request.Request(f"{prometheus.url}/api/v1/admin/tsdb/snapshot",
                                         method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            name = json.load(answer)["data"]["name"]
        (block,) = [path.parent for path in
                    (tmp_path / "data" / "snapshots" / name).glob("*/meta.json")]
        samples = json.loads((block / "meta.json").read_text())["stats"]["numSamples"]
        chunks = sum(path.stat().st_size for path in (block / "chunks").iterdir())
    finally:
        prometheus.stop()
    print(f"\n{series:.0f} series, {samples} samples in {SECONDS:.0f} s: "
          f"{chunks / samples:.2f} bytes a sample on disk; "
          f"memory {(resident - empty) / series:.0f} bytes a series")
    assert 0.9 * ALIKE * len(daemon.metrics().samples) < series
    assert chunks / samples < 16, "no more than the sample itself"
