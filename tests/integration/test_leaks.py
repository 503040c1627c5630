# SPDX-License-Identifier: Apache-2.0
"""The leak checker finds what it should find."""
import os
import subprocess
import sys

import pytest

import leaks


@pytest.fixture
def before():
    return leaks.Snapshot()


def test_no_leak_is_reported_without_one(before):
    assert before.left() == []


def test_a_process_is_found(before, monkeypatch):
    monkeypatch.setattr(leaks, "SETTLE_S", 0)
    process = subprocess.Popen([sys.executable, "-c", "input()  # vulcan"], stdin=subprocess.PIPE)
    try:
        assert [line for line in before.left() if line.startswith(f"process {process.pid}:")]
    finally:
        process.kill()
        process.communicate()


def test_an_orphaned_process_is_found(before, monkeypatch):
    monkeypatch.setattr(leaks, "SETTLE_S", 0)
    if not leaks.ISOLATED:
        pytest.skip("needs namespaces: run it by tools/test")
    pid = int(subprocess.check_output(["sh", "-c", "sleep 1000 >/dev/null & echo $!"]))
    try:
        assert [line for line in before.left() if line.startswith(f"process {pid}:")]
    finally:
        os.kill(pid, 9)
        leaks.wait_for_end(pid, 10)
    assert before.left() == []


@pytest.mark.skipif(not leaks.ISOLATED, reason="needs namespaces: run it by tools/test")
@pytest.mark.parametrize("make, remove, says", [
    ("ip tuntap add mode tap leaktap0", "ip link delete leaktap0", "network interface: leaktap0"),
    ("nft add table ip leaktable", "nft delete table ip leaktable", "nftables: table ip leaktable"),
    ("mount -t tmpfs leak /mnt", "umount /mnt", "mount: leak /mnt"),
    ("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0", "ip_forward: 1"),
], ids=["tap", "rule", "mount", "forwarding"])
def test_interfaces_rules_and_mounts_are_found(before, make, remove, says):
    subprocess.run(make.split(), check=True)
    try:
        assert [line for line in before.left() if line.startswith(says)], before.left()
    finally:
        subprocess.run(remove.split(), check=True)
    assert before.left() == []


def test_files_in_the_state_directory_are_found(tmp_path):
    for kept in ("vms", "net"):
        (tmp_path / kept).mkdir()
    for name in ("vulcan.db", "vulcan.db-wal", "lock", "net/lock"):
        (tmp_path / name).touch()
    assert leaks.state_files(tmp_path) == []
    (tmp_path / "vms" / "01ARZ").mkdir()
    (tmp_path / "stray.sock").touch()
    assert sorted(leaks.state_files(tmp_path)) == ["stray.sock", "vms/01ARZ"]
