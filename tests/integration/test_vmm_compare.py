# SPDX-License-Identifier: Apache-2.0
"""vulcan-vmm compared with the real firecracker, which needs no KVM for any of this.

It compares what a caller acts on: exit codes, status codes, and the first words of a message. The
words after those are each program's own. Without firecracker, vulcan-vmm is compared with the
recorded answers of firecracker 1.17.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import vulcan
from test_vmm import Api, LIMIT_S, VMM, connects

KERNEL = VMM  # any file: these tests start no guest


FIRECRACKER = os.environ.get("VULCAN_TEST_FIRECRACKER") or shutil.which("firecracker")
PROGRAMS = [FIRECRACKER, VMM] if FIRECRACKER else [VMM]
beside_firecracker = pytest.mark.skipif(
    not FIRECRACKER, reason="no firecracker binary in PATH or VULCAN_TEST_FIRECRACKER")


def run(program, *args):
    wrapped = vulcan.wrap([program, *args]) if program == VMM else [program, *args]
    return subprocess.run(wrapped, env={**os.environ, "VULCAN_VMM_QEMU": "/bin/false"}, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S)


class Program:
    """A VMM that waits for requests to its API."""

    def __init__(self, path, folder, *args):
        self.folder = os.path.join(folder, os.path.basename(path))
        os.mkdir(self.folder)
        self.log, self.metrics = self.folder + "/log", self.folder + "/metrics"
        self.socket = self.folder + "/api"
        command = [path, "--api-sock", self.socket, "--id", "one", "--log-path", self.log,
                   "--level", "Info", *(arg.replace("@", self.folder) for arg in args)]
        self.process = subprocess.Popen(
            vulcan.wrap(command) if path == VMM else command, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "VULCAN_VMM_QEMU": "/bin/false"})
        deadline = time.monotonic() + LIMIT_S
        while "API server started" not in self.read(self.log) or not connects(self.socket):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)

    @staticmethod
    def read(path):
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as f:
            return f.read()

    def ask(self, method, path, text=None):
        """The status and the message of a response."""
        api = Api(self.socket)
        api.request(method, path.replace("@", self.folder),
                    None if text is None else text.replace("@", self.folder).encode())
        answer = api.getresponse()
        body = answer.read()
        api.close()
        return answer.status, json.loads(body).get("fault_message") if body else None

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def both(folder):
    programs = []

    def start(*args):
        programs.extend(Program(path, folder, *args) for path in PROGRAMS)
        return programs

    yield start
    for program in programs:
        program.end()


# ---- the command line ------------------------------------------------------------------------

@pytest.mark.parametrize("args, code", [
    (["--version"], 0),
    (["--help"], 0),
    (["-h"], 0),
    (["--help", "--nonsense"], 0),
    (["--version", "--no-api"], 0),
    (["--nonsense", "--version"], 0),
    (["--version", "--version"], 0),
    (["--nonsense"], 153),
    (["plain"], 153),
    (["-V"], 153),
    (["--id"], 153),
    (["--id", "one", "--id", "two"], 153),
    (["--no-api"], 153),
    (["--no-api=yes"], 153),
    (["--no-seccomp", "--seccomp-filter", "x"], 153),
    (["--seccomp-filter", "/nonexistent"], 1),
    (["--seccomp-filter", "/dev/null"], 1),
    (["--seccomp-filter", "/"], 1),
    (["--seccomp-filter", "/nonexistent", "--level", "loud"], 152),
    (["--level", "loud"], 152),
    (["--log-path", "/nonexistent/log"], 1),
    (["--metrics-path", "/nonexistent/metrics"], 1),
    (["--api-sock", "/nonexistent/api"], 1),
])
def test_invalid_arguments_give_the_same_exit_codes(args, code):
    for program in PROGRAMS:
        assert run(program, *args).returncode == code, program


def test_the_version_is_printed_in_the_same_place():
    for program in PROGRAMS:
        assert re.match(r"Firecracker v\d+\.\d+\.\d+", run(program, "--version").stdout)


@beside_firecracker
def test_every_flag_of_help_is_known():
    flags = re.findall(r"^  (--[a-z-]+)", run(FIRECRACKER, "--help").stdout, re.MULTILINE)
    assert "--config-file" in flags
    for flag in flags:
        assert f'unknown argument "{flag}"' not in run(VMM, flag, "x", "plain").stderr


# ---- the configuration file ------------------------------------------------------------------

BOOT = f'"boot-source": {{"kernel_image_path": "{KERNEL}"}}'
WHOLE = BOOT + ', "drives": []'


@pytest.mark.parametrize("text", [
    "", "{", "[]", "{}",
    "{%s}" % BOOT,
    '{"drives": []}',
    '{%s} trailing' % WHOLE,
    '{%s, "entropy": {}, "entropy": {}}' % WHOLE,
    '{%s, "vsock": {"guest_cid": 3, "uds_path": "/tmp/x", "extra": 1}}' % WHOLE,
    '{%s, "machine-config": {"vcpu_count": 99, "mem_size_mib": 128}}' % WHOLE,
    '{"boot-source": {"kernel_image_path": "/nonexistent"}, "drives": []}',
    '{%s, "logger": {"log_path": "/nonexistent/log"}}' % WHOLE,
    '{%s, "metrics": {"metrics_path": "/nonexistent/metrics"}}' % WHOLE,
    # These are ignored; the invalid kernel is the error.
    '{%s, "from-the-future": 1}' % WHOLE,
    '{%s, "balloon": null, "pmem": [], "cpu-config": null, "mmds-config": null}' % WHOLE,
])
def test_an_invalid_configuration_gives_the_same_error(folder, text):
    path = os.path.join(folder, "config.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    for program in PROGRAMS:
        result = run(program, "--no-api", "--config-file", path)
        assert result.returncode == 1, result.stderr
        assert result.stderr
    if "future" in text or "pmem" in text:
        assert "QEMU failed to start" in result.stderr


# ---- the API -----------------------------------------------------------------------------------

DRIVE = f'{{"drive_id": "r", "path_on_host": "{KERNEL}", "is_root_device": true, ' \
        '"is_read_only": true%s}'
READING = "An error occurred when deserializing the json body of a request: "
BEFORE = "The requested operation is not supported before starting the microVM."

# In this order: later requests see the effects of earlier ones. The last column is the beginning of
# the error message; None for success.
REQUESTS = [
    ("GET", "/", None, None),
    ("GET", "//", None, None),
    ("GET", "/version/", None, None),
    ("GET", "/vm/config/x", None, None),
    ("GET", "/machine-config/x", None, None),
    ("GET", "/vm", None, "Invalid request method and/or path: GET vm."),
    ("GET", "/a%0ab/c", None, "Invalid request method and/or path: GET a%0ab."),
    ("GET", "/version?x=1", None, "Invalid request method and/or path: GET version?x=1."),
    ("GET", "/", "{}", "GET request cannot have a body."),
    ("DELETE", "/vsock", None, "Invalid request method and/or path: DELETE vsock."),
    ("DELETE", "/drives/r", "{}", "Empty Delete request."),
    ("PUT", "/", "{}", "Invalid request method and/or path: PUT ."),
    ("PUT", "/nothing", None, "Empty PUT request."),
    ("PUT", "/vsock", None, "Empty PUT request."),
    ("PATCH", "/vm", None, "Empty PATCH request."),
    ("PATCH", "/vsock", "{}", "Invalid request method and/or path: PATCH vsock."),
    ("PUT", "/vsock", "{", READING),
    ("PUT", "/vsock", "[]", READING),
    ("PUT", "/vsock", "null", READING),
    ("PUT", "/vsock", "{}", READING),
    ("PUT", "/vsock", '{"guest_cid": "a", "uds_path": "@/v"}', READING),
    ("PUT", "/vsock", '{"guest_cid": 3, "uds_path": "@/v", "x": 1}', READING),
    ("PUT", "/vsock/a", '{"guest_cid": 3, "uds_path": "@/v"}', None),
    ("PUT", "/boot-source", '{"kernel_image_path": 5}', READING),
    ("PUT", "/boot-source", '{"kernel_image_path": "/nonexistent"}', "Boot source error: "),
    ("PUT", "/boot-source", json.dumps({"kernel_image_path": KERNEL, "boot_args": "x" * 3000}),
     "Boot source error: "),
    ("PUT", "/machine-config", '{"vcpu_count": 0, "mem_size_mib": 128}', "Machine config error: "),
    ("PUT", "/machine-config", '{"vcpu_count": 33, "mem_size_mib": 128}', "Machine config error: "),
    ("PUT", "/machine-config", '{"vcpu_count": 1, "mem_size_mib": 0}', "Machine config error: "),
    ("PUT", "/machine-config", '{"vcpu_count": 1.5, "mem_size_mib": 128}', READING),
    ("PUT", "/machine-config", '{"vcpu_count": 1, "mem_size_mib": 128, "cpu_template": "None"}',
     None),
    ("PATCH", "/machine-config", "{}", "Empty PATCH request."),
    ("PATCH", "/machine-config", '{"vcpu_count": 2}', None),
    ("PATCH", "/machine-config", '{"x": 0}', READING),
    ("PUT", "/drives", "{}", "The ID cannot be empty."),
    ("PUT", "/drives/r", "{}", READING),
    ("PUT", "/drives/a-b", "{}", "API Resource IDs can only contain alphanumeric characters"),
    ("PUT", "/drives/q", DRIVE % "", "The id from the path"),
    ("PUT", "/drives/r", DRIVE % ', "cache_type": "Foo"', READING),
    ("PUT", "/drives/r", '{"drive_id": "r", "path_on_host": "/nonexistent", '
                         '"is_root_device": true}', "Drive config error: "),
    ("PUT", "/drives/r/x", DRIVE % ', "rate_limiter": {}', None),
    ("PUT", "/drives/s", (DRIVE % "").replace('"r"', '"s"'), "Drive config error: "),
    ("PUT", "/network-interfaces", "{}", "The ID cannot be empty."),
    ("PUT", "/network-interfaces/e", '{"iface_id": "e"}', READING),
    ("PUT", "/network-interfaces/e", '{"iface_id": "f", "host_dev_name": "notap0"}',
     "The id from the path [e] does not match the id from the body [f]!"),
    ("PUT", "/network-interfaces/e", json.dumps({"iface_id": "e", "host_dev_name": "x" * 40}),
     "Network config error: "),
    ("PUT", "/logger", '{"log_path": "/nonexistent/log"}', "Logger error: "),
    ("PUT", "/logger", '{"level": "Info", "module": null}', None),
    ("PUT", "/metrics", '{"metrics_path": "@/m", "properties": {"a": 5}}', READING),
    ("PUT", "/metrics", '{"metrics_path": "/nonexistent/m"}', "Metrics error: "),
    ("PUT", "/metrics", '{"metrics_path": "@/metrics", "emit_id": true, '
                        '"properties": {"site": "a\\nb"}}', None),
    ("PUT", "/metrics", '{"metrics_path": "@/metrics"}',
     "Metrics error: Cannot initialize the metrics system due to bad user input: "
     "Reinitialization of metrics not allowed."),
    ("PUT", "/entropy", '{"rate_limiter": {}}', None),
    ("PUT", "/actions", "{}", READING),
    ("PUT", "/actions", '{"action_type": "Explode"}', READING),
    ("PUT", "/actions", '{"action_type": "FlushMetrics", "x": 1}', READING),
    ("PUT", "/actions", '{"action_type": "FlushMetrics"}', BEFORE),
    ("PUT", "/actions", '{"action_type": "SendCtrlAltDel"}', BEFORE),
    ("PUT", "/actions", '{"action_type": "InstanceStart"}',
     "Start microvm error: "),
    ("PATCH", "/vm", '{"state": "Paused"}', BEFORE),
    ("PATCH", "/vm", '{"state": "Gone"}', READING),
    ("PUT", "/vm", '{"state": "Paused"}', "Invalid request method and/or path: PUT vm."),
]


def test_the_api_gives_the_same_answers(both):
    programs = both()
    for method, path, body, says in REQUESTS:
        for program in programs:
            status, message = program.ask(method, path, body)
            told = (program.folder, method, path, body, status, message)
            assert status in ((400,) if says else (200, 204)), told
            assert (message or "").startswith(says or ""), told
    # SIGHUP makes both write their metrics and exit with the same code.
    for program in programs:
        program.process.send_signal(signal.SIGHUP)
        assert program.process.wait(LIMIT_S) == 156
    lines = [json.loads(program.read(program.metrics)) for program in programs]
    for line in lines:
        assert (line["id"], line["properties"]) == ("one", {"site": "a\nb"})
        assert line["signals"]["sighup"] == 1
    if FIRECRACKER:
        compare_metrics(*lines)


def compare_metrics(theirs, ours):
    missing = [(group, key) for group, keys in ours.items() if isinstance(keys, dict)
               for key in keys if key not in theirs.get(group, {})]
    assert not missing, "keys that Firecracker does not have"
    for group in ("put_api_requests", "get_api_requests"):
        differ = {key: (theirs[group][key], count) for key, count in ours[group].items()
                  if key.endswith("_count") and theirs[group][key] != count}
        assert not differ, group


@beside_firecracker
def test_the_full_configuration_has_the_same_keys(both):
    theirs, ours = both()
    for program in (theirs, ours):
        status, _ = program.ask("PUT", "/boot-source", json.dumps({"kernel_image_path": KERNEL}))
        assert status == 204

    def config(program, path):
        api = Api(program.socket)
        return api.ask("GET", path)[1]

    assert config(theirs, "/machine-config") == config(ours, "/machine-config")
    extra = set(config(ours, "/vm/config")) - set(config(theirs, "/vm/config"))
    assert not extra


@pytest.mark.parametrize("name, code", [
    ("HUP", 156), ("XCPU", 154), ("XFSZ", 151), ("ILL", 157), ("BUS", 149), ("SEGV", 150),
    ("SYS", 2), ("TERM", -signal.SIGTERM), ("INT", -signal.SIGINT), ("USR1", -signal.SIGUSR1),
])
def test_signals_have_the_same_effect(both, name, code):
    if vulcan.SANITIZED and name in ("ILL", "BUS", "SEGV", "SYS"):
        pytest.skip("a sanitizer or valgrind has these signals to itself")
    for program in both("--metrics-path", "@/metrics"):
        program.process.send_signal(getattr(signal, "SIG" + name))
        assert program.process.wait(LIMIT_S) == code, program.folder
        if code in (156, 154, 151):
            assert json.loads(program.read(program.metrics))["signals"]["sig" + name.lower()] == 1


def test_a_request_is_not_logged(both):
    for program in both():
        program.ask("GET", "/a%0a2026-01-01T00:00:00.000000000%20[one:main]%20all%20is%20well")
        program.ask("PUT", "/entropy", "{\n}\n")
        lines = program.read(program.log).splitlines()
        assert len(lines) >= 7
        for line in lines:
            assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9} \[one:\w+\] \S", line), line


def test_too_many_connections_are_rejected(both):
    for program in both():
        held = []
        for _ in range(40):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(LIMIT_S)
            s.connect(program.socket)
            held.append(s)
        answer = held[-1].recv(4096)
        assert answer.startswith(b"HTTP/1.1 503") and b"Too many open connections" in answer
        assert held[-1].recv(1) == b""
        held[0].sendall(b"GET /version HTTP/1.1\r\n\r\n")
        assert held[0].recv(4096).startswith(b"HTTP/1.1 200")
        for s in held:
            s.close()
        deadline = time.monotonic() + LIMIT_S
        while True:  # until the program has noticed the closed connections
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(LIMIT_S)
                s.connect(program.socket)
                try:
                    s.sendall(b"GET /version HTTP/1.1\r\n\r\n")
                    if s.recv(4096).startswith(b"HTTP/1.1 200"):
                        break
                except OSError:
                    pass
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_payload_limit_is_the_same(both):
    for program in both("--http-api-max-payload-size", "64"):
        api = Api(program.socket)
        api.request("PUT", "/entropy", "{" + " " * 100 + "}")
        answer = api.getresponse()
        assert answer.status == 400
        assert "size 102 is larger than the limit of 64" in json.loads(
            answer.read(), strict=False)["error"]
        api.close()
