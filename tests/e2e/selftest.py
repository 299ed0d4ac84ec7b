#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shows that the checkers of the end-to-end tests can fail.

A made-up run with lines that are right passes every check; then one thing at a time is made wrong,
and the check that is meant to see it must complain. Needs neither dora nor the probe.
"""

import copy
import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import checks  # noqa: E402
import schema  # noqa: E402
from checks import MS, S  # noqa: E402
from probe import Line  # noqa: E402

BASE = 1_000 * S
TIME = "2026-01-02T03:04:05.678901Z"
UUID = "018f0000-0000-7000-8000-0000000000{:02x}"


def line(event, t_ns, **fields):
    blank = {f: None for f in schema.EVENTS[event]}
    return {**blank, **fields, "event": event, "t_ns": t_ns, "time": TIME,
            "_arrival_ns": t_ns + 5 * MS}


def truth():
    recv = [dict(kind="phase", name="create", t0=BASE - S, t1=BASE - 9 * S // 10, tid=11, pid=11,
                 t=BASE - 9 * S // 10)]
    for n, (at, length, tid) in enumerate(((1, 0.3, 11), (2, 1.2, 12))):
        t0 = BASE + int(at * S)
        t1 = t0 + int(length * S)
        recv.append(dict(kind="hold", how="usleep", function="hold_usleep", file="/x/holds.py",
                         line=40 + n, tid=tid, main=tid == 11, take_lo=t0 - MS // 10, t0=t0, t1=t1,
                         release_hi=t1 + MS // 10, pid=11, t=t1 + MS))
    recv.append(dict(kind="bye", pid=11, t=BASE + 6 * S))
    sent = [dict(n=n, t0=BASE + n * 50 * MS, t1=BASE + n * 50 * MS + MS) for n in range(1, 100)]
    return recv, sent


def right():
    recv, sent = truth()
    holds = [t for t in recv if t["kind"] == "hold"]
    lines = [line("start", BASE - S, version="0.1", kernel="6.1", targets=["11"], sources=["futex"]),
             line("node", BASE - S, pid=11, node="recv", dora_source="distribution", level="full",
                  missing=[], gil_observable=True,
                  tokens_observable=True, readiness={})]
    for h in holds:
        start, end = h["t0"] + 40 * MS, h["t1"] - 3 * MS
        lines.append(line("gil_hold", h["t1"] + MS, pid=11, node="recv", tid=h["tid"],
                          thread="main", gil=0, start_lo_ns=h["t0"] - MS, start_ns=start,
                          end_ns=end, end_hi_ns=h["t1"] + MS, duration_ns=end - start,
                          precision="bounded", off_cpu_ns=int((end - start) * 0.99), native=True,
                          function=h["function"], file=h["file"], line=h["line"],
                          library="libc.so.6", waiters=[13], dora_internal=False, collecting=False))
        lines.append(line("gil_wait", h["t1"], pid=11, node="recv", tid=13, start_ns=start,
                          end_ns=h["t1"], duration_ns=h["t1"] - start, holder_tid=h["tid"], gil=0))
    for n, s in enumerate(sent):
        delivered = s["t0"] + 2 * MS
        released = delivered + 40 * MS
        for h in holds:
            if h["t0"] <= released <= h["t1"]:
                released = h["t1"] + MS
        held = sum(checks.overlap(delivered, released, h["t0"] + 40 * MS, h["t1"] - 3 * MS)
                   for h in holds)
        lines.append(line("token", released + 2 * MS, token=UUID.format(n), owner="send",
                          receiver="recv", output="data", region="shmem_1", bytes=5000,
                          sent_ns=s["t0"] + MS // 2, delivered_ns=delivered,
                          mapped_ns=delivered + MS, released_ns=released,
                          reported_ns=released + MS, returned_ns=released + 2 * MS,
                          state="returned", gil_held_ns=held,
                          cause="gil_native" if released - delivered > 500 * MS else None))
    h = holds[1]
    warn = dict(kind="gil_hold", severity="notice", pid=11, node="recv", cause="gil_native",
                holder_tid=h["tid"], function=h["function"], file=h["file"], line=h["line"],
                held_ns=500 * MS, advice="release the GIL in that call",
                evidence=[], collecting=False)
    lines.append(line("warning", h["t0"] + 560 * MS, resolved=False, **warn))
    lines.append(line("warning", h["t1"] + 2 * S, resolved=True, **warn))
    lines.append(line("stop", BASE + 5 * S + MS, pid=11, node="recv", reason="stop",
                      deadline_ns=BASE + 15 * S, kill_signal=15, kill_signal_name="SIGTERM",
                      witness="node"))
    lines.append(line("exit", BASE + 6 * S, pid=11, node="recv", code=0, grace_kill=False,
                      saved=False, reason="clean", tokens_abandoned=0, gil_share=0.5, since_stop_ns=S))
    longest = max((o for o in lines if o["event"] == "gil_hold"), key=lambda o: o["duration_ns"])
    lines.append(line("summary", BASE + 6 * S, records=1000, records_lost=0, nodes_left_out=0, nodes=[
        {**{f: None for f in schema.SUMMARY_NODE}, "pid": 11, "node": "recv", "holds": 2,
         "max_hold_ns": longest["duration_ns"], "max_hold_function": "hold_usleep",
         "gil_held_ns": 1400 * MS, "tokens": len(sent), "tokens_abandoned": 0, "blame": [],
         "since_attach": True}]))
    return lines


def everything(lines):
    recv, sent = truth()
    holds = [t for t in recv if t["kind"] == "hold"]
    h = holds[1]
    place = {"function": h["function"], "line": h["line"], "tid": h["tid"]}
    raw = [Line(json.dumps({k: v for k, v in o.items() if k != "_arrival_ns"}).encode() + b"\n", 0)
           for o in lines]
    since, until = BASE, BASE + 5 * S
    return {
        "schema": lambda: checks.check_schema(raw),
        "holds": lambda: checks.check_holds(lines, recv, since, until, waiters=[13]),
        "waits": lambda: checks.check_waits(lines, recv, since, until, 13),
        "tokens": lambda: checks.check_tokens(lines, sent, ["recv"], since, until),
        "share": lambda: checks.check_gil_share(lines, holds, "recv"),
        "causes": lambda: checks.check_causes(lines, "recv", S, ("gil_native",)),
        "warning": lambda: checks.check_warning(lines, "gil_hold", 11, h["t0"], h["t1"], 500 * MS,
                                        ("gil_native",), place),
        "stop": lambda: checks.check_stop(lines, 11, BASE + 5 * S, deadline=10 * S, kill_signal=(15,)),
        "exit": lambda: checks.check_exit(lines, 11, code=0, grace_kill=False),
        "summary": lambda: checks.check_summary(lines),
    }


def nth(lines, event, n=0):
    return [o for o in lines if o["event"] == event][n]


def put(event, n=0, **fields):
    def change(lines):
        o = nth(lines, event, n)
        o.update({k: v(o) if callable(v) else v for k, v in fields.items()})
    return change


def drop(event, n=0):
    return lambda lines: lines.remove(nth(lines, event, n))


def twice(event, n=0):
    return lambda lines: lines.insert(-1, copy.deepcopy(nth(lines, event, n)))


def without(event, field):
    return lambda lines: nth(lines, event).pop(field)


def shift(event, by, *fields, n=0):
    def change(lines):
        o = nth(lines, event, n)
        for f in fields:
            o[f] += by
        if event == "gil_hold":
            o["duration_ns"] = o["end_ns"] - o["start_ns"]
    return change


def false_hold(lines):
    o = copy.deepcopy(nth(lines, "gil_hold"))
    o.update(start_lo_ns=BASE + 4 * S, start_ns=BASE + 4 * S, end_ns=BASE + 4 * S + 90 * MS,
             end_hi_ns=BASE + 4 * S + 91 * MS, duration_ns=90 * MS)
    lines.insert(-1, o)


WRONG = [
    ("schema", "a field is missing", without("token", "mapped_ns")),
    ("schema", "a field that nobody knows", put("token", colour="red")),
    ("schema", "a time as a string", put("token", sent_ns="12")),
    ("schema", "a time as a float", put("token", sent_ns=1.5e9)),
    ("schema", "an unknown value as an empty string", put("gil_hold", thread="")),
    ("schema", "an unknown cause", put("token", cause="bad_luck")),
    ("schema", "a flag as a number", put("warning", resolved=0)),
    ("schema", "bounds out of order", put("gil_hold", start_lo_ns=lambda o: o["start_ns"] + 1)),
    ("schema", "a wrong duration", put("gil_hold", duration_ns=7)),
    ("schema", "no RFC 3339 time", put("stop", time="yesterday")),
    ("schema", "a summary node lacks a field", lambda ls: ls[-1]["nodes"][0].pop("holds")),
    ("schema", "two summaries", twice("summary")),
    ("schema", "no start line first", drop("start")),
    ("holds", "a hold is missed", drop("gil_hold")),
    ("holds", "a hold is split in two", twice("gil_hold")),
    ("holds", "a hold that never was", false_hold),
    ("holds", "another thread is blamed", put("gil_hold", tid=77)),
    ("holds", "starts too early", shift("gil_hold", -50 * MS, "start_ns", "start_lo_ns")),
    ("holds", "the true start lies before the bracket",
     shift("gil_hold", 5 * MS, "start_ns", "start_lo_ns")),
    ("holds", "ends too late", shift("gil_hold", 6 * MS, "end_ns", "end_hi_ns")),
    ("holds", "the true end lies after the bracket", shift("gil_hold", -3 * MS, "end_hi_ns")),
    ("holds", "the wrong function", put("gil_hold", function="loop")),
    ("holds", "the wrong line", put("gil_hold", line=41)),
    ("holds", "unconfirmed", put("gil_hold", precision="unconfirmed")),
    ("holds", "not native", put("gil_hold", native=None)),
    ("holds", "bounded without a bound", put("gil_hold", start_lo_ns=None)),
    ("holds", "a sleep on the CPU", put("gil_hold", off_cpu_ns=0)),
    ("holds", "the waiter is not named", put("gil_hold", waiters=[])),
    ("waits", "nobody waits", drop("gil_wait")),
    ("waits", "the wait ends before the hold", shift("gil_wait", -20 * MS, "end_ns")),
    ("tokens", "a token is missing", drop("token", 5)),
    ("tokens", "a token twice", twice("token", 5)),
    ("tokens", "times out of order", put("token", 5, mapped_ns=lambda o: o["released_ns"] + 1)),
    ("tokens", "another sending time", shift("token", 20 * MS, "sent_ns", "delivered_ns",
                                            "mapped_ns", "released_ns", "reported_ns",
                                            "returned_ns", n=5)),
    ("tokens", "another owner", put("token", 5, owner="recv")),
    ("tokens", "abandoned although reported", put("token", 5, state="abandoned")),
    ("share", "all of its time", put("token", 40, gil_held_ns=lambda o: 2 * S)),
    ("share", "none of its time", put("token", 40, gil_held_ns=0)),
    ("share", "unknown", put("token", 40, gil_held_ns=None)),
    ("causes", "another cause", put("token", 40, cause="blocked")),
    ("causes", "no cause", put("token", 40, cause=None)),
    ("warning", "no warning", drop("warning")),
    ("warning", "raised after the hold", put("warning", t_ns=lambda o: o["t_ns"] + S)),
    ("warning", "raised too early", put("warning", t_ns=lambda o: o["t_ns"] - 200 * MS)),
    ("warning", "on the screen after the hold",
     put("warning", _arrival_ns=lambda o: o["_arrival_ns"] + S)),
    ("warning", "another cause", put("warning", cause="busy_python")),
    ("warning", "another line", put("warning", line=3)),
    ("warning", "another holder", put("warning", holder_tid=3)),
    ("warning", "no advice", put("warning", advice=None)),
    ("warning", "never resolved", drop("warning", 1)),
    ("stop", "no stop", drop("stop")),
    ("stop", "another deadline", put("stop", deadline_ns=BASE + 20 * S)),
    ("stop", "another signal", put("stop", kill_signal=9)),
    ("stop", "before it was sent", put("stop", t_ns=BASE + 4 * S)),
    ("exit", "no exit", drop("exit")),
    ("exit", "two exits", twice("exit")),
    ("exit", "killed", put("exit", grace_kill=True)),
    ("exit", "another code", put("exit", code=1)),
    ("summary", "no summary", drop("summary")),
    ("summary", "fewer holds than lines", lambda ls: ls[-1]["nodes"][0].update(holds=1)),
    ("summary", "another longest hold", lambda ls: ls[-1]["nodes"][0].update(max_hold_ns=5)),
    ("summary", "fewer tokens than lines", lambda ls: ls[-1]["nodes"][0].update(tokens=3)),
    ("summary", "other abandoned tokens",
     lambda ls: ls[-1]["nodes"][0].update(tokens_abandoned=3)),
    ("summary", "lost records", put("summary", records_lost=1)),
    ("summary", "a node is missing", lambda ls: ls[-1].update(nodes=[])),
]


@pytest.mark.parametrize("check", everything(right()))
def test_right_lines_pass(check):
    assert everything(right())[check]() == []


@pytest.mark.parametrize("check,what,change", WRONG, ids=[f"{check}: {what}" for check, what, _ in WRONG])
def test_sees(check, what, change):
    lines = copy.deepcopy(right())
    change(lines)
    assert everything(lines)[check](), f"{check} does not see: {what}"


LIVE = b"a\nb\n"


def test_an_equal_replay_passes():
    assert checks.check_replay(LIVE, b"a\nb\n", 0, "") == []


@pytest.mark.parametrize("other,code", [
    pytest.param(b"a\nc\n", 0, id="a byte"),
    pytest.param(b"a\n", 0, id="a line less"),
    pytest.param(b"a\nb\nc\n", 0, id="a line more"),
    pytest.param(b"a\nb", 0, id="the last newline"),
    pytest.param(LIVE, 1, id="the exit code"),
])
def test_sees_another_replay(other, code):
    assert checks.check_replay(LIVE, other, code, "")


DROP_TIME = [(11, BASE, BASE + S)]
BY_DORA = line("warning", BASE + 600 * MS, kind="gil_hold", severity="notice", pid=11,
               cause="dora_internal", held_ns=500 * MS, resolved=False)


def test_a_hold_of_doras_own_is_no_false_warning():
    assert checks.check_no_warnings([BY_DORA], inside_dora=DROP_TIME) == []


@pytest.mark.parametrize("fields", [
    pytest.param({"cause": "gil_native"}, id="another cause"),
    pytest.param({"pid": 12}, id="another process"),
    pytest.param({"t_ns": BASE + 2 * S}, id="after it"),
    pytest.param({"held_ns": S}, id="a hold from before"),
])
def test_sees_a_false_warning(fields):
    assert checks.check_no_warnings([{**BY_DORA, **fields}], inside_dora=DROP_TIME)


if __name__ == "__main__":
    PYTEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pytest.sh")
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], os.path.abspath(__file__)])
