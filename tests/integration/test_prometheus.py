# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes `vulcan serve` and answers queries; promtool finds no fault."""
import concurrent.futures
import gzip
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import pytest

import vulcan
from vulcan import ACTIVE, BOOT, CLEANUP, VSOCK, WORKLOADS

QUERIES = {
    f"{BOOT}_count": 2,
    f"{ACTIVE}": 0,
    f"{VSOCK}_count": 2,
    f"{CLEANUP}_count": 2,
    f'{WORKLOADS}{{runtime="sh",status="completed"}}': 1,
    f'{WORKLOADS}{{runtime="sh",status="failed"}}': 1,
    f'{WORKLOADS}{{runtime="sh",status="killed"}}': 0,
    f"sum({WORKLOADS})": 2,
}
SCRAPE = f"{200 * vulcan.SLOW}ms"
QUANTILES = (BOOT, VSOCK, CLEANUP)


def need(program):
    if not shutil.which(program):
        pytest.skip(f"no {program}: apt-get install prometheus")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Prometheus:
    def __init__(self, folder, target):
        port = free_port()
        config = os.path.join(folder, "prometheus.yml")
        with open(config, "w", encoding="ascii") as f:
            f.write(f"global: {{scrape_interval: {SCRAPE}, scrape_timeout: {SCRAPE}}}\n"
                    "scrape_configs:\n"
                    "  - job_name: vulcan\n"
                    f"    static_configs: [{{targets: ['{target}']}}]\n")
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}",
             f"--storage.tsdb.path={folder}/prometheus", "--log.level=warn"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def query(self, text):
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': text})}"
        with urllib.request.urlopen(url, timeout=vulcan.LIMIT_S) as answer:
            return [float(r["value"][1]) for r in json.load(answer)["data"]["result"]]

    def until(self, text, want, limit=vulcan.LIMIT_S):
        """Prometheus scrapes on its own schedule, so its answers are polled."""
        deadline, last = time.monotonic() + limit, None
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.process.stderr.read()
            try:
                last = self.query(text)
                if last == want:
                    return
            except OSError as error:
                last = error
            time.sleep(0.1)
        raise AssertionError(f"{text}: {last}, not {want}")

    def close(self):
        self.process.kill()
        self.process.communicate()


def test_prometheus_scrapes_and_answers(fake_box):
    need("prometheus")
    daemon = fake_box.serve()
    prometheus = Prometheus(fake_box.folder, daemon.url.removeprefix("http://"))
    try:
        prometheus.until('up{job="vulcan"}', [1.0])
        daemon.submit("sh", "print x")
        daemon.submit("sh", "hang", resources={"timeout_s": 1})
        for text, want in QUERIES.items():
            prometheus.until(text, [float(want)])
        for name in QUANTILES:
            (value,) = prometheus.query(f"histogram_quantile(0.5, {name}_bucket)")
            assert 0 < value < 10 * vulcan.SLOW, (name, value)
        targets = urllib.request.urlopen(f"{prometheus.url}/api/v1/targets", timeout=vulcan.LIMIT_S)
        with targets:
            (target,) = json.load(targets)["data"]["activeTargets"]
        assert target["health"] == "up" and target["lastError"] == "", target
    finally:
        prometheus.close()


def test_promtool_finds_no_fault(fake_box):
    need("promtool")
    daemon = fake_box.serve()
    daemon.submit("sh", "print x")
    daemon.request("GET", "/nowhere")
    status, text, headers = daemon.request("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers["Content-Type"]
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                           check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b""), check


def test_openmetrics_passes_a_strict_parser(fake_box):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser",
                                 reason="no python3-prometheus-client")
    daemon = fake_box.serve()
    daemon.submit("sh", "print x")
    status, raw, headers = daemon.request("GET", "/metrics", headers={
        "Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
        "Accept-Encoding": "gzip"})
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    text = gzip.decompress(raw).decode()
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    assert {BOOT, ACTIVE, VSOCK, CLEANUP, WORKLOADS.removesuffix("_total")} <= set(families)
    samples = families[WORKLOADS.removesuffix("_total")].samples
    assert sum(s.value for s in samples if s.name == WORKLOADS) == 1


def resident_kb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field))


@pytest.mark.skipif(vulcan.SANITIZED, reason="sanitizers have memory of their own")
def test_many_scrapers_cost_little(fake_box):
    """However many scrape at the same time, in any format, few bodies are rendered and kept."""
    clients, scrapes = 48, 20
    daemon = fake_box.serve()
    daemon.metrics()
    pid = daemon.process.pid
    before = resident_kb(pid, "VmRSS:")
    wanted = [{}, {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "zstd"},
              {"Accept": "application/openmetrics-text;version=1.0.0"}]

    def scrape(i):
        answers = [daemon.request("GET", "/metrics", headers=wanted[(i + n) % len(wanted)])
                   for n in range(scrapes)]
        assert all(status == 200 and body for status, body, _ in answers), answers

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        list(pool.map(scrape, range(clients)))
    grown = resident_kb(pid, "VmHWM:") - before
    assert grown < 16 * 1024, grown
    metrics = daemon.metrics()
    assert metrics.value("prom_scrapes_total", code="200") == clients * scrapes + 1
    assert metrics.value("prom_scrapes_in_flight") == 1  # this scrape itself


def test_run_prints_its_metrics(box):
    result = box.run("sh", "echo hello", "--metrics")
    assert result.code == 0, result
    out = result.out.decode()
    assert out.startswith("hello\n"), result
    metrics = vulcan.Metrics(out + result.text)
    assert [metrics.count(name) for name in QUANTILES] == [1, 1, 1]
    assert metrics.value(ACTIVE) == 0
    assert metrics.value(WORKLOADS, runtime="sh", status="completed") == 1
    assert metrics.total(WORKLOADS) == 1


def test_requests_are_counted_by_route(fake_box):
    daemon = fake_box.serve()
    daemon.request("GET", "/healthz")
    workload_id = daemon.submit("sh", "exit 0")["id"]
    daemon.json("GET", f"/v1/workloads/{workload_id}")
    daemon.request("GET", "/no/such/route/" + workload_id)
    metrics = daemon.metrics()
    count = "vulcan_http_requests_total"
    assert metrics.value(count, method="GET", path="/healthz", status="200") == 1
    assert metrics.value(count, method="POST", path="/v1/workloads", status="201") == 1
    assert metrics.value(count, method="GET", path="/v1/workloads/{id}", status="200") == 1
    assert metrics.value(count, method="GET", path="unmatched", status="404") == 1
    assert workload_id not in metrics.text
    assert metrics.value("vulcan_http_request_duration_seconds_count", method="GET",
                         path="/healthz") == 1
