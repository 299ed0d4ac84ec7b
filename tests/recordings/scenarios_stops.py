# SPDX-License-Identifier: MIT
"""Golden recordings of stops and exits in which the guard does nothing."""

import os
import signal
import time

from flow import receiver, sender, wait_until
from scenarios import ALL, MS, TEXT, line, recording, step, stuck, until


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
