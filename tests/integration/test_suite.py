# SPDX-License-Identifier: Apache-2.0
"""tools/test itself: the factor of its time limits, and the signals of the programs it starts."""
import os
import re
import subprocess
import sys

import pytest

import vulcan

# Bits of signals 32 and 33, which the C library reserves: no program can reset them.
RESERVED = 3 << 31

# A unit test that passes if no signal is ignored or blocked.
PROBE = f"""#!/bin/sh
echo 1..1
while read -r name value; do
    case $name in SigIgn: | SigBlk:) all=$((all | 0x$value & ~{RESERVED})) ;; esac
done </proc/$$/status
[ "$all" = 0 ] || printf 'not '
echo "ok 1 - slow$VULCAN_TEST_SLOW"
"""


@pytest.fixture
def probe(folder):
    """Runs tools/test with the probe as its only test."""
    os.mkdir(folder + "/tests")
    path = vulcan.ROOT + "/tools/test"
    with open(folder + "/tests/test_probe", "w", encoding="ascii") as f:
        f.write(PROBE)
    os.chmod(f.name, 0o755)

    def run(slow, prefix=()):
        env = {k: v for k, v in os.environ.items() if not k.startswith("VULCAN_TEST_")}
        if slow is not None:
            env["VULCAN_TEST_SLOW"] = slow
        return subprocess.run([*prefix, sys.executable, path, folder, "test_probe"], env=env,
                              timeout=vulcan.LIMIT_S, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return run


def test_ignored_signals_are_reset(probe):
    done = probe("7", ["sh", "-c", 'trap "" INT QUIT HUP PIPE; exec "$@"', "sh"])
    assert done.returncode == 0, done.stdout
    assert "ok   test_probe: 1 passed" in done.stdout


def test_the_factor_and_the_load_are_printed_first(probe):
    lines = probe("7").stdout.splitlines()
    load = r"load \d+\.\d \d+\.\d \d+\.\d on \d+ CPUs"
    assert re.fullmatch(rf"time limits x7 \(VULCAN_TEST_SLOW\); {load}", lines[0]), lines
    assert re.fullmatch(f"At the end: {load}", lines[-2]), lines
    assert lines[-1] == "1 passed, 0 failed, 0 skipped"


def test_the_factor_grows_with_the_load(probe):
    first = probe(None).stdout.splitlines()[0]
    assert re.match(r"time limits x[1-9]\d* \(load [\d.]+ a CPU, work x[\d.]+, boot not measured\)",
                    first), first


@pytest.mark.parametrize("text", ["0", "401", "-1", "1.5", "fast"])
def test_an_invalid_factor_is_rejected(probe, text):
    done = probe(text)
    assert done.returncode == 2
    assert done.stdout == ("tools/test: VULCAN_TEST_SLOW must be a whole number from 1 to 400, "
                           f"not '{text}'\n")


def test_programs_start_with_default_signals():
    shown = subprocess.run(["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout
    assert all(int(bits, 16) & ~RESERVED == 0 for bits in re.findall(r"\t(\w+)", shown)), shown


@pytest.fixture
def units(folder):
    """Writes a source tree and runs tools/includes over it."""
    def run(sources, *options):
        for path, text in sources.items():
            os.makedirs(os.path.dirname(f"{folder}/src/{path}"), exist_ok=True)
            with open(f"{folder}/src/{path}", "w", encoding="ascii") as f:
                f.write(text)
        return subprocess.run([vulcan.ROOT + "/tools/includes", "--root", folder, *options],
                              timeout=vulcan.LIMIT_S, check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    return run


def test_a_cycle_of_includes_fails_and_is_named(units):
    done = units({"a/x.h": "", "a/x.c": '#include "a/x.h"\n#include "b/y.h"\n',
                  "b/y.h": "", "b/y.c": '  # include "z.h"\n', "b/z.h": '#include "a/x.h"\n'}, "--cycles")
    assert (done.returncode, done.stdout) == (1, "cycle of 3: a/x b/y b/z\n")


def test_units_that_do_not_include_each_other_pass(units):
    done = units({"a/x.h": "", "a/x.c": '#include "a/x.h"\n', "b/y.c": '#include "a/x.h"\n'}, "--cycles")
    assert (done.returncode, done.stdout) == (0, "includes: 2 units, 1 edges, no cycle\n")


def test_the_include_graph_is_printed_for_graphviz(units):
    done = units({"a/x.h": "", "b/y.c": '#include "a/x.h"\n'}, "--dot")
    assert '"b/y" -> "a/x";' in done.stdout.splitlines()[2], done.stdout
