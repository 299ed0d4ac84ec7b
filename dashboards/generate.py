#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes fleet.json, node.json and probe-health.json: classic Grafana dashboards.

One place for what all panels share: colours, units, variables, links. Over 500 lines: because each panel
of the three dashboards is a paragraph of its own, and all use the same few functions. `--check` writes nothing and
fails when a file is not what this script makes.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent

# Okabe and Ito's palette: told apart with every common colour blindness, by lightness too
# (tests/dashboards/test_live.py measures it). Values are always written as well.
OK, CAUTION, DANGER = "#56B4E9", "#F0E442", "#D55E00"
SERIES = ["#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442", "#999999"]
DS = {"type": "prometheus", "uid": "${datasource}"}
SEL = 'robot=~"$robot",dataflow=~"$dataflow",node=~"$node"'
BY = "robot, dataflow, node"
WHO = "{{robot}} {{node}}"


def thresholds(*steps):
    """steps: (value or None, colour), rising."""
    return {"mode": "absolute", "steps": [{"color": c, "value": v} for v, c in steps]}


def rising(caution, danger):
    return thresholds((None, OK), (caution, CAUTION), (danger, DANGER))


def falling(danger, caution):
    return thresholds((None, DANGER), (danger, CAUTION), (caution, OK))


def worth_a_look(steps):
    """For cells of a table: what is good has no colour, so that what is not stands out."""
    return thresholds(*((s["value"], "transparent" if s["color"] == OK else s["color"])
                        for s in steps["steps"]))


NEUTRAL = thresholds((None, OK))
# One is one too many.
NONE_ALLOWED = thresholds((None, OK), (0.5, DANGER))
# What a query shows has its colour wherever it is shown; all others go by their order.
MEANING = {"returned": OK, "abandoned": DANGER, "lost": "#999999", "clean": OK, "error": "#E69F00",
           "signal": "#CC79A7", "grace_kill": DANGER, "health_kill": "#D55E00",
           "startup_kill": "#D55E00", "finish_kill": "#D55E00", "orphan": "#999999", "unknown": "#999999"}


def q(expr, legend="", ref="A", instant=False, fmt=None):
    t = {"datasource": DS, "editorMode": "code", "expr": expr, "legendFormat": legend or "__auto",
         "range": not instant, "instant": instant, "refId": ref}
    if fmt:
        t["format"] = fmt
    return t


class Board:
    def __init__(self, uid, title, description, variables, time_from):
        self.panels, self.x, self.y, self.row_h = [], 0, 0, 0
        self.board = {
            "uid": uid, "title": title, "description": description, "tags": ["dora-probe"],
            "editable": True, "graphTooltip": 1, "schemaVersion": 39, "version": 1,
            "timezone": "browser", "fiscalYearStartMonth": 0, "refresh": "5s",
            "time": {"from": time_from, "to": "now"},
            "timepicker": {"refresh_intervals": ["2s", "5s", "10s", "30s", "1m", "5m"]},
            "templating": {"list": variables},
            "annotations": {"list": annotations()},
            "links": [
                {"title": t, "type": "link", "url": f"/d/{u}", "icon": "dashboard", "tags": [],
                 "asDropdown": False, "includeVars": True, "keepTime": True, "targetBlank": False,
                 "tooltip": tip}
                for t, u, tip in (
                    ("Fleet", "dora-probe-fleet", "All nodes, those at risk first"),
                    ("Node", "dora-probe-node", "One node in depth"),
                    ("Probe health", "dora-probe-health", "What the probe itself costs and loses"))
                if u != uid],
            "panels": self.panels,
        }

    def add(self, kind, title, description, targets, w, h, unit="none", steps=None, options=None,
            custom=None, defaults=None, overrides=None, transformations=None, links=None):
        if self.x + w > 24:
            self.x, self.y, self.row_h = 0, self.y + self.row_h, 0
        field = {"unit": unit, "thresholds": steps or NEUTRAL, "mappings": [], "links": links or [],
                 "color": {"mode": "thresholds" if kind != "timeseries" else "palette-classic"}}
        if custom:
            field["custom"] = custom
        field.update(defaults or {})
        panel = {"id": len(self.panels) + 1, "type": kind, "title": title,
                 "description": description, "datasource": DS,
                 "gridPos": {"x": self.x, "y": self.y, "w": w, "h": h}, "targets": targets,
                 "fieldConfig": {"defaults": field, "overrides": overrides or []},
                 "options": options or {}}
        if transformations:
            panel["transformations"] = transformations
        self.panels.append(panel)
        self.x += w
        self.row_h = max(self.row_h, h)

    def row(self, title):
        self.y += self.row_h
        self.panels.append({"id": len(self.panels) + 1, "type": "row", "title": title,
                            "collapsed": False, "panels": [],
                            "gridPos": {"x": 0, "y": self.y, "w": 24, "h": 1}})
        self.x, self.y, self.row_h = 0, self.y + 1, 0

    def stat(self, title, description, expr, unit, steps, w=4, h=4, defaults=None, links=None,
             background=True):
        self.add("stat", title, description, [q(expr, title, instant=True)], w, h, unit, steps,
                 {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                  "colorMode": "background" if background else "value", "graphMode": "none",
                  "justifyMode": "center", "textMode": "value", "orientation": "auto"},
                 defaults=defaults, links=links)

    def lines(self, title, description, targets, unit, w=12, h=8, steps=None, stack=False,
              bars=False, minimum=0, maximum=None, axis_log=False, links=None, worst="max",
              right=()):
        """worst: which value of a line says how bad it is. right: queries with an axis of seconds
        of their own."""
        # Areas of many nodes over one another would only make mud.
        many = any("{{" in t["legendFormat"] for t in targets)
        fill = 60 if bars else 40 if stack else 0 if many else 12
        custom = {"drawStyle": "bars" if bars else "line", "lineInterpolation": "linear",
                  "lineWidth": 2, "fillOpacity": fill,
                  "showPoints": "never", "spanNulls": False,
                  "stacking": {"mode": "normal" if stack else "none", "group": "A"},
                  "thresholdsStyle": {"mode": "dashed" if steps else "off"},
                  "scaleDistribution": {"type": "log", "log": 10} if axis_log else
                  {"type": "linear"}}
        defaults = {}
        if minimum is not None and not axis_log:
            defaults["min"] = minimum
        if maximum is not None:
            defaults["max"] = maximum
        legend = {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []}
        if many and steps:
            # Nobody tells ten colours apart: the colour says how bad a line is, and the legend is a
            # list of names and values, the worst first.
            defaults["color"] = {"mode": "thresholds", "seriesBy": worst}
            legend = {"showLegend": True, "displayMode": "table", "placement": "right",
                      "calcs": [worst], "sortBy": worst.capitalize(), "sortDesc": worst == "max"}
        if len(targets) == 1 and not many:
            defaults["color"] = {"mode": "fixed", "fixedColor": OK}
        overrides = colours(targets)
        for ref in right:
            overrides += [{"matcher": {"id": "byFrameRefID", "options": ref}, "properties": [
                {"id": "unit", "value": "s"}, {"id": "custom.axisPlacement", "value": "right"}]}]
        self.add("timeseries", title, description, targets, w, h, unit, steps,
                 {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}, custom, defaults,
                 overrides=overrides, links=links)

    def heatmap(self, title, description, expr, w=12, h=8):
        self.add("heatmap", title, description, [q(expr, "{{le}}", fmt="heatmap")], w, h, "s", None,
                 {"calculate": False, "cellGap": 1, "showValue": "never",
                  "color": {"mode": "scheme", "scheme": "Cividis", "steps": 64, "exponent": 0.5,
                            "scale": "exponential", "reverse": False, "fill": "dark-orange"},
                  "yAxis": {"unit": "s", "axisPlacement": "left"},
                  "rowsFrame": {"layout": "auto"}, "filterValues": {"le": 1e-9},
                  "cellValues": {"unit": "short"}, "legend": {"show": True},
                  "exemplars": {"color": DANGER},
                  "tooltip": {"mode": "single", "yHistogram": False}},
                 {"hideFrom": {"legend": False, "tooltip": False, "viz": False},
                  "scaleDistribution": {"type": "linear"}})
        self.panels[-1]["targets"][0]["exemplar"] = True

    def timeline(self, title, description, targets, mappings, w=24, h=6, steps=None):
        self.add("state-timeline", title, description, targets, w, h, "none", steps,
                 {"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.9,
                  "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom",
                             "calcs": []},
                  "tooltip": {"mode": "single", "sort": "none"}},
                 {"fillOpacity": 80, "lineWidth": 0}, {"mappings": mappings})


def colours(targets):
    """A fixed colour per query where there are several: the same meaning, the same colour."""
    if len(targets) < 2:
        return []
    return [{"matcher": {"id": "byFrameRefID", "options": t["refId"]},
             "properties": [{"id": "color", "value": {
                 "mode": "fixed", "fixedColor": MEANING.get(t["legendFormat"], SERIES[i])}}]}
            for i, t in enumerate(targets)]


def value_map(**texts):
    """v0=("no", OK)…: texts for values, with the colour of how bad it is."""
    return [{"type": "value", "options": {
        k[1:]: {"text": t, "color": c, "index": i} for i, (k, (t, c)) in enumerate(texts.items())}}]


CELL = {"type": "color-background", "mode": "basic"}
# Grafana paints a cell without a value in the colour of the lowest threshold.
NOTHING = [{"type": "special", "options": {"match": "null+nan", "result": {
    "text": "-", "color": "transparent", "index": 0}}}]


def width(column, pixels, *more):
    return {"matcher": {"id": "byName", "options": column},
            "properties": [{"id": "custom.width", "value": pixels}, *more]}


def annotations():
    def one(name, colour, expr, title):
        return {"name": name, "datasource": DS, "enable": True, "hide": False, "iconColor": colour,
                "expr": expr, "step": "5s", "titleFormat": title, "textFormat": "{{robot}} {{node}}",
                "tagKeys": "robot,node", "useValueForTime": False}
    return [
        {"builtIn": 1, "name": "Annotations & Alerts", "type": "dashboard", "enable": True,
         "hide": True, "iconColor": SERIES[5],
         "datasource": {"type": "grafana", "uid": "-- Grafana --"}},
        one("Grace kills", DANGER,
            f'increase(dora_probe_node_exits_total{{{SEL},reason="grace_kill"}}[15s]) > 0',
            "grace kill"),
        one("Nudges", CAUTION,
            f'increase(dora_probe_actions_total{{{SEL},action="nudge"}}[15s]) > 0',
            "nudge {{result}}"),
    ]


def variable(name, label, query, multi):
    v = {"name": name, "label": label, "type": "query", "datasource": DS, "definition": query,
         "query": {"query": query, "refId": f"var-{name}"}, "refresh": 2, "sort": 1, "regex": "",
         "multi": multi, "includeAll": multi, "hide": 0, "skipUrlSync": False, "options": []}
    if multi:
        # Probes without a label `robot` are matched too, and names with a line feed.
        v["allValue"] = "(?s).*"
        v["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return v


def variables(multi, only_robot=False):
    """only_robot: the others are there for links and annotations, but nobody has to look at them."""
    info = "dora_probe_node_info"
    all_ = [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
         "hide": 0, "includeAll": False, "multi": False, "refresh": 1, "regex": "", "options": [],
         "skipUrlSync": False},
        variable("robot", "Robot", "label_values(dora_probe_build_info, robot)", multi),
        variable("dataflow", "Dataflow", f'label_values({info}{{robot=~"$robot"}}, dataflow)', multi),
        variable("node", "Node",
                 f'label_values({info}{{robot=~"$robot",dataflow=~"$dataflow"}}, node)', multi),
    ]
    if only_robot:
        for v in all_[2:]:
            v["hide"] = 2
    return all_


NODE_LINK = {"title": "Show this node", "targetBlank": False,
             "url": "/d/dora-probe-node?${datasource:queryparam}"
                    "&var-robot=${__field.labels.robot}&var-dataflow=${__field.labels.dataflow}"
                    "&var-node=${__field.labels.node}&${__url_time_range}"}
ROW_LINK = {"title": "Show this node", "targetBlank": False,
            "url": "/d/dora-probe-node?${datasource:queryparam}"
                   "&var-robot=${__data.fields.robot}&var-dataflow=${__data.fields.dataflow}"
                   "&var-node=${__data.fields.node}&${__url_time_range}"}


def m(name, more=""):
    return f"dora_probe_{name}{{{SEL}{',' + more if more else ''}}}"


def top(expr, metric):
    """The series of `expr` (BY) whose metric was highest within the whole time shown. A bare topk
    is taken at each step anew and draws every node that was among the ten once."""
    return (f"{expr} and on ({BY}) topk(10, max by ({BY}) "
            f"(max_over_time({m(metric)}[$__range] @ end())))")


def exits():
    """How many ended in each step, so that one exit is one bar. A rate's window is several steps long
    and would draw it in each of them."""
    def one(reason, ref):
        x = m("node_exits_total", f'reason="{reason}"')
        return q(f"sum(clamp_min({x} - {x} offset $__interval, 0))", reason, ref)
    return [one(r, ref) for ref, r in zip("ABCDEFGHI", (
        "clean", "error", "signal", "grace_kill", "health_kill", "startup_kill", "finish_kill", "orphan",
        "unknown"))]


def risk():
    """The share of its grace period that a node uses up: while it is being stopped by its slack, else
    by what a stop now would take. Above 1 it will be, or would be, killed."""
    return (f"max by ({BY}) ((1 - {m('stop_slack_seconds')} / {m('stop_grace_seconds')}) "
            f"or {m('stop_forecast_seconds')} / {m('stop_grace_seconds')})")


def fleet():
    b = Board("dora-probe-fleet", "dora-probe: fleet",
              "All robots: which nodes would not survive a stop, who holds what, who was killed.",
              variables(True), "now-15m")
    b.stat("Nodes at risk", "Nodes that would be killed if they were stopped now (what a stop would "
           "take is more than the grace period), or that are being stopped with less than 5 s of "
           "slack. 0 is good.",
           f"count(({risk()} > 1) or (min by ({BY}) ({m('stop_slack_seconds')}) < 5)) "
           "or vector(0)", "none", rising(1, 3))
    b.stat("Grace kills", "Nodes killed at the end of their grace period within the time shown.",
           f"sum(round(increase({m('node_exits_total', 'reason=%sgrace_kill%s' % (chr(34), chr(34)))}"
           "[$__range]))) or vector(0)", "none", NONE_ALLOWED, defaults={"decimals": 0})
    b.stat("Longest hold now", "The longest hold of a GIL that is going on now, of all nodes.",
           f"max({m('gil_current_hold_seconds')})", "s", rising(0.5, 2))
    b.stat("Pending tokens", "Drop tokens received and not yet given back, all nodes. Each keeps a "
           "piece of its sender's shared memory.", f"sum({m('drop_tokens_pending')})", "none",
           rising(50, 200))
    b.stat("Nodes watched", "Nodes that the probes watch now.",
           'sum(dora_probe_watched_nodes{robot=~"$robot"})', "none", NEUTRAL, background=False)
    b.stat("Probes gone", "Probes that do not answer: nobody watches the nodes of that robot.",
           'count(up{job="dora-probe",robot=~"$robot"} == 0) or vector(0)', "none", NONE_ALLOWED,
           links=[{"title": "Probe health", "url": "/d/dora-probe-health?${__url_time_range}",
                   "targetBlank": False}])

    cols = [("Risk", risk()),
            ("Slack", f"min by ({BY}) ({m('stop_slack_seconds')})"),
            ("Held now", f"max by ({BY}) ({m('gil_current_hold_seconds')})"),
            ("Oldest token", f"max by ({BY}) ({m('drop_token_oldest_pending_seconds')})"),
            ("Tokens", f"sum by ({BY}) ({m('drop_tokens_pending')})")]
    refs = "ABCDE"
    units = {"Risk": ("percentunit", rising(0.7, 1)), "Slack": ("s", falling(0, 5)),
             "Held now": ("s", rising(0.5, 2)), "Oldest token": ("s", rising(1, 5)),
             "Tokens": ("none", rising(20, 100))}
    overrides = [{"matcher": {"id": "byName", "options": name}, "properties": [
        {"id": "unit", "value": u}, {"id": "thresholds", "value": worth_a_look(s)},
        {"id": "custom.cellOptions", "value": CELL}, {"id": "mappings", "value": NOTHING},
        {"id": "decimals", "value": 1 if u == "s" else 0}]}
        for name, (u, s) in units.items()]
    overrides.append({"matcher": {"id": "byName", "options": "node"},
                      "properties": [{"id": "links", "value": [ROW_LINK]}]})
    b.add("table", "Nodes, those at risk first",
          "Risk is the share of the grace period that is needed: above 100 % the node would be killed "
          "if it were stopped now, or, where there is a slack, is being stopped and will be. Tap a "
          "node for its own dashboard.",
          [q(e, ref=r, instant=True, fmt="table") for r, (_, e) in zip(refs, cols)], 24, 10,
          options={"showHeader": True, "cellHeight": "lg",
                   "sortBy": [{"displayName": "Risk", "desc": True}]},
          custom={"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}},
          overrides=overrides,
          transformations=[
              {"id": "merge", "options": {}},
              {"id": "organize", "options": {
                  "excludeByName": {"Time": True}, "indexByName": {
                      "robot": 0, "node": 1, **{f"Value #{r}": 2 + i for i, r in enumerate(refs)},
                      "dataflow": 9},
                  "renameByName": {f"Value #{r}": n for r, (n, _) in zip(refs, cols)}}},
              {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Risk", "desc": True}]}}])
    b.lines("Slack of nodes that are being stopped",
            "Time until the kill beyond what the node still needs. Below zero it will be killed.",
            [q(f"min by ({BY}) ({m('stop_slack_seconds')})", WHO)], "s", steps=falling(0, 5),
            minimum=None, links=[NODE_LINK], worst="min")
    b.lines("Holds going on (ten longest)",
            "How long the GIL has been held by one thread. A saw tooth is a node that holds it "
            "again and again.",
            [q(top(f"max by ({BY}) ({m('gil_current_hold_seconds')})", "gil_current_hold_seconds"), WHO)], "s",
            steps=rising(0.5, 2), links=[NODE_LINK])
    b.lines("Pending drop tokens (ten largest)",
            "Tokens received and not given back. A line that only rises is a leak.",
            [q(top(f"sum by ({BY}) ({m('drop_tokens_pending')})", "drop_tokens_pending"), WHO)], "none",
            steps=rising(20, 100), links=[NODE_LINK])
    b.lines("Share of time with the GIL held (ten largest)",
            "Near 100 %: other threads of that node hardly run Python, dora's own among them.",
            [q(f"sum by ({BY}) (rate({m('gil_held_seconds_total')}[$__rate_interval])) and on ({BY}) "
               f"topk(10, sum by ({BY}) (increase({m('gil_held_seconds_total')}[$__range] @ end())))",
               WHO)], "percentunit", steps=rising(0.5, 0.9), maximum=1, links=[NODE_LINK])
    b.lines("Exits by reason", "How nodes ended. A grace kill was avoidable.",
            exits(), "none", w=8, bars=True, stack=True)
    b.add("table", "Alerts firing", "From Prometheus itself; each alert's runbook_url says what to do.",
          [q('sum by (alertname, severity, robot, dataflow, node) '
             '(ALERTS{alertname=~"Dora.*",alertstate="firing"})', instant=True, fmt="table")], 16, 8,
          options={"showHeader": True, "cellHeight": "md"},
          custom={"align": "auto", "cellOptions": {"type": "auto"}},
          overrides=[
              width("severity", 100, {"id": "custom.cellOptions", "value": CELL},
                    {"id": "mappings", "value": value_map(vcritical=("critical", DANGER),
                                                          vwarning=("warning", CAUTION))}),
              width("alertname", 240), width("robot", 110), width("node", 120)],
          transformations=[{"id": "organize", "options": {
              "excludeByName": {"Time": True, "Value": True},
              "indexByName": {"severity": 0, "alertname": 1, "robot": 2, "node": 3, "dataflow": 4},
              "renameByName": {}}},
              # "critical" is before "warning".
              {"id": "sortBy", "options": {"fields": {},
                                           "sort": [{"field": "severity", "desc": False}]}}])
    return b.board


def quantiles(name):
    def one(p):
        return (f"histogram_quantile({p}, sum by (le) "
                f"(rate({m(name + '_bucket')}[$__rate_interval])))")
    return [q(one(0.5), "median", "A"), q(one(0.95), "95 %", "B"), q(one(0.99), "99 %", "C")]


def node():
    b = Board("dora-probe-node", "dora-probe: node",
              "One node: who holds its GIL and for how long, its drop tokens, its stops.",
              variables(False), "now-15m")
    b.stat("Held now", "How long the present hold of the GIL has lasted. While it lasts, no other "
           "thread of the node runs Python.", f"max({m('gil_current_hold_seconds')})", "s",
           rising(0.5, 2))
    b.stat("GIL held", "Share of the time with the GIL held, of late.",
           f"sum(rate({m('gil_held_seconds_total')}[$__rate_interval]))", "percentunit",
           rising(0.5, 0.9), defaults={"decimals": 0})
    b.stat("Pending tokens", "Drop tokens received and not yet given back.",
           f"sum({m('drop_tokens_pending')})", "none", rising(20, 100))
    b.stat("Oldest token", "Age of the oldest pending drop token.",
           f"max({m('drop_token_oldest_pending_seconds')})", "s", rising(1, 5))
    b.stat("A stop now", "What a stop now would take, of the grace period there is. Above 100 % the "
           "node would be killed.", f"max({m('stop_forecast_seconds')} / {m('stop_grace_seconds')})",
           "percentunit", rising(0.7, 1), defaults={"decimals": 0})
    b.stat("Grace advised", "Grace period that the measurements call for: give it to `dora stop "
           "--grace-duration`.", f"max({m('recommended_grace_seconds')})", "s", NEUTRAL,
           background=False)
    b.row("GIL")
    b.lines("GIL held", "Share of the time with the GIL held, and the share in which drop tokens "
            "waited because of it (above 100 %: several tokens at once).",
            [q(f"sum(rate({m('gil_held_seconds_total')}[$__rate_interval]))", "held", "A"),
             q(f"sum(rate({m('drop_token_gil_delay_seconds_total')}[$__rate_interval]))",
               "token time lost to it", "B")], "percentunit")
    b.lines("Where the time goes", "Of the last five seconds: a thread held the GIL, waited for it, ran "
            "without it; the main thread was asleep. Estimates: of the first the error is shown too.",
            [q(f"max({m('gil_held_ratio')})", "held", "A"),
             q(f"max({m('gil_wait_ratio')})", "waited for", "B"),
             q(f"max({m('running_without_gil_ratio')})", "running without it", "C"),
             q(f"max({m('blocked_ratio')})", "main thread asleep", "D"),
             q(f"max({m('gil_held_error_ratio')})", "error of held", "E")], "percentunit")
    b.lines("Hold going on", "The present hold. Each tooth is one hold; its height is its length. "
            "Away from next(): for how long the consumer has not come back, as far as is proven.",
            [q(f"max({m('gil_current_hold_seconds')})", "held now", "A"),
             q(f"max({m('not_polling_seconds')})", "away from next()", "B")], "s", steps=rising(0.5, 2))
    b.heatmap("Lengths of holds", "How many holds of which length. 5 ms is CPython's switch "
              "interval: up to there a hold is ordinary. Exemplars name function and line.",
              f"sum by (le) (increase({m('gil_hold_duration_seconds_bucket')}[$__rate_interval]))")
    b.heatmap("Lengths of waits", "How long threads waited for the GIL, from 5 ms on.",
              f"sum by (le) (increase({m('gil_wait_duration_seconds_bucket')}[$__rate_interval]))")
    b.lines("Hold quantiles", "Of the holds that ended.", quantiles("gil_hold_duration_seconds"), "s")
    b.lines("Wait quantiles", "Of the waits for the GIL that ended.",
            quantiles("gil_wait_duration_seconds"), "s")
    b.row("Drop tokens")
    # What should not be lies at the bottom, where it is seen.
    outcomes = ("abandoned", "lost", "returned")
    b.lines("Tokens by outcome", "Returned is good. Abandoned: given up while the node had them. "
            "Lost: the probe lost the trail, nothing is known.",
            [q(f"sum(rate({m('drop_tokens_total', f'outcome={chr(34)}{o}{chr(34)}')}"
               "[$__rate_interval]))", o, r) for r, o in zip("ABC", outcomes)], "suffix:/s", stack=True)
    b.lines("Pending tokens", "How many, and on the right the age of the oldest.",
            [q(f"sum({m('drop_tokens_pending')})", "pending", "A"),
             q(f"max({m('drop_token_oldest_pending_seconds')})", "age of the oldest", "B")],
            "none", right="B")
    b.heatmap("How long tokens were pending", "How many tokens were pending for how long.",
              f"sum by (le) (increase({m('drop_token_pending_seconds_bucket')}[$__rate_interval]))")
    b.lines("Pending quantiles", "Of the tokens that ended.",
            quantiles("drop_token_pending_seconds"), "s")
    b.row("Stops")
    b.timeline("Stop time line", "When the node was being stopped, and whether it still had slack.",
               [q(f"max({m('stop_pending')})", "stop", "A"),
                q(f"clamp_max(max({m('stop_pending')}) + on () (min({m('stop_slack_seconds')}) "
                  "< bool 0), 2)", "will it be killed", "B")],
               value_map(v0=("running", OK), v1=("stopping", CAUTION), v2=("too late", DANGER)))
    b.lines("Slack while stopping", "Time until the kill beyond what the node still needs.",
            [q(f"min({m('stop_slack_seconds')})", "slack")], "s", steps=falling(0, 5), minimum=None,
            w=8)
    b.lines("What a stop would take", "Beside the grace period there is and the one recommended.",
            [q(f"max({m('stop_forecast_seconds')})", "a stop now", "A"),
             q(f"min({m('stop_grace_seconds')})", "grace there is", "B"),
             q(f"max({m('recommended_grace_seconds')})", "grace recommended", "C")], "s", w=8)
    b.lines("Exits", "How the node ended.",
            exits(), "none", w=8, bars=True, stack=True)
    b.lines("Stop duration (mean)", "From the stop to the exit, of the stops in the time shown.",
            [q(f"sum(increase({m('stop_duration_seconds_sum')}[$__range])) / "
               f"(sum(increase({m('stop_duration_seconds_count')}[$__range])) > 0)", "mean")], "s",
            w=8, steps=rising(5, 10))
    b.lines("Signal handling (mean)", "From a signal's sending to its handling by the node.",
            [q(f"sum(increase({m('signal_handling_delay_seconds_sum')}[$__range])) / "
               f"(sum(increase({m('signal_handling_delay_seconds_count')}[$__range])) > 0)",
               "mean")], "s", w=8)
    b.lines("Actions", "What the probe did, or would have done in observe mode.",
            [q(f"sum by (action, result) ({m('actions_total')})", "{{action}} {{result}}")], "none",
            w=8)
    b.lines("Warnings raised", "Since the probe first saw the node, by kind and cause.",
            [q(f"sum by (kind, cause) ({m('warnings_total')})", "{{kind}}: {{cause}}")], "none",
            w=24, h=6)
    b.add("table", "What it is", "Versions and transport as far as they are known.",
          [q(f"max by (robot, node, dataflow_name, python, dora, transport, dataflow) "
             f"({m('node_info')})", instant=True, fmt="table")], 24, 4,
          options={"showHeader": True, "cellHeight": "md"},
          custom={"align": "auto", "cellOptions": {"type": "auto"}},
          transformations=[{"id": "organize", "options": {
              "excludeByName": {"Time": True, "Value": True}, "indexByName": {
                  "robot": 0, "node": 1, "dataflow_name": 2, "python": 3, "dora": 4,
                  "transport": 5, "dataflow": 6}, "renameByName": {}}}])
    return b.board


def health():
    b = Board("dora-probe-health", "dora-probe: probe health",
              "Whether the probe can be believed, and what it costs.",
              variables(True, only_robot=True), "now-30m")
    p = 'robot=~"$robot"'
    b.stat("Probes answering", "Of those that Prometheus knows.",
           f'sum(up{{job="dora-probe",{p}}}) / count(up{{job="dora-probe",{p}}})', "percentunit",
           falling(0.9, 1), defaults={"decimals": 0})
    b.stat("Records lost", "Within the time shown. What the probe says of these moments has gaps.",
           f'sum(increase(dora_probe_records_lost_total{{{p},reason!="late_record"}}[$__range]))',
           "none", rising(1, 1000), defaults={"decimals": 0})
    b.stat("Overhead", "The highest: cost as a share of one core per watched process. The budget is "
           "--max-overhead, 1 % unless told otherwise.",
           f"max(dora_probe_overhead_ratio{{{p}}})", "percentunit", rising(0.008, 0.01),
           defaults={"decimals": 2})
    b.stat("CPU", "The highest: user and system time of the probe's process.",
           f'max(rate(process_cpu_seconds_total{{job="dora-probe",{p}}}[$__rate_interval]))',
           "percentunit", rising(0.05, 0.2), defaults={"decimals": 1})
    b.stat("Scrape time", "The longest: how long Prometheus takes to read a probe.",
           f'max(scrape_duration_seconds{{job="dora-probe",{p}}})', "s", rising(0.1, 1))
    b.stat("Memory", "The highest: resident memory of the probe. It does not grow with time.",
           f'max(process_resident_memory_bytes{{job="dora-probe",{p}}})', "bytes",
           rising(2e8, 5e8), background=False)
    who = "{{robot}}"
    b.lines("Records lost a second", "By where they were lost. late_record: came out of order, still "
            "applied.",
            [q(f"sum by (reason) (rate(dora_probe_records_lost_total{{{p}}}[$__rate_interval])) > 0 "
               f"or sum by (reason) (rate(dora_probe_records_lost_total{{{p},reason=\"ring_full\"}}"
               "[$__rate_interval]))", "{{reason}}")], "suffix:/s")
    b.lines("Records taken in a second", "What the kernel and the sampler deliver.",
            [q(f"sum by (robot) (rate(dora_probe_records_total{{{p}}}[$__rate_interval]))", who)],
            "suffix:/s")
    b.lines("Run time of the kernel programs", "Share of one core, by program, all robots. Scaled "
            "from the windows in which the kernel counts it.",
            [q(f"sum by (program) (rate(dora_probe_bpf_run_seconds_total{{{p}}}[$__rate_interval]))",
               "{{program}}")], "percentunit", stack=True)
    b.lines("Overhead", "Share of one core per watched process, with the default budget.",
            [q(f"max by (robot) (dora_probe_overhead_ratio{{{p}}})", who)], "percentunit",
            steps=rising(0.008, 0.01))
    b.lines("Scrape time", "What Prometheus measures, and what making the exposition took.",
            [q(f'max(scrape_duration_seconds{{job="dora-probe",{p}}})', "scrape (longest)", "A"),
             q(f"max(dora_probe_exposition_duration_seconds{{{p}}})", "exposition (longest)", "B")],
            "s")
    b.lines("Samples of a scrape", "Bounded: at most 256 nodes; series of nodes that left expire "
            "after five minutes.",
            [q(f'max by (robot) (scrape_samples_scraped{{job="dora-probe",{p}}})', who)], "none")
    b.timeline("Sources", "Which sources of records were on in all robots. The dearest is switched off "
               "when the probe is over its budget; edge is on only while a hold is being confirmed.",
               [q(f"min by (source) (dora_probe_source_active{{{p}}})", "{{source}}")],
               value_map(v0=("off", "#999999"), v1=("on", OK)), w=12, h=9)
    b.lines("Nodes watched", "And nodes whose series have expired so far.",
            [q(f"sum(dora_probe_watched_nodes{{{p}}})", "watched", "A"),
             q(f"sum(dora_probe_series_nodes_expired_total{{{p}}})", "expired", "B")], "none", h=9)
    b.lines("Open files", "Of the probe, beside its limit.",
            [q(f'max(process_open_fds{{job="dora-probe",{p}}})', "open (most)", "A"),
             q(f'min(process_max_fds{{job="dora-probe",{p}}})', "limit (lowest)", "B")], "none",
            w=12, axis_log=True)
    b.add("table", "Versions", "Of the probes, and since when they run.",
          [q(f"max by (robot, version) (dora_probe_build_info{{{p}}})", ref="A", instant=True,
             fmt="table"),
           q(f'max by (robot) (time() - process_start_time_seconds{{job="dora-probe",{p}}})',
             ref="B", instant=True, fmt="table")], 12, 8,
          options={"showHeader": True, "cellHeight": "md"},
          custom={"align": "auto", "cellOptions": {"type": "auto"}},
          overrides=[{"matcher": {"id": "byName", "options": "Running for"},
                      "properties": [{"id": "unit", "value": "s"}]}],
          transformations=[{"id": "merge", "options": {}},
                           {"id": "organize", "options": {
                               "excludeByName": {"Time": True, "Value #A": True},
                               "indexByName": {"robot": 0, "version": 1, "Value #B": 2},
                               "renameByName": {"Value #B": "Running for"}}}])
    return b.board


def main():
    stale = 0
    for name, make in (("fleet", fleet), ("node", node), ("probe-health", health)):
        path = HERE / f"{name}.json"
        text = json.dumps(make(), indent=2) + "\n"
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                print(f"{path} is not what generate.py makes; run `make dashboards-generate`")
                stale = 1
        else:
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main())
