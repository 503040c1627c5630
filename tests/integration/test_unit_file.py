# SPDX-License-Identifier: Apache-2.0
"""packaging/vulcan.service, checked by systemd's own tools without running it."""
import os
import re
import shutil
import subprocess

import pytest

import leaks
import vulcan
from test_ending import until_running

UNIT = os.path.join(vulcan.ROOT, "packaging", "vulcan.service")
EXPOSURE_MAX = 2.2  # of 10; lower is better
EXPOSURE_MAX_USER = 1.6

# Settings without which a root VMM could take over the host.
ESSENTIAL = {
    "CapabilityBoundingSet": "CAP_NET_ADMIN", "NoNewPrivileges": "yes", "DevicePolicy": "closed",
    "ProtectSystem": "strict", "ProtectHome": "yes", "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes",
    "ProtectProc": "invisible", "PrivateTmp": "yes", "RestrictNamespaces": "yes",
    "SystemCallArchitectures": "native", "SystemCallFilter": "@system-service seccomp",
    "ReadWritePaths": "/proc/sys/net/ipv4/ip_forward -/proc/sys/net/ipv6/conf",
}
# /proc/sys as set up by ProtectKernelTunables= and ReadWritePaths= ($1), and the capabilities ($2).
AS_THE_UNIT = """
mount --bind /proc/sys /proc/sys
for path in $1; do mount --bind "$path" "$path"; done
mount -o remount,bind,ro /proc/sys
caps=$2; shift 2
exec setpriv --no-new-privs --bounding-set "-all,$caps" --inh-caps=-all "$@"
"""

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"),
                                   reason="no systemd-analyze: install Debian's systemd")


@pytest.fixture
def unit(tmp_path):
    """The unit with the path of the built program, which systemd-analyze verify requires."""
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


@needs_systemd
def test_the_unit_is_valid(unit):
    code, said = analyze("--man=no", "verify", unit)
    assert code == 0 and "vulcan.service" not in said, said


@needs_systemd
def test_an_invalid_unit_is_detected(unit):
    """systemd-analyze verify detects the errors that the test above relies on."""
    with open(unit, "a", encoding="utf-8") as f:
        f.write("\n[Service]\nWatchdogSecs=30\n")
    assert "WatchdogSecs" in analyze("--man=no", "verify", unit)[1]


@needs_systemd
def test_the_exposure_of_the_unit_is_low(unit):
    code, said = analyze("security", "--offline=true", unit)
    assert code == 0, said
    exposure = float(re.search(r"Overall exposure level for vulcan.service: ([0-9.]+)", said)[1])
    assert exposure <= EXPOSURE_MAX, said


def lines_of_the_unit():
    with open(UNIT, encoding="utf-8") as f:
        found = re.findall(r"^(\w+)=(.*)$", f.read(), re.M)
    return {name: [value for key, value in found if key == name] for name, _ in found}


def test_each_essential_line_appears_once():
    lines = lines_of_the_unit()
    hidden = " ".join(lines["InaccessiblePaths"]).split()
    assert {"-/run/dbus", "-/run/systemd/private", "-/run/docker.sock", "-/etc/shadow"} <= set(hidden)
    assert {name: lines.get(name) for name in ESSENTIAL} == \
        {name: [value] for name, value in ESSENTIAL.items()}


@pytest.mark.skipif(not leaks.ISOLATED or os.geteuid() != 0,
                    reason="needs namespaces: run it by tools/test as root")
@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun")
def test_networks_work_with_the_writable_tunables(fake_box):
    """And a root VMM, which has the daemon's mounts, cannot write the others."""
    lines = lines_of_the_unit()
    paths = [path for path in (word.lstrip("-") for word in lines["ReadWritePaths"][0].split())
             if os.path.exists(path)]
    caps = ",".join("+" + cap.removeprefix("CAP_").lower()
                    for cap in lines["CapabilityBoundingSet"][0].split())
    daemon = fake_box.serve(prefix=["unshare", "--mount", "sh", "-euc", AS_THE_UNIT, "sh",
                                    " ".join(paths), caps])
    workload = daemon.start("sh", "print x\nhang", network="nat")
    until_running(daemon, workload["id"])
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        assert f.read() == "1\n", daemon.log()
    inside = ["nsenter", "-t", str(daemon.process.pid), "-m", "sh", "-c",
              'value=$(cat "$0") && printf "%s\\n" "$value" >"$0"']  # its present value
    for name in ("kernel/core_pattern", "kernel/pid_max", "fs/protected_symlinks", "vm/swappiness",
                 "net/ipv4/tcp_syncookies"):
        done = subprocess.run([*inside, "/proc/sys/" + name], stderr=subprocess.PIPE, text=True,
                              check=False)
        assert done.returncode and "Read-only file system" in done.stderr, (name, done.stderr)
    daemon.json("DELETE", f"/v1/workloads/{workload['id']}")
    daemon.stop()
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        assert f.read() == "0\n"


@needs_systemd
def test_the_exposure_as_a_user_is_lower(unit):
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
    as_user = float(re.search(r"level for vulcan.service: ([0-9.]+)", said)[1])
    assert as_user <= min(EXPOSURE_MAX_USER, as_root), said


def test_the_command_line_of_the_unit_is_valid(unit, tmp_path):
    """With the installed settings file, and with each of its lines enabled."""
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
