# SPDX-License-Identifier: Apache-2.0
"""What a user at a terminal sees of `vulcan run`, `doctor` and `help`."""
import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import termios
import threading

import pytest

import vulcan

ERASE = b"\r\x1b[K"


class Terminal:
    """A `vulcan` in the foreground of its own terminal."""

    def __init__(self, box, *words, **env):
        self.master, slave = pty.openpty()
        self.shown = bytearray()
        self.news = threading.Condition()
        self.process = subprocess.Popen(
            vulcan.wrap([vulcan.VULCAN, *words]), stdin=slave, stdout=slave, stderr=slave,
            env={**box.env, "TERM": "xterm", **env}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while chunk := os.read(self.master, 65536):
                with self.news:
                    self.shown += chunk
                    self.news.notify_all()
        except OSError:  # EIO: the last process has closed it
            pass

    def wait_for(self, text):
        with self.news:
            assert self.news.wait_for(lambda: text in self.shown, vulcan.LIMIT_S), self.shown

    def type(self, keys):
        os.write(self.master, keys)

    def wait(self):
        code = self.process.wait(vulcan.LIMIT_S)
        self.thread.join(10 * vulcan.SLOW)
        os.close(self.master)
        return code, bytes(self.shown)


def run_slowly(box, *options, **env):
    box.env["FAKE_FC_FAIL"] = "slow-boot:450"
    return Terminal(box, "run", *options, "--runtime", "sh", "-e", "print hello", **env)


def test_the_progress_line_is_shown_and_erased(fake_box):
    code, shown = run_slowly(fake_box).wait()
    assert code == 0
    lines, _, rest = shown.rpartition(ERASE)
    assert rest == b"hello\r\n", shown
    drawn = re.findall(rb"\r\x1b\[Kbooting the microVM, (\d+\.\d) s", lines)
    assert len(drawn) >= 2 and drawn == sorted(drawn, key=float), shown
    assert b"\n" not in lines, shown


@pytest.mark.parametrize("options, env", [(["--quiet"], {}), ([], {"TERM": "dumb"})])
def test_quiet_shows_no_progress_line(fake_box, options, env):
    assert run_slowly(fake_box, *options, **env).wait() == (0, b"hello\r\n")


def test_no_progress_line_without_a_terminal(fake_box):
    fake_box.env["FAKE_FC_FAIL"] = "slow-boot:300"
    result = fake_box.run("sh", "print hello")
    assert (result.code, result.out, result.err) == (0, b"hello\n", b"")


def test_ctrl_c_during_the_boot_erases_the_progress_line(fake_box):
    fake_box.env["FAKE_FC_FAIL"] = "hang"
    terminal = Terminal(fake_box, "run", "--runtime", "sh", "-e", "print x")
    terminal.wait_for(b"booting")
    terminal.type(b"\x03")
    code, shown = terminal.wait()
    assert code == 130
    assert shown.rpartition(ERASE)[2].replace(b"^C", b"") == b"", shown


def test_an_ignored_signal_stays_ignored(fake_box):
    command = fake_box.start("run", "--runtime", "sh", "-e", "print here\nhang",
                             prefix=["sh", "-c", 'trap "" INT; exec "$@"', "sh"])
    command.wait_for("here")
    command.signal(signal.SIGINT)
    command.signal(signal.SIGTERM)
    assert command.wait().code == 143


def test_metrics_begin_on_a_new_line(fake_box_agent):
    result = fake_box_agent.run("sh", "printf no-newline", "--metrics")
    assert result.out.startswith(b"no-newline\n# HELP vulcan_"), result


def test_metrics_all_prints_more_than_five(fake_box):
    five = fake_box.run("sh", "print x", "--metrics").out
    everything = fake_box.run("sh", "print x", "--metrics=all").out
    count = len(re.findall(rb"^# TYPE vulcan_", five, re.M))
    assert count == 5, five
    assert len(re.findall(rb"^# TYPE vulcan_", everything, re.M)) > count
    assert b"\nprocess_" not in everything


def test_doctor_finds_a_working_installation(fake_box):
    result = fake_box.vulcan("doctor", "--json")
    assert result.code == 0, result
    report = json.loads(result.out)
    assert report["can_run"] is True
    verdicts = {check["check"]: check["verdict"] for check in report["checks"]}
    assert verdicts["kernel"] == verdicts["runtime sh"] == verdicts["vmm"] == "ok"
    assert not os.path.exists(fake_box.state)  # doctor creates nothing


def test_doctor_names_missing_parts(fake_box):
    fake_box.env["VULCAN_IMAGES"] = os.path.join(fake_box.folder, "nowhere")
    result = fake_box.vulcan("doctor")
    assert result.code == 1, result
    assert re.search(rb"^missing +kernel .*make images", result.out, re.M), result
    assert re.search(rb"^missing +runtimes .*\n +-> make image", result.out, re.M), result


def test_doctor_tests_the_state_directory(fake_box):
    """For root every directory seems to be writable, but nothing can be created in /proc."""
    for path in ("/proc/vulcan", fake_box.file("file", "") + "/state"):
        result = fake_box.vulcan("doctor", "--state-dir", path)
        assert result.code == 1 and b"Workloads cannot run here" in result.out, result
        assert re.search(rb"^missing +state +" + path.encode() + rb": .*\n +-> .*--state-dir",
                         result.out, re.M), result
        result = fake_box.run("sh", "exit 0", "--state-dir", path)
        assert result.code == 125 and f"state directory {path}: " in result.text, result
        assert "--state-dir" in result.text


def test_doctor_sees_a_corrupt_image(fake_box):
    images = os.path.join(fake_box.folder, "images")
    vulcan.make_fake_images(images)
    os.truncate(os.path.join(images, "sh.squashfs"), 2048)
    result = fake_box.vulcan("doctor", "--images", images)
    assert result.code == 0, result  # the python image is intact
    assert re.search(rb"^warn +runtime sh .*corrupt", result.out, re.M), result


def test_every_verb_has_help(fake_box):
    listed = fake_box.vulcan("help")
    assert listed.code == 0
    verbs = re.findall(rb"^  (\w+) {2,}", listed.out, re.M)
    assert {b"run", b"serve", b"doctor"} <= set(verbs)
    for verb in verbs:
        result = fake_box.vulcan("help", verb.decode())
        assert result.code == 0 and b"vulcan " + verb in result.out + listed.out, result
    assert fake_box.vulcan("--version").out.startswith(b"vulcan ")


@pytest.mark.parametrize("words, says", [
    (["rum"], "did you mean run?"), ([], "vulcan help"), (["help", "nothing"], "nothing"),
    (["doctor", "--colour"], "--colour"), (["serve", "word"], "word")])
def test_wrong_use_gives_one_line(fake_box, words, says):
    result = fake_box.vulcan(*words)
    assert result.code == 2, result
    assert re.fullmatch(r"vulcan: [^\n]*\n", result.text) and says in result.text, result
