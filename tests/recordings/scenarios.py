# SPDX-License-Identifier: MIT
"""The runs that the golden recordings are taken from (take.py), one function each.

Rates are low and flows short: a recording is meant to be small. `shows` are lines that the output
must hold (golden.matches), else the run is taken again; `replays` are further replays that are kept
beside `--json`, and `also` is what one of those must show.
"""

import os
import signal
import subprocess
import time

from flow import DEFAULT_SIGNALS, receiver, sender, wait_until

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


# ---- causes ----------------------------------------------------------------------------------

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


# ---- away from next() -------------------------------------------------------------------------

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


# ---- stops -----------------------------------------------------------------------------------

@recording(line("exit", grace_kill=False, code=0), line("stop", reason="stop"), replays=[TEXT])
def clean_stop(t):
    """Nothing is wrong: tokens go and come back, Stop, both nodes leave."""
    flow = t.flow(sender(period_ms=100), receiver(drain=True))
    t.probe(*ALL)
    flow.go()
    flow.wait_said("send", "sent", 10, count=12)
    t.finish()


@recording(line("exit", grace_kill=True, cause="gil_native"), line("warning", kind="stop_pending"),
           line("warning", kind="deadline"),
           replays=[TEXT, ["--json", "--grace", "1s"], ["report"],
                    ["--json", "--shutdown", "nudge", "--nudge-after", "500ms"],
                    ["--json", "--shutdown", "terminate", "--nudge-signal", "USR1"],
                    ["--json", "--stop-dataflow-after", "300ms", "--dry-run"]])
def grace_kill_gil(t):
    """Killed at the end of the grace period because of a hold of the GIL."""
    stuck(t)


@recording(line("exit", grace_kill=True, cause="blocked"), replays=[TEXT])
def grace_kill_blocked(t):
    """Killed at the end of the grace period in time.sleep: the GIL is not to blame."""
    stuck(t, do="sleep", grace=2)


@recording(line("exit", grace_kill=True, signal_name="SIGKILL"))
def grace_kill_second_stage(t):
    """A Python SIGTERM handler that never gets to run: SIGKILL at 1.5 times the grace period."""
    stuck(t, do="sum", noop="TERM", grace=2)


@recording(action("nudge", "sent"), line("exit", saved=True), replays=[TEXT])
def nudge_saved(t):
    """A nudge ends the hold of the main thread, and the node leaves in time."""
    stuck(t, *NUDGE, grace=5, interrupt="leave")


@recording(action("nudge", "sent"), line("exit", saved=True))
def nudge_usr1(t):
    """A nudge by SIGUSR1 with a handler that does nothing: the node leaves on Stop itself."""
    stuck(t, *NUDGE, "--nudge-signal", "USR1", grace=5, noop="USR1")


@recording(action("nudge", "sent"), line("exit", saved=True))
def nudge_second_thread(t):
    """A blocking call with the GIL held in a second thread: the signal goes to that thread."""
    stuck(t, *NUDGE, grace=5, on="second", interrupt="leave")


@recording(action("nudge", "sent"), line("exit", saved=True))
def nudge_blocked(t):
    """A node in time.sleep is helped too."""
    stuck(t, *NUDGE, grace=5, do="sleep", interrupt="leave")


@recording(action("nudge", "sent"), line("exit", saved=True), replays=[TEXT])
def save_tokens(t):
    """--save-tokens: the nudge comes at 300 ms, before tokens are given up."""
    stuck(t, "--shutdown", "nudge", "--save-tokens", grace=5, interrupt="leave")


@recording(action("nudge", "refused", "on the CPU and not the main thread"), replays=[TEXT])
def refused_non_main_on_cpu(t):
    """A second thread on the CPU keeps the GIL: no signal helps."""
    stuck(t, *NUDGE, grace=4, on="second", do="sum", seconds=2)


@recording(action("nudge", "refused", "ignores SIGINT"), replays=[TEXT])
def refused_ignored(t):
    """The node ignores SIGINT."""
    stuck(t, *NUDGE, grace=2, ignore="INT")


@recording(action("nudge", "refused", "does not catch SIGUSR1"))
def refused_default_kills(t):
    """The signal that is to be sent would end the node at once, but it catches another."""
    stuck(t, *NUDGE, "--nudge-signal", "USR1", grace=2)


@recording(action("nudge", "refused", "does not poll signals"), action("nudge", "sent"))
def refused_not_polling(t):
    """sum() on the main thread: one nudge shows that it does not poll signals."""
    stuck(t, *NUDGE, "--nudge-interval", "200ms", grace=4, do="sum", seconds=2.5, interrupt="leave")


@recording(action("nudge", "refused", "all 4 nudges were handled and swallowed"))
def refused_swallowed(t):
    """A loop in Python that a handler which does nothing does not end."""
    stuck(t, *NUDGE, "--nudge-interval", "20ms", grace=7, do="busy", noop="INT")


@recording(action("nudge", "refused", "what it did not do before Stop"))
def refused_clean_up(t):
    """A node whose threads share the GIL in turn cleans up in pure Python."""
    stuck(t, *NUDGE, grace=2, do="compete", seconds=3, deaf=2.5, companion=0.001, pause=0.3)


@recording(action("nudge", "refused", "only since after Stop"), replays=[TEXT])
def refused_blocked_after_stop(t):
    """A clean-up of two seconds in time.sleep is let alone."""
    stuck(t, *NUDGE, grace=4, do="sleep", seconds=0.1, cleanup=1.5)


@recording(action("nudge", "refused", "this hold began after Stop"))
def refused_hold_after_stop(t):
    """A clean-up that keeps the GIL begins some 100 ms after Stop."""
    stuck(t, *NUDGE, grace=4, script="stuck.py", how="after_stop", seconds=1.5)


@recording(action("nudge", "refused", "moves by itself"))
def refused_moved(t):
    """The main thread sleeps since before Stop, and another lets one array after the other go."""
    stuck(t, *NUDGE, grace=4, pause=1.8, script="stuck.py", how="moves", seconds=3)


@recording(action("nudge", "refused", "ends by itself in time"))
def refused_ends_in_time(t):
    """Earlier holds of the same line have said how long this one takes."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 1.2, 0.2),
                                                        step("usleep", 1.2, 1.6)]),
                  mode="coordinator")
    t.probe(*ALL, *NUDGE)
    flow.go()
    until(flow.wait_said("recv", "hold", 10)[0]["t1"] + 600 * MS)
    flow.stop("4s")
    t.finish(stop=False)


@recording(action("nudge", "refused", "state D"))
def refused_disk_sleep(t):
    """posix_spawn with the GIL held, asleep in state D until its child has opened a FIFO."""
    stuck(t, *NUDGE, grace=5, script="stuck.py", how="vfork", seconds=2.5)


@recording(action("nudge", "refused", "the deadline has passed"))
def refused_deadline_passed(t):
    """The nudge comes due between the daemon's SIGTERM, which a handler keeps, and its SIGKILL."""
    stuck(t, "--shutdown", "nudge", "--nudge-after", "2300ms", grace=2, do="sum", noop="TERM")


def loops(t, how, *args, grace=3, pause=1.2, **opts):
    """A dataflow that is stopped while its receiver goes on in a loop (loops.py)."""
    node = dict(receiver(script="loops.py", how=how, **opts), outputs=["data"])
    flow = t.flow(sender(period_ms=100), node, mode="coordinator")
    t.probe(*ALL, *args)
    flow.go()
    if how != "stays":
        flow.wait_said("recv", "body", 10)
    until(flow.go_ns + int(pause * S))
    flow.stop(f"{grace}s")
    t.finish(stop=False, timeout=15)
    return flow


SOON = ("--shutdown", "nudge", "--nudge-after", "500ms")


@recording(action("nudge", "sent", "the node goes on in nap_loop"),
           line("exit", saved=True), replays=[TEXT])
def nudge_loop(t):
    """A loop of short sleeps: no hold and no sleep of before Stop, and one SIGINT ends it."""
    loops(t, "nap_loop", *SOON)


@recording(action("nudge", "sent", "nudge 1 was handled and swallowed (asyncio's"),
           line("exit", saved=True))
def nudge_asyncio(t):
    """asyncio's first SIGINT only cancels the main task; the second ends it."""
    loops(t, "asyncio_sleep", *SOON, grace=4)


@recording(action("nudge", "refused", "main has ended"), action("nudge", "sent", "main has ended"),
           line("exit", saved=True))
def nudge_finalising(t):
    """Main has returned, and a thread that is no daemon keeps the process."""
    loops(t, "stays", *SOON, keep_node=True)


@recording(action("nudge", "refused", "swallowed in bare_sleep"), line("exit", grace_kill=True),
           replays=[TEXT])
def nudge_swallowed(t):
    """A bare except takes every KeyboardInterrupt."""
    loops(t, "bare_sleep", *SOON, "--nudge-interval", "100ms", grace=4)


@recording(action("nudge", "refused", "records were lost"))
def refused_records_lost(t):
    """The node is blocked at Stop, and the probe itself is stopped until its rings are full."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sleep", 40, 0.05)]),
                  mode="coordinator")
    # Small messages have no token, so that there is not a line for each.
    flood = t.flow(sender(period_ms=20, wait_go=True, flat=1.3, log="count", size=100))
    t.probe("--token-threshold", "10s", "--shutdown", "nudge", "--nudge-after", "2200ms")
    flow.go()
    until(flow.go_ns + 300 * MS)
    flow.stop("4s")
    until(flow.go_ns + 1000 * MS)
    flood.go()
    os.kill(t.the_probe.proc.pid, signal.SIGSTOP)
    until(flow.go_ns + 2400 * MS)
    os.kill(t.the_probe.proc.pid, signal.SIGCONT)
    t.finish()


@recording(action("nudge", "would_send"), line("exit", grace_kill=True), replays=[TEXT])
def dry_run(t):
    """--dry-run decides, logs and sends nothing."""
    stuck(t, *NUDGE, "--dry-run", grace=2)


@recording(action("terminate", "sent"), replays=[TEXT])
def terminate(t):
    """--shutdown terminate: SIGTERM from the probe when less than a second is left."""
    stuck(t, "--shutdown", "terminate", "--nudge-after", "300ms", grace=3, do="sum")


@recording(action("terminate", "refused", "ignores SIGTERM"))
def terminate_ignored(t):
    """--shutdown terminate, and the node ignores SIGTERM."""
    stuck(t, "--shutdown", "terminate", "--nudge-after", "300ms", grace=2, do="sum", ignore="TERM")


@recording(action("terminate", "would_send"))
def terminate_dry_run(t):
    """--shutdown terminate --dry-run."""
    stuck(t, "--shutdown", "terminate", "--nudge-after", "300ms", "--dry-run", grace=2, do="sum")


def stop_by_probe(t, *args):
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 2.5, 0.2)]),
                  mode="coordinator")
    cli = os.path.join(t.dir, "dora")
    with open(cli, "w") as f:
        f.write('#!/bin/sh\nverb=$1\nshift\n'
                f'exec {flow.env}/bin/dora "$verb" --coordinator-addr 127.0.0.1 '
                f'--coordinator-port {flow.ports["control"]} "$@"\n')
    os.chmod(cli, 0o755)
    t.probe("--stop-dataflow-after", "800ms", "--dora-cli", cli, *ALL, *args)
    t.args[t.args.index(cli)] = "DORA"
    flow.go()
    return flow


@recording(action("stop_dataflow", "sent"), replays=[TEXT])
def stop_dataflow(t):
    """--stop-dataflow-after: an orderly `dora stop` while a token waits because of the GIL."""
    stop_by_probe(t)
    t.finish(stop=False)


@recording(action("stop_dataflow", "would_send"))
def stop_dataflow_dry_run(t):
    """--stop-dataflow-after --dry-run."""
    flow = stop_by_probe(t, "--dry-run")
    until(flow.wait_said("recv", "hold", 10)[0]["t1"] + 300 * MS)
    t.finish()


@recording(line("stop", reason="all_inputs_closed"))
def all_inputs_closed(t):
    """The sender dies, and the receiver's inputs are closed."""
    flow = t.flow(sender(period_ms=100), receiver())
    t.probe(*ALL)
    flow.go()
    flow.wait_said("send", "sent", 10, count=8)
    os.kill(flow.pid("send"), signal.SIGKILL)
    t.finish(stop=False)


@recording(line("signal", signal_name="SIGTERM"))
def signal_term(t):
    """The receiver gets SIGTERM from outside in the middle of a hold, with a handler of its own."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sum", 1.0)], noop="TERM"))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + 700 * MS)
    os.kill(flow.pid("recv"), signal.SIGTERM)
    until(flow.wait_said("recv", "hold", 10)[0]["t1"] + 300 * MS)
    t.finish()


@recording(line("signal", signal_name="SIGUSR1"), replays=[TEXT])
def signal_handled(t):
    """A signal is sent and delivered in a hold, and handled only when the hold is over."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sum", 1.0)], noop="USR1"))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + 700 * MS)
    os.kill(flow.pid("recv"), signal.SIGUSR1)
    until(flow.wait_said("recv", "hold", 10)[0]["t1"] + 300 * MS)
    t.finish()


@recording(line("exit", signal_name="SIGSEGV"))
def exit_by_signal(t):
    """The receiver dies of SIGSEGV."""
    flow = t.flow(sender(period_ms=100), receiver(script="stuck.py", how="segv", seconds=0.3))
    t.probe(*ALL)
    flow.go()
    recv = flow.pid("recv")
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    time.sleep(0.3)
    t.finish()


@recording(line("exit", code=1))
def exit_by_error(t):
    """The receiver ends with a traceback."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("raise", at=0.5)]))
    t.probe(*ALL)
    flow.go()
    recv = flow.pid("recv")
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    time.sleep(0.3)
    t.finish()


@recording(line("exit"))
def exec_other_program(t):
    """The receiver becomes another program by exec."""
    flow = t.flow(sender(period_ms=100), receiver(script="stuck.py", how="exec", seconds=0.3))
    t.probe(*ALL)
    flow.go()
    recv = flow.pid("recv")
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    time.sleep(0.3)
    t.finish()


@recording(action("hook", "failed"), replays=[TEXT])
def hook_failed(t):
    """--on-warning with a command that fails."""
    misbehaves(t, [step("usleep", 0.8)], "hold", *ALL, "--on-warning", "exit 7")


@recording(line("action", action="hook"))
def hooks_action(t):
    """--on-action with a command that works, and a nudge."""
    stuck(t, *NUDGE, "--on-action", "true", "--on-warning", "exit 7", grace=4, interrupt="leave")


# ---- holds -----------------------------------------------------------------------------------

@recording(line("gil_hold", precision="exact"))
def exact(t):
    """--exact: the brackets shrink to nothing."""
    misbehaves(t, [step("usleep", 0.3), step("sum", 0.2, 0.8)], "plan_done", *ALL, "--exact")


@recording(line("gil_hold", native=True), replays=[TEXT])
def holds(t):
    """Four C calls with the GIL held, on and off the CPU, without another Python thread."""
    misbehaves(t, [step(k, 0.25, 0.2 + 0.45 * n) for n, k in
                   enumerate(("usleep", "sum", "pow", "re"))], "plan_done", *ALL)


@recording(line("gil_hold"), line("gil_wait"))
def holds_contended(t):
    """The same with a second Python thread that wants the GIL all the time."""
    misbehaves(t, [step(k, 0.25, 0.2 + 0.45 * n) for n, k in
                   enumerate(("usleep", "sum"))], "plan_done", *ALL, companion=0.005)


@recording(line("gil_hold"))
def hold_second_thread(t):
    """A second thread keeps the GIL while the main thread wants to go on with its events."""
    misbehaves(t, [step("usleep", 0.6, 0.3, "second")], "plan_done", *ALL, after=600 * MS)


@recording(line("summary"))
def competition(t):
    """Two pure-Python threads hand the GIL over every 5 ms."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("compete", 1.0, 0.2)]))
    t.probe(*ALL)
    flow.go()
    flow.wait_said("recv", "hogged", 10, count=2)
    time.sleep(0.3)
    t.finish()


@recording(line("summary"))
def short_releases(t):
    """The GIL is let go a thousand times a second for a microsecond."""
    misbehaves(t, [step("short", 1.0)], "short", *ALL)


@recording(line("gil_hold", precision="at_least"))
def late_attach(t):
    """The probe comes in the middle of a hold."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 1.8, 0.2)]))
    flow.go()
    until(flow.go_ns + 700 * MS)
    t.probe(*ALL)
    until(flow.wait_said("recv", "hold", 10)[0]["t1"] + 400 * MS)
    t.finish()


def comes_late(t, do, seconds, *args, after=1.5, leave=True, **kw):
    """The probe comes `after` seconds into what the receiver does, and looks for two."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step(do, seconds, 0.2)]), **kw)
    flow.go()
    until(flow.go_ns + int((0.2 + after) * S))
    t.probe("--duration", "2s", *args, pids=[flow.pid("recv")])
    t.the_probe.end(None, 10)
    if leave:
        t.finish()
    return flow


@recording(line("stock", messages=1, connections=4), line("gil_hold", function="hold_usleep"),
           line("warning", kind="gil_hold", cause="gil_native"), replays=[TEXT])
def late_sleeping_hold(t):
    """Late to a hold whose thread sleeps: it has its true beginning."""
    comes_late(t, "usleep", 5.0)


@recording(line("stock"), line("warning", kind="gil_hold", function="hold_sum"), replays=[TEXT])
def late_running_hold(t):
    """Late to a native call on the CPU: who and where, and since the attach at least."""
    comes_late(t, "sum", 5.0)


@recording(line("stock"), line("warning", kind="token_pending", cause="busy_python"))
def late_bytecode(t):
    """Late to a handler that computes in Python."""
    comes_late(t, "busy", 5.0)


@recording(line("stock"), line("token", token=None, state="open"),
           line("warning", kind="token_pending", cause="blocked", function="act_sleep"),
           replays=[TEXT])
def late_blocked(t):
    """Late to a handler that sleeps with the GIL free: its message is pending, its name unknown."""
    comes_late(t, "sleep", 6.0)


@recording(line("stock"), line("warning", kind="token_pending", cause="reference_kept"),
           line("token", token=None, state="open"))
def late_kept(t):
    """Late to a node that keeps its arrays: all of them are pending."""
    comes_late(t, "keep", 60.0)


@recording(line("stock", complete=True), line("token", token=None, state="returned"))
def late_given_back(t):
    """Late to arrays that are kept for a while: they are given back under the probe's eyes."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("keep", 2.5, 0.2)]))
    flow.go()
    until(flow.go_ns + 1500 * MS)
    t.probe(*ALL, pids=[flow.pid("recv")])
    until(flow.wait_said("recv", "keep_end", 10)[0]["t"] + 400 * MS)
    t.finish()


@recording(line("stock", connections=4), line("token", state="returned"))
def late_unix_socket(t):
    """Late to nodes on unix sockets, which are found by their peer."""
    comes_late(t, "usleep", 2.5, *ALL, transport="UnixDomain")


@recording(line("stock", stop_command_ns="*"), replays=[TEXT])
def late_stop(t):
    """Late to a stop that is under way: the command is found running."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 6.0, 0.2)]),
                  mode="coordinator")
    flow.go()
    until(flow.go_ns + 600 * MS)
    flow.stop("20s")
    until(flow.stop_ns + 2 * S)
    t.probe("--duration", "2s", pids=[flow.pid("recv")])
    t.the_probe.end(None, 10)
    t.finish()


@recording(line("warning", kind="gil_hold", severity="warning"),
           line("warning", kind="gil_hold", resolved=True), replays=[TEXT])
def warning_steps(t):
    """A hold that passes notice, warning and critical, and is resolved."""
    misbehaves(t, [step("usleep", 2.4)], "hold", *ALL, "--warn-hold", "200ms", after=2800 * MS)


# ---- surroundings ----------------------------------------------------------------------------

@recording(line("token"), line("warning", kind="token_pending"))
def two_receivers(t):
    """One life per token and receiver: one receiver stalls, the other does not."""
    flow = t.flow(sender(period_ms=100), receiver("a", plan=[step("usleep", 0.9)]), receiver("b"))
    t.probe(*PENDING)
    flow.go()
    until(flow.wait_said("a", "hold", 15)[0]["t1"] + 400 * MS)
    t.finish()


@recording(line("exit", code=3))
def node_restarts(t):
    """dora starts a node anew that died: a process of its own with the same name."""
    flow = t.flow(sender(period_ms=100), receiver(restart="on-failure", plan=[
        step("keep", 60), step("crash_once", at=0.8), step("usleep", 0.4, 0.9)]))
    with open(f"/proc/{flow.pid('recv')}/environ") as f:
        text = f.read()
    uuid = text[text.index("dataflow_id:"):].split()[1].strip("'\"")
    probe = t.probe(*ALL, target=["--dataflow", uuid])
    flow.go()
    new = flow.wait_restarted("recv")
    probe.wait("node", 10, pid=new)
    until(flow.wait_said("recv", "hold", 15)[0]["t1"] + 600 * MS)
    pids = (new, flow.pid("send"))
    flow.stop()
    flow.wait_gone(15)
    for pid in pids:
        probe.wait("exit", 5, pid=pid)
    t.finish(sig=signal.SIGINT)


@recording(line("token"), line("exit"))
def early_attach(t):
    """--all: nodes that start after the probe, one of them behind a launcher, one with helpers."""
    probe = t.probe("--token-threshold", "0s", pids=[], target=["--all"])
    flow = t.flow(sender(period_ms=100), receiver(script="launcher.py"),
                  receiver("more", helpers=True))
    pids = flow.pids()
    probe.wait_attached(pids.values())
    flow.go()
    flow.wait_said("send", "sent", 10, count=10)
    flow.stop()
    flow.wait_gone(10)
    for pid in pids.values():
        probe.wait("exit", 5, pid=pid)
    t.finish(sig=signal.SIGINT)


@recording(line("token"))
def two_dataflows(t):
    """Two dataflows with equal node names at once."""
    a = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 0.6)]))
    b = t.flow(sender(period_ms=100), receiver())
    t.probe(*ALL)
    a.go()
    b.go()
    until(a.wait_said("recv", "hold", 15)[0]["t1"] + 400 * MS)
    t.finish()


@recording(line("loss"), replays=[TEXT])
def losses(t):
    """The probe is stopped (SIGSTOP) under load until its rings are full."""
    flow = t.flow(sender(period_ms=50, wait_go=True, flat=2.0, log="count", size=5000), receiver())
    t.probe("--token-threshold", "10s")
    flow.go()
    flow.wait_said("send", "flat_begin", 10)
    os.kill(t.the_probe.proc.pid, signal.SIGSTOP)
    flow.wait_said("send", "flat_end", 20)
    os.kill(t.the_probe.proc.pid, signal.SIGCONT)
    time.sleep(0.5)
    t.finish()


@recording(line("gil_hold", function="hold"))
def plain_python(t):
    """A Python process that is no dora node."""
    script = os.path.join(t.dir, "plain.py")
    with open(script, "w") as f:
        f.write("import ctypes, time\nlibc = ctypes.PyDLL(None)\n\n\ndef hold():\n"
                "    libc.usleep(400000)\n\n\ntime.sleep(1.5)\nhold()\ntime.sleep(0.5)\n")
    p = subprocess.Popen([*DEFAULT_SIGNALS, "/usr/bin/python3", script])
    t.others.append(p)
    time.sleep(0.3)
    probe = t.probe(pids=[p.pid])
    p.wait(10)
    probe.end(None, 10)


@recording(line("node", implementation="native"))
def native_node(t):
    """A native process with a node's configuration that never registers (sleep)."""
    config = ("dataflow_id: 11111111-2222-4333-8444-555555555555\nnode_id: lidar\nrun_config:\n"
              "  inputs: {}\n  outputs: []\ndaemon_communication: !Tcp\n"
              "  socket_addr: 127.0.0.1:9\ndynamic: false\n")
    p = subprocess.Popen([*DEFAULT_SIGNALS, "/bin/sleep", "2"],
                         env=dict(os.environ, DORA_NODE_CONFIG=config))
    t.others.append(p)
    time.sleep(0.2)
    probe = t.probe(*ALL, pids=[p.pid])
    p.wait(10)
    probe.end(None, 10)


# ---- other versions of dora ------------------------------------------------------------------

def one_hold(t, **kw):
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("usleep", 0.8)]), **kw)
    t.probe(*ALL)
    flow.go()
    until(flow.wait_said("recv", "hold", 15)[0]["t1"] + 400 * MS)
    t.finish()


@recording(line("node", dora="1.1.0"), line("gil_hold"), dora="1.1.0", replays=[TEXT])
def dora_1_1(t):
    """dora 1.1.0: another codec on the wire, no drop tokens."""
    one_hold(t)


@recording(line("exit", grace_kill=True), dora="1.1.0")
def dora_1_1_grace_kill(t):
    """dora 1.1.0: killed because of the GIL."""
    stuck(t, grace=2)


@recording(line("node", dora="0.3.12"), line("token", cause="gil_native"), dora="0.3.12",
           replays=[TEXT])
def dora_0_3(t):
    """dora 0.3.12 over TCP."""
    one_hold(t)


@recording(line("exit", grace_kill=True), dora="0.3.12")
def dora_0_3_grace_kill(t):
    """dora 0.3.12: SIGKILL at the end of the grace period."""
    stuck(t, grace=2)


@recording(line("node", transport="unix"), line("token"), dora="0.3.12")
def dora_0_3_unix(t):
    """dora 0.3.12 over a unix socket."""
    one_hold(t, transport="UnixDomain")


@recording(line("node", transport="shmem"), dora="0.4.1", replays=[TEXT])
def dora_0_4_shmem(t):
    """dora 0.4.1 over shared memory: neither tokens nor Stop are seen."""
    one_hold(t, transport="Shmem")


@recording(line("token", cause="gil_native"), dora="0.4.1")
def dora_0_4(t):
    """dora 0.4.1 over TCP."""
    one_hold(t)


# ---- deadlines and deaths without a Stop -----------------------------------------------------

def silent_until_killed(t, timeout, **described):
    """A receiver that asks its daemon by a timer, then sleeps until a watchdog kills it."""
    flow = t.flow(sender(period_ms=100), receiver(
        plan=[step("sleep", 60, 0.2)], described=described,
        inputs={"tick": {"source": "dora/timer/millis/50", "queue_size": 1}}), mode="coordinator")
    t.probe(*ALL)
    flow.go()
    recv = flow.pid("recv")
    wait_until(lambda: recv not in flow.alive(), timeout, "end of the receiver", 0.005)
    t.finish()


@recording(line("warning", kind="deadline", deadline_source="descriptor"),
           line("exit", reason="health_kill", cause="blocked"), dora="1.1.0", replays=[TEXT])
def health_kill(t):
    """dora 1.x kills a node that has sent no request for its health_check_timeout."""
    silent_until_killed(t, 25, health_check_timeout=2.0)


@recording(line("warning", kind="deadline", cause="not_connected"),
           line("exit", reason="startup_kill", cause="not_connected"), dora="1.1.0", replays=[TEXT])
def startup_kill(t):
    """dora 1.x kills a node that has not connected within its startup_timeout."""
    flow = t.flow(sender(period_ms=100), receiver(late=60, described={"startup_timeout": 6.0}),
                  mode="coordinator", wait=False)
    recv = flow.wait_said("recv", "start", 15)[0]["pid"]
    t.probe(*ALL, pids=[recv])
    wait_until(lambda: not os.path.exists(f"/proc/{recv}"), 25, "end of the receiver", 0.005)
    t.the_probe.end(None, 10)


@recording(line("stop", reason="all_inputs_closed", deadline_source="descriptor"),
           line("exit", reason="finish_kill"), dora="1.1.0", replays=[TEXT])
def finish_kill(t):
    """dora 1.x stops and kills a node that does not end after all its inputs have closed."""
    flow = t.flow(sender(only=10, ends=True, wait_go=True), receiver(
        plan=[step("sleep", 60, 0.2)], described={"finish_grace_secs": 2.0}), mode="coordinator")
    t.probe(*ALL)
    flow.go()
    t.finish(stop=False, timeout=40)


@recording(line("exit", reason="orphan"), dora="1.1.0", replays=[TEXT])
def orphan(t):
    """`dora run` of 1.x is killed: the orphan guard of each node ends it."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sleep", 60, 0.2)]))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + S)
    flow.procs["run"].kill()
    t.finish(stop=False)


@recording(line("warning", kind="daemon_gone"), line("exit", reason="signal", cause="blocked"),
           replays=[TEXT])
def daemon_gone(t):
    """`dora run` up to 0.5.0 is killed: a node that is busy lives on, until somebody ends it."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sleep", 60, 0.2)]))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + S)
    flow.procs["run"].kill()
    t.the_probe.wait("warning", 5, kind="daemon_gone", pid=flow.pid("recv"))
    for pid in flow.alive():
        os.kill(pid, signal.SIGKILL)
    t.finish(stop=False)


@recording(line("stop", deadline_source="command"), line("exit", reason="grace_kill", code=143),
           replays=[TEXT])
def exit_after_sigterm(t):
    """A handler of the daemon's SIGTERM ends the node with 143: the grace was over all the same."""
    stuck(t, grace=2, do="sleep", leave={"TERM": 143})


@recording(line("stop", deadline_source="command", kill_signal=15), line("exit", reason="grace_kill"),
           dora="1.1.0", replays=[TEXT])
def node_stop_command(t):
    """`dora node stop --grace` of one node; the other one is stopped afterwards."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sleep", 60, 0.2)]), mode="coordinator")
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + S)
    recv = flow.pid("recv")
    flow.ask("node", "stop", "recv", "--grace", "2s")
    wait_until(lambda: recv not in flow.alive(), 10, "end of the receiver", 0.005)
    flow.stop_ns = None
    t.finish()


@recording(line("exit", reason="signal", signal=9, grace_kill=False), dora="0.3.12", replays=[TEXT])
def second_interrupt(t):
    """The second Ctrl-C of `dora run` up to 0.3.13 kills what is left at once: no grace was given."""
    flow = t.flow(sender(period_ms=100), receiver(plan=[step("sleep", 60, 0.2)]))
    t.probe(*ALL)
    flow.go()
    until(flow.go_ns + S)
    flow.stop()
    until(flow.stop_ns + S)
    flow.procs["run"].send_signal(signal.SIGINT)
    t.finish(stop=False)
