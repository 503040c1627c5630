# SPDX-License-Identifier: Apache-2.0
"""Programs of several files: what people pack, damaged archives, and which file is run."""
import base64
import gzip
import io
import os
import stat
import subprocess
import tarfile
import zipfile

import pytest

import vulcan
from test_bad_input import archive, rejected


def tar_of(files):
    """A tar.gz of names and texts; a name that ends with / is a directory."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name.rstrip("/"))
            entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            entry.mode = 0o555 if name.endswith("/") else 0o644
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return raw.getvalue()


def zip_of(files, links=()):
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in files.items():
            packed.writestr(name, text)
        for name, target in links:
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(entry, target)
    return raw.getvalue()


def run(box, code, *words, runtime="sh"):
    return box.vulcan("run", "--runtime", runtime, "--archive", "/dev/stdin", *words, stdin=code)


def prints(result, text):
    assert (result.code, result.out.decode(), result.err) == (0, text, b""), result


def test_a_directory_with_a_virtualenv_runs(box):
    """tar -cz . | vulcan run --archive /dev/stdin, as in the README."""
    folder = os.path.join(box.folder, "project")
    os.makedirs(folder + "/.venv/bin")
    os.makedirs(folder + "/node_modules/.bin")
    with open(folder + "/main.py", "w", encoding="ascii") as f:
        f.write("import os\nprint(os.readlink('.venv/bin/python3'))\n")
    os.symlink("/usr/bin/python3", folder + "/.venv/bin/python3")
    os.symlink("python3", folder + "/.venv/bin/python")
    os.symlink("../nowhere/cli.js", folder + "/node_modules/.bin/tool")
    os.symlink("loop", folder + "/loop")
    code = subprocess.run(["tar", "-cz", "."], cwd=folder, check=True, capture_output=True).stdout
    prints(run(box, code, runtime="python"), "/usr/bin/python3\n")


def test_a_zip_with_one_directory_runs(box):
    """As packed by a code hosting service; the program starts in the project's directory."""
    code = zip_of({"proj-main/main.sh": "cat data/words; readlink link\n",
                   "proj-main/data/words": "found\n",
                   "__MACOSX/._proj-main": "resource fork"}, [("proj-main/link", "/etc/passwd")])
    prints(run(box, code), "found\n/etc/passwd\n")


def test_a_plain_tar_runs(fake_box_agent):
    prints(run(fake_box_agent, gzip.decompress(tar_of({"main.sh": "echo plain\n"}))), "plain\n")


def test_a_read_only_directory_is_unpacked(fake_box_agent):
    code = tar_of({"lib/": "", "lib/words": "found\n", "main.sh": "cat lib/words\n"})
    prints(run(fake_box_agent, code), "found\n")


@pytest.mark.parametrize("files, words, text", [
    ({"main.sh": "echo main\n", "a.sh": "echo a\n"}, (), "main\n"),
    ({"tool.sh": "echo $0 $1\n", "README": ""}, ("x",), "tool.sh x\n"),
    ({"proj/tool.sh": "echo $0; ls\n"}, (), "tool.sh\ntool.sh\n"),
    ({"a.sh": "", "src/b.sh": "echo $0; ls\n"}, ("--entrypoint", "src/b.sh"),
     "src/b.sh\na.sh\nsrc\n"),
    ({"proj/a.sh": "", "proj/b.sh": "ls\n"}, ("--entrypoint", "b.sh"), "a.sh\nb.sh\n"),
], ids=["by name", "only file", "only directory", "asked for", "asked for in the directory"])
def test_the_entry_point_is_found(fake_box_agent, files, words, text):
    options, args = (words, ()) if words[:1] == ("--entrypoint",) else ((), words)
    path = fake_box_agent.file("code.tar.gz", tar_of(files))
    prints(fake_box_agent.vulcan("run", "--runtime", "sh", *options, "--archive", path, *args), text)


def test_a_missing_entry_point_is_an_error(fake_box_agent):
    code = tar_of({"a.sh": "", "b.sh": "", "lib/main.sh": ""})
    rejected(run(fake_box_agent, code), "--entrypoint", "a.sh, b.sh, lib/main.sh")
    path = fake_box_agent.file("code.tar.gz", code)
    rejected(fake_box_agent.vulcan("run", "--runtime", "sh", "--archive", path, "--entrypoint", "c.sh"),
            "no c.sh", "a.sh, b.sh")


@pytest.mark.vms_only
@pytest.mark.parametrize("runtime, files, text", [
    ("python", {"pkg/__main__.py": "import part\nprint(part.x)\n", "pkg/part.py": "x = 7\n"},
     "7\n"),
    ("node", {"index.js": "console.log(require('./lib/a'))\n", "lib/a.js": "module.exports = 7\n"},
     "7\n"),
    ("node", {"package.json": '{"main": "./src/server"}', "src/server.js": "console.log(7)\n",
              "index.js": "console.log(8)\n"}, "7\n"),
    ("go", {"proj/main.go": "package main\n\nimport \"proj/part\"\n\nfunc main() { println(part.X) }\n",
            "proj/go.mod": "module proj\n", "proj/part/part.go": "package part\n\nconst X = 7\n"},
     None),
], ids=["package", "index.js", "package.json", "go.mod"])
def test_each_runtime_has_its_entry_points(box, runtime, files, text):
    result = box.vulcan("run", "--runtime", runtime, "--timeout", vulcan.scaled(120), "--archive", "/dev/stdin",
                        stdin=zip_of(files))
    if text is None: # Go's println writes to standard error
        assert (result.code, result.err) == (0, b"7\n"), result
    else:
        prints(result, text)


DAMAGE = {
    "flipped content": (lambda code: code[:40] + bytes([code[40] ^ 1]) + code[41:], "damaged"),
    "flipped checksum": (lambda code: code[:-5] + bytes([code[-5] ^ 1]) + code[-4:], "checksum"),
    "flipped length": (lambda code: code[:-1] + bytes([code[-1] ^ 1]), "length"),
    "cut": (lambda code: code[:-6], "truncated"),
    "garbage": (lambda code: code + b"garbage", "garbage"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_archive_runs_nothing(fake_box_agent, kind):
    damage, says = DAMAGE[kind]
    code = damage(archive((tarfile.TarInfo("main.sh"), b"echo $((9 * 1000)) is the total\n" * 20)))
    result = run(fake_box_agent, code)
    rejected(result, "archive", says)
    assert "(null)" not in result.text, result


def test_a_damaged_zip_runs_nothing(fake_box_agent):
    code = bytearray(zip_of({"main.sh": "echo total 9000\n"}))
    code[50] ^= 1
    rejected(run(fake_box_agent, bytes(code)), "main.sh")
    rejected(run(fake_box_agent, zip_of({"main.sh": "echo x\n"})[:-10]), "truncated")


def test_an_unsupported_compression_is_named(fake_box_agent):
    rejected(run(fake_box_agent, b"\xfd7zXZ\0" + bytes(100)), "xz", "tar -czf")


def test_a_daemon_accepts_a_zip(fake_box_agent):
    code = base64.b64encode(zip_of({"proj/x.sh": "echo $0\n"})).decode()
    record = fake_box_agent.serve().json("POST", "/v1/workloads",
                                         {"runtime": "sh", "code_archive": code}, 201)
    assert vulcan.output_of(record) == b"x.sh\n", record
