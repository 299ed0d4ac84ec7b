# SPDX-License-Identifier: MIT
"""Tokens between nodes: several receivers, one side alone, every transport."""

from flow import wait_until
from ordinary import HAS_TOKENS, check_holds, check_share, finish, standard
from scenario import MS, S, checks, now, receiver, scenario, sender

# Of a token that a healthy node reports with the next message but one.
HARMLESS = (None, "unknown", "not_reported")


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
