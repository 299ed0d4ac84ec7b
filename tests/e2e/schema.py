# SPDX-License-Identifier: MIT
"""Every field that a JSON line must have, with its type: the contract in the README as a table."""

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


def share(v):
    return isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v <= 1


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


CAUSES = ("gil_native", "gil_contention", "busy_python", "blocked", "reference_kept", "not_reported",
          "node_dropped_first", "receiver_gone", "owner_not_collecting", "dora_internal",
          "deadlock", "unknown")
cause = null_or(one_of(*CAUSES))
n_nat, n_pos, n_text, n_int, n_flag = map(null_or, (nat, pos, text, integer, flag))

EVENTS = {
    "start": {"version": text, "kernel": text, "targets": lambda v: v is not None,
              "sources": array(text)},
    "node": {"pid": pos, "dataflow": n_text, "node": n_text, "python": n_text,
             "implementation": n_text, "free_threaded": n_flag, "dora": n_text,
             "transport": null_or(one_of("tcp", "unix", "shmem")), "gil_observable": flag,
             "tokens_observable": flag, "reason": n_text, "readiness": null_or(is_object)},
    "gil_hold": {"pid": pos, "node": n_text, "tid": n_pos, "thread": n_text, "gil": nat,
                 "start_lo_ns": n_nat, "start_ns": nat, "end_ns": nat, "end_hi_ns": n_nat,
                 "duration_ns": nat,
                 "precision": one_of("exact", "bounded", "at_least", "unconfirmed"),
                 "off_cpu_ns": n_nat, "native": n_flag, "function": n_text, "file": n_text,
                 "line": n_pos, "library": n_text, "waiters": array(pos)},
    "gil_wait": {"pid": pos, "node": n_text, "tid": pos, "start_ns": nat, "end_ns": nat,
                 "duration_ns": nat, "holder_tid": n_pos},
    "token": {"token": uuid, "dataflow": n_text, "owner": n_text, "receiver": n_text,
              "output": n_text, "region": n_text, "bytes": n_nat, "sent_ns": n_nat,
              "delivered_ns": n_nat, "mapped_ns": n_nat, "released_ns": n_nat,
              "reported_ns": n_nat, "returned_ns": n_nat, "given_up_ns": n_nat,
              "state": one_of("returned", "abandoned", "lost", "open"), "gil_held_ns": n_nat,
              "cause": cause},
    "warning": {"kind": one_of("token_pending", "gil_hold", "stop_pending", "deadline",
                               "deadlock"),
                "severity": one_of("notice", "warning", "critical"), "pid": n_pos, "node": n_text,
                "cause": cause, "holder_tid": n_pos, "function": n_text, "file": n_text,
                "line": n_pos, "held_ns": n_nat, "pending_tokens": n_nat,
                "oldest_pending_ns": n_nat, "deadline_ns": n_nat, "slack_ns": n_int,
                "advice": n_text, "resolved": flag},
    "signal": {"pid": pos, "node": n_text, "signal": lambda v: text(v) or pos(v),
               "sender_pid": n_nat, "sent_ns": n_nat, "delivered_ns": n_nat, "handled_ns": n_nat,
               "tid": n_pos},
    "stop": {"pid": pos, "node": n_text,
             "reason": one_of("stop", "all_inputs_closed", "sigterm"), "deadline_ns": n_nat,
             "kill_signal": lambda v: v is None or text(v) or pos(v)},
    "action": {"pid": n_pos, "node": n_text,
               "action": one_of("nudge", "terminate", "stop_dataflow", "hook"),
               "signal": lambda v: v is None or text(v) or pos(v), "tid": n_pos, "dry_run": flag,
               "result": one_of("sent", "refused", "failed", "would_send"), "reason": n_text,
               "attempt": n_nat},
    "exit": {"pid": pos, "node": n_text, "code": n_int,
             "signal": lambda v: v is None or text(v) or pos(v), "killer_pid": n_nat,
             "since_stop_ns": n_nat, "grace_kill": flag, "cause": cause,
             "gil_share": null_or(share), "tokens_abandoned": n_nat, "saved": flag},
    "loss": {"reason": text, "count": pos, "total": pos},
    "summary": {"nodes": array(is_object), "records": nat, "records_lost": nat},
}
SUMMARY_NODE = {"pid": pos, "dataflow": n_text, "node": n_text, "holds": nat, "max_hold_ns": n_nat,
                "max_hold_function": n_text, "gil_held_ns": nat, "tokens": n_nat,
                "tokens_abandoned": n_nat, "max_pending_ns": n_nat, "recommended_grace_ns": n_nat}


def problems_of(o):
    """What is wrong with one line, as sentences."""
    out = []

    def want(fields, where, have):
        for field, check in fields.items():
            if field not in have:
                out.append(f"{where}: no `{field}`")
            elif not check(have[field]):
                out.append(f"{where}: `{field}` is {have[field]!r}, want {check.__name__}")

    event = o.get("event")
    want({"t_ns": pos, "time": lambda v: isinstance(v, str) and bool(TIME.match(v)),
          "event": text}, event, o)
    want(EVENTS.get(event, {}), event, o)
    if out:
        return out
    if event == "summary":
        for node in o["nodes"]:
            want(SUMMARY_NODE, "summary node", node)
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
