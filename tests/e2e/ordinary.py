# SPDX-License-Identifier: MIT
"""What the scenarios of an ordinary run share: drawing holds, ending it, checking its lines against the nodes."""

from scenario import MS, checks, now

HAS_TOKENS = ("0.3.12", "0.4.1", "0.5.0")
# The token of the event that is being handled was delivered a moment before the handler began.
BEFORE = 60 * MS
KINDS = ("usleep", "pow", "sum", "re")


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


def raised(lines, kind, pid):
    return [o for o in checks.lines_of(lines, "warning", kind=kind, pid=pid) if not o["resolved"]]
