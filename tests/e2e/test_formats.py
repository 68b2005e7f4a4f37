# SPDX-License-Identifier: MIT
"""Metrics in three formats: what they look like, and that other people's parsers read the
same out of each of them, whatever they are."""

import json
import math
import subprocess

import pytest

import formats
import scrapes
from harness import HOSTS, PYTHON, SOURCE, host_program, wait_for

GOLDEN = SOURCE / "tests" / "golden"

openmetrics_parser = pytest.importorskip("prometheus_client.openmetrics.parser")
text_parser = pytest.importorskip("prometheus_client.parser")


def write(directory, seed):
    subprocess.run([host_program("formats"), directory, str(seed)], check=True, timeout=30)
    return {name: (directory / name).read_bytes()
            for name in ("text", "openmetrics", "protobuf", "model")}


@pytest.mark.parametrize("name", ["text", "openmetrics", "protobuf"])
def test_a_page_looks_as_it_always_did(tmp_path, name):
    written = write(tmp_path, 0)[name]
    shown = ("\n".join(formats.decode(written)) if name == "protobuf" else written.decode())
    assert shown == (GOLDEN / f"metrics.{name}").read_text()


# --- what a model says, in the words of each format ---


def number(text):
    return float.fromhex(text)


def float_text(bound):
    """As `le` and `quantile` are written."""
    return {math.inf: "+Inf"}.get(bound, repr(bound))


def lines(family, with_exemplars=False):
    """{(name, labels): value} of all samples of a family, and {...: exemplar}."""
    found, exemplars = {}, {}

    def add(suffix, sample, value, **more):
        key = (family["name"] + suffix, frozenset({**sample["labels"], **more}.items()))
        assert key not in found
        found[key] = number(value)
        return key

    for sample in family["samples"]:
        if family["type"] not in ("histogram", "time histogram", "summary"):
            add("", sample, sample["value"])
            continue
        low = -math.inf
        for bound, value in sample["points"]:
            bound = number(bound)
            if family["type"] == "summary":
                add("", sample, value, quantile=float_text(bound))
                continue
            key = add("_bucket", sample, value, le=float_text(bound))
            inside = [e for e in sample["exemplars"] if low < number(e["value"]) <= bound]
            if inside:
                exemplars[key] = inside[0]
            low = bound
        add("_sum", sample, sample["sum"])
        add("_count", sample, sample["count"])
    return found, exemplars


def same(a, b):
    return a == b or (math.isnan(a) and math.isnan(b))


def apart(family):
    """A time histogram as it stands in OpenMetrics: the families of its buckets, its sum and
    its count, which have no type, as they have fractions."""
    def plain(suffix, samples):
        return {**family, "name": family["name"] + suffix, "type": "unknown",
                "samples": samples}

    samples = family["samples"]
    return [plain("_bucket", [{"labels": {**sample["labels"], "le": float_text(number(bound))},
                               "value": value}
                              for sample in samples for bound, value in sample["points"]]),
            *(plain("_" + name, [{**sample, "value": sample[name]} for sample in samples])
              for name in ("sum", "count"))]


def in_openmetrics(model):
    """The model with whole numbers where OpenMetrics wants them."""
    changed = []
    for family in model:
        if family["type"] == "time histogram":
            changed += apart(family)
            continue
        samples = family["samples"]
        if family["type"] == "summary":
            samples = [{**sample, "count": (number(sample["count"]) // 1).hex()}
                       for sample in samples]
        changed.append({**family, "samples": samples})
    return changed


def check_lines(model, parsed):
    expected = {}
    for family in model:
        expected.update(lines(family)[0])
    found = {}
    for family in parsed:
        for sample in family.samples:
            labels = dict(sample.labels)
            for name in ("le", "quantile"):
                if name in labels and not labels[name].startswith("+"):
                    labels[name] = repr(float(labels[name]))
            found[sample.name, frozenset(labels.items())] = sample.value
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert same(found[key], value), key


def check_exemplars(model, parsed):
    expected = {}
    for family in model:
        expected.update(lines(family)[1])
    found = {(sample.name, frozenset(sample.labels.items())): sample.exemplar
             for family in parsed for sample in family.samples if sample.exemplar}
    assert found.keys() == expected.keys()
    for key, exemplar in expected.items():
        assert found[key].labels == exemplar["labels"]
        assert found[key].value == number(exemplar["value"])
        assert abs(float(found[key].timestamp) - number(exemplar["time"])) <= 0.001
        assert sum(map(len, [*exemplar["labels"], *exemplar["labels"].values()])) <= 128


def check_heads(model, parsed):
    suffixes = {"counter": "_total", "info": "_info"}
    parsed = {family.name: family for family in parsed}
    assert len(parsed) == len(model)
    for family in model:
        name = family["name"].removesuffix(suffixes.get(family["type"], ""))
        assert parsed[name].type == family["type"]
        assert parsed[name].documentation == family["help"]
        unit = name.split("_")[-1]
        assert parsed[name].unit == (unit if unit in ("seconds", "bytes") else "")


def check_exemplar(message, exemplar):
    assert formats.labels(message) == exemplar["labels"]
    assert formats.value(message, "value") == number(exemplar["value"])
    assert formats.time_of(message["timestamp"][0]) == \
        pytest.approx(number(exemplar["time"]), abs=1e-6)


def check_histogram(sample, histogram):
    native = sample["native"]
    whole = native["whole"]
    assert formats.value(histogram, "sample_count" if whole else "sample_count_float") == \
        number(sample["count"])
    assert not (whole and ("positive_count" in histogram or "zero_count_float" in histogram))
    assert len(histogram["bucket"]) == len(sample["points"])
    low = -math.inf
    for bucket, (bound, count) in zip(histogram["bucket"], sample["points"]):
        bound = number(bound)
        assert formats.value(bucket, "upper_bound") == bound
        assert formats.value(
            bucket, "cumulative_count" if whole else "cumulative_count_float") == number(count)
        inside = [e for e in sample["exemplars"] if low < number(e["value"]) <= bound]
        assert ("exemplar" in bucket) == bool(inside)
        if inside:
            check_exemplar(bucket["exemplar"][0], inside[0])
        low = bound
    for message, exemplar in zip(histogram.get("exemplars", []),
                                 sample["exemplars"][::-1], strict=True):
        check_exemplar(message, exemplar)
    assert formats.value(histogram, "schema") == native["schema"]
    assert formats.value(histogram, "zero_threshold") == number(native["threshold"])
    assert formats.value(histogram, "zero_count" if whole else "zero_count_float") == \
        number(native["zero"])
    assert formats.native_buckets(histogram) == {
        int(index): number(count) for index, count in native["buckets"].items()}


def check_protobuf(model, parsed):
    fields = {"info": "gauge", "time histogram": "histogram"}
    with_samples = [family for family in model if family["samples"]]
    assert list(parsed) == [family["name"] for family in with_samples]
    for family in with_samples:
        field = fields.get(family["type"], family["type"])
        message = parsed[family["name"]]
        assert message.get("type", ["COUNTER"])[0] == field.upper()
        assert message["help"][0] == family["help"]
        for sample, metric in zip(family["samples"], message["metric"], strict=True):
            assert formats.labels(metric) == sample["labels"]
            (content,) = metric[field]
            started = number(sample["started"])
            if field != "gauge":
                assert ("start_timestamp" in content) == bool(started)
            if "start_timestamp" in content:
                assert formats.time_of(content["start_timestamp"][0]) == started
            if field in ("counter", "gauge"):
                assert same(formats.value(content, "value"), number(sample["value"]))
                continue
            assert formats.value(content, "sample_sum") == number(sample["sum"])
            if field == "histogram":
                check_histogram(sample, content)
                continue
            assert formats.value(content, "sample_count") == number(sample["count"]) // 1
            assert [(formats.value(q, "quantile"), str(formats.value(q, "value")))
                    for q in content.get("quantile", [])] == \
                [(number(q), str(number(v))) for q, v in sample["points"]]


@pytest.mark.parametrize("seed", range(1, 41))
def test_others_read_what_was_written(tmp_path, seed):
    written = write(tmp_path, seed)
    model = json.loads(written["model"])
    check_lines(model, text_parser.text_string_to_metric_families(written["text"].decode()))
    check_protobuf(model, formats.families(written["protobuf"]))
    parsed = list(openmetrics_parser.text_string_to_metric_families(
        written["openmetrics"].decode()))
    model = in_openmetrics(model)
    check_heads(model, parsed)
    check_lines(model, parsed)
    check_exemplars(model, parsed)


def test_a_strict_parser_takes_the_page_of_a_service_that_blocks(daemon, target, program):
    """With exemplars, and counts of the delay that have fractions, as in the text."""
    server = target([PYTHON, HOSTS / "asyncio_server.py"], group="shop",
                    env={"STALLS": "150/300"})
    program([host_program("openloop"), "--rate", 200, "--seconds", 60, server.listening()])
    wait_for(lambda: daemon.metrics().sum("looplag_stalls_total", groupname="shop") > 2, 20)
    page = scrapes.get(daemon, formats.OPENMETRICS, "identity")[1].decode()
    families = {family.name: family
                for family in openmetrics_parser.text_string_to_metric_families(page)}
    delay = {sample.labels["le"]: sample.value
             for sample in families["looplag_delay_seconds_bucket"].samples
             if sample.labels["groupname"] == "shop"}
    assert 0 < delay["0.01"] < delay["+Inf"]
    assert any(sample.exemplar for sample in families["looplag_iteration_seconds"].samples)
