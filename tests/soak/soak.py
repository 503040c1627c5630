#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps one daemon under mixed load for a long time and prints its resources: none may grow.

    tests/soak/soak.py [--seconds N] [--build BUILD]        (make soak MINUTES=60)

The load: workloads that complete, fail to boot, reach their time limit, run out of memory, are
killed at any moment or are rejected by a full queue; readers of logs, lists, records and metrics;
clients that hang up, send garbage or read nothing. The VMM is the fake (tests/fake), so there are
hundreds of workloads a second.

The load pauses for each sample. Then the daemon must have the descriptors and threads that it had
after the first quarter, its memory must be within the tolerance, no VM, process or directory may be
left, every accepted workload must be accounted for, and the records must stay within their limit.
Otherwise the exit code is 1.
"""
import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

# vulcan.LIMIT_S under a sanitizer; vulcan can be imported only once the build is known.
LIMIT_S = 180 * int(os.environ.get("VULCAN_TEST_SLOW", "1"))
CLIENTS = 6
LOG_BYTES = 4 << 20  # --log-size-max
RECORDS, RECORDS_SLACK = 1000, 128  # --records-max; checked once in that many writes
BOOTS = ["", "", "", "", "slow-boot:0-20", "refuse", "exit:148", "crash-before-hello", "torn",
         "crash-midrun", "hello-error", "torn-metrics", "garbage"]
CODES = ["print x"] * 8 + ["exit 3", "sleep 20\nprint x", "bytes 100000", "signal 9", "oom", "crash",
                           "error oops", "hang", "print a\nsleep 50\nprint b"]
MEMORY_TOLERANCE = 1.15  # relative to the resident memory after the first quarter
# A sanitizer quarantines freed memory, so there its own leak check decides.
MEMORY_SLACK = (4 if os.environ.get("VULCAN_TEST_SANITIZE", "none") == "none" else 512) << 20
FDS_SLACK, THREADS_SLACK = 8, 4  # our own connections; workers are started on demand


class Load(threading.Thread):
    """One client. It pauses while `rest` is set."""

    def __init__(self, daemon, set_failure, rest, end, seed):
        super().__init__(daemon=True)
        self.source, self.set_failure, self.rest, self.end = daemon, set_failure, rest, end
        self.rng = random.Random(seed)
        self.resting = threading.Event()
        self.counts = {"accepted": 0, "rejected": 0, "killed": 0}
        self.recent, self.wrong = [], []
        at = urllib.parse.urlsplit(daemon.url)
        self.where = (at.hostname, at.port)
        self.start()

    def run(self):
        acts = [self.submit] * 10 + [self.kill] * 3 + [self.read] * 3 + [self.follow, self.misbehave]
        try:
            while not self.end.is_set():
                if self.rest.is_set():
                    self.resting.set()
                    time.sleep(0.01)
                    continue
                self.resting.clear()
                self.rng.choice(acts)()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append(f"{type(error).__name__}: {error}")
        self.resting.set()

    def submit(self):
        if self.rng.random() < 0.05:
            self.set_failure(self.rng.choice(BOOTS))
        wait = self.rng.random() < 0.3
        status, raw, _ = self.source.request(
            "POST", "/v1/workloads" if wait else "/v1/workloads/async",
            {"runtime": "sh", "code": self.rng.choice(CODES), "resources": {"timeout_s": 1}})
        if status == 429:
            self.counts["rejected"] += 1
            time.sleep(self.rng.uniform(0, 0.05))
        elif status in (201, 202):
            self.counts["accepted"] += 1
            self.recent = [*self.recent[-20:], json.loads(raw)["id"]]
        else:
            self.wrong.append(f"{status} {raw[:200]!r}")

    def kill(self):
        if self.recent:
            status, raw, _ = self.source.request("DELETE", "/v1/workloads/" + self.recent[-1])
            self.counts["killed"] += status == 200
            if status not in (200, 404, 409):  # 404: so old that its record is gone
                self.wrong.append(f"kill: {status} {raw[:200]!r}")

    def read(self):
        path = self.rng.choice(["/metrics", "/healthz", "/v1/stats", "/v1/workloads?limit=50",
                                "/v1/workloads?status=failed", "/v1/backends", "one", "history"])
        if path in ("one", "history"):
            if not self.recent:
                return
            path = f"/v1/workloads/{self.recent[-1]}" + ("/logs/history" if path[0] == "h" else "")
        status, raw, _ = self.source.request("GET", path)
        if status != 200 and not (status == 404 and self.recent and self.recent[-1] in path):
            self.wrong.append(f"{path}: {status} {raw[:200]!r}")

    def follow(self):
        """Reads a log to its end, or closes the connection early."""
        if not self.recent:
            return
        client = http.client.HTTPConnection(*self.where, timeout=LIMIT_S)
        try:
            client.request("GET", f"/v1/workloads/{self.recent[-1]}/logs")
            answer = client.getresponse()
            if self.rng.random() < 0.5:
                answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(f"logs: {error}")
        finally:
            client.close()

    def misbehave(self):
        with socket.create_connection(self.where, timeout=LIMIT_S) as s:
            s.sendall(self.rng.choice([b"", b"\0" * 50, b"GET /metr", b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
                                       b"POST /v1/workloads HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Content-Length: 99\r\n\r\n{"]))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def rows(state):
    """The number of rows of each table of each database."""
    found = {}
    for name in os.listdir(state):
        if not name.endswith(".db"):
            continue
        db = sqlite3.connect(f"file:{os.path.join(state, name)}?mode=ro", uri=True, timeout=LIMIT_S)
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table' AND "
                                   "name NOT LIKE 'sqlite_%'").fetchall():
            found[f"{name[:-3]}.{table}"] = db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        db.close()
    return found


def disk(state):
    return sum(os.path.getsize(os.path.join(path, name))
               for path, _, names in os.walk(state) for name in names)


def settle(daemon, metrics_of, limit=LIMIT_S):
    """Waits until nothing runs, and returns the metrics."""
    deadline = time.monotonic() + limit
    while True:
        metrics = metrics_of()
        if metrics.total("vulcan_workloads_current") == 0 and \
                metrics.value("vulcan_firecracker_active_vms") == 0:
            return metrics
        if time.monotonic() > deadline:
            raise AssertionError(f"workloads still run: {daemon.log()}")
        time.sleep(0.02)


def sample(daemon, box, began):
    metrics = settle(daemon, daemon.metrics)
    time.sleep(0.3)  # closed connections are noticed a moment later
    metrics = daemon.metrics()
    return {"s": round(time.monotonic() - began),
            "accepted": int(metrics.value("vulcan_workloads_accepted_total")),
            "ended": int(metrics.total("vulcan_workloads_ended_total")),
            "executed": int(metrics.total("vulcan_firecracker_workloads_total")),
            "rss": metrics.value("process_resident_memory_bytes"),
            "fds": int(metrics.value("process_open_fds")),
            "threads": int(metrics.value("process_threads")),
            "series": len(metrics), "disk": disk(box.state), "rows": rows(box.state),
            "vms": os.listdir(os.path.join(box.state, "vms"))}


def show(one):
    if one["s"] == 0 or show.first:
        print("      s  accepted  rss MiB   fds  threads  series  disk MiB  rows", flush=True)
        show.first = False
    print(f"{one['s']:7} {one['accepted']:9} {one['rss'] / 2**20:8.1f} {one['fds']:5} "
          f"{one['threads']:8} {one['series']:7} {one['disk'] / 2**20:9.1f}  "
          + " ".join(f"{k}={v}" for k, v in sorted(one["rows"].items())), flush=True)


show.first = True


def judge(samples, sanitized):
    """Compares the last sample with the one after the first quarter (of a short run, the first
    half) and returns the errors. With a sanitizer it ignores memory."""
    base = samples[max(1, len(samples) // (4 if len(samples) > 20 else 2))]
    last = samples[-1]
    wrong = []
    if last["rss"] > base["rss"] * MEMORY_TOLERANCE + MEMORY_SLACK and not sanitized:
        wrong.append(f"resident memory grew from {base['rss'] / 2**20:.1f} to "
                     f"{last['rss'] / 2**20:.1f} MiB")
    for what, slack in (("fds", FDS_SLACK), ("threads", THREADS_SLACK)):
        if last[what] > base[what] + slack:
            wrong.append(f"{what} grew from {base[what]} to {last[what]}")
    for one in samples:
        if not one["accepted"] == one["ended"] == one["executed"]:
            wrong.append(f"at {one['s']} s accepted {one['accepted']}, ended {one['ended']}, "
                         f"executed {one['executed']}")
        if one["vms"]:
            wrong.append(f"at {one['s']} s VMs are left: {one['vms']}")
        if (records := one["rows"]["vulcan.workloads"]) > min(one["accepted"],
                                                              RECORDS + RECORDS_SLACK):
            wrong.append(f"at {one['s']} s {records} records")
    return wrong


def soak(box, seconds, every):
    """Runs the load. Returns (samples, errors)."""
    import vulcan
    path = os.path.join(box.folder, "failure")

    def set_failure(text):
        with open(path + f".{threading.get_ident()}", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(f.name, path)
    set_failure("")
    box.env["FAKE_FC_FAIL"] = "@" + path
    daemon = box.serve("--max-vms", "6", "--max-queue", "8", "--log-size-max", str(LOG_BYTES),
                       "--log-age-max", "60s", "--records-max", str(RECORDS), "--boot-timeout",
                       vulcan.scaled(5))
    rest, end = threading.Event(), threading.Event()
    began = time.monotonic()
    samples = [sample(daemon, box, began)]
    show(samples[0])
    clients = [Load(daemon, set_failure, rest, end, random.random()) for _ in range(CLIENTS)]
    while time.monotonic() < began + seconds and not any(c.wrong for c in clients):
        time.sleep(every)
        rest.set()
        for client in clients:
            client.resting.wait(LIMIT_S)
        samples.append(sample(daemon, box, began))
        show(samples[-1])
        for client in clients:
            client.resting.clear()
        rest.clear()
    end.set()
    for client in clients:
        client.join(LIMIT_S)
    wrong = [w for client in clients for w in client.wrong]
    settle(daemon, daemon.metrics)
    if daemon.stop().code != 0:
        wrong.append(f"the daemon exited with an error: {daemon.log()}")
    totals = {k: sum(c.counts[k] for c in clients) for k in clients[0].counts}
    print(", ".join(f"{k} {v}" for k, v in totals.items()))
    if totals["accepted"] != samples[-1]["accepted"] and not wrong:
        wrong.append(f"clients counted {totals['accepted']} accepted, the daemon "
                     f"{samples[-1]['accepted']}")
    return samples, wrong + judge(samples, vulcan.SANITIZED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"))
    options = parser.parse_args()
    os.environ["VULCAN_TEST_BUILD"] = os.path.abspath(options.build)
    import leaks
    import vulcan
    folder = tempfile.mkdtemp(prefix="vs-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    before = leaks.Snapshot()
    images = vulcan.make_fake_images(os.path.join(folder, "images"))
    vmm = type("Vmm", (), {"path": vulcan.FAKE, "env": {"FAKE_FC_GUEST": "builtin"}})
    box = vulcan.Box(folder, vmm, images)
    try:
        _, wrong = soak(box, options.seconds, max(5, options.seconds / 60))
        wrong += before.left(box)
    finally:
        box.close()
        shutil.rmtree(folder, ignore_errors=True)
    for line in wrong:
        print(f"soak: {line}")
    print("soak: " + ("something grew or failed" if wrong else "nothing grew"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
