# SPDX-License-Identifier: Apache-2.0
"""vulcan-vmm with a fake QEMU that is only a monitor: what it waits for, and how long."""
import http.client
import json
import os
import select
import subprocess
import sys

import pytest

import vulcan
from test_vmm import Api, VMM, write_config

# Answers each command from a table; None: never. Waits for a file `go` first.
QEMU = """#!%s
import json, re, socket, sys
fd = int(re.search(r"id=qmp,fd=(\\d+)", " ".join(sys.argv)).group(1))
with open(%r) as go:
    answers = json.loads(go.read())
monitor = socket.socket(fileno=fd)
monitor.sendall(b'{"QMP": {}}\\r\\n')
for line in monitor.makefile():
    answer = answers.get(json.loads(line)["execute"], {})
    if answer is not None:
        monitor.sendall(json.dumps({"return": answer}).encode() + b"\\r\\n")
"""


@pytest.fixture
def machine(folder):
    """(its API, a function that lets QEMU continue with these answers, the directory)"""
    gate, qemu = os.path.join(folder, "go"), os.path.join(folder, "qemu")
    os.mkfifo(gate)
    with open(qemu, "w", encoding="utf-8") as f:
        f.write(QEMU % (sys.executable, gate))
    os.chmod(qemu, 0o755)
    config = write_config(folder, metrics={"metrics_path": folder + "/m"})
    process = subprocess.Popen(
        vulcan.wrap([VMM, "--config-file", config, "--api-sock", folder + "/api", "--no-seccomp"]),
        env={**os.environ, "VULCAN_VMM_QEMU": qemu}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, start_new_session=True)

    def go(answers):
        with open(gate, "w", encoding="utf-8") as f:  # once QEMU reads it
            json.dump(answers, f)

    try:
        yield folder, go
    finally:
        process.kill()
        process.wait()


def flush(api):
    return api.ask("PUT", "/actions", {"action_type": "FlushMetrics"})


def lines(folder):
    with open(folder + "/m", encoding="ascii") as f:
        return [json.loads(line) for line in f]


def connected(folder):
    """To be called when QEMU runs; the socket is bound before that."""
    api = Api(folder + "/api")
    api.connect()
    return api


def test_requests_wait_until_the_machine_runs(machine):
    folder, _ = machine
    with open(folder + "/go", "w", encoding="utf-8") as gate:  # QEMU has been started
        api = connected(folder)
        body = json.dumps({"action_type": "InstanceStart"}).encode()
        api.sock.sendall(b"PUT /actions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(body), body))
        # No event reports that nothing arrives; a wrong answer would have arrived by then.
        assert not select.select([api.sock], [], [], 0.3)[0]
        gate.write("{}")
    answer = http.client.HTTPResponse(api.sock)
    answer.begin()
    assert answer.status == 400
    assert "not supported after starting" in json.loads(answer.read())["fault_message"]


def test_a_flush_asks_for_block_counters(machine):
    folder, go = machine
    go({"query-blockstats": [
        {"node-name": "drive0", "stats": {"rd_bytes": 4096, "rd_operations": 3}},
        {"node-name": "drive1", "stats": {"rd_bytes": 512, "wr_bytes": 7, "wr_operations": 1}}]})
    api = connected(folder)
    for _ in range(2):
        assert flush(api) == (204, None)
    blocks = [line["block"] for line in lines(folder)]
    assert [b["read_bytes"] for b in blocks] == [0, 4608, 0]
    assert [b["read_count"] for b in blocks] == [0, 3, 0]
    assert [b["write_bytes"] for b in blocks] == [0, 7, 0]


def test_a_flush_does_not_wait_for_a_qemu_that_is_stuck(machine):
    folder, go = machine
    go({"query-blockstats": None})
    api = connected(folder)
    for _ in range(3):
        assert flush(api) == (204, None)
    assert api.ask("GET", "/")[1]["state"] == "Running"
    told = lines(folder)
    assert len(told) == 4
    assert sum(line["put_api_requests"]["actions_count"] for line in told) == 3
