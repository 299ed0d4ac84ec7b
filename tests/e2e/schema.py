# SPDX-License-Identifier: MIT
"""What a JSON line must be, by fields.json, which comes from the lists that make the lines."""

import json
import os
import re

U64 = (1 << 64) - 1
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def nat(v):
    return type(v) is int and 0 <= v <= U64


def integer(v):
    return type(v) is int


def pos(v):
    return type(v) is int and 0 < v <= U64


def text(v):
    return isinstance(v, str) and v != ""


def flag(v):
    return isinstance(v, bool)


def uuid(v):
    return isinstance(v, str) and bool(UUID.match(v))


def time(v):
    return isinstance(v, str) and bool(TIME.match(v))


def share(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1


def estimate(v):
    return isinstance(v, dict) and list(v) == ["ratio", "error"] and all(map(share, v.values()))


def one_of(*names):
    def check(v):
        return v in names
    check.__name__ = "one of " + "/".join(map(str, names))
    return check


def array(item):
    def check(v):
        return isinstance(v, list) and all(item(x) for x in v)
    check.__name__ = "array of " + item.__name__
    return check


def null_or(inner):
    def check(v):
        return v is None or inner(v)
    check.__name__ = "null or " + inner.__name__
    return check


def is_object(v):
    return isinstance(v, dict)


TYPES = {"natural": nat, "positive": pos, "integer": integer, "text": text, "flag": flag,
         "share": share, "estimate": estimate, "uuid": uuid, "texts": array(text), "positives": array(pos),
         "object": is_object, "objects": array(is_object)}


def check_of(field):
    """The check of a value, from what fields.json says of its field."""
    if field["type"] == "word":
        check = one_of(*field["values"])
    elif field["type"] == "words":
        check = array(one_of(*field["values"]))
    elif field["type"] == "time":
        # A live run always has an anchor of the wall clock.
        return time
    else:
        check = TYPES[field["type"]]
    return null_or(check) if field["null"] else check


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fields.json"),
          encoding="utf-8") as _f:
    FIELDS = json.load(_f)
CAUSES = FIELDS["token"]["cause"]["values"]
LISTS = {name: {field: check_of(what) for field, what in fields.items()}
         for name, fields in FIELDS.items()}
LINE = LISTS.pop("line")
SUMMARY_NODE = LISTS.pop("summary.nodes")
BLAME = LISTS.pop("summary.nodes.blame")
EVENTS = LISTS


def problems_of(o):
    """What is wrong with one line, as sentences."""
    out = []

    def want(fields, where, have):
        out.extend(f"{where}: `{field}` is not in fields.json" for field in have
                   if field not in fields and field not in LINE)
        for field, check in fields.items():
            if field not in have:
                out.append(f"{where}: no `{field}`")
            elif not check(have[field]):
                out.append(f"{where}: `{field}` is {have[field]!r}, want {check.__name__}")

    event = o.get("event")
    want({**LINE, **EVENTS.get(event, {})}, event, o)
    if out:
        return out
    if event == "summary":
        for node in o["nodes"]:
            want(SUMMARY_NODE, "summary node", node)
            for blame in node.get("blame") or []:
                want(BLAME, "blame", blame)
    if event == "gil_hold":
        chain = [v for v in (o["start_lo_ns"], o["start_ns"], o["end_ns"], o["end_hi_ns"])
                 if v is not None]
        if chain != sorted(chain):
            out.append(f"gil_hold: bounds out of order {chain}")
        if o["duration_ns"] != o["end_ns"] - o["start_ns"]:
            out.append("gil_hold: duration_ns is not end_ns - start_ns")
    if event == "gil_wait" and o["duration_ns"] != o["end_ns"] - o["start_ns"]:
        out.append("gil_wait: duration_ns is not end_ns - start_ns")
    return out
