# SPDX-License-Identifier: MIT
"""Each cause is provoked alone, named, and its neighbours are not."""

import os
import signal

from flow import wait_until
from scenario import MS, S, Skip, checks, now, receiver, scenario, sender
from ordinary import BEFORE, HAS_TOKENS, check_share, finish, no_warnings, standard


def settle(flow, until_ns):
    wait_until(lambda: now() > until_ns, 10, "the time after it")


def no_gil_blame(t, lines, flow, receiver_name="recv"):
    """The GIL was free: no hold, no share of any token."""
    check_share(t, lines, flow, receiver_name, [])
    no_warnings(t, lines, flow, kinds=("gil_hold", "deadlock"))


@scenario(dora=HAS_TOKENS)
def cause_contention(t):
    """Other threads keep taking the GIL: no hold is long, every wait is."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "contend", "for": 2.5}]))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "200ms")
    flow.go()
    c = flow.wait_said("recv", "contend", 15)[0]
    settle(flow, c["t1"] + 500 * MS)
    end = finish(t, flow, probe)
    lines = probe.events()
    t.check(checks.check_causes(lines, "recv", 250 * MS, ("gil_contention",),
                                window=(c["t0"], c["t1"] - 300 * MS), few=3))
    t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns, end))
    no_warnings(t, lines, flow, kinds=("deadlock", "gil_hold"))
    for o in checks.lines_of(lines, "gil_hold", pid=flow.pid("recv")):
        t.expect(o["duration_ns"] < 200 * MS, f"one hold of {o['duration_ns'] / 1e6:.0f} ms")


@scenario(dora=HAS_TOKENS)
def cause_busy_python(t):
    """The handler runs Python and does not come back: not the GIL's fault."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "busy", "for": 1.6}],
                                     companion=t.rng.choice((0, 0.005))))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    busy = flow.wait_said("recv", "busy", 15)[0]
    settle(flow, busy["t1"] + 400 * MS)
    end = finish(t, flow, probe)
    # A lone thread does keep the GIL in pure Python; that is no native hold.
    lines = standard(t, flow, probe, end, allowed=[(busy["tid"], busy["t0"], busy["t1"], False)])
    t.check(checks.check_causes(lines, "recv", 600 * MS, ("busy_python",)))
    t.check(checks.check_warning(lines, "token_pending", flow.pid("recv"), busy["t0"], busy["t1"],
                                 500 * MS, ("busy_python",), late=400 * MS, early=BEFORE, resolved=False))


@scenario(dora=HAS_TOKENS)
def cause_blocked(t):
    """The handler sleeps or reads with the GIL free."""
    how = t.rng.choice(("sleep", "read"))
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": how, "for": 1.6}],
                                     companion=t.rng.choice((0, 0.005))))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    blocked = flow.wait_said("recv", "blocked", 15)[0]
    settle(flow, blocked["t1"] + 400 * MS)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    t.check(checks.check_causes(lines, "recv", 600 * MS, ("blocked",)))
    t.check(checks.check_warning(lines, "token_pending", flow.pid("recv"), blocked["t0"],
                                 blocked["t1"], 500 * MS, ("blocked",),
                                 {"function": blocked["function"]}, late=400 * MS, early=BEFORE, resolved=False))
    no_gil_blame(t, lines, flow)


@scenario(dora=HAS_TOKENS)
def cause_not_reported(t):
    """The last arrays are freed at once, but no further event comes to carry the report."""
    # Three times, since the node's request for the next event may just catch the last one.
    flow = t.flow(sender(wait_go=True, only=9, group=3, pause=1.3), receiver(free_early=True))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    last = flow.wait_said("send", "sent", 10, count=9)[-1]
    settle(flow, last["t1"] + 1_600 * MS)
    end = finish(t, flow, probe)
    lines = standard(t, flow, probe, end)
    t.check(checks.check_causes(lines, "recv", S, ("not_reported",)))
    no_gil_blame(t, lines, flow)
    for o in checks.lines_of(lines, "token", receiver="recv"):
        if (checks.pending_ns(o) or 0) > S:
            t.expect(o["released_ns"] and o["released_ns"] - o["delivered_ns"] < 300 * MS,
                     f"token {o['token']}: freed when? {o['released_ns']}")


@scenario(dora=HAS_TOKENS)
def cause_node_dropped_first(t):
    """The node object goes before the arrays do (dora #598)."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "keep", "for": 60}], drop_first=True))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    began = flow.wait_said("recv", "keep_begin", 10)[0]
    settle(flow, began["t"] + 500 * MS)
    finish(t, flow, probe)
    lines = probe.events()
    t.check(checks.check_causes(lines, "recv", 900 * MS, ("node_dropped_first",), few=1))
    t.check(checks.check_exit(lines, flow.pid("recv"), code=0, grace_kill=False))


@scenario(dora=HAS_TOKENS)
def cause_receiver_gone(t):
    """The receiver dies with tokens pending; the sender then waits inside dora with the GIL."""
    do = t.rng.choice(("crash", "raise"))
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "keep", "for": 60},
                                           {"at": 1.0, "do": do}]))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    gone = flow.wait_said("recv", "crash", 10)[0]
    recv, send = flow.pid("recv"), flow.pid("send")
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    settle(flow, gone["t"] + 600 * MS)
    finish(t, flow, probe)
    lines = probe.events()
    t.check(checks.check_exit(lines, recv, code=3 if do == "crash" else 1, signal=None,
                              grace_kill=False, since_stop_ns=None))
    left = [o for o in checks.lines_of(lines, "token", receiver="recv")
            if o["state"] == "abandoned"]
    if do == "crash":
        t.expect(len(left) >= 5, f"{len(left)} tokens abandoned, want about 15")
    # At a raise the interpreter ends in order, which takes a second: the node goes, then the arrays, then the process.
    causes = ("receiver_gone",) if do == "crash" else ("receiver_gone", "node_dropped_first")
    for o in left:
        t.expect(o["cause"] in causes, f"abandoned token: cause {o['cause']!r}")
    t.check(checks.check_exit(lines, recv, tokens_abandoned=len(left)))
    drop = [p for p in flow.said("send", "phase") if p["name"] == "drop"][0]
    if drop["t1"] - drop["t0"] > S:
        inside = [o for o in checks.lines_of(lines, "gil_hold", pid=send)
                  if checks.overlap(o["start_ns"], o["end_ns"], drop["t0"], drop["t1"])]
        t.expect(len(inside) >= 1 and
                 sum(o["duration_ns"] for o in inside) > 0.8 * (drop["t1"] - drop["t0"]),
                 f"dropping the node held the GIL for {(drop['t1'] - drop['t0']) / 1e6:.0f} ms, "
                 f"lines {[o['duration_ns'] for o in inside]}")
        t.check(checks.check_warning(lines, "gil_hold", send, drop["t0"], drop["t1"], 500 * MS,
                                     ("dora_internal",), resolved=False))


@scenario(dora=("0.3.12", "0.4.1"))
def cause_owner_not_collecting(t):
    """Reported by the receiver, but the owner takes one token back per message that it sends."""
    # Kept until the whole burst is out: while the owner sends it takes tokens back.
    flow = t.flow(sender(wait_go=True, burst=8, only=8), receiver(
        free_early=True, plan=[{"at": 0, "do": "keep", "for": 0.25}],
        inputs={"tick": "dora/timer/millis/100"}))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    last = flow.wait_said("send", "sent", 10, count=8)[-1]
    settle(flow, last["t1"] + 1_800 * MS)
    finish(t, flow, probe)
    lines = probe.events()
    named = [o for o in checks.lines_of(lines, "token", receiver="recv")
             if o["cause"] == "owner_not_collecting"]
    t.expect(len(named) >= 3, f"{len(named)} tokens with that cause, of "
             f"{[o['cause'] for o in checks.lines_of(lines, 'token', receiver='recv')]}")
    no_gil_blame(t, lines, flow)


def deadlocked(t, flow, probe, truth_kind):
    recv = flow.pid("recv")
    got = probe.wait("warning", 8, kind="deadlock", pid=recv)[0]
    t.expect(got["cause"] == "deadlock", f"cause {got['cause']!r}")
    t.expect(got["advice"], "no advice")
    os.kill(recv, signal.SIGKILL)
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    finish(t, flow, probe)
    t.check(checks.check_exit(probe.events(), recv, code=None, grace_kill=False,
                              killer_pid=os.getpid()))
    return got


@scenario()
def cause_deadlock(t):
    """The GIL's holder waits for a lock whose owner waits for the GIL."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "deadlock"}]))
    probe = t.probe("--token-threshold", "0s", "--pending-threshold", "500ms")
    flow.go()
    begun = flow.wait_said("recv", "deadlock", 10)[0]
    got = deadlocked(t, flow, probe, "deadlock")
    t.expect(got["function"] == begun["function"], f"function {got['function']!r}")
    t.expect(got["holder_tid"] == begun["tid"], f"holder {got['holder_tid']}")
    t.expect(got["t_ns"] > begun["t0"] + 100 * MS, "said before it was one")
    if t.version in HAS_TOKENS:
        t.check(checks.check_causes(probe.events(), "recv", S, ("deadlock",), few=2))


@scenario(dora=("0.3.12", "0.4.1", "0.5.0"))
def cause_deadlock_recv_async(t):
    """dora's own recv_async runs into it at the first event."""
    flow = t.flow(sender(wait_go=True), receiver(script="receiver_async.py"))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    flow.wait_said("send", "sent", 10, count=30)
    if len(flow.said("recv", "received")) > 5:
        finish(t, flow, probe)
        raise Skip("recv_async did not deadlock this time")
    deadlocked(t, flow, probe, None)


WAITS_END = ("join_sleep", "join_compute", "mutex_sleep", "pool_work", "cond_timed",
             "sem_beside_gil")


@scenario(dora=("0.5.0", "1.1.0"), limit=90)
def waits_that_end(t):
    """Native calls that wait for their own workers, with the GIL held: none is a deadlock."""
    # A warning that is still active is not said again of the same place: 2 s and more between.
    plan = [{"at": 0.3 + 6.2 * i, "do": "wait", "for": t.rng.uniform(3.2, 3.6), "args": [name]}
            for i, name in enumerate(WAITS_END)]
    flow = t.flow(sender(period_ms=200), receiver(plan=plan, companion=0.05))
    probe = t.probe()
    flow.go()
    waited = flow.wait_said("recv", "waited", 60, count=len(WAITS_END))
    settle(flow, waited[-1]["t1"] + 500 * MS)
    finish(t, flow, probe)
    lines = checks.lines_of(probe.events(), "warning", pid=flow.pid("recv"))
    for w in waited:
        within = [o for o in lines if w["t0"] < o["t_ns"] < w["t1"] and not o["resolved"]]
        t.expect(not [o for o in within if "deadlock" in (o["kind"], o["cause"])],
                 f"{w['name']} is called a deadlock")
        held = [o for o in within if o["kind"] == "gil_hold"]
        t.expect(any(o["cause"] == "gil_native" and o["function"] == "act_wait" for o in held),
                 f"{w['name']}: {[(o['cause'], o['function']) for o in held]}")
    chains = {w["name"]: [[k["waits"] for k in o["chain"]] for o in lines if o["chain"]
                          and w["t0"] < o["t_ns"] < w["t1"]] for w in waited}
    for name, want in (("join_sleep", ["thread", "sleep"]), ("join_compute", ["thread", "nothing"]),
                       ("mutex_sleep", ["mutex", "sleep"]), ("cond_timed", ["futex"])):
        t.expect(want in chains[name], f"{name}: chains {chains[name]}, not {want}")


def true_deadlock(t, name, threads, proofs):
    """A call that never ends: named within 3 s, with every thread on the way to the GIL."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "wait", "args": [name]}]))
    probe = t.probe()
    flow.go()
    begun = flow.wait_said("recv", "wait_begin", 10)[0]
    got = deadlocked(t, flow, probe, name)
    took = got["t_ns"] - begun["t0"]
    t.facts["said after"] = f"{took / 1e9:.2f} s"
    t.expect(took < 3.3 * S, f"said after {took / 1e9:.2f} s")
    t.expect(got["holder_tid"] == begun["tid"], f"holder {got['holder_tid']}")
    t.expect(got["function"] == begun["function"], f"function {got['function']!r}")
    chain = got["chain"] or []
    t.expect(got["chain_proof"] in proofs, f"proof {got['chain_proof']!r}")
    t.expect([k["waits"] for k in chain] == threads, f"chain {chain}")
    t.expect(chain and chain[0]["tid"] == begun["tid"] and chain[0]["line"], f"chain {chain}")
    t.expect(all(k["library"] for k in chain), f"a library is missing: {chain}")


@scenario(dora=("0.5.0",))
def deadlock_join(t):
    true_deadlock(t, "join_gil", ["thread", "gil"], ("owners",))


@scenario(dora=("0.5.0",))
def deadlock_join_of_a_join(t):
    true_deadlock(t, "join_join_gil", ["thread", "thread", "gil"], ("owners",))


@scenario(dora=("0.5.0",))
def deadlock_mutex(t):
    true_deadlock(t, "mutex_gil", ["mutex", "gil"], ("owners",))


@scenario(dora=("0.5.0",))
def deadlock_pool(t):
    true_deadlock(t, "pool_gil", ["futex", "gil"], ("reference", "library"))


@scenario(dora=("0.5.0",))
def deadlock_static(t):
    true_deadlock(t, "static_gil", ["static_initialiser", "gil"], ("reference", "library"))


@scenario(dora=("0.5.0",))
def deadlock_once(t):
    true_deadlock(t, "once_gil", ["futex", "gil"], ("reference", "library"))


@scenario(dora=("0.5.0",))
def collector(t):
    """The garbage collector keeps the GIL: it is named, not the line that it hit."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "collect", "for": 0.9}]))
    probe = t.probe()
    flow.go()
    told = flow.wait_said("recv", "collected", 40)[0]
    settle(flow, told["t1"] + 500 * MS)
    finish(t, flow, probe)
    lines = [o for o in checks.lines_of(probe.events(), "gil_hold", pid=flow.pid("recv"))
             if o["end_ns"] > told["t0"] and o["start_ns"] < told["t1"]
             and o["duration_ns"] > 500 * MS]
    t.expect(lines, "no hold")
    t.expect(all(o["collecting"] and o["function"] == "<garbage collection>" and o["file"] is None
                 for o in lines), f"{[(o['function'], o['line']) for o in lines]}")
    t.expect(all(o["user_function"] == "act_collect" for o in lines),
             f"{[o['user_function'] for o in lines]}")
    said = [o for o in checks.lines_of(probe.events(), "warning", kind="gil_hold")
            if not o["resolved"]]
    t.expect(any("gc.freeze()" in (o["advice"] or "") for o in said), "no advice about it")
