# SPDX-License-Identifier: MIT
"""Golden recordings of a probe that comes when the trouble is there already."""

from flow import receiver, sender
from scenarios import ALL, MS, S, TEXT, line, recording, step, until


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
