# SPDX-License-Identifier: Apache-2.0
"""The drain of a daemon: running workloads may end, new ones are rejected, a second signal kills;
and its notifications of systemd."""
import os
import signal
import socket
import sqlite3
import threading
import time

import pytest

import vulcan

pytestmark = pytest.mark.any_backend
from test_admission import running, until


def records(box):
    """The records in the store, after the daemon has exited."""
    with sqlite3.connect(os.path.join(box.state, "vulcan.db")) as db:
        return dict(db.execute("SELECT id, status FROM workloads"))


def test_a_drain_lets_workloads_end_and_rejects_new_ones(fake_box):
    daemon = fake_box.serve("--drain", vulcan.scaled(30), "--max-vms", "1")
    ids = [daemon.start("sh", "sleep 1500")["id"], daemon.start("sh", "exit 0")["id"]]
    until(lambda: running(daemon) == 1)
    daemon.signal(signal.SIGTERM)
    until(lambda: daemon.request("GET", "/healthz")[0] == 503)
    assert daemon.json("GET", "/healthz", want=503) == {"status": "draining"}
    status, raw, headers = daemon.request("POST", "/v1/workloads/async",
                                          {"runtime": "sh", "code": "exit 0"})
    assert status == 503 and b"stopping" in raw and int(headers["Retry-After"]) > 0
    assert daemon.json("GET", f"/v1/workloads/{ids[0]}")["status"] == "running"
    result = daemon.wait()
    assert result.code == 0, result
    assert records(fake_box) == {i: "completed" for i in ids}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(fake_box, number):
    """As in the background of a shell, or under nohup."""
    daemon = fake_box.serve(prefix=["sh", "-c", f"trap '' {number.value}; exec \"$@\"", "sh"])
    daemon.signal(number)
    assert daemon.submit("sh", "print x")["status"] == "completed"
    daemon.signal(signal.SIGTERM)
    assert daemon.wait().code == 0


def test_a_drain_ends_at_its_time_limit(fake_box):
    daemon = fake_box.serve("--drain", "1", "--max-vms", "4", "--max-queue", "10")
    ids = [daemon.start("sh", "hang")["id"] for _ in range(8)]
    until(lambda: running(daemon) == 4)
    began = time.monotonic()
    result = daemon.stop()
    took = time.monotonic() - began
    assert result.code == 0 and 1 <= took < 3 * vulcan.SLOW, (took, result)
    assert records(fake_box) == {i: "killed" for i in ids}
    daemon = fake_box.serve()
    errors = [daemon.json("GET", f"/v1/workloads/{i}")["error"] for i in ids]
    assert sorted(errors) == 4 * ["killed before it began: the daemon shut down"] + \
        4 * ["killed: the daemon shut down"]


def test_a_follower_learns_the_result(fake_box):
    """The client asks for the status after the end of the log; the daemon is still there."""
    for words in (["--drain", "0"], ["--drain", "1"]):
        daemon = fake_box.serve(*words)
        command = fake_box.start("run", "--runtime", "sh", "-e", "print up\nhang",
                                 env={"VULCAN_SERVER": daemon.url})
        command.wait_for("up")
        daemon.signal(signal.SIGTERM)
        result = command.wait()
        assert result.code == 137 and b"killed" in result.err, result
        assert daemon.wait().code == 0


def test_healthz_reports_the_drain(fake_box):
    daemon = fake_box.serve()
    assert "nothing is running" in daemon.stop().text
    empty = os.path.join(fake_box.folder, "empty")
    os.mkdir(empty)
    daemon = fake_box.serve("--images", empty)
    daemon.wait_for("no runtime has an image", "err")
    other = fake_box.vulcan("serve", "--listen", daemon.url.removeprefix("http://"), "--state-dir",
                            os.path.join(fake_box.folder, "other"))
    assert other.code == 1 and "--listen" in other.text and other.text.count("\n") == 1, other


def test_a_second_signal_kills_immediately(fake_box):
    daemon = fake_box.serve("--drain", "300", "--max-vms", "8")
    ids = [daemon.start("sh", "hang")["id"] for _ in range(8)]
    until(lambda: running(daemon) == 8)
    daemon.signal(signal.SIGTERM)
    until(lambda: daemon.request("GET", "/healthz")[0] == 503)
    daemon.signal(signal.SIGTERM)
    began = time.monotonic()
    result = daemon.wait()
    assert result.code == 0 and time.monotonic() - began < 2 * vulcan.SLOW, result
    assert records(fake_box) == {i: "killed" for i in ids}


def test_a_second_signal_after_the_drain_changes_nothing(fake_box):
    """Nothing runs, so the drain ends immediately, and the second signal arrives while the daemon
    exits."""
    for i in range(20):
        daemon = fake_box.serve("--drain", "300")
        if i % 4 == 0:
            daemon.submit("sh", "exit 0")
        daemon.signal(signal.SIGTERM)
        time.sleep(i * 0.0005)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait().code == 0, i


@pytest.mark.needs_vmm
def test_a_third_signal_ends_the_process_and_the_next_start_recovers(fake_box):
    daemon = fake_box.serve("--drain", "300")
    workload = daemon.start("sh", "hang")
    until(lambda: running(daemon) == 1)
    note = os.path.join(fake_box.state, "vms", workload["id"], "vmm")
    until(lambda: os.path.exists(note))
    daemon.signal(signal.SIGTERM)
    until(lambda: daemon.request("GET", "/healthz")[0] == 503)
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)  # a different number, because the second may still be pending
    # Either of the last two is the third, and the daemon may have exited before it.
    assert daemon.wait().code in (0, -signal.SIGINT, -signal.SIGTERM)
    daemon = fake_box.serve()
    record = daemon.json("GET", f"/v1/workloads/{workload['id']}")
    assert record["status"] in ("killed", "failed"), record
    assert not os.listdir(os.path.join(fake_box.state, "vms"))


def test_a_waiting_client_gets_the_result(fake_box):
    daemon = fake_box.serve("--drain", "30")
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(daemon.submit("sh", "sleep 800")))
    waiting.start()
    until(lambda: running(daemon) == 1)
    assert daemon.stop().code == 0
    waiting.join()
    assert answers[0]["status"] == "completed", answers


class Systemd:
    def __init__(self, box):
        self.path = os.path.join(box.folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(vulcan.LIMIT_S)
        box.env["NOTIFY_SOCKET"] = self.path
        box.env["WATCHDOG_USEC"] = "200000"

    def until(self, line):
        while True:
            message = self.socket.recv(4096).decode().split("\n")
            if line in message:
                return message


def test_systemd_is_notified_of_ready_watchdog_and_stop(fake_box):
    systemd = Systemd(fake_box)
    daemon = fake_box.serve("--drain", "20")
    systemd.until("READY=1")
    for _ in range(3):
        assert any(line.startswith("STATUS=") for line in systemd.until("WATCHDOG=1"))
    daemon.start("sh", "sleep 600")
    until(lambda: running(daemon) == 1)
    daemon.signal(signal.SIGTERM)
    stopping = systemd.until("STOPPING=1")
    assert f"EXTEND_TIMEOUT_USEC={35 * 1000000}" in stopping
    systemd.until("WATCHDOG=1")  # it is alive while it drains
    assert daemon.wait().code == 0
    systemd.socket.close()


@pytest.mark.needs_vmm
def test_a_vmm_does_not_inherit_systemds_socket(fake_box):
    systemd = Systemd(fake_box)
    daemon = fake_box.serve()
    workload = daemon.start("sh", "hang")
    until(lambda: running(daemon) == 1)
    vmm = os.path.join(fake_box.state, "vms", workload["id"], "vmm")
    until(lambda: os.path.exists(vmm) and os.path.getsize(vmm) > 0)
    with open(vmm, encoding="ascii") as f:
        pid = f.read().split()[0]
    with open(f"/proc/{pid}/environ", "rb") as f:
        assert b"NOTIFY_SOCKET" not in f.read()
    daemon.stop()
    systemd.socket.close()
