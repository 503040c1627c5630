# SPDX-License-Identifier: Apache-2.0
"""The VMM fails at every step it has: right status, one clear error, nothing left, and the daemon
serves on."""
import os

import pytest

import vulcan
from vulcan import ACTIVE, BOOT, CLEANUP, VSOCK, WORKLOADS

BEFORE_READY = {
    # way to fail: what the error must say
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


class Orders:
    """The fake reads its orders from a file, so that they can change under a daemon."""

    def __init__(self, box):
        self.path = os.path.join(box.folder, "orders")
        box.env["FAKE_FC_FAIL"] = "@" + self.path
        self.give("")

    def give(self, text):
        with open(self.path, "w", encoding="ascii") as f:
            f.write(text)


@pytest.fixture
def orders(fake_box):
    return Orders(fake_box)


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


def check_serves_on(daemon, orders):
    orders.give("")
    record = daemon.submit("sh", "print still here")
    assert record["status"] == "completed", record
    assert vulcan.output_of(record) == b"still here\n"
    assert daemon.metrics().value(ACTIVE) == 0


@pytest.mark.parametrize("way", BEFORE_READY)
def test_fails_before_it_is_ready(fake_box, orders, way):
    daemon = fake_box.serve("--boot-timeout", "1")
    orders.give(way)
    record = daemon.submit("sh", "print x", resources={"timeout_s": 1})
    metrics = check_failure(daemon, record, boots=0, says=BEFORE_READY[way])
    assert metrics.count(VSOCK) == 0
    assert metrics.total("vulcan_firecracker_boot_failures_total") >= 1
    check_serves_on(daemon, orders)


@pytest.mark.parametrize("way", AFTER_READY)
def test_fails_when_it_was_ready(fake_box, orders, way):
    daemon = fake_box.serve()
    orders.give(way)
    record = daemon.submit("sh", "print x", resources={"timeout_s": 1})
    metrics = check_failure(daemon, record, boots=1, says=AFTER_READY[way])
    assert metrics.count(CLEANUP) == 1
    if way == "crash-midrun":
        assert vulcan.output_of(record) == b"partial\n"
    check_serves_on(daemon, orders)


def test_a_boot_that_fails_once_is_tried_again(fake_box, orders):
    fake_box.env["FAKE_FC_ONCE"] = os.path.join(fake_box.folder, "once")
    orders.give("exit:148")
    daemon = fake_box.serve()
    record = daemon.submit("sh", "print x")
    assert record["status"] == "completed", record
    metrics = daemon.metrics()
    assert metrics.count(BOOT) == 1
    assert metrics.total("vulcan_firecracker_boot_failures_total") == 1
    assert metrics.total(WORKLOADS) == 1
    assert metrics.value(ACTIVE) == 0


def test_torn_metrics_cost_nothing_but_their_line(fake_box, orders):
    daemon = fake_box.serve()
    orders.give("torn-metrics")
    assert daemon.submit("sh", "print x")["status"] == "completed"
    metrics = daemon.metrics()
    assert metrics.value("vulcan_firecracker_vmm_metrics_lost_total") >= 1
    check_serves_on(daemon, orders)


def test_counters_of_the_vmm_are_sums(fake_box, orders):
    daemon = fake_box.serve()
    for _ in range(3):
        daemon.submit("sh", "exit 0")
    metrics = daemon.metrics()
    # the fake adds one connection in its first line and 7 bytes when it is flushed
    assert metrics.total("vulcan_firecracker_vmm_vsock_connections_total") == 3
    assert metrics.value("vulcan_firecracker_vmm_vsock_bytes_total", direction="rx") == 21


def test_unanswered_guest_out_of_memory(fake_box):
    daemon = fake_box.serve()
    record = daemon.submit("sh", "oom")
    check_failure(daemon, record, boots=1, says="memory")


@pytest.mark.parametrize("way", ["refuse", "hang", "crash-midrun", "torn", "hello-error"])
def test_command_line_says_it_in_one_line(fake_box, way):
    fake_box.env["FAKE_FC_FAIL"] = way
    result = fake_box.run("sh", "print x", "--boot-timeout", "1")
    assert result.code == 125, result
    *warnings, last = result.text.strip().splitlines()
    assert last.startswith("vulcan: "), result
    assert all("trying once more" in line for line in warnings), result
