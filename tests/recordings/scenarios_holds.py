# SPDX-License-Identifier: MIT
"""Golden recordings of holds: each source and precision."""

import time

from flow import receiver, sender
from scenarios import ALL, MS, TEXT, line, misbehaves, recording, step, until


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


@recording(line("warning", kind="gil_hold", severity="warning"),
           line("warning", kind="gil_hold", resolved=True), replays=[TEXT])
def warning_steps(t):
    """A hold that passes notice, warning and critical, and is resolved."""
    misbehaves(t, [step("usleep", 2.4)], "hold", *ALL, "--warn-hold", "200ms", after=2800 * MS)
