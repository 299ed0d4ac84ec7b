# SPDX-License-Identifier: MIT
"""What needs no server: rules, configurations, dashboards and the table of metrics, each by its own tool."""

import re
import shutil
import subprocess
import sys

import dash_checks as checks
import pytest
from servers import BOARDS, DASH, ROOT, run

CONFIGURATIONS = {
    "rules": ("promtool", "check", "rules", "alerts.yml"),
    "prometheus": ("promtool", "check", "config", "prometheus.yml"),
    "alertmanager": ("amtool", "check-config", "alertmanager.yml"),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration(agree, name):
    *command, file = CONFIGURATIONS[name]
    agree(run(*command, DASH / file))


def test_rules(agree):
    """Each alert fires and resolves when it should: alerts_test.yml."""
    agree(run("promtool", "test", "rules", DASH / "alerts_test.yml"))


def damaged_rules(work):
    """Each rule once with a comparison turned round and once with a longer `for`."""
    out, text = [], (DASH / "alerts.yml").read_text()
    folder = work / "damaged"
    folder.mkdir(exist_ok=True)
    shutil.copy(DASH / "alerts_test.yml", folder)
    alerts = re.split(r"(?=      - alert: )", text)
    for i, alert in enumerate(alerts[1:], 1):
        name = alert.split("alert: ")[1].split("\n")[0]
        expr = re.search(r"        expr: .*", alert)[0]
        flipped = re.sub(r">=|<|>|== 0", lambda c: {">=": "<", "<": ">", ">": "<", "== 0": "!= 0"}
                         [c[0]], expr)
        for what, changed in (("comparison", alert.replace(expr, flipped)),
                              ("for", re.sub(r"for: (\d+)s", "for: 1h", alert))):
            (folder / "alerts.yml").write_text("".join(alerts[:i] + [changed] + alerts[i + 1:]))
            if changed == alert or not run("promtool", "test", "rules", folder / "alerts_test.yml"):
                out.append(f"{name}: a damaged {what} passed")
    return out


def test_damaged_rules_are_noticed(agree, work):
    agree(damaged_rules(work))


def alert_parts():
    out, text = [], (DASH / "alerts.yml").read_text()
    headings = {"#" + h.strip().lower() for h in
                re.findall(r"^## (.*)$", (DASH / "runbook.md").read_text(), re.M)}
    for alert in re.split(r"      - alert: ", text)[1:]:
        name = alert.split("\n")[0]
        for part in ("for:", "severity:", "summary:", "description:"):
            if part not in alert:
                out.append(f"{name}: no {part}")
        summary = re.search(r"summary: (.*)", alert)[1]
        labels = alert.split("annotations:")[0]
        for who in ("node", "dataflow"):
            if f"$labels.{who}" not in summary and f"{who}: all" not in labels:
                out.append(f"{name}: the summary does not name the {who}")
        link = re.search(r"runbook_url: dashboards/runbook.md(#\S+)", alert)
        if not link or link[1] not in headings:
            out.append(f"{name}: no such place in the runbook")
    return out


def test_each_alert_has_its_parts_and_its_place_in_the_runbook(agree):
    agree(alert_parts())


def test_dashboards_are_what_generate_makes(agree):
    agree(run(sys.executable, DASH / "generate.py", "--check"))


def test_metrics_page_is_what_the_list_makes(tools):
    listed = subprocess.run([tools / "list_metrics"], capture_output=True, text=True).stdout
    assert listed == (DASH / "metrics.md").read_text(), "run `make dashboards-generate`"


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.stem)
def test_descriptions_units_colours_layout(agree, board):
    agree(checks.dashboard_complaints(board))


def test_red_beside_green_is_noticed():
    assert checks.colour_complaints({"#73BF69", "#F2495C"})


def test_dashboards_fit_the_schema_which_notices_damage(agree, npm):
    """@grafana/schema; each dashboard is damaged in each place too."""
    agree(run("node", ROOT / "tests/dashboards/npm/validate.mjs", npm, "--mutate", *BOARDS))


def exposition_mutations():
    good = ('# TYPE a gauge\n# HELP a x\na{n="1"} 1\na{n="2"} 2\n'
            '# TYPE h histogram\nh_bucket{le="0.5"} 1 # {function="f",line="1"} 0.1\n'
            'h_bucket{le="+Inf"} 1\nh_count 1\nh_sum 0.1\n# EOF\n')
    out = [f"good: {c}" for c in checks.exposition_complaints(good, True)[0]]
    for what, a, b in (("series twice", 'n="2"', 'n="1"'), ("escape", 'n="2"', 'n="\\q"'),
                       ("le", 'le="0.5"', 'le="1"'), ("no end", "# EOF\n", ""),
                       ("label", "n=", "pid="), ("exemplar", '"f"', '"' + "f" * 130 + '"'),
                       ("value", "} 2\n", "} two\n")):
        if not checks.exposition_complaints(good.replace(a, b), True)[0]:
            out.append(f"not noticed: {what}")
    return out


def test_a_damaged_exposition_is_noticed(agree):
    agree(exposition_mutations())
