# SPDX-License-Identifier: Apache-2.0
"""Network nat, in the suite's own namespaces: one for the host, one for the internet. No packet
leaves them."""
import os
import subprocess
import sys
import time
import zipfile

import pytest

import leaks
import vulcan

HOST, WORLD, METADATA = "203.0.113.1", "203.0.113.2", "169.254.169.254"
PORT = 8000

pytestmark = [
    pytest.mark.skipif(not leaks.ISOLATED, reason="needs namespaces: run it by tools/test as root"),
    pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun"),
]

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""

# Connects to each ADDRESS:PORT and prints the result.
CLIENT = """
import socket, sys
for target in sys.argv[1:]:
    address, port = target.split(":")
    try:
        with socket.create_connection((address, int(port)), timeout=LIMIT_S) as s:
            s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            data = b""
            while chunk := s.recv(4096):
                data += chunk
        print(target, "answers", data.rsplit(b"\\n", 1)[-1].decode())
    except OSError as error:
        print(target, "refused", error)
""".replace("LIMIT_S", str(1.5 * vulcan.SLOW))


def ip(*words, namespace=None):
    enter = ["nsenter", "-t", str(namespace), "-n"] if namespace else []
    subprocess.run([*enter, "ip", *words], check=True, capture_output=True)


def serve(prefix=()):
    process = subprocess.Popen([*prefix, sys.executable, "-c", SERVER, str(PORT)],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"listening\n"
    return process


@pytest.fixture(scope="module")
def world():
    """A neighbour across a cable that serves HTTP, also at a metadata address; and a service of the
    host on each of its addresses."""
    holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo made; exec sleep 3600"],
                              stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"made\n"
    pid = holder.pid
    ip("link", "add", "uplink", "type", "veth", "peer", "name", "world", "netns", str(pid))
    ip("address", "add", HOST + "/24", "dev", "uplink")
    ip("link", "set", "uplink", "up")
    ip("route", "add", "default", "via", WORLD)
    for words in (["address", "add", WORLD + "/24", "dev", "world"], ["link", "set", "lo", "up"],
                  ["address", "add", METADATA + "/32", "dev", "lo"],
                  ["link", "set", "world", "up"]):
        ip(*words, namespace=pid)
    servers = [serve(["nsenter", "-t", str(pid), "-n"]), serve()]
    yield pid
    for process in (*servers, holder):
        process.kill()
        process.communicate()
    subprocess.run(["ip", "link", "delete", "uplink"], check=False, capture_output=True)


def fetch(box, *targets):
    path = box.file("client.py", CLIENT)
    result = box.vulcan("run", "--network", "nat", path, *[f"{t}:{PORT}" for t in targets])
    assert result.code == 0, result
    said = dict(line.split(" ", 1) for line in result.out.decode().splitlines())
    return [said[f"{t}:{PORT}"] for t in targets]


@pytest.mark.vms_only
def test_the_world_is_reached_with_the_host_address(world, box):
    assert fetch(box, WORLD) == [f"answers {HOST}"]


@pytest.fixture
def index(world, folder):
    """A package index across the cable with one package, hello."""
    os.makedirs(folder + "/simple/hello")
    with zipfile.ZipFile(folder + "/simple/hello/hello-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("hello.py", "print('hello over nat')")
        wheel.writestr("hello-1.0.dist-info/METADATA",
                       "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
        wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\n"
                       "Root-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("hello-1.0.dist-info/RECORD", "")
    server = subprocess.Popen(["nsenter", "-t", str(world), "-n", sys.executable, "-u", "-m",
                               "http.server", str(PORT + 1), "--directory", folder],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert server.stdout.readline().startswith(b"Serving HTTP")
    yield f"http://{WORLD}:{PORT + 1}/simple/"
    server.kill()
    server.communicate()


@pytest.mark.vms_only
def test_pip_installs_over_nat(index, box):
    code = ("import subprocess, sys\n"
            f"words = ['--quiet', '--index-url', '{index}', '--trusted-host', '{WORLD}', 'hello']\n"
            "subprocess.run([sys.executable, '-m', 'pip', 'install', *words], check=True)\n"
            "subprocess.run([sys.executable, '-c', 'import hello'], check=True)\n")
    result = box.run("python", code, "--network", "nat", "--mem", "512")
    assert (result.code, result.out) == (0, b"hello over nat\n"), result


@pytest.mark.vms_only
def test_traffic_is_counted(world, box):
    daemon = box.serve()
    code = CLIENT.replace("sys.argv[1:]", repr([f"{WORLD}:{PORT}"]))
    status, body, _ = daemon.request("POST", "/v1/workloads", {
        "runtime": "python", "network": "nat", "code": code})
    assert status == 201, body
    metrics = daemon.metrics()
    for name, direction, least in (("net", "rx", 200), ("net", "tx", 200),
                                   ("block", "read", 1 << 20)):
        moved = metrics.value(f"vulcan_firecracker_vmm_{name}_bytes_total", direction=direction)
        assert moved > least, (name, direction)
    assert metrics.value("vulcan_firecracker_vmm_block_bytes_total", direction="write") == 0


@pytest.mark.vms_only
def test_host_and_metadata_are_unreachable(world, box):
    answers = fetch(box, HOST, "172.30.0.1", METADATA, WORLD)
    assert [a.split()[0] for a in answers] == ["refused", "refused", "refused", "answers"], answers


@pytest.mark.vms_only
def test_guests_do_not_see_each_other(world, box):
    listen = ("import http.server as h, subprocess, sys\n"
              "print(subprocess.run(['hostname', '-I'], capture_output=True).stdout.decode() or\n"
              "      open('/proc/net/fib_trie').read(), flush=True)\n"
              f"h.ThreadingHTTPServer(('0.0.0.0', {PORT}), h.BaseHTTPRequestHandler)"
              ".serve_forever()\n")
    server = box.start("run", "--runtime", "python", "--network", "nat", "-e", listen)
    address = server.wait_for(r"172\.30\.\d+\.(?!255\b|0\b|1\b)\d+").group().decode()
    try:
        (answer,) = fetch(box, address)
        assert answer.startswith("refused"), answer
    finally:
        server.process.terminate()
        server.wait()


@pytest.mark.vms_only
def test_network_none_has_no_device(world, box):
    path = box.file("client.py", CLIENT)
    result = box.vulcan("run", path, f"{WORLD}:{PORT}")
    assert b"refused" in result.out, result


def test_the_network_exists_only_while_the_workload_runs(fake_box):
    before = leaks.Snapshot()
    command = fake_box.start("run", "--runtime", "sh", "--network", "nat", "-e",
                             "print ready\nhang")
    command.wait_for("ready")
    there = before.left()
    assert any(line.startswith("network interface: vulcan0") for line in there), there
    assert sum(line.startswith("network interface") for line in there) == 2, there
    assert any(line.startswith("nftables") and "masquerade" in line for line in there), there
    command.process.terminate()
    assert command.wait().code == 143


def test_a_killed_vulcan_leaves_no_network_after_the_next_start(fake_box):
    command = fake_box.start("run", "--runtime", "sh", "--network", "nat", "-e",
                             "print ready\nhang")
    command.wait_for("ready")
    command.process.kill()
    command.wait()
    assert fake_box.run("sh", "exit 0").code == 0


def test_many_networks_exist_concurrently(fake_box):
    before = leaks.Snapshot()
    daemon = fake_box.serve("--max-vms", "6")
    ids = [daemon.start("sh", "sleep 300\nprint x", network="nat")["id"] for _ in range(6)]
    for workload_id in ids:
        assert daemon.until_ended(workload_id)["status"] == "completed"
    assert not [line for line in before.left() if not line.startswith("process")]


def test_an_exhausted_pool_fails_the_workload(fake_box):
    """A /29 has five addresses for guests; the sixth workload fails and says why."""
    daemon = fake_box.serve("--max-vms", "8", "--net-pool", "172.31.9.0/29")
    ids = [daemon.start("sh", "sleep 1000\nprint x", network="nat")["id"] for _ in range(6)]
    records = [daemon.until_ended(i) for i in ids]
    failed = [r for r in records if r["status"] == "failed"]
    assert len(failed) == 1, [r["error"] for r in records]
    assert "address" in failed[0]["error"] or "pool" in failed[0]["error"], failed[0]["error"]
    assert daemon.metrics().value(vulcan.ACTIVE) == 0
