#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make field-demo`: a real dora dataflow with a node that gets stuck, dora-probe with its endpoint,
and the distribution's Prometheus and Alertmanager with the kit's files, all on loopback. Waits for
the alerts and prints where to look. On a terminal it then stays until Ctrl-C.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests/demo"), str(ROOT / "tests/e2e")]

import dash_checks as checks  # noqa: E402
import servers as run  # noqa: E402
from demo import DemoFlow  # noqa: E402
from flow import DEFAULT_SIGNALS, FlowError, end_process  # noqa: E402


def tell(text):
    print(f">>> {text}", flush=True)


def wait_alert(live, name, seconds):
    return run.wait_for(name, seconds, lambda: [a for a in live.alerts()
                                                if a["labels"]["alertname"] == name])[0]


def show(alert, since):
    print(f"    {time.monotonic() - since:5.1f} s  {alert['labels']['alertname']} "
          f"({alert['labels']['severity']}): {alert['annotations']['summary']}\n"
          f"             {alert['annotations']['runbook_url']}", flush=True)


def places(live, endpoint):
    prometheus = f"http://127.0.0.1:{live.port}"
    tell("where to look")
    print(f"    the probe       {endpoint}/metrics\n"
          f"    alerts          {prometheus}/alerts\n"
          f"    the hold        {prometheus}/graph?g0.expr=dora_probe_gil_current_hold_seconds"
          "&g0.tab=0&g0.range_input=2m\n"
          f"    Alertmanager    http://127.0.0.1:{live.am_port}/\n"
          "    dashboards      import dashboards/*.json into Grafana with this Prometheus as source",
          flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", type=pathlib.Path, default=ROOT / "build/dora-probe")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    work, port = args.work.resolve(), run.free_port()
    endpoint = f"http://127.0.0.1:{port}"
    targets = work / "field-targets.json"
    targets.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"],
                                    "labels": {"robot": "robot-01"}}]))
    os.environ["no_proxy"] = "127.0.0.1"
    live = probe = flow = None
    with tempfile.TemporaryDirectory(prefix="dora-probe-field-") as top:
        try:
            tell("starting a dora dataflow: camera -> detector")
            flow = DemoFlow(top, 40)
            flow.start()
            # By name, not by pid: the probe then outlives the nodes, as in the field, and Prometheus
            # can still fetch how they ended.
            command = [str(args.probe), "--node", "camera", "--node", "detector", "--listen",
                       f"127.0.0.1:{port}", "-q"]
            tell(" ".join(command))
            probe = subprocess.Popen([*DEFAULT_SIGNALS, *command], stdin=subprocess.DEVNULL)
            run.wait_for("ready probe", 20, lambda: run.get(f"{endpoint}/readyz"))
            tell("starting Prometheus and Alertmanager with dashboards/*.yml")
            live = run.Live(work, targets)
            run.wait_for("first scrape", 20, lambda: live.query('up{robot="robot-01"} == 1'))
            tell("the detector now calls C code that keeps the GIL for 40 s; alerts as they fire:")
            flow.go()
            since = time.monotonic()
            show(wait_alert(live, "DoraGilHeldTooLong", 20), since)
            show(wait_alert(live, "DoraTokenPendingTooLong", 20), since)
            # What a stop would take has to know of the hold that is going on.
            run.wait_for("forecast", 5, lambda: live.query(
                'dora_probe_stop_forecast_seconds{node="detector"} > 5'))
            tell("the dataflow is stopped while the detector is stuck")
            flow.stop()
            since = time.monotonic()
            show(wait_alert(live, "DoraStopSlackLow", 20), since)
            show(wait_alert(live, "DoraGraceKill", 30), since)
            for name in ("DoraGilHeldTooLong", "DoraTokenPendingTooLong", "DoraStopSlackLow",
                         "DoraGraceKill"):
                run.wait_for(f"{name} at the webhook", 5, lambda n=name: live.heard(n))
            heard = {a["labels"]["alertname"] for a in live.webhook.alerts}
            print(f"    the webhook has heard of: {', '.join(sorted(heard))}")
            complaints = checks.exposition_complaints(
                run.get(f"{endpoint}/metrics", run.OPENMETRICS)[0], True)[0]
            for c in complaints:
                print(f"    the exposition is wrong: {c}")
            places(live, endpoint)
            if sys.stdout.isatty():
                tell("Ctrl-C ends it")
                signal.pause()
            return 1 if complaints else 0
        except KeyboardInterrupt:
            return 0
        except (TimeoutError, RuntimeError, FlowError) as e:
            print(f"field-demo: {e}", file=sys.stderr)
            return 1
        finally:
            if live:
                live.close()
            if probe:
                end_process(probe, patience=10)
            if flow:
                flow.cleanup()


if __name__ == "__main__":
    sys.exit(main())
