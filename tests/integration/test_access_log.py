# SPDX-License-Identifier: Apache-2.0
"""The daemon's log: one line per request, ids that connect lines and responses, JSON, and a reader
that has stopped."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import vulcan

pytestmark = pytest.mark.any_backend

ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


def objects(text):
    """Each line of the log as an object."""
    return [json.loads(line) for line in text.splitlines()]


def test_each_request_is_logged_as_one_object(fake_box):
    daemon = fake_box.serve("--access-log", "on", "--log-format", "json")
    ids = {}
    for method, path, want in (("GET", "/healthz", 200), ("GET", "/nothing", 404),
                               ("DELETE", "/v1/stats", 405), ("GET", "/v1/workloads?limit=x", 400),
                               ("GET", "/v1/a%0a%7b%22level%22:%22error%22%7d", 404)):
        status, raw, headers = daemon.request(method, path)
        assert status == want
        ids[path.partition("?")[0]] = headers["X-Request-Id"]
        assert want == 200 or json.loads(raw)["request_id"] == headers["X-Request-Id"]
        assert re.fullmatch(ULID, headers["X-Request-Id"])
    status, _, headers = daemon.request("GET", "/healthz", headers={"X-Request-Id": "mine-1"})
    assert headers["X-Request-Id"] == "mine-1"
    workload = daemon.submit("sh", "print x")
    lines = objects(daemon.stop().text)
    assert all(set(line) >= {"ts", "level", "msg"} for line in lines)
    requests = [line for line in lines if line["msg"] == "request"]
    assert [(r["method"], r["path"], r["status"]) for r in requests] == [
        ("GET", "/healthz", 200), ("GET", "/nothing", 404), ("DELETE", "/v1/stats", 405),
        ("GET", "/v1/workloads", 400), ("GET", '/v1/a\n{"level":"error"}', 404),
        ("GET", "/healthz", 200), ("POST", "/v1/workloads", 201)]
    assert [r["request_id"] for r in requests[:3]] == \
        [ids["/healthz"], ids["/nothing"], ids["/v1/stats"]]
    assert requests[5]["request_id"] == "mine-1"
    assert requests[6]["workload"] == workload["id"] and requests[6]["duration_ms"] > 0
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+", r["client"]) for r in requests)


def test_the_access_log_is_off_by_default(fake_box):
    daemon = fake_box.serve()
    daemon.request("GET", "/nothing")
    assert "request" not in daemon.stop().text


def test_the_setting_errors_logs_only_errors(fake_box):
    daemon = fake_box.serve("--access-log", "errors", "--log-level", "error")
    daemon.request("GET", "/healthz")
    daemon.request("GET", "/no where".replace(" ", "%20"))
    lines = [line for line in daemon.stop().text.splitlines() if " request " in line]
    assert len(lines) == 1, lines
    assert re.fullmatch(r'info: request method=GET path="/no where" client=127\.0\.0\.1:\d+ '
                        rf"request_id={ULID} status=404 bytes=\d+ duration_ms=[\d.]+", lines[0])


@pytest.mark.parametrize("words, code", [(["ls", "--server", "http://127.0.0.1:1"], 1),
                                         (["ls", "--no-such-flag"], 2), (["no-verb"], 2),
                                         (["serve", "--max-vms", "x"], 2),
                                         (["run", "--runtime", "none-such", "-e", "x"], 125)])
def test_all_verbs_write_messages_as_json(fake_box, words, code):
    fake_box.env["VULCAN_LOG_FORMAT"] = "json"
    result = fake_box.vulcan(*words)
    assert result.code == code
    lines = objects(result.err.decode())
    assert lines and lines[-1]["level"] == "error" and lines[-1]["msg"], result


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=vulcan.LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_a_stopped_reader_delays_no_request(fake_box):
    path = os.path.join(fake_box.folder, "s")
    read_end, write_end = os.pipe()
    daemon = subprocess.Popen(
        vulcan.wrap([vulcan.VULCAN, "serve", "--listen", "unix:" + path, "--access-log", "on"]),
        env=fake_box.env, stdin=subprocess.DEVNULL, stderr=write_end)
    os.close(write_end)
    try:
        # Wait until the daemon listens; from then on, nobody reads its log.
        with os.fdopen(os.dup(read_end), "rb", buffering=0) as said:
            while b"listening" not in said.read(4096):
                pass
        client = Unix(path)
        for _ in range(6000):
            client.request("GET", "/nothing-" + "x" * 60)
            answer = client.getresponse()
            answer.read()
            assert answer.status == 404
        client.request("GET", "/metrics")
        text = client.getresponse().read().decode()
        dropped = re.search(r"^vulcan_http_access_log_dropped_total (\S+)$", text, re.M)
        assert float(dropped.group(1)) > 0
        began = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(vulcan.LIMIT_S) == 0
        assert time.monotonic() - began < vulcan.LIMIT_S / 2
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
        os.close(read_end)
