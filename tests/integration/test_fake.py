# SPDX-License-Identifier: Apache-2.0
"""The fake VMM by itself, on which the other tests rely."""
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import leaks
import vulcan
import wire

REQUEST = {"protocol": 2, "id": "01arz3ndektsv4rrffq69g5fav", "argv": ["/bin/sh", "main.sh"],
           "env": ["PATH=/usr/bin:/bin"], "file": "main.sh", "archive": False, "has_stdin": False,
           "timeout_ms": 10000, "processes_max": 0, "output_max": 1 << 20, "wall_clock_ms": 0,
           "network": {"enabled": False, "dns": []}, "files": 0, "files_size": 0, "fetch": [],
           "fetch_max": 0}


class Fake:
    def __init__(self, folder, images, fail="", env=None):
        self.folder = folder
        self.uds = os.path.join(folder, "v.sock")
        self.api = os.path.join(folder, "api.sock")
        self.metrics = os.path.join(folder, "metrics")
        open(self.metrics, "wb").close()
        config = {"boot-source": {"kernel_image_path": f"{images}/vmlinux"},
                  "drives": [{"drive_id": "root", "path_on_host": f"{images}/sh.squashfs",
                              "is_root_device": True, "is_read_only": True}],
                  "vsock": {"guest_cid": 3, "uds_path": self.uds},
                  "metrics": {"metrics_path": self.metrics}}
        with open(os.path.join(folder, "config.json"), "w", encoding="ascii") as f:
            json.dump(config, f)
        self.host = wire.Host(self.uds)
        self.process = subprocess.Popen(
            [vulcan.FAKE, "--id", "fake-1", "--api-sock", self.api, "--config-file", f.name],
            env={**os.environ, "FAKE_FC_GUEST": "builtin", "FAKE_FC_FAIL": fail, **(env or {})},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def boot(self):
        self.host.accept()
        kind, hello = self.host.receive()
        assert kind == wire.HELLO and hello["protocol"] == 2
        return hello

    def run(self, code, **more):
        code = code.encode()
        self.host.send(wire.REQUEST, {**REQUEST, **more, **wire.code(code)})
        self.host.send(wire.CODE, code)
        frames = []
        while not frames or frames[-1][0] != wire.RESULT:
            frames.append(self.host.receive())
        return frames

    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.api)
            s.settimeout(vulcan.LIMIT_S)
            s.sendall(request)
            answer = b""
            while chunk := s.recv(4096):
                answer += chunk
            return answer

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.host.close()


@pytest.fixture
def fake(folder, fake_images):
    before = leaks.Snapshot()
    made = []

    def make(*args, **more):
        made.append(Fake(folder, fake_images, *args, **more))
        return made[-1]
    yield make
    for one in made:
        one.close()
    assert not before.left()


def test_it_runs_lines_of_text(fake):
    vm = fake()
    assert "error" not in vm.boot()
    frames = vm.run("print hello\nerror oops\nbytes 70000\nexit 3\nprint never\n")
    assert frames[0] == (wire.STDOUT, b"hello\n")
    assert frames[1] == (wire.STDERR, b"oops\n")
    assert b"".join(p for k, p in frames[2:-1]) == b"x" * 70000
    assert frames[-1][1]["exit_code"] == 3


def test_it_enforces_the_time_limit(fake):
    vm = fake()
    vm.boot()
    assert vm.run("hang", timeout_ms=50)[-1][1]["timed_out"] is True


needs_agent = pytest.mark.skipif(vulcan.agent_lacks() != "", reason=vulcan.agent_lacks())


@needs_agent
def test_the_real_agent_runs_a_script(fake):
    vm = fake(env={"FAKE_FC_GUEST": os.path.join(vulcan.BUILD, "bin", "vulcan-guest")})
    vm.boot()
    frames = vm.run("echo $((6*7)); exit 5")
    assert (wire.STDOUT, b"42\n") in frames
    assert frames[-1][1]["exit_code"] == 5


@needs_agent
def test_the_real_agent_and_its_program_die_with_the_fake(fake):
    vm = fake(env={"FAKE_FC_GUEST": os.path.join(vulcan.BUILD, "bin", "vulcan-guest")})
    vm.boot()
    code = b"setsid sleep 1000 & echo started; sleep 1000"
    vm.host.send(wire.REQUEST, {**REQUEST, **wire.code(code)})
    vm.host.send(wire.CODE, code)
    assert vm.host.receive() == (wire.STDOUT, b"started\n")
    vm.process.send_signal(signal.SIGKILL)  # the fixture checks what is left


@pytest.mark.parametrize("fail, code", [("refuse", 153), ("exit:148", 148),
                                        ("crash-before-hello", 150)])
def test_it_can_exit_before_it_connects(fake, fail, code):
    vm = fake(fail)
    vm.process.communicate(timeout=vulcan.LIMIT_S)
    assert vm.process.returncode == code


def test_it_can_send_garbage(fake):
    vm = fake("garbage")
    vm.host.accept()
    assert vm.host.connection.recv(4) == b"HTTP"


def test_it_can_send_part_of_a_frame(fake):
    vm = fake("torn")
    vm.boot()
    with pytest.raises(wire.Closed) as closed:
        vm.run("print x")
    assert closed.value.args[0] == b"half"
    assert vm.process.poll() is None


@pytest.mark.parametrize("fail", ["crash-after-hello", "crash-midrun"])
def test_it_can_crash_after_it_connects(fake, fail):
    vm = fake(fail)
    vm.boot()
    with pytest.raises((wire.Closed, OSError)):
        vm.run("print x")
    assert vm.process.wait(vulcan.LIMIT_S) == -signal.SIGSEGV


def test_it_can_report_a_failed_guest(fake):
    assert "fake" in fake("hello-error").boot()["error"]


def test_it_boots_slowly_and_records_the_time(fake, folder):
    path = os.path.join(folder, "trace")
    began = time.monotonic_ns()
    vm = fake("slow-boot:50-60", env={"FAKE_FC_TRACE": path})
    vm.boot()
    ready = time.monotonic_ns()
    vm.run("print x")
    events = vulcan.Trace(path).one()
    assert began < events["start"] < events["hello"] < ready
    assert events["hello"] - events["start"] >= 50e6
    assert events["request"] < events["output"] < events["result"]


def test_it_can_fail_once(fake, folder):
    once = {"FAKE_FC_ONCE": os.path.join(folder, "once")}
    vm = fake("refuse", env=once)
    assert vm.process.wait(vulcan.LIMIT_S) == 153
    vm.host.close()
    os.unlink(vm.uds + "_5000")
    fake("refuse", env=once).boot()


def test_its_api_answers(fake):
    vm = fake()
    vm.boot()
    head, body = vm.ask(b"GET / HTTP/1.1\r\n\r\n").split(b"\r\n\r\n")
    assert b" 200 " in head and json.loads(body)["id"] == "fake-1"
    body = b'{"action_type":"FlushMetrics"}'
    request = b"PUT /actions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert b" 204 " in vm.ask(request)
    with open(vm.metrics, encoding="ascii") as f:
        lines = [json.loads(line) for line in f]
    assert [line["vsock"]["rx_bytes_count"] for line in lines] == [0, 7]
    body = b'{"state":"Paused"}'
    request = b"PATCH /vm HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert b" 204 " in vm.ask(request)
    assert b'"Paused"' in vm.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert b" 400 " in vm.ask(b"PUT /balloon HTTP/1.1\r\nContent-Length: 0\r\n\r\n")


def test_it_can_write_incomplete_metrics(fake):
    vm = fake("torn-metrics")
    vm.boot()
    with open(vm.metrics, encoding="ascii") as f:
        assert not f.read().endswith("\n")


def test_the_vmm_of_the_benchmarks_speaks_the_same_protocol(bare_box):
    result = bare_box.run("sh", "print it\n")
    assert (result.code, result.out) == (0, b"it\n"), result
