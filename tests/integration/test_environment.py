# SPDX-License-Identifier: Apache-2.0
"""The /proc/PID/environ of a VMM holds nothing of the daemon's environment."""
import os
import time

import vulcan


def group_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            return f.read().rpartition(")")[2].split()[2]
    except OSError:
        return None


def test_a_vmm_does_not_see_the_environment_of_the_daemon(box):
    """With each VMM; the process group of vulcan-vmm includes QEMU."""
    daemon = box.serve(env={"VULCAN_TEST_SECRET": "do-not-tell"})
    hang = "hang" if box.vmm.name == "fake-thread" else "sleep 1000"
    path = "/v1/workloads/" + daemon.start("sh", hang)["id"]
    deadline = time.monotonic() + vulcan.LIMIT_S
    while daemon.json("GET", path)["boot_ms"] is None:  # no event reports this
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with open(os.path.join(box.state, "vms", os.path.basename(path), "vmm"), encoding="ascii") as f:
        group = f.read().split()[0]
    members = [p for p in os.listdir("/proc") if p.isdigit() and group_of(p) == group]
    assert group in members
    for pid in members:
        with open(f"/proc/{pid}/environ", "rb") as f:
            environment = f.read()
        assert b"PATH=" in environment, pid
        assert b"do-not-tell" not in environment and b"VULCAN_STATE" not in environment, pid
    daemon.json("DELETE", path)
