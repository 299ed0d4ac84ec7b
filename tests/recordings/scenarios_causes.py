# SPDX-License-Identifier: MIT
"""A golden recording for each cause of a pending token, and of a consumer that does not come back."""

import os
import signal

from flow import receiver, sender, wait_until
from scenarios import ALL, MS, PENDING, S, TEXT, line, misbehaves, recording, step, until


@recording(line("token", cause="gil_native"), line("warning", kind="gil_hold", cause="gil_native"),
           replays=[TEXT, ["--json", "--hold-threshold", "10s", "--token-threshold", "10s"],
                    ["--json", "--warn-hold", "100ms", "--fail-on-warning"], ["report"]])
def gil_native(t):
    """The handler is in a C call with the GIL held (usleep by ctypes.PyDLL)."""
    misbehaves(t, [step("usleep", 1.2)], "hold", *PENDING)


@recording(line("token", cause="gil_contention"), replays=[TEXT])
def gil_contention(t):
    """Four threads keep the GIL for some 30 ms at a time: no hold is long, every wait is."""
    misbehaves(t, [step("contend", 1.8)], "contend", *ALL, "--pending-threshold", "200ms")


@recording(line("share"), line("warning", kind="gil_share", cause="busy_python"), replays=[TEXT])
def share_high(t):
    """The handler keeps the GIL for 85 % of its time in pieces of 2 ms."""
    misbehaves(t, [dict(step("pieces", 7), args=[0.85])], "pieces", "--share-interval", "2s")


@recording(line("share"), line("warning", kind="convoy", cause="gil_contention"))
def convoy(t):
    """Each short sleep of the handler beside a thread of plain Python costs a switch interval."""
    misbehaves(t, [step("convoy", 5)], "convoy", "--share-interval", "2s")


@recording(line("token", cause="busy_python"), replays=[TEXT])
def busy_python(t):
    """The handler runs Python and does not come back."""
    misbehaves(t, [step("busy", 1.2)], "busy", *PENDING)


@recording(line("token", cause="blocked"), replays=[TEXT])
def blocked(t):
    """The handler is in time.sleep, the GIL is free."""
    misbehaves(t, [step("sleep", 1.2)], "blocked", *PENDING)


@recording(line("warning", kind="not_polling", cause="running_without_gil"), line("token", cause="running_without_gil"),
           replays=[TEXT])
def running_without_gil(t):
    """The handler computes hashes of 4 MB, for each of which it lets go of the GIL."""
    misbehaves(t, [step("hash", 2)], "hashed", *PENDING, "--polling-threshold", "500ms")


@recording(line("token", cause="reference_kept"), replays=[TEXT])
def reference_kept(t):
    """Arrays are kept for a while although the node polls on."""
    misbehaves(t, [step("keep", 1.3, 0.2)], "keep_end", *PENDING)


@recording(line("token", cause="not_reported"))
def not_reported(t):
    """The last arrays are freed at once, but no further event comes to carry the report."""
    flow = t.flow(sender(wait_go=True, only=6, group=3, pause=1.2), receiver(free_early=True))
    t.probe(*PENDING)
    flow.go()
    until(flow.wait_said("send", "sent", 10, count=6)[-1]["t1"] + 1300 * MS)
    t.finish()


@recording(line("token", cause="node_dropped_first"))
def node_dropped_first(t):
    """The node object goes before the arrays do (dora #598)."""
    misbehaves(t, [step("keep", 60, 0.2)], "keep_begin", *ALL, after=500 * MS, drop_first=True)


@recording(line("token", cause="receiver_gone"), line("exit", code=3), replays=[TEXT])
def receiver_gone(t):
    """The receiver exits with code 3 while tokens are pending; the sender then waits in dora."""
    flow = t.flow(sender(period_ms=100),
                  receiver(plan=[step("keep", 60, 0.2), step("crash", at=1.0)]))
    t.probe(*ALL)
    flow.go()
    gone = flow.wait_said("recv", "crash", 10)[0]
    until(gone["t"] + 600 * MS)
    t.finish()


@recording(line("warning", cause="dora_internal"))
def dora_internal(t):
    """The receiver is gone, and the sender waits with the GIL held inside dora as it is dropped."""
    receiver_gone(t)


@recording(line("token", cause="owner_not_collecting"), dora="0.4.1")
def owner_not_collecting(t):
    """Reported by the receiver, but the owner takes one token back per message that it sends."""
    flow = t.flow(sender(wait_go=True, burst=8, only=8), receiver(
        free_early=True, plan=[step("keep", 0.25, 0)], inputs={"tick": "dora/timer/millis/100"}))
    t.probe(*ALL)
    flow.go()
    until(flow.wait_said("send", "sent", 10, count=8)[-1]["t1"] + 1500 * MS)
    t.finish()


def end_deadlock(t, flow):
    recv = flow.pid("recv")
    t.the_probe.wait("warning", 8, kind="deadlock", pid=recv)
    os.kill(recv, signal.SIGKILL)
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    t.finish()


@recording(line("warning", kind="deadlock", chain_proof="owners"), line("token", cause="deadlock"),
           replays=[TEXT])
def deadlock(t):
    """The GIL's holder waits for a mutex whose owner waits for the GIL; then killed from outside."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("deadlock")]))
    t.probe(*PENDING)
    flow.go()
    flow.wait_said("recv", "deadlock", 10)
    end_deadlock(t, flow)


@recording(line("warning", kind="deadlock", chain_proof="reference"), name="deadlock_recv_async")
def deadlock_recv_async(t):
    """dora's own recv_async runs into a deadlock at the first event."""
    flow = t.flow(sender(wait_go=True, period_ms=100), receiver(script="receiver_async.py"))
    t.probe(*ALL)
    flow.go()
    flow.wait_said("send", "sent", 10, count=10)
    end_deadlock(t, flow)


def never_ends(t, name):
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("wait", 0, args=[name])]))
    t.probe(*PENDING)
    flow.go()
    flow.wait_said("recv", "wait_begin", 10)
    end_deadlock(t, flow)


@recording(line("warning", kind="deadlock", chain_proof="owners"), replays=[TEXT])
def deadlock_join(t):
    """A thread joins one that joins one that wants the GIL, which the first one holds."""
    never_ends(t, "join_join_gil")


@recording(line("warning", kind="deadlock", chain_proof="library"))
def deadlock_static(t):
    """The initialiser of a function's static variable wants the GIL."""
    never_ends(t, "static_gil")


@recording(line("warning", kind="gil_hold", cause="gil_native"), replays=[TEXT])
def native_wait(t):
    """Two calls that wait with the GIL held, for a thread that sleeps and for a pool that works."""
    plan = [step("wait", 3.2, args=["join_sleep"]), step("wait", 3.2, 6.5, args=["pool_work"])]
    flow = t.flow(sender(period_ms=100), receiver(plan=plan, companion=0.05))
    t.probe(*PENDING)
    flow.go()
    until(flow.wait_said("recv", "waited", 25, count=2)[-1]["t1"] + 400 * MS)
    t.finish()


@recording(line("token", cause="unknown"))
def sender_only(t):
    """Only the sender is watched: what the receiver does is unknown."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 1.2)]))
    t.probe(*ALL, pids=[flow.pid("send")])
    flow.go()
    until(flow.wait_said("recv", "hold", 15)[0]["t1"] + 400 * MS)
    t.finish()


@recording(line("token", state="open"), line("summary"))
def probe_ends_first(t):
    """The probe is ended by SIGINT in the middle of a hold, with tokens pending."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 1.5)]))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + 1100 * MS)
    t.end_probe()
    flow.stop()
    flow.wait_gone(15)


@recording(line("token", state="returned"))
def receiver_only(t):
    """Only the receiver is watched: a token ends with its report."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 0.7)]))
    t.probe(*ALL, pids=[flow.pid("recv")])
    flow.go()
    until(flow.wait_said("recv", "hold", 15)[0]["t1"] + 400 * MS)
    t.finish()


SMALL = 100  # bytes: no drop token
TIMER = {"tick": "dora/timer/millis/10"}  # fills the channel of 1.x in no time
AWAY = ("--polling-threshold", "800ms")


def away(t, do, seconds=2.0, told="hold"):
    """Small messages, and a handler that does not come back for a while."""
    flow = t.flow(sender(period_ms=100, size=SMALL),
                  receiver(plan=[step(do, seconds)], inputs=TIMER))
    t.probe(*AWAY)
    flow.go()
    got = flow.wait_said("recv", told, 15)[0]
    until(got["t1"] + 2500 * MS)
    t.finish()


@recording(line("warning", kind="not_polling", cause="blocked", resolved=False),
           line("warning", kind="not_polling", resolved=True), replays=[TEXT])
def not_polling_blocked(t):
    """Asleep in the handler with the GIL free, small messages on 0.5.0: no drop token would tell."""
    away(t, "sleep", told="blocked")


@recording(line("warning", kind="not_polling", cause="gil_native"), dora="1.1.0")
def not_polling_native(t):
    """One native call with the GIL, on 1.1.0."""
    away(t, "usleep")


@recording(line("warning", kind="not_polling", resolved=False), dora="1.1.0")
def not_polling_untaken(t):
    """It lets go of the GIL all the time, and leaves its inputs: its channel is full (1.1.0)."""
    away(t, "short", told="short")


@recording(line("stop", witness="daemon"), line("exit", saved=True), dora="1.1.0", replays=[TEXT])
def stop_unread(t):
    """Ctrl-C of `dora run` while the receiver's channel is full: it never reads its Stop, and is helped."""
    flow = t.flow(sender(period_ms=100, size=SMALL),
                  receiver(plan=[step("sleep", 40, 0.2)], inputs=TIMER))
    t.probe("--shutdown", "nudge", "--nudge-after", "1s")
    flow.go()
    until(flow.go_ns + 2 * S)
    t.finish(timeout=15)
