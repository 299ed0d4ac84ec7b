# SPDX-License-Identifier: MIT
"""A golden recording for each decision of the shutdown guard."""

import os
import signal

from flow import receiver, sender
from scenarios import ALL, MS, NUDGE, PENDING, S, TEXT, action, line, misbehaves, recording, step, stuck, until


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


@recording(action("nudge", "refused", "the process is stopped"), line("warning", cause="stopped"),
           line("token", cause="stopped"), line("exit", code=0, grace_kill=False), replays=[TEXT])
def refused_stopped(t):
    """SIGSTOP from outside before Stop, and SIGCONT before the deadline."""
    flow = t.flow(sender(period_ms=100), receiver(), mode="coordinator")
    t.probe(*PENDING, *NUDGE)
    flow.go()
    until(flow.go_ns + 500 * MS)
    os.kill(flow.pid("recv"), signal.SIGSTOP)
    until(flow.go_ns + 2500 * MS)
    flow.stop("5s")
    until(flow.stop_ns + 2000 * MS)
    os.kill(flow.pid("recv"), signal.SIGCONT)
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
    if how not in ("stays", "pool_stays"):
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


@recording(action("nudge", "sent"), line("exit", saved=True))
def nudge_next_loop(t):
    """next() again and again after the end of the stream."""
    loops(t, "next_loop", *SOON)


@recording(line("exit", grace_kill=True, cause="busy_python"), line("action", result="would_send"))
def grace_kill_next_loop(t):
    """The same without help: the cause is Python that goes on, not a computation without the GIL."""
    loops(t, "next_loop")


@recording(action("nudge", "refused", "a proven deadlock that ends by SIGTERM"),
           line("exit", grace_kill=True, cause="deadlock"), replays=[TEXT])
def refused_deadlock(t):
    """A join of a worker that waits for the GIL: no signal is sent, and it is said what ends it."""
    loops(t, "native_deadlock", *SOON, grace=4, pause=3)


@recording(action("nudge", "refused", "no signal ends such a wait"),
           line("exit", code=0, saved=False, grace_kill=False), replays=[TEXT])
def refused_lock_wait(t):
    """A native call waits for its own worker and ends in time: it is let alone."""
    loops(t, "native_wait_ends", *SOON, grace=6, **{"for": 4})


@recording(action("nudge", "refused", "main waits for the end of a thread"),
           action("nudge", "sent", "goes on as before Stop"), line("exit", saved=True))
def nudge_pool(t):
    """Main waits for a pool whose thread goes on as before Stop: nudged when three quarters are over."""
    loops(t, "pool_stays", *SOON, grace=5, pause=3)


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


@recording(action("hook", "failed"), replays=[TEXT])
def hook_failed(t):
    """--on-warning with a command that fails."""
    misbehaves(t, [step("usleep", 0.8)], "hold", *ALL, "--on-warning", "exit 7")


@recording(line("action", action="hook"))
def hooks_action(t):
    """--on-action with a command that works, and a nudge."""
    stuck(t, *NUDGE, "--on-action", "true", "--on-warning", "exit 7", grace=4, interrupt="leave")
