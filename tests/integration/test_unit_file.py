# SPDX-License-Identifier: Apache-2.0
"""packaging/vulcan.service, as systemd itself judges it without running it."""
import os
import re
import shutil
import subprocess

import pytest

import vulcan

UNIT = os.path.join(vulcan.ROOT, "packaging", "vulcan.service")
EXPOSURE_MAX = 4.5  # of 10; lower is better

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                reason="no systemd-analyze: install Debian's systemd")


@pytest.fixture
def unit(tmp_path):
    """The unit with the program that was built, which verify looks for."""
    with open(UNIT, encoding="utf-8") as f:
        text = f.read()
    assert text.count("/usr/bin/vulcan") == 1
    path = tmp_path / "vulcan.service"
    path.write_text(text.replace("/usr/bin/vulcan", vulcan.VULCAN))
    return str(path)


def analyze(*words):
    result = subprocess.run(["systemd-analyze", "--no-pager", *words], check=False, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if "unrecognized option" in result.stdout:
        pytest.skip(f"this systemd-analyze does not know {words}")
    return result.returncode, result.stdout


def test_the_unit_is_sound(unit):
    code, said = analyze("--man=no", "verify", unit)
    assert code == 0 and "vulcan.service" not in said, said


def test_a_unit_that_is_not_sound_is_told(unit):
    """verify sees what the test above is there for."""
    with open(unit, "a", encoding="utf-8") as f:
        f.write("\n[Service]\nWatchdogSecs=30\n")
    assert "WatchdogSecs" in analyze("--man=no", "verify", unit)[1]


def test_the_unit_gets_what_it_needs_and_little_else(unit):
    code, said = analyze("security", "--offline=true", unit)
    assert code == 0, said
    exposure = float(re.search(r"Overall exposure level for vulcan.service: ([0-9.]+)", said)[1])
    assert exposure <= EXPOSURE_MAX, said


def test_the_daemon_as_a_user_gets_less(unit):
    said = analyze("security", "--offline=true", unit)[1]
    as_root = float(re.search(r"Overall exposure level for vulcan.service: ([0-9.]+)", said)[1])
    os.mkdir(unit + ".d")
    shutil.copy(os.path.join(vulcan.ROOT, "packaging", "user.conf"), unit + ".d")
    code, said = analyze("--man=no", "verify", unit)
    assert code == 0 and "user.conf" not in said, said
    with open(os.path.join(vulcan.ROOT, "packaging", "user.conf"), encoding="utf-8") as f, \
            open(unit, "a", encoding="utf-8") as to:  # security --offline reads no drop-ins
        to.write(f.read())
    said = analyze("security", "--offline=true", unit)[1]
    assert float(re.search(r"level for vulcan.service: ([0-9.]+)", said)[1]) < as_root - 1, said


def test_the_command_is_one(unit, tmp_path):
    """With the settings file that is installed, and with each of its lines in force."""
    with open(UNIT, encoding="utf-8") as f:
        (command,) = re.findall(r"^ExecStart=(.*)$", f.read(), re.M)
    words = command.split()[1:]
    conf = tmp_path / "vulcan.conf"
    assert words[-2:] == ["--config", "/etc/vulcan.conf"]
    words[-1] = str(conf)
    sample = subprocess.run(vulcan.wrap([vulcan.VULCAN, "config", "--sample"]), check=True,
                            capture_output=True, text=True).stdout
    assert not re.search(r"^[^#\n]", sample, re.M) and "#VULCAN_MAX_VMS=" in sample
    conf.write_text(re.sub(r"^#VULCAN", "VULCAN", sample, flags=re.M))
    result = subprocess.run([*vulcan.wrap([vulcan.VULCAN, *words]), "--check-config"], check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
