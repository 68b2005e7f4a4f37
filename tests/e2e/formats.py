# SPDX-License-Identifier: MIT
"""Reads what looplagd writes in Prometheus' protobuf format: protoc decodes it by our own
daemon/metrics.proto, and what protoc prints is read here."""

import re
import subprocess

from harness import SOURCE

PROTOBUF = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            "encoding=delimited")
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
TOKEN = re.compile(r'\s*(?:(})|(\w+)(?:: ("(?:[^"\\]|\\.)*"|[^\s]+)| ({)))')


def decode(data):
    """The text that protoc makes of each family: (name, text)."""
    families = []
    while data:
        length = shift = used = 0
        while True:
            length |= (data[used] & 127) << shift
            shift += 7
            used += 1
            if data[used - 1] < 128:
                break
        assert used + length <= len(data), "the last family is cut off"
        families.append(subprocess.run(
            ["protoc", "--decode=prometheus.MetricFamily", f"-I{SOURCE / 'daemon'}",
             SOURCE / "daemon" / "metrics.proto"],
            input=data[used:used + length], capture_output=True, check=True).stdout.decode())
        data = data[used + length:]
    return families


def parse(text):
    """A message as protoc prints it: each field as a list of strings and messages."""
    root = {}
    stack = [root]
    for closing, name, value, opening in TOKEN.findall(text):
        if closing:
            stack.pop()
        elif opening:
            message = {}
            stack[-1].setdefault(name, []).append(message)
            stack.append(message)
        elif value.startswith('"'):
            plain = value[1:-1].encode().decode("unicode_escape").encode("latin-1")
            stack[-1].setdefault(name, []).append(plain.decode())
        else:
            stack[-1].setdefault(name, []).append(value)
    assert stack == [root]
    return root


def families(data):
    """All families of a page, by name."""
    parsed = [parse(text) for text in decode(data)]
    by_name = {family["name"][0]: family for family in parsed}
    assert len(by_name) == len(parsed)
    return by_name


def value(message, name, default=0.0):
    """A number; proto3 leaves out what is 0."""
    return float(message.get(name, [default])[0])


def labels(message):
    return {pair.get("name", [""])[0]: pair.get("value", [""])[0]
            for pair in message.get("label", [])}


def time_of(message):
    return value(message, "seconds") + value(message, "nanos") / 1e9


def native_buckets(histogram):
    """{index: count} of a native histogram."""
    if "positive_count" in histogram:
        counts = [float(count) for count in histogram["positive_count"]]
    else:
        counts, count = [], 0
        for delta in histogram.get("positive_delta", []):
            count += int(delta)
            counts.append(count)
    indexes, index = [], 0
    for span in histogram.get("positive_span", []):
        index += int(value(span, "offset"))
        for _ in range(int(value(span, "length"))):
            indexes.append(index)
            index += 1
    assert len(indexes) == len(counts)
    return dict(zip(indexes, counts))
