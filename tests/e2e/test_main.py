# SPDX-License-Identifier: MIT
"""The main job: holds, waits and tokens of a real dataflow against the nodes' own truth."""

import json
import os
import pty
import re
import select
import signal
import subprocess

from flow import wait_until
from probe import BINARY, run
from scenario import MS, S, checks, now, receiver, scenario, sender

HAS_TOKENS = ("0.3.12", "0.4.1", "0.5.0")
# The token of the event that is being handled was delivered a moment before the handler began.
BEFORE = 60 * MS
KINDS = ("usleep", "pow", "sum", "re")
# Of a token that a healthy node reports with the next message but one.
HARMLESS = (None, "unknown", "not_reported")


def draw_holds(rng, kinds, count, on="main", shortest=0.16, longest=0.8, gap=(0.15, 0.4)):
    """Steps of a plan with random kinds, lengths and starts."""
    steps, at = [], rng.uniform(0.1, 0.4)
    for n in range(count):
        length = rng.uniform(shortest, longest)
        steps.append({"at": round(at, 3), "do": kinds[n % len(kinds)], "for": round(length, 3),
                      "on": on})
        at += length + rng.uniform(*gap)
    return steps


def finish(t, flow, probe, stop=True, timeout=15):
    """Stops the dataflow, waits for its end and the probe's (which ends with its last target)."""
    # What is sent in the last moment before Stop may not be delivered any more.
    end = now() - 100 * MS
    if stop:
        flow.stop()
    flow.wait_gone(timeout)
    probe.end(None, 10)
    t.expect(probe.code == 0, f"the probe ended with {probe.code} after its last target")
    return end


def stop_and_end(flow, probe, pids):
    """The same where the probe goes on without targets. Gives the lines."""
    flow.stop()
    flow.wait_gone(10)
    for pid in pids.values():
        probe.wait("exit", 5, pid=pid)
    probe.end(signal.SIGINT)
    return probe.events()


def check_holds(t, lines, flow, node, since, until=1 << 63, **kw):
    t.check(checks.check_holds(lines, flow.truth(node), since, until, starved=flow.starved, **kw))


def check_share(t, lines, flow, node, holds=None):
    holds = flow.said(node, "hold") if holds is None else holds
    # A thread that was late may have been held up by the kernel with the GIL in its hands.
    late = [p for x in flow.said(node, "late") for p in checks.outside(x["t0"], x["t1"], holds)]
    t.check(checks.check_gil_share(lines, holds, node, flow.pid(node), flow.held_up,
                                   flow.said(node, "phase") + late))


def no_warnings(t, lines, flow, **kw):
    """No warning but of what dora itself did with the GIL held, by the nodes' own times."""
    inside = [(flow.pid(n["id"]), p["t0"], p["t1"]) for n in flow.nodes
              for p in flow.said(n["id"], "phase") if p["name"] in ("create", "drop")]
    t.check(checks.check_no_warnings(lines, inside_dora=inside, **kw))


def standard(t, flow, probe, end, receivers=("recv",), share=True, **kw):
    """The checks of a run with deliberate holds and tokens. Gives the lines."""
    lines = probe.events()
    since = probe.attached_ns
    check_holds(t, lines, flow, "send", since, **kw)
    for r in receivers:
        check_holds(t, lines, flow, r, since, **kw)
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), receivers, since, end))
        for r in receivers if share else ():
            check_share(t, lines, flow, r)
    t.check(checks.check_stop(lines, flow.pid("recv"), flow.stop_ns))
    for node in ("send", *receivers):
        t.check(checks.check_exit(lines, flow.pid(node), code=0, signal=None, grace_kill=False,
                                  saved=False))
    return lines


@scenario()
def quiet(t):
    """A flow in which nothing is wrong: every token, nothing else."""
    # A message that is still queued at Stop is given up and makes its sender wait inside dora.
    flow = t.flow(sender(period_ms=t.rng.choice((20, 33, 50)), size=t.rng.choice((5000, 65536))),
                  receiver(drain=True))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("send", "sent", 10, count=60)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    no_warnings(t, lines, flow)
    late = [o["_arrival_ns"] - o["t_ns"] for o in checks.lines_of(lines, "token")]
    if late:
        t.expect(max(late) < 500 * MS, f"a token line came {max(late) / 1e6:.0f} ms after its time")
    node = checks.lines_of(lines, "node", pid=flow.pid("recv"))[0]
    t.expect(node["dora"] == t.version, f"dora version {node['dora']!r}")
    t.expect(node["implementation"] == "cpython", f"implementation {node['implementation']!r}")
    t.expect(node["transport"] == "tcp", f"transport {node['transport']!r}")
    t.expect(node["node"] == "recv", f"node {node['node']!r}")
    t.expect(node["gil_observable"] is True and
             node["tokens_observable"] is (t.version in HAS_TOKENS), f"observable: {node}")


@scenario()
def hold_uncontended(t):
    """C calls with the GIL held and no other Python thread: no futex traffic at all."""
    flow = t.flow(sender(), receiver(plan=draw_holds(t.rng, KINDS, 4)))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    end = finish(t, flow, probe)
    standard(t, flow, probe, end)


@scenario()
def hold_contended(t):
    """The same with a second Python thread that wants the GIL all the time."""
    flow = t.flow(sender(), receiver(plan=draw_holds(t.rng, KINDS, 4), companion=0.003))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    end = finish(t, flow, probe)
    waiter = flow.said("recv", "companion")[0]["tid"]
    lines = standard(t, flow, probe, end, waiters=[waiter])
    t.check(checks.check_waits(lines, flow.truth("recv"), probe.attached_ns, end, waiter))


@scenario()
def hold_second_thread(t):
    """A second thread keeps the GIL while the main thread wants to go on with its events."""
    flow = t.flow(sender(period_ms=25), receiver(plan=draw_holds(t.rng, KINDS, 4, on="second")))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    main = flow.said("recv", "ready")[0]["tid"]
    t.check(checks.check_waits(lines, flow.truth("recv"), probe.attached_ns, end, main))
    named = {o["thread"] for o in checks.lines_of(lines, "gil_hold", pid=flow.pid("recv"))}
    t.expect("second" in named and named <= {"second", "MainThread"}, f"threads by name: {named}")


@scenario()
def exact(t):
    """--exact: the brackets shrink to nothing."""
    flow = t.flow(sender(), receiver(plan=draw_holds(t.rng, KINDS, 4),
                                     companion=t.rng.choice((0, 0.003))))
    probe = t.probe("--token-threshold", "0s", "--exact")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    tids = {h["tid"] for h in flow.said("recv", "hold")}
    for o in checks.lines_of(lines, "gil_hold", pid=flow.pid("recv")):
        if o["tid"] in tids and o["function"] and o["function"].startswith("hold_"):
            t.expect(o["precision"] == "exact", f"precision {o['precision']} with --exact")


@scenario()
def competition(t):
    """Two pure-Python threads hand the GIL over every 5 ms: no hold is long."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "compete", "for": 2.5}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "hogged", 15, count=2)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end, share=False)
    no_warnings(t, lines, flow, kinds=("gil_hold", "deadlock"))


@scenario()
def short_releases(t):
    """The GIL is let go a thousand times a second for a microsecond: held in every sample."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "short", "for": 2.5,
                                            "on": t.rng.choice(("main", "second"))}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "short", 15)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end, share=False)
    no_warnings(t, lines, flow, kinds=("gil_hold", "deadlock"))
    done = flow.said("recv", "short")[0]
    t.facts["releases per second"] = round(done["releases"] / (done["t1"] - done["t0"]) * 1e9)


def shares_of(lines, pid, begin, end):
    """The shares of the seconds that lie within a stretch: {name: (ratio, error)}."""
    mine = [o for o in checks.lines_of(lines, "share", pid=pid)
            if o["t_ns"] - o["duration_ns"] >= begin and o["t_ns"] <= end]
    out = {}
    for name in ("gil_held", "gil_wait", "running_without_gil", "blocked"):
        known = [o[name] for o in mine if o[name]]
        if known:
            error = sum(e["error"] ** 2 for e in known) ** 0.5 / len(known)
            out[name] = sum(e["ratio"] for e in known) / len(known), error
    return out


def check_ratio(t, got, name, truth, slack=0.03):
    """The truth lies within three errors and what the bounds of a second leave open."""
    if name not in got:
        t.problems.append(f"no share of {name}")
        return
    ratio, error = got[name]
    t.facts[name] = f"{ratio:.3f} +- {error:.3f}, truth {truth:.3f}"
    t.expect(abs(ratio - truth) <= 3 * error + slack,
             f"{name} {ratio:.3f}, error {error:.3f}, truth {truth:.3f}")
    t.expect(error <= 0.05, f"{name}: error {error:.3f}")


def run_shares(t, act, *args, seconds=9):
    """A receiver that does one thing for so long. Gives lines, its truth and its shares."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": act, "for": seconds, "args": args}]))
    probe = t.probe("--share-interval", "1s")
    flow.go()
    flow.wait_said("recv", "step", 10 + seconds)
    finish(t, flow, probe)
    truth = next(o for o in flow.truth("recv") if o["kind"] in ("pieces", "hashed", "convoy"))
    lines = probe.events()
    return lines, truth, shares_of(lines, flow.pid("recv"), truth["t0"], truth["t1"])


def raised(lines, kind, pid):
    return [o for o in checks.lines_of(lines, "warning", kind=kind, pid=pid) if not o["resolved"]]


@scenario(limit=60)
def share_high(t):
    """The GIL for 85 % of the time in pieces of 2 ms: the share, and a warning with the place."""
    lines, truth, got = run_shares(t, "pieces", 0.85)
    held = truth["held"] / (truth["t1"] - truth["t0"])
    check_ratio(t, got, "gil_held", held)
    said = raised(lines, "gil_share", truth["pid"])
    if held > 0.8:
        t.expect(said, f"no warning, {held:.0%} held")
    for o in said[:1]:
        t.expect(o["function"] == truth["function"], f"function {o['function']!r}")
        t.expect(o["holder_tid"] == truth["tid"], f"holder {o['holder_tid']}")
        t.expect(o["cause"] == "busy_python", f"cause {o['cause']!r}")
    t.expect(not raised(lines, "convoy", truth["pid"]), "a convoy of one thread")
    t.check(checks.check_no_warnings(lines, ("gil_hold", "deadlock")))


@scenario(limit=60)
def share_low(t):
    """The GIL for 30 % of the time in pieces: the share, and no warning."""
    lines, truth, got = run_shares(t, "pieces", 0.3, t.rng.choice((0.001, 0.002, 0.005)))
    held = truth["held"] / (truth["t1"] - truth["t0"])
    check_ratio(t, got, "gil_held", held)
    t.expect(not raised(lines, "gil_share", truth["pid"]), f"a warning at {held:.0%}")
    node = next(n for n in checks.lines_of(lines, "summary")[0]["nodes"] if n["node"] == "recv")
    t.expect(node["gil_held"] and node["gil_held"]["error"] < 0.05, f"summary: {node['gil_held']}")


@scenario(limit=60)
def share_without(t):
    """A handler that computes without the GIL."""
    lines, truth, got = run_shares(t, "hash", seconds=6)
    check_ratio(t, got, "running_without_gil", truth["cpu"] / (truth["t1"] - truth["t0"]), 0.05)
    check_ratio(t, got, "gil_held", 0, 0.05)
    for kind in ("gil_share", "convoy"):
        t.expect(not raised(lines, kind, truth["pid"]), f"a warning {kind}")


@scenario(limit=60)
def share_convoy(t):
    """Each sleep beside a thread of plain Python costs a switch interval: a convoy, with both."""
    lines, truth, got = run_shares(t, "convoy", seconds=8)
    length = truth["t1"] - truth["t0"]
    # The node's own figure has the time that a thread takes to wake in it as well.
    late = (truth["waited"] - truth["calls"] * 4 * MS) / length
    t.expect("gil_wait" in got and late <= got["gil_wait"][0] <= truth["waited"] / length + 0.05,
             f"gil_wait {got.get('gil_wait')}, truth {late:.3f} to {truth['waited'] / length:.3f}")
    t.facts["gil_wait"] = f"{got.get('gil_wait')}, truth up to {truth['waited'] / length:.3f}"
    said = raised(lines, "convoy", truth["pid"])
    t.expect(said, f"no warning, {truth['calls']} calls waited {truth['waited'] / length:.0%}")
    for o in said[:1]:
        t.expect(o["function"] == "_hog", f"function {o['function']!r}")
        t.expect(o["holder_tid"] == truth["hog"], f"holder {o['holder_tid']}, hog {truth['hog']}")
        t.expect(str(truth["tid"]) in o["advice"], f"advice {o['advice']!r}")


@scenario()
def warning_hold(t):
    """A hold of seconds: warned about while it lasts, by steps, and resolved."""
    length = t.rng.uniform(2.3, 2.7)
    how = t.rng.choice(KINDS)
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": how, "for": length}],
                                     companion=t.rng.choice((0, 0.005))))
    probe = t.probe("--token-threshold", "0s", "--warn-hold", "500ms",
                    "--pending-threshold", "1s")
    flow.go()
    hold = flow.wait_said("recv", "hold", 20)[0]
    pid = flow.pid("recv")
    wait_until(lambda: now() > hold["t1"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    place = {"function": hold["function"], "line": hold["line"], "tid": hold["tid"]}
    t.check(checks.check_warning(lines, "gil_hold", pid, hold["t0"], hold["t1"], 500 * MS,
                                 ("gil_native",), place))
    raised = [o for o in checks.lines_of(lines, "warning", kind="gil_hold", pid=pid)
              if not o["resolved"]]
    if raised:
        t.expect(raised[0]["severity"] == "notice", f"first severity {raised[0]['severity']}")
    if hold["t1"] - hold["t0"] > 2_200 * MS:
        t.expect("warning" in {o["severity"] for o in raised}, "no step to `warning` at 4 x")
    t.expect(len(raised) <= 3, f"{len(raised)} warnings for one hold")
    if t.version in HAS_TOKENS:
        # The first token that was stuck came within a period of the hold's start.
        t.check(checks.check_warning(lines, "token_pending", pid, hold["t0"], hold["t1"], S,
                                     ("gil_native",), place, late=300 * MS, early=BEFORE))
        t.check(checks.check_causes(lines, "recv", S, ("gil_native",), few=1))
    else:
        t.check(checks.check_no_warnings(lines, ("token_pending",)))


@scenario()
def warning_again(t):
    """A second hold at the same line while the first one's warning stands, short ones elsewhere."""
    flow = t.flow(sender(), receiver(plan=[
        {"at": 0.4, "do": "usleep", "for": 0.9}, {"at": 1.9, "do": "usleep", "for": 0.9},
        {"at": 3.0, "do": "sum", "for": 0.15}, {"at": 3.4, "do": "sum", "for": 0.15}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    last = flow.said("recv", "hold")[1]
    wait_until(lambda: now() > last["t1"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    finish(t, flow, probe)
    lines = probe.events()
    pid = flow.pid("recv")
    for h in flow.said("recv", "hold")[:2]:
        t.check(checks.check_warning(lines, "gil_hold", pid, h["t0"], h["t1"], 500 * MS,
                                     ("gil_native",), {"function": "hold_usleep", "tid": h["tid"]}))
    # On a busy machine the short ones may have taken long enough to be warned of themselves.
    long = {h["function"] for h in flow.said("recv", "hold") if h["t1"] - h["t0"] > 450 * MS}
    for o in checks.lines_of(lines, "warning", kind="gil_hold", pid=pid, resolved=True):
        t.expect(o["function"] in long, f"resolved: {o['function']!r}")


FILL = """
import mmap, os, time
f = os.open("/dev/shm/fill", os.O_RDWR | os.O_CREAT)
os.ftruncate(f, 16 << 20)
m = mmap.mmap(f, 16 << 20)
time.sleep(2.5)
for i in range(0, 16 << 20, 4096):
    m[i] = 1
    if i == 3952 << 10:
        time.sleep(2.5)
"""


@scenario()
def shared_memory_full(t):
    """A process fills a /dev/shm of 4 MiB of its own: warned of, and its SIGBUS explained."""
    script = os.path.join(t.dir, "fill.py")
    with open(script, "w") as f:
        f.write(FILL)
    p = subprocess.Popen(["unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=4m tmpfs /dev/shm && "
                          f"exec /usr/bin/python3 {script}"])
    try:
        wait_until(lambda: b"fill.py" in open(f"/proc/{p.pid}/cmdline", "rb").read() and
                   b"unshare" not in open(f"/proc/{p.pid}/cmdline", "rb").read() and
                   os.readlink(f"/proc/{p.pid}/exe").count("python"), 5, "the process")
        probe = t.probe(pids=[p.pid])
        p.wait(15)
        probe.end(None, 10)
    finally:
        p.kill()
    lines = probe.events()
    said = raised(lines, "shm_full", p.pid)
    t.expect(said and "4.0 MiB" in said[0]["advice"], f"warnings {said}")
    t.check(checks.check_exit(lines, p.pid, code=None, signal=7, grace_kill=False,
                              explanation=lambda v: v and "/dev/shm is full" in v))


@scenario(dora=HAS_TOKENS)
def references_kept(t):
    """Arrays are kept for a while although the node polls on: not the GIL's fault."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "keep", "for": 2.2}]))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    kept = flow.wait_said("recv", "keep_end", 20)[0]
    began = flow.said("recv", "keep_begin")[0]
    wait_until(lambda: now() > kept["t"] + 2_600 * MS, 5, "time for the warnings to be resolved")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    t.check(checks.check_causes(lines, "recv", 600 * MS, ("reference_kept",)))
    t.check(checks.check_warning(lines, "token_pending", flow.pid("recv"), began["t"], kept["t0"],
                                 500 * MS, ("reference_kept",), late=300 * MS, early=BEFORE))
    no_warnings(t, lines, flow, kinds=("gil_hold", "deadlock"))


@scenario()
def stop_in_hold(t):
    """Stop in mid-hold: the node leaves late but in time, its old tokens are given up."""
    before, after = t.rng.uniform(1.5, 2), t.rng.uniform(1.5, 2)
    how = t.rng.choice(("usleep", "sum"))
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": how, "for": before + after}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + int((0.35 + before) * S), 10, "middle of the hold")
    flow.stop()
    finish(t, flow, probe, stop=False)
    lines = probe.events()
    recv, send = flow.pid("recv"), flow.pid("send")
    hold = flow.said("recv", "hold")[0]
    check_holds(t, lines, flow, "recv", probe.attached_ns)
    check_holds(t, lines, flow, "send", probe.attached_ns)
    sigkill = t.version.startswith("0.3.")
    t.check(checks.check_stop(lines, recv, flow.stop_ns, deadline=(15 if sigkill else 10) * S,
                              kill_signal=("KILL", "SIGKILL", 9) if sigkill
                              else ("TERM", "SIGTERM", 15)))
    t.check(checks.check_exit(lines, recv, code=0, signal=None, grace_kill=False, saved=False,
                              since_stop_ns=lambda v: v and hold["t1"] - flow.stop_ns <= v + 20 * MS))
    t.check(checks.check_exit(lines, send, code=0, grace_kill=False))
    share = [o["gil_share"] for o in checks.lines_of(lines, "exit", pid=recv)]
    t.expect(share and share[0] is not None and share[0] > 0.6, f"gil_share of recv {share}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    flow.stop_ns - 100 * MS))
        given_up = [o for o in checks.lines_of(lines, "token", receiver="recv")
                    if o["state"] == "abandoned"]
        # Ten a second from Stop + 0.1 s on, of those that arrived more than a second earlier.
        t.expect(len(given_up) >= 3, f"{len(given_up)} tokens abandoned")
        t.check(checks.check_exit(lines, recv, tokens_abandoned=len(given_up)))
        # After the hold the node drops its dora object, which keeps the GIL in dora's own code: the
        # cause is the one that has most of the token's life, and within 100 ms of half, either.
        for o in given_up:
            own = hold["t1"] - o["delivered_ns"]
            dora = o["t_ns"] - hold["t1"]
            want = [c for c, ahead in (("gil_native", own - dora), ("dora_internal", dora - own))
                    if ahead > -200 * MS]
            t.expect(o["cause"] in want, f"abandoned token: cause {o['cause']!r}, want {want}: "
                     f"{own / MS:.0f} ms in the hold, {dora / MS:.0f} ms after it")
        closed = flow.closed_by_sender()
        # What was abandoned never comes back, so the sender must close at least as many regions.
        t.expect(closed is None or closed >= len(given_up),
                 f"{len(given_up)} tokens abandoned, the sender closed {closed} regions")
        t.facts["tokens abandoned"] = len(given_up)


@scenario(dora=HAS_TOKENS)
def two_receivers(t):
    """One life per token and receiver: one receiver stalls, the other does not."""
    flow = t.flow(sender(), receiver("recv"),
                  receiver("slow", plan=[{"at": 0.4, "do": "usleep", "for": 1.5}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    hold = flow.wait_said("slow", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 400 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end, receivers=("recv", "slow"))
    t.check(checks.check_causes(lines, "slow", S, ("gil_native",), few=1))
    slow = [o for o in checks.lines_of(lines, "token", receiver="recv")
            if (checks.pending_ns(o) or 0) > 500 * MS]
    t.expect(not slow, f"{len(slow)} tokens of the healthy receiver look slow")


@scenario(dora=HAS_TOKENS)
def three_receivers(t):
    """One of three receivers is stuck: its tokens alone are blamed, and on nobody else."""
    flow = t.flow(sender(), receiver("first"), receiver("stuck", plan=[
        {"at": 0.4, "do": "usleep", "for": 2.0}]), receiver("last"))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    hold = flow.wait_said("stuck", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 600 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = probe.events()
    since = probe.attached_ns
    names = ("first", "stuck", "last")
    for name in names:
        check_holds(t, lines, flow, name, since)
        check_share(t, lines, flow, name)
    t.check(checks.check_tokens(lines, flow.said("send", "sent"), names, since, end))
    t.check(checks.check_causes(lines, "stuck", S, ("gil_native",), few=1))
    for name in ("first", "last"):
        for o in checks.lines_of(lines, "token", receiver=name):
            if o["returned_ns"] and o["returned_ns"] < flow.stop_ns:
                t.expect(o["cause"] in HARMLESS + (() if t.version == "0.5.0" else
                                                   ("owner_not_collecting",)) and
                         checks.pending_ns(o) < 500 * MS,
                         f"token {o['token']} of {name}, pending {checks.pending_ns(o)}: "
                         f"cause {o['cause']!r}")
            # Until the stuck one let go, the owner had nothing to collect.
            if o["reported_ns"] and o["returned_ns"] and o["returned_ns"] < hold["t1"]:
                t.expect(o["cause"] in HARMLESS, f"token {o['token']} of {name}: {o['cause']!r}")
        # Once stopped it waits inside dora for the tokens that the stuck one has left.
        t.expect(not [o for o in checks.lines_of(lines, "warning", pid=flow.pid(name))
                      if not o["resolved"] and o["t_ns"] < flow.stop_ns], f"a warning of {name}")
    # One message comes back as a whole: when the last of its receivers has let it go.
    back = {}
    for o in checks.lines_of(lines, "token"):
        if o["returned_ns"]:
            back.setdefault(o["token"], []).append(o)
    for token, lives in back.items():
        t.expect(len({o["returned_ns"] for o in lives}) == 1, f"token {token} returned twice")
        t.expect(all((o["reported_ns"] or 0) <= o["returned_ns"] for o in lives),
                 f"token {token} returned before it was reported")


@scenario(dora=("0.4.1", "0.5.0", "1.1.0"))
def node_restarts(t):
    """dora starts a node anew that died: a process of its own with the same name."""
    flow = t.flow(sender(), receiver(restart="on-failure", plan=[
        {"at": 0.3, "do": "keep", "for": 60}, {"at": 0.8, "do": "crash_once"},
        {"at": 0.9, "do": "usleep", "for": 0.4}]))
    old = flow.pid("recv")
    with open(f"/proc/{old}/environ") as f:
        uuid = re.search(r"dataflow_id: *\S*?([0-9a-f-]{36})", f.read()).group(1)
    probe = t.probe("--dataflow", uuid, "--token-threshold", "0s", pids=[])
    for pid in flow.pids().values():
        probe.wait("node", 10, pid=pid)
    since = now()
    flow.go()
    new = flow.wait_restarted("recv")
    probe.wait("node", 10, pid=new)
    fresh = now()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 700 * MS, 5, "the time after the hold")
    end = now() - 100 * MS
    flow.stop()
    flow.wait_gone(15)
    for pid in (new, flow.pid("send")):
        probe.wait("exit", 5, pid=pid)
    probe.end(signal.SIGINT)  # with --dataflow it waits for further nodes
    lines = probe.events()
    truth = flow.truth("recv")
    for pid in (old, new):
        # The new process' hold may begin before the probe is there.
        t.check(checks.check_holds(lines, [o for o in truth if o["pid"] == pid],
                                   since if pid == old else fresh, end, starved=flow.starved))
    names = {o["pid"]: (o["node"], o["dataflow"]) for o in checks.lines_of(lines, "node")}
    t.expect(names.get(old) == names.get(new) == ("recv", uuid), f"names {names}")
    t.check(checks.check_exit(lines, old, code=3, signal=None, grace_kill=False,
                              since_stop_ns=None))
    t.check(checks.check_exit(lines, new, code=0, signal=None, grace_kill=False, saved=False))
    t.check(checks.check_stop(lines, new, flow.stop_ns))
    t.expect(not checks.lines_of(lines, "stop", pid=old), "a Stop of the process that died")
    if t.version in HAS_TOKENS:
        mine = checks.lines_of(lines, "token", receiver="recv")
        left = [o for o in mine if o["receiver_pid"] == old and o["state"] == "abandoned"]
        t.expect(len(left) >= 5, f"{len(left)} tokens abandoned by the crash")
        for o in left:
            t.expect(o["cause"] == "receiver_gone", f"abandoned token: cause {o['cause']!r}")
        t.check(checks.check_exit(lines, old, tokens_abandoned=len(left)))
        back = [o for o in mine if o["receiver_pid"] == new and o["state"] == "returned"]
        t.expect(len(back) >= 5, f"{len(back)} tokens returned by the new process")


@scenario()
def late_attach(t):
    """The probe comes in the middle of a hold, to a node that has run for a while."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "usleep", "for": 2.0}]))
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 800 * MS, 5, "middle of the hold")
    probe = t.probe("--token-threshold", "0s")
    hold = flow.wait_said("recv", "hold", 10)[0]
    t.expect(probe.attached_ns < hold["t1"], "attached only after the hold")
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = probe.events()
    mine = [o for o in checks.lines_of(lines, "gil_hold", tid=hold["tid"])
            if checks.overlap(o["start_ns"], o["end_ns"], hold["t0"], hold["t1"])]
    t.expect(len(mine) == 1, f"{len(mine)} lines of the hold that was under way")
    for o in mine:
        t.check(checks.check_bracket(o, hold))
        t.expect(o["precision"] in ("at_least", "bounded"), f"precision {o['precision']}")
        t.expect(o["function"] == "hold_usleep", f"function {o['function']!r}")
        t.expect(o["end_ns"] >= hold["t1"] - checks.END_BRACKET - checks.TOLERANCE, "ends too early")
    # Since when the holder sleeps is known at the attach: a hold that is old enough is warned of at once.
    t.check(checks.check_warning(lines, "gil_hold", flow.pid("recv"), hold["t0"], hold["t1"], 500 * MS, ("gil_native",),
                                 late=probe.attached_ns - hold["t0"] + 300 * MS, resolved=False))
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario()
def early_attach(t):
    """--all picks up nodes that start after the probe, and follows their tokens from the first."""
    probe = t.probe("--all", "--token-threshold", "0s", pids=[])
    t.may_lose = True  # other people's dataflows may be watched too
    flow = t.flow(sender(), receiver())
    pids = flow.pids()
    for pid in pids.values():
        probe.wait("node", 5, pid=pid)
    flow.go()
    count = len(flow.said("send", "sent"))
    flow.wait_said("send", "sent", 10, count=count + 40)
    end = now()
    lines = stop_and_end(flow, probe, pids)
    uuids = {o["dataflow"] for o in checks.lines_of(lines, "node", pid=pids["recv"])}
    t.expect(len(uuids) == 1 and None not in uuids, f"dataflow of the node: {uuids}")
    mine = [o for o in lines if o.get("event") != "token" or o["dataflow"] in uuids]
    if t.version in HAS_TOKENS:
        first = flow.said("send", "sent")[0]["t0"] - MS
        t.check(checks.check_tokens(mine, flow.said("send", "sent"), ["recv"], first, end))
    check_holds(t, mine, flow, "recv", 0, end)
    check_holds(t, mine, flow, "send", 0, end)


@scenario()
def helpers(t):
    """Python processes that a node starts inherit its environment and are not taken for it."""
    flow = t.flow(sender(), receiver(helpers=True))
    mine = flow.said("recv", "helpers")[0]["pids"]
    pids = flow.pids()
    t.may_lose = True  # other dataflows have nodes of these names too
    probe = t.probe("--node", "send", "--node", "recv", "--token-threshold", "0s", pids=[])
    probe.wait_attached(pids.values())
    flow.go()
    listed = run("list", "--json")
    flow.wait_said("send", "sent", 10, count=40)
    end = now() - 100 * MS
    flow.stop()
    flow.wait_gone(10)
    probe.wait("exit", 5, pid=pids["recv"])
    probe.end(signal.SIGINT)
    lines = probe.events()
    uuid = checks.lines_of(lines, "node", pid=pids["recv"])[0]["dataflow"]
    nodes = {o["pid"] for o in checks.lines_of(lines, "node", dataflow=uuid)}
    lines = [o for o in lines if o.get("event") != "token" or o["dataflow"] == uuid]
    t.expect(nodes == set(pids.values()), f"nodes {nodes}, want {pids}, helpers {mine}")
    for pid in mine:
        t.expect(f'"pid":{pid},' not in listed.stdout, f"list names the helper {pid}")
    for pid in pids.values():
        t.expect(f'"pid":{pid},' in listed.stdout, f"list does not name the node {pid}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario()
def launched(t):
    """A node behind a Python launcher: the process that talks to the daemon is the node."""
    early = t.rng.choice((False, True))
    t.facts["probe first"] = early
    args = ("--all", "--token-threshold", "0s")
    t.may_lose = True  # other people's dataflows may be watched too
    probe = t.probe(*args, pids=[]) if early else None
    flow = t.flow(sender(), receiver(script="launcher.py"))
    pids = flow.pids()
    probe = probe or t.probe(*args, pids=[])
    probe.wait_attached(pids.values())
    flow.go()
    flow.wait_said("send", "sent", 10, count=40)
    end = now() - 100 * MS
    lines = stop_and_end(flow, probe, pids)
    uuid = checks.lines_of(lines, "node", pid=pids["recv"])[-1]["dataflow"]
    mine = [o for o in lines if o.get("event") != "token" or o["dataflow"] == uuid]
    t.expect(uuid is not None, "the node has no dataflow")
    exits = {o["pid"] for o in checks.lines_of(lines, "exit", dataflow=uuid)}
    t.expect(exits == set(pids.values()), f"exits of {exits}, want {pids}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(mine, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario(dora=HAS_TOKENS)
def receiver_only(t):
    """Only the receiver is watched: a token ends with its report."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": "usleep", "for": 0.7}]))
    probe = t.probe("--token-threshold", "0s", pids=[flow.pid("recv")])
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = probe.events()
    check_holds(t, lines, flow, "recv", probe.attached_ns)
    check_share(t, lines, flow, "recv")
    count = sum(1 for s in flow.said("send", "sent")
                if s["t0"] > probe.attached_ns + 100 * MS and s["t1"] < end - 100 * MS)
    got = [o for o in checks.lines_of(lines, "token", receiver="recv") if o["state"] == "returned"]
    t.expect(count - 3 <= len(got) <= count + 8, f"{len(got)} tokens returned, about {count} sent")


@scenario(dora=HAS_TOKENS)
def sender_only(t):
    """Only the sender is watched: pending from sent to returned."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": "usleep", "for": 1.0}]))
    probe = t.probe("--token-threshold", "0s", pids=[flow.pid("send")])
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = probe.events()
    tokens = checks.lines_of(lines, "token")
    for s in flow.said("send", "sent"):
        if s["t0"] > probe.attached_ns and s["t1"] < end - 100 * MS:
            # It is sent between its two timestamps; the next may follow within a millisecond.
            mine = [o for o in tokens if o["sent_ns"] and s["t0"] <= o["sent_ns"] <= s["t1"]]
            t.expect(len(mine) == 1, f"message {s['n']} has {len(mine)} lines")
            for o in mine:
                t.expect(o["returned_ns"] is not None or o["state"] != "returned",
                         f"token {o['token']}: returned when?")
    check_holds(t, lines, flow, "send", probe.attached_ns)


@scenario(dora=("0.3.12", "0.4.1", "0.5.0"))
def unix_socket(t):
    """Nodes that talk to their daemon over a unix socket."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": "usleep", "for": 0.5}]),
                  transport="UnixDomain")
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    transports = {o["transport"] for o in checks.lines_of(lines, "node")}
    t.expect(transports == {"unix"}, f"transport {transports}")


@scenario(dora=("0.3.12", "0.4.1"))
def shared_memory_transport(t):
    """No socket at all: said, and the GIL is watched all the same."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": "usleep", "for": 0.5}]),
                  transport="Shmem")
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 300 * MS, 5, "the time after the hold")
    finish(t, flow, probe)
    lines = probe.events()
    check_holds(t, lines, flow, "recv", probe.attached_ns)
    for o in checks.lines_of(lines, "node"):
        t.expect(o["transport"] == "shmem" and o["tokens_observable"] is False and
                 o["gil_observable"] is True and "shared-memory" in (o["reason"] or "") and
                 "Stop" in o["reason"], f"node on shared memory: {o}")
    # What is not seen is null, not none: neither Stop nor tokens.
    t.expect(not checks.lines_of(lines, "token") and not checks.lines_of(lines, "stop"),
             "a token or a Stop that nobody can have seen")
    for pid in flow.pids().values():
        t.check(checks.check_exit(lines, pid, code=0, signal=None, grace_kill=False,
                                  since_stop_ns=None, gil_share=None, tokens_abandoned=None))
    for n in checks.lines_of(lines, "summary")[0]["nodes"]:
        t.expect(n["tokens"] is None and n["tokens_abandoned"] is None and
                 n["max_pending_ns"] is None, f"tokens of {n['node']}: {n['tokens']}")


@scenario()
def two_dataflows(t):
    """Two dataflows with equal node names at once: each token stays with its own."""
    a = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "usleep", "for": 0.6}]))
    b = t.flow(sender(), receiver())
    probe = t.probe("--token-threshold", "0s", pids=[*a.pids().values(), *b.pids().values()])
    a.go()
    b.go()
    hold = a.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = now()
    a.stop()
    b.stop()
    a.wait_gone(15)
    b.wait_gone(15)
    probe.end(None, 10)
    lines = probe.events()
    for flow in (a, b):
        names = {o["dataflow"] for o in checks.lines_of(lines, "node")
                 if o["pid"] in flow.pids().values()}
        t.expect(len(names) == 1, f"one dataflow has the names {names}")
        mine = [o for o in lines if o.get("event") != "token" or o["dataflow"] in names]
        check_holds(t, mine, flow, "recv", probe.attached_ns)
        if t.version in HAS_TOKENS:
            t.check(checks.check_tokens(mine, flow.said("send", "sent"), ["recv"],
                                        probe.attached_ns, end))
            check_share(t, mine, flow, "recv")


@scenario()
def by_node_name(t):
    """--node NAME and --dataflow UUID choose the same targets as --pid."""
    name = f"recv{t.rng.randrange(1 << 30):x}"
    flow = t.flow(sender(), receiver(name))
    pid = flow.pid(name)
    listed = run("list")
    t.expect(listed.returncode == 0 and name in listed.stdout and str(pid) in listed.stdout,
             f"`list` does not show {name}: {listed.stdout[-300:]} {listed.stderr}")
    probe = t.probe("--node", name, "--duration", "700ms", pids=[])
    probe.wait("node", 5, pid=pid)
    probe.end(None, 10)
    nodes = checks.lines_of(probe.events(), "node")
    t.expect([o["pid"] for o in nodes] == [pid], f"--node {name} watches {nodes}")
    uuid = nodes[0]["dataflow"] if nodes else None
    other = t.probe("--dataflow", uuid, "--duration", "700ms", pids=[])
    other.end(None, 10)
    got = {o["pid"] for o in checks.lines_of(other.events(), "node")}
    t.expect(got == set(flow.pids().values()), f"--dataflow {uuid} watches {got}")
    flow.stop()
    flow.wait_gone(10)


@scenario()
def ends(t):
    """SIGINT, SIGTERM and --duration end with a summary; a broken pipe ends quietly."""
    flow = t.flow(sender(), receiver())
    for how in (signal.SIGINT, signal.SIGTERM, None):
        args = ["--duration", "600ms"] if how is None else []
        probe = t.probe(*args)
        if how is not None:
            probe.end(how)
        else:
            probe.end(None, 5)
        t.expect(probe.code == 0, f"ended with {probe.code} after {how}")
        t.expect(probe.events("summary") != [], f"no summary after {how}")
    r, w = os.pipe()
    proc = subprocess.Popen([BINARY, "--pid", str(flow.pid("recv")), "--json",
                             "--token-threshold", "0s"], stdout=w, stderr=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(w)
    try:
        os.read(r, 1)
        os.close(r)
        try:
            code = proc.wait(10)
        except subprocess.TimeoutExpired:
            code = "timeout"
        t.expect(code == 0, f"a broken pipe ends with {code}")
        err = proc.stderr.read().decode()
        t.expect(err.strip() == "", f"a broken pipe is not quiet: {err!r}")
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()
    flow.stop()
    flow.wait_gone(10)


@scenario()
def text_output(t):
    """Text for a person: node, function, line, numbers with units; colour only on a terminal."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.8, "do": "usleep", "for": 1.2}]))
    probe = t.probe(json_lines=False, record=False, wait=False)
    e = dict(os.environ, TERM="xterm")
    e.pop("NO_COLOR", None)
    outs = {}
    procs = []
    for name, env in (("colour", e), ("no colour", dict(e, NO_COLOR="1"))):
        master, slave = pty.openpty()
        procs.append((name, master, subprocess.Popen(
            [BINARY, "--pid", str(flow.pid("recv"))], stdin=subprocess.DEVNULL, stdout=slave,
            stderr=subprocess.STDOUT, env=env, start_new_session=True)))
        os.close(slave)
        outs[name] = b""

    def attached():
        for name, master, _ in procs:
            if select.select([master], [], [], 0)[0]:
                outs[name] += os.read(master, 65536)
        return all(b"recv" in text for text in [probe.output(), *outs.values()])
    wait_until(attached, 15, "line about the node of each probe")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 300 * MS, 5, "the time after the hold")
    flow.stop()
    flow.wait_gone(10)
    for name, master, proc in procs:
        data = b""
        try:
            while True:
                got = os.read(master, 65536)
                if not got:
                    break
                data += got
        except OSError:  # the terminal's other side is closed
            pass
        os.close(master)
        t.expect(proc.wait(10) == 0, f"on a terminal: ended with {proc.returncode}")
        outs[name] += data
    probe.end(None, 10)
    text = probe.output().decode(errors="replace")
    for want in ("hold_usleep", "holds.py", f":{hold['line']}", "recv"):
        t.expect(want in text, f"the text lacks {want!r}")
    t.expect("\033[" not in text, "escape sequences in a pipe")
    t.expect(b"\033[" in outs["colour"], "no colour on a terminal")
    t.expect(b"\033[" not in outs["no colour"], "colour in spite of NO_COLOR")
    t.expect(not [w for w in text.split("\n") if len(w) > 100], "a line of more than 100 letters")


@scenario()
def fail_on_warning(t):
    """--fail-on-warning: 10 with a warning, 0 without."""
    flow = t.flow(sender(), receiver(plan=[{"at": 1.6, "do": "usleep", "for": 0.9}]))
    calm = t.probe("--fail-on-warning", "--duration", "500ms")
    calm.end(None, 5)
    t.expect(calm.code == 0, f"without a warning: {calm.code}")
    probe = t.probe("--fail-on-warning")
    flow.go()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 200 * MS, 5, "the time after the hold")
    flow.stop()
    flow.wait_gone(10)
    probe.end(None, 10)
    t.allowed_codes = (0, 10)
    t.expect(probe.code == 10, f"with a warning: {probe.code}")


@scenario(dora=("0.5.0",))
def replay_other_thresholds(t):
    """A recording replayed with other thresholds finds what the live run did not print."""
    flow = t.flow(sender(), receiver(plan=draw_holds(t.rng, ("usleep", "sum"), 3, longest=0.4)))
    probe = t.probe("--hold-threshold", "10s", "--token-threshold", "10s")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    finish(t, flow, probe)
    t.expect(not [o for o in probe.events("gil_hold")], "a hold below the threshold was printed")
    got = probe.replay("--json", "--hold-threshold", "100ms", "--token-threshold", "0s")
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    check_holds(t, lines, flow, "recv", probe.attached_ns, threshold=100 * MS)
    t.expect(checks.lines_of(lines, "token"), "the replay prints no tokens")
    again = probe.replay("--json", "--hold-threshold", "100ms", "--token-threshold", "0s")
    t.expect(again.stdout == got.stdout, "two replays differ")
    text = probe.replay()
    t.expect(text.returncode == 0 and text.stdout, f"replay as text: {text.returncode}")
    if os.geteuid() == 0 and os.path.exists("/usr/bin/setpriv"):
        os.chmod(t.dir, 0o755)
        os.chmod(probe.recording, 0o644)
        nobody = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                 "--inh-caps=-all", "--bounding-set=-all", BINARY, "replay",
                                 probe.recording, "--json"], capture_output=True, timeout=30)
        same = probe.replay("--json")
        t.expect(nobody.stdout == same.stdout and nobody.returncode == 0,
                 f"replay without privileges: {nobody.returncode} {nobody.stderr[-200:]!r}")

