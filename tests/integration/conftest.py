# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration suite. README.md describes how to use them."""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import leaks
import vulcan

TEST_LIMIT_S = 120 * vulcan.SLOW
REPORT_FD = int(os.environ.get("VULCAN_TEST_REPORT_FD", "-1"))
REPORTS = os.environ.get("VULCAN_TEST_SANITIZER_REPORTS", "")


# ---- for tools/test -------------------------------------------------------------------------

def tell(**report):
    if REPORT_FD >= 0:
        os.write(REPORT_FD, json.dumps(report).encode() + b"\n")


def pytest_configure(config):
    if REPORT_FD >= 0:
        os.set_inheritable(REPORT_FD, False)
    vulcan.usual_signals()
    if os.environ.get("VULCAN_TEST_ISOLATED"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def pytest_collection_modifyitems(config, items):
    name = os.environ.get("VULCAN_TEST_NAME", "")
    config.hook.pytest_deselected(items=[i for i in items if name not in i.nodeid])
    items[:] = [i for i in items if name in i.nodeid]
    missing = [p for p in (vulcan.VULCAN, vulcan.FAKE) if not os.path.exists(p)]
    if items and missing:
        pytest.exit(f"{missing[0]} is missing: build first (make)", returncode=3)


def pytest_runtest_logstart(nodeid, location):
    tell(id=nodeid)


def pytest_runtest_logreport(report):
    """Reports each test once: its call, or the setup or teardown that failed or skipped it."""
    if report.when != "call" and report.outcome == "passed":
        return
    text = report.longrepr[2] if report.skipped else report.longreprtext
    if report.skipped:
        text = text.removeprefix("Skipped: ")
    if report.failed:
        for title, content in report.sections:
            text += f"\n---- {title}\n{content}"
    tell(id=report.nodeid, outcome=report.outcome, text=text, seconds=report.duration)


def pytest_collectreport(report):
    if report.failed:
        tell(id=report.nodeid, outcome="failed", text=report.longreprtext, seconds=0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    def too_long(*_):
        raise TimeoutError(f"the test did not end within {TEST_LIMIT_S} s")
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_LIMIT_S)
    yield
    signal.alarm(0)


# ---- VMMs ---------------------------------------------------------------------------------

class Vmm:
    """What workloads run in: a VMM, or another backend in a `vulcan` of its own."""

    def __init__(self, name, path, env=None, images=None, skip="", program=vulcan.VULCAN):
        self.name, self.path, self.env = name, path, env or {}
        self.images, self.skip, self.program = images, skip, program
        self.is_vm = name in ("vulcan-vmm", "firecracker")


def other_backends():
    """The test backends: each tests/NAME of the build has a `vulcan` with backend NAME in place of
    the product's, which runs programs in the real agent if NAME_GUEST is "agent"."""
    programs = glob.glob(os.path.join(vulcan.BUILD, "tests", "*", "vulcan"))
    return sorted(os.path.basename(os.path.dirname(path)) for path in programs)


def real_images():
    for folder in (os.environ.get("VULCAN_TEST_IMAGES"), os.path.join(vulcan.BUILD, "images"),
                   os.path.join(vulcan.ROOT, "build", "images")):
        if folder and os.path.exists(os.path.join(folder, "vmlinux")):
            return folder
    return None


def kvm_works():
    """The same check as Vulcan's: that /dev/kvm can be opened proves nothing."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            if not {"vmx", "svm"} & set(f.read().split()):
                return False
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        return True
    except OSError:
        return False


def make_vmm(name, fake_images):
    images = real_images()
    no_images = "" if images else "no guest images: run `make images`"
    if name == "fake":
        return Vmm(name, vulcan.FAKE, images=fake_images, skip=vulcan.agent_lacks())
    if name == "fake-thread":
        return Vmm(name, vulcan.FAKE, {"FAKE_FC_GUEST": "builtin"}, fake_images)
    backend, _, guest = name.partition("-")
    if backend in other_backends():
        return Vmm(name, "", {f"{backend.upper()}_GUEST": guest}, fake_images,
                   program=os.path.join(vulcan.BUILD, "tests", backend, "vulcan"))
    if name == "bare":
        return Vmm(name, os.path.join(os.path.dirname(vulcan.FAKE), "bare_firecracker"),
                   images=fake_images)
    if name == "vulcan-vmm":
        path = os.path.join(vulcan.BUILD, "bin", "vulcan-vmm")
        skip = no_images
        if not shutil.which("qemu-system-x86_64"):
            skip = "no qemu-system-x86_64: apt-get install qemu-system-x86"
        return Vmm(name, path, images=images, skip=skip)
    path = os.environ.get("VULCAN_TEST_FIRECRACKER") or shutil.which("firecracker")
    skip = no_images
    if not path:
        skip = "no firecracker binary in PATH or VULCAN_TEST_FIRECRACKER"
    elif not kvm_works():
        skip = "no usable KVM: firecracker cannot run here"
    return Vmm(name, path or "", images=images, skip=skip)


@pytest.fixture(scope="session")
def fake_images(tmp_path_factory):
    return vulcan.make_fake_images(str(tmp_path_factory.mktemp("i") / "images"))


def pytest_generate_tests(metafunc):
    """Runs a test with each VMM available. `vms_only` leaves out the fake, which starts processes in
    place of VMs. `any_backend` adds the test backends, unless the test `needs_vmm`."""
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    others = other_backends() if "any_backend" in marks and "needs_vmm" not in marks else []
    agents = [name + "-agent" for name in others]
    if "vmm" in metafunc.fixturenames:
        names = ["fake", *agents, "vulcan-vmm", "firecracker"]
        metafunc.parametrize("vmm", names[-2:] if "vms_only" in marks else names, indirect=True)
    if "fake_box" in metafunc.fixturenames and others:
        metafunc.parametrize("fake_box", ["fake-thread", *others], indirect=True)
    if "fake_box_agent" in metafunc.fixturenames and others:
        metafunc.parametrize("fake_box_agent", ["fake", *agents], indirect=True)


@pytest.fixture
def vmm(request, fake_images):
    made = make_vmm(request.param, fake_images)
    if made.skip:
        pytest.skip(made.skip)
    return made


@pytest.fixture
def folder(tmp_path_factory):
    """A directory with a short path, because the paths of Unix sockets are limited; removed
    afterwards."""
    path = tmp_path_factory.mktemp("t")
    yield str(path)
    shutil.rmtree(path, ignore_errors=True)


def open_box(folder, vmm):
    before = leaks.Snapshot()
    reports = set(glob.glob(REPORTS + "/report*")) if REPORTS else set()
    box = vulcan.Box(folder, vmm, vmm.images)
    yield box
    try:
        box.close()
    finally:
        left = before.left(box)
        new = (set(glob.glob(REPORTS + "/report*")) if REPORTS else set()) - reports
    assert not left, "left behind:\n  " + "\n  ".join(left)
    assert not new, "sanitizer reports: " + ", ".join(sorted(new))


@pytest.fixture
def box(folder, vmm):
    """A directory and environment to run vulcan in, once for each VMM. Fails if the test leaves
    anything."""
    yield from open_box(folder, vmm)


@pytest.fixture
def fake_box(folder, fake_images):
    """The same with the fake VMM whose guest is a thread: for faults, clocks and load."""
    yield from open_box(folder, make_vmm("fake-thread", fake_images))


@pytest.fixture
def bare_box(folder, fake_images):
    """The same with the VMM of the benchmarks."""
    yield from open_box(folder, make_vmm("bare", fake_images))


@pytest.fixture
def fake_box_agent(folder, fake_images):
    """The same with the fake VMM that runs the real agent."""
    made = make_vmm("fake", fake_images)
    if made.skip:
        pytest.skip(made.skip)
    yield from open_box(folder, made)


@pytest.fixture
def trace(fake_box):
    """The clock of the fake VMM."""
    path = os.path.join(fake_box.folder, "trace")
    fake_box.env["FAKE_FC_TRACE"] = path
    return vulcan.Trace(path)
