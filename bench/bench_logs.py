#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Output through the whole daemon: fake VMM, vsock socket, backend, engine, output log, file, and
back to a client as events. Each row shows the MB/s written, the share of lines that was not
stored, and how fast one client read them back. bench_engine_output measures the same without VMM
and HTTP.

    bench/bench_logs.py BUILD_DIR [MB]
"""
import http.client
import os
import shutil
import sys
import tempfile
import time
import urllib.parse

BUILD = os.path.abspath(sys.argv[1])
SIZE = int(sys.argv[2] if len(sys.argv) > 2 else 256) << 20
os.environ["VULCAN_TEST_BUILD"] = BUILD
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/integration"))

import conftest
import vulcan


def read_events(daemon, workload_id, form):
    where = urllib.parse.urlsplit(daemon.url)
    client = http.client.HTTPConnection(where.hostname, where.port)
    client.request("GET", f"/v1/workloads/{workload_id}/logs?format={form}")
    answer, n = client.getresponse(), 0
    while chunk := answer.read1(1 << 20):
        n += len(chunk)
    client.close()
    return n


def measure(folder, images, name, code):
    box = vulcan.Box(tempfile.mkdtemp(dir=folder), conftest.make_vmm("fake", images), images)
    daemon = box.serve("--output-record-max", "0", "--log-lines-max", "1000000000",
                       "--log-size-max", "1024G")
    try:
        began = time.monotonic()
        record = daemon.submit("python", code)
        while not (page := daemon.json("GET", f"/v1/workloads/{record['id']}/logs/history?limit=1"
                                       ))["complete"]:
            time.sleep(0.005)
        took = time.monotonic() - began
        began = time.monotonic()
        read = read_events(daemon, record["id"], "text")
        took_read = time.monotonic() - began
        print(f"{name:28} {record['output_bytes'] / 1e6 / took:8.0f} "
              f"{page['last_seq'] / 1e6 / took:9.2f} {100 * page['lost'] / page['last_seq']:13.2f} % "
              f"{read / 1e6 / took_read:10.0f}", flush=True)
    finally:
        box.close()


def main():
    folder = tempfile.mkdtemp(prefix="vb-")
    try:
        images = vulcan.make_fake_images(os.path.join(folder, "images"))
        print(f"{SIZE >> 20} MiB of output\n\n{'lines of':28} {'MB/s':>8} {'Mlines/s':>9} "
              f"{'lines not kept':>15} {'events MB/s':>11}")
        for length in (16, 100, 1000, 10000):
            code = (f"import os\npiece = (b'x' * {length - 1} + b'\\n') * {65536 // length}\n"
                    f"for _ in range({SIZE} // len(piece)): os.write(1, piece)")
            measure(folder, images, f"{length} bytes", code)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
