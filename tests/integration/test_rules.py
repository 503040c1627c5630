# SPDX-License-Identifier: Apache-2.0
"""The alerting rules in packaging/prometheus: valid, about metrics that exist, and each with a
runbook. promtool plays through when some of them fire."""
import os
import re
import shutil
import subprocess

import pytest

import vulcan

RULES = os.path.join(vulcan.ROOT, "packaging", "prometheus", "vulcan.rules.yml")
RUNBOOKS = os.path.join(vulcan.ROOT, "docs", "runbooks.md")

PLAY = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: vulcan_build_info{{instance="a"}}
        values: 1x60
      - series: vulcan_firecracker_boot_failures_total{{instance="a",stage="vmm",reason="vmm_exit"}}
        values: 0+6x60
      - series: vulcan_workloads_accepted_total{{instance="a"}}
        values: 0+10x60
      - series: vulcan_workloads_rejected_total{{instance="a",reason="store"}}
        values: 0x10 0+1x50
      - series: vulcan_firecracker_workloads_total{{instance="a",runtime="sh",status="failed"}}
        values: 0+1x60
      - series: vulcan_firecracker_workloads_total{{instance="a",runtime="sh",status="completed"}}
        values: 0+99x60
      - series: vulcan_firecracker_active_vms{{instance="a"}}
        values: 1x60
      - series: vulcan_workloads_current{{instance="a",status="running"}}
        values: 1x20 0x40
      - series: up{{job="vulcan",instance="a"}}
        values: 1x60
      - series: up{{job="vulcan",instance="b"}}
        values: 1x9 0x50
      - series: up{{job="other",instance="c"}}
        values: 1x9 0x50
      - series: up{{job="renamed",instance="d"}}
        values: 1x9 0x50
      - series: vulcan_build_info{{job="renamed",instance="d"}}
        values: 1x9 _x50
      - series: vulcan_firecracker_vmm_exits_total{{instance="e",class="exit_148"}}
        values: 0x20 1x40
      - series: vulcan_firecracker_vmm_exits_total{{instance="e",class="stuck"}}
        values: 0x30 1x30
      - series: vulcan_firecracker_remains{{instance="f",kind="directory"}}
        values: 0x20 1x40
      - series: vulcan_firecracker_remains{{instance="g",kind="process"}}
        values: 0x20 1x2 0x40
      - series: vulcan_firecracker_vmm_net_failures_total{{instance="e",kind="spoofed_mac"}}
        values: 0x20 1x40
      - series: vulcan_workloads_interrupted_total{{instance="a"}}
        values: 5x90
      - series: process_start_time_seconds{{instance="a"}}
        values: 0x90
    alert_rule_test:
      - {{eval_time: 4m, alertname: VulcanBootsFail}}
      - eval_time: 30m
        alertname: VulcanBootsFail
        exp_alerts:
          - exp_labels: {{severity: page, instance: a, stage: vmm, reason: vmm_exit}}
            exp_annotations:
              summary: VMs on a do not boot (vmm, vmm_exit)
              runbook: docs/runbooks.md#vulcanbootsfail
      - {{eval_time: 9m, alertname: VulcanStoreRefuses}}
      - eval_time: 30m
        alertname: VulcanStoreRefuses
        exp_alerts:
          - exp_labels: {{severity: page, instance: a}}
            exp_annotations:
              summary: a cannot write its records or logs
              runbook: docs/runbooks.md#vulcanstorerefuses
      - {{eval_time: 30m, alertname: VulcanWorkloadsFail}}
      - {{eval_time: 15m, alertname: VulcanVmsStuck}}
      - eval_time: 40m
        alertname: VulcanVmsStuck
        exp_alerts:
          - exp_labels: {{severity: page, instance: a}}
            exp_annotations:
              summary: VMs on a outlive their workloads
              runbook: docs/runbooks.md#vulcanvmsstuck
          - exp_labels: {{severity: page, instance: e, class: stuck}}
            exp_annotations:
              summary: VMs on e outlive their workloads
              runbook: docs/runbooks.md#vulcanvmsstuck
          - exp_labels: {{severity: page, instance: f, kind: directory}}
            exp_annotations:
              summary: VMs on f outlive their workloads
              runbook: docs/runbooks.md#vulcanvmsstuck
      - {{eval_time: 9m, alertname: VulcanDown}}
      - eval_time: 30m
        alertname: VulcanDown
        exp_alerts:
          - exp_labels: {{severity: page, job: vulcan, instance: b}}
            exp_annotations:
              summary: The daemon on b does not answer scrapes
              runbook: docs/runbooks.md#vulcandown
          - exp_labels: {{severity: page, job: renamed, instance: d}}
            exp_annotations:
              summary: The daemon on d does not answer scrapes
              runbook: docs/runbooks.md#vulcandown
      - {{eval_time: 19m, alertname: VulcanSeccompFaults}}
      - eval_time: 30m
        alertname: VulcanSeccompFaults
        exp_alerts:
          - exp_labels: {{severity: page, instance: e, class: exit_148}}
            exp_annotations:
              summary: A VMM on e tried a forbidden system call
              runbook: docs/runbooks.md#vulcanseccompfaults
      - {{eval_time: 19m, alertname: VulcanSpoofedFrames}}
      - eval_time: 30m
        alertname: VulcanSpoofedFrames
        exp_alerts:
          - exp_labels: {{severity: ticket, instance: e, kind: spoofed_mac}}
            exp_annotations:
              summary: A guest on e sent frames with a forged hardware address
              runbook: docs/runbooks.md#vulcanspoofedframes
      - eval_time: 30m
        alertname: VulcanWorkloadsInterrupted
        exp_alerts:
          - exp_labels: {{severity: ticket, instance: a}}
            exp_annotations:
              summary: 5 workloads on a were interrupted when the previous daemon died
              runbook: docs/runbooks.md#vulcanworkloadsinterrupted
      - {{eval_time: 61m, alertname: VulcanWorkloadsInterrupted}}
  - interval: 1m
    input_series:
      - series: up{{job="other",instance="c"}}
        values: 1x30
    alert_rule_test:
      - eval_time: 30m
        alertname: VulcanDown
        exp_alerts:
          - exp_labels: {{severity: page}}
            exp_annotations:
              summary: No daemon answers scrapes
              runbook: docs/runbooks.md#vulcandown
"""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def promtool(*words):
    if not shutil.which("promtool"):
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules():
    promtool("check", "rules", RULES)


def test_the_alerts_fire_when_they_should(tmp_path):
    path = tmp_path / "play.yml"
    path.write_text(PLAY.format(rules=RULES))
    promtool("test", "rules", str(path))


def test_the_rules_use_metrics_that_exist(fake_box):
    daemon = fake_box.serve()
    daemon.submit("sh", "print x")
    text = daemon.metrics().text
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    # metrics that have no series before their first event
    known |= set(re.findall(r"^### (\w+)$", read(os.path.join(vulcan.ROOT, "docs", "metrics.md")),
                            re.M))
    rules = re.sub(r"^ *(- alert|summary|runbook|- record):.*$", "", read(RULES), flags=re.M)
    used = set(re.findall(r"\b(?:vulcan|process)_\w+", rules))
    assert len(used) > 15
    assert not {u for u in used if u not in known and u.removesuffix("_bucket") not in known}


def test_the_series_of_increases_exist_from_the_start(fake_box):
    """increase() and rate() do not see the start of a series, so they would miss the first event."""
    metrics = fake_box.serve().metrics()
    selectors = re.findall(r'\b(vulcan_\w+){(\w+)="(\w+)"}', read(RULES))
    assert len(selectors) > 6
    missing = [s for s in selectors if not any(
        name == s[0] and (s[1], s[2]) in labels for name, labels in metrics)]
    assert not missing
    assert metrics.total("vulcan_firecracker_vmm_exits_total") == 0
    failures = [dict(labels) for name, labels in metrics
                if name == "vulcan_firecracker_boot_failures_total"]
    assert {"stage": "vmm", "reason": "vmm_exit"} in failures and len(failures) == 15


def test_each_alert_has_a_runbook():
    rules, runbooks = read(RULES), read(RUNBOOKS)
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert re.findall(r"^## (Vulcan\w+)$", runbooks, re.M) == alerts
    assert re.findall(r"runbook: docs/runbooks.md#(\w+)", rules) == [a.lower() for a in alerts]
