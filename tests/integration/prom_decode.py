# SPDX-License-Identifier: Apache-2.0
"""Decodes delimited protobuf (io.prometheus.client.MetricFamily) by the definition of the wire
format and the field numbers of client_model's metrics.proto, independently of the code under
test."""
import math
import struct

# number: (name, kind, repeated); a dict as kind is a message.
TIMESTAMP = {1: ("seconds", "int", False), 2: ("nanos", "int", False)}
LABEL = {1: ("name", "string", False), 2: ("value", "string", False)}
EXEMPLAR = {1: ("label", LABEL, True), 2: ("value", "double", False),
            3: ("timestamp", TIMESTAMP, False)}
SPAN = {1: ("offset", "sint", False), 2: ("length", "int", False)}
BUCKET = {1: ("cumulative_count", "int", False), 2: ("upper_bound", "double", False),
          3: ("exemplar", EXEMPLAR, False), 4: ("cumulative_count_float", "double", False)}
HISTOGRAM = {
    1: ("sample_count", "int", False), 2: ("sample_sum", "double", False),
    3: ("bucket", BUCKET, True), 4: ("sample_count_float", "double", False),
    5: ("schema", "sint", False), 6: ("zero_threshold", "double", False),
    7: ("zero_count", "int", False), 8: ("zero_count_float", "double", False),
    9: ("negative_span", SPAN, True), 10: ("negative_delta", "sint", True),
    11: ("negative_count", "double", True), 12: ("positive_span", SPAN, True),
    13: ("positive_delta", "sint", True), 14: ("positive_count", "double", True),
    15: ("created_timestamp", TIMESTAMP, False), 16: ("exemplars", EXEMPLAR, True)}
QUANTILE = {1: ("quantile", "double", False), 2: ("value", "double", False)}
SUMMARY = {1: ("sample_count", "int", False), 2: ("sample_sum", "double", False),
           3: ("quantile", QUANTILE, True), 4: ("created_timestamp", TIMESTAMP, False)}
COUNTER = {1: ("value", "double", False), 2: ("exemplar", EXEMPLAR, False),
           3: ("created_timestamp", TIMESTAMP, False)}
GAUGE = {1: ("value", "double", False)}
METRIC = {1: ("label", LABEL, True), 2: ("gauge", GAUGE, False), 3: ("counter", COUNTER, False),
          4: ("summary", SUMMARY, False), 5: ("untyped", GAUGE, False),
          6: ("timestamp_ms", "int", False), 7: ("histogram", HISTOGRAM, False)}
FAMILY = {1: ("name", "string", False), 2: ("help", "string", False), 3: ("type", "int", False),
          4: ("metric", METRIC, True), 5: ("unit", "string", False)}
TYPES = ("counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram")
WIRE = {"int": 0, "sint": 0, "double": 1}  # others: 2


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if not byte & 0x80:
            assert byte or shift == 0, "a number longer than it need be"
            return value, at
        shift += 7
        assert shift < 64


def one(data, at, kind):
    if kind == "double":
        return struct.unpack_from("<d", data, at)[0], at + 8
    value, at = varint(data, at)
    if kind == "sint":
        return (value >> 1) ^ -(value & 1), at
    if kind == "int":
        return value, at
    assert at + value <= len(data), "a field longer than its message"
    part = data[at:at + value]
    return (part.decode() if kind == "string" else message(part, kind)), at + value


def message(data, fields):
    result = {name: [] for name, _, repeated in fields.values() if repeated}
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        name, kind, repeated = fields[tag >> 3]  # KeyError: an unknown field
        wire = WIRE.get(kind, 2) if isinstance(kind, str) else 2
        assert tag & 7 == wire, f"{name} has wire type {tag & 7}"
        value, at = one(data, at, kind)
        if repeated:
            result[name].append(value)
        else:
            assert name not in result, f"{name} twice"
            result[name] = value
    assert at == len(data)
    return result


def families(data):
    at, found = 0, []
    while at < len(data):
        family, at = one(data, at, FAMILY)
        family["type"] = TYPES[family["type"]]
        found.append(family)
    return found


def native_buckets(spans, deltas):
    """[(index, count)] from spans and deltas, without empty buckets."""
    index = count = 0
    deltas, found = iter(deltas), []
    for number, span in enumerate(spans):
        assert number == 0 or span["offset"] >= 0
        index += span["offset"]
        for _ in range(span["length"]):
            count += next(deltas)
            assert count >= 0
            if count:
                found.append((index, count))
            index += 1
    assert next(deltas, None) is None, "more deltas than the spans have buckets"
    return found


def labels_of(metric, **more):
    labels = {label["name"]: label["value"] for label in metric["label"]}
    assert len(labels) == len(metric["label"]), "a label twice"
    return labels | more


def has_negative(histogram):
    return bool(histogram["negative_delta"]) or histogram["sample_sum"] < 0 or \
        any(b["upper_bound"] < 0 for b in histogram["bucket"])


def samples(family, total, negatives=True):
    """[(name, labels, value)], as in a text exposition of the family. total: counters end with
    _total. negatives: the family has sums, counts of histograms, or quantiles of values below 0."""
    name = family["name"]
    for metric in family["metric"]:
        if "counter" in metric:
            full = name if name.endswith("_total") or not total else name + "_total"
            yield full, labels_of(metric), metric["counter"]["value"]
        elif "gauge" in metric:
            yield name, labels_of(metric), metric["gauge"]["value"]
        elif "summary" in metric:
            summary = metric["summary"]
            for quantile in summary["quantile"]:
                if negatives or not quantile["value"] < 0:
                    yield name, labels_of(metric, quantile=quantile["quantile"]), quantile["value"]
            if negatives or summary["sample_sum"] >= 0:
                yield name + "_sum", labels_of(metric), summary["sample_sum"]
            yield name + "_count", labels_of(metric), summary["sample_count"]
        else:
            histogram = metric["histogram"]
            bounds = {b["upper_bound"]: b["cumulative_count"] for b in histogram["bucket"]}
            bounds.setdefault(math.inf, histogram["sample_count"])
            for bound, count in bounds.items():
                yield name + "_bucket", labels_of(metric, le=bound), count
            if negatives or not has_negative(histogram):
                yield name + "_sum", labels_of(metric), histogram["sample_sum"]
                yield name + "_count", labels_of(metric), histogram["sample_count"]
