# SPDX-License-Identifier: Apache-2.0
"""Decodes remote-write requests by the specification, independently of the code that wrote them.

Snappy: https://github.com/google/snappy/blob/main/format_description.txt

Messages: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ and …/remote_write_spec/
"""
import struct

STALE = 0x7ff0000000000002


def unsnappy(data):
    size, at = varint(data, 0)
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            n = tag >> 2
            if n >= 60:
                extra = n - 59
                n = int.from_bytes(data[at:at + extra], "little")
                at += extra
            out += data[at:at + n + 1]
            assert len(data) >= at + n + 1, "a literal past the end"
            at += n + 1
            continue
        if tag & 3 == 1:
            n, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            n, offset = (tag >> 2) + 1, int.from_bytes(data[at:at + width], "little")
            at += width
        assert 0 < offset <= len(out), "a copy from before the beginning"
        for _ in range(n):
            out.append(out[-offset])
    assert len(out) == size, f"{len(out)} bytes, not {size}"
    return bytes(out)


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """Pairs of a field's number and its value: a number or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 1:
            value, at = data[at:at + 8], at + 8
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
            assert len(value) == n, "a field past the end"
        yield tag >> 3, value


def packed(data):
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def sint(value):
    return (value >> 1) ^ -(value & 1)


class Series:
    def __init__(self, labels):
        assert [n for n, _ in labels] == sorted({n for n, _ in labels}), f"labels {labels}"
        assert all(v for _, v in labels), f"empty label: {labels}"
        self.labels = dict(labels)
        self.name = self.labels.pop("__name__")
        self.samples, self.stale_at = [], None  # (value, ms)
        self.type = self.help = self.unit = None
        self.created = 0
        self.histogram = None
        self.exemplars = []  # (labels, value, ms)

    def exemplar(self, labels, parts):
        self.exemplars.append((dict(labels), *struct.unpack("<d", parts[2]), parts[3]))

    def sample(self, data):
        parts = dict(fields(data))
        assert set(parts) <= {1, 2, 3}, parts
        bits, = struct.unpack("<Q", parts[1])
        if bits == STALE:
            self.stale_at = parts[2]
        else:
            self.samples.append((struct.unpack("<d", parts[1])[0], parts[2]))
        return parts.get(3, 0)


def read_1(body):
    """prometheus.WriteRequest"""
    for number, data in fields(unsnappy(body)):
        assert number == 1, f"field {number} of a WriteRequest"
        parts = list(fields(data))
        labels = [tuple(v.decode() for _, v in sorted(fields(p))) for n, p in parts if n == 1]
        series = Series(labels)
        for n, part in parts:
            assert n in (1, 2, 3, 4), f"field {n} of a TimeSeries"
            if n == 2:
                series.sample(part)
            if n == 3:
                parts = list(fields(part))
                labels = [tuple(v.decode() for _, v in sorted(fields(p))) for k, p in parts
                          if k == 1]
                series.exemplar(labels, dict(parts))
            if n == 4:
                series.histogram = read_histogram(part)
        yield series


def read_2(body):
    """io.prometheus.write.v2.Request"""
    message = list(fields(unsnappy(body)))
    assert {n for n, _ in message} <= {4, 5}, "fields of a Request"
    symbols = [data.decode() for n, data in message if n == 4]
    assert symbols[0] == "" and len(set(symbols)) == len(symbols)
    used = {0}
    for number, data in message:
        if number != 5:
            continue
        parts = list(fields(data))
        refs = [r for n, p in parts if n == 1 for r in packed(p)]
        used.update(refs)
        series = Series([(symbols[n], symbols[v]) for n, v in zip(refs[::2], refs[1::2])])
        for n, part in parts:
            assert n in (1, 2, 3, 4, 5), f"field {n} of a TimeSeries"  # 6 is reserved
            if n == 2:
                series.created = series.sample(part)
            elif n == 3:
                series.histogram = read_histogram(part)
            elif n == 4:
                parts = dict(fields(part))
                refs = list(packed(parts[1]))
                used.update(refs)
                series.exemplar([(symbols[a], symbols[b]) for a, b in zip(refs[::2], refs[1::2])],
                                parts)
            elif n == 5:
                metadata = dict(fields(part))
                series.type = metadata.get(1, 0)
                used.update((metadata.get(3, 0), metadata.get(4, 0)))
                series.help = symbols[metadata.get(3, 0)]
                series.unit = symbols[metadata.get(4, 0)]
        assert bool(series.samples) != bool(series.histogram)
        yield series
    assert used == set(range(len(symbols))), "symbols that nothing refers to"


def read_histogram(data):
    """A Histogram, the same message in both versions: counts by bucket index."""
    parts = list(fields(data))
    one = dict(parts)
    schema = sint(one.get(4, 0))

    def buckets(spans, deltas):
        counts, index, count = {}, 0, 0
        changes = [sint(v) for n, p in parts if n == deltas for v in packed(p)]
        for span in (dict(fields(p)) for n, p in parts if n == spans):
            index += sint(span.get(1, 0))
            for _ in range(span.get(2, 0)):
                count += changes.pop(0)
                counts[index] = count
                index += 1
        assert not changes
        return counts

    return {"count": one.get(1, 0), "sum": struct.unpack("<d", one.get(3, bytes(8)))[0],
            "schema": schema, "zero": one.get(6, 0), "positive": buckets(11, 12),
            "negative": buckets(8, 9), "timestamp": one.get(15, 0), "created": one.get(17, 0)}
