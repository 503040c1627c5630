# SPDX-License-Identifier: Apache-2.0
"""Five hundred workloads of every kind, with constant scrapes: at every moment each accepted
workload has exactly one status, and metrics, store and API agree about each of them."""
import collections
import itertools
import json
import os
import random
import threading
import time

import vulcan
from test_crash import records
from test_faults import Instructions

SUBMISSIONS = 500
CLIENTS = 8
ACCEPTED, CURRENT = "vulcan_workloads_accepted_total", "vulcan_workloads_current"
ENDED, REJECTED = "vulcan_workloads_ended_total", "vulcan_workloads_rejected_total"
ENDS = ("completed", "failed", "killed")
BOOTS = ["", "", "", "slow-boot:0-30", "refuse", "crash-before-hello", "exit:148", "hello-error",
         "torn", "crash-midrun", "torn-metrics"]
CODES = ["print x"] * 8 + ["exit 3", "sleep 10\nprint x", "signal 9", "oom", "crash", "hang"]


class Scraper(threading.Thread):
    """Scrapes without a pause and checks the invariants of each scrape."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.source, self.stop = daemon, threading.Event()
        self.scrapes, self.wrong, self.last = 0, [], {}
        self.start()

    def run(self):
        while not self.stop.is_set():
            try:
                self.look(self.source.metrics())
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append(repr(error))
                return

    def look(self, metrics):
        self.scrapes += 1
        accepted = metrics.value(ACCEPTED)
        statuses = metrics.total(CURRENT) + metrics.total(ENDED)
        if accepted != statuses:
            self.wrong.append(f"accepted {accepted}, in some status {statuses}")
        if metrics.value(vulcan.ACTIVE) < 0:
            self.wrong.append("less than no VM")
        # A scrape reads one family after the other, so its counts of executions can be a moment
        # newer than its counts of submissions. Therefore, compare with those of the last scrape.
        if self.last.get(vulcan.WORKLOADS, 0) > accepted:
            self.wrong.append("more executed than accepted")
        for name in (ACCEPTED, ENDED, vulcan.WORKLOADS, REJECTED):
            total = metrics.total(name)
            if total < self.last.get(name, 0):
                self.wrong.append(f"{name} went back from {self.last[name]} to {total}")
            self.last[name] = total


class Submitter(threading.Thread):
    """Submits workloads, waits for some and kills some."""

    def __init__(self, daemon, instructions, numbers, seed):
        super().__init__(daemon=True)
        self.source, self.instructions, self.numbers = daemon, instructions, numbers
        self.rng = random.Random(seed)
        self.accepted, self.full, self.killed, self.odd = [], 0, 0, []
        self.start()

    def run(self):
        for _ in self.numbers:
            try:
                self.submit()
            except Exception as error:  # pylint: disable=broad-except
                self.odd.append(repr(error))
                return

    def submit(self):
        if self.rng.random() < 0.1:
            self.instructions.give(self.rng.choice(BOOTS))
        wait = self.rng.random() < 0.3
        code = self.rng.choice(CODES)
        status, raw, headers = self.source.request(
            "POST", "/v1/workloads" if wait else "/v1/workloads/async",
            {"runtime": self.rng.choice(["sh", "python"]), "code": code,
             "resources": {"timeout_s": 1}})
        answer = json.loads(raw)
        if status == 429:
            assert int(headers["Retry-After"]) >= 1
            self.full += 1
        elif status == (201 if wait else 202):
            assert answer["status"] in (ENDS if wait else ("pending",))
            self.accepted.append(answer["id"])
            if not wait and self.rng.random() < 0.4:
                self.kill(answer["id"])
        else:
            self.odd.append((status, raw))

    def kill(self, workload_id):
        time.sleep(self.rng.choice([0, 0, 0.001, 0.005, 0.02, 0.1]))
        status, raw, _ = self.source.request("DELETE", f"/v1/workloads/{workload_id}")
        record = self.source.json("GET", f"/v1/workloads/{workload_id}")
        if status == 200 and record["status"] == "killed":
            self.killed += 1
        elif status != 409 or record["status"] not in ENDS:
            self.odd.append((status, raw, record))


def fill_up(daemon, room):
    """Submits as many as may run and wait, and one that is rejected; then kills them all. Returns
    their ids."""
    ids = [daemon.start("sh", "hang")["id"] for _ in range(room)]
    status, _, headers = daemon.request("POST", "/v1/workloads/async",
                                        {"runtime": "sh", "code": "hang"})
    assert status == 429 and int(headers["Retry-After"]) >= 1
    for workload_id in ids:
        assert daemon.request("DELETE", f"/v1/workloads/{workload_id}")[0] == 200
    return ids


def check_each(daemon, box, ids):
    """Checks that API and store agree about each workload. Returns how many ended with each status."""
    count = collections.Counter()
    with records(box.state) as db:
        rows = {row[0]: row[1:] for row in db.execute(
            "SELECT id, runtime, status, exit_code, error FROM workloads")}
        assert db.execute("SELECT count(*) FROM workloads").fetchone()[0] == len(ids)
    assert set(rows) == set(ids)
    for workload_id in ids:
        record = daemon.json("GET", f"/v1/workloads/{workload_id}")
        runtime, status, exit_code, error = rows[workload_id]
        assert record["status"] == status and status in ENDS, (record, status)
        assert (record["runtime"], record["error"] or "") == (runtime, error)
        assert record["exit_code"] == (None if exit_code < 0 else exit_code)
        assert status != "failed" or error, record
        assert status != "completed" or record["started_at"], record
        count[runtime, status] += 1
    return count


def check_totals(daemon, count, n):
    metrics = daemon.metrics()
    for runtime, status in itertools.product(("sh", "python"), ENDS):
        assert metrics.value(vulcan.WORKLOADS, runtime=runtime, status=status) == \
            count[runtime, status], (runtime, status, count)
    assert metrics.value(vulcan.ACTIVE) == 0
    assert metrics.total(CURRENT) == 0
    assert metrics.value(ACCEPTED) == metrics.total(ENDED) == n
    stats = daemon.json("GET", "/v1/stats")
    for status in ENDS:
        total = sum(v for (_, s), v in count.items() if s == status)
        assert metrics.value(ENDED, status=status) == total
        assert stats["by_status"][status] == total
        assert daemon.json("GET", f"/v1/workloads?status={status}")["total"] == total
    assert stats["total"] == n
    # every VM that was counted on admission was counted on release
    assert metrics.count(vulcan.CLEANUP) >= metrics.count(vulcan.BOOT)
    return metrics


def test_every_workload_is_counted_in_one_status(fake_box):
    seed = int(os.environ.get("VULCAN_TEST_SEED", str(random.randrange(1 << 30))))
    print(f"VULCAN_TEST_SEED={seed}")
    instructions = Instructions(fake_box)
    daemon = fake_box.serve("--max-vms", "8", "--max-queue", "8")
    scraper = Scraper(daemon)
    filled = fill_up(daemon, 16)
    numbers = iter(range(SUBMISSIONS))  # shared: next() of it is atomic
    submitters = [Submitter(daemon, instructions, numbers, seed + i) for i in range(CLIENTS)]
    for submitter in submitters:
        submitter.join(vulcan.LIMIT_S)
        assert not submitter.is_alive() and not submitter.odd, submitter.odd
    ids = filled + [i for submitter in submitters for i in submitter.accepted]
    for workload_id in ids:
        daemon.until_ended(workload_id)
    scraper.stop.set()
    scraper.join()
    assert not scraper.wrong, scraper.wrong[:10]
    assert scraper.scrapes > 20

    assert len(set(ids)) == len(ids)
    count = check_each(daemon, fake_box, ids)
    metrics = check_totals(daemon, count, len(ids))
    full = 1 + sum(submitter.full for submitter in submitters)
    assert full + len(ids) == SUBMISSIONS + len(filled) + 1
    assert metrics.value(REJECTED, reason="queue_full") == full
    assert sum(v for (_, s), v in count.items() if s == "killed") == \
        len(filled) + sum(submitter.killed for submitter in submitters)
    # each kind occurred
    by_status = {s: sum(v for (_, t), v in count.items() if t == s) for s in ENDS}
    print(f"{by_status} refused {full}, {scraper.scrapes} scrapes")
    assert all(by_status.values()), by_status
