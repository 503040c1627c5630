# SPDX-License-Identifier: Apache-2.0
"""vulcan-vmm by itself: command line, exit codes, API, files, and the processes that end with it."""
import http.client
import json
import os
import select
import shutil
import socket
import subprocess
import time

import pytest

import conftest
import vulcan
import wire

VMM = os.path.join(vulcan.BUILD, "bin", "vulcan-vmm")
LIMIT_S = 30 * vulcan.SLOW


def run(*args, **env):
    return subprocess.run(vulcan.wrap([VMM, *args]), env={**os.environ, **env}, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)


def write_config(folder, kernel=VMM, **sections):
    config = {"boot-source": {"kernel_image_path": kernel}, "drives": [], **sections}
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f)
    return path


def fake_qemu(folder, script):
    path = os.path.join(folder, "qemu")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + script)
    os.chmod(path, 0o755)
    return path


class Api(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        self.request(method, path, None if body is None else json.dumps(body))
        answer = self.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


def test_version_and_help_are_printed():
    version = run("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("Firecracker v1.") and "(vulcan-vmm v" in version.stdout
    assert "--config-file" in run("--help").stdout


@pytest.mark.parametrize("args, says", [
    (["--nonsense"], 'unknown argument "--nonsense"'),
    (["--id", "a_b"], "--id"),
    (["--no-api"], "--no-api needs --config-file"),
])
def test_invalid_arguments_are_rejected(args, says):
    result = run(*args)
    assert result.returncode == 153
    assert says in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize("sections, says", [
    ({"balloon": {"amount_mib": 1}}, "balloon is not supported by vulcan-vmm"),
    ({"machine-config": {"vcpu_count": 99, "mem_size_mib": 128}}, "vcpu_count: 99"),
    ({"vsock": {"extra": 1}}, "extra: unknown field"),
])
def test_an_invalid_configuration_is_rejected(folder, sections, says):
    result = run("--no-api", "--config-file", write_config(folder, **sections))
    assert result.returncode == 1
    assert says in result.stderr and result.stderr.count("\n") == 1


def test_a_missing_qemu_is_reported(folder):
    result = run("--no-api", "--config-file", write_config(folder), PATH=folder)
    assert result.returncode == 1
    assert "qemu-system-x86_64 not found: apt-get install qemu-system-x86" in result.stderr


def test_qemu_has_an_environment_of_its_own(folder):
    seen = os.path.join(folder, "seen")
    qemu = fake_qemu(folder, f"cat /proc/self/environ >{seen}; exit 1\n")
    run("--no-api", "--config-file", write_config(folder), VULCAN_VMM_QEMU=qemu,
        VULCAN_TOKEN="a secret")
    with open(seen, "rb") as f:
        names = {word.split(b"=")[0] for word in f.read().split(b"\0") if word}
    assert b"PATH" in names
    assert not names - {b"PATH", b"PWD", b"SHLVL", b"_", b"OLDPWD", b"ASAN_OPTIONS",
                        b"LSAN_OPTIONS", b"UBSAN_OPTIONS", b"TSAN_OPTIONS"}, names


def test_the_error_of_a_failed_qemu_is_quoted(folder):
    qemu = fake_qemu(folder, "echo first >&2; echo 'out of luck' >&2; exit 1\n")
    uds = os.path.join(folder, "v")
    config = write_config(folder, vsock={"guest_cid": 3, "uds_path": uds})
    result = run("--no-api", "--config-file", config, VULCAN_VMM_QEMU=qemu)
    assert result.returncode == 1
    assert result.stderr == "vulcan-vmm: QEMU failed to start: out of luck\n"
    assert not os.path.exists(uds)


@pytest.mark.parametrize("name", ["api", "v"])
def test_sockets_in_use_are_not_taken_over(folder, name):
    path = os.path.join(folder, name)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        config = write_config(folder, vsock={"guest_cid": 3, "uds_path": os.path.join(folder, "v")})
        result = run("--api-sock", os.path.join(folder, "api"), "--config-file", config)
    assert result.returncode == 1 and path in result.stderr
    assert os.path.exists(path)


@pytest.fixture
def idle(folder):
    """A vulcan-vmm that waits for its API. The QEMU it starts answers as the test says."""
    qemu = fake_qemu(folder, "echo no machine today >&2; exit 2\n")
    path = os.path.join(folder, "api")
    process = subprocess.Popen(
        vulcan.wrap([VMM, "--api-sock", path, "--id", "one", "--metrics-path", folder + "/m"]),
        env={**os.environ, "VULCAN_VMM_QEMU": qemu}, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL)
    deadline = LIMIT_S * 100
    while not connects(path):
        assert process.poll() is None and (deadline := deadline - 1) > 0
        time.sleep(0.01)
    yield Api(path)
    process.kill()
    process.wait()


def connects(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def test_the_api_answers_on_its_socket(idle):
    status, body = idle.ask("GET", "/")
    assert status == 200 and body["id"] == "one" and body["state"] == "Not started"
    assert idle.ask("PUT", "/machine-config", {"vcpu_count": 2, "mem_size_mib": 64}) == (204, None)
    assert idle.ask("GET", "/machine-config")[1]["vcpu_count"] == 2
    status, body = idle.ask("PUT", "/snapshot/create", {"snapshot_path": "s"})
    assert status == 400 and "not supported" in body["fault_message"]
    status, body = idle.ask("PUT", "/boot-source", {"kernel_image_path": "k" * 60000})
    assert status == 400 and "larger than the limit of 51200" in body["fault_message"]
    status, body = idle.ask("PUT", "/actions", {"action_type": "FlushMetrics"})
    assert status == 400 and "before starting" in body["fault_message"]


def test_a_failed_start_can_be_repeated(idle):
    assert idle.ask("PUT", "/boot-source", {"kernel_image_path": VMM}) == (204, None)
    for _ in range(2):
        status, body = idle.ask("PUT", "/actions", {"action_type": "InstanceStart"})
        assert status == 400 and "no machine today" in body["fault_message"]
    assert idle.ask("GET", "/")[1]["state"] == "Not started"


def listens(path):
    """A client that connects before there is a guest waits; it is not disconnected."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(b"CONNECT 52\n")
        s.settimeout(0.2)
        try:
            return s.recv(1) != b""
        except TimeoutError:
            return True


def test_vsock_listens_as_soon_as_it_is_configured(idle, folder):
    first, second = folder + "/first", folder + "/second"
    vsock = {"guest_cid": 3, "uds_path": first}
    assert idle.ask("PUT", "/vsock", vsock) == (204, None)
    assert listens(first)
    # Another device replaces it, even at the same path.
    assert idle.ask("PUT", "/vsock", vsock) == (204, None)
    assert listens(first)
    assert idle.ask("PUT", "/vsock", {**vsock, "uds_path": second}) == (204, None)
    assert listens(second) and not os.path.exists(first)
    # It still listens after a failed start.
    assert idle.ask("PUT", "/boot-source", {"kernel_image_path": VMM}) == (204, None)
    status, body = idle.ask("PUT", "/actions", {"action_type": "InstanceStart"})
    assert status == 400 and "no machine today" in body["fault_message"]
    assert listens(second)
    # A path that cannot be used is an error immediately, and there is no device.
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(first)
        status, body = idle.ask("PUT", "/vsock", vsock)
    assert status == 400 and body["fault_message"].startswith("Vsock config error: "), body
    assert "Address already in use" in body["fault_message"], body
    assert os.path.exists(first) and not os.path.exists(second)
    assert idle.ask("GET", "/vm/config")[1]["vsock"] is None


def test_the_mtu_reaches_the_machine(folder):
    qemu = fake_qemu(folder, 'echo "$*" >&2; exit 1\n')
    config = write_config(folder, **{"network-interfaces": [
        {"iface_id": "a", "host_dev_name": "t0", "guest_mac": "06:00:ac:10:00:02", "mtu": 1280},
        {"iface_id": "b", "host_dev_name": "t1", "mtu": None}]})
    result = run("--no-api", "--config-file", config, "--log-path", folder + "/log",
                 VULCAN_VMM_QEMU=qemu)
    assert result.returncode == 1
    with open(folder + "/log", encoding="utf-8") as f:
        log = f.read()
    assert "mac=06:00:ac:10:00:02,host_mtu=1280" in log and log.count("host_mtu") == 1, log


def test_the_version_is_that_of_the_interface(idle):
    assert run("--version").stdout.startswith("Firecracker v1.17.0 (vulcan-vmm ")
    assert idle.ask("GET", "/version")[1]["firecracker_version"] == "1.17.0"


@pytest.fixture
def guest(folder):
    """A real guest, started from a configuration file, whose agent has sent HELLO."""
    vmm = conftest.make_vmm("vulcan-vmm", None)
    if vmm.skip:
        pytest.skip(vmm.skip)
    root = shutil.which("true")  # any file: the agent mounts nothing until it gets a request
    uds = os.path.join(folder, "v")
    config = write_config(
        folder, os.path.join(vmm.images, "vmlinux"), vsock={"guest_cid": 3, "uds_path": uds},
        drives=[{"drive_id": "r", "path_on_host": root, "is_root_device": True,
                 "is_read_only": True}], entropy={}, metrics={"metrics_path": folder + "/m"})
    with open(config, encoding="utf-8") as f:
        text = json.load(f)
    text["boot-source"].update(
        initrd_path=os.path.join(vmm.images, "initramfs.cpio"),
        boot_args="console=ttyS0 quiet panic=-1 reboot=k rdinit=/init 8250.nr_uarts=1")
    text["machine-config"] = {"vcpu_count": 1, "mem_size_mib": 256}
    with open(config, "w", encoding="utf-8") as f:
        json.dump(text, f)
    host = wire.Host(uds)
    host.listener.settimeout(LIMIT_S)
    process = subprocess.Popen(
        vulcan.wrap([VMM, "--config-file", config, "--api-sock", folder + "/api"]),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        host.accept()
        yield process, Api(folder + "/api"), uds
    finally:
        process.kill()
        process.wait()
        host.close()


def children(process):
    out = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in out.stdout.split()]


def test_a_real_guest_runs(guest, folder):
    process, api, uds = guest
    assert api.ask("GET", "/")[1]["state"] == "Running"
    assert api.ask("PATCH", "/vm", {"state": "Paused"}) == (204, None)
    assert api.ask("GET", "/")[1]["state"] == "Paused"
    assert api.ask("PATCH", "/vm", {"state": "Resumed"}) == (204, None)
    status, body = api.ask("PUT", "/drives/x", {})
    assert status == 400 and "after starting" in body["fault_message"]
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.settimeout(LIMIT_S)
        nobody.connect(uds)
        nobody.sendall(b"CONNECT 4242\n")
        assert nobody.recv(1) == b""  # nobody listens there, so the guest sent RST
    assert api.ask("PUT", "/actions", {"action_type": "FlushMetrics"}) == (204, None)
    with open(folder + "/m", encoding="ascii") as f:
        lines = [json.loads(line) for line in f]
    assert len(lines) == 2
    assert sum(line["vsock"]["conns_added"] for line in lines) == 1
    assert lines[1]["latencies_us"]["pause_vm"] > 0
    # The kernel has read the partition table.
    assert sum(line["block"]["read_count"] for line in lines) > 0
    assert sum(line["block"]["read_bytes"] for line in lines) >= 512
    assert sum(line["block"]["write_bytes"] for line in lines) == 0


def test_qemu_shares_the_process_group_and_dies_with_it(guest):
    process = guest[0]
    qemu, = children(process)
    assert os.getpgid(qemu) == process.pid
    handle = os.pidfd_open(qemu)
    process.kill()
    ended, _, _ = select.select([handle], [], [], LIMIT_S)
    os.close(handle)
    assert ended, "QEMU outlived vulcan-vmm"
