# SPDX-License-Identifier: Apache-2.0
"""Files copied into a guest and out of it, with and without a daemon."""
import base64
import hashlib
import json
import os
import re
import socket
import stat
import threading

import pytest

import vulcan

pytestmark = pytest.mark.any_backend

MIX = """mkdir -p plots/sub out
cat data.csv data/b.csv > out/all.txt
echo one > plots/a.png; echo two > plots/b.png; echo deep > plots/sub/c.png; echo x > plots/.hidden
chmod 755 plots/a.png
echo said; echo oops >&2
exit 3
"""


@pytest.fixture(params=["alone", "served"])
def here(box, request):
    """Runs vulcan in a directory of its own."""
    folder = os.path.join(box.folder, "here")
    os.mkdir(folder)
    where = ["--server", box.serve().url] if request.param == "served" else []

    def run(*words, code=0, **more):
        result = box.vulcan("run", *where, "--runtime", "sh", *words, cwd=folder, **more)
        assert result.code == code, (words, result)
        return result

    def put(name, content):
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)

    def get(name):
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "rb") as f:
            return f.read()

    run.put, run.get, run.folder = put, get, folder
    run.path = lambda name: os.path.join(folder, name)
    return run


def test_files_are_copied_in_and_out(here):
    here.put("data.csv", b"1\n")
    here.put("data/b.csv", b"2\n")
    result = here("--file", "data.csv", "--file", "data/", "--out", "out/all.txt",
                  "--out", "plots/*", "-e", MIX, code=3)
    assert (result.out, result.err) == (b"said\n", b"oops\n"), result
    assert here.get("out/all.txt") == b"1\n2\n"
    assert here.get("plots/a.png") == b"one\n" and here.get("plots/b.png") == b"two\n"
    assert here.get("plots/sub/c.png") == b"deep\n"
    assert sorted(os.listdir(here.path("plots"))) == ["a.png", "b.png", "sub"]
    assert stat.S_IMODE(os.stat(here.path("plots/a.png")).st_mode) & 0o700 == 0o700


def test_names_can_be_set(here):
    here.put("local.csv", b"content")
    os.mkdir(here.path("dir"))
    here("--file", "local.csv=in/remote.csv", "--file", here.path("local.csv"),
         "--out", "in/remote.csv=copy", "--out", "local.csv=dir", "--out", "in/*=all/",
         "--out", "local.csv=new/deep/",
         "-e", "cat in/remote.csv local.csv")
    assert here.get("copy") == here.get("dir/local.csv") == here.get("all/remote.csv") == b"content"
    assert here.get("new/deep/local.csv") == b"content"


def test_contents_and_names_may_be_any_bytes(here):
    data = os.urandom(300_000)
    here.put(b"caf\xe9", data)
    here("--file", b"caf\xe9", "--out", b"caf\xe9=back", "--out", "empty",
         "-e", b"test -f caf\xe9 && : > empty")
    assert hashlib.sha256(here.get("back")).digest() == hashlib.sha256(data).digest()
    assert here.get("empty") == b""


def test_a_missing_file_gives_125_after_the_output(here):
    result = here("--out", "none", "--out", "some", "-e", "echo said; echo x > some", code=125)
    assert result.out == b"said\n"
    assert re.fullmatch(rb"vulcan: --out none: no such file or directory\n", result.err), result
    assert here.get("some") == b"x\n"
    # If the program failed by itself, its exit code is kept.
    result = here("--out", "none", "-e", "exit 4", code=4)
    assert b"--out none: no such file" in result.err


def test_each_missing_file_is_reported_in_a_line(here):
    os.mkdir(here.path("taken"))
    result = here("--out", "none", "--out", "taken=sub/", "--out", "*.png", "--out", "taken",
                  "-e", "echo x > taken", code=125)
    assert result.err == (b"vulcan: --out none: no such file or directory\n"
                          b"vulcan: --out *.png: no such file or directory\n"
                          b"vulcan: --out: cannot write taken: Is a directory\n"
                          ), result
    assert here.get("sub/taken") == b"x\n"


def test_one_line_reports_that_nothing_came_back(here):
    result = here("--out", "a", "--out", "b", "--out", "c*", "-e", "exit 4", code=4)
    assert result.err == b"vulcan: --out: nothing was returned: no such file or directory\n", result


def test_missing_local_directories_are_created(here):
    here("--out", "x=new/deep/copy", "--out", "x=other/", "-e", "echo x > x")
    assert here.get("new/deep/copy") == here.get("other/x") == b"x\n"


@pytest.mark.parametrize("local", ["file/x", "file/", "file/x/", "file/deep/x"])
def test_an_unwritable_target_is_an_error_before_the_run(fake_box, local):
    folder = os.path.join(fake_box.folder, "here")
    os.mkdir(folder)
    with open(os.path.join(folder, "file"), "w", encoding="ascii"):
        pass
    result = fake_box.vulcan("run", "--runtime", "sh", "--images", fake_box.folder, "--out",
                             "x=" + local, "-e", "x", cwd=folder)
    assert result.code == 125, result
    assert re.fullmatch(rb"vulcan: run: --out: .*(file/? is not a directory|Not a directory)\n",
                        result.err), result


def test_errors_name_the_flag(fake_box):
    folder = os.path.join(fake_box.folder, "here")
    os.mkdir(folder)
    with open(os.path.join(folder, "f"), "w", encoding="ascii"):
        pass
    run = lambda *words: fake_box.vulcan("run", "--runtime", "sh", *words, "-e", "x", cwd=folder)
    assert run("--out", "a/../b").err.startswith(b'vulcan: run: --out: "a/../b" is not a path')
    assert run("--file", "f", "--file", "f").err == b'vulcan: --file f: "f" is given twice\n'


def test_files_are_returned_after_the_time_limit(here):
    result = here("--timeout", "1", "--out", "half", "-e", "echo half > half; sleep 1000", code=124)
    assert here.get("half") == b"half\n", result


def test_local_links_and_special_files_are_rejected(here):
    here.put("tree/file", b"x")
    os.symlink("/etc/passwd", here.path("tree/link"))
    result = here("--file", "tree", "-e", "exit 0", code=125)
    assert b"tree/link: symbolic links" in result.err, result
    # A link that the user names is followed.
    here("--file", "tree/link=passwd", "--out", "passwd", "-e", "exit 0")
    assert b"root:" in here.get("passwd")
    result = here("--file", "none", "-e", "exit 0", code=125)
    assert b"--file none: No such file or directory" in result.err
    result = here("--file", "..", "-e", "exit 0", code=125)
    assert b"=NAME to name it" in result.err


def test_a_local_link_is_replaced_and_never_followed(here):
    outside = os.path.join(os.path.dirname(here.folder), "outside")
    os.mkdir(outside)
    os.symlink(os.path.join(outside, "target"), here.path("plain"))
    os.symlink(outside, here.path("dir"))
    result = here("--out", "plain", "--out", "dir/x", "-e", "echo new > plain; mkdir dir; echo y > dir/x",
                  code=125)
    assert here.get("plain") == b"new\n" and not os.path.islink(here.path("plain"))
    assert b"dir" in result.err and os.listdir(outside) == [], result


def test_the_program_is_not_replaced(here):
    here.put("main.sh", b"echo mine")
    result = here("--file", "main.sh", "-e", "echo program", code=125)
    assert b'"main.sh" is the name of the program itself' in result.err, result


def test_files_beyond_the_limit_are_not_returned(box):
    result = box.run("sh", "head -c 2000 /dev/zero > big; echo x > small", "--fetch-max", "1000",
                     "--out", "big", "--out", "small", cwd=box.folder)
    assert result.code == 125 and b"big: big: larger than the 1000 bytes" in result.err, result
    assert os.path.exists(os.path.join(box.folder, "small"))


def test_the_record_holds_the_files(box):
    daemon = box.serve()
    record = daemon.submit("sh", "cat in.txt; printf '\\377' >&2; cp in.txt out.txt; chmod 750 out.txt",
                           files={"in.txt": "text\n", "sub/bin": {"base64": "/wA=", "mode": "0755"}},
                           fetch=["out.txt", "sub", "none*"])
    assert (record["status"], record["exit_code"]) == ("completed", 0), record
    assert record["stdout"] == "text\n" and record["stderr"] == {"base64": "/w=="}
    assert sorted(vulcan.output_of(record)) == sorted(b"text\n\xff")
    files = {f["path"]: f for f in record["files"]}
    assert files["out.txt"] == {"path": "out.txt", "size": 5, "mode": "0750", "content": "text\n",
                                "pattern": 0,
                                "sha256": hashlib.sha256(b"text\n").hexdigest()}
    assert base64.b64decode(files["sub/bin"]["content"]["base64"]) == b"\xff\0"
    assert files["sub/bin"]["mode"] == "0755" and len(files) == 2
    assert record["fetch"] == [{"pattern": "out.txt", "files": 1, "error": None},
                               {"pattern": "sub", "files": 1, "error": None},
                               {"pattern": "none*", "files": 0, "error": "no such file or directory"}]
    assert daemon.json("GET", f"/v1/workloads/{record['id']}") == record
    listed = daemon.json("GET", "/v1/workloads")["workloads"][0]
    assert not {"files", "fetch", "stdout", "output"} & set(listed)
    # Files that came back can be sent again.
    again = daemon.submit("sh", "cat out.txt; stat -c %a sub/bin", files=record["files"])
    assert again["stdout"] == "text\n755\n", again
    box.env["VULCAN_SERVER"] = daemon.url
    shown = box.vulcan("inspect", record["id"]).out.decode()
    assert re.search(r"file, 5 bytes +out\.txt", shown) and "no such file" in shown, shown


def test_missing_files_do_not_change_the_metrics(fake_box_agent):
    """A workload with missing files has completed."""
    daemon = fake_box_agent.serve()
    record = daemon.submit("sh", "exit 0", fetch=["none"])
    assert record["status"] == "completed" and record["error"] is None
    assert daemon.metrics().value(vulcan.WORKLOADS, runtime="sh", status="completed") == 1


# ---- a hostile guest ---------------------------------------------------------------------------

def hostile_record(files, fetch=None):
    """A daemon that answers every request with a record that has these files."""
    record = {"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "status": "completed", "exit_code": 0,
              "signal": None, "error": None, "timed_out": False, "oom": False, "timeout_s": 60,
              "dropped_bytes": 0, "output": "", "files": files,
              "fetch": fetch or [{"pattern": "*", "files": len(files), "error": None}]}
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += connection.recv(65536)
                head, _, body = head.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.I)
                while length and len(body) < int(length[1]):
                    body += connection.recv(65536)
                missing = b"/logs" in head.split(b"\r\n")[0]
                text = json.dumps({"error": "none"} if missing else record).encode()
                connection.sendall(b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: "
                                   b"close\r\nContent-Length: %d\r\n\r\n" %
                                   (b"404 Not Found" if missing else b"202 Accepted", len(text)) + text)
    threading.Thread(target=serve, daemon=True).start()
    return listener


def a_file(path, content="evil", **more):
    return {"path": path, "size": len(content), "mode": "6777", "content": content, "pattern": 0,
            "sha256": hashlib.sha256(content.encode()).hexdigest(), **more}


@pytest.mark.parametrize("bad", [
    a_file("../escaped"), a_file("/etc/escaped"), a_file("a/../../escaped"), a_file(".bashrc"),
    a_file("sub/x"), a_file("x", sha256="0" * 64), a_file("x", size=3), a_file(""),
], ids=lambda f: f["path"] + f["sha256"][:2] + str(f["size"]))
def test_files_that_were_not_requested_are_rejected(fake_box, bad):
    folder = os.path.join(fake_box.folder, "here")
    os.mkdir(folder)
    pattern = "*" if bad["path"] != "sub/x" else "other*"
    with hostile_record([bad]) as listener:
        url = "http://127.0.0.1:%d" % listener.getsockname()[1]
        result = fake_box.vulcan("run", "--server", url, "--runtime", "sh", "--out", pattern,
                                 "-e", "x", cwd=folder)
    assert result.code == 125 and result.err.startswith(b"vulcan: "), result
    assert os.listdir(folder) == [] and not os.path.exists(os.path.join(fake_box.folder, "escaped"))
    assert not os.path.exists("/etc/escaped")


def test_permissions_of_the_guest_are_limited(fake_box):
    folder = os.path.join(fake_box.folder, "here")
    os.mkdir(folder)
    with hostile_record([a_file("x")]) as listener:
        url = "http://127.0.0.1:%d" % listener.getsockname()[1]
        result = fake_box.vulcan("run", "--server", url, "--runtime", "sh", "--out", "*", "-e", "x",
                                 cwd=folder, umask=0o027)
    assert result.code == 0, result
    assert stat.S_IMODE(os.stat(os.path.join(folder, "x")).st_mode) == 0o750
