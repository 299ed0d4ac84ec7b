# SPDX-License-Identifier: MIT
"""The runs that the golden recordings are taken from (take.py), one function each in scenarios_*.py; here
is what they share.

Rates are low and flows short: a recording is meant to be small. `shows` are lines that the output
must hold (golden.matches), else the run is taken again; `replays` are further replays that are kept
beside `--json`, and `also` is what one of those must show.
"""

import time

from flow import receiver, sender, wait_until

MS, S = 1_000_000, 1_000_000_000
now = time.monotonic_ns
REGISTRY = {}
ALL = ("--token-threshold", "0s")
PENDING = (*ALL, "--pending-threshold", "500ms")
TEXT = ["-v"]
NUDGE = ("--shutdown", "nudge", "--nudge-after", "300ms")


class Scenario:
    def __init__(self, run, dora, shows, replays, also):
        self.run, self.dora, self.shows, self.replays, self.also = run, dora, shows, replays, also
        self.what = " ".join(run.__doc__.split())


def recording(*shows, dora="0.5.0", replays=(), also=(), name=None):
    def register(f):
        REGISTRY[name or f.__name__] = Scenario(f, dora, list(shows), [list(r) for r in replays],
                                                list(also))
        return f
    return register


def line(event, **fields):
    return {"event": event, **fields}


def action(name, result, reason=""):
    return line("action", action=name, result=result, reason="*" + reason)


def until(ns):
    wait_until(lambda: now() > ns, 15, "the time after it")


def step(do, seconds=0.0, at=0.3, on="main", args=()):
    return {"at": at, "do": do, "for": seconds, "on": on, "args": list(args)}


def misbehaves(t, plan, told, *args, after=400 * MS, period_ms=100, **opts):
    """Sender and receiver; the receiver does its plan and says `told`; then a Stop in order."""
    flow = t.flow(sender(period_ms=period_ms), receiver(plan=plan, **opts))
    t.probe(*args)
    flow.go()
    got = flow.wait_said("recv", told, 15)[0]
    until(got.get("t1", got.get("t")) + after)
    t.finish()
    return flow


def stuck(t, *args, grace=3, do="usleep", on="main", seconds=40, pause=0.6, timeout=15, period_ms=100,
          script="receiver.py", transport=None, **opts):
    """A dataflow that is stopped while its receiver is stuck."""
    if script == "receiver.py":
        opts["plan"] = [step(do, seconds, 0.2, on)]
        node = receiver(**opts)
    else:
        node = dict(receiver(script=script, seconds=seconds, **opts), outputs=["data"])
    flow = t.flow(sender(period_ms=period_ms), node, mode="coordinator", transport=transport)
    t.probe(*ALL, *args)
    flow.go()
    until(flow.go_ns + int((0.25 + pause) * S))
    flow.stop(f"{grace}s")
    t.finish(stop=False, timeout=timeout)
    return flow
