# SPDX-License-Identifier: Apache-2.0
"""`make bench-prom` measures, and checks what it measures (without the other libraries)."""
import os
import re
import subprocess
import sys

import pytest

import vulcan

RUN = os.path.join(vulcan.ROOT, "bench", "prom", "run")
LIMIT_S = 100 * vulcan.SLOW


def measure(build):
    return subprocess.run(vulcan.wrap([sys.executable, RUN, build, "--quick"]), timeout=LIMIT_S,
                          capture_output=True, text=True)


def test_every_case_is_measured_and_its_counts_are_checked():
    done = measure(vulcan.BUILD)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    for case in ("counter +1", "gauge set", "gauge +1", "histogram, 11 buckets"):
        cells = [row for row in rows if row.startswith(f"| {case} ")][1].split("|")
        assert float(cells[2]) > 0 and float(cells[3]) > 0, cells
    assert any(row.startswith("| 100,000 counters: allocations ") for row in rows)
    assert re.search(r"^\d+ of \d+ aims are met\.$", done.stdout, re.M)


@pytest.mark.parametrize("said, expected", [
    ("bench_total 1", "should be"),
    ("", "should be"),
    ("bench_total one", "what it counted is wrong"),
])
def test_a_wrong_count_ends_the_run(tmp_path, said, expected):
    folder = tmp_path / "bench" / "prom"
    folder.mkdir(parents=True)
    for name in ("bench_peer_floor", "bench_peer_ours"):
        (folder / name).write_text(
            "#!/bin/sh\n"
            "if [ $1 = --about ]; then echo a program; exit; fi\n"
            f"echo '{said}' >$5\n"
            "echo '{\"ns\": 1000, \"cpu_ns\": 1000, \"allocations\": 0, \"peak_kb\": 1}'\n")
        (folder / name).chmod(0o755)
    done = measure(str(tmp_path))
    assert done.returncode == 1 and expected in done.stderr, done.stderr
