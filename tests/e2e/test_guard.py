# SPDX-License-Identifier: MIT
"""The guard helps whom a signal helps: what signals do to a node is measured without the probe
(control_signals) and stands in kinds.py; with the probe each node must end as that says.
"""

import os
import signal
import time

from flow import FlowError, start_time, wait_until
from kinds import KINDS
from scenario import MS, S, checks, now, receiver, scenario, sender

APART = 1.5  # seconds between two SIGINTs of the control run: dropping a node takes up to 1 s


def batches(version, names=None):
    """Kinds that fit together: sleepers in one dataflow, what keeps a CPU busy by twos."""
    mine = [(n, k) for n, k in KINDS.items()
            if (not k.dora or version in k.dora) and (names is None or n in names)]
    sleepers = [m for m in mine if not m[1].spins]
    spinners = [m for m in mine if m[1].spins]
    out = [sleepers[i:i + 9] for i in range(0, len(sleepers), 9)]
    return out + [spinners[i:i + 2] for i in range(0, len(spinners), 2)]


def loops(name, how, **opts):
    return dict(receiver(name.replace("_", "-"), script="loops.py", how=how, **opts),
                outputs=["data"])


def started(t, batch):
    """A dataflow whose nodes have begun their bodies, and were told to stop a while later."""
    flow = t.flow(sender(period_ms=100), *(loops(n, k.how, **k.opts) for n, k in batch),
                  mode="coordinator")
    return flow


def wait_bodies(flow, batch):
    for n, k in batch:
        if k.how != "stays":
            flow.wait_said(n.replace("_", "-"), "body", 20)


def gone(pid, born):
    return start_time(pid) != born


def one_control(t, batch):
    """SIGINTs half a second apart until each node has left. Gives {name: (count, seconds)}."""
    flow = started(t, batch)
    flow.go()
    wait_bodies(flow, batch)
    begin = now()
    wait_until(lambda: now() > begin + 700 * MS, 5, "the time before Stop")
    flow.stop("14s")
    begin = now()
    wait_until(lambda: now() > begin + 1500 * MS, 5, "the time after Stop")
    pids = {n: flow.pid(n.replace("_", "-")) for n, _ in batch}
    born = {n: flow.known[p] for n, p in pids.items()}
    out = {n: (0, 0.0) for n in pids if gone(pids[n], born[n])}
    for attempt in range(1, 5):
        left = [n for n in pids if n not in out]
        for n in left:
            os.kill(pids[n], signal.SIGINT)
        sent = now()
        end = sent + int((APART if attempt < 4 else 1.5) * S)
        while now() < end and any(n not in out for n in left):
            for n in left:
                if n not in out and gone(pids[n], born[n]):
                    out[n] = (attempt, (now() - sent) / S)
            time.sleep(0.002)
    for n in pids:
        if n not in out:
            out[n] = (None, None)
            os.kill(pids[n], signal.SIGTERM)
    sent = now()
    try:
        wait_until(lambda: all(gone(pids[n], born[n]) for n in pids), 3, "end by SIGTERM", 0.002)
    except FlowError:
        t.problems.append(f"SIGTERM did not end {[n for n in pids if not gone(pids[n], born[n])]}")
    t.facts.update({n: "no SIGINT ends it" if c is None else f"{c} SIGINT, {s * 1e3:.0f} ms"
                    for n, (c, s) in out.items()})
    return out


@scenario(alone=True, limit=240, default=False)
def control_signals(t):
    """Without the probe: what SIGINT and SIGTERM do to nodes that do not leave on Stop."""
    for batch in batches(t.version):
        for n, (count, seconds) in one_control(t, batch).items():
            k = KINDS[n]
            if k.ends is None or count is None:
                t.expect(count == k.ends, f"{n}: {count} SIGINTs, kinds.py says {k.ends}")
            else:
                t.expect(count == k.ends, f"{n}: left after {count} SIGINTs, not {k.ends}")
                t.expect(seconds <= k.within, f"{n}: {seconds:.2f} s after the last one")
        t.flows[-1].cleanup()
