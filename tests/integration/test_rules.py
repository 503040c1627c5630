# SPDX-License-Identifier: Apache-2.0
"""The alerting rules of packaging/prometheus: valid, about metrics that exist, and each with a
runbook. What some of them fire on is played through by promtool."""
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
      - {{eval_time: 30m, alertname: VulcanDown}}
"""


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def promtool(*words):
    if not shutil.which("promtool"):
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_them():
    promtool("check", "rules", RULES)


def test_they_fire_when_they_should(tmp_path):
    path = tmp_path / "play.yml"
    path.write_text(PLAY.format(rules=RULES))
    promtool("test", "rules", str(path))


def test_they_are_about_metrics_that_exist(fake_box):
    daemon = fake_box.serve()
    daemon.submit("sh", "print x")
    text = daemon.metrics().text
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    # those that have no series before the first of what they count
    known |= set(re.findall(r"^### (\w+)$", read(os.path.join(vulcan.ROOT, "docs", "metrics.md")),
                            re.M))
    rules = re.sub(r"^ *(- alert|summary|runbook|- record):.*$", "", read(RULES), flags=re.M)
    used = set(re.findall(r"\b(?:vulcan|process)_\w+", rules))
    assert len(used) > 15
    assert not {u for u in used if u not in known and u.removesuffix("_bucket") not in known}


def test_each_alert_has_its_runbook():
    rules, runbooks = read(RULES), read(RUNBOOKS)
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert re.findall(r"^## (Vulcan\w+)$", runbooks, re.M) == alerts
    assert re.findall(r"runbook: docs/runbooks.md#(\w+)", rules) == [a.lower() for a in alerts]
