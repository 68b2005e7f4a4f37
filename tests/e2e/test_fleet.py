# SPDX-License-Identifier: MIT
"""Many hosts and one Prometheus: ten network namespaces, each with a looplagd of its own and two
services, and the rules of config/prometheus. What the rules say of the fleet is compared with
what the services themselves have written down."""

import json
import re
import shutil
import time

import pytest

import network as networks
from harness import HOSTS, LOOPLAGD, PYTHON, SOURCE, Metrics, target_environment, wait_for
from prometheus import Prometheus

RULES = SOURCE / "config" / "prometheus"
HOST_COUNT = 10
CUT = HOST_COUNT - 1
GROUPS = ("node-shop", "python-shop")
SECONDS = 24  # of stalls in each service
STALL_SECONDS = 0.1  # the threshold
BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

pytestmark = [
    pytest.mark.quiet,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus here"),
    pytest.mark.skipif(bool(networks.why_not()), reason=str(networks.why_not())),
]


@pytest.fixture
def network():
    with networks.Network(HOST_COUNT) as made:
        yield made


class Service:
    """A service that writes its stalls down. On the last two hosts one of them each is stuck
    for long, so that a mean of the hosts' quantiles is far from the fleet's."""

    def __init__(self, host, number, group, directory, program):
        self.host, self.group = host, group
        slow = number == (CUT if group == "node-shop" else CUT - 1)
        length, gap = (800, 1200) if slow else (40 + 2 * number, 400)
        self.log = directory / f"{group}.log"
        script, case = (([PYTHON, HOSTS / "stalls.py"], "sleep") if group == "python-shop" else
                        (["node", HOSTS / "stalls.js"], "atomics"))
        count = int(SECONDS * 1000 / (length + gap + 5))
        self.program = program(
            [*host.wrapper, *script, self.log, case, gap, f"{length}x{count}"],
            env=target_environment(directory / "probe.sock", group), preferred=True)

    def stalls(self):
        """[(begin, end)] by CLOCK_MONOTONIC, in seconds."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [(line["start"] / 1e9, line["end"] / 1e9) for line in lines]


class HubPrometheus(Prometheus):
    """Lives where the bridge is, and is asked there."""

    def __init__(self, network, directory):
        self._hub = network.hub
        targets = directory / "looplag-targets.json"
        targets.write_text(json.dumps(
            [{"targets": [f"{host.address}:9923" for host in network.hosts], "labels": {}}]))
        super().__init__(wrapper=network.hub.wrapper, config=f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ['{RULES}/looplag-rules.yml', '{RULES}/looplag-alerts.yml']
scrape_configs:
- {{job_name: looplag, file_sd_configs: [{{files: ['{targets}']}}]}}
""")

    def _open(self, path):
        return self._hub.get(self.url + path)


@pytest.fixture
def services(network, program, scratch):
    """All of them, each known to the looplagd of its host."""
    for number, host in enumerate(network.hosts):
        directory = scratch / str(number)
        directory.mkdir()
        program([*host.wrapper, LOOPLAGD, "--web.listen-address=0.0.0.0:9923",
                 f"--probe.socket={directory / 'probe.sock'}"], name="looplagd")
    for host in network.hosts:
        wait_for(lambda host=host: host.get("http://127.0.0.1:9923/-/ready"), 20,
                 "looplagd is ready")
    started = [Service(host, number, group, scratch / str(number), program)
               for number, host in enumerate(network.hosts) for group in GROUPS]
    for service in started:
        wait_for(lambda service=service: scrape(service.host).value(
            "looplag_group_loops", groupname=service.group) == 1, 30,
            f"{service.group} is known")
    return started


@pytest.fixture
def prometheus(services, network, scratch):
    started = HubPrometheus(network, scratch)
    yield started
    started.stop()


def scrape(host):
    return Metrics(host.get("http://127.0.0.1:9923/metrics"))


def excess(stalls, bound, now):
    """The integral of what an event would have waited beyond the bound, until now."""
    return sum(max(0.0, min(end, now) - begin - bound) for begin, end in stalls)


def scraped_spans(prometheus):
    """{(address, group): when it was scraped first and last, by CLOCK_MONOTONIC, and what
    loop life it had then}."""
    shift = time.time() - time.monotonic()
    spans = {}
    for row in prometheus.api("query", query='looplag_delay_seconds_count'
                              '{groupname!="looplagd"}[5m]')["result"]:
        (first, life), (last, later) = row["values"][0], row["values"][-1]
        key = row["metric"]["instance"].split(":")[0], row["metric"]["groupname"]
        spans[key] = first - shift, last - shift, float(later) - float(life)
    return spans


def true_shares(services, spans):
    """{bound: share of the loops' life in which an event would have waited longer}, from what
    the services wrote down."""
    late, whole = dict.fromkeys(BOUNDS, 0.0), 0.0
    for service in services:
        first, last, _ = spans[service.host.address, service.group]
        stalls = service.stalls()
        whole += last - first
        for bound in BOUNDS:
            late[bound] += excess(stalls, bound, last) - excess(stalls, bound, first)
    return {bound: seconds / whole for bound, seconds in late.items()}


def recorded_shares(prometheus, metric, selector=""):
    rows = prometheus.api("query", query=metric + selector)["result"]
    rates = {float(row["metric"]["le"]): float(row["value"][1]) for row in rows}
    return {bound: 1 - rates[bound] / rates[float("inf")] for bound in BOUNDS}


def bucket_of(shares, part):
    """The bucket in which the share of what waits longer becomes smaller than the part."""
    above = next(bound for bound in BOUNDS if shares[bound] < part)
    return max((bound for bound in BOUNDS if bound < above), default=0.0), above


def check_quantiles(prometheus, services, spans):
    for level, group in (("job", None), *(("groupname", group) for group in GROUPS)):
        selector = f'{{groupname="{group}"}}' if group else ""
        truth = true_shares([s for s in services if group in (None, s.group)], spans)
        recorded = recorded_shares(
            prometheus, f"{level}_le:looplag_delay_seconds_bucket:rate5m", selector)
        for bound in BOUNDS:
            assert abs(recorded[bound] - truth[bound]) < 0.002 + 0.15 * truth[bound], (
                level, group, bound, recorded, truth)
        p99 = prometheus.query(f"{level}:looplag_delay_seconds:p99_5m{selector}")
        low, high = bucket_of(truth, 0.01)
        assert low < p99 <= high, (level, group, p99, truth)
        mean = prometheus.query("avg(instance_groupname:looplag_delay_seconds:p99_5m"
                                '{groupname!="looplagd"})')
        assert mean < low, "hosts are so different that a mean of quantiles is wrong"


def cut_off_and_back(prometheus, network):
    """Pull a host's cable for some scrapes, and put it in again."""
    address = f"{network.hosts[CUT].address}:9923"
    up = f'up{{instance="{address}"}}'
    down = f'ALERTS{{alertname="LooplagDown",instance="{address}"}}'
    wait_for(lambda: prometheus.query(f"count_over_time({up}[1m])") >= 6
             and prometheus.query("count(up == 1)") == HOST_COUNT, 20, "all are scraped",
             every=0.2)
    network.hosts[CUT].cut()
    wait_for(lambda: prometheus.query(f"sum_over_time((1 - {up})[10s:1s])") >= 4
             and prometheus.query(down) == 1, 30, "the host is missed", every=0.2)
    assert prometheus.query("count(up == 1)") == HOST_COUNT - 1
    assert prometheus.query("count(job:looplag_delay_seconds:p99_5m)") == 1
    network.hosts[CUT].join()
    wait_for(lambda: prometheus.query(up) == 1, 30, "the host is back", every=0.2)
    wait_for(lambda: not prometheus.api("query", query=down)["result"], 30,
             "nobody misses it", every=0.2)


def check_nothing_is_double(prometheus, services, spans):
    counters = [name for name in prometheus.api("label/__name__/values")
                if re.fullmatch(r"looplag_\w+_(total|count|sum|bucket)", name)]
    assert len(counters) > 10
    for name in counters:
        assert prometheus.query(f"sum(resets({name}[5m]))") == 0, name
    # Prometheus has the time at which it asked, and takes an answer for a second.
    for (address, group), (first, last, life) in spans.items():
        assert abs(life - (last - first)) < 1, (address, group, life, last - first)
    cut = f'instance="{services[-1].host.address}:9923",groupname="node-shop"'
    for expression, most in (
            (f"rate(looplag_delay_seconds_count{{{cut}}}[9s])", 1),
            ('groupname_le:looplag_delay_seconds_bucket:rate5m{groupname="node-shop",le="+Inf"}',
             HOST_COUNT)):
        highest = prometheus.query(f"max(max_over_time(({expression})[2m:1s]))")
        assert highest < 1.25 * most, (expression, highest)
    assert not prometheus.api("query", query="count by (instance, groupname, loop, le) "
                              "(looplag_delay_seconds_bucket) > 1")["result"]


def test_the_fleets_delay_is_that_of_all_services_also_when_a_host_was_cut_off(
        prometheus, services, network):
    cut_off_and_back(prometheus, network)
    for service in services:
        service.program.line("done", 60)
    # Until Prometheus has all that the hosts have counted; a busy machine adds to it what no
    # service knows of.
    for service in services:
        ended = sum(end - begin > STALL_SECONDS for begin, end in service.stalls())
        counted = (f'sum(looplag_stalls_total{{instance="{service.host.address}:9923",'
                   f'groupname="{service.group}"}})')
        wait_for(lambda: ended <= prometheus.query(counted) == scrape(service.host).sum(
            "looplag_stalls_total", groupname=service.group), 10,
            f"{counted} is what its looplagd says, and at least {ended}", every=0.2)
    seen = time.time()
    wait_for(lambda: prometheus.query("timestamp(job:looplag_delay_seconds:p99_5m)") > seen + 1,
             10, "the rules are computed", every=0.2)
    spans = scraped_spans(prometheus)
    assert len(spans) == len(services)
    check_quantiles(prometheus, services, spans)
    check_nothing_is_double(prometheus, services, spans)
