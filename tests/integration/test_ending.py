# SPDX-License-Identifier: Apache-2.0
"""Vulcan is stopped, politely or not: no VM outlives it, and the next start cleans up."""
import json
import os
import select
import signal
import subprocess
import time

import pytest

import leaks
import vulcan

READY = "echo ready; sleep 1000"


def test_ctrl_c_kills_the_program(box):
    end_by(box, signal.SIGINT, 130)


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_kill_the_program(fake_box_agent, number, code):
    end_by(fake_box_agent, number, code)


def end_by(box, number, code):
    command = box.start("run", "--runtime", "sh", "-e", READY)
    command.wait_for("ready")
    sent = time.monotonic()
    command.signal(number)
    result = command.wait()
    assert result.code == code, result
    assert time.monotonic() - sent < 2 * vulcan.SLOW, result
    assert result.out == b"ready\n"


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_during_the_kill_leaves_nothing(fake_box, second):
    """It may terminate the process; then the next start cleans up."""
    for pause in (0, 0.001, 0.003):
        command = fake_box.start("run", "--runtime", "sh", "-e", "print ready\nhang")
        command.wait_for("ready")
        command.signal(signal.SIGINT)
        time.sleep(pause)
        command.signal(second)
        result = command.wait(10 * vulcan.SLOW)
        assert result.code in (130, 128 + second, -second, -signal.SIGINT), result
        sweep(fake_box)


def test_ctrl_c_during_the_boot_leaves_nothing(fake_box, trace):
    fake_box.env["FAKE_FC_FAIL"] = "hang"
    command = fake_box.start("run", "--runtime", "sh", "-e", "print x")
    wait_for_vmm(trace)
    command.signal(signal.SIGINT)
    assert command.wait(10 * vulcan.SLOW).code == 130


def wait_for_vmm(trace):
    deadline = time.monotonic() + 20 * vulcan.SLOW
    while not os.path.exists(trace.path):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sweep(box):
    """The next start removes what the killed process left: run anything, then the fixture checks."""
    assert box.run("sh", "exit 0").code == 0


@pytest.mark.parametrize("verb", ["run", "serve"])
def test_kill_9_leaves_no_vm(box, verb):
    before = leaks.Snapshot()
    if verb == "run":
        command = box.start("run", "--runtime", "sh", "-e", READY)
        command.wait_for("ready")
    else:
        command = box.serve()
        workload_id = command.start("sh", READY)["id"]
        until_running(command, workload_id)
    command.process.kill()
    command.wait()
    assert not before.new_processes(), "a process outlived vulcan"
    sweep(box)


def test_kill_9_during_the_boot_leaves_nothing(fake_box, trace):
    before = leaks.Snapshot()
    fake_box.env["FAKE_FC_FAIL"] = "hang"
    command = fake_box.start("run", "--runtime", "sh", "-e", "print x")
    wait_for_vmm(trace)
    command.process.kill()
    command.wait()
    assert not before.new_processes(), "a process outlived vulcan"
    fake_box.env["FAKE_FC_FAIL"] = ""
    sweep(fake_box)


def until_running(daemon, workload_id):
    """Waits until the VM is ready, which is when the boot is counted."""
    deadline = time.monotonic() + vulcan.LIMIT_S
    while daemon.metrics().count(vulcan.BOOT) < 1:
        assert time.monotonic() < deadline, daemon.log()
        time.sleep(0.02)
    assert daemon.json("GET", f"/v1/workloads/{workload_id}")["status"] == "running"


def test_workloads_of_a_killed_daemon_are_failed_with_a_reason(fake_box):
    daemon = fake_box.serve()
    workload_id = daemon.start("sh", "hang")["id"]
    until_running(daemon, workload_id)
    daemon.process.kill()
    daemon.wait()
    record = fake_box.serve().json("GET", f"/v1/workloads/{workload_id}")
    assert record["status"] == "failed" and record["error"], record


def test_a_stopped_daemon_kills_its_workloads(fake_box):
    daemon = fake_box.serve()
    workload_id = daemon.start("sh", "hang")["id"]
    until_running(daemon, workload_id)
    began = time.monotonic()
    assert daemon.stop().code in (0, 143), daemon.log()
    assert time.monotonic() - began < 5 * vulcan.SLOW
    record = fake_box.serve().json("GET", f"/v1/workloads/{workload_id}")
    assert record["status"] == "killed", record


def test_a_vmm_killed_from_outside_fails_its_workload(fake_box, trace):
    daemon = fake_box.serve()
    workload_id = daemon.start("sh", "hang")["id"]
    until_running(daemon, workload_id)
    (pid,) = trace.read()
    os.kill(pid, signal.SIGKILL)
    record = daemon.until_ended(workload_id)
    assert record["status"] == "failed" and "signal" in record["error"], json.dumps(record)
    assert daemon.metrics().value(vulcan.ACTIVE) == 0


def test_a_closed_output_kills_the_program(fake_box):
    """As in `vulcan run … | head`: the program is killed, and the exit code says so."""
    read_end, write_end = os.pipe()
    command = fake_box.start("run", "--runtime", "sh", "-e", "bytes 1000000000", stdin=b"")
    os.close(read_end), os.close(write_end)
    command.process.stdout.close()
    command.process.wait(vulcan.LIMIT_S)
    assert command.process.returncode == 141


def test_a_stopped_reader_does_not_keep_the_vm(fake_box, trace):
    """As in `vulcan run … | less`: the VM ends at its time limit, and no byte of output is lost."""
    read_end, write_end = os.pipe()
    command = subprocess.Popen(
        [vulcan.VULCAN, "run", "--runtime", "sh", "--timeout", "1", "-e", "bytes 400000"],
        env=fake_box.env, stdout=write_end, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    os.close(write_end)
    wait_for_vmm(trace)
    (pid,) = trace.read()
    gone = os.pidfd_open(pid)
    assert select.select([gone], [], [], 20 * vulcan.SLOW)[0], "the VM is there still"
    os.close(gone)
    assert command.poll() is None
    with os.fdopen(read_end, "rb") as pipe:
        assert len(pipe.read()) == 400000
    assert (command.wait(vulcan.LIMIT_S), command.stderr.read()) == (0, b"")
