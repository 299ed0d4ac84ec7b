# SPDX-License-Identifier: MIT
"""The probe comes when the trouble is there: what it finds, and its verdict within two seconds."""

import subprocess
import sys

from flow import wait_until
from scenario import MS, S, checks, now, receiver, scenario, sender
from ordinary import HAS_TOKENS

SHORT = ("--duration", "2s")
# A sleep is told from its true start on; what the CPU lost to others meanwhile may be missing.
LATE_START = S


def stuck(t, do, length, after, **kw):
    """A receiver in the midst of a step that it began `after` ns ago."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": do, "for": length}]), **kw)
    flow.go()
    begin = flow.go_ns + 200 * MS
    wait_until(lambda: now() > begin + after, 20, "the midst of it")
    return flow, begin


def look(t, flow, *args):
    """The lines of two seconds."""
    probe = t.probe(*SHORT, *args)
    probe.end(None, 10)
    t.expect(probe.code == 0, f"ended with {probe.code}")
    return probe, probe.events()


def leave(flow):
    flow.stop()
    flow.wait_gone(30)


def found(t, lines, flow, node="recv", **want):
    """The one line about what was there; checked against what the test knows."""
    got = checks.lines_of(lines, "stock", pid=flow.pid(node))
    t.expect(len(got) == 1, f"{len(got)} lines `stock` of {node}")
    for o in got:
        t.expect(o["complete"] is True, f"incomplete: {o}")
        for field, value in want.items():
            t.expect(o[field] == value, f"stock of {node}: {field} {o[field]!r}, want {value!r}")
    return got[0] if got else {}


def warned(lines, kind, **fields):
    return [o for o in checks.lines_of(lines, "warning", kind=kind, **fields) if not o["resolved"]]


@scenario()
def late_sleeping_hold(t):
    """The holder sleeps in a system call with the GIL: since when, of before the attach."""
    flow, begin = stuck(t, "usleep", 7.0, int(t.rng.uniform(2.2, 3.5) * S))
    probe, lines = look(t, flow)
    hold = flow.wait_said("recv", "hold", 20)[0]
    got = warned(lines, "gil_hold", pid=flow.pid("recv"))
    t.expect(got and got[0]["function"] == "hold_usleep", f"who holds: {got}")
    for o in checks.lines_of(lines, "gil_hold", pid=flow.pid("recv")):
        t.expect(hold["take_lo"] - 2 * MS <= o["start_ns"] <= hold["t0"] + LATE_START,
                 f"held since {o['start_ns']}, truth {hold['take_lo']} to {hold['t0']}")
        t.expect(o["precision"] == "at_least", f"precision {o['precision']}")
        t.facts["start late by, ms"] = round((o["start_ns"] - hold["t0"]) / MS, 1)
    found(t, lines, flow)
    leave(flow)


@scenario()
def late_running_hold(t):
    """The holder computes in one native call: named within two seconds, held at least since then."""
    flow, begin = stuck(t, "sum", 7.0, int(t.rng.uniform(1.5, 3.0) * S))
    probe, lines = look(t, flow)
    got = warned(lines, "gil_hold", pid=flow.pid("recv"))
    t.expect(got and got[0]["function"] == "hold_sum" and got[0]["cause"] == "gil_native",
             f"who holds: {got}")
    for o in checks.lines_of(lines, "gil_hold", pid=flow.pid("recv")):
        t.expect(o["start_ns"] >= begin and o["precision"] == "at_least",
                 f"a hold since {o['start_ns']}, {o['precision']}")
    leave(flow)


@scenario(dora=HAS_TOKENS)
def late_bytecode(t):
    """Pure Python that does not come back is no native call, whoever waits for it."""
    flow, begin = stuck(t, "busy", 6.0, int(t.rng.uniform(1.5, 3.0) * S))
    probe, lines = look(t, flow)
    got = warned(lines, "token_pending", pid=flow.pid("recv"))
    t.expect(got and got[0]["cause"] == "busy_python" and got[0]["function"] == "act_busy",
             f"pending why: {got}")
    t.expect(not [o for o in checks.lines_of(lines, "warning", cause="gil_native")],
             "a native call is blamed")
    leave(flow)


@scenario(dora=HAS_TOKENS)
def late_blocked(t):
    """Asleep with the GIL free: blocked and where, and the message in hand is pending."""
    how = t.rng.choice(("sleep", "read"))
    flow, begin = stuck(t, how, 8.0, int(t.rng.uniform(2.0, 4.0) * S))
    probe, lines = look(t, flow)
    got = warned(lines, "token_pending", pid=flow.pid("recv"))
    t.expect(got and got[0]["cause"] == "blocked" and got[0]["function"] == "act_" + how,
             f"pending why: {got}")
    t.expect(not checks.lines_of(lines, "warning", kind="gil_hold"), "the GIL is blamed")
    stock = found(t, lines, flow)
    t.expect(stock.get("messages", 0) >= 1, f"the message in hand: {stock}")
    unnamed = [o for o in checks.lines_of(lines, "token", receiver="recv") if o["token"] is None]
    t.expect(unnamed and all(o["delivered_ns"] is None and o["state"] == "open" for o in unnamed),
             f"tokens of unknown name: {unnamed[:3]}")
    leave(flow)


@scenario(dora=HAS_TOKENS)
def late_kept(t):
    """Arrays kept before the attach are pending tokens; --dataflow ends with its last node."""
    flow = t.flow(sender(period_ms=20), receiver(plan=[{"at": 0.1, "do": "keep", "for": 600}]))
    flow.go()
    began = flow.wait_said("recv", "keep_begin", 10)[0]
    wait_until(lambda: now() > began["t"] + 3 * S, 10, "kept arrays")
    first = t.probe("--duration", "300ms", pids=[flow.pid("recv")])
    first.end(None, 10)
    uuid = checks.lines_of(first.events(), "node")[0]["dataflow"]
    before = len([s for s in flow.said("send", "sent")
                  if began["t"] < s["t0"] and s["t1"] < now() - 100 * MS])
    probe = t.probe("--dataflow", uuid, pids=[])
    probe.wait_attached(flow.pids().values())
    attached = probe.begin_ns
    # It takes later messages meanwhile: these arrays are kept ones.
    warning = probe.wait("warning", 10, kind="token_pending", pid=flow.pid("recv"))[0]
    t.expect(warning["cause"] == "reference_kept", f"cause {warning['cause']}")
    t.expect(warning["pending_tokens"] >= before - 3,
             f"{warning['pending_tokens']} pending, at least {before} kept before")
    stock = found(t, probe.events(), flow)
    t.expect(before - 3 <= stock["messages"], f"{stock['messages']} mapped, {before} kept")
    t.expect(abs((stock["oldest_lo_ns"] or 0) - began["t"]) < S,
             f"the oldest not before {stock['oldest_lo_ns']}, kept since {began['t']}")
    t.expect(stock["started_ns"] < attached and stock["daemon_started_ns"] < attached,
             f"when they started: {stock}")
    t.expect(stock["daemon"] == t.version, f"the daemon is {stock['daemon']}")
    leave(flow)
    gone = now()
    probe.end(None, 12)
    t.expect(probe.code == 0, f"ended with {probe.code} after the dataflow")
    t.facts["ended after, s"] = round((now() - gone) / S, 1)


@scenario(dora=("0.5.0",))
def late_stop(t):
    """A `dora stop` that was under way when the probe came."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "usleep", "for": 9.0}]),
                  mode="coordinator")
    flow.go()
    begin = flow.go_ns + 200 * MS
    wait_until(lambda: now() > begin + 500 * MS, 5, "the hold")
    flow.stop("30s")
    wait_until(lambda: now() > flow.stop_ns + int(t.rng.uniform(2.0, 3.0) * S), 10, "some time")
    probe = t.probe(*SHORT, pids=[flow.pid("recv")])
    probe.end(None, 10)
    stock = found(t, probe.events(), flow)
    since = stock.get("stop_command_ns")
    t.expect(since and abs(since - flow.stop_ns) < 500 * MS,
             f"dora stop since {since}, truth {flow.stop_ns}")
    flow.wait_gone(30)


@scenario(dora=("0.3.12", "0.4.1", "0.5.0"))
def late_many_sockets(t):
    """A unix socket's exact peer among 10,000 sockets of others and some of the node's own."""
    crowd = subprocess.Popen(
        [sys.executable, "-c",
         "import resource, socket, sys\n"
         "resource.setrlimit(resource.RLIMIT_NOFILE, (12000, 12000))\n"
         "p = [socket.socketpair() for _ in range(5000)]\n"
         "print('open', flush=True)\nsys.stdin.read()\n"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        crowd.stdout.readline()
        flow = t.flow(sender(), receiver(plan=[{"at": 0.9, "do": "usleep", "for": 1.2}]),
                      transport="UnixDomain")
        flow.go()
        probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
        hold = flow.wait_said("recv", "hold", 15)[0]
        wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
        end = now() - 100 * MS
        leave(flow)
        probe.end(None, 10)
    finally:
        crowd.stdin.close()
        crowd.wait(10)
    lines = probe.events()
    for name in ("send", "recv"):
        stock = found(t, lines, flow, name, connections=4)
        t.expect(stock["took_ns"] < S, f"the look took {stock['took_ns'] / MS:.0f} ms")
        t.facts[f"look at {name}, ms"] = round(stock["took_ns"] / MS, 1)
    t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns, end))
    t.expect({o["node"] for o in checks.lines_of(lines, "stop", reason="stop")} == {"send", "recv"},
             "Stop of both")
    t.expect(warned(lines, "token_pending", cause="gil_native"), "tokens pending for the hold")
