# SPDX-License-Identifier: Apache-2.0
"""The VMM fails at each step: the status is right, the error is clear, nothing is left, and the
daemon continues."""
import json
import os
import sqlite3
import subprocess
import threading
import time

import pytest

import leaks
import vulcan
from test_bad_input import fill, small_disk  # noqa: F401 (a fixture)
from vulcan import ACTIVE, BOOT, CLEANUP, VSOCK, WORKLOADS

BEFORE_READY = {
    # fault: words that the error must contain
    "refuse": "153",
    "exit:148": "148",
    "crash-before-hello": "150",
    "garbage": "",
    "hello-error": "no root image (fake)",
    "hang": "not ready",
}
AFTER_READY = {
    "crash-after-hello": "signal",
    "crash-midrun": "signal",
    "torn": "",
    "late": "1 s",
    "ignore": "1 s",
}


class Instructions:
    """The fake reads its instructions from a file, so that they can change under a daemon."""

    def __init__(self, box):
        self.path = os.path.join(box.folder, "instructions")
        box.env["FAKE_FC_FAIL"] = "@" + self.path
        self.give("")

    def give(self, text):
        with open(self.path, "w", encoding="ascii") as f:
            f.write(text)


@pytest.fixture
def instructions(fake_box):
    return Instructions(fake_box)


def check_failure(daemon, record, boots, says):
    assert record["status"] == "failed", record
    assert record["error"] and "\n" not in record["error"], record
    assert says in record["error"], record
    metrics = daemon.metrics()
    assert metrics.value(WORKLOADS, runtime="sh", status="failed") == 1
    assert metrics.total(WORKLOADS) == 1
    assert metrics.value(ACTIVE) == 0
    assert metrics.count(BOOT) == boots
    return metrics


def check_serves_on(daemon, instructions):
    instructions.give("")
    record = daemon.submit("sh", "print still here")
    assert record["status"] == "completed", record
    assert vulcan.output_of(record) == b"still here\n"
    assert daemon.metrics().value(ACTIVE) == 0


@pytest.mark.parametrize("way", BEFORE_READY)
def test_a_vmm_that_fails_before_it_is_ready_fails_the_workload(fake_box, instructions, way):
    daemon = fake_box.serve("--boot-timeout", vulcan.scaled(1))
    instructions.give(way)
    record = daemon.submit("sh", "print x", resources={"timeout_s": 1})
    metrics = check_failure(daemon, record, boots=0, says=BEFORE_READY[way])
    assert metrics.count(VSOCK) == 0
    assert metrics.total("vulcan_firecracker_boot_failures_total") >= 1
    check_serves_on(daemon, instructions)


@pytest.mark.parametrize("way", AFTER_READY)
def test_a_vmm_that_fails_after_it_was_ready_fails_the_workload(fake_box, instructions, way):
    daemon = fake_box.serve()
    instructions.give(way)
    record = daemon.submit("sh", "print x", resources={"timeout_s": 1})
    metrics = check_failure(daemon, record, boots=1, says=AFTER_READY[way])
    assert metrics.count(CLEANUP) == 1
    if way == "crash-midrun":
        assert vulcan.output_of(record) == b"partial\n"
    check_serves_on(daemon, instructions)


@pytest.mark.parametrize("code,attempts", [(0, 2), (1, 1), (148, 2), (152, 1), (153, 1)])
def test_a_boot_is_retried_unless_the_vmm_rejects_it(fake_box, instructions, code, attempts):
    instructions.give(f"exit:{code}")
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print x")
    assert f"the VMM {fake_box.vmm.path} exited with code {code}" in record["error"], record
    metrics = daemon.metrics()
    assert metrics.total("vulcan_firecracker_boot_failures_total") == attempts
    assert metrics.value("vulcan_firecracker_vmm_exits_total", **{"class": f"exit_{code}"}) == \
        attempts


@pytest.mark.parametrize("code", [0, 7, 148])
def test_a_boot_that_fails_once_is_retried(fake_box, instructions, code):
    fake_box.env["FAKE_FC_ONCE"] = os.path.join(fake_box.folder, "once")
    instructions.give(f"exit:{code}")
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print x")
    assert record["status"] == "completed", record
    metrics = daemon.metrics()
    assert metrics.count(BOOT) == 1
    assert metrics.total("vulcan_firecracker_boot_failures_total") == 1
    assert metrics.total(WORKLOADS) == 1
    assert metrics.value(ACTIVE) == 0


def test_an_incomplete_metrics_line_is_lost_alone(fake_box, instructions):
    daemon = fake_box.serve()
    instructions.give("torn-metrics")
    assert daemon.submit("sh", "print x")["status"] == "completed"
    metrics = daemon.metrics()
    assert metrics.value("vulcan_firecracker_vmm_metrics_lost_total") >= 1
    check_serves_on(daemon, instructions)


def test_counters_of_the_vmm_are_sums(fake_box, instructions):
    daemon = fake_box.serve()
    for _ in range(3):
        daemon.submit("sh", "exit 0")
    metrics = daemon.metrics()
    # the fake adds one connection in its first line, and 7 bytes when it is flushed
    assert metrics.total("vulcan_firecracker_vmm_vsock_connections_total") == 3
    assert metrics.value("vulcan_firecracker_vmm_vsock_bytes_total", direction="rx") == 21


def test_a_guest_out_of_memory_that_does_not_answer_fails_the_workload(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "oom")
    check_failure(daemon, record, boots=1, says="memory")


@pytest.mark.parametrize("way", ["refuse", "hang", "crash-midrun", "torn", "hello-error"])
def test_run_reports_a_fault_in_one_line(fake_box, way):
    fake_box.env["FAKE_FC_FAIL"] = way
    result = fake_box.run("sh", "print x", "--boot-timeout", "1")
    assert result.code == 125, result
    *warnings, last = result.text.strip().splitlines()
    assert last.startswith("vulcan: "), result
    assert all("retrying" in line for line in warnings), result


# ---- the store ----------------------------------------------------------------------------------

class Lock:
    """Another program that writes to the store's file and does not finish."""

    def __init__(self, box):
        self.db = sqlite3.connect(os.path.join(box.state, "vulcan.db"), isolation_level=None)

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        self.db.execute("ROLLBACK")
        self.db.close()


def check_recorded(daemon, box, workload_id, status, limit=vulcan.LIMIT_S):
    """Waits until the store agrees with the API."""
    record = daemon.json("GET", f"/v1/workloads/{workload_id}")
    assert record["status"] == status, record
    deadline = time.monotonic() + limit
    while (row := row_of(box, workload_id))[0] != status:
        assert time.monotonic() < deadline, (row, daemon.log())
        time.sleep(0.05)
    after = daemon.json("GET", f"/v1/workloads/{workload_id}")
    assert after == record
    return row


def row_of(box, workload_id):
    db = sqlite3.connect(f"file:{box.state}/vulcan.db?mode=ro", uri=True)
    try:
        return db.execute("SELECT status, length(output) FROM workloads WHERE id=?",
                          (workload_id,)).fetchone()
    finally:
        db.close()


def test_a_store_that_is_busy_for_a_while_loses_nothing(fake_box):
    daemon = fake_box.serve()
    with Lock(fake_box):
        started = []
        client = threading.Thread(target=lambda: started.append(daemon.start("sh", "print x")))
        client.start()
        client.join(0.5)
        assert not started  # not accepted before it is recorded
        assert daemon.json("GET", "/healthz") == {"status": "ok"}
    client.join(vulcan.LIMIT_S)
    daemon.until_ended(started[0]["id"])
    check_recorded(daemon, fake_box, started[0]["id"], "completed")


def test_a_busy_store_rejects_new_workloads(fake_box):
    """New workloads are rejected. Running ones end, are reported as they ended, and are recorded
    later."""
    daemon = fake_box.serve()
    workload = daemon.start("sh", "sleep 300\nprint x\nexit 4")
    until_running(daemon, workload["id"])
    with Lock(fake_box):
        status, raw, headers = daemon.request("POST", "/v1/workloads/async",
                                              {"runtime": "sh", "code": "print x"})
        assert status == 503 and int(headers["Retry-After"]) > 0, raw
        error = json.loads(raw)["error"]
        assert "store" in error and "\n" not in error
        record = daemon.until_ended(workload["id"])
        assert record["exit_code"] == 4 and vulcan.output_of(record) == b"x\n"
        assert daemon.json("DELETE", f"/v1/workloads/{workload['id']}", want=409)["error"]
        assert row_of(fake_box, workload["id"])[0] != "completed"
        metrics = daemon.metrics()
        assert metrics.value(WORKLOADS, runtime="sh", status="completed") == 1
        assert metrics.value(ACTIVE) == 0
    check_recorded(daemon, fake_box, workload["id"], "completed")
    assert daemon.submit("sh", "print x")["status"] == "completed"
    assert daemon.metrics().total(WORKLOADS) == 2
    said = daemon.log()
    assert said.count("error: workloads are rejected: store: ") == 1, said
    assert said.count("warn: workloads are accepted again\n") == 1, said


def test_a_daemon_exits_while_its_store_is_busy(fake_box):
    """It does not hang; the next one recovers."""
    daemon = fake_box.serve()
    workload = daemon.start("sh", "hang")
    until_running(daemon, workload["id"])
    with Lock(fake_box):
        daemon.stop(limit=30 * vulcan.SLOW)
    after = fake_box.serve().json("GET", f"/v1/workloads/{workload['id']}")
    assert after["status"] == "failed" and "restarted" in after["error"], after


def until_running(daemon, workload_id):
    deadline = time.monotonic() + vulcan.LIMIT_S
    while daemon.metrics().value(ACTIVE) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert daemon.json("GET", f"/v1/workloads/{workload_id}")["status"] == "running"


def test_a_full_disk_at_the_end_of_a_workload_is_retried(fake_box, small_disk):
    daemon = fake_box.serve()
    workload = daemon.start("sh", "sleep 400\nbytes 100000")
    until_running(daemon, workload["id"])
    fill(small_disk)
    record = daemon.until_ended(workload["id"])
    assert record["status"] == "completed" and len(vulcan.output_of(record)) == 100000, record
    assert row_of(fake_box, workload["id"])[0] != "completed"
    listed = daemon.json("GET", "/v1/workloads?status=completed")
    assert [w["id"] for w in listed["workloads"]] == [workload["id"]], listed
    assert daemon.json("GET", "/v1/stats")["by_status"]["running"] == 0
    assert "could not be recorded" in daemon.log() and "full" in daemon.log()
    os.unlink(small_disk)
    row = check_recorded(daemon, fake_box, workload["id"], "completed")
    assert row[1] == 100000
    assert daemon.submit("sh", "print x")["status"] == "completed"


# ---- late events, and networks ----------------------------------------------------------

def test_a_guest_that_is_ready_too_late_fails(fake_box, instructions):
    """It connects at the very moment at which the boot is given up, again and again."""
    daemon = fake_box.serve("--boot-timeout", "1")
    instructions.give("slow-boot:980-1020")
    record = daemon.submit("sh", "print x")
    assert record["status"] == "completed" or "not ready" in record["error"], record
    metrics = daemon.metrics()
    assert metrics.count(BOOT) == (record["status"] == "completed")
    assert metrics.total(WORKLOADS) == 1 and metrics.value(ACTIVE) == 0
    check_serves_on(daemon, instructions)


def test_late_counters_delay_nobody(fake_box, instructions):
    daemon = fake_box.serve()
    instructions.give("slow-flush:3000")
    began = time.monotonic()
    assert daemon.submit("sh", "print x")["status"] == "completed"
    assert time.monotonic() - began < 2 * vulcan.SLOW
    check_serves_on(daemon, instructions)


@pytest.mark.skipif(not leaks.ISOLATED, reason="needs namespaces: run it by tools/test as root")
@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun")
@pytest.mark.parametrize("make, remove, says", [
    ("ip tuntap add mode tap vulcan0", "ip link delete vulcan0", "vulcan0"),
    ("mount --bind /dev/null /dev/net/tun", "umount /dev/net/tun", "TAP"),
], ids=["bridge", "tun"])
def test_a_network_that_cannot_be_created_fails_the_workload(fake_box, instructions, make, remove, says):
    daemon = fake_box.serve()
    subprocess.run(make.split(), check=True)
    try:
        status, raw, _ = daemon.request("POST", "/v1/workloads", {
            "runtime": "sh", "code": "print x", "network": "nat"})
        answer = json.loads(raw)
        assert status == 201 and answer["status"] == "failed" or 400 <= status < 600, answer
        assert says in answer["error"] and "\n" not in answer["error"], answer
        metrics = daemon.metrics()
        assert metrics.value(ACTIVE) == 0 and metrics.count(BOOT) == 0
    finally:
        subprocess.run(remove.split(), check=True)
    check_serves_on(daemon, instructions)
    record = daemon.submit("sh", "print x", network="nat")
    assert record["status"] == "completed", record
