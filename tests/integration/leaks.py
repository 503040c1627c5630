# SPDX-License-Identifier: Apache-2.0
"""Checks that a test leaves nothing behind, by comparing the system before and after it.

In the suite's own namespaces (tools/test creates them), every process, interface and rule that is
there afterwards counts. Elsewhere, only processes with the names of our programs do.
"""
import glob
import os
import re
import select
import socket
import subprocess
import time

import vulcan

ISOLATED = bool(os.environ.get("VULCAN_TEST_ISOLATED"))
OURS = re.compile(r"vulcan|firecracker|qemu-system")
SETTLE_S = 5 * vulcan.SLOW  # for processes that have been killed but still exist
# Files that stay in a state directory by design: records, logs, damaged ones that were renamed,
# locks, empty directories.
STATE_KEPT = re.compile(
    r"vms|net|(.*/)?[\w.-]*lock|(vulcan|logs)\.db(\.damaged-[\w-]+)?(-wal|-shm)?|[\w-]+\.sqlite3?(-wal|-shm)?")


def processes():
    """{(pid, start time): command line}, without this process and the helpers of its interpreter."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                name, rest = f.read().rsplit(")", 1)
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                words = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        fields = rest.split()
        if fields[0] == "Z" and int(fields[1]) == os.getpid() and ISOLATED:
            reap(int(entry))  # an orphan: this process is the init of the namespace
            continue
        if fields[0] == "Z" and not ISOLATED and int(fields[1]) in (1, os.getpid()):
            continue  # dead, but process 1 of a container need not reap it
        text = words or name.split("(", 1)[1]
        if ISOLATED or OURS.search(text):
            found[int(entry), int(fields[19])] = f"{fields[0]} {text[:200]}"
    return found


def reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def nft_rules():
    try:
        return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True,
                              check=False).stdout
    except OSError:
        return ""


def mounts():
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return sorted(f)


def forwarding():
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as f:
        return f.read()


def links():
    return sorted(name for _, name in socket.if_nameindex())


def state_files(folder):
    """Files in a state directory, apart from those that stay there by design."""
    found = []
    for path, folders, files in os.walk(folder):
        for name in folders + files:
            relative = os.path.relpath(os.path.join(path, name), folder)
            if not STATE_KEPT.fullmatch(relative):
                found.append(relative)
    return found


class Snapshot:
    def __init__(self):
        self.processes = processes()
        self.rest = self.look()

    @staticmethod
    def look():
        return {"network interface": links(), "nftables": nft_rules().splitlines(),
                "mount": mounts(), "ip_forward": [forwarding()],
                "cgroup": glob.glob("/sys/fs/cgroup/**/*vulcan*", recursive=True)}

    def left(self, box=None):
        """One line for each thing that was not there before."""
        lines = [f"process {pid}: {text}" for (pid, _), text in self.new_processes().items()]
        for what, now in self.look().items():
            before = list(self.rest[what])
            for item in now:
                if item in before:
                    before.remove(item)
                else:
                    lines.append(f"{what}: {item.strip()}")
        if box:
            lines += [f"state directory: {name}" for name in state_files(box.state)]
            # A process that is killed while the thread sanitizer starts leaves one of its files.
            lines += [f"temporary file: {name}" for name in os.listdir(box.tmp)
                      if not name.startswith("tsan.rodata.")]
        return lines

    def new_processes(self):
        deadline = time.monotonic() + SETTLE_S
        while True:
            new = {k: v for k, v in processes().items() if k not in self.processes}
            left = deadline - time.monotonic()
            if not new or left <= 0:
                return new
            wait_for_end(next(iter(new))[0], left)


def wait_for_end(pid, seconds):
    """Returns when the process has ended, or after the time limit."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([fd], [], [], seconds)
    finally:
        os.close(fd)
