# SPDX-License-Identifier: MIT
"""What occurs in which golden recording, and which names of the house occur in none."""

import glob
import json
import os
import re
import struct

import golden

# What a refusal says, of every kind in policy.h.
REFUSALS = {
    "UNCLEAR": "cannot be seen",
    "FINALISING": "main has ended, and a thread",
    "UNCONFIRMED": "keeps the GIL is not proven",
    "AFTER_STOP": "after Stop (clean-up)",
    "DEADLOCK": "a proven deadlock",
    "LOCK_WAIT": "no signal ends such a wait",
    "STOPPED": "the process is stopped",
    "SWALLOWED": "were handled and swallowed",
    "START_UNPROVEN": "not proven that this hold began before Stop",
    "MOVED": "moves by itself since Stop",
    "ENDS_IN_TIME": "ends by itself in time",
    "IGNORED": "the process ignores SIG",
    "DEFAULT_KILLS": "would end it at once",
    "MASKS_UNKNOWN": "which signals the process catches could not be read",
    "FORBIDDEN_SIGNAL": "no process can catch it",
    "NON_MAIN_ON_CPU": "on the CPU and not the main thread",
    "STATE_UNKNOWN": "what it does could not be read",
    "DISK_SLEEP": "state D",
    "NOT_POLLING": "this call does not poll signals",
    "NOT_POLLING_BEFORE": "an earlier nudge has shown",
    "TRIES_SPENT": "goes on after every nudge",
    "CANNOT_SEND": "could not be sent: no further try",
    "RECORDS_LOST": "records were lost since Stop",
    "DEADLINE_PASSED": "the deadline has passed",
    "TERM_IGNORED": "the process ignores SIGTERM",
    "TERM_MASKS_UNKNOWN": "whether the process ignores SIGTERM could not be read",
}


def source(pattern):
    found = glob.glob(os.path.join(golden.TOP, pattern))
    with open(found[0]) as f:
        return f.read()


def names(listing):
    """The printed names of a list in names.h; for record types the enum's."""
    text = source("include/dora_probe/names.h")
    body = text.split(f"#define {listing}(X)")[1].split("\n\n")[0]
    return [b or a for a, b in re.findall(r'X\((\w+)(?:, "(\w+)"|, \w+)\)', body)]


def record_types(data):
    """The record types of a recording: a 16-byte header, then records that say their size."""
    every, at, seen = names("DP_RECORD_TYPES"), 16, set()
    while at < len(data):
        kind, _, size = struct.unpack_from("<HHI", data, at)
        seen.add(every[kind - 1])
        at += size
    return seen


def reads(name):
    """(list, name) of everything that a recording's replays show."""
    folder = os.path.join(golden.HERE, name)
    seen = {("record", r) for r in record_types(golden.unpacked(folder))}
    for entry in golden.how(name)["replays"]:
        if not entry["output"].endswith(".jsonl"):
            continue
        with open(os.path.join(folder, entry["output"])) as f:
            for text in f:
                seen |= of_line(json.loads(text))
    return seen


def of_line(o):
    event = o["event"]
    seen = {("event", event)}
    for key, listing in (("kind", "warning"), ("severity", "severity"), ("precision", "precision"),
                         ("state", "token state"), ("transport", "transport")):
        if o.get(key):
            seen.add((listing, o[key]))
    if event in ("token", "warning", "exit") and o.get("cause"):
        seen.add(("cause", o["cause"]))
    if event == "token" and o.get("cause") is None and o.get("state") == "returned":
        seen.add(("token", "returned without a cause"))
    if event == "stop":
        seen.add(("stop reason", o["reason"]))
    if event == "exit":
        seen.add(("exit reason", exit_reason(o)))
        if o.get("saved"):
            seen.add(("exit", "saved"))
    if event == "loss":
        seen.add(("loss", o["reason"]))
    if event == "action":
        seen.add(("action", f"{o['action']} {o['result']}"))
        if o["result"] == "refused":
            seen |= {("refusal", k) for k, words in REFUSALS.items()
                     if words in o["reason"] and (k[:5] == "TERM_") == (o["action"] == "terminate")}
    return seen


def exit_reason(o):
    """As the metrics name it; an exit line has the parts."""
    if o.get("reason"):
        return o["reason"]
    if o["grace_kill"]:
        return "grace_kill"
    if o["signal"]:
        return "signal"
    return "clean" if o["code"] == 0 else "error"


def wanted():
    policy = source("agent/*/policy.h")
    refusals = [r for r in re.findall(r"DP_REFUSE_(\w+),", policy) if r != "NONE"]
    actions = [f"{a} {r}" for a in names("DP_ACTIONS") for r in names("DP_ACTION_RESULTS")]
    return {"cause": names("DP_CAUSES"), "warning": names("DP_WARNING_KINDS"),
            "severity": names("DP_SEVERITIES"), "precision": names("DP_PRECISIONS"),
            "token state": names("DP_TOKEN_STATES"), "transport": names("DP_TRANSPORTS"),
            "stop reason": names("DP_STOP_REASONS"), "exit reason": names("DP_EXIT_REASONS"),
            "action": actions, "refusal": refusals, "loss": names("DP_LOSSES"),
            "record": names("DP_RECORD_TYPES")}


def show():
    where = {}
    for name in golden.recordings():
        for what in reads(name):
            where.setdefault(what, []).append(name)
    missing = []
    lists = wanted()
    for listing in [*lists, *sorted({w[0] for w in where} - set(lists))]:
        print(f"{listing}:")
        for name in [*lists.get(listing, ()), *sorted(w[1] for w in where if w[0] == listing and
                                                      w[1] not in lists.get(listing, ()))]:
            got = where.get((listing, name), [])
            if not got:
                missing.append(f"{listing} {name}")
            few = ", ".join(got[:3]) + (f" and {len(got) - 3} more" if len(got) > 3 else "")
            print(f"  {name:28} {few or '-'}")
    print(f"in no recording ({len(missing)}): " + "; ".join(missing))
