# SPDX-License-Identifier: MIT
"""Stop, deadline, early warning, the kill and who is to blame; the guard that prevents it.

A dataflow with a coordinator of its own lets a test choose the grace period, so that a kill does
not take ten seconds.
"""

import os
import shutil
import signal
import stat
import subprocess
import time

from flow import DEFAULT_SIGNALS, NODES, free_port, wait_until
from scenario import MS, S, Skip, checks, now, receiver, scenario, sender
from ordinary import HAS_TOKENS, check_holds

SIGTERM = ("TERM", "SIGTERM", 15)
SIGKILL = ("KILL", "SIGKILL", 9)
LONG = 40  # seconds: longer than any test


def stuck(t, *args, grace=3, step="usleep", on="main", seconds=LONG, pause=0.6, **opts):
    """A dataflow that is stopped while its receiver is stuck. Gives (flow, probe)."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": step, "for": seconds, "on": on}],
                                     **opts), mode="coordinator")
    probe = t.probe("--token-threshold", "0s", *args)
    flow.go()
    wait_until(lambda: now() > flow.go_ns + int((0.25 + pause) * S), 10, "middle of the hold")
    flow.stop(f"{grace}s")
    return flow, probe


def over(t, flow, probe, timeout):
    """Waits for the receiver's end; gives its time after Stop in seconds."""
    recv = flow.pid("recv")
    try:
        wait_until(lambda: recv not in flow.alive(), timeout, "end of the receiver", 0.005)
    finally:
        gone = now()
    flow.wait_gone(15)
    probe.end(None, 10)
    return (gone - flow.stop_ns) / S


def sigkill_only(version):
    return version.startswith("0.3.")


def actions(probe, **fields):
    return checks.lines_of(probe.events(), "action", **fields)


def early_warning(t, lines, pid, flow, grace):
    """The first warning of a kill comes at least 80 % of the grace period before it."""
    first = [o for o in checks.lines_of(lines, "warning", pid=pid)
             if o["kind"] in ("stop_pending", "deadline") and not o["resolved"]]
    if not first:
        t.problems.append("no early warning")
        return
    # From Stop on the wire: `dora stop` itself takes a while to start.
    wire = checks.lines_of(lines, "stop", pid=pid)
    after = first[0]["_arrival_ns"] - (wire[0]["t_ns"] if wire else flow.stop_ns)
    t.expect(after < 0.2 * grace * S, f"first warning {after / 1e6:.0f} ms after Stop")
    t.facts["first warning after"] = f"{after / 1e6:.0f} ms"
    for o in first:
        if o["kind"] == "deadline":
            t.expect(o["deadline_ns"] is not None and
                     abs(o["deadline_ns"] - flow.stop_ns - grace * S) < 300 * MS,
                     f"deadline {o['deadline_ns']}")


def killed(t, flow, probe, grace, cause, gil):
    recv = flow.pid("recv")
    took = over(t, flow, probe, grace + 6)
    t.expect(abs(took - grace) < 0.8, f"gone {took:.2f} s after Stop with a grace of {grace} s")
    lines = probe.events()
    names = SIGKILL if sigkill_only(t.version) else SIGTERM
    t.check(checks.check_stop(lines, recv, flow.stop_ns, kill_signal=names, deadline=grace * S))
    t.check(checks.check_exit(
        lines, recv, grace_kill=True, saved=False, code=None, signal=lambda v: v in names,
        cause=cause, killer_pid=lambda v: v in (flow.procs["daemon"].pid, None)
        if sigkill_only(t.version) else v == flow.procs["daemon"].pid,
        since_stop_ns=lambda v: v is not None and abs(v - grace * S) < 800 * MS,
        gil_share=lambda v: v is not None and (v > 0.85 if gil else v < 0.1)))
    early_warning(t, lines, recv, flow, grace)
    t.check(checks.check_exit(lines, flow.pid("send"), grace_kill=False, code=0))
    if not sigkill_only(t.version):
        got = [o for o in checks.lines_of(lines, "signal", pid=recv) if o["signal"] in SIGTERM]
        t.expect(len(got) == 1 and got[0]["sender_pid"] == flow.procs["daemon"].pid,
                 f"SIGTERM lines: {got}")
    if t.version in HAS_TOKENS:
        left = [o for o in checks.lines_of(lines, "token", receiver="recv")
                if o["state"] == "abandoned"]
        t.expect(len(left) >= 5, f"{len(left)} tokens abandoned")
        for o in left:
            t.expect(o["cause"] == cause, f"abandoned token: cause {o['cause']!r}")
        t.check(checks.check_exit(lines, recv, tokens_abandoned=len(left)))
    t.expect(not [o for o in actions(probe) if o["result"] == "sent"],
             "something was sent without --shutdown")
    return lines


@scenario()
def grace_kill_gil(t):
    """Killed at the end of the grace period because of the GIL."""
    flow, probe = stuck(t, step=t.rng.choice(("usleep", "sum", "pow")))
    killed(t, flow, probe, 3, "gil_native", True)


@scenario()
def grace_kill_blocked(t):
    """Killed in time.sleep: the GIL is not to blame."""
    flow, probe = stuck(t, step="sleep")
    killed(t, flow, probe, 3, "blocked", False)


@scenario(dora=("0.4.1", "0.5.0", "1.1.0"))
def grace_kill_second_stage(t):
    """A Python SIGTERM handler that never gets to run: SIGKILL at 1.5 times the grace period."""
    flow, probe = stuck(t, step="sum", noop="TERM", grace=2)
    recv = flow.pid("recv")
    took = over(t, flow, probe, 8)
    t.expect(abs(took - 3) < 0.8, f"gone {took:.2f} s after Stop")
    lines = probe.events()
    t.check(checks.check_stop(lines, recv, flow.stop_ns, deadline=3 * S))
    t.check(checks.check_exit(lines, recv, grace_kill=True, signal=lambda v: v in SIGKILL,
                              cause="gil_native"))
    got = [o for o in checks.lines_of(lines, "signal", pid=recv) if o["signal"] in SIGTERM]
    t.expect(len(got) == 1 and got[0]["delivered_ns"] and got[0]["handled_ns"] is None,
             f"SIGTERM delivered, never handled: {got}")


@scenario()
def grace_option(t):
    """--grace beats what a `dora stop` seen starting says."""
    flow, probe = stuck(t, "--grace", "9s", grace=2)
    over(t, flow, probe, 8)
    t.check(checks.check_stop(probe.events(), flow.pid("recv"), flow.stop_ns, deadline=9 * S))


@scenario()
def signal_handling(t):
    """A signal is sent, delivered, and handled only when the hold is over."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "sum", "for": 1.5}], noop="USR1"))
    probe = t.probe("--token-threshold", "0s")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 900 * MS, 5, "middle of the hold")
    recv = flow.pid("recv")
    sent = now()
    os.kill(recv, signal.SIGUSR1)
    hold = flow.wait_said("recv", "hold", 10)[0]
    wait_until(lambda: now() > hold["t1"] + 300 * MS, 5, "the time after the hold")
    os.kill(recv, signal.SIGUSR1)
    time.sleep(0.3)
    flow.stop()
    flow.wait_gone(10)
    probe.end(None, 10)
    got = [o for o in checks.lines_of(probe.events(), "signal", pid=recv)
           if o["signal"] in ("USR1", "SIGUSR1", 10)]
    if len(got) != 2:
        t.problems.append(f"{len(got)} signal lines, want 2: {got}")
        return
    o = got[0]
    t.expect(o["sender_pid"] == os.getpid(), f"sender {o['sender_pid']}")
    t.expect(o["sent_ns"] and abs(o["sent_ns"] - sent) < 50 * MS, f"sent {o['sent_ns']}")
    t.expect(o["delivered_ns"] and 0 <= o["delivered_ns"] - o["sent_ns"] < 200 * MS,
             f"delivered {o['delivered_ns']}")
    t.expect(o["handled_ns"] and -5 * MS < o["handled_ns"] - hold["t1"] < 150 * MS,
             f"handled {o['handled_ns']}, the hold ended {hold['t1']}")


def saved(t, flow, probe, within, code=0):
    recv = flow.pid("recv")
    took = over(t, flow, probe, 15)
    t.facts["gone after"] = f"{took:.2f} s"
    t.expect(took < within, f"gone {took:.2f} s after Stop, want {within} s")
    lines = probe.events()
    t.check(checks.check_exit(lines, recv, grace_kill=False, saved=True,
                              **({} if code is None else {"code": code})))
    sent = actions(probe, action="nudge", result="sent", pid=recv)
    t.expect(sent, f"no nudge was sent: {actions(probe)}")
    t.expect([o["attempt"] for o in sent] == list(range(1, len(sent) + 1)),
             f"attempts {[o['attempt'] for o in sent]}")
    for o in sent:
        t.expect(o["reason"] and o["tid"] and o["dry_run"] is False, f"audit line {o}")
    return lines, sent


@scenario()
def nudge_main_thread(t):
    """A hold that a signal ends: down in order within 2 s of Stop."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", grace=5,
                        step=t.rng.choice(("usleep", "pow", "re")), interrupt="leave")
    lines, sent = saved(t, flow, probe, 2.0)
    if sent:
        main = flow.said("recv", "ready")[0]["tid"]
        t.expect(sent[0]["tid"] == main, f"nudged {sent[0]['tid']}, main is {main}")
        after = sent[0]["_arrival_ns"] - flow.stop_ns
        t.facts["first nudge after"] = f"{after / 1e6:.0f} ms"
        t.expect(after >= 290 * MS, f"nudged {after / 1e6:.0f} ms after Stop")


@scenario()
def nudge_default_time(t):
    """By default a node has 40 % of its grace period to itself, and leaves before 75 % of it."""
    flow, probe = stuck(t, "--shutdown", "nudge", grace=4, interrupt="leave")
    lines, sent = saved(t, flow, probe, 3.0)
    if sent:
        after = sent[0]["t_ns"] - flow.stop_ns
        t.expect(1_500 * MS < after < 2_000 * MS, f"nudged {after / 1e6:.0f} ms after Stop")


@scenario()
def nudge_usr1(t):
    """With a no-op handler the node leaves its loop on the Stop event itself."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", "--nudge-signal",
                        "USR1", grace=5, noop="USR1")
    saved(t, flow, probe, 3.0)
    t.expect(flow.said("recv", "stop_seen"), "the node did not see Stop")
    t.expect(not flow.said("recv", "interrupted"), "the node was interrupted")


@scenario()
def nudge_second_thread_blocked(t):
    """A blocking call with the GIL held in another thread: the signal goes to that thread."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", grace=6, on="second",
                        interrupt="leave")
    main = flow.said("recv", "ready")[0]["tid"]
    lines, sent = saved(t, flow, probe, 3.0, code=None)
    t.expect(sent and sent[0]["tid"] != main, f"nudged {[o['tid'] for o in sent]}, main is {main}")


@scenario()
def nudge_second_thread_on_cpu(t):
    """Another thread on the CPU: no signal helps, so none is sent, and that is said."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", grace=8, on="second",
                        step="sum", seconds=3)
    over(t, flow, probe, 12)
    t.expect(not actions(probe, result="sent"), f"sent: {actions(probe, result='sent')}")
    said = actions(probe, action="nudge", result="refused", pid=flow.pid("recv"))
    t.expect(said and all(o["reason"] for o in said), f"no refusal: {actions(probe)}")
    t.expect(len(said) <= 3, f"{len(said)} refusals of the same thing")
    t.check(checks.check_exit(probe.events(), flow.pid("recv"), grace_kill=False, saved=False))


@scenario()
def nudge_deaf_call(t):
    """A main-thread call that does not poll signals: one try shows it, no more are sent."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", "--nudge-interval",
                        "200ms", grace=9, step="sum", seconds=3.5, interrupt="leave")
    over(t, flow, probe, 12)
    sent = actions(probe, action="nudge", result="sent")
    t.expect(len(sent) == 1, f"{len(sent)} nudges")
    t.expect(actions(probe, result="refused"), "does not say that it gives up")


@scenario()
def nudge_blocked(t):
    """A node in time.sleep is helped too, and never blamed on the GIL."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "300ms", grace=6, step="sleep",
                        interrupt="leave")
    lines, _ = saved(t, flow, probe, 3.0)
    for o in checks.lines_of(lines, "warning", pid=flow.pid("recv")):
        t.expect(o["cause"] not in ("gil_native", "gil_contention"), f"blamed: {o['cause']}")


@scenario()
def nudge_not_needed(t):
    """A healthy node is never signalled: a C call at Stop, then a clean-up of two seconds."""
    flow, probe = stuck(t, "--shutdown", "nudge", grace=8, seconds=t.rng.uniform(0.8, 1.6),
                        pause=0.2, step=t.rng.choice(("usleep", "sum")), cleanup=2)
    over(t, flow, probe, 10)
    t.expect(not actions(probe, result="sent"), f"sent: {actions(probe)}")
    t.check(checks.check_exit(probe.events(), flow.pid("recv"), grace_kill=False, code=0,
                              saved=False))


@scenario()
def nudge_ignored(t):
    """A node that ignores the signal: said before any Stop, nothing is sent."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "200ms", grace=2, ignore="INT")
    node = probe.events("node", pid=flow.pid("recv"))[0]
    t.expect("ignored" in str(node["readiness"]), f"readiness {node['readiness']}")
    over(t, flow, probe, 8)
    t.expect(not actions(probe, action="nudge", result="sent"), "sent a signal that is ignored")
    t.expect(actions(probe, action="nudge", result="refused"), f"not said: {actions(probe)}")


@scenario()
def nudge_dry_run(t):
    """--dry-run decides and logs, and sends nothing."""
    flow, probe = stuck(t, "--shutdown", "nudge", "--nudge-after", "200ms", "--dry-run", grace=2)
    over(t, flow, probe, 8)
    t.expect(not actions(probe, result="sent"), "sent in a dry run")
    would = actions(probe, result="would_send")
    t.expect(would and would[0]["dry_run"] is True, f"not said: {actions(probe)}")
    t.check(checks.check_exit(probe.events(), flow.pid("recv"), grace_kill=True, saved=False))


@scenario()
def nudge_two_probes(t):
    """Two probes do not both nudge."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "usleep", "for": LONG}],
                                     interrupt="leave"), mode="coordinator")
    args = ("--shutdown", "nudge", "--nudge-after", "300ms")
    probes = [t.probe(*args), t.probe(*args)]
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 800 * MS, 10, "middle of the hold")
    flow.stop("5s")
    flow.wait_gone(10)
    for p in probes:
        p.end(None, 10)
    firsts = [o for p in probes for o in actions(p, action="nudge", result="sent")
              if o["attempt"] == 1]
    t.expect(len(firsts) == 1, f"{len(firsts)} probes nudged")


@scenario()
def terminate(t):
    """--shutdown terminate: SIGTERM from the probe when less than a second is left."""
    flow, probe = stuck(t, "--shutdown", "terminate", "--nudge-after", "300ms", grace=4, step="sum")
    took = over(t, flow, probe, 8)
    t.expect(2.5 < took < 4, f"gone {took:.2f} s after Stop")
    t.expect(len(actions(probe, action="terminate", result="sent")) == 1, f"{actions(probe)}")
    t.check(checks.check_exit(probe.events(), flow.pid("recv"), grace_kill=False,
                              signal=lambda v: v in SIGTERM, killer_pid=probe.proc.pid))


def script(t, name, text):
    path = os.path.join(t.dir, name)
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, stat.S_IRWXU)
    return path


@scenario()
def hooks(t):
    """--on-warning gets facts in its environment; names are never part of the command."""
    out = os.path.join(t.dir, "facts")
    hook = script(t, "hook.sh", f"env | grep ^DORA_PROBE_ >> {out}\necho --- >> {out}\n")
    # A node's name is the node author's; as a command it would do harm.
    name = "recv$(touch pwned)"
    if t.version.startswith("1."):
        name = "recv.touch-pwned_"  # 1.x lets no other letters through
    flow = t.flow(sender(), receiver(name, plan=[{"at": 0.3, "do": "usleep", "for": 1.2}]))
    probe = t.probe("--on-warning", hook)
    flow.go()
    hold = flow.wait_said(name, "hold", 10)[0]
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    flow.stop()
    flow.wait_gone(10)
    probe.end(None, 10)
    text = open(out).read() if os.path.exists(out) else ""
    t.expect(f"={name}\n" in text, f"the hook was not told the node: {text[:300]!r}")
    t.expect("gil_hold" in text and "hold_usleep" in text, f"the hook's facts: {text[:600]!r}")
    t.expect(not os.path.exists(os.path.join(t.dir, "pwned")), "a name was run as a command")


@scenario()
def hooks_that_misbehave(t):
    """A hook that hangs, fails or floods does not disturb the probe."""
    hook = script(t, "hook.sh", t.rng.choice(("sleep 60\n", "exit 7\n", "yes\n", "kill -9 $$\n",
                                              "exec 0<&- ; cat /dev/zero >&2\n")))
    flow = t.flow(sender(), receiver(plan=[{"at": 0.3, "do": "usleep", "for": 0.9},
                                           {"at": 1.6, "do": "usleep", "for": 0.3}]))
    probe = t.probe("--on-warning", hook, "--token-threshold", "0s")
    flow.go()
    flow.wait_said("recv", "plan_done", 10)
    flow.stop()
    flow.wait_gone(10)
    probe.end(None, 20)
    lines = probe.events()
    check_holds(t, lines, flow, "recv", probe.attached_ns)
    t.expect(probe.code == 0, f"exit code {probe.code}")
    slow = max((o["_arrival_ns"] - o["t_ns"] for o in lines if o["event"] == "gil_hold"), default=0)
    t.expect(slow < 500 * MS, f"a line came {slow / 1e6:.0f} ms late")


@scenario(dora=("0.4.1", "0.5.0"))
def stop_dataflow(t):
    """--stop-dataflow-after: an orderly `dora stop` before anything is killed."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "usleep", "for": 3.5}]),
                  mode="coordinator")
    called = os.path.join(t.dir, "called")
    cli = script(t, "dora", f'echo "$@" >> {called}\nverb=$1\nshift\nexec '
                 f'{flow.env}/bin/dora "$verb" --coordinator-addr 127.0.0.1 '
                 f'--coordinator-port {flow.ports["control"]} "$@"\n')
    probe = t.probe("--stop-dataflow-after", "1s", "--dora-cli", cli, "--token-threshold", "0s")
    flow.go()
    flow.wait_gone(20)
    probe.end(None, 10)
    got = actions(probe, action="stop_dataflow")
    t.expect(len(got) == 1 and got[0]["result"] == "sent", f"{actions(probe)}")
    called = open(called).read() if os.path.exists(called) else ""
    t.expect(called.count("\n") == 1 and called.startswith("stop ") and
             "--grace-duration" in called, f"called: {called!r}")
    uuids = {o["dataflow"] for o in probe.events("node")}
    t.expect(any(u in called for u in uuids if u), f"called {called!r} for {uuids}")
    t.check(checks.check_exit(probe.events(), flow.pid("recv"), grace_kill=False))


@scenario(dora=("0.5.0",))
def forged_stop(t):
    """A process that forges a node's name, a Stop and a hold reaches nobody but itself."""
    flow = t.flow(sender(), receiver())
    t.may_lose = True  # two nodes of one name: whose tokens are whose is anybody's guess
    first = t.probe("--duration", "500ms", record=False)
    first.end(None, 10)
    uuid = first.events("node", pid=flow.pid("recv"))[0]["dataflow"]
    port = free_port()
    config = (f"dataflow_id: {uuid}\nnode_id: recv\nrun_config:\n  inputs: {{}}\n  outputs: []\n"
              f"daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:{port}\ndynamic: false\n")
    forger = subprocess.Popen(
        [*DEFAULT_SIGNALS, os.path.join(flow.env, "bin", "python"), "-u",
         os.path.join(NODES, "forger.py"), uuid, "recv", str(port), "read"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=dict(os.environ, DORA_NODE_CONFIG=config), start_new_session=True)
    try:
        t.expect(forger.stdout.readline() == b"ready\n", "the forger did not start")
        flow.go()
        probe = t.probe("--shutdown", "nudge", "--nudge-after", "200ms", "--token-threshold", "0s",
                        pids=[*flow.pids().values(), forger.pid])
        forger.stdin.write(b"\n")
        forger.stdin.flush()
        # It has reached what it can: without that, that nobody else is touched would say nothing.
        probe.wait("stop", 5, pid=forger.pid)
        probe.wait("action", 5, pid=forger.pid)
        time.sleep(1)
        t.expect(set(flow.alive()) == set(flow.pids().values()), "a real node was brought down")
        probe.end(signal.SIGINT)
        wrong = [o for o in actions(probe) if o["pid"] != forger.pid]
        t.expect(not wrong, f"acted on another process: {wrong}")
        t.expect(not [o for o in probe.events("stop") if o["pid"] != forger.pid],
                 "the forged Stop was taken for another node's")
    finally:
        os.killpg(forger.pid, signal.SIGKILL)
        forger.wait()
        forger.stdin.close()
        forger.stdout.close()
    flow.stop()
    flow.wait_gone(10)


@scenario(dora=("0.5.0",))
def command_of_another_network(t):
    """Root's `dora stop --force` to a coordinator of another network namespace ends none of our nodes."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise Skip("another network namespace needs root and unshare")
    flow = t.flow(sender(), receiver())
    probe = t.probe()
    fake = os.path.join(t.dir, "dora")
    with open(fake, "w") as f:
        f.write("import time\ntime.sleep(1)\n")
    elsewhere = subprocess.Popen(["unshare", "-n", "/usr/bin/python3", fake, "stop", "--force"],
                                 stdin=subprocess.DEVNULL)
    time.sleep(0.4)
    flow.stop()
    flow.wait_gone(10)
    elsewhere.wait(10)
    probe.end(None, 10)
    lines = [o for o in probe.events("stop", pid=flow.pid("recv")) if o["reason"] == "stop"]
    t.expect(lines and lines[0]["deadline_source"] == "version", f"the deadline is of {lines[:1]}")
    t.check(checks.check_stop(probe.events(), flow.pid("recv"), flow.stop_ns, deadline=10 * S))


@scenario(dora=("0.5.0",))
def foreign_stop_command(t):
    """A `dora stop --grace-duration` of a stranger in the process list changes no deadline."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        raise Skip("becoming somebody else needs root and setpriv")
    flow = t.flow(sender(), receiver())
    probe = t.probe()
    uuid = probe.events("node", pid=flow.pid("recv"))[0]["dataflow"]
    os.chmod(t.dir, 0o755)
    fake = os.path.join(t.dir, "dora")
    with open(fake, "w") as f:
        f.write("import time\ntime.sleep(1)\n")
    os.chmod(fake, 0o755)
    stranger = subprocess.Popen(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", fake,
         "stop", uuid, "--grace-duration", "77s"], stdin=subprocess.DEVNULL)
    time.sleep(0.4)
    flow.stop()
    flow.wait_gone(10)
    stranger.wait(10)
    probe.end(None, 10)
    t.check(checks.check_stop(probe.events(), flow.pid("recv"), flow.stop_ns, deadline=10 * S))
