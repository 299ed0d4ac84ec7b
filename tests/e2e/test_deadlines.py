# SPDX-License-Identifier: MIT
"""Deadlines of every kind and source, and deaths by another's hand: commands of one node, watchdogs of
dora 1.x, a SIGTERM handler that leaves, a daemon that goes. What is expected is measured by the nodes'
own times and by the exit that the kernel gives, never by the probe.
"""

import os
import signal

from flow import wait_until
from scenario import MS, S, checks, now, receiver, scenario, sender

LONG = 40  # seconds: longer than any test


def stuck(t, do="sleep", mode="coordinator", **opts):
    """A dataflow whose receiver is stuck for longer than any grace. Gives (flow, probe)."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": do, "for": LONG}], **opts), mode=mode)
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 800 * MS, 10, "middle of the call")
    return flow, probe


def end_of(flow, pid, since_ns, timeout):
    """Seconds from `since_ns` to the end of the process."""
    wait_until(lambda: pid not in flow.alive(), timeout, f"end of {pid}", 0.005)
    return (now() - since_ns) / S


def lines_after(t, probe, flow, stop=True):
    """Ends dataflow and probe in order; the probe's lines."""
    if stop:
        flow.stop()
    flow.wait_gone(25)
    probe.end(None, 10)
    return probe.events()


def exit_of(lines, pid):
    got = checks.lines_of(lines, "exit", pid=pid)
    return got[0] if len(got) == 1 else {}


def command_of_one_node(t, args, grace, term=None):
    flow, probe = stuck(t, noop=term) if term else stuck(t)
    recv, send = flow.pid("recv"), flow.pid("send")
    flow.ask("node", *args)
    asked = flow.stop_ns
    took = end_of(flow, recv, asked, grace * 1.5 + 6)
    killed = grace * 1.5 if term else grace
    t.expect(abs(took - killed) < 0.9, f"gone {took:.2f} s after the command, want {killed} s")
    lines = lines_after(t, probe, flow)
    t.check(checks.check_stop(lines, recv, asked, deadline=killed * S,
                              kill_signal=("KILL", "SIGKILL", 9) if term
                              else ("TERM", "SIGTERM", 15)))
    stops = checks.lines_of(lines, "stop", pid=recv)
    t.expect(len(stops) == 1 and stops[0]["deadline_source"] == "command", f"stop lines: {stops}")
    t.check(checks.check_exit(lines, recv, grace_kill=True, reason="grace_kill"))
    other = checks.lines_of(lines, "stop", pid=send)
    t.expect(other and other[0]["t_ns"] > asked + took * S, "the other node was told with it")


@scenario(dora=("1.1.0",))
def node_stop_grace(t):
    """`dora node stop --grace`: its own deadline, and none of the other node."""
    command_of_one_node(t, ["stop", "recv", "--grace", "3s"], 3)


@scenario(dora=("1.1.0",))
def node_restart_default(t):
    """`dora node restart` gives five seconds, and half as long again to one that catches SIGTERM."""
    flow, probe = stuck(t, noop="TERM", do="sum")
    recv = flow.pid("recv")
    flow.ask("node", "restart", "recv")
    took = end_of(flow, recv, flow.stop_ns, 15)
    t.expect(abs(took - 7.5) < 0.9, f"gone {took:.2f} s after the command")
    flow.wait_restarted("recv")
    lines = lines_after(t, probe, flow)
    stops = checks.lines_of(lines, "stop", pid=recv)
    t.expect(len(stops) == 1 and stops[0]["deadline_source"] == "command" and
             abs(stops[0]["deadline_ns"] - stops[0]["t_ns"] - 7.5 * S) < 100 * MS and
             stops[0]["kill_signal"] == 9, f"stop lines: {stops}")
    t.check(checks.check_exit(lines, recv, grace_kill=True, reason="grace_kill", signal=9))


@scenario(dora=("0.5.0", "1.1.0"))
def leaves_at_the_deadline(t):
    """A SIGTERM handler that ends the node with 143 or 0 is the end of the grace all the same."""
    code = t.rng.choice((0, 143))
    flow, probe = stuck(t, leave={"TERM": code})
    recv = flow.pid("recv")
    flow.stop("2s")
    took = end_of(flow, recv, flow.stop_ns, 10)
    t.expect(abs(took - 2) < 0.8, f"gone {took:.2f} s after Stop")
    lines = lines_after(t, probe, flow, stop=False)
    t.check(checks.check_exit(lines, recv, grace_kill=True, reason="grace_kill", code=code,
                              signal=None, cause="blocked"))
    t.facts["exit code"] = str(code)


@scenario(dora=("1.1.0",))
def health_kill(t):
    """A node that falls silent is warned of, and killed by the health check of its daemon."""
    do, cause = t.rng.choice((("sleep", "blocked"), ("usleep", "gil_native")))
    # Its messages come by zenoh: the timer is what it asks its daemon for.
    flow, probe = stuck(t, do=do, described={"health_check_timeout": 2.0},
                        inputs={"tick": {"source": "dora/timer/millis/20", "queue_size": 1}})
    recv = flow.pid("recv")
    end_of(flow, recv, flow.go_ns, 25)
    died = now()
    lines = lines_after(t, probe, flow)
    t.check(checks.check_exit(lines, recv, grace_kill=False, reason="health_kill", signal=9,
                              cause=cause, since_stop_ns=None, killer_pid=flow.procs["daemon"].pid))
    early = [o for o in checks.lines_of(lines, "warning", pid=recv, kind="deadline")
             if o["deadline_source"] == "descriptor" and not o["resolved"]]
    t.expect(early and early[0]["t_ns"] < died - 500 * MS and
             early[0]["deadline_ns"] < died, f"warnings: {early}")
    t.expect(not checks.lines_of(lines, "stop", pid=recv), "it was never told to stop")


@scenario(dora=("1.1.0",))
def startup_kill(t):
    """A node that does not connect in time is killed by the startup timeout."""
    flow = t.flow(sender(), receiver(late=LONG, described={"startup_timeout": 7.0}),
                  mode="coordinator", wait=False)
    recv = flow.wait_said("recv", "start", 15)[0]["pid"]
    began = now()
    probe = t.probe("--token-threshold", "0s", pids=[recv])
    wait_until(lambda: not os.path.exists(f"/proc/{recv}"), 20, "end of the receiver", 0.005)
    died = now()
    probe.end(None, 10)
    lines = probe.events()
    t.check(checks.check_exit(lines, recv, grace_kill=False, reason="startup_kill", signal=9,
                              cause="not_connected", since_stop_ns=None))
    early = [o for o in checks.lines_of(lines, "warning", pid=recv, kind="deadline")
             if o["cause"] == "not_connected" and not o["resolved"]]
    t.expect(early and early[0]["t_ns"] < died - 500 * MS, f"warnings: {early}")
    t.facts["killed after"] = f"{(died - began) / S:.1f} s"


@scenario(dora=("1.1.0",), limit=60, default=False)
def finish_kill(t):
    """All inputs have closed, and the node does not end: dora stops and kills it."""
    flow = t.flow(sender(only=20, ends=True, wait_go=True), receiver(plan=[{"at": 0.2, "do": "sleep", "for": LONG}],
                                           described={"finish_grace_secs": 2.0}), mode="coordinator")
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    recv = flow.pid("recv")
    took = end_of(flow, recv, flow.go_ns, 45)
    lines = lines_after(t, probe, flow, stop=False)
    t.check(checks.check_exit(lines, recv, grace_kill=False, reason="finish_kill", signal=15))
    t.facts["killed after"] = f"{took:.1f} s"


@scenario(dora=("0.5.0", "1.1.0"))
def daemon_is_killed(t):
    """`dora run` is killed: 1.x nodes end themselves, older ones live on and that is said."""
    flow, probe = stuck(t, mode="run")
    recv, daemon = flow.pid("recv"), flow.procs["run"]
    daemon.kill()
    killed = now()
    if t.version.startswith("1."):
        took = end_of(flow, recv, killed, 3)
        t.expect(took < 1.0, f"gone {took:.2f} s after its daemon")
        want = {"reason": "orphan", "killer_pid": recv}
    else:
        gone = probe.wait("warning", 3, kind="daemon_gone", pid=recv)[0]
        t.expect(str(daemon.pid) in gone["advice"], gone["advice"])
        t.expect(recv in flow.alive(), "the node lives on")
        for pid in flow.alive():
            os.kill(pid, signal.SIGKILL)
        want = {"reason": "signal", "killer_pid": os.getpid()}
    flow.wait_gone(10)
    probe.end(None, 10)
    t.check(checks.check_exit(probe.events(), recv, grace_kill=False, signal=9,
                              cause=lambda v: v is not None, gil_share=lambda v: v is not None,
                              **want))


@scenario(dora=("0.3.12", "0.5.0", "1.1.0"))
def second_interrupt(t):
    """The second Ctrl-C of `dora run` is no grace kill, whatever becomes of the nodes."""
    flow, probe = stuck(t, mode="run")
    recv = flow.pid("recv")
    flow.stop()
    wait_until(lambda: now() > flow.stop_ns + S, 5, "a second after the first")
    flow.procs["run"].send_signal(signal.SIGINT)
    if t.version == "0.5.0":
        probe.wait("warning", 5, kind="daemon_gone", pid=recv)
        t.expect(recv in flow.alive(), "the node lives on")
        os.kill(recv, signal.SIGKILL)
    took = end_of(flow, recv, flow.stop_ns, 5)
    flow.wait_gone(10)
    probe.end(None, 10)
    t.expect(took < 5, f"gone {took:.2f} s after Stop")
    t.check(checks.check_exit(probe.events(), recv, grace_kill=False, signal=9,
                              reason="orphan" if t.version == "1.1.0" else "signal"))
