# SPDX-License-Identifier: MIT
"""Compares what the probe said with what the nodes know.

Each check takes plain lists of dictionaries (lines of the probe, lines of truth) and returns what
is wrong, as sentences: an empty list is a pass. tests/e2e/selftest.py shows that each of them fails
on lines that are wrong.
"""

import schema

MS = 1_000_000
S = 1_000_000_000

# Slack for the Python code around a node's timestamps.
TOLERANCE = 1 * MS
# Holds that are sure to be proven longer than the default threshold of 50 ms: the bracket of an
# uncontended start may take up to 60 ms, that of its end up to 12 ms.
SURE = 150 * MS
START_BRACKET = 60 * MS
END_BRACKET = 12 * MS


def ms(ns):
    return "null" if ns is None else f"{ns / 1e6:.3f} ms"


def overlap(a0, a1, b0, b1):
    return max(0, min(a1, b1) - max(a0, b0))


def lines_of(lines, event, **fields):
    return [o for o in lines
            if o.get("event") == event and all(o.get(k) == v for k, v in fields.items())]


def check_schema(raw_lines):
    """Every line is one JSON object that the contract allows."""
    out = []
    for line in raw_lines:
        if line.error:
            out.append(f"no JSON ({line.error}): {line.raw[:120]!r}")
        else:
            out += [p + f": {line.raw[:160].decode(errors='replace')}"
                    for p in schema.problems_of(line.obj)]
    if raw_lines and raw_lines[0].obj and raw_lines[0].obj.get("event") != "start":
        out.append("the first line is no `start`")
    summaries = [n for n, line in enumerate(raw_lines)
                 if line.obj and line.obj.get("event") == "summary"]
    if summaries and summaries != [len(raw_lines) - 1]:
        out.append("the summary is not the last line, or not the only one")
    return out


def never(pid, tid, begin, end):
    return 0


def check_holds(lines, truth, since, until, threshold=50 * MS, waiters=(), allowed=(),
                starved=never):
    """Each deliberate hold in [since, until] has its one line, and no line is without a hold.

    allowed: further [tid or None, from, to, wanted `native` value or "any"] stretches in which a
    line is right though no hold was laid down (a phase of dora's own, pure Python of a lone
    thread).
    """
    out = []
    pid = truth[0]["pid"] if truth else None
    holds = [t for t in truth if t["kind"] == "hold" and t["t0"] >= since and t["t1"] <= until]
    said = lines_of(lines, "gil_hold", pid=pid)
    used = set()
    for h in holds:
        length = h["t1"] - h["t0"]
        mine = [n for n, o in enumerate(said) if o["tid"] == h["tid"] and
                overlap(o["start_ns"], o["end_ns"], h["t0"], h["t1"]) > 0]
        used.update(mine)
        what = f"hold {h['how']} of {ms(length)} by {h['tid']} at {h['t0']}"
        if not mine:
            if length >= threshold + START_BRACKET + END_BRACKET + 10 * MS:
                out.append(f"{what}: no line")
            continue
        if len(mine) > 1:
            out.append(f"{what}: {len(mine)} lines")
        o = said[mine[0]]
        out += check_bracket(o, h, what)
        if o["precision"] == "unconfirmed":
            out.append(f"{what}: unconfirmed")
        for field in ("function", "line"):
            if o[field] != h[field]:
                out.append(f"{what}: {field} {o[field]!r}, truth {h[field]!r}")
        if not (o["file"] or "").endswith("holds.py"):
            out.append(f"{what}: file {o['file']!r}")
        if o["native"] is not True:
            out.append(f"{what}: native is {o['native']}")
        if o["off_cpu_ns"] is not None:
            part = o["off_cpu_ns"] / max(1, o["duration_ns"])
            if h["how"] == "usleep" and part < 0.9:
                out.append(f"{what}: slept, but off the CPU only {part:.0%}")
            if o["off_cpu_ns"] > o["duration_ns"] + TOLERANCE:
                out.append(f"{what}: off the CPU longer than it lasted")
        missing = set(waiters) - set(o["waiters"])
        if missing and length >= SURE:
            out.append(f"{what}: waiter {missing} not named")
    phases = [(t["tid"], t["t0"], t["t1"], "any") for t in truth if t["kind"] == "phase"]
    last = max((t["t"] for t in truth), default=0)
    for n, o in enumerate(said):
        if n in used or o["end_ns"] < since or o["start_ns"] > until:
            continue
        if o["start_ns"] >= last - TOLERANCE:
            continue  # the interpreter's own end: nobody writes truth any more
        if o["duration_ns"] - starved(pid, o["tid"], o["start_ns"], o["end_ns"]) < threshold:
            continue
        for tid, t0, t1, native in list(phases) + list(allowed):
            if (tid in (None, o["tid"]) and o["start_ns"] >= t0 - TOLERANCE and
                    o["end_ns"] <= t1 + 10 * MS and native in ("any", o["native"])):
                break
        else:
            out.append(f"false hold: {ms(o['duration_ns'])} by {o['tid']} in {o['function']} "
                       f"({o['file']}:{o['line']}), {o['precision']}, native {o['native']}, "
                       f"start {o['start_ns']}")
    return out


def check_bracket(o, h, what="hold", tolerance=TOLERANCE):
    """The true take lies in [start_lo, start], the true release in [end, end_hi]."""
    out = []
    if o["start_ns"] < h["take_lo"] - tolerance:
        out.append(f"{what}: starts {ms(h['take_lo'] - o['start_ns'])} too early")
    if o["start_lo_ns"] is not None and o["start_lo_ns"] > h["t0"] + tolerance:
        out.append(f"{what}: start_lo is {ms(o['start_lo_ns'] - h['t0'])} after the true start")
    if o["end_ns"] > h["release_hi"] + tolerance:
        out.append(f"{what}: ends {ms(o['end_ns'] - h['release_hi'])} too late")
    if o["end_hi_ns"] is not None and o["end_hi_ns"] < h["t1"] - tolerance:
        out.append(f"{what}: end_hi is {ms(h['t1'] - o['end_hi_ns'])} before the true end")
    if o["precision"] in ("exact", "bounded"):
        if o["start_lo_ns"] is None or o["end_hi_ns"] is None:
            out.append(f"{what}: {o['precision']}, but a bound is null")
    return out


def check_waits(lines, truth, since, until, waiter=None):
    """Each contended hold makes a wait that ends with it."""
    out = []
    pid = truth[0]["pid"]
    for h in truth:
        if h["kind"] != "hold" or not (since <= h["t0"] and h["t1"] <= until):
            continue
        if h["t1"] - h["t0"] < SURE:
            continue
        mine = [o for o in lines_of(lines, "gil_wait", pid=pid)
                if o["holder_tid"] == h["tid"] and
                overlap(o["start_ns"], o["end_ns"], h["t0"], h["t1"]) > 0 and
                (waiter is None or o["tid"] == waiter)]
        what = f"hold of {ms(h['t1'] - h['t0'])} by {h['tid']}"
        if not mine:
            out.append(f"{what}: nobody is said to wait for it")
        for o in mine:
            if o["tid"] == h["tid"]:
                out.append(f"{what}: waits for itself")
            if o["end_ns"] < h["t1"] - TOLERANCE:
                out.append(f"{what}: a wait for it ends {ms(h['t1'] - o['end_ns'])} before it")
    return out


ORDER = ("sent_ns", "delivered_ns", "mapped_ns", "released_ns", "reported_ns", "returned_ns")


def check_tokens(lines, sent, receivers, since, until, owner="send"):
    """Every message sent in [since, until] has one token line per receiver, with times in order."""
    out = []
    tokens = lines_of(lines, "token")
    seen = {}
    for o in tokens:
        key = (o["token"], o["receiver"])
        # What was mapped when the probe came has no name: there may be many of it.
        if key in seen and o["token"] is not None:
            out.append(f"token {o['token']} of {o['receiver']} is printed twice")
        seen[key] = o
        times = [o[f] for f in ORDER if o[f] is not None]
        if times != sorted(times):
            out.append(f"token {o['token']}: times out of order "
                       + ", ".join(f"{f} {o[f]}" for f in ORDER))
        if o["state"] == "returned" and o["reported_ns"] is None and o["returned_ns"] is None:
            out.append(f"token {o['token']}: returned, but neither reported nor returned when")
        if o["state"] == "abandoned" and o["reported_ns"] is not None:
            out.append(f"token {o['token']}: abandoned although reported")
        if o["cause"] is not None and o["cause"] not in schema.CAUSES:
            out.append(f"token {o['token']}: cause {o['cause']!r}")
    for receiver in receivers:
        mine = sorted((o for o in tokens if o["receiver"] == receiver and o["sent_ns"]),
                      key=lambda o: o["sent_ns"])
        n = 0
        for s in sent:
            if s["t0"] < since or s["t1"] > until:
                continue
            while n < len(mine) and mine[n]["sent_ns"] < s["t0"] - TOLERANCE:
                n += 1
            if n >= len(mine) or mine[n]["sent_ns"] > s["t1"] + TOLERANCE:
                out.append(f"message {s['n']} to {receiver} has no token line")
                continue
            if owner and mine[n]["owner"] != owner:
                out.append(f"token {mine[n]['token']}: owner {mine[n]['owner']!r}")
            n += 1
        window = [o for o in mine if since <= o["sent_ns"] <= until]
        count = sum(1 for s in sent if s["t0"] >= since and s["t1"] <= until)
        if len(window) > count + 2:
            out.append(f"{len(window)} token lines for {count} messages to {receiver}")
    return out


def pending_ns(o):
    """How long a token was pending by the README's definition; None when that is not known."""
    begin = o["delivered_ns"] or o["sent_ns"]
    end = o["reported_ns"] or o["returned_ns"]
    if end is None and o["state"] in ("abandoned", "open"):
        end = o["given_up_ns"] or o["t_ns"]
    return end - begin if begin and end else None


def outside(begin, end, holds):
    """The parts of [begin, end] that no hold covers."""
    parts = []
    for h in sorted(holds, key=lambda h: h["t0"]):
        if h["t0"] > begin:
            parts.append({"t0": begin, "t1": min(end, h["t0"])})
        begin = max(begin, h["t1"])
        if begin >= end:
            return parts
    return [*parts, {"t0": begin, "t1": end}]


def check_gil_share(lines, holds, receiver, pid=None, starved=never, phases=()):
    """`gil_held_ns` of each token is the overlap of its life with the true holds.

    phases: stretches in which dora itself may have held the GIL, for all or none of them.
    Of the proven part, of course: an uncontended hold may be proven up to a start and an end
    bracket shorter than it was, never longer.
    """
    out = []
    for o in lines_of(lines, "token", receiver=receiver):
        begin, end = o["delivered_ns"], o["released_ns"] or o["reported_ns"]
        if not begin or not end or o["state"] == "lost":
            continue
        true = sum(overlap(begin, end, h["t0"], h["t1"]) for h in holds)
        count = sum(1 for h in holds if overlap(begin, end, h["t0"], h["t1"]) > 0)
        said = o["gil_held_ns"]
        if true < 20 * MS and not said:
            continue
        mercy = starved(pid, None, begin, end)
        mercy += sum(overlap(begin, end, p["t0"], p["t1"] + 20 * MS) for p in phases)
        if said is None:
            out.append(f"token {o['token']}: gil_held_ns is null, truth {ms(true)}")
            continue
        # Beyond 5 %: what the brackets may leave out, and short holds that are below notice.
        low = true * 0.95 - count * (START_BRACKET + END_BRACKET)
        high = true * 1.05 + count * 2 * MS + 5 * MS + mercy
        if not low <= said <= high:
            out.append(f"token {o['token']}: gil_held_ns {ms(said)}, truth {ms(true)} "
                       f"of {ms(end - begin)}")
    return out


def check_causes(lines, receiver, least, want, window=None, few=0):
    """Tokens pending for `least` or longer have a cause of `want`; `few` may have another one."""
    out = []
    wrong = []
    right = 0
    for o in lines_of(lines, "token", receiver=receiver):
        p = pending_ns(o)
        if p is None or p < least:
            continue
        if window and not (window[0] <= (o["delivered_ns"] or 0) <= window[1]):
            continue
        if o["cause"] in want:
            right += 1
        else:
            wrong.append(f"token {o['token']} pending {ms(p)}, {o['state']}: cause {o['cause']!r}, "
                         f"want {'/'.join(want)}")
    if not right:
        out.append(f"no token pending at least {ms(least)} with cause {'/'.join(want)}")
    if len(wrong) > few:
        out += wrong[:5]
        if len(wrong) > 5:
            out.append(f"… {len(wrong) - 5} more with a wrong cause, {right} right")
    return out


def check_no_warnings(lines, kinds=("token_pending", "gil_hold", "stop_pending", "deadline",
                                    "deadlock"), inside_dora=()):
    """No warning of `kinds` is raised.

    inside_dora: (pid, t0, t1) in which a node created or dropped its node object: dora may keep
    the GIL for long then, and a warning that says so, of a hold within that time, is right.
    """
    def by_dora(o):
        # held_ns is as of the line, which comes a moment after t_ns, when the threshold was crossed.
        return o["cause"] == "dora_internal" and any(
            o["pid"] == pid and t0 <= o["t_ns"] <= t1 + TOLERANCE and
            (o["held_ns"] or 0) <= o["_arrival_ns"] - t0 + TOLERANCE for pid, t0, t1 in inside_dora)
    return [f"false warning: {o['kind']} {o['severity']} {o['cause']} held {ms(o['held_ns'])} "
            f"in {o['function']}" for o in lines_of(lines, "warning")
            if o["kind"] in kinds and not o["resolved"] and not by_dora(o)]


def check_warning(lines, kind, pid, begin, end, least, cause=None, place=None, resolved=True,
                  late=100 * MS, early=TOLERANCE):
    """A warning of `kind` is raised within `late` of the moment at which `begin + least` is
    reached, before `end`, both in the model's time and on the screen; then it is resolved."""
    out = []
    mine = [o for o in lines_of(lines, "warning", kind=kind, pid=pid)]
    raised = [o for o in mine if not o["resolved"] and begin <= o["t_ns"] <= end + TOLERANCE]
    what = f"warning {kind} of {pid}"
    if not raised:
        return [f"{what}: none raised between {begin} and {end} "
                f"(raised: {[o['t_ns'] - begin for o in mine if not o['resolved']]})"]
    first = raised[0]
    if first["t_ns"] < begin + least - early:
        out.append(f"{what}: raised {ms(begin + least - first['t_ns'])} too early")
    if first["t_ns"] > begin + least + START_BRACKET + late:
        out.append(f"{what}: raised {ms(first['t_ns'] - begin - least)} after the threshold")
    if first["_arrival_ns"] > end:
        out.append(f"{what}: on the screen only {ms(first['_arrival_ns'] - end)} after the end")
    if cause and first["cause"] not in cause:
        out.append(f"{what}: cause {first['cause']!r}, want {'/'.join(cause)}")
    if place:
        for field in ("function", "line"):
            if field in place and first[field] != place[field]:
                out.append(f"{what}: {field} {first[field]!r}, truth {place[field]!r}")
        if "tid" in place and first["holder_tid"] != place["tid"]:
            out.append(f"{what}: holder {first['holder_tid']}, truth {place['tid']}")
    if not first["advice"]:
        out.append(f"{what}: no advice")
    if resolved and not any(o["resolved"] and o["t_ns"] >= first["t_ns"] for o in mine):
        out.append(f"{what}: never resolved")
    return out


def check_exit(lines, pid, **want):
    """Exactly one exit line of `pid`, with these fields (a callable is a predicate)."""
    got = lines_of(lines, "exit", pid=pid)
    if len(got) != 1:
        return [f"{len(got)} exit lines of {pid}"]
    out = []
    for field, value in want.items():
        v = got[0][field]
        if not (value(v) if callable(value) else v == value):
            out.append(f"exit of {pid}: {field} is {v!r}" +
                       ("" if callable(value) else f", want {value!r}"))
    return out


def check_stop(lines, pid, sent_ns, reason="stop", kill_signal=None, deadline=None):
    """A stop line of `pid` soon after the Stop was sent."""
    got = [o for o in lines_of(lines, "stop", pid=pid) if o["reason"] == reason]
    if not got:
        return [f"no stop line of {pid} with reason {reason}"]
    out = []
    o = got[0]
    if not sent_ns - TOLERANCE <= o["t_ns"] <= sent_ns + 1500 * MS:
        out.append(f"stop of {pid}: {ms(o['t_ns'] - sent_ns)} after it was sent")
    if deadline is not None:
        if o["deadline_ns"] is None or abs(o["deadline_ns"] - o["t_ns"] - deadline) > 100 * MS:
            left = None if o["deadline_ns"] is None else o["deadline_ns"] - o["t_ns"]
            out.append(f"stop of {pid}: deadline in {ms(left)}, want {ms(deadline)}")
    if kill_signal and o["kill_signal"] not in kill_signal:
        out.append(f"stop of {pid}: kill signal {o['kill_signal']!r}")
    return out


def check_summary(lines, token_lines_complete=True):
    """The summary agrees with the lines before it."""
    got = lines_of(lines, "summary")
    if len(got) != 1:
        return [f"{len(got)} summary lines"]
    out = []
    s = got[0]
    if s["records"] <= 0:
        out.append("summary: no records")
    if s["records_lost"]:
        out.append(f"summary: {s['records_lost']} records lost")
    entry = {o["pid"]: (o["dataflow"], o["node"] or o["pid"]) for o in lines_of(lines, "node")}
    summed = [(n["dataflow"], n["node"] or n["pid"]) for n in s["nodes"]]
    if set(entry.values()) - set(summed) or len(summed) != len(set(summed)):
        out.append(f"summary: watched {entry}, summed up {summed}")
    for n in s["nodes"]:
        # A node that dora starts anew is another process, and has one row with the first.
        lives = [pid for pid, e in entry.items() if e == (n["dataflow"], n["node"])] or [n["pid"]]
        holds = [o for pid in lives for o in lines_of(lines, "gil_hold", pid=pid)]
        proven = [o for o in holds if o["precision"] != "unconfirmed"]
        if n["holds"] < len(proven):
            out.append(f"summary of {n['node']}: {n['holds']} holds, {len(proven)} lines")
        longest = max(proven, key=lambda o: o["duration_ns"], default=None)
        if longest:
            if n["max_hold_ns"] != longest["duration_ns"]:
                out.append(f"summary of {n['node']}: longest hold {ms(n['max_hold_ns'])}, "
                           f"lines say {ms(longest['duration_ns'])}")
            if longest["function"] and longest["function"] not in (n["max_hold_function"] or ""):
                out.append(f"summary of {n['node']}: longest hold in {n['max_hold_function']!r}, "
                           f"lines say {longest['function']!r}")
            if n["gil_held_ns"] < longest["duration_ns"]:
                out.append(f"summary of {n['node']}: held less in all than in the longest hold")
        tokens = [o for o in lines_of(lines, "token", receiver=n["node"], dataflow=n["dataflow"])
                  if o.get("receiver_pid") in (None, *lives)]
        if token_lines_complete and tokens:
            if n["tokens"] < len(tokens):
                out.append(f"summary of {n['node']}: {n['tokens']} tokens, {len(tokens)} lines")
            abandoned = sum(1 for o in tokens if o["state"] == "abandoned")
            if n["tokens_abandoned"] != abandoned:
                out.append(f"summary of {n['node']}: {n['tokens_abandoned']} tokens abandoned, "
                           f"lines say {abandoned}")
    return out


def check_replay(live, replayed, code, stderr):
    """The replay's bytes are those of the live run."""
    if code != 0:
        return [f"replay ended with {code}: {stderr.strip()[-300:]}"]
    if live == replayed:
        return []
    a, b = live.splitlines(), replayed.splitlines()
    for n, (x, y) in enumerate(zip(a, b)):
        if x != y:
            return [f"replay differs in line {n + 1}:\n    live   {x.decode(errors='replace')}\n"
                    f"    replay {y.decode(errors='replace')}"]
    longer = a if len(a) > len(b) else b
    beyond = longer[min(len(a), len(b)):][:1] or [b"(line ends)"]
    return [f"replay has {len(b)} lines, live {len(a)}; the first beyond: "
            + beyond[0].decode(errors="replace")[:200]]
