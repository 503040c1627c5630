# SPDX-License-Identifier: Apache-2.0
"""Limits on VMs and memory: which workloads start, which wait, and which are rejected."""
import concurrent.futures
import time

import pytest

import vulcan

pytestmark = pytest.mark.any_backend

HANG = "hang"


def until(what, limit=vulcan.LIMIT_S):
    """Polls for a state that no event reports."""
    deadline = time.monotonic() + limit
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(daemon):
    return daemon.metrics().value("vulcan_workloads_current", status="running")


def balance(metrics):
    """Checks accepted = pending + running + completed + failed + killed in one scrape."""
    return (metrics.value("vulcan_workloads_accepted_total") -
            metrics.total("vulcan_workloads_current") -
            metrics.total("vulcan_workloads_ended_total"))


def test_a_workload_that_can_never_fit_gets_400_with_the_limit(fake_box):
    daemon = fake_box.serve("--max-memory-mb", "512")
    answer = daemon.json("POST", "/v1/workloads/async", {
        "runtime": "sh", "code": "exit 0", "resources": {"mem_mb": 513}}, 400)
    assert answer["error"].startswith("resources.mem_mb:"), answer
    assert "max_memory_mb = 512" in answer["error"], answer
    assert daemon.metrics().value("vulcan_workloads_rejected_total", reason="too_large") == 1


def test_workloads_wait_for_memory_although_vms_are_free(fake_box):
    daemon = fake_box.serve("--max-memory-mb", "1024", "--max-vms", "8")
    for _ in range(3):
        daemon.start("sh", HANG, resources={"mem_mb": 400})
    until(lambda: running(daemon) == 2)
    metrics = daemon.metrics()
    assert metrics.value("vulcan_queue_depth") == 1
    assert metrics.value("vulcan_admitted_memory_bytes") == 800 << 20
    assert metrics.value("vulcan_admitted_memory_limit_bytes") == 1024 << 20


def test_small_workloads_overtake_a_large_one_a_limited_number_of_times(fake_box):
    daemon = fake_box.serve("--max-memory-mb", "1000", "--max-vms", "8", "--max-queue", "200")
    first = daemon.start("sh", HANG, resources={"mem_mb": 500})
    until(lambda: running(daemon) == 1)
    large = daemon.start("sh", "print large", resources={"mem_mb": 950})
    small = [daemon.start("sh", "print small", resources={"mem_mb": 100})["id"] for _ in range(40)]
    # 16 overtake it, then memory is reserved for the large one
    until(lambda: daemon.metrics().value("vulcan_workloads_ended_total", status="completed") == 16)
    assert daemon.json("GET", f"/v1/workloads/{large['id']}")["status"] == "pending"
    time.sleep(0.2)
    assert daemon.metrics().value("vulcan_workloads_ended_total", status="completed") == 16
    daemon.json("DELETE", f"/v1/workloads/{first['id']}")
    begun = daemon.until_ended(large["id"])["started_at"]
    records = [daemon.until_ended(i) for i in small]
    assert sum(record["started_at"] >= begun for record in records) >= 24


def test_429_has_a_retry_after(fake_box):
    daemon = fake_box.serve("--max-vms", "1", "--max-queue", "0")
    daemon.submit("sh", "sleep 1200")
    daemon.start("sh", HANG)
    status, raw, headers = daemon.request("POST", "/v1/workloads",
                                          {"runtime": "sh", "code": "exit 0"})
    assert status == 429 and b'"error"' in raw
    assert int(headers["Retry-After"]) >= 2, "as long as one took"
    assert daemon.metrics().value("vulcan_workloads_rejected_total", reason="queue_full") == 1


def test_the_wait_in_the_queue_is_measured(fake_box):
    daemon = fake_box.serve("--max-vms", "1")
    start = time.monotonic()
    first = daemon.start("sh", HANG)
    until(lambda: running(daemon) == 1)
    second = daemon.start("sh", "exit 0")
    waiting = time.monotonic()
    until(lambda: daemon.metrics().value("vulcan_workloads_current", status="pending") == 1)
    freed = time.monotonic()
    daemon.json("DELETE", f"/v1/workloads/{first['id']}")
    daemon.until_ended(second["id"])
    ended = time.monotonic()
    metrics = daemon.metrics()
    assert metrics.value("vulcan_queue_wait_seconds_count") == 2
    waited = metrics.value("vulcan_queue_wait_seconds_sum")
    assert freed - waiting <= waited <= ended - start
    assert metrics.value("vulcan_workload_duration_seconds_count", runtime="sh",
                         status="completed") == 1


def test_the_counts_balance_in_every_scrape(fake_box):
    daemon = fake_box.serve("--max-vms", "4", "--max-queue", "20")
    bodies = [{"runtime": "sh", "code": code, "resources": {"timeout_s": 1}}
              for code in ("exit 0", "print x\nexit 3", "crash", "sleep 30", "oom")]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(daemon.request, "POST", "/v1/workloads", bodies[i % len(bodies)])
                   for i in range(150)]
        while not all(answer.done() for answer in answers):
            assert balance(daemon.metrics()) == 0
        statuses = [answer.result()[0] for answer in answers]
    metrics = daemon.metrics()
    assert balance(metrics) == 0
    assert metrics.value("vulcan_workloads_accepted_total") == statuses.count(201)
    assert metrics.total("vulcan_workloads_rejected_total") == statuses.count(429)
    for status in ("completed", "failed", "killed"):
        assert (metrics.value("vulcan_workloads_ended_total", status=status) ==
                metrics.total(vulcan.WORKLOADS, status=status) ==
                daemon.json("GET", f"/v1/workloads?status={status}")["total"])


@pytest.mark.needs_vmm
@pytest.mark.parametrize("way", ["queued", "slow-boot:3000", "hang", "running", "flushing"])
def test_a_kill_is_fast_at_any_moment(fake_box, way):
    """Within 100 ms plus cleanup; the limit here leaves room for a busy machine."""
    fake_box.env["FAKE_FC_FAIL"] = {"queued": "", "running": "",
                                    "flushing": "slow-flush:60"}.get(way, way)
    daemon = fake_box.serve("--max-vms", "1")
    if way == "queued":
        daemon.start("sh", HANG)
    victim = daemon.start("sh", "exit 0" if way == "flushing" else "print x\nhang")
    time.sleep(0.15 if way != "flushing" else 0.02)
    began = time.monotonic()
    status, raw, _ = daemon.request("DELETE", f"/v1/workloads/{victim['id']}")
    took = time.monotonic() - began
    if way != "flushing":  # the flush may be over by then
        assert status == 200, raw
    assert status == 409 or b'"killed"' in raw, raw
    assert took < 0.5 * vulcan.SLOW, f"{took * 1000:.0f} ms"
    assert daemon.request("DELETE", f"/v1/workloads/{victim['id']}")[0] == 409
    assert daemon.metrics().total("vulcan_workloads_ended_total") == 1
