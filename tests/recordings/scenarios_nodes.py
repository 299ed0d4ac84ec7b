# SPDX-License-Identifier: MIT
"""Golden recordings of what becomes of a node's processes."""

import os
import signal

from flow import receiver, sender
from scenarios import TEXT, line, recording


@recording(line("warning", kind="crash_loop"), line("exit", code=1), replays=[TEXT])
def crash_loop(t):
    """A node that ends in trouble, and that dora starts again and again."""
    probe = t.probe(pids=[], wait=False, target=["--node", "again"])
    probe.wait("start", 20)
    flow = t.flow(sender(), receiver("again", script="crasher.py", restart="on-failure"), wait=False)
    flow.wait_said("again", "start", 40, count=4)
    probe.wait("warning", 10, kind="crash_loop")
    t.end_probe()


@recording(line("warning", kind="wrapper_killed"), line("exit", signal=9), replays=[TEXT])
def wrapper_killed(t):
    """The launcher that dora started is killed, the node goes on until it is killed as well."""
    flow = t.flow(sender(), receiver("recv8", script="chain.py", env={
        "E2E_LAYERS": "call", "E2E_SCRIPT": "receiver.py"}))
    probe = t.probe(pids=[], wait=False, target=["--node", "recv8"])
    probe.wait("node", 20, pid=flow.pid("recv8"))
    os.kill(flow.said("recv8", "layer")[0]["pid"], signal.SIGKILL)
    probe.wait("warning", 5, kind="wrapper_killed")
    os.kill(flow.pid("recv8"), signal.SIGKILL)
    probe.wait("exit", 5, pid=flow.pid("recv8"))
    t.end_probe()
