# SPDX-License-Identifier: MIT
"""How much of its time a node holds the GIL, waits for it, computes without it."""

import os
import time

from ordinary import finish, raised
from scenario import MS, checks, receiver, scenario, sender


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


def stolen_s():
    """What the hypervisor has taken of a processor since boot: no time of the node's by the kernel's accounts, and part
    of what the node itself measures."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) / os.sysconf("SC_CLK_TCK") / os.cpu_count()


def check_ratio(t, got, name, truth, slack=0.03):
    """The truth, or what is left of it without what was stolen, lies within three errors and what the bounds of a
    second leave open."""
    if name not in got:
        t.problems.append(f"no share of {name}")
        return
    ratio, error = got[name]
    t.facts[name] = f"{ratio:.3f} +- {error:.3f}, truth {truth:.3f}"
    slack += 3 * error
    t.expect(truth * (1 - t.facts.get("stolen", 0)) - slack <= ratio <= truth + slack,
             f"{name} {ratio:.3f}, error {error:.3f}, truth {truth:.3f}")
    t.expect(error <= 0.05, f"{name}: error {error:.3f}")


def run_shares(t, act, *args, seconds=9):
    """A receiver that does one thing for so long. Gives lines, its truth and its shares."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.4, "do": act, "for": seconds, "args": args}]))
    probe = t.probe("--share-interval", "1s")
    stolen, begin = stolen_s(), time.monotonic()
    flow.go()
    flow.wait_said("recv", "step", 10 + seconds)
    t.facts["stolen"] = round((stolen_s() - stolen) / (time.monotonic() - begin), 3)
    finish(t, flow, probe)
    truth = next(o for o in flow.truth("recv") if o["kind"] in ("pieces", "hashed", "convoy"))
    lines = probe.events()
    return lines, truth, shares_of(lines, flow.pid("recv"), truth["t0"], truth["t1"])


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
