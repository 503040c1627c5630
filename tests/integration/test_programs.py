# SPDX-License-Identifier: Apache-2.0
"""Programs run and what they say arrives, with each VMM."""
import hashlib
import io
import os
import random
import tarfile

import pytest

BIG = 10_000_000


def need_runtime(box, name):
    if not os.path.exists(os.path.join(box.images, name + ".squashfs")):
        pytest.skip(f"no image of runtime {name}: run `make images`")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_python_prints_42(box):
    need_runtime(box, "python")
    result = box.run("python", "print(6*7)")
    assert (result.code, result.out, result.err) == (0, b"42\n", b""), result


def test_exit_code_is_the_programs(box):
    result = box.run("sh", "exit 7")
    assert (result.code, result.out) == (7, b""), result


@pytest.mark.vms_only
def test_node(box):
    need_runtime(box, "node")
    result = box.run("node", "console.log(process.version); console.error('oops')")
    assert result.code == 0, result
    assert result.out.startswith(b"v") and result.err == b"oops\n", result


@pytest.mark.vms_only
def test_go(box):
    need_runtime(box, "go")
    path = box.file("main.go", 'package main\nimport "fmt"\nfunc main() { fmt.Println(6 * 7) }\n')
    result = box.vulcan("run", "--runtime", "go", path)
    assert (result.code, result.out) == (0, b"42\n"), result


def test_ten_megabytes_on_both_streams_arrive_byte_for_byte(box):
    need_runtime(box, "python")
    code = (f"import os, random, threading\n"
            f"def put(fd):\n"
            f"    data = memoryview(random.Random(fd).randbytes({BIG}))\n"
            f"    while data:\n"
            f"        data = data[os.write(fd, data):]\n"
            f"threads = [threading.Thread(target=put, args=(fd,)) for fd in (1, 2)]\n"
            f"[t.start() for t in threads], [t.join() for t in threads]\n")
    result = box.run("python", code)
    assert result.code == 0, result.text[-500:]
    assert (len(result.out), len(result.err)) == (BIG, BIG)
    assert digest(result.out) == digest(random.Random(1).randbytes(BIG))
    assert digest(result.err) == digest(random.Random(2).randbytes(BIG))


def test_output_comes_as_it_appears_and_input_reaches_the_program(box):
    read_end, write_end = os.pipe()
    command = box.start("run", "--runtime", "sh", "-e", "echo ready; read x; echo got $x >&2",
                        stdin=read_end)
    os.close(read_end)
    command.wait_for("ready")  # the program waits for what we write next
    os.write(write_end, b"word\n")
    os.close(write_end)
    result = command.wait()
    assert (result.code, result.out, result.err) == (0, b"ready\n", b"got word\n"), result


def test_streams_can_be_opened_by_name(box):
    result = box.run("sh", "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr",
                     stdin=b"in\n")
    assert (result.code, result.out, result.err) == (0, b"in\nout\n", b"err\n"), result


def test_a_megabyte_of_input_comes_back(box):
    data = random.Random(3).randbytes(1_000_000)
    result = box.run("sh", "cat", stdin=data)
    assert result.code == 0 and digest(result.out) == digest(data), result.text


def test_arguments_and_environment(box):
    result = box.run("sh", 'printf "%s|" "$#" "$1" "$2" "$3" "$GREETING"', "--env",
                     "GREETING=good day", stdin=b"")
    assert result.out == b"0||||good day|", result
    path = box.file("main.sh", 'printf "%s|" "$#" "$@"')
    result = box.vulcan("run", "--runtime", "sh", path, "a b", "", "--timeout")
    assert (result.code, result.out) == (0, b"3|a b||--timeout|"), result


SHOW = """import os, sys
print([a.encode("utf-8", "surrogateescape") for a in sys.argv[1:]])
print(os.environb[b"WORD"], os.environb.get(b"\\xe9", b"none"))
"""


def test_arguments_and_environment_are_bytes(box):
    """Not UTF-8: alone, and through a daemon."""
    need_runtime(box, "python")
    path = box.file("show.py", SHOW)
    words = ["--env", b"WORD=\xff\xfe", "--env", b"\xe9=x", path, b"caf\xe9", "é", b"\xed\xa0\x80"]
    want = ascii([b"caf\xe9", "é".encode(), b"\xed\xa0\x80"]) + "\n" + ascii(b"\xff\xfe") + " b'x'\n"
    alone = box.vulcan("run", *words)
    assert (alone.code, alone.out.decode()) == (0, want), alone
    url = box.serve().url
    served = box.vulcan("run", "--server", url, *words)
    assert (served.code, served.out.decode()) == (0, want), served


def test_a_program_that_is_not_text(box):
    """The source of a shell script is bytes."""
    path = box.file("main.sh", b"printf '%s' '\xff'\n")
    assert box.vulcan("run", path).out == b"\xff"
    assert box.vulcan("run", "--server", box.serve().url, path).out == b"\xff"


def test_an_empty_program(box):
    empty = box.file("empty.sh", b"")
    url = box.serve().url
    for where in ([], ["--server", url]):
        for words in (["--runtime", "sh", "-e", ""], [empty], ["--runtime", "sh", "-"]):
            result = box.vulcan("run", *where, *words)
            assert (result.code, result.out, result.err) == (0, b"", b""), (words, result)


def test_code_from_standard_input(box):
    result = box.vulcan("run", "--runtime", "sh", "-", stdin=b"echo from stdin")
    assert (result.code, result.out) == (0, b"from stdin\n"), result


def test_archive(box):
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in (("main.sh", ". ./lib/part.sh; say\n"),
                           ("lib/part.sh", "say() { echo from an archive; }\n"),
                           ("other.sh", "echo another entry\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    path = box.file("code.tar.gz", raw.getvalue())
    result = box.vulcan("run", "--runtime", "sh", "--archive", path)
    assert (result.code, result.out) == (0, b"from an archive\n"), result


@pytest.mark.vms_only
def test_program_is_unprivileged_and_alone(box):
    """Not root, no device it can read, no network that nobody asked for, nothing of the last one."""
    code = ("id -u; head -c 1 /dev/vda >/dev/null 2>&1 && echo reads the disk\n"
            "ls /sys/class/net | grep eth; ls /tmp; echo x >/tmp/mark; echo end")
    for _ in range(2):
        result = box.run("sh", code)
        assert (result.code, result.out) == (0, b"1000\nend\n"), result


@pytest.mark.vms_only
def test_resources_are_those_asked_for(box):
    result = box.run("sh", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo", "--cpus", "2",
                     "--mem", "300")
    cpus, kib = map(int, result.out.split())
    assert cpus == 2 and 200 * 1024 < kib <= 300 * 1024, result
