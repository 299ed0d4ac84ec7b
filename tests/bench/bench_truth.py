#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Is it true, what the probe says, and right, what its guard does? Random scenarios (truth_draw.py).

Each scenario is run twice. The control run, without the probe, measures what is true: whether another thread got
the GIL, who computed, and how many SIGINTs end the node. Then the same with the probe: the cause that its
warnings and exit give, and what its guard did, are compared with that. A scenario whose control run is not what
the table says is left out of the figures and told.

    bench_truth.py [--count N] [--seed N] [--only TROUBLE] [--dora VERSION]

Results also go to build/bench-truth.json. Exit code 0 unless a scenario itself broke.
"""

import argparse
import concurrent.futures
import ctypes
import dataclasses
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import checks  # noqa: E402
import truth_draw  # noqa: E402
from flow import Flow, env_of, now, receiver, sender, start_time, wait_until  # noqa: E402
from probe import BINARY, Probe  # noqa: E402
from truth_draw import CAUSES, EARLIER, FREE, LASTS  # noqa: E402

MS, S = checks.MS, checks.S
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBC = ctypes.CDLL(None)
TICK_NS = S // os.sysconf("SC_CLK_TCK")
APART = 1.5  # seconds between two SIGINTs of the control run
TOLD = ("not_polling", "gil_hold", "deadlock", "stop_pending", "deadline", "token_pending", "gil_share", "convoy")


@dataclasses.dataclass
class Control:
    measured: str | None = None  # a key of CAUSES
    signals: int | None = None   # SIGINTs after which it had left; 0 by itself; None: four did not end it
    worst: float = 0             # seconds for which a thread that wanted the GIL did not get it
    seconds: float = 0           # from Stop, or the last signal, to its end


@dataclasses.dataclass
class Seen:
    causes: list = dataclasses.field(default_factory=list)
    said: list = dataclasses.field(default_factory=list)  # the same, with their kinds and places
    sent: int = 0
    actions: list = dataclasses.field(default_factory=list)
    exit: dict | None = None
    interrupted: bool = False


@dataclasses.dataclass
class Result:
    case: truth_draw.Case
    control: Control | None = None
    seen: Seen | None = None
    cause: str | None = None  # right, wrong, unknown; None: not asked
    guard: str | None = None  # right, wrong; None: not asked
    blamed: bool = False      # the GIL, which was free
    worse: bool = False       # than without the probe
    broken: str = ""
    unsound: str = ""


# ---- one dataflow --------------------------------------------------------------------------------

def start(case, directory, witness):
    opts = {"trouble": case.trouble, "thread": case.thread, "api": case.api, "at": 0.3}
    if case.length:
        opts["for"] = case.length
    if case.cleanup != "none":
        opts.update(cleanup=case.cleanup, clean=case.clean)
    if witness:
        opts["witness"] = True
    nodes = [sender(period_ms=100, size=case.size), receiver("node", script="trouble.py", **opts)]
    # It is no sender, but its loops may be given the means: an output of its own.
    return Flow(case.version, nodes, directory, mode="coordinator", limit=100).start()


def until(when, what):
    wait_until(lambda: now() >= when, max(0, (when - now()) / S) + 5, what, 0.005)


def cpu_of(pid):
    """{tid: CPU time in ns} of a process."""
    out = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{tid}/stat") as f:
                part = f.read().rsplit(")", 1)[1].split()
            out[int(tid)] = (int(part[11]) + int(part[12])) * TICK_NS
        except (FileNotFoundError, ProcessLookupError):
            pass
    return out


def measure(flow, pid, told):
    """What is true of the trouble in a stretch of two seconds: (key of CAUSES, longest wait for the GIL)."""
    until(told["t0"] + int(0.8 * S), "the beginning of the measurement")
    begin, before = now(), cpu_of(pid)
    until(begin + 2 * S, "the end of the measurement")
    end, after = now(), cpu_of(pid)
    own = (after.get(told["tid"], 0) - before.get(told["tid"], 0)) / (end - begin)
    rest = sum(after.values()) - sum(before.get(t, 0) for t in after)
    others = rest / (end - begin) - own
    lines = [o for o in flow.said("node", "witness") if begin <= o["t"] and o["since"] <= end]
    got = sorted([begin, *(o["t"] for o in lines if o["t"] <= end), end])
    silent = max(b - a for a, b in zip(got, got[1:]))
    worst = max([silent - 300 * MS] + [o["worst"] for o in lines])
    typical = statistics.median(o["median"] for o in lines) if lines else worst
    if silent >= 1200 * MS:
        return "held", worst / S
    if typical >= 60 * MS and own >= 0.4:
        return "calls", worst / S
    if typical >= 12 * MS and others >= 0.4:
        return "taken", worst / S
    if own >= 0.4:
        return ("python" if typical >= 3 * MS else "computes"), worst / S
    return ("pool" if others >= 0.4 else "asleep"), worst / S


def gone(pid, born):
    return start_time(pid) != born


def send(case, pid, told):
    """To whom the guard would send it: who holds the GIL asleep, else main."""
    held = case.kind.measured in ("held", "deadlock") and not case.kind.spins
    LIBC.tgkill(pid, told["tid"] if held else pid, signal.SIGINT)


def signalled(case, flow, pid, told):
    """SIGINTs until it has left: (how many, seconds after the last one)."""
    born = flow.known[pid]
    until(flow.stop_ns + int(1.5 * S), "the time after Stop")
    if gone(pid, born):
        return 0, 0.0
    for attempt in range(1, 5):
        send(case, pid, told)
        sent = now()
        while now() < sent + APART * S:
            if gone(pid, born):
                return attempt, (now() - sent) / S
            time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return None, 0.0


def control_run(case, directory):
    flow = start(case, directory, witness=True)
    try:
        flow.go()
        pid = flow.pid("node")
        told = flow.wait_said("node", "trouble", 20)[0]
        out = Control()
        if case.kind.measured:
            out.measured, out.worst = measure(flow, pid, told)
            if out.measured == "held" and case.kind.measured == "deadlock":
                out.measured = "deadlock"  # that it never ends is told by its end
        if not case.stop:
            return out
        until(told["t0"] + int(LASTS * S), "the time of Stop")
        if case.ends:
            flow.stop(f"{case.grace * 1000:.0f}ms")
            flow.wait_gone(case.grace * 1.5 + 10)
            out.seconds = (now() - flow.stop_ns) / S
            out.signals = 0 if flow.said("node", "bye") else None
        else:
            flow.stop("14s")
            out.signals, out.seconds = signalled(case, flow, pid, told)
        return out
    finally:
        flow.cleanup()


# ---- with the probe ------------------------------------------------------------------------------

def watch(flow, case, directory):
    args = ["--pid", ",".join(map(str, flow.pids().values())), "--shutdown", "nudge"]
    if case.nudge_after is not None:
        args += ["--nudge-after", f"{case.nudge_after * 1000:.0f}ms"]
    probe = Probe(args, directory).start()
    probe.wait_attached([flow.pid("node")], 20)
    return probe


def end_of_trouble(flow, lines, pid):
    """Until when the trouble was as it had begun: its own end, or the first signal."""
    over = [o["t"] for o in flow.said("node", "over")]
    sent = [o["t_ns"] for o in checks.lines_of(lines, "action", pid=pid, result="sent")]
    return min(over + sent, default=1 << 63)


def note(flow, case, lines, pid, told):
    seen = Seen(interrupted=bool(flow.said("node", "interrupted")))
    end = end_of_trouble(flow, lines, pid)
    for o in checks.lines_of(lines, "warning", pid=pid):
        if o["kind"] in TOLD and not o["resolved"] and told["t0"] <= o["t_ns"] <= end:
            seen.said.append((o["kind"], o["cause"], o["function"], round((o["t_ns"] - told["t0"]) / S, 1)))
    for o in checks.lines_of(lines, "action", pid=pid):
        at = (o["t_ns"] - flow.stop_ns) / S if flow.stop_ns else 0
        seen.actions.append((round(at, 1), o["action"], o["result"], o["reason"]))
        seen.sent += o["result"] == "sent"
    exits = checks.lines_of(lines, "exit", pid=pid)
    seen.exit = exits[0] if exits else None
    if seen.exit and seen.exit["grace_kill"]:
        seen.said.append(("exit", seen.exit["cause"], None, None))
    seen.causes = [c for _, c, _, _ in seen.said if c not in (None, "unknown")]
    return seen


def probed_run(case, directory):
    flow = start(case, directory, witness=False)
    probe = None
    try:
        pid = flow.pid("node")
        if case.attach == "before":
            probe = watch(flow, case, directory)
        flow.go()
        told = flow.wait_said("node", "trouble", 20)[0]
        if case.attach == "during":
            until(told["t0"] + int(1.5 * S), "the middle of the trouble")
            probe = watch(flow, case, directory)
        until(told["t0"] + int(LASTS * S), "the time of Stop")
        if case.stop:
            flow.stop(f"{case.grace * 1000:.0f}ms")
            if case.attach == "after_stop":
                until(flow.stop_ns + int(1.2 * S), "the time after Stop")
                probe = watch(flow, case, directory)
            flow.wait_gone(case.grace * 1.5 + 10)
            probe.end(None, 10)
        else:
            until(told["t0"] + int(7.5 * S), "the end")
            probe.end()
        return note(flow, case, probe.events(), pid, told)
    finally:
        if probe and probe.proc.poll() is None:
            probe.end(signal.SIGKILL)
        flow.cleanup()


# ---- the verdict ---------------------------------------------------------------------------------

def judge_cause(r):
    want = CAUSES[r.control.measured]
    also = EARLIER.get(r.control.measured, ())
    r.blamed = r.control.measured in FREE and any(
        c in ("gil_native", "gil_contention", "deadlock", "dora_internal") for c in r.seen.causes)
    if [c for c in r.seen.causes if c not in want + also]:
        return "wrong"
    return "right" if [c for c in r.seen.causes if c in want] else "unknown"


def judge_guard(r):
    c, s = r.control, r.seen
    saved = bool(s.exit) and s.exit["saved"] and not s.exit["grace_kill"]
    if c.signals == 0:
        r.worse = s.interrupted or not s.exit or s.exit["grace_kill"] or s.exit["code"] != 0
        return "right" if not s.sent and not r.worse else "wrong"
    if c.signals is None:
        # Nothing is lost by a try; what matters is that it is not called saved.
        return "right" if s.exit and s.exit["grace_kill"] and not s.exit["saved"] else "wrong"
    return "right" if saved and s.sent == c.signals else "wrong"


def judge(r):
    kind = r.case.kind
    if kind.measured and r.control.measured != kind.measured:
        r.unsound = f"measured {r.control.measured} ({r.control.worst:.2f} s), the table says {kind.measured}"
        return
    if r.case.ends and r.case.stop and r.control.signals != 0:
        r.unsound = "it does not end by itself in time"
        return
    if kind.measured:
        r.cause = judge_cause(r)
    if r.case.stop:
        r.guard = judge_guard(r)


def run(case, keep):
    r = Result(case)
    directory = tempfile.mkdtemp(prefix="dora-probe-truth-")
    try:
        for name, f in (("control", control_run), ("seen", probed_run)):
            sub = os.path.join(directory, name)
            os.mkdir(sub)
            setattr(r, name, f(case, sub))
        judge(r)
    except Exception:
        r.broken = traceback.format_exc().strip().splitlines()[-1]
    bad = r.broken or r.unsound or "wrong" in (r.cause, r.guard) or r.cause == "unknown"
    if keep and bad:
        r.case = dataclasses.replace(case)
        print(f"    kept: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return r


PRINT = threading.Lock()


def show(r):
    with PRINT:
        if r.broken or r.unsound:
            print(f"  ----  {r.case}\n        {r.broken or r.unsound}", flush=True)
            return
        c = r.control
        ends = {0: "ends by itself", None: "no SIGINT ends it"}.get(c.signals, f"{c.signals} SIGINT end it")
        print(f"  cause {r.cause or '-':8} guard {r.guard or '-':6} {r.case}", flush=True)
        if r.cause in ("wrong", "unknown") or r.guard == "wrong":
            print(f"        control: {c.measured}" + (f", {ends} ({c.seconds:.1f} s)" if r.case.stop else ""))
            print(f"        said: {r.seen.said}")
            for a in r.seen.actions:
                print(f"        action {a}")
            x = r.seen.exit or {}
            print("        exit:", {k: x.get(k) for k in ("code", "signal", "reason", "cause", "saved", "grace_kill")},
                  "interrupted" if r.seen.interrupted else "", flush=True)


def per_cent(n, of):
    return f"{100 * n / of:.1f} %" if of else "-"


def figures(results):
    """[(what, value, target)], as they are printed."""
    cause = [r for r in results if r.cause]
    guard = [r for r in results if r.guard]
    n, g = len(cause), len(guard)
    count = {v: sum(r.cause == v for r in cause) for v in ("right", "wrong", "unknown")}
    return [
        ("cause right", f"{count['right']} of {n} ({per_cent(count['right'], n)})", ">= 95 %"),
        ("cause wrong", f"{count['wrong']} of {n} ({per_cent(count['wrong'], n)})", "<= 1 %"),
        ("cause not known", f"{count['unknown']} of {n} ({per_cent(count['unknown'], n)})", ""),
        ("GIL blamed where it was free", f"{sum(r.blamed for r in cause)}", "0"),
        ("guard right", f"{sum(r.guard == 'right' for r in guard)} of {g} "
                        f"({per_cent(sum(r.guard == 'right' for r in guard), g)})", ">= 95 %"),
        ("nodes made worse", f"{sum(r.worse for r in guard)}", "0"),
        ("left out: the control run is not what was drawn", f"{sum(bool(r.unsound) for r in results)}", ""),
        ("broken", f"{sum(bool(r.broken) for r in results)}", "0"),
    ]


def run_all(cases, keep):
    """What keeps a CPU busy one at a time, of the others two at a time."""
    out = []

    def one(case):
        r = run(case, keep)
        show(r)
        out.append(r)

    with concurrent.futures.ThreadPoolExecutor(1) as spinners, concurrent.futures.ThreadPoolExecutor(2) as others:
        for f in [(spinners if c.kind.spins else others).submit(one, c) for c in cases]:
            f.result()
    return sorted(out, key=lambda r: r.case.number)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--count", type=int, default=60)
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--only", action="append", default=[], help="troubles with this in their names")
    p.add_argument("--dora", action="append", default=[], help="default: 0.3.12, 0.4.1, 0.5.0, 1.1.0, as far as they are here")
    p.add_argument("--keep", action="store_true", help="keep the files of what was not right")
    a = p.parse_args()
    if not os.access(BINARY, os.X_OK):
        print(f"no {BINARY}: run make first", file=sys.stderr)
        return 2
    versions = [v for v in a.dora or ("0.3.12", "0.4.1", "0.5.0", "1.1.0") if env_of(v)]
    if not versions:
        print("no dora here: tests/setup/dora_env.sh 0.5.0", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else int(time.time()) % 1_000_000
    print(f"seed {seed}, {a.count} scenarios, dora {', '.join(versions)}; {os.cpu_count()} CPUs, Linux "
          f"{os.uname().release}, load {os.getloadavg()[0]:.2f} at the start", flush=True)
    results = run_all(truth_draw.cases(random.Random(seed), a.count, versions, a.only), a.keep)
    rows = figures(results)
    for what, value, target in rows:
        print(f"  {what}: {value}" + (f" (must be {target})" if target else ""))
    os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
    with open(os.path.join(TOP, "build", "bench-truth.json"), "w") as f:
        json.dump({"seed": seed, "dora": versions, "figures": rows,
                   "results": [dataclasses.asdict(r) for r in results]}, f, indent=1)
    return 1 if any(r.broken for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
