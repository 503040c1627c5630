# SPDX-License-Identifier: Apache-2.0
"""The programs under test: runs `vulcan run`, starts and stops `vulcan serve`, reads its metrics."""
import base64
import functools
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("VULCAN_TEST_BUILD", os.path.join(ROOT, "build"))
VULCAN = os.path.join(BUILD, "bin", "vulcan")
FAKE = os.path.join(BUILD, "tests", "fake_firecracker")
SANITIZED = os.environ.get("VULCAN_TEST_SANITIZE", "none") != "none"
# How many times slower this machine is than a quiet developer's machine; tools/test measures it. Each
# time limit of the suite is a number of seconds on that machine, times this factor.
SLOW = int(os.environ.get("VULCAN_TEST_SLOW", "1")) * (3 if SANITIZED else 1)
LIMIT_S = 60 * SLOW  # for one command; some tests set a shorter limit
PROGRAM_S = 60  # the default time limit of a workload
BOOT_LIMIT_S = min(30 * SLOW, 3600)  # --boot-timeout of the programs under test


def scaled(seconds):
    """A time limit for a program under test, as text, scaled to this machine."""
    return str(seconds * SLOW)


def usual_signals():
    """Resets signals that a background shell or nohup ignores, so that the programs under test get
    them."""
    for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


BOOT = "vulcan_firecracker_vm_boot_seconds"
ACTIVE = "vulcan_firecracker_active_vms"
VSOCK = "vulcan_firecracker_vsock_latency_seconds"
CLEANUP = "vulcan_firecracker_vm_cleanup_seconds"
WORKLOADS = "vulcan_firecracker_workloads_total"


def wrap(argv):
    """Works around gcc's thread sanitizer, which supports only the usual memory layout."""
    thread = "thread" in os.environ.get("VULCAN_TEST_SANITIZE", "")
    return [shutil.which("setarch"), "-R", *argv] if thread else list(argv)


@functools.lru_cache
def agent_lacks():
    """Why the agent cannot run as a process here; "" if it can. As root, it needs namespaces."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"],
                                           stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return ""
    return "no namespaces, which the agent needs: a container without CAP_SYS_ADMIN"


class Metrics(dict):
    """Text format 0.0.4 as {(name, frozenset of label pairs): value}."""

    LINE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')
    LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

    def __init__(self, text):
        super().__init__()
        self.text = text
        for line in text.splitlines():
            if m := self.LINE.fullmatch(line):
                labels = frozenset(self.LABEL.findall(m[2] or ""))
                assert (m[1], labels) not in self, f"series twice: {line}"
                self[m[1], labels] = float(m[3])

    def __repr__(self):
        return f"<{len(self)} series>"

    def value(self, name, **labels):
        return self[name, frozenset(labels.items())]

    def total(self, name, **labels):
        """The sum over all series with these labels."""
        want = set(labels.items())
        return sum(v for (n, have), v in self.items() if n == name and want <= have)

    def count(self, histogram):
        return self.value(histogram + "_count")

    def sum(self, histogram):
        return self.value(histogram + "_sum")


class Result:
    def __init__(self, code, out, err, began_ns, ended_ns):
        self.code, self.out, self.err = code, out, err
        self.began_ns, self.ended_ns = began_ns, ended_ns
        self.seconds = (ended_ns - began_ns) / 1e9

    @property
    def text(self):
        return self.err.decode(errors="replace")

    def __repr__(self):
        return (f"exit code {self.code} after {self.seconds:.2f} s\nstdout: {self.out[-2000:]!r}"
                f"\nstderr: {self.text[-4000:]}")


class Command:
    """A running `vulcan`, whose output is read as it appears."""

    def __init__(self, argv, env, stdin=b"", **popen):
        self.began_ns = time.monotonic_ns()
        piped = isinstance(stdin, bytes)
        self.process = subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            stdin=subprocess.PIPE if piped else stdin, start_new_session=True, **popen)
        self.out, self.err = bytearray(), bytearray()
        self.news = threading.Condition()
        self.threads = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.out), (self.process.stderr, self.err))]
        if piped:
            self.threads.append(threading.Thread(target=self._feed, args=(stdin,), daemon=True))
        for thread in self.threads:
            thread.start()

    def _read(self, pipe, into):
        with pipe:
            while chunk := os.read(pipe.fileno(), 1 << 20):
                with self.news:
                    into += chunk
                    self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def _feed(self, data):
        try:
            with self.process.stdin as pipe:
                pipe.write(data)
        except BrokenPipeError:
            pass

    def wait_for(self, pattern, stream="out", limit=LIMIT_S):
        """Returns the match as soon as the stream contains it."""
        data = getattr(self, stream)
        regex = re.compile(pattern.encode())
        with self.news:
            ended = threading.Event()
            found = self.news.wait_for(
                lambda: regex.search(data) or ended.is_set() or self._is_over(), limit)
        match = regex.search(data)
        assert match, (f"no {pattern!r} on {stream} ({found}): out {bytes(self.out)!r} "
                       f"err {bytes(self.err)!r}")
        return match

    def _is_over(self):
        return not any(t.is_alive() for t in self.threads[:2])

    def wait(self, limit=LIMIT_S):
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError(f"did not end within {limit} s: out {bytes(self.out)[-2000:]!r} "
                                 f"err {bytes(self.err)[-4000:]!r}") from None
        ended_ns = time.monotonic_ns()
        for thread in self.threads:
            thread.join(10 * SLOW)
        return Result(code, bytes(self.out), bytes(self.err), self.began_ns, ended_ns)

    def signal(self, number):
        self.process.send_signal(number)


class Daemon(Command):
    def __init__(self, argv, env, token=None, **popen):
        super().__init__(argv, env, stdin=subprocess.DEVNULL, **popen)
        try:
            self.url = self.wait_for(r"https?://127\.0\.0\.1:\d+", "err").group().decode()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        self.token = token

    def request(self, method, path, body=None, headers=None, limit=LIMIT_S):
        """(status, body as bytes, headers)"""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method,
                                         headers=headers or {})
        if data is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), error.headers

    def json(self, method, path, body=None, want=200, limit=LIMIT_S):
        status, raw, headers = self.request(method, path, body, limit=limit)
        assert status == want, f"{method} {path}: {status} {raw[:2000]!r}\n{self.log()}"
        assert headers["Content-Type"].startswith("application/json"), headers["Content-Type"]
        return json.loads(raw)

    def submit(self, runtime, code, **more):
        """Runs a workload and returns its final record."""
        return self.json("POST", "/v1/workloads", submission(runtime, code, more), 201)

    def start(self, runtime, code, **more):
        return self.json("POST", "/v1/workloads/async", submission(runtime, code, more), 202)

    def until_ended(self, workload_id, limit=LIMIT_S):
        """Polls the record of a workload until it has ended; no event reports that."""
        deadline = time.monotonic() + limit
        while True:
            record = self.json("GET", f"/v1/workloads/{workload_id}")
            if record["status"] not in ("pending", "running"):
                return record
            assert time.monotonic() < deadline, f"has not ended: {record}"
            time.sleep(0.02)

    def metrics(self):
        status, raw, _ = self.request("GET", "/metrics")
        assert status == 200
        return Metrics(raw.decode())

    def log(self):
        return bytes(self.err).decode(errors="replace")[-4000:]

    def stop(self, limit=LIMIT_S):
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(limit)


def submission(runtime, code, more):
    """The body of a request. On a slow machine, the program gets more than the default time."""
    body = {"runtime": runtime, "code": code, **more}
    if SLOW > 1:
        body["resources"] = {"timeout_s": PROGRAM_S * SLOW, **body.get("resources", {})}
    return body


class Box:
    """The surroundings of one test: state directory, temporary directory, environment."""

    def __init__(self, folder, vmm, images):
        self.folder = folder
        self.vmm, self.images, self.program = vmm, images, vmm.program
        self.state = os.path.join(folder, "state")
        self.tmp = os.path.join(folder, "tmp")
        os.makedirs(self.tmp)
        self.daemons = []
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("VULCAN_", "FAKE_"))}
        self.env.update(VULCAN_STATE_DIR=self.state, TMPDIR=self.tmp, VULCAN_VMM=vmm.path,
                        HOME=folder, VULCAN_DRAIN="0", VULCAN_BOOT_TIMEOUT=str(BOOT_LIMIT_S))
        if images:
            self.env["VULCAN_IMAGES"] = images
        self.env.update(vmm.env)

    def start(self, *words, stdin=b"", env=None, prefix=(), **popen):
        return Command([*prefix, *wrap([self.program, *words])], {**self.env, **(env or {})}, stdin,
                       **popen)

    def vulcan(self, *words, stdin=b"", env=None, limit=LIMIT_S, **popen):
        return self.start(*words, stdin=stdin, env=env, **popen).wait(limit)

    def run(self, runtime, code, *words, **more):
        if SLOW > 1 and "--timeout" not in words:
            words = ("--timeout", scaled(PROGRAM_S), *words)
        return self.vulcan("run", "--runtime", runtime, *words, "-e", code, **more)

    def serve(self, *words, env=None, prefix=(), **popen):
        daemon = Daemon([*prefix, *wrap([self.program, "serve", "--listen", "127.0.0.1:0", *words])],
                        {**self.env, **(env or {})}, **popen)
        self.daemons.append(daemon)
        return daemon

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def close(self):
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.stop()


class Trace:
    """The timestamps that the fake VMM recorded: {pid: {event: nanoseconds}}, the first of each
    event."""

    def __init__(self, path):
        self.path = path

    def read(self):
        vms = {}
        with open(self.path, encoding="ascii") as f:
            for line in f:
                pid, event, ns = line.split()
                vms.setdefault(int(pid), {}).setdefault(event, int(ns))
        return vms

    def one(self):
        vms = self.read()
        assert len(vms) == 1, vms
        return next(iter(vms.values()))


def output_of(record):
    return base64.b64decode(record["output"])


def empty_squashfs():
    """The superblock of an empty image, enough for code that only checks size and magic."""
    size = 4096
    block = struct.pack("<IIIIIHHHHHHQQQQQQQQ", 0x73717368, 1, 0, 131072, 0, 5, 17, 0, 1, 4, 0, 0,
                        size, *[(1 << 64) - 1] * 6)
    return block + bytes(size - len(block))


def make_fake_images(folder):
    """Images whose programs are those of this machine; only the fake VMM can use them."""
    os.makedirs(folder)
    for name, content in (("vmlinux", b"\x7fELF" + bytes(4092)), ("initramfs.cpio", bytes(512))):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)
    for name in ("sh", "python"):
        shutil.copy(os.path.join(ROOT, "images", "runtimes", name + ".runtime"), folder)
        with open(os.path.join(folder, name + ".squashfs"), "wb") as f:
            f.write(empty_squashfs())
    return folder
