# SPDX-License-Identifier: Apache-2.0
"""Bad input gives a clear one-line error with exit code 125 (or a 4xx), and nothing is left behind."""
import base64
import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest

import vulcan


def rejected(result, *says):
    """Checks for one line, exit code 125, and words that tell the user what to do."""
    assert result.code == 125, result
    lines = result.text.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("vulcan: "), result
    assert result.out == b"", result
    for word in says:
        assert word in lines[0], f"no {word!r} in: {lines[0]}"


def copy_images(box):
    """Images of the box's own, to be damaged; large files are linked."""
    folder = os.path.join(box.folder, "images")
    shutil.copytree(box.images, folder, copy_function=os.symlink)
    box.env["VULCAN_IMAGES"] = folder
    return folder


def archive(*entries):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def test_an_unknown_runtime_is_rejected(fake_box):
    rejected(fake_box.run("cobol", "x"), "cobol", "python", "sh")


def test_a_missing_image_is_named(fake_box):
    folder = copy_images(fake_box)
    os.unlink(os.path.join(folder, "python.squashfs"))
    rejected(fake_box.run("python", "print(1)"), "python", "make image-python")


def test_a_missing_image_directory_is_named(fake_box):
    fake_box.env["VULCAN_IMAGES"] = os.path.join(fake_box.folder, "nowhere")
    rejected(fake_box.run("python", "print(1)"), "make images")


def test_a_missing_kernel_is_named(fake_box):
    os.unlink(os.path.join(copy_images(fake_box), "vmlinux"))
    rejected(fake_box.run("sh", "exit 0"), "vmlinux", "make images")


def test_a_missing_file_is_named(fake_box):
    path = os.path.join(fake_box.folder, "nothing.py")
    rejected(fake_box.vulcan("run", path), path, "No such file")


def test_an_unreadable_file_is_named(fake_box):
    if os.environ.get("VULCAN_TEST_ISOLATED") == "user":
        pytest.skip("needs another user: run as root")
    path = fake_box.file("secret.py", "print(1)")
    os.chmod(path, 0o600)
    for folder in (fake_box.folder, fake_box.tmp):
        os.chmod(folder, 0o777)
    allow_path(fake_box)
    rejected(fake_box.vulcan("run", path, user=65534, group=65534, extra_groups=[]), path,
            "Permission denied")


def test_a_directory_in_place_of_a_file_is_rejected(fake_box):
    rejected(fake_box.vulcan("run", "--runtime", "python", fake_box.folder), "is a directory")


def test_a_missing_vmm_is_named(fake_box):
    fake_box.env["VULCAN_VMM"] = os.path.join(fake_box.folder, "no-vmm")
    rejected(fake_box.run("sh", "exit 0"), "no-vmm")


def test_a_missing_qemu_is_named(fake_box):
    fake_box.env["VULCAN_VMM"] = "qemu"
    empty = os.path.join(fake_box.folder, "path")
    os.mkdir(empty)
    rejected(fake_box.run("sh", "exit 0", env={"PATH": empty}), "qemu-system-x86")


def allow_path(box):
    """Lets another user reach the programs and the box, wherever they are."""
    for path in (vulcan.BUILD, box.folder, box.images or "/"):
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                if not path.startswith(os.environ.get("TMPDIR", "/tmp")):
                    pytest.skip(f"{path} is closed to other users")
                os.chmod(path, os.stat(path).st_mode | 0o011)
            path = os.path.dirname(path)


def test_a_network_without_permission_is_rejected(fake_box):
    if os.environ.get("VULCAN_TEST_ISOLATED") == "user":
        pytest.skip("needs another user: run as root")
    allow_path(fake_box)
    os.chmod(fake_box.folder, 0o1777)
    os.chmod(fake_box.tmp, 0o777)
    result = fake_box.run("sh", "exit 0", "--network", "nat", user=65534, group=65534,
                          extra_groups=[])
    rejected(result, "nat")
    assert "CAP_NET_ADMIN" in result.text or "root" in result.text, result


def test_a_truncated_image_is_rejected(fake_box):
    folder = copy_images(fake_box)
    path = os.path.join(folder, "sh.squashfs")
    with open(path, "rb") as f:
        whole = f.read()
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(whole[:len(whole) // 2])
    rejected(fake_box.run("sh", "exit 0"), "sh.squashfs", "make images")


def test_an_image_with_a_damaged_header_is_rejected(fake_box):
    folder = copy_images(fake_box)
    path = os.path.join(folder, "sh.squashfs")
    with open(path, "rb") as f:
        whole = bytearray(f.read())
    whole[0] ^= 0x10
    os.unlink(path)
    with open(path, "wb") as f:
        f.write(whole)
    rejected(fake_box.run("sh", "exit 0"), "sh.squashfs", "make images")


@pytest.mark.vms_only
def test_an_image_with_damaged_tables_is_rejected(box):
    """Damage that only the guest can detect: the tables after the superblock are zeroed."""
    folder = copy_images(box)
    path = os.path.join(folder, "sh.squashfs")
    real = os.path.realpath(path)
    os.unlink(path)
    subprocess.run(["cp", "--reflink=auto", real, path], check=True)
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for at in range(size // 2, size, 4096):
            f.seek(at)
            f.write(b"\xa5" * 2048)
    result = box.run("sh", "echo never", "--timeout", vulcan.scaled(20))
    rejected(result, "sh.squashfs")


@pytest.mark.parametrize("kind", ["up", "absolute", "link", "hard link"])
def test_an_archive_with_parent_paths_is_rejected(box, kind):
    """The agent rejects the archive; none of its files may appear outside the working directory."""
    evil = tarfile.TarInfo({"up": "../../escape.sh", "absolute": "/tmp/escape.sh"}
                           .get(kind, "way/escape.sh"))
    entries = [(evil, b"echo escaped\n"), (tarfile.TarInfo("main.sh"), b"echo ran\n")]
    if "link" in kind:
        way = tarfile.TarInfo("way")
        way.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
        way.linkname = "/tmp" if kind == "link" else "/etc/passwd"
        entries.insert(0, (way, b""))
    path = box.file("code.tar.gz", archive(*entries))
    result = box.vulcan("run", "--runtime", "sh", "--archive", path)
    assert not os.path.exists("/tmp/escape.sh")
    rejected(result, "archive")


@pytest.mark.parametrize("content", [b"", b"not gzip at all", gzip.compress(b"not a tar" * 100),
                                     archive((tarfile.TarInfo("main.sh"), b"echo x\n"))[:-20]],
                         ids=["empty", "not gzip", "not tar", "torn"])
def test_a_file_that_is_not_an_archive_is_rejected(fake_box_agent, content):
    path = fake_box_agent.file("code.tar.gz", content)
    rejected(fake_box_agent.vulcan("run", "--runtime", "sh", "--archive", path))


def fill(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(fd, bytes(1024)):
            pass
    except OSError:
        os.close(fd)


@pytest.fixture
def small_disk(fake_box):
    """The state directory on a disk of three quarters of a megabyte. Returns a file that can fill
    it."""
    os.makedirs(fake_box.state)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=768k,mode=755", "vulcan-test",
                            fake_box.state], capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs: {mount.stderr.strip()}")
    yield os.path.join(fake_box.state, "ballast.lock")
    fake_box.close()
    subprocess.run(["umount", fake_box.state], check=True)


def test_run_reports_a_full_disk(fake_box, small_disk):
    fill(small_disk)
    rejected(fake_box.run("sh", "exit 0"), "No space left")


def test_serve_reports_a_full_disk(fake_box, small_disk):
    fill(small_disk)
    result = fake_box.vulcan("serve", "--listen", "127.0.0.1:0")
    assert result.code not in (0, 124, 125), result
    assert "space" in result.text or "full" in result.text, result
    assert len(result.text.strip().splitlines()) == 1, result


def test_a_daemon_survives_a_full_disk(fake_box, small_disk):
    daemon = fake_box.serve()
    assert daemon.submit("sh", "print x")["status"] == "completed"
    fill(small_disk)
    status, raw, _ = daemon.request("POST", "/v1/workloads", {"runtime": "sh", "code": "print x"})
    answer = json.loads(raw)
    if status == 201:  # accepted, but its directory could not be created
        assert answer["status"] == "failed" and "space" in answer["error"], answer
    else:
        assert status in (503, 507) and ("space" in answer["error"] or "full" in answer["error"])
    assert daemon.json("GET", "/healthz") == {"status": "ok"}
    assert daemon.metrics().value(vulcan.ACTIVE) == 0
    os.unlink(small_disk)
    assert daemon.submit("sh", "print x")["status"] == "completed"


def test_a_state_directory_that_cannot_be_created_is_named(fake_box):
    path = fake_box.file("in-the-way", "x")
    rejected(fake_box.run("sh", "exit 0", "--state-dir", path + "/state"), path)


def test_a_state_directory_too_long_for_sockets_is_rejected(fake_box):
    path = os.path.join(fake_box.folder, "x" * 100)
    rejected(fake_box.run("sh", "exit 0", "--state-dir", path), "too long")


@pytest.mark.parametrize("words", [
    ["run"], ["run", "--runtime"], ["run", "--runtime", "sh"], ["run", "--nonsense"],
    ["run", "--runtime", "sh", "--cpus", "0", "-e", "x"],
    ["run", "--runtime", "sh", "--cpus", "1000", "-e", "x"],
    ["run", "--runtime", "sh", "--mem", "1", "-e", "x"],
    ["run", "--runtime", "sh", "--timeout", "soon", "-e", "x"],
    ["run", "--runtime", "sh", "--timeout", "99999999", "-e", "x"],
    ["run", "--runtime", "sh", "--network", "bridge", "-e", "x"],
    ["run", "--runtime", "sh", "--env", "=", "-e", ""],
    ["run", "--runtime", "sh", "--env", "=x", "-e", "x"],
    ["run", "--runtime", "sh", "-e", "x", "--archive", "y"],
    ["run", "--runtime", "../sh", "-e", "x"],
], ids=" ".join)
def test_wrong_use_of_run_gives_125(fake_box, words):
    rejected(fake_box.vulcan(*words))


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["serve", "--listen", "nonsense"],
                                   ["serve", "--max-vms", "0"], ["serve", "--nonsense"],
                                   ["serve", "--listen", "0.0.0.0:0"]], ids=" ".join)
def test_wrong_use_of_other_verbs_gives_2(fake_box, words):
    result = fake_box.vulcan(*words)
    assert result.code not in (0, 124, 125) and result.text, result


BAD_BODIES = {
    "not JSON": (b"{", ""),
    "not an object": (b"[]", ""),
    "no runtime": ({"code": "x"}, "runtime"),
    "unknown runtime": ({"runtime": "cobol", "code": "x"}, "runtime"),
    "no code": ({"runtime": "sh"}, "code"),
    "both": ({"runtime": "sh", "code": "x", "code_archive": "eA=="},
             "code and code_archive are mutually exclusive"),
    "not base64": ({"runtime": "sh", "code_archive": "!!!"}, "code_archive"),
    "not gzip": ({"runtime": "sh", "code_archive": base64.b64encode(b"plain").decode()},
                 "code_archive"),
    "isolation": ({"runtime": "sh", "code": "x", "isolation": "docker"}, "microvm"),
    "cpus": ({"runtime": "sh", "code": "x", "resources": {"cpus": 0}}, "cpus"),
    "cpus text": ({"runtime": "sh", "code": "x", "resources": {"cpus": "2"}}, "cpus"),
    "mem_mb": ({"runtime": "sh", "code": "x", "resources": {"mem_mb": 1}}, "mem_mb"),
    "timeout_s": ({"runtime": "sh", "code": "x", "resources": {"timeout_s": -1}}, "timeout_s"),
    "network": ({"runtime": "sh", "code": "x", "network": "bridge"}, "network"),
    "args": ({"runtime": "sh", "code": "x", "args": "x"}, "args"),
    "env": ({"runtime": "sh", "code": "x", "env": {"A=B": "x"}}, "env"),
    "code a number": ({"runtime": "sh", "code": 5}, "code"),
}


def test_an_invalid_body_gives_400_with_the_field(fake_box):
    daemon = fake_box.serve()
    for name, (body, says) in BAD_BODIES.items():
        for route in ("/v1/workloads", "/v1/workloads/async"):
            error = daemon.json("POST", route, body, want=400)["error"]
            assert says in error and "\n" not in error, (name, error)
    status, raw, _ = daemon.request("POST", "/v1/workloads",
                                    {"runtime": "sh", "code": "x" * (22 << 20)})
    assert status == 413, (status, raw)
    metrics = daemon.metrics()
    assert metrics.total(vulcan.WORKLOADS) == 0
    assert metrics.total("vulcan_http_requests_total", status="400") == 2 * len(BAD_BODIES)
    assert metrics.value("vulcan_workloads_rejected_total",
                         reason="invalid") == 2 * len(BAD_BODIES)


def test_unknown_ids_routes_and_methods_give_404_or_405(fake_box):
    daemon = fake_box.serve()
    for path, want in (("/v1/workloads/01ARZ3NDEKTSV4RRFFQ69G5FAV", 404), ("/v1/workloads/x", 404),
                       ("/nothing", 404), ("/v1/workloads/../../etc/passwd", 404)):
        assert "error" in daemon.json("GET", path, want=want)
    assert "error" in daemon.json("DELETE", "/metrics", want=405)
