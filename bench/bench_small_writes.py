#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Programs that write one character at a time, in a real guest: the cost of each write on its way
to the host, compared with a lower bound, the same writes to /dev/null and into a pipe that
nobody reads meanwhile. Times are the guest's own, without boot and start of the interpreter.

    bench/bench_small_writes.py BUILD_DIR [OTHER_BUILD_DIR] [--writes N] [--rounds N]

With a second build, which has its bin/ and images/, the two alternate, and each row ends with the
ratio of their medians.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

PYTHON = """
import os, sys, time
fd = {fd}
began = time.monotonic()
for i in range({n} // {per}):
    {write}
took = time.monotonic() - began
sys.stderr.write(f"\\ntook {{took}}\\n")
"""
SH = """
read began rest </proc/uptime
i=0
while [ $i -lt {n} ]; do printf x; i=$((i+1)); done {to}
read ended rest </proc/uptime
printf '\\ntook %s - %s\\n' $ended $began >&2
"""
WRITE = "os.write(fd, b'x')"
# Name, runtime, program, and its share of --writes, which for the last ones must fit into a pipe.
ROWS = [
    ("python, sys.stdout.write", "python",
     lambda n: PYTHON.format(fd=1, n=n, per=1, write="sys.stdout.write('x')"), 1),
    ("python, os.write", "python", lambda n: PYTHON.format(fd=1, n=n, per=1, write=WRITE), 1),
    ("python, both streams in turn", "python",
     lambda n: PYTHON.format(fd=1, n=n, per=2, write="os.write(1, b'x'), os.write(2, b'y')"), 1),
    ("sh, printf", "sh", lambda n: SH.format(n=n, to=""), 1),
    ("floor: python to a pipe", "python",
     lambda n: PYTHON.format(fd="os.pipe()[1]", n=n, per=1, write=WRITE), 0.5),
    ("floor: python to /dev/null", "python",
     lambda n: PYTHON.format(fd="os.open('/dev/null', 1)", n=n, per=1, write=WRITE), 1),
    ("floor: sh to /dev/null", "sh", lambda n: SH.format(n=n, to=">/dev/null"), 1),
]


def measure(build, runtime, code, state):
    """The seconds that the program measured."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("VULCAN_")}
    env.update(VULCAN_STATE_DIR=state, VULCAN_IMAGES=os.path.join(build, "images"),
               VULCAN_BOOT_TIMEOUT="120")
    done = subprocess.run(
        [os.path.join(build, "bin", "vulcan"), "run", "--runtime", runtime, "--timeout", "1200",
         "-e", code], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    text = done.stderr.decode(errors="replace")
    took = re.search(r"^took ([\d.e-]+)(?: - ([\d.]+))?$", text, re.M)
    if done.returncode or not took:
        sys.exit(f"bench: {runtime} in {build}: exit code {done.returncode}: {text[-500:]}")
    return float(took[1]) - float(took[2] or 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("builds", nargs="+")
    parser.add_argument("--writes", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    builds = [os.path.abspath(b) for b in args.builds]

    print(f"{args.writes} writes of one character, median of {args.rounds}; "
          f"microseconds a write\n\n{'':30}" +
          "".join(f"{os.path.basename(b):>14}" for b in builds) +
          (f"{'ratio':>10}" if len(builds) == 2 else ""))
    with tempfile.TemporaryDirectory(prefix="vb-") as state:
        for name, runtime, code, share in ROWS:
            n = int(args.writes * share)
            took = {b: [] for b in builds}
            for _ in range(args.rounds):
                for b in builds:
                    took[b].append(measure(b, runtime, code(n), state))
            medians = [statistics.median(took[b]) for b in builds]
            print(f"{name:30}" + "".join(f"{m / n * 1e6:14.1f}" for m in medians) +
                  (f"{medians[0] / medians[1]:10.2f}" if len(medians) == 2 and medians[1] else ""),
                  flush=True)


main()
