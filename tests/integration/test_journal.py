# SPDX-License-Identifier: Apache-2.0
"""The daemon's log about workloads: each step at debug, failures always, contents never."""
import re

from test_faults import Instructions

ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


def lines_of(text, workload_id):
    return [line.replace(workload_id, "ID") for line in text.splitlines() if workload_id in line]


def test_each_step_is_logged_at_debug(fake_box):
    daemon = fake_box.serve("--token-file", fake_box.file("token", "t0p-secret-of-the-test\n"),
                            env={"VULCAN_LOG_LEVEL": "debug"})
    headers = {"Authorization": "Bearer t0p-secret-of-the-test"}
    raw = daemon.request("POST", "/v1/workloads", {
        "runtime": "sh", "code": "print s3cret\nexit 3", "input": "s3cret", "args": ["s3cret"],
        "env": {"S3CRET": "s3cret"}}, headers)[1]
    ended = re.search(ULID, raw.decode()).group()
    raw = daemon.request("POST", "/v1/workloads/async", {"runtime": "sh", "code": "hang"},
                         headers)[1]
    killed = re.search(ULID, raw.decode()).group()
    assert daemon.request("DELETE", f"/v1/workloads/{killed}", headers=headers)[0] == 200
    text = daemon.stop().text
    accepted, begun, end = lines_of(text, ended)
    assert re.fullmatch(r"debug: workload ID: accepted: sh, 1 CPUs, \d+ MiB, 60 s, network none, "
                        r"from 127\.0\.0\.1:\d+", accepted), accepted
    assert re.fullmatch(r"debug: workload ID: starts after waiting \d+\.\d ms", begun), begun
    assert re.fullmatch(r"debug: workload ID: completed: exit code 3 \(sh; \d+ ms: "
                        r"boot \d+\.\d, program \d+\.\d, cleanup \d+\.\d\)", end), end
    said = lines_of(text, killed)
    assert any(line == "debug: workload ID: kill requested" for line in said), said
    assert said[-1].startswith("debug: workload ID: killed: killed"), said
    assert not re.search("s3cret|t0p-secret-of-the-test", text, re.I)


def test_only_failures_are_logged_by_default(fake_box):
    instructions = Instructions(fake_box)
    daemon = fake_box.serve()
    assert daemon.submit("sh", "print x")["status"] == "completed"
    instructions.give("exit:153")
    failed = daemon.submit("sh", "print x")
    text = daemon.stop().text
    (line,) = lines_of(text, failed["id"])
    assert line.startswith("info: workload ID: failed: microVM did not boot: the VMM "), line
    assert "exited with code 153 (sh; " in line and "console" not in line
    assert len(re.findall(ULID, text)) == 1
