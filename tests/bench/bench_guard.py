# SPDX-License-Identifier: MIT
"""Whether the shutdown guard saves nodes, leaves healthy ones alone, and foresees a kill."""

import checks
import concurrent.futures
import shutil
import tempfile

from figures import MS, S, bench, spread
from flow import Flow, now, receiver, sender, wait_until
from probe import Probe


def one_stop(b, version, step, args, grace, opts=None, on="main", seconds=40, pause=None,
             before=0):
    """A dataflow stopped while its receiver is busy in `step`; with `before`, it has been through
    one of that length already. Gives facts of the receiver."""
    top = tempfile.mkdtemp(prefix="dora-probe-bench-")
    plan_ = [{"at": 0.2, "do": step, "for": before, "on": on}] if before else []
    if step:
        plan_.append({"at": 0.2 + (before + 0.4 if before else 0), "do": step, "for": seconds,
                      "on": on})
    flow = Flow(version, [sender(), receiver(plan=plan_, **(opts or {}))], top,
                mode="coordinator" if grace else "run")
    probe = None
    try:
        flow.start()
        probe = Probe(["--pid", ",".join(map(str, flow.pids().values())), "--token-threshold", "0s",
                       *args], top, record=False).start()
        probe.wait_attached(list(flow.pids().values()))
        flow.go()
        pause = b.rng.uniform(0.4, 0.9) if pause is None else pause
        if before:
            flow.wait_said("recv", "step", 20)
            begun = now() + 350 * MS
        else:
            begun = flow.go_ns + 250 * MS
        wait_until(lambda: now() > begun + int(pause * S), 10, "the hold")
        flow.stop(f"{grace}s" if grace else None)
        recv = flow.pid("recv")
        wait_until(lambda: recv not in flow.alive(), 40, "end of the receiver", 0.005)
        took = (now() - flow.stop_ns) / S
        flow.wait_gone(20)
        probe.end(None, 10)
        lines = probe.events()
        exits = checks.lines_of(lines, "exit", pid=recv)
        stops = checks.lines_of(lines, "stop", pid=recv)
        return dict(took=took, exit=exits[0] if exits else None, stop_ns=flow.stop_ns,
                    stop=stops[0] if stops else None, lines=lines, pid=recv,
                    sent=flow.said("send", "sent"), closed=flow.closed_by_sender(),
                    holds=flow.said("recv", "hold"), phases=flow.said("recv", "phase"),
                    actions=[o for o in lines if o["event"] == "action" and o["pid"] == recv])
    finally:
        if probe and probe.proc.poll() is None:
            probe.end(9)
        flow.cleanup()
        shutil.rmtree(top, ignore_errors=True)


def many(b, jobs, at_once=3):
    """Runs one_stop for each job; those that break are counted, not hidden."""
    got, broken = [], []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for f in [pool.submit(one_stop, b, *j[:4], **j[4]) for j in jobs]:
            try:
                got.append(f.result())
            except Exception as e:
                broken.append(str(e)[:200])
    return got, broken


def versions_here(b):
    from flow import env_of
    all_ = ("0.3.12", "0.4.1", "0.5.0", "1.1.0") if b.full else (b.version,)
    return [v for v in all_ if env_of(v)]


@bench
def guard_300ms(b):
    """A node stuck in an interruptible call is down within 2 s of Stop with --nudge-after 300ms."""
    for version in versions_here(b):
        steps = ("usleep", "pow", "re", "usleep", "pow")
        jobs = [(version, steps[n % 5], ["--shutdown", "nudge", "--nudge-after", "300ms"], 10,
                 dict(opts={"interrupt": "leave"})) for n in range(10)]
        got, broken = many(b, jobs, 2)
        down = sum(1 for g in got if g["took"] < 2 and g["exit"] and not g["exit"]["grace_kill"])
        b.say(f"down within 2 s of Stop, dora {version}", down, "of 10", ("=", 10),
              "a hold of 40 s in C (sleeping, big integers, re), --nudge-after 300ms, grace 10 s",
              slowest=f"{max((g['took'] for g in got), default=0):.2f} s", broken=broken)
        late = [o["actions"][0]["_arrival_ns"] - o["stop"]["t_ns"] - 300 * MS
                for o in got if o["actions"] and o["stop"]]
        b.say(f"first audit line beyond --nudge-after, worst, dora {version}",
              max(late) / MS if late else None, "ms", ("<", 50),
              "arrival of the line minus Stop on the wire minus 300 ms", **spread(late))


@bench
def guard_default(b):
    """With the default time: before three quarters of the grace are gone."""
    for version in versions_here(b):
        jobs = [(version, ("usleep", "pow")[n % 2], ["--shutdown", "nudge"], 10,
                 dict(opts={"interrupt": "leave"})) for n in range(10)]
        got, broken = many(b, jobs, 3)
        down = sum(1 for g in got if g["took"] < 7.5 and g["exit"] and not g["exit"]["grace_kill"])
        b.say(f"down before three quarters of the grace, dora {version}", down, "of 10", ("=", 10),
              "as above without --nudge-after: 40 % of a grace of 10 s",
              slowest=f"{max((g['took'] for g in got), default=0):.2f} s", broken=broken)


def lost_tokens(got):
    """Tokens abandoned in each of the stops: (younger than 0.5 s at Stop, older), and the run."""
    ret = []
    for g in got:
        if not g["stop"]:
            continue
        lost = [o for o in checks.lines_of(g["lines"], "token", receiver="recv")
                if o["state"] == "abandoned"]
        young = [o for o in lost if o["delivered_ns"] and
                 o["delivered_ns"] > g["stop"]["t_ns"] - 500 * MS]
        ret.append((len(young), len(lost) - len(young), g))
    return ret


@bench
def guard_save_tokens(b):
    """--save-tokens: of tokens younger than 0.5 s at Stop none is lost."""
    args = ["--shutdown", "nudge", "--save-tokens", "--nudge-signal", "USR1"]
    got, broken = many(b, [(b.version, "usleep", args, 10,
                            dict(opts={"noop": "USR1", "drain": True}, pause=1.5 + n * 0.2))
                           for n in range(10 if b.full else 5)], 2)
    lost = lost_tokens(got)
    too_many = differ = 0
    for young, old, g in lost:
        first = g["actions"][0]["t_ns"] - g["stop"]["t_ns"] if g["actions"] else 0
        too_many += old > first / (100 * MS)
        differ += g["closed"] is not None and g["closed"] != young + old
    b.say("tokens lost that arrived less than 0.5 s before Stop", sum(o[0] for o in lost),
          "tokens", ("=", 0),
          f"{len(lost)} stops in a hold that began 1.5-3.3 s before, --save-tokens; the node takes "
          "its queued inputs before it leaves", broken=broken)
    b.say("runs with more than one older token lost per 100 ms until the nudge", too_many, "runs",
          ("=", 0), older_lost=sum(o[1] for o in lost))
    b.say("runs in which dora's own count of lost regions differs", differ, "runs", ("=", 0))
    # What a node loses that leaves its queue to dora: with the guard, and where there is nothing
    # for a guard to do, a node that slept without the GIL and is awake 0.3 s after Stop.
    for what, step, opts, seconds, noop in (
            ("in a hold, --save-tokens", "usleep", args, 40, {"noop": "USR1"}),
            ("asleep without the GIL until 0.3 s after Stop, no guard", "sleep", [], 2.6, {})):
        got, broken = many(b, [(b.version, step, opts, 10,
                                dict(opts=noop, pause=2.0, seconds=seconds)) for _ in range(5)], 1)
        lost = lost_tokens(got)
        b.say("tokens lost that arrived less than 0.5 s before Stop, by a node that leaves its "
              "queue to dora", sum(o[0] for o in lost), "tokens", None,
              f"{len(lost)} stops of a node that is {what}", older_lost=sum(o[1] for o in lost),
              broken=broken)


@bench
def guard_healthy(b):
    """A healthy node is never signalled."""
    count = 200 if b.full else 20
    jobs = []
    for n in range(count):
        kind = n % 4
        if kind == 0:
            job = (None, dict(seconds=0))
        elif kind == 1:
            # On the CPU, several at once take up to twice their time.
            step = b.rng.choice(("usleep", "sum", "pow"))
            job = (step, dict(seconds=b.rng.uniform(0.2, 3 if step == "usleep" else 1.5),
                              pause=b.rng.uniform(0.05, 0.15)))
        elif kind == 2:
            job = (None, dict(opts={"cleanup": 2}))
        else:
            job = ("usleep", dict(seconds=b.rng.uniform(0.2, 1), pause=0.1, opts={"cleanup": 1}))
        jobs.append((b.version, job[0], ["--shutdown", "nudge"], None, job[1]))
    got, broken = many(b, jobs, 4)
    sent = sum(1 for g in got for o in g["actions"] if o["result"] == "sent")
    # By the node's own clock: how long after Stop its call, and dora in dropping the node, went on.
    told = [(o["t_ns"] - g["stop_ns"], o["signal"], o["reason"],
             [(h["function"], h["t1"] - g["stop_ns"]) for h in g["holds"]],
             [(p["name"], p["t1"] - g["stop_ns"]) for p in g["phases"] if p["name"] == "drop"])
            for g in got for o in g["actions"] if o["result"] == "sent"]
    b.say("signals to healthy nodes", sent, "signals", ("=", 0),
          f"{len(got)} stops with the default guard, four at once: idle, C calls of 0.2-3 s at Stop, "
          "clean-up of 2 s", longest=f"{max((h['t1'] - g['stop_ns'] for g in got for h in g['holds']), default=0) / S:.1f} s after Stop", signalled=told, broken=broken)


@bench
def outlook(b):
    """The first warning after Stop: how early, and is its outlook right?"""
    count, grace = (100, 5) if b.full else (16, 4)
    jobs = []
    for n in range(count):
        if n % 2:  # will be killed; some have been through a short one of the same function
            job = (b.rng.choice(("usleep", "sum", "sleep", "pow")),
                   dict(seconds=40, before=b.rng.choice((0, 0.4))))
        elif n % 4:  # will not: a call that is under way at Stop, on the CPU one seen before
            length = b.rng.uniform(0.9, 0.5 * grace)
            step = b.rng.choice(("usleep", "sleep", "sum"))
            before = length * 1.2 if step == "sum" else b.rng.choice((0, 0.4))
            job = (step, dict(seconds=length, before=before, pause=0.2))
        else:  # will not: idle, or a clean-up of a second
            job = (None, dict(opts={"cleanup": b.rng.choice((0, 1))}))
        jobs.append((b.version, job[0], [], grace, job[1]))
    got, broken = many(b, jobs, 4)
    right = 0
    early, wrong = [], []
    for g in got:
        if not g["exit"]:
            wrong.append("no exit line")
            continue
        warned = [o for o in checks.lines_of(g["lines"], "warning", pid=g["pid"])
                  if o["kind"] in ("stop_pending", "deadline") and not o["resolved"]]
        killed = bool(g["exit"]["grace_kill"])
        # `deadline` says that the node will not make it; it is resolved when it will after all.
        projected = any(o["kind"] == "deadline" and
                        o["t_ns"] < g["stop_ns"] + 0.75 * grace * S for o in warned)
        if projected == killed:
            right += 1
        else:
            wrong.append(f"killed {killed}, gone after {g['took']:.1f} s, said "
                         f"{[(o['kind'], o['severity'], o['slack_ns']) for o in warned]}")
        if killed and warned:
            end = g["stop_ns"] + int(g["took"] * S)
            early.append((end - warned[0]["_arrival_ns"]) / (grace * S))
    b.say("outlook right (kill or not)", 100 * right / max(1, len(got)), "%", (">=", 95),
          f"{len(got)} stops with a grace of {grace} s, half of them killed; kill is projected by "
          "a `deadline` warning before three quarters of the grace; calls on the CPU that end in "
          "time were seen before, since nothing says how long a first one takes", wrong=wrong[:3],
          broken=broken)
    b.say("first warning before the kill, least", 100 * min(early) if early else None,
          "% of the grace", (">=", 80), n=len(early))
