# SPDX-License-Identifier: Apache-2.0
"""The daemon is killed at any moment, and the next start recovers: nothing is left behind, no
accepted workload is lost, nothing is recorded twice. VULCAN_TEST_KILLS sets the number of kills."""
import http.client
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import threading
import time
import urllib.parse

import pytest

import leaks
import vulcan

PLAIN = not vulcan.SANITIZED
KILLS = int(os.environ.get("VULCAN_TEST_KILLS", "200" if PLAIN else "40"))
KILLS_NET, KILLS_VMM = max(2, KILLS // 16), max(2, KILLS // 60)
CLIENTS = 3
RECLAIMED = "vulcan_firecracker_leaks_reclaimed_total"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
CODES = ("print x", "sleep 3\nprint x", "sleep 15\nexit 3", "hang", "bytes 300000\nsleep 2", "oom")
RESTARTED = "daemon was restarted"


class Client(threading.Thread):
    """Submits workloads until the daemon dies. `accepted` holds those answered with 202. Each one
    has a different time limit, by which its record is recognised."""

    def __init__(self, daemon, marks, rng, codes, **more):
        super().__init__(daemon=True)
        where = urllib.parse.urlsplit(daemon.url)
        self.connection = http.client.HTTPConnection(where.hostname, where.port, timeout=vulcan.LIMIT_S)
        self.marks, self.rng, self.codes, self.more = marks, rng, codes, more
        self.accepted, self.odd = {}, []
        self.start()

    def run(self):
        try:
            for mark in self.marks:
                self.submit(mark)
                if self.rng.random() < 0.3 and self.accepted:
                    self.kill(self.rng.choice(list(self.accepted)))
        except (OSError, http.client.HTTPException):
            pass  # the daemon was killed, as planned
        finally:
            self.connection.close()

    def ask(self, method, path, body=None):
        self.connection.request(method, path, body and json.dumps(body))
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def submit(self, mark):
        status, raw = self.ask("POST", "/v1/workloads/async", {
            "runtime": "sh", "code": self.rng.choice(self.codes), **self.more,
            "resources": {"timeout_s": mark}})
        if status == 202:
            self.accepted[json.loads(raw)["id"]] = mark
        elif status not in (429, 503):
            self.odd.append((status, raw))

    def kill(self, workload_id):
        status, raw = self.ask("DELETE", f"/v1/workloads/{workload_id}")
        if status not in (200, 409):
            self.odd.append((status, raw))


class Victim:
    """A daemon that is killed again and again over one state directory."""

    def __init__(self, box, *words, codes=CODES, **fields):
        self.box, self.words, self.codes, self.fields = box, words, codes, fields
        seed = int(os.environ.get("VULCAN_TEST_SEED", str(random.randrange(1 << 30))))
        print(f"VULCAN_TEST_SEED={seed}")  # printed if the test fails
        self.rng = random.Random(seed)
        self.accepted = {}  # id: mark, of all processes
        self.next_mark = 1000
        self.before = leaks.Snapshot()
        self.reclaimed = {}

    def start(self):
        """Starts the daemon and compares its state with that of its predecessor."""
        left = directories(self.box.state)
        daemon = self.box.serve("--max-vms", "6", "--max-queue", "50", *self.words)
        metrics = daemon.metrics()
        assert metrics.total(vulcan.WORKLOADS) == 0  # workloads of the last process are not counted again
        assert metrics.value(vulcan.ACTIVE) == 0
        assert metrics.total(RECLAIMED, kind="directory") == len(left), left
        assert directories(self.box.state) == [], daemon.log()
        self.check_records(daemon)
        self.check_processes(daemon)
        for (name, labels), value in metrics.items():
            if name == RECLAIMED:
                kind = dict(labels)["kind"]
                self.reclaimed[kind] = self.reclaimed.get(kind, 0) + value
        return daemon

    def check_records(self, daemon):
        """No workload is unfinished, no accepted one is missing, and none is recorded twice."""
        with records(self.box.state) as db:
            assert db.execute("SELECT count(*) FROM workloads WHERE status IN "
                              "('pending','running')").fetchone() == (0,)
            rows = db.execute("SELECT id, timeout_s, status, error FROM workloads").fetchall()
        marks = [mark for _, mark, _, _ in rows]
        assert len(set(marks)) == len(marks), "a workload is recorded twice"
        found = {row[0]: row for row in rows}
        lost = {i: m for i, m in self.accepted.items() if i not in found}
        assert not lost, f"accepted, and not in the store: {lost}\n{daemon.log()}"
        for workload_id, mark, status, error in rows:
            assert self.accepted.get(workload_id, mark) == mark
            assert status != "failed" or error, (workload_id, status)

    def check_processes(self, daemon):
        deadline = time.monotonic() + leaks.SETTLE_S
        while True:
            new = {k: v for k, v in leaks.processes().items() if k not in self.before.processes}
            others = {k: v for k, v in new.items() if k[0] != daemon.process.pid}
            if not others:
                return
            assert time.monotonic() < deadline, f"outlives its daemon: {others}"
            leaks.wait_for_end(next(iter(others))[0], 0.2)

    def live(self, daemon, longest_s):
        """Submissions from several clients, and SIGKILL at some moment."""
        clients = []
        for _ in range(CLIENTS):
            marks = range(self.next_mark, self.next_mark + 12)
            self.next_mark += 12
            clients.append(Client(daemon, marks, random.Random(self.rng.random()), self.codes,
                                  **self.fields))
        time.sleep(self.rng.uniform(0, longest_s))
        daemon.process.kill()
        daemon.wait()
        for client in clients:
            client.join(vulcan.LIMIT_S)
            assert not client.odd, client.odd
            self.accepted.update(client.accepted)

    def die_young(self, longest_s):
        """SIGKILL during the start, and so while it removes what its predecessor left."""
        command = self.box.start("serve", "--listen", "127.0.0.1:0", *self.words)
        time.sleep(self.rng.uniform(0, longest_s))
        command.process.kill()
        command.wait()

    def end(self):
        """A last start; after it, nothing but the records may be left."""
        daemon = self.start()
        record = daemon.submit("sh", "print done", **self.fields)
        assert record["status"] == "completed", record
        daemon.stop()
        left = self.before.left(self.box)
        assert not left, left
        print(f"accepted {len(self.accepted)}, reclaimed {self.reclaimed}")


def directories(state):
    try:
        return [name for name in os.listdir(os.path.join(state, "vms"))
                if ULID.fullmatch(name) or name.startswith("new-")]
    except FileNotFoundError:
        return []


class records:
    """The store's file, read beside the daemon."""

    def __init__(self, state):
        self.path = os.path.join(state, "vulcan.db")

    def __enter__(self):
        self.db = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=vulcan.LIMIT_S)
        return self.db

    def __exit__(self, *_):
        self.db.close()


def test_a_kill_at_any_moment_loses_nothing(fake_box):
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:0-10"
    victim = Victim(fake_box)
    for i in range(KILLS):
        if i % 8 == 7:
            victim.die_young(0.05)
        victim.live(victim.start(), 0.05 * vulcan.SLOW)
    victim.end()
    assert len(victim.accepted) > KILLS and victim.reclaimed["directory"] > KILLS // 4


def test_interrupted_workloads_are_counted(fake_box):
    interrupted = "vulcan_workloads_interrupted_total"
    daemon = fake_box.serve("--max-vms", "2")
    assert daemon.metrics().value(interrupted) == 0
    ids = [daemon.start("sh", "hang")["id"] for _ in range(5)]
    ended = daemon.start("python", "print x")["id"]
    assert daemon.request("DELETE", f"/v1/workloads/{ended}")[0] == 200
    until_active(daemon, 2)
    daemon.process.kill()
    daemon.wait()
    daemon = fake_box.serve("--max-vms", "2")
    assert {daemon.json("GET", f"/v1/workloads/{i}")["error"] for i in ids} == \
        {"the daemon was restarted"}
    metrics = daemon.metrics()
    assert metrics.value(interrupted) == 5
    assert metrics.value("vulcan_workloads_accepted_total") == 0  # of this process
    daemon.stop()
    assert fake_box.serve().metrics().value(interrupted) == 0


needs_network = [
    pytest.mark.skipif(not leaks.ISOLATED, reason="needs namespaces: run it by tools/test as root"),
    pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun"),
]


def marked(marks):
    def mark(test):
        for one in marks:
            test = one(test)
        return test
    return mark


@marked(needs_network)
def test_a_kill_leaves_no_network(fake_box):
    victim = Victim(fake_box, network="nat")
    for i in range(KILLS_NET):
        if i % 4 == 3:
            victim.die_young(0.1)
        victim.live(victim.start(), 0.15 * vulcan.SLOW)
        # the next start removes interfaces and rules; the fixture would find them otherwise
    daemon = victim.start()
    left = [line for line in victim.before.left() if not line.startswith("process")]
    assert not left, left
    daemon.stop()
    victim.end()
    assert victim.reclaimed["directory"] > 0 and victim.reclaimed["tap"] > 0, victim.reclaimed


@marked(needs_network)
def test_a_network_without_its_directory_is_removed(fake_box):
    """The state after a start that was killed while it removed remains."""
    before = leaks.Snapshot()
    daemon = fake_box.serve()
    for _ in range(2):
        daemon.start("sh", "hang", network="nat")
    until_active(daemon, 2)
    daemon.process.kill()
    daemon.wait()
    assert any(line.startswith("network interface") for line in before.left())
    for name in directories(fake_box.state):
        shutil.rmtree(os.path.join(fake_box.state, "vms", name))
    daemon = fake_box.serve()
    metrics = daemon.metrics()
    assert {kind: metrics.value(RECLAIMED, kind=kind) for kind in (
        "process", "directory", "tap", "bridge", "rules")} == {
            "process": 0, "directory": 0, "tap": 2, "bridge": 1, "rules": 1}
    daemon.stop()
    assert not before.left(fake_box)


def until_active(daemon, n):
    deadline = time.monotonic() + vulcan.LIMIT_S
    while daemon.metrics().value(vulcan.ACTIVE) != n:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.vms_only
def test_a_kill_with_real_guests_leaves_nothing(box):
    victim = Victim(box, codes=["echo x", "sleep 1000", "while :; do :; done"])
    for _ in range(KILLS_VMM):
        victim.live(victim.start(), 1.5)
    victim.start().stop()
    left = victim.before.left(box)
    assert not left, left


# ---- power failure ------------------------------------------------------------------------------

def freeze_and_copy(daemon, clients, state, to):
    """Copies the files as they are at one moment, as after a power failure. Returns what had been
    accepted."""
    daemon.signal(signal.SIGSTOP)
    try:
        while states_of(daemon.process.pid) != {"T"}:  # a thread may be waiting for the disk
            pass
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to)
        for name in os.listdir(state):
            if ".db" in name and not name.endswith("-shm"):  # shared memory does not survive
                shutil.copy(os.path.join(state, name), to)
        return {i for client in clients for i in list(client.accepted)}
    finally:
        daemon.signal(signal.SIGCONT)


def states_of(pid):
    found = set()
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="utf-8", errors="replace") as f:
            found.add(f.read().rsplit(")", 1)[1].split()[0])
    return found


def ids_in(folder):
    db = sqlite3.connect(os.path.join(folder, "vulcan.db"))
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name='workloads'").fetchone():
            return set()  # so early that even the schema was in the lost part
        return {row[0] for row in db.execute("SELECT id FROM workloads")}
    finally:
        db.close()


def test_a_power_failure_loses_nothing_accepted(fake_box):
    """The files are intact at every moment and contain what was accepted before it. If the last
    part of the write-ahead log did not reach the disk, only that part is lost: SQLite copies only
    synced parts into the database."""
    rng = random.Random(int(os.environ.get("VULCAN_TEST_SEED", "7")))
    daemon = fake_box.serve("--max-vms", "6", "--max-queue", "1000")
    clients = [Client(daemon, range(1000 + 300 * i, 1300 + 300 * i), random.Random(i),
                      ["print x", "bytes 20000"]) for i in range(CLIENTS)]
    path, copy = os.path.join(fake_box.state, "vulcan.db"), os.path.join(fake_box.folder, "copy")
    rounds, never_copied = 0, os.stat(path).st_mtime_ns
    while any(client.is_alive() for client in clients) and rounds < 25:
        time.sleep(rng.uniform(0, 0.05))
        accepted = freeze_and_copy(daemon, clients, fake_box.state, copy)
        torn = os.path.join(fake_box.folder, "torn")
        shutil.rmtree(torn, ignore_errors=True)
        shutil.copytree(copy, torn)
        wal = os.path.join(torn, "vulcan.db-wal")
        if os.path.exists(wal) and os.path.getsize(wal):
            with open(wal, "r+b") as f:
                if os.stat(path).st_mtime_ns == never_copied:
                    f.truncate(rng.randrange(os.path.getsize(wal)))
                f.seek(0, os.SEEK_END)
                f.write(rng.randbytes(rng.randrange(3000)))  # blocks of an older generation
        assert accepted <= ids_in(copy)
        ids_in(torn)
        rounds += 1
    for client in clients:
        client.join(vulcan.LIMIT_S)
        assert not client.odd, client.odd
    daemon.stop()
    assert rounds > 3
    second = fake_box.serve("--state-dir", copy)
    listed = second.json("GET", "/v1/workloads?limit=100")
    assert listed["total"] >= len(accepted)
    assert {w["status"] for w in listed["workloads"]} <= {"completed", "failed", "killed"}
    assert second.submit("sh", "print x")["status"] == "completed"


@pytest.mark.parametrize("damage", ["header", "pages", "cut", "not a database"])
def test_a_damaged_store_is_renamed_and_reported(fake_box, damage):
    daemon = fake_box.serve()
    for _ in range(20):
        daemon.submit("sh", "bytes 5000")
    daemon.stop()
    path = os.path.join(fake_box.state, "vulcan.db")
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        if damage == "header":
            f.write(b"\xa5" * 100)
        elif damage == "pages":
            for at in range(4096, size, 4096):
                f.seek(at)
                f.write(b"\xa5" * 512)
        elif damage == "cut":
            f.truncate(size // 2 + 100)
        else:
            f.truncate(0)
            f.write(b"this is a letter to a friend\n" * 1000)
    with open(path, "rb") as f:
        damaged = f.read()
    daemon = fake_box.serve()
    (aside,) = [n for n in os.listdir(fake_box.state) if n.startswith("vulcan.db.damaged-")]
    assert f"has been moved to {fake_box.state}/{aside}" in daemon.log(), daemon.log()
    with open(os.path.join(fake_box.state, aside), "rb") as f:
        assert f.read() == damaged
    assert daemon.json("GET", "/v1/workloads")["total"] == 0
    record = daemon.submit("sh", "print x")
    daemon.stop()
    again = fake_box.serve()
    assert again.json("GET", f"/v1/workloads/{record['id']}")["status"] == "completed"
    for name in os.listdir(fake_box.state):
        if ".damaged-" in name:
            os.unlink(os.path.join(fake_box.state, name))
