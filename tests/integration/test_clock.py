# SPDX-License-Identifier: Apache-2.0
"""The metrics compared with other clocks: the fake VMM's, the test's, and known sleeps."""
import cmath
import math
import os
import time

import pytest

import vulcan
from vulcan import ACTIVE, BOOT, CLEANUP, VSOCK, WORKLOADS

# The delay that a loaded machine may add between two programs that record the same moment.
SLACK_S = 0.25 * vulcan.SLOW


def seconds(events, first, last):
    return (events[last] - events[first]) / 1e9


def test_boot_is_from_start_to_ready(fake_box, trace):
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:300"
    daemon = fake_box.serve()
    began = time.monotonic()
    daemon.submit("sh", "exit 0")
    outside = time.monotonic() - began
    metrics, events = daemon.metrics(), trace.one()
    assert metrics.count(BOOT) == 1
    inside = seconds(events, "start", "hello")
    assert inside >= 0.3
    assert inside <= metrics.sum(BOOT) <= min(inside + SLACK_S, outside)


def test_vsock_latency_is_from_request_to_first_output(fake_box, trace):
    daemon = fake_box.serve()
    daemon.submit("sh", "sleep 200\nprint first\nsleep 300\nprint second")
    metrics, events = daemon.metrics(), trace.one()
    assert metrics.count(VSOCK) == 1
    inside = seconds(events, "request", "output")
    assert inside >= 0.2
    assert inside <= metrics.sum(VSOCK) <= inside + SLACK_S
    assert metrics.sum(VSOCK) < seconds(events, "request", "result")


def test_vsock_latency_without_output_is_until_the_result(fake_box, trace):
    daemon = fake_box.serve()
    daemon.submit("sh", "sleep 150\nexit 1")
    metrics, events = daemon.metrics(), trace.one()
    inside = seconds(events, "request", "result")
    assert 0.15 <= inside <= metrics.sum(VSOCK) <= inside + SLACK_S


def test_cleanup_is_from_stop_to_removal(fake_box, trace):
    fake_box.env["FAKE_FC_FAIL"] = "slow-flush:30"
    daemon = fake_box.serve()
    daemon.submit("sh", "print x")
    ended_ns = time.monotonic_ns()
    metrics, events = daemon.metrics(), trace.one()
    assert metrics.count(CLEANUP) == 1
    outside = (ended_ns - events["result"]) / 1e9
    assert 0.03 <= metrics.sum(CLEANUP) <= outside


def test_parts_are_not_longer_than_the_whole(box):
    """With each VMM: three durations that cannot exceed the time of the command."""
    began = time.monotonic()
    daemon = box.serve()
    record = daemon.submit("sh", "sleep 0.5; echo x")
    whole = time.monotonic() - began
    metrics = daemon.metrics()
    for name in (BOOT, VSOCK, CLEANUP):
        assert metrics.count(name) == 1
        assert metrics.sum(name) > 0
    assert metrics.sum(VSOCK) >= 0.5
    assert metrics.sum(BOOT) + metrics.sum(VSOCK) + metrics.sum(CLEANUP) <= whole
    assert abs(record["boot_ms"] / 1e3 - metrics.sum(BOOT)) <= 0.001
    assert abs(record["vsock_ms"] / 1e3 - metrics.sum(VSOCK)) <= 0.001
    assert abs(record["cleanup_ms"] / 1e3 - metrics.sum(CLEANUP)) <= 0.001


STAGE = "vulcan_firecracker_vm_start_stage_seconds"


def stages(metrics):
    """Seconds by stage, without the stages before the boot time and those that did not occur."""
    found = {dict(labels)["stage"]: seconds for (name, labels), seconds in metrics.items()
             if name == STAGE + "_sum" and metrics[STAGE + "_count", labels]}
    return {s: seconds for s, seconds in found.items() if s not in ("prepare", "network")}


def test_stages_add_up_to_the_boot_time(box):
    """With each VMM. The VMM's own stage of a real one ends before its guest's kernel counts."""
    daemon = box.serve()
    daemon.submit("sh", "exit 0")
    metrics = daemon.metrics()
    took = stages(metrics)
    assert abs(sum(took.values()) - metrics.sum(BOOT)) < 1e-6, took
    if box.vmm.name == "fake":  # its guest is a process, so its times since boot are the host's
        assert set(took) == {"spawn", "vmm", "unknown"}, took
    else:
        assert set(took) - {"modules"} == {"spawn", "vmm", "early", "kernel", "root", "agent"}, took
        assert took["vmm"] > 0 and took["early"] > 0, took


def test_a_guest_that_boots_slowly_does_not_count_for_the_vmm(fake_box, trace):
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:300"
    daemon = fake_box.serve()
    daemon.submit("sh", "exit 0")
    metrics, events = daemon.metrics(), trace.one()
    took = stages(metrics)
    assert took["unknown"] >= 0.299, took
    assert took["spawn"] + took["vmm"] <= metrics.sum(BOOT) - 0.299, took
    assert abs(sum(took.values()) - metrics.sum(BOOT)) < 1e-6, took
    assert seconds(events, "start", "hello") <= metrics.sum(BOOT)


@pytest.mark.parametrize("fail, once", [("torn-metrics", False), ("crash-before-hello", True)])
def test_stages_add_up_without_metrics_and_after_a_second_attempt(fake_box, fail, once):
    fake_box.env["FAKE_FC_FAIL"] = fail
    if once:
        fake_box.env["FAKE_FC_ONCE"] = os.path.join(fake_box.folder, "once")
    daemon = fake_box.serve()
    assert daemon.submit("sh", "exit 0")["status"] == "completed"
    metrics = daemon.metrics()
    took = stages(metrics)
    assert set(took) == ({"spawn", "vmm", "unknown"} if once else {"spawn", "unknown"}), took
    assert abs(sum(took.values()) - metrics.sum(BOOT)) < 1e-6, took
    assert metrics.count(BOOT) == 1


def test_a_running_workload_shows_its_times(fake_box):
    daemon = fake_box.serve()
    path = "/v1/workloads/" + daemon.start("sh", "print x\nhang")["id"]
    deadline = time.monotonic() + vulcan.LIMIT_S
    while (record := daemon.json("GET", path))["vsock_ms"] is None:
        assert record["status"] in ("pending", "running") and time.monotonic() < deadline, record
    assert record["status"] == "running" and record["boot_ms"] > 0, record
    assert record["cleanup_ms"] is None and record["duration_ms"] is None, record
    ended = daemon.json("DELETE", path)
    assert ended["boot_ms"] == record["boot_ms"] and ended["vsock_ms"] == record["vsock_ms"]


def test_boot_times_are_not_quantised(fake_box, trace):
    """Boots of random length, spread over 100 ms. If Vulcan polled every P ms, their times would be P ms
        apart: drawn as angles on a circle of P ms, they would point in one direction. Honest times point
        in all directions; the mean of 40 such arrows is longer than 0.6 once in a million runs."""
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:20-120"
    daemon = fake_box.serve("--max-vms", "1")
    boots = [daemon.submit("sh", "exit 0")["boot_ms"] for _ in range(40)]
    for period in (100, 50, 25, 20, 10, 5):
        arrow = sum(cmath.exp(2j * math.pi * ms / period) for ms in boots) / len(boots)
        assert abs(arrow) < 0.6, f"boot times are {period} ms apart: {sorted(boots)}"
    inside = [seconds(events, "start", "hello") for events in trace.read().values()]
    metrics = daemon.metrics()
    assert metrics.count(BOOT) == 40
    added = metrics.sum(BOOT) - sum(inside)
    assert 0 <= added < 40 * SLACK_S
    assert abs(metrics.sum(BOOT) - sum(boots) / 1e3) < 0.001


def test_the_gauge_counts_running_vms_and_returns_to_zero(fake_box):
    daemon = fake_box.serve()
    assert daemon.metrics().value(ACTIVE) == 0
    ids = [daemon.start("sh", "hang", resources={"timeout_s": 1})["id"] for _ in range(2)]
    deadline = time.monotonic() + vulcan.LIMIT_S
    while daemon.metrics().value(ACTIVE) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for workload_id in ids:
        assert daemon.until_ended(workload_id)["status"] == "failed"
    metrics = daemon.metrics()
    assert metrics.value(ACTIVE) == 0
    assert metrics.value(WORKLOADS, runtime="sh", status="failed") == 2
    assert metrics.count(BOOT) == metrics.count(CLEANUP) == 2


def test_known_series_are_zero_from_the_start(fake_box):
    metrics = fake_box.serve().metrics()
    for runtime in ("sh", "python"):
        for status in ("completed", "failed", "killed"):
            assert metrics.value(WORKLOADS, runtime=runtime, status=status) == 0
    for name in (BOOT, VSOCK, CLEANUP):
        assert metrics.count(name) == 0
