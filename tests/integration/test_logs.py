# SPDX-License-Identifier: Apache-2.0
"""Logs over HTTP: Server-Sent Events, history, retention, and clients that misbehave."""
import base64
import json
import os
import socket
import time
import urllib.parse

import pytest

import vulcan

pytestmark = pytest.mark.any_backend


class Events:
    """A subscriber over a raw connection. Iterating yields (id, event, data) until the body ends."""

    def __init__(self, daemon, path, headers=(), rcvbuf=None, limit=vulcan.LIMIT_S):
        where = urllib.parse.urlsplit(daemon.url)
        self.socket = socket.socket()
        if rcvbuf:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.settimeout(limit)
        self.socket.connect((where.hostname, where.port))
        self.socket.sendall("\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close",
                                         *headers, "", ""]).encode())
        self.comments = 0
        self.file = None

    def open(self):
        """Reads the headers. Until then, the client reads nothing."""
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline().strip()):
            name, value = line.decode().split(": ", 1)
            self.headers[name.lower()] = value
        return self

    def lines(self):
        """Lines of the body, chunked or of a known length."""
        if "content-length" in self.headers:
            yield from self.file.read(int(self.headers["content-length"])).split(b"\n")
            return
        pending = b""
        while size := int(self.file.readline(), 16):
            pending += self.file.read(size)
            assert self.file.read(2) == b"\r\n"
            *lines, pending = pending.split(b"\n")
            yield from lines
        assert pending == b""

    def __iter__(self):
        if not self.file:
            self.open()
        event, data = {}, []
        for line in self.lines():
            if line.startswith(b":"):
                self.comments += 1
            elif line:
                name, value = line.decode().split(": ", 1)
                if name == "data":
                    data.append(value)
                else:
                    event[name] = value
            elif data:
                yield event.get("id"), event.get("event"), "\n".join(data)
                event, data = {}, []

    def close(self):
        if self.file:
            self.file.close()
        self.socket.close()


DONE = (None, "done", "stream complete")


def read_logs(daemon, workload_id, query="", headers=()):
    events = Events(daemon, f"/v1/workloads/{workload_id}/logs{query}", headers)
    try:
        return list(events)
    finally:
        events.close()


def history(daemon, workload_id, query="", want=200):
    return daemon.json("GET", f"/v1/workloads/{workload_id}/logs/history{query}", want=want)


def bytes_of(lines, stream):
    """The bytes of a stream, assembled from its lines."""
    return b"".join((base64.b64decode(x["base64"]) if "base64" in x else x["line"].encode()) +
                    (b"" if x.get("partial") else b"\n") for x in lines if x["stream"] == stream)


def until(condition, limit=vulcan.LIMIT_S):
    deadline = time.monotonic() + limit
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def test_lines_of_an_ended_workload_are_sent(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print one\nerror two\nprint three\nexit 3")
    assert read_logs(daemon, record["id"]) == [("1", None, "one"), ("2", None, "two"),
                                               ("3", None, "three"), DONE]
    page = history(daemon, record["id"])
    assert page["workload_id"] == record["id"]
    assert [(x["seq"], x["stream"], x["line"]) for x in page["lines"]] == [
        (1, "stdout", "one"), (2, "stderr", "two"), (3, "stdout", "three")]
    assert all(record["created_at"] <= x["created_at"] <= record["finished_at"]
               for x in page["lines"])
    assert (page["last_seq"], page["lost"], page["complete"], page["next_after"]) == (3, 0, True,
                                                                                      None)


def test_live_lines_are_followed_by_the_end(fake_box):
    daemon = fake_box.serve()
    record = daemon.start("sh", "print first\nsleep 300\nprint second\nsleep 300\nerror third")
    events = iter(Events(daemon, f"/v1/workloads/{record['id']}/logs?format=json"))
    first = json.loads(next(events)[2])
    assert (first["seq"], first["line"]) == (1, "first")
    assert daemon.json("GET", f"/v1/workloads/{record['id']}")["status"] == "running"
    rest = list(events)
    assert [json.loads(data)["line"] for _, event, data in rest if not event] == ["second",
                                                                                 "third"]
    assert rest[-1] == DONE
    # After the end of the log, the workload has ended.
    assert daemon.json("GET", f"/v1/workloads/{record['id']}")["status"] == "completed"


def test_a_pending_workload_can_be_followed(fake_box):
    daemon = fake_box.serve("--max-vms", "1")
    daemon.start("sh", "sleep 300")
    record = daemon.start("sh", "print x")
    assert read_logs(daemon, record["id"]) == [("1", None, "x"), DONE]


def test_a_stream_resumes_after_the_last_id(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "\n".join(f"print {i}" for i in range(1, 11)))
    last = [("9", None, "9"), ("10", None, "10"), DONE]
    assert read_logs(daemon, record["id"], headers=["Last-Event-ID: 8"]) == last
    assert read_logs(daemon, record["id"], "?after=8") == last
    assert read_logs(daemon, record["id"], "?after=10") == [DONE]
    for query, header in (("?after=x", ()), ("?format=xml", ()), ("?follow=perhaps", ()),
                          ("", ["Last-Event-ID: none"])):
        events = Events(daemon, f"/v1/workloads/{record['id']}/logs{query}", header).open()
        assert events.status == 400
        events.close()


def test_without_follow_the_stored_lines_are_sent(fake_box):
    daemon = fake_box.serve()
    record = daemon.start("sh", "print x\nhang")
    until(lambda: history(daemon, record["id"])["lines"])
    assert read_logs(daemon, record["id"], "?follow=false") == [("1", None, "x"), DONE]
    assert history(daemon, record["id"])["complete"] is False
    daemon.json("DELETE", f"/v1/workloads/{record['id']}")
    assert read_logs(daemon, record["id"]) == [("1", None, "x"), DONE]
    until(lambda: history(daemon, record["id"])["complete"])


def test_an_unknown_workload_gives_404(fake_box):
    daemon = fake_box.serve()
    for name in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"):
        for path in ("logs", "logs/history"):
            status, raw, _ = daemon.request("GET", f"/v1/workloads/{name}/{path}")
            assert status == 404 and b"no workload" in raw


def test_the_history_is_read_in_pages(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "\n".join(f"print {i}" for i in range(1, 26)))
    after, seen = 0, []
    while after is not None:
        page = history(daemon, record["id"], f"?after={after}&limit=10")
        assert len(page["lines"]) <= 10
        seen += [x["seq"] for x in page["lines"]]
        after = page["next_after"]
    assert seen == list(range(1, 26))
    for query in ("?limit=0", "?limit=10001", "?after=-1"):
        history(daemon, record["id"], query, want=400)


def test_bytes_are_exact(fake_box_agent):
    """Not text, no newline at the end, and lines longer than any limit."""
    daemon = fake_box_agent.serve()
    code = r"""
import os, sys, random
r = random.Random(7)
data = bytes(r.randrange(256) for _ in range(50000)) + b"x" * 100000 + b"\r\nq\0\n\n\nend"
os.write(1, b"prompt> ")
for i in range(0, len(data), 7777):
    os.write(1, data[i:i + 7777])
os.write(2, data[::-1])
"""
    record = daemon.submit("python", code)
    assert record["status"] == "completed", record
    import random
    r = random.Random(7)
    data = bytes(r.randrange(256) for _ in range(50000)) + b"x" * 100000 + b"\r\nq\0\n\n\nend"
    lines = history(daemon, record["id"], "?limit=10000")["lines"]
    assert bytes_of(lines, "stdout") == b"prompt> " + data
    assert bytes_of(lines, "stderr") == data[::-1]
    assert [x["seq"] for x in lines] == list(range(1, len(lines) + 1))
    assert all(x["partial"] is True for x in lines if "partial" in x)
    events = read_logs(daemon, record["id"], "?format=json")
    assert [json.loads(data) for _, event, data in events if not event] == lines
    assert len(read_logs(daemon, record["id"])) == len(lines) + 1


def test_logs_outlive_the_daemon(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print kept\nprint too")
    daemon.stop()
    daemon = fake_box.serve()
    assert read_logs(daemon, record["id"]) == [("1", None, "kept"), ("2", None, "too"), DONE]


def test_a_killed_daemon_keeps_written_lines(fake_box):
    daemon = fake_box.serve()
    record = daemon.start("sh", "print kept\nhang")
    until(lambda: daemon.metrics().total("vulcan_log_written_bytes_total") > 0)
    daemon.signal(9)
    daemon.wait()
    daemon = fake_box.serve()
    assert daemon.json("GET", f"/v1/workloads/{record['id']}")["status"] == "failed"
    assert read_logs(daemon, record["id"]) == [("1", None, "kept"), DONE]


def test_lines_beyond_the_limit_are_dropped(fake_box):
    daemon = fake_box.serve("--log-lines-max", "10")
    record = daemon.submit("sh", "\n".join(f"print {i}" for i in range(1, 31)))
    events = read_logs(daemon, record["id"])
    assert events[:10] == [(str(i), None, str(i)) for i in range(1, 11)]
    assert events[-1] == DONE and len(events) == 12
    assert events[10][:2] == ("30", "dropped")
    assert json.loads(events[10][2]).items() >= {"count": 20, "from_seq": 11, "to_seq": 30}.items()
    page = until(lambda: (p := history(daemon, record["id"]))["complete"] and p)
    assert (len(page["lines"]), page["last_seq"], page["lost"]) == (10, 30, 20)
    assert daemon.metrics().value("vulcan_log_dropped_lines_total", reason="limit") == 20


FLOOD = 24 << 20  # more than TCP windows and socket buffers hold


def flood_code():
    return f"import os\nline = b'y' * 999 + b'\\n'\nfor _ in range({FLOOD // 1000}): os.write(1, line)"


def test_a_client_that_reads_nothing_loses_lines_and_is_notified(fake_box_agent):
    daemon = fake_box_agent.serve("--output-record-max", "0")
    record = daemon.start("python", "import time\ntime.sleep(0.5)\n" + flood_code() +
                          "\nprint('last', flush=True)\ntime.sleep(600)")
    slow = Events(daemon, f"/v1/workloads/{record['id']}/logs", rcvbuf=4096)
    until(lambda: history(daemon, record["id"], "?limit=1")["last_seq"] > FLOOD // 1000)
    seen, dropped = [], []
    for number, event, data in slow:  # now the client reads
        if event == "dropped":
            dropped.append(json.loads(data))
            seen += range(dropped[-1]["from_seq"], dropped[-1]["to_seq"] + 1)
        else:
            seen.append(int(number))
        if data == "last":
            break
    slow.close()
    assert dropped and {d["reason"] for d in dropped} == {"slow"}
    assert seen == list(range(1, FLOOD // 1000 + 2))  # each line arrived, or was reported as dropped
    lost = dropped[0]
    assert lost["count"] == lost["to_seq"] - lost["from_seq"] + 1
    page = history(daemon, record["id"], f"?after={lost['from_seq'] - 1}&limit=3")
    assert [x["seq"] for x in page["lines"]] == [lost["from_seq"] + i for i in range(3)]
    assert daemon.metrics().value("vulcan_log_dropped_lines_total", reason="slow") == sum(
        d["count"] for d in dropped)
    daemon.json("DELETE", f"/v1/workloads/{record['id']}")


def test_a_very_slow_reader_blocks_nobody(fake_box_agent):
    daemon = fake_box_agent.serve()
    record = daemon.submit("python", flood_code())
    slow = Events(daemon, f"/v1/workloads/{record['id']}/logs", rcvbuf=4096)
    silent = Events(daemon, f"/v1/workloads/{record['id']}/logs", rcvbuf=4096)
    began = time.monotonic()
    for _ in range(3):
        assert slow.socket.recv(1)
        assert daemon.submit("sh", "print x")["status"] == "completed"
    events = read_logs(daemon, record["id"])
    assert len(events) == FLOOD // 1000 + 1 and events[-1] == DONE
    assert time.monotonic() - began < vulcan.LIMIT_S
    slow.close()
    silent.close()


def test_a_thousand_idle_subscribers_cost_little(fake_box):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2200:
        pytest.skip(f"needs 2200 descriptors, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    daemon = fake_box.serve("--max-connections", "1200")
    record = daemon.start("sh", "print hello\nhang")
    until(lambda: history(daemon, record["id"])["lines"])
    before = daemon.metrics()
    clients = [Events(daemon, f"/v1/workloads/{record['id']}/logs") for _ in range(1000)]
    try:
        streams = [iter(c) for c in clients]
        assert all(next(s) == ("1", None, "hello") for s in streams)
        metrics = daemon.metrics()
        assert metrics.value("vulcan_log_subscribers") == 1000
        assert metrics.value("process_threads") <= before.value("process_threads") + 2
        if not vulcan.SANITIZED:
            grown = metrics.value("process_resident_memory_bytes") - before.value(
                "process_resident_memory_bytes")
            assert grown < 16 << 20
        used = metrics.value("process_cpu_seconds_total")
        time.sleep(1)  # while nothing happens, the daemon does nothing
        assert daemon.metrics().value("process_cpu_seconds_total") - used < 0.5
        assert daemon.submit("sh", "print x")["status"] == "completed"
        daemon.json("DELETE", f"/v1/workloads/{record['id']}")
        assert all(list(s) == [DONE] for s in streams)
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    until(lambda: daemon.metrics().value("vulcan_log_subscribers") == 0)


def test_a_stopping_daemon_notifies_its_subscribers(fake_box):
    daemon = fake_box.serve("--drain", "0s")
    record = daemon.start("sh", "print x\nhang")
    until(lambda: history(daemon, record["id"])["lines"])
    events = iter(Events(daemon, f"/v1/workloads/{record['id']}/logs"))
    assert next(events) == ("1", None, "x")
    daemon.signal(15)
    assert list(events) == [DONE]
    assert daemon.wait().code == 0


def test_a_damaged_file_is_renamed(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print gone")
    daemon.stop()
    path = os.path.join(fake_box.state, "logs.db")
    with open(path, "r+b") as f:
        f.write(b"no database at all" * 100)
    daemon = fake_box.serve()
    daemon.wait_for("was damaged and has been moved to", "err")
    assert any(".damaged-" in name for name in os.listdir(fake_box.state))
    # The record is still there; its lines are lost.
    assert daemon.json("GET", f"/v1/workloads/{record['id']}")["status"] == "completed"
    assert read_logs(daemon, record["id"]) == [DONE]
    page = history(daemon, record["id"])
    assert page["lines"] == [] and page["complete"]


def test_old_lines_are_deleted(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print old")
    assert history(daemon, record["id"])["lines"]
    daemon.stop()
    time.sleep(1.1)
    daemon = fake_box.serve("--log-age-max", "1s")
    until(lambda: daemon.metrics().value("vulcan_log_expired_lines_total") == 1)
    assert history(daemon, record["id"])["lines"] == []
    assert read_logs(daemon, record["id"]) == [DONE]


def test_openapi_is_served(fake_box):
    document = fake_box.serve().json("GET", "/v1/openapi.json")
    assert document["openapi"].startswith("3.1.")
    assert "/v1/workloads/{id}/logs" in document["paths"]
