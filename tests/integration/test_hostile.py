# SPDX-License-Identifier: Apache-2.0
"""Hostile clients, over real sockets: each costs its own connection and nothing else.
tests/unit/test_http_refused.c covers single requests of this kind."""
import contextlib
import json
import random
import socket
import struct
import time
import urllib.parse

import pytest

import vulcan

VALUES = [None, True, False, 0, -1, 1, 1.5, 1e308, 10 ** 30, -(2 ** 63), 2 ** 64, "", "x", "\0",
          "a\nb", "\U0001f600" * 100, "x" * 70000, [], [[]], [None], ["x", 1], ["\0"],
          ["x"] * 5000, {}, {"": ""}, {"a": None}, {"a": {}}, {"a=b": "c"}, {"A": "x" * 200000},
          {"k%d" % i: "v" for i in range(3000)}]
FIELDS = ["runtime", "code", "code_archive", "entrypoint", "args", "env", "input", "network",
          "isolation", "resources", "", "unknown", "id", "status", "__proto__"]
RAW = {
    "nothing": b"", "a space": b" ", "a BOM": b"\xef\xbb\xbf{}", "null": b"null", "text": b'"x"',
    "a number": b"12", "NaN": b'{"runtime": NaN}', "not UTF-8": b'{"runtime": "\xff\xfe"}',
    "overlong UTF-8": b'{"runtime": "\xc0\x80"}', "a surrogate": b'{"runtime": "\\ud800"}',
    "a NUL": b'{"runtime": "sh\\u0000", "code": "x"}', "NULs": b"\0" * 1000,
    "two objects": b'{"runtime":"sh","code":"x"}{"runtime":"sh","code":"x"}',
    "the same field twice": b'{"runtime":"sh","runtime":"sh","code":"x"}',
    "deep arrays": b"[" * 100000, "deep objects": b'{"a":' * 100000,
    "deep and closed": b'{"runtime":"sh","code":"x","args":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a long number": b'{"resources": {"cpus": ' + b"9" * 100000 + b"}}",
    "cut off": b'{"runtime": "sh", "code": "pri', "a form": b"runtime=sh&code=x",
    "XML": b"<workload/>", "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3\xab\xae\5\0\x43\xbf\xa6\xa3\2\0\0\0",
    "1 MiB of zeros": bytes(1 << 20), "many brackets": b"[]," * 300000,
}


@pytest.fixture
def daemon(fake_box):
    made = fake_box.serve("--max-connections", "400")
    made.where = (lambda at: (at.hostname, at.port))(urllib.parse.urlsplit(made.url))
    yield made
    serves_on(made)
    made.stop()


def serves_on(daemon):
    began = time.monotonic()
    record = daemon.submit("sh", "print still here")
    assert record["status"] == "completed" and vulcan.output_of(record) == b"still here\n"
    assert daemon.json("GET", "/healthz") == {"status": "ok"}
    assert time.monotonic() - began < 5 * vulcan.SLOW


def rejected(daemon, body):
    """An error in JSON with a one-line message; not a server error."""
    status, raw, headers = daemon.request("POST", "/v1/workloads/async", body)
    assert 400 <= status < 500, (status, raw[:500], body if len(str(body)) < 500 else "...")
    assert headers["Content-Type"].startswith("application/json")
    error = json.loads(raw)["error"]
    assert error and "\n" not in error and len(error) < 1000, error


def test_malformed_bodies_are_rejected(daemon):
    for name, body in RAW.items():
        print(name)
        rejected(daemon, body)
    assert daemon.metrics().total(vulcan.WORKLOADS) == 0


def test_no_value_of_a_field_makes_the_daemon_fail(daemon):
    """Some of them form a valid request; none makes the daemon fail."""
    accepted = []
    for field in FIELDS:
        for value in VALUES:
            body = {"runtime": "sh", "code": "exit 0", field: value}
            status, raw, _ = daemon.request("POST", "/v1/workloads", body)
            assert status == 201 or 400 <= status < 500, (status, raw[:300], field, str(value)[:80])
            if status == 201:
                accepted.append((field, str(value)[:30]))
            else:
                error = json.loads(raw)["error"]
                assert "\n" not in error and len(error) < 1000, error
    for field in ("cpus", "mem_mb", "timeout_s", "unknown"):
        for value in VALUES:
            if value in (None, "") or field in ("cpus", "timeout_s") and repr(value) == "1":
                continue
            rejected(daemon, {"runtime": "sh", "code": "exit 0", "resources": {field: value}})
    assert len(accepted) == daemon.metrics().total(vulcan.WORKLOADS), accepted
    assert not [pair for pair in accepted if pair[0] in ("", "unknown", "id", "__proto__")], accepted


def test_malformed_queries_and_paths_are_rejected(daemon):
    for path in ("/v1/workloads?limit=-1", "/v1/workloads?limit=x", "/v1/workloads?offset=-5",
                 "/v1/workloads?limit=99999999999999999999", "/v1/workloads?status=nonsense",
                 "/v1/workloads?status=%00", "/v1/workloads?limit=1&limit=2",
                 "/v1/workloads/%00", "/v1/workloads/" + "A" * 5000, "/v1/workloads/..%2f..%2fx",
                 "/v1/workloads/%ff%fe", "//v1//workloads", "/v1/workloads/'; DROP TABLE x; --",
                 "/%", "/v1/workloads?%"):
        status, raw, _ = daemon.request("GET", path.replace(" ", "%20"))
        assert status in (200, 400, 404, 414), (path, status, raw[:200])
    for name in ("%00", "%", "%zz"):
        status, raw, _ = daemon.request("GET", f"/v1/workloads?limit=1&{name}=1")
        assert status == 400 and "the target has" in json.loads(raw)["error"], (name, raw)
    for name in ("stauts", "%0a", "%ff%fe", "x" * 3000, "limit%20", "limit[]"):
        status, raw, _ = daemon.request("GET", f"/v1/workloads?limit=1&{name}=1")
        error = json.loads(raw)["error"]
        assert status == 400 and "unknown parameter; there are: limit, offset, status" in error
        assert "\n" not in error and len(error) < 200, error


def connect(daemon, lines=b""):
    s = socket.create_connection(daemon.where, timeout=vulcan.LIMIT_S)
    if lines:
        s.sendall(lines)
    return s


HEAD = (b"POST /v1/workloads/async HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n")


def test_many_slow_and_silent_clients_block_nobody(daemon):
    """Connections that send nothing, half a line, half the headers, half a body, or a byte now and
    then: other clients are served meanwhile."""
    before = daemon.metrics()
    with contextlib.ExitStack() as stack:
        for part in (b"", b"GE", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A", HEAD % 1000 + b'{"runt'):
            for _ in range(50):
                stack.enter_context(connect(daemon, part))
        slow = [stack.enter_context(connect(daemon, HEAD % 100000)) for _ in range(50)]
        for _ in range(20):
            for s in slow:
                s.sendall(b" ")
            serves_on(daemon)
        for s in slow[:25]:  # half-open: this side has closed
            s.shutdown(socket.SHUT_WR)
        serves_on(daemon)
    back_to_rest(daemon, before)


def test_connections_beyond_the_limit_replace_idle_ones(daemon):
    """Idle connections make room for clients with requests."""
    before = daemon.metrics()
    with contextlib.ExitStack() as stack:
        for i in range(800):
            stack.enter_context(connect(daemon, b"GET /he" if i % 2 else b""))
            if i % 100 == 99:
                serves_on(daemon)
                assert daemon.metrics().value("vulcan_http_connections") <= 400 + 32
        assert daemon.metrics().value("vulcan_http_evicted_connections_total") >= 400
    back_to_rest(daemon, before)


def test_a_client_that_reads_nothing_blocks_nobody(daemon):
    """It requests more than the sockets hold and reads nothing."""
    for _ in range(20):
        daemon.submit("sh", "bytes 200000")
    (record,) = daemon.json("GET", "/v1/workloads?limit=1")["workloads"]
    request = b"GET /v1/workloads/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % record["id"].encode()
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            s = stack.enter_context(connect(daemon))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(request * 50)
        for _ in range(5):
            serves_on(daemon)


def test_aborted_connections_leave_nothing(daemon):
    """RST at any point of a request."""
    before = daemon.metrics()
    rng = random.Random(3)
    body = json.dumps({"runtime": "sh", "code": "print x"}).encode()
    whole = HEAD % len(body) + body
    for _ in range(200):
        s = connect(daemon, whole[:rng.randrange(len(whole) + 1)])
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    serves_on(daemon)
    back_to_rest(daemon, before)


def test_random_bytes_are_rejected(daemon):
    """Random bytes, alone and in the middle of a request."""
    before = daemon.metrics()
    rng = random.Random(5)
    good = HEAD % 40 + b'{"runtime": "sh", "code": "exit 0" }    '
    for i in range(300):
        noise = bytearray(rng.randbytes(rng.randrange(1, 600)) if i % 2 else good)
        for _ in range(rng.randrange(4)):
            noise[rng.randrange(len(noise))] = rng.randrange(256)
        with connect(daemon) as s, contextlib.suppress(ConnectionError, TimeoutError):
            s.settimeout(0.05)  # the request may have become incomplete
            s.sendall(noise)
            if answer := s.recv(65536):
                assert b" 500 " not in answer[:16], (bytes(noise), answer)
    back_to_rest(daemon, before)


def test_wrong_lengths_are_rejected(daemon):
    for head in (b"Content-Length: -1", b"Content-Length: 99999999999999999999",
                 b"Content-Length: 10\r\nContent-Length: 20", b"Content-Length: 1e3",
                 b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"Transfer-Encoding: nonsense"):
        with connect(daemon) as s, contextlib.suppress(ConnectionError, TimeoutError):
            s.settimeout(0.5)  # the server's idle timeout ends one that waits for more
            s.sendall(b"POST /v1/workloads/async HTTP/1.1\r\nHost: localhost\r\n" + head +
                      b"\r\n\r\nzz\r\nnot a chunk\r\n")
            s.shutdown(socket.SHUT_WR)
            answer = s.recv(65536)
            assert not answer or b" 4" in answer[:13] or b" 5" in answer[:13], (head, answer)
    assert daemon.metrics().total(vulcan.WORKLOADS) == 0


def back_to_rest(daemon, before):
    """Waits until descriptors and threads are as before, once closed connections are noticed."""
    deadline = time.monotonic() + 10 * vulcan.SLOW
    while True:
        now = daemon.metrics()
        more = {n: now.value(n) - before.value(n) for n in ("process_open_fds", "process_threads")}
        # serving other requests may have created a worker and its connection
        if more["process_open_fds"] <= 3 and more["process_threads"] <= 10:
            return
        assert time.monotonic() < deadline, more
        time.sleep(0.05)
