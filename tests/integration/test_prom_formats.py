# SPDX-License-Identifier: Apache-2.0
"""The formats of the metrics library, checked by the parsers of others: promtool; Debian's
python3-prometheus-client; a protobuf decoder that does not share code with the library
(prom_decode.py); a real Prometheus that ingests native histograms; and, if Go is installed, the
parsers of a current Prometheus (tests/judge/prom, whose modules must be downloaded: `go mod
download` in that directory).

tests/golden/prom has an example of each format; VULCAN_TEST_GOLDEN=write rewrites them.
"""
import json
import math
import os
import random
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

import prom_decode
import vulcan
from test_prometheus import free_port, need

SERVER = os.path.join(vulcan.BUILD, "tests", "prom_server")
GOLDEN = os.path.join(vulcan.ROOT, "tests", "golden", "prom")
TEXT = "text/plain;version=0.0.4"
TEXT_1 = "text/plain;version=1.0.0;escaping=allow-utf-8"
OPEN = "application/openmetrics-text;version=1.0.0"
OPEN_UTF8 = OPEN + ";escaping=allow-utf-8"
PROTO = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROTO_UTF8 = PROTO + ";escaping=allow-utf-8"
SEEDS = range(1, 21)
SEEN = [0, 0.3, 0.3, 0.7, 1, 8, 9, 9.1, 1e6, 2e6]  # observed by the histograms of prom_server

parser = pytest.importorskip("prometheus_client.parser",
                             reason="no prometheus_client: apt-get install "
                                    "python3-prometheus-client")
strict = pytest.importorskip("prometheus_client.openmetrics.parser")


def body(accept, seed=0, created=False):
    env = dict(os.environ, CREATED="1") if created else None
    done = subprocess.run(vulcan.wrap([SERVER, "body", str(seed), accept]), capture_output=True,
                          check=False, timeout=vulcan.LIMIT_S, env=env)
    assert done.returncode == 0, done
    assert accept.split(";", maxsplit=1)[0] in done.stderr.decode()
    return done.stdout


def key(name, labels):
    """Bounds are compared as numbers, because the formats write them in different ways."""
    return name, tuple(sorted((k, float(v) if k in ("le", "quantile") else v)
                              for k, v in labels.items()))


def by_key(samples):
    found = {}
    for name, labels, value in samples:
        assert key(name, labels) not in found, f"{key(name, labels)} twice"
        found[key(name, labels)] = value
    return found


def read(families):
    families = list(families)
    return families, by_key((s.name, s.labels, s.value) for f in families for s in f.samples)


def read_text(text):
    return read(parser.text_string_to_metric_families(text.decode()))


def read_open(text):
    return read(strict.text_string_to_metric_families(text.decode()))


def same(one, other):
    assert one.keys() == other.keys(), one.keys() ^ other.keys()
    for k, value in one.items():
        assert value == other[k] or (math.isnan(value) and math.isnan(other[k])), \
            (k, value, other[k])


# ---- golden files ----------------------------------------------------------------------------

def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items()
                if k not in ("created_timestamp", "timestamp")}
    if isinstance(value, list):
        return [without_times(v) for v in value]
    return value


def check_golden(name, text):
    path = os.path.join(GOLDEN, name)
    if os.environ.get("VULCAN_TEST_GOLDEN") == "write":
        os.makedirs(GOLDEN, exist_ok=True)
        with open(path, "wb") as f:
            f.write(text)
    with open(path, "rb") as f:
        assert f.read() == text


TIME = re.compile(rb"(_created[^\n]* |# {[^\n]*} \S+ )\d{10}\.\d{3}$", re.M)


@pytest.mark.parametrize("name, accept", [
    ("text-0.0.4.txt", TEXT), ("text-1.0.0.txt", TEXT_1), ("openmetrics.txt", OPEN),
    ("openmetrics-utf8.txt", OPEN_UTF8), ("text-dots.txt", TEXT + ";escaping=dots"),
    ("text-values.txt", TEXT + ";escaping=values")])
def test_text_matches_the_golden_file(name, accept):
    check_golden(name, TIME.sub(rb"\1TIME", body(accept, created=True)))


def test_protobuf_matches_the_golden_file():
    families = without_times(prom_decode.families(body(PROTO_UTF8)))
    check_golden("protobuf.json",
                 json.dumps(families, indent=1, ensure_ascii=False).encode() + b"\n")


# ---- other parsers -----------------------------------------------------------------------

def test_promtool_reads_text():
    need("promtool")
    done = subprocess.run(["promtool", "check", "metrics"], input=body(TEXT), capture_output=True,
                          check=False)
    # 3: it dislikes the (deliberately odd) names, but could read everything.
    assert done.returncode in (0, 3), done
    assert not re.search(rb"error while linting|parse", done.stderr), done


def with_time(line):
    """promtool makes blocks only from samples with a timestamp."""
    if line.startswith("#"):
        return line
    sample, mark, exemplar = line.partition(" # {")
    return f"{sample} 1700000000{mark}{exemplar}"


@pytest.mark.parametrize("created", [False, True])
def test_promtool_reads_openmetrics(created, tmp_path):
    need("promtool")
    path = tmp_path / "metrics"
    text = body(OPEN, created=created).decode()
    path.write_text("\n".join(with_time(line) for line in text.split("\n")[:-1]) + "\n")
    done = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", path,
                           tmp_path / "blocks"], capture_output=True, check=False)
    assert done.returncode == 0, done
    listed = subprocess.run(["promtool", "tsdb", "list", tmp_path / "blocks"], capture_output=True,
                            check=True).stdout.decode()
    _, samples = read_open(text.encode())
    assert int(listed.splitlines()[1].split()[4]) == len(samples), listed


def test_the_python_client_reads_text():
    families, samples = read_text(body(TEXT))
    types = {f.name: f.type for f in families}
    assert types["test_requests"] == "counter" and types["test_door"] == "gauge"
    way = 'in "quotes"\n\\ ε'
    assert samples[key("test_requests_total", {"way": way, "code": "200"})] == 1234567
    assert samples[key("test_collected", {"way": way})] == 1.25
    assert samples[key("test_level", {"of": "minus inf"})] == -math.inf
    assert {f.documentation for f in families if f.name == "test_requests"} == \
        {'With "quotes", \\ and\nlines.'}


@pytest.mark.parametrize("created", [False, True])
def test_the_python_client_reads_openmetrics(created):
    families, samples = read_open(body(OPEN, created=created))
    types = {f.name: (f.type, f.unit) for f in families}
    assert types["test_requests"] == ("counter", "")
    assert types["test_wait_seconds"] == ("histogram", "seconds")
    assert types["test_build"] == ("info", "") and types["test_door"] == ("stateset", "")
    assert samples[key("test_build_info", {"version": "1.0", "os": "\\"})] == 1
    times = {k: v for k, v in samples.items() if k[0].endswith("_created")}
    assert bool(times) == created
    assert all(abs(v - time.time()) < 3600 for v in times.values())


def test_all_formats_have_the_same_samples():
    """The text parser adds _total to counters by itself."""
    for seed in (0, *SEEDS):
        families = prom_decode.families(body(PROTO, seed))
        _, text = read_text(body(TEXT, seed))
        same(text, by_key(s for f in families for s in prom_decode.samples(f, total=True)))
        _, text = read_open(body(OPEN, seed))
        same(text, by_key(s for f in families for s in prom_decode.samples(f, total=True, negatives=False)))


TRACE = {"trace_id": "4bf92f3577b34da6", "note": '"\\\nε'}


def test_exemplars_are_read_by_all_parsers():
    families, _ = read_open(body(OPEN))
    found = {}
    for sample in (s for f in families for s in f.samples if s.exemplar):
        assert abs(float(sample.exemplar.timestamp) - time.time()) < 3600
        found[sample.name, sample.labels.get("le")] = sample.exemplar.labels, sample.exemplar.value
    note = {"note": TRACE["note"]}
    assert found == {("test_routed_total", None): ({"http_route": "/"}, 1),
                     ("test_traced_total", None): (TRACE, 2.5),
                     ("test_traced_seconds_bucket", "2.0"): (TRACE, 1.5),
                     ("test_traced_seconds_bucket", "+Inf"): (note, 3)}, found

    def plain(exemplar):
        assert abs(exemplar["timestamp"]["seconds"] - time.time()) < 3600
        return {e["name"]: e["value"] for e in exemplar["label"]}, exemplar["value"]

    families = {f["name"]: f["metric"][0] for f in prom_decode.families(body(PROTO))}
    assert plain(families["test_routed_total"]["counter"]["exemplar"]) == ({"http_route": "/"}, 1)
    assert plain(families["test_traced_total"]["counter"]["exemplar"]) == (TRACE, 2.5)
    buckets = families["test_traced_seconds"]["histogram"]["bucket"]
    assert [b["upper_bound"] for b in buckets] == [1, 2, math.inf]
    assert "exemplar" not in buckets[0]
    assert [plain(b["exemplar"]) for b in buckets[1:]] == [(TRACE, 1.5), (note, 3)]
    native = families["test_traced_native"]["histogram"]["exemplars"]
    assert [plain(e) for e in native] == [(TRACE, 5), (TRACE, 6)]
    assert b"4bf92f3577b34da6" not in body(TEXT)


# ---- native histograms -----------------------------------------------------------------------

def histogram_of(families, name):
    (family,) = [f for f in families if f["name"] == name]
    (metric,) = family["metric"]
    return metric["histogram"]


def expected_buckets(values, schema):
    counts = {}
    for v in values:
        if v > 0:
            index = math.ceil(math.log2(v) * 2 ** schema)
            counts[index] = counts.get(index, 0) + 1
    return sorted(counts.items())


def test_native_histograms_have_the_right_buckets():
    families = prom_decode.families(body(PROTO))
    native = histogram_of(families, "test_native_seconds")
    assert native["schema"] == 3 and native["zero_threshold"] == 2 ** -128
    assert native["sample_count"] == 11 and native["zero_count"] == 1 and not native["bucket"]
    assert native["sample_sum"] == pytest.approx(sum(SEEN) - 0.3)
    assert prom_decode.native_buckets(native["positive_span"], native["positive_delta"]) == \
        expected_buckets(SEEN, 3)
    assert prom_decode.native_buckets(native["negative_span"], native["negative_delta"]) == \
        expected_buckets([0.3], 3)
    both = histogram_of(families, "test_both")
    assert both["schema"] == 0 and len(both["bucket"]) == 3
    assert prom_decode.native_buckets(both["positive_span"], both["positive_delta"]) == \
        expected_buckets(SEEN, 0)
    empty = histogram_of(families, "test_empty_native")
    assert empty["zero_threshold"] == 0 and empty["sample_count"] == 0
    assert empty["positive_span"] == [{"offset": 0, "length": 0}]
    assert "schema" not in histogram_of(families, "test_wait_seconds")


# ---- parsers of a current Prometheus -----------------------------------------------------------

@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    if not shutil.which("go"):
        pytest.skip("no go")
    program = tmp_path_factory.mktemp("judge") / "judge"
    folder = os.path.join(vulcan.ROOT, "tests", "judge", "prom")
    built = subprocess.run(["go", "build", "-o", program, "."], cwd=folder, capture_output=True,
                           check=False, text=True,
                           env=dict(os.environ, GOFLAGS="-mod=readonly", GOPROXY="off"))
    if built.returncode:
        pytest.skip(f"go mod download in tests/judge/prom first: {built.stderr[:200]}")

    def run(words, text):
        done = subprocess.run([program, *words], input=text, capture_output=True, check=False)
        assert done.returncode == 0, (words, done.stderr, text)
        return done.stdout.decode()
    return run


def judged(judge, accept, seed):
    done = subprocess.run(vulcan.wrap([SERVER, "body", str(seed), accept]), capture_output=True,
                          check=True)
    lines = judge(["read", done.stderr.decode()], done.stdout).splitlines()
    entries = [json.loads(line) for line in lines]
    samples = by_key((e["name"], e["labels"], float(e["value"]))
                     for e in entries if not e["native"])
    return samples, {key(e["name"], e["labels"]): e for e in entries if e["native"]}, entries


def test_prometheus_3_reads_all_formats(judge):
    for seed in (0, *SEEDS):
        families = prom_decode.families(body(PROTO_UTF8, seed))
        text, _, _ = judged(judge, TEXT_1, seed)
        same(text, by_key(s for f in families for s in prom_decode.samples(f, total=False)))
        text, _, _ = judged(judge, OPEN_UTF8, seed)
        same(text, by_key(s for f in families
                          for s in prom_decode.samples(f, total=True, negatives=False)))
        _, native, _ = judged(judge, PROTO_UTF8, seed)
        for name, metric in ((f["name"], m) for f in families for m in f["metric"]
                             if "schema" in m.get("histogram", {})):
            found = native.pop(key(name, prom_decode.labels_of(metric)))
            histogram = metric["histogram"]
            counts = [count for sign in ("positive", "negative")
                      for _, count in prom_decode.native_buckets(histogram[f"{sign}_span"],
                                                                 histogram[f"{sign}_delta"])]
            assert sum(counts) + histogram["zero_count"] == histogram["sample_count"]
            assert (found["schema"], found["count"], found["zero"], found["buckets"]) == \
                (histogram["schema"], histogram["sample_count"], histogram["zero_count"],
                 len(counts)), found
            assert float(found["sum"]) == histogram["sample_sum"]
        assert not native


def test_prometheus_3_reads_exemplars(judge):
    """In OpenMetrics, it leaves the label values of exemplars escaped."""
    _, _, entries = judged(judge, OPEN_UTF8, 0)
    assert {"http.route": "/"} in [e.get("exemplar") for e in entries]
    traced = [e["name"] for e in entries
              if e.get("exemplar", {}).get("trace_id") == TRACE["trace_id"]]
    assert traced == ["test_traced_seconds_bucket", "test_traced_total"]
    _, _, entries = judged(judge, PROTO_UTF8, 0)
    assert {"http.route": "/"} in [e.get("exemplar") for e in entries]
    traced = {e["name"] for e in entries if e.get("exemplar") == TRACE}
    assert traced == {"test_traced_seconds_bucket", "test_traced_total", "test_traced_native"}


def random_names(count):
    chance = random.Random(5)
    for _ in range(count):
        yield "".join(chance.choice('abzAZ_:.09-/ "\\{}\t\x7f\x80é߿ࠀ花\ufffd😱\U0010ffff')
                      for _ in range(chance.randint(1, 12)))


def test_names_are_escaped_as_by_prometheus(judge):
    names = "".join(name + "\n" for name in random_names(5000)).encode()
    ours = subprocess.run(vulcan.wrap([SERVER, "escape"]), input=names, capture_output=True,
                          check=True).stdout.decode()
    assert ours.split("\n") == judge(["escape"], names).split("\n")


# ---- a real Prometheus -----------------------------------------------------------------------

class Served:
    def __init__(self):
        self.process = subprocess.Popen(vulcan.wrap([SERVER, "serve"]), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.target = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(vulcan.LIMIT_S) == 0


class Prometheus:
    """With native histograms, which it scrapes as protobuf."""

    def __init__(self, folder, target):
        port, every = free_port(), 200 * vulcan.SLOW
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {every}ms, scrape_timeout: {every}ms}}\n"
            "scrape_configs:\n"
            f"  - {{job_name: prom, static_configs: [{{targets: ['{target}']}}]}}\n")
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder}/prometheus.yml",
             f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder}/data",
             "--enable-feature=native-histograms", "--log.level=warn"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def get(self, path, **query):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=vulcan.LIMIT_S) as answer:
            return json.load(answer)["data"]

    def query(self, text):
        return self.get("query", query=text)["result"]

    def wait_for(self, text):
        """Prometheus scrapes on its own schedule, so its answers are polled."""
        deadline = time.monotonic() + vulcan.LIMIT_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                found = self.query(text)
                if found:
                    return found
            except OSError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"{text}: nothing after {vulcan.LIMIT_S} s")


def test_prometheus_ingests_native_histograms(tmp_path):
    need("prometheus")
    with Served() as served, Prometheus(tmp_path, served.target) as prometheus:
        (found,) = prometheus.wait_for("test_native_seconds")
        histogram = found["histogram"][1]
        assert histogram["count"] == "11", found
        assert float(histogram["sum"]) == pytest.approx(sum(SEEN) - 0.3)
        counts = [int(count) for _, _, _, count in histogram["buckets"]]
        assert counts == [1, 1] + [count for _, count in expected_buckets(SEEN, 3)]
        for (_, low, high, _), (index, _) in zip(histogram["buckets"][2:],
                                                 expected_buckets(SEEN, 3)):
            assert float(high) == pytest.approx(2 ** (index / 8))
            assert float(low) == pytest.approx(2 ** ((index - 1) / 8))
        (median,) = prometheus.query("histogram_quantile(0.5, test_native_seconds)")
        assert 0.3 < float(median["value"][1]) <= 1.1, median
        # With both kinds of buckets, the native ones are used.
        assert prometheus.query("test_both")[0]["histogram"][1]["count"] == "10"
        assert not prometheus.query("test_both_bucket")
        (bucket,) = prometheus.query('test_wait_seconds_bucket{le="1e+06"}')
        assert bucket["value"][1] == "9"
        (value,) = prometheus.query('test_requests_total{code="200"}')
        assert value["value"][1] == "1234567" and value["metric"]["way"] == 'in "quotes"\n\\ ε'
        # This Prometheus does not support UTF-8 names, so they arrive escaped.
        (value,) = prometheus.query("test_dots_seen_total")
        assert value["metric"]["label_dots"] == "a", value
        (target,) = prometheus.get("targets")["activeTargets"]
        assert target["health"] == "up" and target["lastError"] == "", target
