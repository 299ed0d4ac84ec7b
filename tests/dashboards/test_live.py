# SPDX-License-Identifier: MIT
"""Three simulated robots before Prometheus and Alertmanager: formats, alerts and their times, dashboards.

The tests share the servers and stand in the order of one run: what an earlier one provoked, a later one sees.
"""

import datetime
import json
import re
import statistics
import time

import dash_checks as checks
import pytest
from servers import (BOARDS, DASH, EVAL_S, HOSTILE, OPENMETRICS, SCRAPE_S, SIM_NODES, Live, Simulator, Text, get,
                     run, substitute, wait_for)

ROBOTS, NODES = 3, 8


@pytest.fixture(scope="module")
def sim(tools, work):
    sim = Simulator(tools / "exporter_sim", ROBOTS, NODES, work / "targets.json", hostile=True)
    time.sleep(3)  # some holds and tokens, so that there are exemplars
    yield sim
    sim.close()


@pytest.fixture(scope="module")
def url(sim):
    time.sleep(0.6)  # the endpoint serves a body again for half a second
    return f"http://127.0.0.1:{sim.ports[0]}/metrics"


@pytest.fixture(scope="module")
def live(sim, work):
    proxy = Text(sim.ports[0])
    live = Live(work, work / "targets.json",
                "  - job_name: text\n    static_configs:\n"
                f"      - targets: ['127.0.0.1:{proxy.port}']\n")
    yield live
    live.close()
    proxy.close()


@pytest.fixture(scope="module")
def begin(live):
    """When the alerts began: what the dashboards show is of the time since."""
    begin = time.time()
    time.sleep(6)
    return begin


# ---- the endpoint ----------------------------------------------------------------------------

def test_text_is_the_default(agree, url):
    text, headers = get(url)
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    agree(run("promtool", "check", "metrics", input=text))
    agree(checks.exposition_complaints(text, False)[0])


def test_openmetrics_when_asked_for(agree, url):
    """By the strict parser and by checks of our own."""
    body, headers = get(url, OPENMETRICS)
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    found, _, exemplars = checks.exposition_complaints(body, True)
    agree(found)
    assert exemplars


@pytest.fixture(scope="module")
def families(url):
    return list(checks.parser.text_string_to_metric_families(get(url, OPENMETRICS)[0]))


@pytest.mark.parametrize("label", ("node", "dataflow", "dataflow_name"))
def test_a_hostile_label_comes_back_whole(families, label):
    assert HOSTILE in {s.labels.get(label) for f in families for s in f.samples}


def test_each_family_of_the_list_with_its_type_and_no_other(agree, families):
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DASH / "metrics.md").read_text(), re.M)
    have = {re.sub(r"_(total|info)$", "", n): t for n, t in listed}
    agree(sorted(f"{n}: {t}" for n, t in have.items() ^ {f.name: f.type for f in families}.items()))


# ---- Prometheus ------------------------------------------------------------------------------

def test_every_probe_is_scraped(live):
    wait_for("targets up", 30, lambda: (
        lambda v: v and float(v[0]["value"][1]) == ROBOTS and v)(live.query('sum(up{job="dora-probe"})')))


def test_the_same_series_come_from_the_text_format(live):
    wait_for("text target up", 30, lambda: live.query('up{job="text"} == 1'))
    wait_for("both formats", 20, lambda: live.query(
        'count(dora_probe_gil_hold_duration_seconds_bucket{job="text"}) '
        '== on() count(dora_probe_gil_hold_duration_seconds_bucket{job="dora-probe",robot="robot-01"})'))


def test_type_unit_and_help_arrive(live):
    meta = live.api("targets/metadata", match_target='{robot="robot-01"}',
                    metric="dora_probe_gil_hold_duration_seconds")
    assert meta and meta[0]["unit"] == "seconds" and meta[0]["type"] == "histogram" and meta[0]["help"], meta


def test_exemplars_name_function_and_line(live):
    now = time.time()
    found = wait_for("exemplars", 20, lambda: live.api(
        "query_exemplars", query="dora_probe_gil_hold_duration_seconds_bucket", start=now - 300, end=now + 60))
    assert set(found[0]["exemplars"][0]["labels"]) == {"function", "line"}


def test_all_of_a_dashboards_nodes_are_all(live):
    """The node with the hostile name too."""
    every = next(v["allValue"] for v in json.loads(BOARDS[0].read_text())["templating"]["list"]
                 if v["name"] == "node")
    names = {m["metric"]["node"] for m in live.query(
        f'dora_probe_stop_pending{{job="dora-probe",node=~"{every}"}}')}
    assert len(names) == NODES + 1 and HOSTILE in names, names


# ---- alerts ----------------------------------------------------------------------------------

@pytest.fixture
def arrives(live, record_property):
    def arrives(name, crossed, for_s, extra_s=0.0):
        """From the crossing of the threshold (monotonic) to a firing alert in Alertmanager and at the webhook."""
        bound = extra_s + SCRAPE_S + EVAL_S + for_s
        found = wait_for(name, bound + 20, lambda: [a for a in live.alerts() if a["labels"]["alertname"] == name])
        took = time.monotonic() - crossed
        record_property("seconds", f"{took:.1f}")
        # Handing over to Alertmanager and this test's own polling take a part of a second.
        assert took <= bound + 0.5, f"fires in Alertmanager after {took:.2f} s, bound {bound} s"
        hook = wait_for("webhook", 20, lambda: live.heard(name))
        # Of the same robot and dataflow others were reported before: nothing waits for their interval.
        late = hook[0]["heard"] - crossed - took
        bound = 0 if found[0]["labels"]["severity"] == "critical" else 1
        assert late <= bound + 0.5, f"reaches the webhook {late:.2f} s later, bound {bound} s"
        assert hook[0]["annotations"].get("summary"), hook[0]
        assert "runbook.md#" in hook[0]["annotations"].get("runbook_url", ""), hook[0]
    return arrives


@pytest.fixture(scope="module")
def held(sim, begin):
    """A hold of 14 s begins; the moment of its begin."""
    sim.tell("hold 0 2 14")
    return time.monotonic()


@pytest.fixture(scope="module")
def stopped(sim):
    sim.tell("stop 0 1 13")
    return time.monotonic()


def test_gil_held_too_long(arrives, held):
    """The hold crosses 2 s two seconds after it begins."""
    arrives("DoraGilHeldTooLong", held, for_s=2, extra_s=2)


def test_token_pending_too_long(arrives, held):
    """Its token crosses 5 s after five."""
    arrives("DoraTokenPendingTooLong", held, for_s=2, extra_s=5)


def test_stop_slack_low(arrives, stopped):
    arrives("DoraStopSlackLow", stopped, for_s=0)


def test_grace_kill(arrives, stopped):
    """A grace period of 10 s has to pass first."""
    arrives("DoraGraceKill", stopped, for_s=0, extra_s=10)


def test_leaking_tokens_are_inhibited_by_the_kill(live, stopped):
    """The kill inhibits the notification about its tokens, as alertmanager.yml says."""
    wait_for("DoraTokensLeaking", 10, lambda: live.query(
        'ALERTS{alertname="DoraTokensLeaking",alertstate="firing",node="detector"}'))
    leak = [a for a in live.alerts() if a["labels"]["alertname"] == "DoraTokensLeaking"]
    assert leak and all(a["status"]["inhibitedBy"] for a in leak), leak


def test_a_nudge_is_counted(live, sim, stopped):
    wait_for("restart", 10, lambda: live.query('dora_probe_stop_pending{robot="robot-01",node="detector"} == 0'))
    sim.tell("stop 0 1 5")
    wait_for("nudge", 15, lambda: live.query(
        'increase(dora_probe_actions_total{node="detector",action="nudge"}[10s]) > 0'))
    for _ in range(NODES):
        sim.tell("lose 0 100")
        time.sleep(1)


# ---- dashboards ------------------------------------------------------------------------------

def variables(live, board, begin, values):
    """Gives each variable a value, as Grafana: all of them, or for a single one the node that has seen most."""
    complaints, seen = [], {"robot": "robot-01", "node": "detector"}
    for v in json.loads(board.read_text())["templating"]["list"]:
        if v["type"] == "datasource":
            continue
        found = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", v["definition"])
        match = substitute(found[1] + (found[2] or ""), values)
        options = live.api(f"label/{found[3]}/values", **{"match[]": match, "start": begin})
        if not options:
            complaints.append(f"variable {v['name']} has no values")
        values[v["name"]] = v["allValue"] if v["multi"] else seen.get(v["name"], options[:1] and options[0])
    return complaints


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.stem)
def test_each_expression_has_data_and_each_variable_values(agree, live, begin, stopped, board):
    """Over the time that the tests have run, as Grafana would ask."""
    end = time.time()
    values = {"__rate_interval": "8s", "__interval": "2s", "__range": f"{int(end - begin)}s"}
    complaints = variables(live, board, begin, values)
    for what, expr, _sparse in checks.expressions(board):
        try:
            data = live.api("query_range", query=substitute(expr, values), start=begin, end=end, step="2")["result"]
            if not any(s[1] != "NaN" for m in data for s in m["values"]):
                complaints.append(f"{what}: no data: {expr}")
        except ValueError as e:
            complaints.append(f"{what}: {e}: {expr}")
    agree(complaints)


def test_one_kill_is_one_bar(live, begin, stopped):
    kill = next(e for w, e, _ in checks.expressions(BOARDS[0])
                if w.startswith("fleet.json: Exits by reason") and "grace_kill" in e)
    shown = live.api("query_range", start=begin, end=time.time(), step="2", query=substitute(
        kill, {"__interval": "2s", "robot": "robot-01", "dataflow": ".*", "node": ".*"}))["result"]
    assert [v for _, v in shown[0]["values"] if float(v)] == ["1"]


# ---- times -----------------------------------------------------------------------------------

def test_times_from_the_threshold_to_the_alert(live, sim, record_property):
    """Holds on many nodes, each at another phase of the intervals: from the moment in which the threshold is
    crossed to the evaluation that fires (Alertmanager's startsAt) and to the alert's being in Alertmanager."""
    name, hold_s, for_s, step_s = "DoraGilHeldTooLong", 2.0, 2.0, 0.1
    crossed, fired, seen = {}, {}, {}
    todo = [(robot, node) for node in range(1, NODES) for robot in range(1, ROBOTS)]
    begin = time.time()

    def look():
        for a in live.alerts():
            key = (a["labels"].get("robot"), a["labels"].get("node"))
            if a["labels"]["alertname"] == name and key in crossed and key not in seen:
                seen[key] = time.time()
                fired[key] = datetime.datetime.fromisoformat(a["startsAt"].replace("Z", "+00:00")).timestamp()

    for i, (robot, node) in enumerate(todo):
        # 0.27 s is prime to the intervals of a second: no two holds begin in the same phase.
        while time.time() < begin + 0.27 * i:
            look()
            time.sleep(0.02)
        sim.tell(f"hold {robot} {node} 9")
        crossed[(f"robot-{robot + 1:02d}", SIM_NODES[node])] = time.time() + hold_s
    wait_for("all alerts", 30, lambda: look() or len(seen) == len(todo))
    bound = SCRAPE_S + EVAL_S + for_s
    for what, times, more in (("fired", fired, step_s), ("in Alertmanager", seen, step_s + 0.5)):
        took = sorted(times[k] - crossed[k] for k in crossed)
        record_property(f"{what} (least, median, most s)",
                        f"{took[0]:.2f} / {statistics.median(took):.2f} / {took[-1]:.2f}")
        assert took[-1] <= bound + more, f"{what}: {took[-1]:.2f} s, bound {bound} s"
