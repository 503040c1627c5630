# SPDX-License-Identifier: Apache-2.0
"""libprom-push against real receivers, and against one that misbehaves."""
import base64
import gzip
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import pytest

import remote_write
import vulcan

CLIENT = os.path.join(vulcan.BUILD, "tests", "push_client")
WAY = 'in "quotes"\n\\ ε'

if not os.path.exists(CLIENT):
    pytest.skip("built without push: apt-get install libsnappy-dev", allow_module_level=True)


class Pushed:
    def __init__(self, *words, limit=vulcan.LIMIT_S):
        began = time.monotonic()
        done = subprocess.run(vulcan.wrap([CLIENT, *words]), capture_output=True, text=True,
                              timeout=limit, check=False)
        self.seconds = time.monotonic() - began
        self.code, self.error = done.returncode, done.stderr.strip()
        assert self.code in (0, 1), done
        self.result = {k: int(v) for k, v in (w.split("=") for w in done.stdout.split())}

    def __repr__(self):
        return f"code {self.code} after {self.seconds:.2f} s: {self.result} {self.error!r}"


def push(*words, **more):
    pushed = Pushed(*words, **more)
    assert pushed.code == 0, pushed
    return pushed.result


def refused(*words, **more):
    pushed = Pushed(*words, **more)
    assert pushed.code == 1 and pushed.error.startswith("push_client: "), pushed
    return pushed


# ---- a receiver that is controlled by the test ------------------------------------------------------

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, self.headers, body,
                                     time.monotonic(), self.client_address))
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        reply(self)

    do_PUT = do_DELETE = do_POST

    def log_message(self, *_):
        pass


def answer(status, text="", **headers):
    def reply(handler):
        data = text.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), str(value))
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
    return reply


def hang(handler):
    handler.server.over.wait(vulcan.LIMIT_S)
    handler.close_connection = True


def drip(handler):
    """Sends a byte now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    try:
        while not handler.server.over.wait(0.1):
            handler.wfile.write(b"x")
    except OSError:
        pass
    handler.close_connection = True


def flood(handler):
    handler.send_response(500)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    try:
        handler.wfile.write(b"7\r\nno room\r\n")
        for _ in range(100_000):
            handler.wfile.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        handler.server.flooded = True
    except OSError:
        pass
    handler.close_connection = True


def tear(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.requests, made.over, made.flooded = [], threading.Event(), False
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()

    def script(*replies):
        made.replies = list(replies)
        return made
    yield script
    made.over.set()
    made.shutdown()
    thread.join()
    made.server_close()


# ---- real receivers -------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Real:
    """A receiver that is a real process; its own page shows when it is ready."""

    def __init__(self, argv, ready):
        if not shutil.which(argv[0]):
            pytest.skip(f"no {argv[0]}: apt-get install {argv[0]}")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([*argv, f"--web.listen-address=127.0.0.1:{self.port}"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        deadline = time.monotonic() + vulcan.LIMIT_S
        while True:
            try:
                self.get(ready)
                return
            except OSError:
                assert self.process.poll() is None, self.process.stderr.read().decode()
                assert time.monotonic() < deadline, "it does not become ready"
                time.sleep(0.05)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=vulcan.LIMIT_S) as got:
            return got.read()

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def gateway(folder):
    real = Real(["prometheus-pushgateway", "--persistence.file="], "/-/ready")
    yield real
    real.close()


@pytest.fixture
def prometheus(folder):
    config = os.path.join(folder, "prometheus.yml")
    with open(config, "w", encoding="ascii"):
        pass
    real = Real(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                 "--web.enable-remote-write-receiver",
                 "--enable-feature=native-histograms,exemplar-storage",
                 "--log.level=warn"], "/-/ready")
    yield real
    real.close()


def query(prometheus, text, at=None):
    words = {"query": text, **({"time": at} if at else {})}
    got = json.loads(prometheus.get("/api/v1/query?" + urllib.parse.urlencode(words)))
    assert got["status"] == "success", got
    return got["data"]["result"]


def only(prometheus, text, at=None):
    result = query(prometheus, text, at)
    assert len(result) == 1, f"{text}: {result}"
    return result[0]


# ---- Pushgateway -----------------------------------------------------------------------------

def groups(gateway):
    """Return its groups by their labels, from its API."""
    data = json.loads(gateway.get("/api/v1/metrics"))["data"]
    return {tuple(sorted(g["labels"].items())): g for g in data}


def expect_test_metrics(metrics, **labels):
    assert metrics.value("test_jobs_total", way=r'in \"quotes\"\n\\ ε', **labels) == 1234567
    assert metrics.value("test_jobs_total", way="out", **labels) == 0.1
    assert metrics.value("test_depth", **labels) == -2.5
    for le, n in (("0.5", 1), ("1", 2), ("+Inf", 3)):
        assert metrics.value("test_seconds_bucket", le=le, **labels) == n
    assert metrics.value("test_seconds_sum", **labels) == 9
    assert metrics.value("test_seconds_count", **labels) == 3


@pytest.mark.parametrize("words", [[], ["--gzip"], ["--protobuf"], ["--protobuf", "--gzip"]],
                         ids="".join)
def test_the_gateway_has_each_value(gateway, words):
    result = push("put", gateway.url, "--job", "backup", "--label", "instance=host:1", *words)
    assert result["status"] == 200 and result["attempts"] == 1
    metrics = vulcan.Metrics(gateway.get("/metrics").decode())
    expect_test_metrics(metrics, job="backup", instance="host:1")


@pytest.mark.parametrize("value", ["plain", "a b/ä", "/var/tmp", "", "..", "%2F?#&=+", "日本\n"])
def test_group_labels_may_have_any_values(gateway, value):
    push("put", gateway.url, "--job", value or "x", "--label", f"path={value}")
    want = {"job": value or "x", "path": value}
    assert list(groups(gateway)) == [tuple(sorted(want.items()))]


def test_a_group_is_replaced_added_to_and_deleted(gateway):
    key = (("job", "test"),)
    push("put", gateway.url)
    assert "test_seconds" in groups(gateway)[key]
    push("put", gateway.url, "--name", "test_depth")
    assert "test_depth" in groups(gateway)[key] and "test_seconds" not in groups(gateway)[key]
    push("post", gateway.url, "--name", "test_seconds")
    assert {"test_depth", "test_seconds"} <= set(groups(gateway)[key])
    push("put", gateway.url, "--label", "instance=other")
    assert push("delete", gateway.url)["status"] == 202
    assert list(groups(gateway)) == [(("instance", "other"), ("job", "test"))]


def test_the_gateway_gets_native_histograms_in_protobuf(server):
    """Text cannot express native buckets; they would be lost silently."""
    it = server(answer(200), answer(200))
    for words in ([], ["--native"]):
        push("put", it.url, *words)
    text, native = (request[2]["Content-Type"] for request in it.requests)
    assert text.startswith("text/plain; version=0.0.4")
    assert "io.prometheus.client.MetricFamily" in native


def test_a_rejection_by_the_gateway_is_quoted(gateway):
    """A type that differs from that of another group is inconsistent; the gateway's error message
    arrives."""
    request = urllib.request.Request(
        gateway.url + "/metrics/job/other", method="PUT",
        data=b"# TYPE test_depth counter\ntest_depth 1\n")
    urllib.request.urlopen(request, timeout=vulcan.LIMIT_S).close()
    pushed = refused("put", gateway.url)
    assert pushed.result["status"] == 400 and pushed.result["attempts"] == 1
    assert f"push to {gateway.url}/metrics/job/test: answered 400: " in pushed.error
    assert "inconsistent" in pushed.error


# ---- remote-write ----------------------------------------------------------------------------

def expect_in_prometheus(prometheus, **labels):
    more = "".join(f',{k}="{v}"' for k, v in labels.items())
    def value(selector):
        return float(only(prometheus, selector)["value"][1])
    found = only(prometheus, f'test_jobs_total{{way!="out"{more}}}')
    assert found["metric"] == {"__name__": "test_jobs_total", "way": WAY, **labels}
    assert float(found["value"][1]) == 1234567
    assert value(f'test_jobs_total{{way="out"{more}}}') == 0.1
    assert value(f'test_depth{{job!="x"{more}}}') == -2.5
    for le, n in (("0.5", 1), ("1.0", 2), ("+Inf", 3)):
        assert value(f'test_seconds_bucket{{le="{le}"{more}}}') == n
    assert value("test_seconds_sum") == 9 and value("test_seconds_count") == 3
    assert value("histogram_quantile(0.5, test_seconds_bucket)") == 0.75


def test_version_1_samples_arrive(prometheus):
    result = push("write", prometheus.url + "/api/v1/write", "--version", "1", "--label", "job=j",
                  "--label", "instance=i:1")
    assert result == {"status": 204, "attempts": 1, "version": 1, "samples": 8}
    expect_in_prometheus(prometheus, job="j", instance="i:1")


def test_exemplars_arrive_in_prometheus(prometheus):
    push("write", prometheus.url + "/api/v1/write", "--version", "1")
    words = urllib.parse.urlencode({"query": "test_jobs_total", "start": int(time.time()) - 60,
                                    "end": int(time.time()) + 60})
    (found,) = json.loads(prometheus.get("/api/v1/query_exemplars?" + words))["data"]
    assert found["seriesLabels"] == {"__name__": "test_jobs_total", "way": "out"}
    assert [(e["labels"], float(e["value"])) for e in found["exemplars"]] == \
        [({"trace_id": 'abc"1'}, 0.1)]


def test_remote_write_falls_back_to_version_1(prometheus):
    """Debian's version accepts a 2.0 request, reads it as an empty 1.0 request, and counts nothing."""
    result = push("write", prometheus.url + "/api/v1/write", "--label", "job=j")
    if result["version"] == 1:
        assert result == {"status": 204, "attempts": 2, "version": 1, "samples": 8}
    expect_in_prometheus(prometheus, job="j")


def test_an_unsupported_version_2_is_an_error(prometheus):
    pushed = Pushed("write", prometheus.url + "/api/v1/write", "--version", "2")
    if pushed.code == 0:
        pytest.skip("this Prometheus knows remote-write 2.0")
    assert pushed.result["samples"] == 0
    assert "answered 204 without counting" in pushed.error or "answered 4" in pushed.error, pushed
    assert query(prometheus, '{__name__=~"test_.*"}') == []


def test_many_samples_are_written(prometheus):
    result = push("write", prometheus.url + "/api/v1/write", "--version", "1", "--many", "5000",
                  "--name", "test_many_total")
    assert result["attempts"] == 3 and result["samples"] == 5000
    assert float(only(prometheus, "count(test_many_total)")["value"][1]) == 5000
    assert float(only(prometheus, "sum(test_many_total)")["value"][1]) == 4999 * 5000 / 2


def test_a_stale_marker_ends_the_series(prometheus):
    """Written half a minute ago, so that there is a later time to query."""
    at = int(time.time()) - 30
    url = prometheus.url + "/api/v1/write"
    push("write", url, "--version", "1", "--time", str(at * 1000), "--label", "run=a")
    push("write", url, "--version", "1", "--time", str(at * 1000), "--label", "run=b", "--stale")
    assert {r["metric"]["run"] for r in query(prometheus, "test_depth", at)} == {"a", "b"}
    assert {r["metric"]["run"] for r in query(prometheus, "test_depth", at + 1)} == {"a"}
    assert float(only(prometheus, 'last_over_time(test_depth{run="b"}[5m])', at + 5)["value"][1]) \
        == -2.5


def test_a_rejection_by_prometheus_is_quoted(prometheus):
    """Samples older than its head allows: one 400 with its error message."""
    url = prometheus.url + "/api/v1/write"
    push("write", url, "--version", "1")
    pushed = refused("write", url, "--version", "1", "--time", "1000")
    assert pushed.result["attempts"] == 1 and pushed.result["status"] == 400
    assert f"push to {url}: answered 400: out of bounds" in pushed.error


# ---- remote-write 2.0 read by the specification -----------------------------------------------

COUNTED = {"X_Prometheus_Remote_Write_Samples_Written": 8}


def test_a_version_2_message_follows_the_specification(server):
    it = server(answer(204, **COUNTED))
    before = time.time()
    result = push("write", it.url + "/x", "--version", "2", "--label", "job=j", "--label", "z=")
    assert result == {"status": 204, "attempts": 1, "version": 2, "samples": 8}
    (method, path, headers, body, *_), = it.requests
    assert (method, path) == ("POST", "/x")
    assert headers["Content-Encoding"] == "snappy"
    assert headers["Content-Type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert headers["X-Prometheus-Remote-Write-Version"] == "2.0.0"
    assert headers["User-Agent"].startswith("prom-push/")
    series = list(remote_write.read_2(body))
    assert [s.name for s in series] == \
        ["test_depth"] + ["test_jobs_total"] * 2 + ["test_seconds_bucket"] * 3 + \
        ["test_seconds_sum", "test_seconds_count"]
    values = {(s.name, s.labels.get("way", s.labels.get("le", ""))): s for s in series}
    want = {("test_depth", ""): -2.5, ("test_jobs_total", WAY): 1234567,
            ("test_jobs_total", "out"): 0.1, ("test_seconds_bucket", "0.5"): 1,
            ("test_seconds_bucket", "1.0"): 2, ("test_seconds_bucket", "+Inf"): 3,
            ("test_seconds_sum", ""): 9, ("test_seconds_count", ""): 3}
    assert {k: s.samples[0][0] for k, s in values.items()} == want
    for s in series:
        assert s.labels["job"] == "j" and "z" not in s.labels
        assert len(s.samples) == 1 and abs(s.samples[0][1] / 1000 - before) < 60
        kind = {"d": (2, "Depth.", ""), "j": (1, "Jobs \\ done.", ""),
                "s": (3, "Seconds.", "seconds")}[s.name[5]]
        assert (s.type, s.help, s.unit) == kind
        assert (s.created > 0) == (s.type != 2) and s.created <= s.samples[0][1]
    expect_exemplars(series)


def expect_exemplars(series):
    got = {(s.name, s.labels.get("way") or s.labels.get("le")): s.exemplars[0] for s in series
           if s.exemplars}
    assert all(abs(e[2] / 1000 - time.time()) < 60 for e in got.values())
    assert {k: e[:2] for k, e in got.items()} == {
        ("test_jobs_total", "out"): ({"trace_id": 'abc"1'}, 0.1),
        ("test_seconds_bucket", "1.0"): ({"run": "r1"}, 0.75)}


NATIVE = {"count": 8, "sum": 102.35, "schema": 0, "zero": 2, "positive": {0: 1, 1: 3, 7: 1},
          "negative": {2: 1}}


@pytest.mark.parametrize("version, read", [("1", remote_write.read_1), ("2", remote_write.read_2)])
def test_a_native_histogram_follows_the_specification(server, version, read):
    it = server(answer(204, X_Prometheus_Remote_Write_Histograms_Written=1))
    result = push("write", it.url, "--version", version, "--native", "--name", "test_native",
                  "--time", "12345")
    assert result["samples"] == 1
    series, = read(it.requests[0][3])
    assert series.name == "test_native" and series.samples == []
    assert [e[:2] for e in series.exemplars] == [({"run": "r2"}, 1.25)]
    got = series.histogram
    assert got.pop("timestamp") == 12345
    assert (got.pop("created") > 0) == (version == "2")
    assert got == {**NATIVE, "sum": pytest.approx(NATIVE["sum"])}


def test_exemplars_of_a_native_histogram_are_sent_once(server):
    """Receivers reject a request with an exemplar that is older than the newest one of the series."""
    it = server(answer(503), answer(204, X_Prometheus_Remote_Write_Histograms_Written=1))
    push("write", it.url, "--version", "2", "--native", "--name", "test_native", "--pushes", "2")
    failed, first, second = (list(remote_write.read_2(r[3]))[0] for r in it.requests)
    assert first.exemplars == failed.exemplars and len(first.exemplars) == 1
    assert second.histogram["count"] == 8 and second.exemplars == []


def test_a_rejected_exemplar_is_not_a_failure(server):
    it = server(answer(400, "out of order exemplar", X_Prometheus_Remote_Write_Samples_Written=2002,
                       X_Prometheus_Remote_Write_Histograms_Written=0,
                       X_Prometheus_Remote_Write_Exemplars_Written=0),
                answer(400, "out of order sample", **COUNTED))
    pushed = refused("write", it.url, "--many", "3000")
    assert pushed.result["attempts"] == 2 and "out of order sample" in pushed.error


def test_a_native_histogram_arrives_in_prometheus(prometheus):
    result = push("write", prometheus.url + "/api/v1/write", "--native", "--name", "test_native")
    assert result["samples"] == 1
    for function, want in (("histogram_count", 8), ("histogram_sum", 102.35),
                           ("histogram_fraction(-4, -2, ", 1 / 8),
                           ("histogram_fraction(64, 128, ", 1 / 8)):
        call = function if function.endswith(", ") else function + "("
        assert float(only(prometheus, f"{call}test_native)")["value"][1]) == pytest.approx(want)


def test_a_stale_marker_ends_a_native_histogram(prometheus):
    at = int(time.time()) - 30
    push("write", prometheus.url + "/api/v1/write", "--native", "--name", "test_native", "--stale",
         "--time", str(at * 1000))
    assert len(query(prometheus, "test_native", at)) == 1
    assert query(prometheus, "test_native", at + 1) == []


def test_many_requests_use_one_connection(server):
    it = server(answer(204))
    result = push("write", it.url, "--version", "1", "--many", "5000", "--name", "test_many_total")
    assert result == {"status": 204, "attempts": 3, "version": 1, "samples": 5000}
    assert len(it.requests) == 3 and len({peer for *_, peer in it.requests}) == 1
    names = [s.labels["n"] for request in it.requests for s in remote_write.read_1(request[3])]
    assert names == [str(n) for n in range(5000)]


def test_a_version_1_message_follows_the_specification(server):
    it = server(answer(204))
    push("write", it.url, "--version", "1", "--stale", "--time", "12345")
    (_, _, headers, body, *_), = it.requests
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    series = list(remote_write.read_1(body))
    assert len(series) == 8
    assert all(s.samples[0][1] == 12345 and s.stale_at == 12346 for s in series)
    expect_exemplars(series)


@pytest.mark.parametrize("status", [400, 415, 204])
def test_a_rejected_version_2_is_sent_as_version_1(server, status):
    it = server(answer(status, "" if status == 204 else "no"), answer(204))  # 204 has no body
    assert push("write", it.url)["version"] == 1
    two, one = it.requests
    assert len(list(remote_write.read_2(two[3]))) == len(list(remote_write.read_1(one[3]))) == 8


# ---- failures --------------------------------------------------------------------------------

def test_a_refused_connection_is_an_error():
    url = f"http://127.0.0.1:{free_port()}"
    pushed = refused("put", url)
    assert pushed.result == {"status": 0, "attempts": 4, "version": 0, "samples": 0}
    assert f"push to {url}/metrics/job/test: cannot connect: Connection refused" in pushed.error
    assert refused("write", url, "--attempts", "1").result["attempts"] == 1


def test_an_unknown_host_is_an_error():
    pushed = refused("put", "http://nowhere.invalid", "--attempts", "1")
    assert "unknown host" in pushed.error


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413])
def test_final_responses_are_not_retried(server, status):
    it = server(answer(status, "because\nof this", Location="http://127.0.0.1:1/"))
    pushed = refused("put", it.url)
    assert pushed.error.endswith(f"answered {status}: because") and len(it.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_temporary_errors_are_retried(server, status):
    it = server(tear, answer(status), answer(status), answer(200))
    assert push("put", it.url) == {"status": 200, "attempts": 4, "version": 0, "samples": 0}
    assert len({request[3] for request in it.requests}) == 1


def test_retry_after_is_respected(server):
    it = server(answer(503, Retry_After=1), answer(200))
    push("put", it.url)
    assert it.requests[1][4] - it.requests[0][4] >= 1


def test_a_retry_after_beyond_the_time_limit_is_an_error(server):
    it = server(answer(503, "closed", Retry_After=3600))
    pushed = refused("put", it.url)
    assert pushed.result["attempts"] == 1 and "answered 503: closed" in pushed.error
    it = server(answer(503, "closed", Retry_After="Fri, 31 Dec 2100 23:59:59 GMT"))
    assert refused("put", it.url).result["attempts"] == 1


@pytest.mark.parametrize("reply", [hang, drip])
def test_a_slow_server_runs_into_the_time_limit(server, reply):
    it = server(reply)
    pushed = refused("put", it.url, "--timeout-ms", "500")
    assert "no answer in time" in pushed.error
    assert 0.45 < pushed.seconds < 0.5 + 2 * vulcan.SLOW, pushed


def test_a_huge_response_is_cut(server):
    it = server(flood)
    pushed = refused("put", it.url, "--attempts", "1")
    assert "answered 500: no room" in pushed.error
    assert not it.flooded


def test_credentials_are_sent(server, folder):
    path = os.path.join(folder, "secret")
    with open(path, "w", encoding="ascii") as f:
        f.write("s3cret\n")
    it = server(answer(200))
    push("put", it.url, "--token", path)
    push("put", it.url, "--user", "me", "--password", path)
    assert [request[2]["Authorization"] for request in it.requests] == \
        ["Bearer s3cret", "Basic " + base64.b64encode(b"me:s3cret").decode()]


def test_bodies_are_compressed(server):
    it = server(answer(200))
    push("put", it.url)
    push("put", it.url, "--gzip")
    plain, zipped = it.requests
    assert zipped[2]["Content-Encoding"] == "gzip" and len(zipped[3]) < len(plain[3])
    assert gzip.decompress(zipped[3]) == plain[3]


# ---- vulcan run ------------------------------------------------------------------------------

FIVE = {vulcan.BOOT, vulcan.ACTIVE, vulcan.VSOCK, vulcan.CLEANUP, vulcan.WORKLOADS}


def test_run_pushes_to_a_gateway(fake_box_agent, gateway):
    command = fake_box_agent.start("run", "--runtime", "sh", "--push", gateway.url, "-e",
                             "echo hello; exit 7")
    done = command.wait()
    assert done.code == 7 and done.out == b"hello\n" and not done.err, done
    instance = f"{socket.gethostname()[:63]}:{command.process.pid}"
    (key, group), = groups(gateway).items()
    assert dict(key) == {"job": "vulcan_run", "instance": instance}
    assert {name for name in group if name.startswith("vulcan")} == FIVE
    metrics = vulcan.Metrics(gateway.get("/metrics").decode())
    labels = dict(key)
    for histogram in (vulcan.BOOT, vulcan.VSOCK, vulcan.CLEANUP):
        assert metrics.value(histogram + "_count", **labels) == 1
    assert metrics.value(vulcan.ACTIVE, **labels) == 0
    assert metrics.value(vulcan.WORKLOADS, runtime="sh", status="completed", **labels) == 1


def test_run_writes_to_prometheus(fake_box_agent, prometheus):
    """Configured by the environment, with a workload that fails."""
    env = {"VULCAN_REMOTE_WRITE": prometheus.url + "/api/v1/write",
           "VULCAN_PUSH_INSTANCE": "here"}
    done = fake_box_agent.run("sh", "sleep 100", "--timeout", "1", env=env)
    assert done.code == 124 and b"not pushed" not in done.err, done
    found = only(prometheus, f'{vulcan.WORKLOADS}{{runtime="sh",status="failed"}}')
    assert found["metric"] == {"__name__": vulcan.WORKLOADS, "job": "vulcan_run",
                               "instance": "here", "runtime": "sh", "status": "failed"}
    assert float(found["value"][1]) == 1
    assert float(only(prometheus, vulcan.BOOT + "_count")["value"][1]) == 1
    names = {r["metric"]["__name__"] for r in query(prometheus, '{job="vulcan_run"}')}
    assert all(any(name.startswith(family) for family in FIVE) for name in names), names


def test_run_pushes_to_both(fake_box_agent, gateway, server):
    it = server(answer(204, **COUNTED))
    done = fake_box_agent.run("sh", "exit 3", "--push", gateway.url, "--remote-write", it.url + "/w",
                        "--push-token-file", fake_box_agent.file("token", "abc\n"))
    assert done.code == 3 and not done.err, done
    assert len(groups(gateway)) == 1
    (_, path, headers, body, *_), = it.requests
    assert path == "/w" and headers["Authorization"] == "Bearer abc"
    assert headers["User-Agent"].startswith("vulcan/")
    series = {s.name: s for s in remote_write.read_2(body)}
    assert series[vulcan.BOOT + "_count"].samples[0][0] == 1
    assert series[vulcan.ACTIVE].labels["job"] == "vulcan_run"


def test_run_continues_without_a_gateway(fake_box_agent):
    url = f"http://127.0.0.1:{free_port()}"
    done = fake_box_agent.run("sh", "echo hello; exit 7", "--push", url)
    assert done.code == 7 and done.out == b"hello\n"
    assert done.text.startswith(f"vulcan: metrics were not pushed: push to {url}/metrics/job/")
    assert done.text.count("\n") == 1 and "Connection refused" in done.text
    quiet = fake_box_agent.run("sh", "exit 7", "--quiet", "--push", url)
    assert quiet.code == 7 and not quiet.err, quiet


def test_run_rejects_invalid_targets(fake_box_agent):
    """An invalid flag is rejected before the program runs."""
    for flag in ("--push", "--remote-write"):
        for url in ("foo", "ftp://host", "http://", "http:///x", "http://a b", "http://u:p@host"):
            wrong = fake_box_agent.run("sh", "echo ran", flag, url)
            assert wrong.code == 125 and not wrong.out, wrong
            assert f'vulcan: run: {flag}: invalid URL "{url}"; give http://HOST:PORT' in wrong.text
    missing = fake_box_agent.folder + "/none"
    wrong = fake_box_agent.run("sh", "echo ran", "--push", "http://127.0.0.1:1", "--push-token-file",
                               missing)
    assert wrong.code == 125 and not wrong.out and missing in wrong.text, wrong


def test_run_waits_no_longer_than_the_push_timeout(fake_box_agent, server):
    it = server(hang)
    plain = fake_box_agent.run("sh", "exit 7")
    done = fake_box_agent.run("sh", "exit 7", "--push", it.url, "--remote-write", it.url,
                        "--push-timeout", "1s")
    assert done.code == 7 and done.text.count("no answer in time") == 2, done
    assert 0.9 < done.seconds < plain.seconds + 1 + 3 * vulcan.SLOW


def test_a_signal_ends_a_push(fake_box_agent, server):
    it = server(hang)
    command = fake_box_agent.start("run", "--runtime", "sh", "--push", it.url, "--push-timeout", "300",
                             "-e", "echo hello")
    deadline = time.monotonic() + vulcan.LIMIT_S
    while not it.requests and command.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    command.signal(signal.SIGINT)
    done = command.wait()
    assert done.code == -signal.SIGINT and done.out == b"hello\n", done


def test_run_with_a_daemon_pushes_nothing_itself(fake_box_agent, server):
    it = server(answer(200))
    done = fake_box_agent.run("sh", "exit 0", "--server", "http://127.0.0.1:1", "--push", it.url)
    assert done.code == 125 and "--push has no effect with a daemon" in done.text, done
    assert not it.requests
