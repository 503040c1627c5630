# SPDX-License-Identifier: Apache-2.0
"""The HTTP API: its routes, requests and statuses."""
import base64
import http.client
import re
import socket
import threading
import urllib.parse

import pytest

import vulcan

pytestmark = pytest.mark.any_backend

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def test_healthz_answers_ok(fake_box):
    assert fake_box.serve().json("GET", "/healthz") == {"status": "ok"}


@pytest.mark.needs_vmm
def test_a_workload_is_run_and_recorded(box):
    daemon = box.serve()
    record = daemon.submit("sh", "echo out; echo err >&2; cat; exit 3", input="word\n",
                           args=["a"], env={"NAME": "value"},
                           resources={"cpus": 1, "timeout_s": 30})
    assert ULID.fullmatch(record["id"])
    assert record["status"] == "completed" and record["exit_code"] == 3, record
    assert sorted(vulcan.output_of(record).splitlines()) == [b"err", b"out", b"word"]
    assert record["runtime"] == "sh" and record["isolation"] == "microvm"
    assert record["timeout_s"] == 30 and record["error"] in ("", None)
    assert record["created_at"] <= record["started_at"] <= record["finished_at"]
    assert record["duration_ms"] >= 0 and record["node_id"]
    assert daemon.json("GET", f"/v1/workloads/{record['id']}") == record


@pytest.mark.parametrize("body, want", [
    ('"text\\n"', b"text\n"),
    ('{"a": [1, 0.1, "x y"],\n "n": 12345678901234567890123}',
     b'{"a":[1,0.1,"x y"],"n":12345678901234567890123}'),
    ("[]", b"[]"), ("-1.50", b"-1.50"), ("false", b"false"), ("null", b""),
])
def test_input_may_be_any_json(fake_box_agent, body, want):
    """Clients of earlier versions send it like this."""
    raw = b'{"runtime": "sh", "code": "cat", "input": %s}' % body.encode()
    record = fake_box_agent.serve().json("POST", "/v1/workloads", raw, 201)
    assert vulcan.output_of(record) == want, record


def test_empty_fields_count_as_absent(fake_box):
    import test_bad_input
    import tarfile
    daemon = fake_box.serve()
    record = daemon.submit("sh", "", isolation="", network="", entrypoint="", code_archive="",
                           input_base64="")
    assert (record["status"], record["exit_code"]) == ("completed", 0), record
    code = test_bad_input.archive((tarfile.TarInfo("main.sh"), b"print x\n"))
    record = daemon.submit("sh", "", code_archive=base64.b64encode(code).decode())
    assert record["status"] == "completed", record


def test_a_trailing_slash_is_ignored(fake_box):
    daemon = fake_box.serve()
    record = daemon.json("POST", "/v1/workloads/", {"runtime": "sh", "code": "exit 0"}, 201)
    for path in ("/healthz", "/metrics", "/v1/workloads", f"/v1/workloads/{record['id']}",
                 f"/v1/workloads/{record['id']}/logs", "/v1/backends", "/v1/stats",
                 f"/v1/workloads/{record['id']}/logs/history", "/v1/openapi.json"):
        assert daemon.request("GET", path + "/")[0] == 200, path
        assert daemon.request("GET", path + "//")[0] == 404, path


def test_async_returns_before_the_end(fake_box):
    daemon = fake_box.serve()
    first = daemon.start("sh", "sleep 50\nprint later\nexit 4")
    assert first["status"] == "pending" and ULID.fullmatch(first["id"])
    record = daemon.until_ended(first["id"])
    assert (record["status"], record["exit_code"]) == ("completed", 4)
    assert vulcan.output_of(record) == b"later\n"


def test_wait_false_does_not_wait(fake_box):
    daemon = fake_box.serve()
    status, raw, _ = daemon.request("POST", "/v1/workloads?wait=false",
                                    {"runtime": "sh", "code": "sleep 50"})
    assert status in (201, 202), raw
    workload_id = re.search(ULID, raw.decode()).group()
    assert daemon.until_ended(workload_id)["status"] == "completed"


def test_an_archive_is_run(fake_box):
    import test_bad_input
    import tarfile
    code = test_bad_input.archive((tarfile.TarInfo("main.sh"), b"print x\n"))
    daemon = fake_box.serve()
    record = daemon.json("POST", "/v1/workloads", {
        "runtime": "sh", "code_archive": base64.b64encode(code).decode()}, 201)
    assert record["status"] == "completed", record


@pytest.mark.needs_vmm
def test_backends_are_listed(fake_box):
    (backend,) = fake_box.serve("--max-vms", "3").json("GET", "/v1/backends")
    assert backend["name"] == "firecracker"
    can = backend["capabilities"]
    assert can["supported_runtimes"] == ["python", "sh"]
    assert can["supported_isolations"] == ["microvm"]
    assert can["max_concurrency"] == 3


@pytest.mark.needs_vmm
def test_many_workloads_run_concurrently(fake_box):
    daemon = fake_box.serve("--max-vms", "4", "--max-queue", "100")
    records, threads = [], []
    for i in range(40):
        threads.append(threading.Thread(
            target=lambda i=i: records.append((i, daemon.submit("sh", f"print {i}\nexit {i}")))))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(records) == 40
    for i, record in records:
        assert (record["status"], record["exit_code"]) == ("completed", i)
        assert vulcan.output_of(record) == b"%d\n" % i
    metrics = daemon.metrics()
    assert metrics.value(vulcan.WORKLOADS, runtime="sh", status="completed") == 40
    for name in (vulcan.BOOT, vulcan.VSOCK, vulcan.CLEANUP):
        assert metrics.count(name) == 40
    assert metrics.value(vulcan.ACTIVE) == 0


def test_a_full_queue_gives_429(fake_box):
    daemon = fake_box.serve("--max-vms", "1", "--max-queue", "1")
    body = {"runtime": "sh", "code": "hang", "resources": {"timeout_s": 2}}
    statuses = [daemon.request("POST", "/v1/workloads/async", body) for _ in range(6)]
    refused = [(raw, headers) for status, raw, headers in statuses if status == 429]
    assert {status for status, _, _ in statuses} == {202, 429}
    for raw, headers in refused:
        assert b'"error"' in raw and int(headers["Retry-After"]) > 0
    daemon.stop()


def test_a_workload_survives_its_client(fake_box):
    daemon = fake_box.serve()
    where = urllib.parse.urlsplit(daemon.url)
    for half in (b"POST /v1/workloads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
                 b"GET /met", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection((where.hostname, where.port)) as s:
            s.sendall(half)
    idle = [socket.create_connection((where.hostname, where.port)) for _ in range(20)]
    assert daemon.submit("sh", "print x")["status"] == "completed"
    for s in idle:
        s.close()


def test_head_keeps_the_connection(fake_box):
    where = urllib.parse.urlsplit(fake_box.serve().url)
    client = http.client.HTTPConnection(where.hostname, where.port, timeout=vulcan.LIMIT_S)
    for method in ("GET", "HEAD", "GET"):
        client.request(method, "/healthz")
        answer = client.getresponse()
        assert answer.status == 200
        answer.read()
    client.close()


@pytest.mark.parametrize("token", ["right", "wrong", "none"])
def test_a_token_is_required(fake_box, token):
    path = fake_box.file("token", "s3cret-token-of-20b\n")
    daemon = fake_box.serve("--token-file", path)
    headers = {"right": {"Authorization": "Bearer s3cret-token-of-20b"},
               "wrong": {"Authorization": "Bearer s3cret-token-of-20X"}, "none": {}}[token]
    status, _, answer = daemon.request("GET", "/v1/backends", headers=headers)
    assert status == (200 if token == "right" else 401)
    assert token == "right" or "Bearer" in answer["WWW-Authenticate"]
