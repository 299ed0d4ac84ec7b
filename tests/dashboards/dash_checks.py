# SPDX-License-Identifier: MIT
"""Checks of an exposition and of the dashboards that need no server."""
import itertools
import json
import re

from prometheus_client.openmetrics import parser

LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*?)\})? (\S+)(?: # \{(.*)\} (\S+)(?: (\S+))?)?$')
FORBIDDEN_LABELS = {"pid", "tid", "token", "file", "function"}


def split_labels(text):
    """The labels of a sample as a list of pairs; ValueError for what the format does not allow."""
    out, at = [], 0
    while at < len(text):
        found = LABEL.match(text, at)
        if not found:
            raise ValueError(f"bad label or escape: {text[at:at + 60]}")
        out.append(found.groups())
        at = found.end()
        if at < len(text):
            if text[at] != ",":
                raise ValueError(f"no comma: {text[at:at + 60]}")
            at += 1
    return out


def sample_parts(line):
    """name, label text, value and exemplar label text of a line, with quotes respected."""
    brace = line.find("{")
    if brace < 0 or " " in line[:brace]:
        name, rest = line.split(" ", 1)
        return name, "", rest, None
    name, i, quoted = line[:brace], brace + 1, False
    while quoted or line[i] != "}":
        if line[i] == "\\":
            i += 1
        elif line[i] == '"':
            quoted = not quoted
        i += 1
    labels, rest = line[brace + 1:i], line[i + 2:]
    value, _, exemplar = rest.partition(" # {")
    if exemplar:
        end = exemplar.rindex("}")
        return name, labels, value, exemplar[:end]
    return name, labels, value, None


def exposition_complaints(body, openmetrics):
    """What the strict parser of OpenMetrics finds, and what it lets pass: series that come twice,
    escapes that do not exist, `le` that is not a float as the specification wants it."""
    out, seen, exemplars = [], set(), 0
    if openmetrics:
        try:
            list(parser.text_string_to_metric_families(body))
        except ValueError as e:
            out.append(f"parser: {e}")
    for line in body.splitlines():
        if line.startswith("#") or not line:
            continue
        try:
            name, labels, value, exemplar = sample_parts(line)
            pairs = split_labels(labels)
            float(value.split(" ")[0])
        except (ValueError, IndexError) as e:
            out.append(f"{e}: {line[:100]}")
            continue
        key = (name, tuple(sorted(pairs)))
        if key in seen:
            out.append(f"twice: {line[:120]}")
        seen.add(key)
        names = [k for k, _ in pairs]
        if len(set(names)) != len(names):
            out.append(f"label twice: {line[:120]}")
        if FORBIDDEN_LABELS & set(names):
            out.append(f"unbounded label: {line[:120]}")
        for k, v in pairs:
            if k == "le" and v != "+Inf" and not re.fullmatch(r"[0-9]+\.[0-9]+", v):
                out.append(f"le is no canonical float: {line[:120]}")
        if exemplar is not None:
            exemplars += 1
            if not openmetrics:
                out.append(f"exemplar in the text format: {line[:120]}")
            plain = [(k, re.sub(r"\\(.)", r"\1", v)) for k, v in split_labels(exemplar)]
            if sum(len(k) + len(v) for k, v in plain) > 128:
                out.append(f"exemplar above 128 characters: {line[:120]}")
    return out, len(seen), exemplars


def rgb(colour):
    return [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]


# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}


def lab(colour, blindness):
    lin = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb(colour)]
    lin = [min(1, max(0, sum(a * b for a, b in zip(row, lin)))) for row in BLINDNESS[blindness]]
    x = (0.4124 * lin[0] + 0.3576 * lin[1] + 0.1805 * lin[2]) / 0.95047
    y = 0.2126 * lin[0] + 0.7152 * lin[1] + 0.0722 * lin[2]
    z = (0.0193 * lin[0] + 0.1192 * lin[1] + 0.9505 * lin[2]) / 1.08883
    f = [v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def colour_complaints(colours, at_least=25):
    """CIE76 distances of each pair as each kind of colour blindness sees it."""
    out = []
    for kind in BLINDNESS:
        for a, b in itertools.combinations(sorted(colours), 2):
            d = sum((p - q) ** 2 for p, q in zip(lab(a, kind), lab(b, kind))) ** 0.5
            if d < at_least:
                out.append(f"{a} and {b} are hard to tell apart with {kind}: {d:.0f}")
    return out


def shown_together(config):
    """The colours that a panel's thresholds and value mappings, and those of its columns, set beside
    one another."""
    parts = [config["defaults"]] + [{q["id"]: q["value"] for q in o["properties"]}
                                    for o in config["overrides"]]
    for part in parts:
        if "thresholds" in part:
            yield {s["color"] for s in part["thresholds"]["steps"]} - {"transparent"}
        for m in part.get("mappings", []):
            if m["type"] == "value":
                yield {o["color"] for o in m["options"].values()}


def dashboard_complaints(path):
    """What the JSON schema does not know: descriptions, units, overlaps, colours, links."""
    d, out = json.loads(path.read_text()), []
    taken = {}
    if not d["links"]:
        out.append("no links to the other dashboards")
    names = {v["name"] for v in d["templating"]["list"]}
    for want in ("datasource", "dataflow", "node"):
        if want not in names:
            out.append(f"no variable {want}")
    if not {"Grace kills", "Nudges"} <= {a["name"] for a in d["annotations"]["list"]}:
        out.append("no annotations of kills and nudges")
    for p in d["panels"]:
        g = p["gridPos"]
        for cell in itertools.product(range(g["x"], g["x"] + g["w"]), range(g["y"], g["y"] + g["h"])):
            if cell in taken or cell[0] >= 24:
                out.append(f'{p["title"]}: lies on {taken.get(cell, "the edge")}')
                break
            taken[cell] = p["title"]
        if p["type"] == "row":
            continue
        if len(p.get("description", "")) < 10:
            out.append(f'{p["title"]}: no description')
        if not p["fieldConfig"]["defaults"].get("unit"):
            out.append(f'{p["title"]}: no unit')
        for colours in shown_together(p["fieldConfig"]):
            out += [f'{p["title"]}: {c}' for c in colour_complaints(colours)]
        if p["datasource"]["uid"] != "${datasource}":
            out.append(f'{p["title"]}: fixed data source')
    return [f"{path.name}: {c}" for c in out]


def expressions(path):
    """(what, expr, instant, range wanted) of each query, variable and annotation of a dashboard."""
    d = json.loads(path.read_text())
    for p in d["panels"]:
        for t in p.get("targets", []):
            yield f'{path.name}: {p["title"]} {t["refId"]}', t["expr"], False
    for a in d["annotations"]["list"]:
        if "expr" in a:
            yield f'{path.name}: annotation {a["name"]}', a["expr"], True
