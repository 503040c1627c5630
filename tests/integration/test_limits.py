# SPDX-License-Identifier: Apache-2.0
"""Programs that do not want to end are ended, with the right status, and leave nothing (the fixture
checks processes, interfaces, rules, mounts and files)."""
import pytest

import vulcan

MARGIN_S = 10 * vulcan.SLOW  # boot and cleanup of a VM under TCG on a busy machine


def timed_out(result, limit_s):
    assert result.code == 124, result
    assert f"timed out after {limit_s} s" in result.text, result
    assert limit_s <= result.seconds < limit_s + MARGIN_S, result


def test_an_endless_loop_ends_at_the_time_limit(box):
    timed_out(box.run("sh", "while :; do :; done", "--timeout", "1"), 1)


def test_output_before_the_time_limit_arrives(box):
    result = box.run("sh", "echo first; echo second >&2; sleep 100000", "--timeout",
                     vulcan.scaled(1))
    timed_out(result, vulcan.SLOW)
    assert result.out == b"first\n" and result.err.startswith(b"second\n"), result


def test_a_program_that_ignores_sigterm_ends_at_the_time_limit(box):
    code = "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 100; done) & while :; do :; done"
    timed_out(box.run("sh", code, "--timeout", "1"), 1)


def test_a_program_that_left_its_process_group_ends_at_the_time_limit(box):
    timed_out(box.run("sh", "setsid sh -c 'sleep 1000' & sleep 1000", "--timeout", "1"), 1)


def test_a_program_that_closes_its_streams_ends_at_the_time_limit(box):
    result = box.run("sh", "echo before; exec <&- >&- 2>&-; sleep 1; exit 3")
    assert (result.code, result.out) == (3, b"before\n"), result
    assert result.seconds >= 1


@pytest.mark.parametrize("flood", [
    "yes 0123456789012345678901234567890123456789",
    "while :; do printf x; done",
    "while :; do echo out; echo error >&2; done",
    "for i in 1 2 3 4 5 6 7 8; do (while :; do echo $i; echo $i >&2; done) & done; wait",
], ids=["large", "bytes", "alternating", "many"])
def test_a_flood_of_output_gains_no_time(box, flood):
    """In a daemon, which splits output into lines, and without one."""
    daemon = box.serve()
    record = daemon.submit("sh", flood, resources={"timeout_s": 1})
    assert record["status"] == "failed" and record["timed_out"], record
    assert "timed out after 1 s" in record["error"], record
    timed_out(box.run("sh", flood, "--timeout", "1"), 1)


def test_children_do_not_outlive_the_program(box):
    result = box.run("sh", "sleep 1000 & setsid sleep 1000 & echo done")
    assert (result.code, result.out) == (0, b"done\n"), result
    assert result.seconds < MARGIN_S, result


def test_a_program_that_ends_by_a_signal_gives_128_and_its_number(box):
    result = box.run("sh", "kill -9 $$")
    assert result.code == 128 + 9, result


@pytest.mark.vms_only
def test_a_fork_bomb_is_contained(box):
    code = ("import os\n"
            "while True:\n"
            "    try:\n"
            "        os.fork()\n"
            "    except OSError:\n"
            "        pass\n")
    timed_out(box.run("python", code, "--timeout", "3"), 3)


@pytest.mark.vms_only
@pytest.mark.parametrize("eaters", [1, 8])
def test_a_program_that_uses_all_memory_is_ended_soon(box, eaters):
    """It ends because memory ran out, and soon: not at the time limit, after the kernel has read
    the same pages again and again."""
    daemon = box.serve()
    code = (f"import os\n"
            f"for i in range({eaters} - 1):\n"
            f"    if os.fork() == 0:\n"
            f"        break\n"
            f"data = []\n"
            f"while True:\n"
            f"    data.append(bytearray(1 << 20))\n")
    record = daemon.submit("python", code, resources={"timeout_s": 45 * vulcan.SLOW})
    assert record["status"] == "failed" and record["oom"], record
    assert "memory" in record["error"], record
    metrics = daemon.metrics()
    assert metrics.value(vulcan.WORKLOADS, runtime="python", status="failed") == 1
    assert metrics.value(vulcan.ACTIVE) == 0


@pytest.mark.vms_only
def test_reading_files_uses_no_memory(box):
    """It reads more files than there is memory; the kernel reclaims their pages."""
    code = "import subprocess; subprocess.run('find /usr -type f -exec cat {} + | wc -c', shell=True)"
    result = box.run("python", code, "--mem", "96")
    assert result.code == 0 and int(result.out) > 110_000_000, result


@pytest.mark.vms_only
def test_the_limit_of_open_files_can_be_raised(box):
    """The default is low, for programs that use select(); it can be raised as docs/images.md says."""
    code = ("import resource as r\n"
            "print(*r.getrlimit(r.RLIMIT_NOFILE))\n"
            "r.setrlimit(r.RLIMIT_NOFILE, (524288, 524288))\n")
    result = box.run("python", code)
    assert (result.code, result.out) == (0, b"1024 524288\n"), result


def test_output_beyond_the_limit_is_dropped_and_reported(box):
    result = box.run("sh", "head -c 100000 /dev/zero", "--output-max", "4096")
    assert result.code == 0 and len(result.out) == 4096, (result.code, len(result.out))
    assert "95904" in result.text or "dropped" in result.text, result.text
