# SPDX-License-Identifier: Apache-2.0
"""Programs run and their output arrives, with each VMM."""
import hashlib
import io
import os
import random
import tarfile

import pytest

import vulcan

BIG = 10_000_000
INSTALL_S = 100  # for pip and npm without KVM


def need_runtime(box, name):
    if not os.path.exists(os.path.join(box.images, name + ".squashfs")):
        pytest.skip(f"no image of runtime {name}: run `make images`")


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_python_prints_42(box):
    need_runtime(box, "python")
    result = box.run("python", "print(6*7)")
    assert (result.code, result.out, result.err) == (0, b"42\n", b""), result


def test_the_exit_code_is_the_programs(box):
    result = box.run("sh", "exit 7")
    assert (result.code, result.out) == (7, b""), result


@pytest.mark.vms_only
def test_node_runs(box):
    need_runtime(box, "node")
    result = box.run("node", "console.log(process.version); console.error('oops')")
    assert result.code == 0, result
    assert result.out.startswith(b"v") and result.err == b"oops\n", result


@pytest.mark.vms_only
def test_go_runs(box):
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


def test_output_appears_as_written_and_input_reaches_the_program(box):
    read_end, write_end = os.pipe()
    command = box.start("run", "--runtime", "sh", "-e", "echo ready; read x; echo got $x >&2",
                        stdin=read_end)
    os.close(read_end)
    command.wait_for("ready")  # the program waits for input
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


def test_arguments_and_environment_are_passed(box):
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


def test_arguments_and_environment_may_be_any_bytes(box):
    """Not UTF-8; with and without a daemon."""
    need_runtime(box, "python")
    path = box.file("show.py", SHOW)
    words = ["--env", b"WORD=\xff\xfe", "--env", b"\xe9=x", path, b"caf\xe9", "é", b"\xed\xa0\x80"]
    want = ascii([b"caf\xe9", "é".encode(), b"\xed\xa0\x80"]) + "\n" + ascii(b"\xff\xfe") + " b'x'\n"
    alone = box.vulcan("run", *words)
    assert (alone.code, alone.out.decode()) == (0, want), alone
    url = box.serve().url
    served = box.vulcan("run", "--server", url, *words)
    assert (served.code, served.out.decode()) == (0, want), served


def test_a_program_may_be_any_bytes(box):
    """The source of a shell script is bytes."""
    path = box.file("main.sh", b"printf '%s' '\xff'\n")
    assert box.vulcan("run", path).out == b"\xff"
    assert box.vulcan("run", "--server", box.serve().url, path).out == b"\xff"


def test_an_empty_program_runs(box):
    empty = box.file("empty.sh", b"")
    url = box.serve().url
    for where in ([], ["--server", url]):
        for words in (["--runtime", "sh", "-e", ""], [empty], ["--runtime", "sh", "-"]):
            result = box.vulcan("run", *where, *words)
            assert (result.code, result.out, result.err) == (0, b"", b""), (words, result)


def test_code_may_come_from_standard_input(box):
    result = box.vulcan("run", "--runtime", "sh", "-", stdin=b"echo from stdin")
    assert (result.code, result.out) == (0, b"from stdin\n"), result


def test_an_archive_runs(box):
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
def test_the_program_is_unprivileged_and_isolated(box):
    """Not root, no readable device, no network unless requested, nothing left by the previous
    program."""
    code = ("id -u; head -c 1 /dev/vda >/dev/null 2>&1 && echo reads the disk\n"
            "ls /sys/class/net | grep eth; ls /tmp; echo x >/tmp/mark; echo end")
    for _ in range(2):
        result = box.run("sh", code)
        assert (result.code, result.out) == (0, b"1000\nend\n"), result


@pytest.mark.vms_only
def test_resources_are_as_requested(box):
    result = box.run("sh", "nproc; awk '/MemTotal/ {print $2}' /proc/meminfo", "--cpus", "2",
                     "--mem", "300")
    cpus, kib = map(int, result.out.split())
    assert cpus == 2 and 200 * 1024 < kib <= 300 * 1024, result


# ---- contents of the images: docs/images.md -------------------------------------------------------

BERLIN = b"2024-07-01 14:00:00+02:00"


@pytest.mark.vms_only
def test_time_zones_are_installed(box):
    result = box.run("sh", 'TZ=Europe/Berlin date -d "2024-07-01 12:00 UTC" "+%H %Z"; date +%Z')
    assert (result.code, result.out) == (0, b"14 CEST\nUTC\n"), result
    need_runtime(box, "python")
    result = box.run("python", "import datetime as d, zoneinfo\n"
                     "noon = d.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo('UTC'))\n"
                     "print(noon.astimezone(zoneinfo.ZoneInfo('Europe/Berlin')))")
    assert (result.code, result.out) == (0, BERLIN + b"\n"), result


@pytest.mark.vms_only
def test_the_locale_is_utf_8(box):
    code = "locale -k charmap; printf '\u00e9' | wc -m; printf 'z\\n\u00e9\\na\\n' | sort | tr -d '\\n'"
    result = box.run("sh", code)
    assert (result.code, result.out) == (0, 'charmap="UTF-8"\n1\naz\u00e9'.encode()), result
    assert not result.err, result
    need_runtime(box, "python")
    result = box.run("python", "import sys; print('\u00e9', sys.argv[0], sys.stdin.encoding)")
    assert (result.code, result.out) == (0, "\u00e9 main.py utf-8\n".encode()), result


@pytest.mark.vms_only
@pytest.mark.parametrize("runtime, code", [
    ("sh", "grep -c BEGIN /etc/ssl/certs/ca-certificates.crt; "
           "openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ISRG_Root_X1.pem "
           ">/dev/null || echo not verified"),
    ("python", "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"),
    ("node", "console.log(require('fs').readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8')"
             ".split('BEGIN').length - 1)"),
], ids=["sh", "python", "node"])
def test_certificates_are_installed(box, runtime, code):
    need_runtime(box, runtime)
    result = box.run(runtime, code)
    assert result.code == 0 and int(result.out) > 100, result


@pytest.mark.vms_only
def test_some_directories_are_writable(box):
    result = box.run("sh", "cd; pwd; for d in $HOME /workspace /tmp /var/tmp; do echo x >$d/f && "
                     "rm $d/f || echo $d; done; pwd -P; mktemp -u")
    assert result.code == 0 and not result.err, result
    assert result.out.startswith(b"/home/sandbox\n/home/sandbox\n/tmp/tmp."), result


WHEEL = """
import os, subprocess, sys, zipfile
os.chdir("/tmp")
with zipfile.ZipFile("hello-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("hello.py", "print('hello from', __name__)")
    wheel.writestr("hello-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: hello\\nVersion: 1.0\\n")
    wheel.writestr("hello-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\n"
                   "Root-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("hello-1.0.dist-info/RECORD", "")
def run(*words):
    subprocess.run(words, check=True)
"""


@pytest.mark.vms_only
@pytest.mark.parametrize("way", ["for the user", "in a virtual environment"])
def test_pip_installs_a_wheel(box, way):
    """Without a network, and without an error about an externally managed environment."""
    need_runtime(box, "python")
    install = '"-m", "pip", "install", "--quiet", "--no-index", "hello-1.0-py3-none-any.whl")\n'
    if way == "for the user":
        code = f'run(sys.executable, {install}run(sys.executable, "-c", "import hello")\n'
    else:
        code = ('run(sys.executable, "-m", "venv", "v")\n'
                f'run("v/bin/python", {install}run("v/bin/python", "-m", "hello")\n')
    result = box.run("python", WHEEL + code, "--timeout", vulcan.scaled(INSTALL_S))
    name = b"hello" if way == "for the user" else b"__main__"
    assert (result.code, result.out) == (0, b"hello from %s\n" % name), result


@pytest.mark.vms_only
def test_npm_installs_a_package(box):
    need_runtime(box, "node")
    code = ("const fs = require('fs'), {execSync} = require('child_process');\n"
            "for (const d of ['/tmp/hello', '/tmp/app']) fs.mkdirSync(d);\n"
            "fs.writeFileSync('/tmp/hello/package.json', '{\"name\":\"hello\",\"version\":\"1.2.3\"}');\n"
            "fs.writeFileSync('/tmp/hello/index.js', 'module.exports = 42');\n"
            "const run = c => execSync(c, {cwd: '/tmp/app', encoding: 'utf8'});\n"
            "run('tar -czf hello.tgz -C /tmp --transform s,^hello,package, hello');\n"
            "run('npm install --offline --no-audit ./hello.tgz');\n"
            "console.log(run('npm --version && node -p \"require(\\'hello\\')\"'));\n")
    result = box.run("node", code, "--timeout", vulcan.scaled(INSTALL_S))
    assert result.code == 0 and result.out.strip().endswith(b"\n42"), result
