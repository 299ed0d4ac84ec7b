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

# They take Stop themselves: no body of theirs begins before it.
STAYS = ("stays", "worker_stays", "pool_stays")
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
        if k.how not in STAYS:
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


@scenario(alone=True, limit=480, default=False)
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


# ---- with the probe ------------------------------------------------------------------------------

NUDGE = ("--shutdown", "nudge", "--nudge-after", "800ms")


def stopped(t, batch, grace, *args):
    """The same nodes with the probe, stopped, until all have left. Gives the probe's lines."""
    flow = started(t, batch)
    probe = t.probe("--token-threshold", "30s", *args)
    flow.go()
    wait_bodies(flow, batch)
    begin = now()
    wait_until(lambda: now() > begin + 1200 * MS, 5, "the time before Stop")
    flow.stop(f"{grace}s")
    flow.wait_gone(grace + 8)
    probe.end(None, 10)
    return flow, probe.events()


def helped(t, lines, pid, name, kind):
    """Ended by as many nudges as without the probe, and nothing untrue said of it."""
    sent = checks.lines_of(lines, "action", pid=pid, action="nudge", result="sent")
    said = [o["reason"] or "" for o in checks.lines_of(lines, "action", pid=pid)]
    exits = checks.lines_of(lines, "exit", pid=pid)
    t.expect(exits and exits[0]["saved"] and not exits[0]["grace_kill"],
             f"{name}: {kind.ends} SIGINTs end it, but it was not saved: {said} {exits}")
    t.expect(len(sent) == kind.ends, f"{name}: {len(sent)} nudges, {kind.ends} end it: {said}")
    for text in ("does not poll", "no signal", "bare except"):
        t.expect(not [s for s in said if text in s], f"{name}: untrue: {said}")


WHY = {"bare_sleep": "swallowed", "bare_spin": "swallowed", "one_sum": "does not poll signals",
       "one_unlocked": "does not poll signals", "worker_sum": "no signal helps",
       "base_continue": "swallowed", "flag_unread": "swallowed",
       "native_deadlock": "proven deadlock", "native_mutex_deadlock": "proven deadlock",
       "native_pool_deadlock": "does not poll signals"}


def not_helped(t, lines, pid, name):
    said = [o["reason"] or "" for o in checks.lines_of(lines, "action", pid=pid, result="refused")]
    exits = checks.lines_of(lines, "exit", pid=pid)
    t.expect(exits and exits[0]["grace_kill"] and not exits[0]["saved"], f"{name}: {exits}")
    t.expect([s for s in said if WHY[name] in s], f"{name}: not said why: {said}")


def kinds_end_as_measured(t, names, grace):
    batch = [(n, KINDS[n]) for n in names]
    flow, lines = stopped(t, batch, grace, *NUDGE)
    for n, k in batch:
        pid = flow.pid(n.replace("_", "-"))
        if k.ends:
            helped(t, lines, pid, n, k)
        else:
            not_helped(t, lines, pid, n)


@scenario(limit=90)
def nudge_loops_asleep(t):
    """Loops of sleeps, waits and retries: one SIGINT ends each, as measured without the probe."""
    kinds_end_as_measured(t, ("nap_loop", "select_loop", "queue_get", "join_daemon", "send_loop",
                              "retry_loop", "bare_sleep"), 8)


@scenario(limit=90)
def nudge_loops_late(t):
    """asyncio, threads that stay: as many SIGINTs as measured, some only when time runs out."""
    kinds_end_as_measured(t, ("asyncio_sleep", "asyncio_nap_loop", "async_naps",
                              "consumer_nap_loop", "stays", "stays_kept"), 14)


@scenario(limit=90)
def nudge_loops_next(t):
    """next() called again and again after the end of the stream."""
    kinds_end_as_measured(t, ("next_loop", "next_timeout_loop"), 8)


@scenario(limit=90)
def nudge_loops_python(t):
    """Pure Python, and a bare except around it."""
    kinds_end_as_measured(t, ("spin", "bare_spin"), 8)


@scenario(limit=90)
def nudge_loops_calls(t):
    """C calls one after the other: short ones, and ones that poll no signals."""
    kinds_end_as_measured(t, ("json_loop", "short_calls"), 8)


@scenario(limit=90)
def nudge_loops_long_calls(t):
    """C calls of 0.2 s that poll no signals, and ones that let the GIL go."""
    kinds_end_as_measured(t, ("sort_loop", "unlocked_loop"), 8)


@scenario(limit=90)
def nudge_loops_anew(t):
    """C calls of over a second, one after the other; and a handler whose steps are new after Stop."""
    kinds_end_as_measured(t, ("long_sorts", "steps"), 9)


@scenario(limit=90)
def nudge_loops_never(t):
    """One call that never looks at signals, with the GIL and without it, main's or another's."""
    kinds_end_as_measured(t, ("one_sum", "one_unlocked"), 4)


@scenario(limit=90)
def nudge_loops_waits(t):
    """Waits of all kinds: locks, sockets, children, a handler of Python that sets a flag."""
    kinds_end_as_measured(t, ("queue_timeout_loop", "event_loop", "lock_acquire", "socket_read",
                              "socket_timeout_loop", "subprocess_run", "waitpid", "flag_handler"), 8)


@scenario(limit=90)
def nudge_loops_threads(t):
    """Other threads and processes that go on: joined, in a pool, beside an ended main."""
    kinds_end_as_measured(t, ("join_looping", "future_result", "mp_pool", "pool_stays",
                              "worker_stays", "async_shielded"), 10)


@scenario(limit=90)
def nudge_loops_in_vain(t):
    """Proven deadlocks, BaseException caught, a flag that nobody reads: what no SIGINT ends."""
    kinds_end_as_measured(t, ("native_deadlock", "native_mutex_deadlock", "native_pool_deadlock",
                              "base_continue", "flag_unread"), 8)


# What ends by itself within these seconds of grace, the last ones long after three quarters of it.
GRACE = 9
IN_TIME = {"async-cleans": {"how": "async_cleans", "clean": 6.9},
           "worker-ends": {"how": "worker_ends", "for": 6.9},
           "clean-pool": {"how": "nothing", "cleanup": "pool", "clean": 6.9},
           "clean-join": {"how": "nothing", "cleanup": "join", "clean": 6.9},
           "clean-atexit": {"how": "nothing", "cleanup": "atexit", "clean": 6.8},
           "native-wait": {"how": "native_wait_ends", "for": 6.5},
           "queued": {"how": "queued", "each": 0.7,
                      "inputs": {"tick": {"source": "dora/timer/millis/50", "queue_size": 10}}}}


def end_in_time(t, *args):
    """Those nodes, stopped. Gives (dataflow, probe), None where no options for it are given."""
    flow = t.flow(sender(period_ms=100), *(loops(n, **o) for n, o in IN_TIME.items()),
                  mode="coordinator")
    probe = t.probe("--token-threshold", "30s", *args) if args else None
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 3 * S, 6, "the time before Stop")
    flow.stop(f"{GRACE}s")
    flow.wait_gone(GRACE + 6)
    for n in IN_TIME:
        # Where the interpreter is through with main, nothing says bye any more.
        t.expect(flow.said(n, "bye"), f"{n} did not end by itself")
        t.expect(not flow.said(n, "interrupted"), f"{n} was interrupted")
    return flow, probe


@scenario(alone=True, limit=60, default=False, dora=("0.5.0", "1.1.0"))
def control_ends_in_time(t):
    """Without the probe: those nodes leave in time by themselves."""
    end_in_time(t)


@scenario(limit=60, dora=("0.5.0", "1.1.0"))
def nudge_none_that_ends_late(t):
    """Clean-ups in await, in threads and pools, a native wait, a queue: all end in time untouched."""
    flow, probe = end_in_time(t, "--shutdown", "nudge")
    probe.end(None, 10)
    lines = probe.events()
    for n in IN_TIME:
        pid = flow.pid(n)
        sent = checks.lines_of(lines, "action", pid=pid, result="sent")
        t.expect(not sent, f"{n}: signalled: {[o['reason'] for o in sent]}")
        t.check(checks.check_exit(lines, pid, grace_kill=False, saved=False, code=0))


@scenario(limit=90)
def nudge_none_is_made_worse(t):
    """Clean-ups of all kinds, a call that ends, a thread that finishes: no signal, no kill."""
    clean = {"call": {"how": "call_ends", "for": 1.9},
             "clean-sleep": {"how": "nothing", "cleanup": "sleep", "clean": 3.3},
             "clean-naps": {"how": "nothing", "cleanup": "naps", "clean": 3.3},
             "clean-spin": {"how": "nothing", "cleanup": "spin", "clean": 2.6},
             "finishes": {"how": "stays", "for": 3.0},
             "clean-call": {"how": "call_ends", "for": 1.7, "cleanup": "naps", "clean": 2.5}}
    flow = t.flow(sender(period_ms=100), *(loops(n, **o) for n, o in clean.items()),
                  mode="coordinator")
    probe = t.probe("--token-threshold", "30s", "--shutdown", "nudge", "--nudge-after", "1500ms")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 1200 * MS, 5, "the middle of the calls")
    flow.stop("9s")
    flow.wait_gone(15)
    probe.end(None, 10)
    lines = probe.events()
    for n in clean:
        pid = flow.pid(n)
        sent = checks.lines_of(lines, "action", pid=pid, result="sent")
        t.expect(not sent, f"{n}: signalled: {[o['reason'] for o in sent]}")
        t.check(checks.check_exit(lines, pid, grace_kill=False, saved=False, code=0))
        t.expect(flow.said(n, "bye"), f"{n} did not end by itself")
        t.expect(not flow.said(n, "interrupted"), f"{n} was interrupted")
