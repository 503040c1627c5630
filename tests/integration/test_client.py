# SPDX-License-Identifier: Apache-2.0
"""The verbs that talk to a daemon, as users and scripts use them."""
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import threading

import pytest

import vulcan
from test_terminal import Terminal

ULID = re.compile(rb"[0-7][0-9A-HJKMNP-TV-Z]{25}")
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Client:
    """A daemon, and verbs that learn its address from the environment."""

    def __init__(self, box, *words):
        self.box = box
        self.daemon = box.serve(*words)
        box.env["VULCAN_SERVER"] = self.daemon.url

    def __call__(self, *words, code=0, **more):
        result = self.box.vulcan(*words, **more)
        assert result.code == code, (words, result)
        return result

    def lines(self, *words):
        return self(*words).out.decode().splitlines()

    def json(self, *words):
        return json.loads(self(*words, "--json").out)

    def fails(self, *words, code=1, says=""):
        result = self(*words, code=code)
        assert re.fullmatch(rb"vulcan: [^\n]+\n", result.err), result.err
        assert says in result.err.decode(), result.err
        assert result.out == b"", result.out
        return result

    def start(self, program):
        return self.daemon.start("sh", program)["id"]


@pytest.fixture
def client(fake_box):
    return Client(fake_box)


# ---- run ---------------------------------------------------------------------------------------

def test_run_is_the_same_as_without_a_daemon(fake_box_agent):
    client = Client(fake_box_agent)
    program = 'echo out; echo err >&2; printf "%s|" "$@"; echo "$NAME"; cat; exit 3'
    words = ["run", "--runtime", "sh", "--env", "NAME=value", "-e", program, "--", "a b", "-c"]
    there = client(*words, stdin=b"in\nput", code=3)
    here = fake_box_agent.vulcan(*words, stdin=b"in\nput", env={"VULCAN_SERVER": ""})
    assert (there.code, there.out, there.err) == (here.code, here.out, here.err)
    assert there.out == b"out\na b|-c|value\nin\nput"
    assert client.daemon.metrics().value(vulcan.WORKLOADS, runtime="sh", status="completed") == 1


def test_input_may_be_any_bytes(fake_box_agent):
    data = bytes(range(256)) * 1000
    out = Client(fake_box_agent)("run", "--runtime", "sh", "-e", "cat", stdin=data).out
    assert out == data


@pytest.mark.parametrize("words, program, code, says", [
    ([], "exit 7", 7, ""),
    ([], "signal 15", 143, ""),
    (["--timeout", "1"], "hang", 124, "workload timed out after 1 s"),
    ([], "oom", 137, "memory"),
    ([], "crash", 125, ""),
])
def test_run_returns_the_exit_code(client, words, program, code, says):
    result = client("run", *words, "--runtime", "sh", "-e", program, code=code)
    assert says in result.err.decode()
    assert result.err.count(b"\n") == (1 if code in (124, 125, 137) else 0)


def test_code_may_be_a_file_or_an_archive(fake_box_agent):
    client = Client(fake_box_agent)
    script = client.box.file("hello.sh", "echo hello $1\n")
    assert client("run", script, "you").out == b"hello you\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("other.sh")
        entry.size = 10
        tar.addfile(entry, io.BytesIO(b"echo other"))
    archive = client.box.file("a.tar.gz", packed.getvalue())
    assert client("run", "--runtime", "sh", "--archive", archive, "--entrypoint",
                  "other.sh").out == b"other\n"


def test_output_is_exact_to_the_byte(client):
    """Bytes that are not text, no newline at the end, and more than any buffer holds."""
    program = "bytes 5000000\nprint end"
    there = client("run", "--runtime", "sh", "-e", program)
    here = client.box.vulcan("run", "--runtime", "sh", "-e", program, env={"VULCAN_SERVER": ""})
    assert hashlib.sha256(there.out).digest() == hashlib.sha256(here.out).digest()
    workload = client.lines("ls", "-q")[0]
    assert client("logs", workload).out == here.out
    assert client("logs", "-f", workload).out == here.out


def test_output_appears_as_it_is_written(client):
    command = client.box.start("run", "--runtime", "sh", "-e", "print first\nhang")
    command.wait_for("first")
    running = client.json("ls", "--status", "running")
    assert running["total"] == 1
    command.signal(signal.SIGINT)
    assert command.wait().code == 130
    record = client.json("inspect", running["workloads"][0]["id"])
    assert record["status"] == "killed"
    assert client.daemon.metrics().value(vulcan.ACTIVE) == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_kills_a_silent_workload(client, number, code):
    command = client.box.start("run", "--runtime", "sh", "-e", "hang")
    while not client.daemon.json("GET", "/v1/workloads?status=running")["total"]:
        assert command.process.poll() is None, command.wait()
    command.signal(number)
    assert command.wait().code == code
    assert client.daemon.json("GET", "/v1/stats")["by_status"]["killed"] == 1


def test_a_closed_output_kills_the_workload(client):
    """As in `vulcan run … | head -1`."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        vulcan.wrap([vulcan.VULCAN, "run", "--runtime", "sh", "-e", "print x\nhang"]),
        env=client.box.env, stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert process.wait(vulcan.LIMIT_S) == 141
    process.stderr.close()
    assert client.daemon.json("GET", "/v1/stats")["by_status"]["killed"] == 1


def test_a_kill_by_another_client_gives_137(client):
    command = client.box.start("run", "--runtime", "sh", "-e", "print up\nhang")
    command.wait_for("up")
    workload = client.lines("ls", "-q")[0]
    assert client.lines("kill", workload) == [workload]
    result = command.wait()
    assert result.code == 137 and b"killed" in result.err


def test_the_progress_line_is_shown_and_erased(fake_box):
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:450"
    client = Client(fake_box)
    words = ["--runtime", "sh", "-e", "print hello"]
    code, shown = Terminal(client.box, "run", *words).wait()
    lines, _, rest = shown.rpartition(b"\r\x1b[K")
    assert code == 0 and rest == b"hello\r\n", shown
    drawn = re.findall(rb"\r\x1b\[Kwaiting for output, (\d+\.\d) s", lines)
    assert len(drawn) >= 2 and drawn == sorted(drawn, key=float) and b"\n" not in lines, shown
    assert Terminal(client.box, "run", "--quiet", *words).wait() == (0, b"hello\r\n")
    result = client("run", *words)
    assert (result.out, result.err) == (b"hello\n", b"")


def test_ctrl_c_erases_the_progress_line(fake_box):
    fake_box.env["FAKE_FC_FAIL"] = "hang"
    terminal = Terminal(Client(fake_box).box, "run", "--runtime", "sh", "-e", "print x")
    terminal.wait_for(b"waiting for output")
    terminal.type(b"\x03")
    code, shown = terminal.wait()
    assert code == 130 and shown.rpartition(b"\r\x1b[K")[2].replace(b"^C", b"") == b"", shown


def test_a_terminal_is_not_read(client):
    terminal = Terminal(client.box, "run", "--runtime", "sh", "-e", "print hello")
    assert terminal.wait() == (0, b"hello\r\n")


def test_run_prints_metrics_of_the_daemon(client):
    out = client("run", "--metrics", "--runtime", "sh", "-e", "print x").out.decode()
    first, _, rest = out.partition("\n")
    assert first == "x"
    metrics = vulcan.Metrics(rest)
    assert metrics.value(vulcan.WORKLOADS, runtime="sh", status="completed") == 1


@pytest.mark.parametrize("words, stdin, says", [
    (["--runtime", "nope", "-e", "x"], b"", "nope"),
    (["--runtime", "sh", "-e", "x", "--mem", "1"], b"", "mem"),
    (["--vmm", "qemu", "--runtime", "sh", "-e", "x"], b"", "--vmm has no effect"),
])
def test_rejected_workloads_give_125(client, words, stdin, says):
    result = client("run", *words, stdin=stdin, code=125)
    assert re.fullmatch(rb"vulcan: [^\n]+\n", result.err) and says in result.err.decode(), result
    assert client.daemon.json("GET", "/v1/stats")["total"] == 0


# ---- ls, inspect, kill, logs, stats -----------------------------------------------------------

def test_ls_filters_and_pages(client):
    for n in range(5):
        client.daemon.submit("sh", f"exit {n % 2}")
    client.daemon.submit("sh", "oom")
    lines = client.lines("ls")
    assert lines[0].split()[:3] == ["ID", "STATUS", "RUNTIME"] and len(lines) == 7
    assert all(re.match(r"[0-7][0-9A-Z]{25}  (completed|failed) ", line) for line in lines[1:])
    assert "memory" in lines[1]
    assert len(client.lines("ls", "--status", "failed")) == 2
    ids = client.lines("ls", "--quiet")
    assert ids == sorted(ids, reverse=True) and len(ids) == 6
    assert client.lines("ls", "-q", "-n", "2", "--offset", "3") == ids[3:5]
    assert client.lines("ls", "-n", "2")[-1] == "2 of 6; more: --offset 2, or --all"
    listed = client.json("ls", "--status", "completed", "--limit", "3")
    assert listed["total"] == 5 and len(listed["workloads"]) == 3
    assert client.json("ls", "--all")["total"] == 6
    client.fails("ls", "--status", "odd", code=2, says="odd")
    client.fails("ls", "--limit", "0", code=2, says="--limit")


def test_ls_shows_the_time_of_a_running_workload(client):
    workload = client.start("hang")
    while not client.json("ls", "--status", "running")["total"]:
        pass
    assert re.search(rf"^{workload}  running  .* [0-9]+\+  -", "\n".join(client.lines("ls")), re.M)


def test_inspect_accepts_parts_of_an_id(client):
    workload = client.daemon.submit("sh", "print x\nexit 4")["id"]
    record = client.json("inspect", workload)
    assert record["exit_code"] == 4 and record == client.daemon.json(
        "GET", f"/v1/workloads/{workload}")
    fields = dict(line.split(None, 1) for line in client.lines("inspect", workload.lower()[:20]))
    assert fields["id"] == workload and fields["exit_code"] == "4" and "output" not in fields
    other = client.daemon.submit("sh", "exit 0")["id"]
    client.fails("inspect", os.path.commonprefix([workload, other]), says="more than one")
    assert client.lines("logs", workload[-6:].lower()) == ["x"]
    assert client.json("inspect", other[-5:])["id"] == other
    assert client.json("inspect", "@last")["id"] == other
    client.fails("inspect", "7ZZZZ", says="begins or ends with 7ZZZZ")
    client.fails("inspect", "@first", says="@last")
    client.fails("inspect", NOBODY, says=NOBODY)
    client.fails("inspect", "../../metrics", says="invalid id")
    client.fails("inspect", code=2, says="ID")


def test_kill_prints_the_ids(client):
    client.fails("kill", "@last", says="there are no workloads")
    running = [client.start("hang") for _ in range(2)]
    ended = client.daemon.submit("sh", "exit 0")["id"]
    result = client("kill", running[0], ended, NOBODY, running[1], code=1)
    assert result.out.decode().split() == running
    assert [line.split(b": ", 2)[2] for line in result.err.splitlines()] == [
        f"workload {ended} has already ended".encode(), f'no workload "{NOBODY}"'.encode()]
    assert client.daemon.json("GET", "/v1/stats")["by_status"]["killed"] == 2
    third = client.start("hang")
    assert client.json("kill", third)["status"] == "killed"


def test_logs_prints_the_output(client):
    workload = client.daemon.submit("sh", "print out\nerror err\nprint more")["id"]
    result = client("logs", workload)
    assert (result.out, result.err) == (b"out\nmore\n", b"err\n")
    lines = [json.loads(line) for line in client.lines("logs", "--json", workload)]
    assert [(line["seq"], line["stream"], line["line"]) for line in lines] == [
        (1, "stdout", "out"), (2, "stderr", "err"), (3, "stdout", "more")]
    client.fails("logs", NOBODY, says=NOBODY)
    client.fails("logs", workload, workload, code=2, says="one ID")


def test_logs_follows_a_running_workload(client):
    workload = client.start("print first\nhang")
    command = client.box.start("logs", "-f", workload)
    command.wait_for("first")
    assert command.process.poll() is None
    client("kill", workload)
    result = command.wait()
    assert (result.code, result.err) == (137, b"vulcan: workload killed\n"), result
    assert client("logs", workload).out == b"first\n"


@pytest.mark.parametrize("program, code, says", [
    ("exit 7", 7, ""), ("signal 15", 143, ""), ("oom", 137, "memory"), ("crash", 125, "vulcan: ")])
def test_logs_follow_returns_the_code_of_run(client, program, code, says):
    workload = client.daemon.submit("sh", program)["id"]
    result = client("logs", "-f", workload, code=code)
    assert says in result.text and bool(says) == bool(result.err), result
    assert client("logs", workload).err == b""


def test_logs_follow_reports_a_kill_before_the_start(fake_box):
    client = Client(fake_box, "--max-vms", "1")
    client.start("hang")
    waits = client.start("exit 0")
    client("kill", waits)
    result = client("logs", "-f", waits, code=137)
    assert result.err == b"vulcan: workload killed before it began\n", result


def test_logs_follow_reports_a_crash_of_the_daemon(fake_box):
    client = Client(fake_box)
    workload = client.start("print up\nhang")
    before = client.box.start("logs", "-f", workload)
    before.wait_for("up")
    before.signal(signal.SIGTERM)
    before.wait()
    client.daemon.signal(signal.SIGKILL)
    client.daemon.wait()
    client = Client(fake_box)
    result = client("logs", "-f", workload, code=125)
    assert re.fullmatch(rb"vulcan: [^\n]+\n", result.err), result


def test_stats_and_backends_print_tables(client):
    client.daemon.submit("sh", "exit 0")
    assert "status completed" in client("stats").out.decode()
    assert client.json("stats")["by_status"]["completed"] == 1
    head, row = client.lines("backends")
    assert head.split()[0] == "NAME" and "python sh" in row
    assert client.json("backends")[0]["capabilities"]["supported_runtimes"] == ["python", "sh"]


# ---- connections -------------------------------------------------------------------------------

def test_a_token_is_sent(fake_box):
    token = fake_box.file("token", "word-of-mouth-and-ear\n")
    os.chmod(token, 0o600)
    client = Client(fake_box, "--token-file", token)
    client.fails("ls", says="--token-file")
    assert client.lines("ls", "-q", "--token-file", token) == []
    fake_box.env["VULCAN_TOKEN_FILE"] = token
    assert client("run", "--runtime", "sh", "-e", "print x").out == b"x\n"
    wrong = fake_box.file("wrong", "nothing-but-a-guess\n")
    os.chmod(wrong, 0o600)
    client.fails("stats", "--token-file", wrong, says="wrong bearer token")
    client.fails("stats", "--token-file", fake_box.folder + "/none", code=2, says="token file")


def test_a_unix_socket_is_reached(fake_box):
    path = os.path.join(fake_box.folder, "s")
    daemon = vulcan.Command(vulcan.wrap([vulcan.VULCAN, "serve", "--listen", "unix:" + path]),
                            fake_box.env, stdin=subprocess.DEVNULL)
    try:
        daemon.wait_for("listening on", "err")
        fake_box.env["VULCAN_SERVER"] = "unix:" + path
        assert fake_box.run("sh", "print x").out == b"x\n"
        assert len(fake_box.vulcan("ls", "-q").out.split()) == 1
    finally:
        daemon.signal(signal.SIGTERM)
        daemon.wait()


def tls_proxy(context, port, listener):
    """Forwards one request per connection, one at a time, until the listener is closed."""
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True) as front, \
                    socket.create_connection(("127.0.0.1", port)) as back:
                request = front.recv(1 << 16)
                back.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                while chunk := back.recv(1 << 16):
                    front.sendall(chunk)
        except OSError:
            plain.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl: apt-get install openssl")
def test_https_works_behind_a_proxy(client):
    """A certificate of a private authority is accepted if --ca-file names the authority."""
    folder = client.box.folder
    key, cert = folder + "/key", folder + "/cert"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(client.daemon.url.rpartition(":")[2])
    thread = threading.Thread(target=tls_proxy, args=(context, port, listener))
    thread.start()
    url = f"https://localhost:{listener.getsockname()[1]}"
    client.daemon.submit("sh", "exit 0")
    try:
        client.fails("ls", "--server", url, says="--ca-file")
        assert len(client.lines("ls", "-q", "--server", url, "--ca-file", cert)) == 1
        client.fails("ls", "--server", url, "--ca-file", key, says=url)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_an_unreachable_daemon_is_reported(fake_box):
    for words, code in ((["ls"], 1), (["run", "--runtime", "sh", "-e", "x"], 125)):
        result = fake_box.vulcan(*words, env={"VULCAN_SERVER": "http://127.0.0.1:1"})
        assert result.code == code and b"vulcan serve" in result.err, result
        result = fake_box.vulcan(*words, env={"VULCAN_SERVER": "unix:" + fake_box.folder + "/s"})
        assert result.code == code and b"nothing listens" in result.err, result
        result = fake_box.vulcan(*words, env={"VULCAN_SERVER": "ftp://x"})
        assert result.code in (2, 125) and b"neither http" in result.err, result


class OtherServer(http.server.BaseHTTPRequestHandler):
    """A server other than vulcan serve: sends the same response to every request."""

    def do_GET(self):
        body = self.server.body
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("status, body, says", [
    (200, b"<html>welcome</html>", "not that of vulcan serve"),
    (200, b"[1, 2", "not that of vulcan serve"),
    (500, b'{"error": "\\u001b[2Jgone\\nwrong"}', "gone"),
    (503, b"no", "503"),
    (404, b"\xff\xfe", "404"),
])
def test_another_server_is_recognised(fake_box, status, body, says):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherServer)
    server.status, server.body = status, body
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        for words in (["ls"], ["stats", "--json"], ["logs", NOBODY], ["kill", NOBODY],
                      ["run", "--runtime", "sh", "-e", "x"]):
            result = fake_box.vulcan(*words, env={"VULCAN_SERVER": url})
            assert result.code in (1, 125) and b"\x1b" not in result.err, result
            assert re.fullmatch(rb"vulcan: [^\n]+\n", result.err), result.err
            if words[0] != "logs":
                assert says in result.err.decode(), result.err
    finally:
        server.shutdown()
        server.server_close()


def line(seq, text, stream="stdout", **more):
    data = {"seq": seq, "stream": stream, "line": text, "created_at": "", **more}
    return f"id: {seq}\ndata: {json.dumps(data)}\n\n"


def dropped(first, last, reason):
    data = {"count": last - first + 1, "from_seq": first, "to_seq": last, "reason": reason}
    return f"id: {last}\nevent: dropped\ndata: {json.dumps(data)}\n\n"


DONE = "event: done\ndata: stream complete\n\n"


class CutStreams(http.server.BaseHTTPRequestHandler):
    """Sends an event stream on each connection in turn, and cuts it off at its end."""

    def do_GET(self):
        if "/logs" not in self.path:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "completed", "exit_code": 0}')
            return
        self.server.asked.append(int(re.search(r"after=(\d+)", self.path)[1]))
        story = self.server.stories.pop(0)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", "100000000" if "done" not in story else str(len(story)))
        self.end_headers()
        self.wfile.write(story.encode())
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("stories, asked, out, err", [
    # cut in the middle of an event: the next connection continues after the last line
    ([line(1, "a") + line(2, "b") + "id: 3\ndata: {", line(3, "c") + DONE], [0, 2], b"a\nb\nc\n",
     b""),
    # lines that are received twice are printed once
    ([line(1, "a") + line(2, "b"), line(2, "b") + line(3, "c") + DONE], [0, 2], b"a\nb\nc\n", b""),
    # too slow: the dropped lines are fetched
    ([line(1, "a") + dropped(2, 3, "slow") + line(4, "d"),
      line(2, "b") + line(3, "c") + line(4, "d") + DONE], [0, 1], b"a\nb\nc\nd\n", b""),
    # but only once
    ([line(1, "a") + dropped(2, 3, "slow"), dropped(2, 3, "slow") + line(4, "d") + DONE], [0, 1],
     b"a\nd\n", b"vulcan: 2 lines were not kept\n"),
    ([line(1, "a") + dropped(2, 2, "limit") + DONE], [0], b"a\n",
     b"vulcan: 1 line was not kept\n"),
    ([line(1, "?", base64="/w==", partial=True) + ":\n\n" + line(2, "b") + DONE], [0], b"\xffb\n",
     b""),
], ids=["cut", "twice", "slow", "slower", "limit", "bytes"])
def test_a_broken_stream_is_resumed(fake_box, stories, asked, out, err):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CutStreams)
    server.stories, server.asked = stories, []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        result = fake_box.vulcan("logs", "-f", NOBODY, env={
            "VULCAN_SERVER": f"http://127.0.0.1:{server.server_port}"})
    finally:
        server.shutdown()
        server.server_close()
    assert (result.code, result.out, result.err) == (0, out, err)
    assert server.asked == asked


@pytest.mark.parametrize("story, says", [
    ("data: no JSON\n\n", "not that of vulcan serve"),
    (line(1, "x", stream="stdin"), "not that of vulcan serve"),
    ("event: error\ndata: the file is gone\n\n", "the file is gone"),
], ids=["text", "stream", "error"])
def test_a_malformed_stream_is_an_error(fake_box, story, says):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), CutStreams)
    server.stories, server.asked = [story] * 9, []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        result = fake_box.vulcan("logs", "-f", NOBODY, env={
            "VULCAN_SERVER": f"http://127.0.0.1:{server.server_port}"})
    finally:
        server.shutdown()
        server.server_close()
    assert result.code == 125 and says in result.err.decode(), result
    assert server.asked == [0]


def test_the_loss_of_the_daemon_is_reported(fake_box):
    client = Client(fake_box)
    command = client.box.start("run", "--runtime", "sh", "-e", "print up\nhang")
    command.wait_for("up")
    client.daemon.signal(signal.SIGKILL)
    client.daemon.wait()
    result = command.wait()
    assert result.code == 125 and re.fullmatch(
        rb"vulcan: http://[^\n]+; workload ([0-9A-Z]{26}) may still be running: vulcan logs -f \1\n",
        result.err), result
    fake_box.serve().stop()  # removes what the dead daemon left


# ---- settings, completion, manual ----------------------------------------------------------------

def test_config_prints_the_source_of_each_setting(fake_box):
    path = fake_box.file("settings", "# ours\nVULCAN_MAX_VMS=3\nVULCAN_MAX_QUEUE=5\n")
    result = fake_box.vulcan("config", "--config", path, "--listen", "127.0.0.1:9", "--json",
                             env={"VULCAN_MAX_QUEUE": "6"})
    found = {s["setting"]: s for s in json.loads(result.out)}
    assert (found["max-vms"]["value"], found["max-vms"]["from"]) == ("3", "file")
    assert (found["max-vms"]["file"], found["max-vms"]["line"]) == (path, 2)
    assert (found["max-queue"]["value"], found["max-queue"]["from"]) == ("6", "environment")
    assert (found["listen"]["value"], found["listen"]["from"]) == ("127.0.0.1:9", "flag")
    assert found["net-bridge"]["from"] == "default"
    table = fake_box.vulcan("config", "--config", path).out.decode()
    assert re.search(rf"^max-vms +VULCAN_MAX_VMS +3 +{re.escape(path)}, line 2$", table, re.M)
    assert fake_box.vulcan("config", "--max-vms", "0").code == 2


def test_check_config_finds_invalid_settings(fake_box):
    token = fake_box.file("token", "word-of-mouth-and-ear\n")
    os.chmod(token, 0o600)
    for words in ([], ["--listen", "0.0.0.0:80", "--token-file", token],
                  ["--listen", f"unix:{fake_box.folder}/s"], ["--max-memory-mb", "128"]):
        result = fake_box.vulcan("serve", "--check-config", *words)
        assert result.code == 0 and b"valid" in result.out, result
    bad = fake_box.file("settings", "VULCAN_MAX_VMS=many\n")
    for words, says in ((["--listen", "0.0.0.0:80"], "--token-file"),
                        (["--listen", "somewhere"], "listen"),
                        (["--token-file", fake_box.folder + "/none"], "token file"),
                        (["--net-pool", "10.0.0.0"], "10.0.0.0"),
                        (["--net-bridge", "br0"], "br0"),
                        (["--listen", "unix:/nowhere/x"], "/nowhere: No such"),
                        (["--listen", "unix:" + token], "exists and is not a socket"),
                        (["--max-memory-mb", "100"], "sh, 128 MiB"),
                        (["--config", bad], "line 1")):
        result = fake_box.vulcan("serve", "--check-config", *words)
        assert result.code == 2 and says in result.err.decode(), result
    assert not os.path.exists(fake_box.state)


def test_an_unknown_variable_is_a_warning(fake_box):
    """A warning for every verb that reads settings, and an error for --check-config."""
    env = {"VULCAN_MAX_VM": "3", "VULCAN_TEST_X": "1", "VULCAN_VMM_QEMU": "/nowhere"}
    says = b"warn: environment: unknown setting VULCAN_MAX_VM; did you mean VULCAN_MAX_VMS?\n"
    assert fake_box.vulcan("config", env=env).err == says
    assert fake_box.run("sh", "exit 0", env=env).err == says
    assert fake_box.run("sh", "exit 0", "--quiet", env=env).err == b""
    result = fake_box.vulcan("serve", "--check-config", env=env)
    assert result.code == 2 and result.err.startswith(
        says + b"vulcan: unknown settings in the environment: 1 variable;"), result


def test_help_fits_a_terminal(fake_box):
    verbs = re.findall(r"^  (\w+) +\S", fake_box.vulcan("help").out.decode(), re.M)
    for verb in {"run", "serve", *verbs} - {"vulcan"}:
        text = fake_box.vulcan(verb, "--help").out.decode()
        if verb != "run":  # whose usage lines are aligned
            assert max(map(len, text.splitlines())) <= 100, verb
        settings = text.partition("Settings")[2]
        assert all(len(line) <= 80 or fake_box.folder in line for line in settings.splitlines())
    assert "[127.0.0.1:8080]" in fake_box.vulcan("serve", "--help").out.decode()


def bash_offers(script, *words):
    """The completions that bash offers for the last word."""
    quoted = " ".join(f"'{w}'" for w in words)
    line = (f"source '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _vulcan; "
            "printf '%s\\n' \"${COMPREPLY[@]}\"")
    out = subprocess.run(["bash", "-euc", line], capture_output=True, check=True, text=True)
    return out.stdout.split()


def test_bash_completes_verbs_and_options(fake_box):
    script = fake_box.file("bash", fake_box.vulcan("completion", "bash").out)
    assert bash_offers(script, "vulcan", "ins") == ["inspect"]
    assert bash_offers(script, "vulcan", "run", "--run") == ["--runtime"]
    assert bash_offers(script, "vulcan", "run", "--network", "") == ["none", "nat"]
    assert bash_offers(script, "vulcan", "ls", "-s", "k") == ["killed"]
    assert "--check-config" in bash_offers(script, "vulcan", "serve", "--")
    assert bash_offers(script, "vulcan", "completion", "z") == ["zsh"]
    assert bash_offers(script, "vulcan", "help", "metr") == ["metrics"]


def test_an_additional_runtime_is_used_and_completed(fake_box):
    """Its description is enough to select it by suffix and to complete its name."""
    folder = os.path.join(fake_box.folder, "own")
    vulcan.make_fake_images(folder)
    with open(os.path.join(folder, "ruby.runtime"), "w", encoding="ascii") as f:
        f.write("NAME=ruby\nSUFFIX=.rb\nFILE=main.rb\nEXEC=/bin/sh {entry}\n")
    shutil.copy(os.path.join(folder, "sh.squashfs"), os.path.join(folder, "ruby.squashfs"))
    fake_box.env["VULCAN_IMAGES"] = folder
    script = fake_box.file("a.rb", "print hello\n")
    assert fake_box.vulcan("run", script).out == b"hello\n"
    assert fake_box.vulcan("completion", "runtimes").out == b"python\nruby\nsh\n"
    bash = fake_box.file("bash", fake_box.vulcan("completion", "bash").out)
    os.environ.update(VULCAN_IMAGES=folder,
                      PATH=os.path.dirname(vulcan.VULCAN) + ":" + os.environ["PATH"])
    try:
        assert bash_offers(bash, "vulcan", "run", "--runtime", "r") == ["ruby"]
    finally:
        os.environ["PATH"] = os.environ["PATH"].split(":", 1)[1]
        del os.environ["VULCAN_IMAGES"]


def test_bash_completes_ids(client):
    script = client.box.file("bash", client("completion", "bash").out)
    ended = client.daemon.submit("sh", "exit 0")["id"]
    running = client.daemon.start("sh", "hang")["id"]
    os.environ.update(VULCAN_SERVER=client.daemon.url,
                      PATH=os.path.dirname(vulcan.VULCAN) + ":" + os.environ["PATH"])
    try:
        assert bash_offers(script, "vulcan", "kill", "01") == [running]
        assert bash_offers(script, "vulcan", "inspect", "01") == [running, ended]
    finally:
        os.environ["PATH"] = os.environ["PATH"].split(":", 1)[1]
        del os.environ["VULCAN_SERVER"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh: apt-get install zsh")
def test_zsh_completes_verbs_and_options(fake_box):
    script = fake_box.file("zsh", fake_box.vulcan("completion", "zsh").out)
    subprocess.run(["zsh", "-n", script], check=True)
    line = f"autoload -Uz compinit && compinit -u -D && source {script} && print $_comps[vulcan]"
    out = subprocess.run(["zsh", "-fc", line], capture_output=True, text=True, check=True)
    assert (out.stdout, out.stderr) == ("_vulcan\n", "")


def manual_pages(box):
    verbs = re.findall(r"^  (\w+) +\S", box.vulcan("help").out.decode(), re.M)
    verbs = [verb for verb in verbs if verb != "vulcan"]
    assert {"run", "serve", "ls", "logs", "config"} <= set(verbs)
    return {verb: box.vulcan("help", "--man", *([verb] if verb else [])).out
            for verb in ["", *verbs]}


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff: apt-get install groff")
def test_groff_accepts_the_manual_pages(fake_box):
    for verb, page in manual_pages(fake_box).items():
        out = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-P-c"], input=page,
                             capture_output=True, check=True)
        assert out.stderr == b"", (verb, out.stderr)
        assert re.search(rb"N.?.?NA.?.?AM.?.?ME|NAME", out.stdout), verb


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc: apt-get install mandoc")
def test_mandoc_accepts_the_manual_pages(fake_box):
    for verb, page in manual_pages(fake_box).items():
        out = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page, capture_output=True,
                             check=False)
        warnings = [line for line in out.stdout.splitlines() if b"missing date" not in line]
        assert not warnings, (verb, warnings)


def test_settings_may_precede_the_verb(client):
    url = client.daemon.url
    del client.box.env["VULCAN_SERVER"]
    assert client.box.vulcan("--server", url, "ls", "-q").code == 0
    result = client.box.vulcan(f"--server={url}", "--log-level", "debug", "run", "--runtime", "sh",
                               "-e", "print before")
    assert (result.code, result.out) == (0, b"before\n")
    assert client.box.vulcan("--log-level", "debug", "version").code == 0
    result = client.box.vulcan("--listen", "127.0.0.1:0", "ls")
    assert result.code == 2 and b"ls: unknown option --listen" in result.err
    result = client.box.vulcan("--colour", "ls")
    assert result.code == 2 and b"unknown option --colour" in result.err


@pytest.mark.parametrize("daemon", [False, True], ids=["here", "daemon"])
def test_errors_name_the_flag(fake_box, daemon):
    """Not the field of the API, which a user of the command line does not know."""
    if daemon:
        Client(fake_box)
    path = fake_box.file("x.rar", b"Rar!\x1a\x07\x00" + 40 * b"x")
    for words, says in ((["--archive", path], f"--archive {path}: "),
                        (["--runtime", "none-such", "-e", "x"], "--runtime: "),
                        (["-e", "x", *1025 * ["a"]], "the program's arguments: "),
                        (["--env", "=x", "-e", "x"], "--env: ")):
        runtime = [] if "--runtime" in words else ["--runtime", "sh"]
        result = fake_box.vulcan("run", *runtime, *words)
        assert result.code == 125, result
        assert says in result.err.decode() and b"code_archive" not in result.err, result


def test_a_compressed_body_is_accepted(client):
    body = json.dumps({"runtime": "sh", "code": "print packed"}).encode()
    packed = gzip.compress(body)

    def post(data, coding):
        return client.daemon.request("POST", "/v1/workloads", data,
                                     {"Content-Encoding": coding, "Content-Type": "application/json"})

    status, raw, _ = post(packed, "gzip")
    assert status == 201 and json.loads(raw)["exit_code"] == 0
    assert post(packed[:-1], "gzip")[0] == 400
    assert post(body, "gzip")[0] == 400
    assert post(gzip.compress(bytes(64 << 20)), "gzip")[0] == 413
    status, raw, headers = post(packed, "br")
    assert status == 415 and headers["Accept-Encoding"] == "gzip"


def test_unknown_fields_suggest_the_right_one(client):
    for field, meant in (("stdin", "input"), ("timeout", "resources.timeout_s"),
                         ("memory", "resources.mem_mb"), ("language", "runtime")):
        answer = client.daemon.json("POST", "/v1/workloads",
                                    {"runtime": "sh", "code": "x", field: "x"}, want=400)
        assert answer["error"] == f"{field}: unknown field; did you mean {meant}?"
