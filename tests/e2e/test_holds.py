# SPDX-License-Identifier: MIT
"""Holds and waits of a real dataflow, long and short, against the nodes' own truth."""

from ordinary import HAS_TOKENS, KINDS, draw_holds, finish, no_warnings, standard
from scenario import MS, S, checks, receiver, scenario, sender


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


@scenario(dora=("0.5.0", "1.1.0"))
def hold_of_short_calls(t):
    """Tens of thousands of short C calls under one hold: it is bytecode that holds, and no native call."""
    names = ["digest", "sort", "parse", "unpack"]
    flow = t.flow(sender(size=100), receiver(plan=[
        {"at": 0.5 + 2.2 * i, "do": "calls", "for": 1.5, "args": [name]} for i, name in enumerate(names)]))
    probe = t.probe()
    flow.go()
    told = flow.wait_said("recv", "called", 25, count=len(names))
    finish(t, flow, probe)
    lines = checks.lines_of(probe.events(), "gil_hold", pid=flow.pid("recv"))
    for x in told:
        t.expect(x["calls"] > 10000, f"{x['name']}: {x['calls']} calls")
        mine = [o for o in lines if o["start_ns"] < x["t1"] and o["end_ns"] > x["t0"] and o["duration_ns"] > S]
        t.expect(len(mine) == 1, f"{x['name']}: {len(mine)} holds of {(x['t1'] - x['t0']) / MS:.0f} ms")
        for o in mine:
            t.expect(o["native"] is False, f"{x['name']}: native is {o['native']}, {x['calls']} calls")
            t.expect(o["precision"] != "unconfirmed", f"{x['name']}: {o['precision']}")
            t.expect("act_calls" in (o["user_function"] or ""), f"{x['name']}: {o['user_function']}")
    wrong = [o for o in probe.events("warning") if o["cause"] == "gil_native"]
    t.expect(not wrong, f"a native call is blamed: {wrong[:1]}")


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
