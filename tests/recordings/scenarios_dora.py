# SPDX-License-Identifier: MIT
"""Golden recordings of other surroundings and versions of dora, and of its watchdogs' kills."""

import os
import signal
import subprocess
import time

from flow import DEFAULT_SIGNALS, receiver, sender, wait_until
from scenarios import ALL, MS, PENDING, S, TEXT, line, recording, step, stuck, until


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
