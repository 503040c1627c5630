# SPDX-License-Identifier: Apache-2.0
"""Directories and files that other users could write are not trusted; wrong tokens are counted,
limited and logged; output of a guest cannot control a terminal."""
import os
import re

import pytest

from test_client import Client
from test_terminal import Terminal

STRANGER = 54321
TOKEN = "a-token-of-20-bytes!"
NASTY = "a\u009b31mb\u202ec\u2066d\u061ce\u2028f"
HARMLESS = b"a?31mb?c?d?e?f"


def spoil(path, how):
    if how == "stranger":
        if os.geteuid() != 0:
            pytest.skip("giving a directory away takes root")
        os.chown(path, STRANGER, -1)
    else:
        os.chmod(path, how)


HOW = {"stranger": "belongs to user 54321", 0o777: "can be written by others",
       0o1777: "can be written by others", 0o770: "can be written by its group"}


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("verb", ["run", "serve", "check", "doctor"])
def test_a_state_directory_of_others_is_rejected(fake_box, verb, how):
    os.makedirs(fake_box.state, 0o700)
    spoil(fake_box.state, how)
    words = {"run": ["run", "--runtime", "sh", "-e", "print x"],
             "serve": ["serve", "--listen", "127.0.0.1:0"],
             "check": ["serve", "--check-config"], "doctor": ["doctor"]}[verb]
    result = fake_box.vulcan(*words)
    assert result.code == {"run": 125, "serve": 1, "check": 2, "doctor": 1}[verb], result
    said = result.out if verb == "doctor" else result.err
    assert HOW[how] in said.decode() and fake_box.state in said.decode(), result
    assert verb == "doctor" or said.count(b"\n") == 1, result
    assert os.listdir(fake_box.state) == []


@pytest.mark.parametrize("name", ["vms", "daemon.lock", "vulcan.db", "logs.db", "logs.db-wal"])
def test_files_in_the_state_directory_are_checked(fake_box, name):
    fake_box.serve().stop()
    path = os.path.join(fake_box.state, name)
    if not os.path.exists(path):
        open(path, "wb").close()
    os.chmod(path, 0o777)
    result = fake_box.vulcan("serve", "--listen", "127.0.0.1:0")
    assert result.code == 1 and path in result.text, result
    assert "can be written by others (mode 0777); chmod go-w it" in result.text, result


def test_a_settings_file_of_others_is_rejected(fake_box):
    path = fake_box.file("settings", "VULCAN_MAX_VMS=3\n")
    os.chmod(path, 0o666)
    result = fake_box.vulcan("config", "--config", path)
    assert result.code == 2 and b"can be written by others" in result.err, result
    os.chmod(path, 0o644)
    assert fake_box.vulcan("config", "--config", path).code == 0


@pytest.mark.parametrize("content, mode, says", [
    ("fifteen-bytes-x\n", 0o600, "has 15 bytes; it must have at least 16"),
    (TOKEN + "\n", 0o620, "can be written by its group"),
    (TOKEN + "\n", 0o606, "can be written by others")])
def test_an_unsafe_token_is_rejected(fake_box, content, mode, says):
    path = fake_box.file("token", content)
    os.chmod(path, mode)
    for words in (["serve", "--listen", "127.0.0.1:0"], ["serve", "--check-config"], ["ls"]):
        result = fake_box.vulcan(*words, "--token-file", path)
        assert result.code in (1, 2) and says in result.text, result
        assert "urandom" in result.text or mode != 0o600


def test_wrong_tokens_are_counted_and_limited(fake_box):
    daemon = fake_box.serve("--token-file", fake_box.file("token", TOKEN))
    right = {"Authorization": f"Bearer {TOKEN}"}

    def ask(token):
        status, _, headers = daemon.request("GET", "/v1/stats",
                                            headers={"Authorization": f"Bearer {token}"})
        assert status != 429 or int(headers["Retry-After"]) >= 1
        return status

    statuses = [ask(f"{i:020}") for i in range(60)]
    assert statuses[:10] == [401] * 10 and 429 in statuses[10:], statuses
    # After at most a second, the right token is accepted again, and from then on always.
    seen = []
    while not seen or seen[-1] != 200:
        seen.append(ask(TOKEN))
        assert len(seen) < 100_000
    for i in range(40):
        assert ask(f"{i:020}") in (401, 429)
        assert ask(TOKEN) == 200
    text = daemon.request("GET", "/metrics", headers=right)[1].decode()
    counts = {reason: float(n) for reason, n in
              re.findall(r'^vulcan_http_auth_failures_total\{reason="(\w+)"\} (\S+)$', text, re.M)}
    assert counts["wrong"] >= 10 and counts["wrong"] + counts["limited"] == 99 + len(seen), counts
    lines = [line for line in daemon.stop().text.splitlines() if "authentication failed" in line]
    assert 2 <= len(lines) <= 8, lines
    assert re.fullmatch(r"warn: authentication failed: a wrong token from 127\.0\.0\.1:\d+", lines[0])
    assert "not logged" in lines[-1]


def test_output_cannot_control_a_terminal(fake_box):
    code, shown = Terminal(fake_box, "run", "--quiet", "--runtime", "sh", "-e",
                           "print " + NASTY).wait()
    assert (code, shown) == (0, HARMLESS + b"\r\n")
    result = fake_box.run("sh", "print " + NASTY)
    assert result.out == NASTY.encode() + b"\n"


def test_output_from_a_daemon_cannot_control_a_terminal(fake_box):
    client = Client(fake_box)
    code, shown = Terminal(fake_box, "run", "--quiet", "--runtime", "sh", "-e",
                           "print " + NASTY).wait()
    assert (code, shown) == (0, HARMLESS + b"\r\n")
    assert Terminal(fake_box, "logs", "@last").wait() == (0, HARMLESS + b"\r\n")
    assert client("logs", "@last").out == NASTY.encode() + b"\n"
    for words in (["logs", "--json", "@last"], ["inspect", "--json", "@last"]):
        shown = Terminal(fake_box, *words).wait()[1].decode()
        assert not re.search("[\u0080-\u009f\u061c\u2028\u202a-\u202e\u2066-\u2069]", shown), shown
    assert "\\u009b31mb\\u202e" in Terminal(fake_box, "logs", "--json", "@last").wait()[1].decode()
