# SPDX-License-Identifier: MIT
"""A consumer that does not come back to next(), before any Stop and with small messages; and a Stop that
a node has not read. What is true is told by the nodes and by the test's own stop."""

import contextlib
import os
import signal
import subprocess
import time

from flow import DEFAULT_SIGNALS, NODES, free_port, wait_until
from scenario import MS, S, checks, now, receiver, scenario, sender

SMALL = 100  # bytes: no drop token in any version
# Of 1.x the daemon hands on timers alone, where the nodes reach each other: fills the channel in no time.
TIMER = {"tick": "dora/timer/millis/5"}
THRESHOLD = 1.5  # seconds


def warned(probe, pid):
    return [o for o in probe.events("warning", pid=pid) if o["kind"] == "not_polling"]


def away(t, step, seconds, companion=0):
    """A receiver of small messages that is away for a while. Gives (flow, probe, its own words)."""
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.3, "do": step, "for": seconds}],
                                               companion=companion, inputs=TIMER))
    probe = t.probe("--polling-threshold", f"{THRESHOLD * 1000:.0f}ms")
    flow.go()
    word = {"sleep": "blocked", "read": "blocked", "busy": "busy", "short": "short", "naps": "napped", "zip": "zipped"}.get(step, "hold")
    told = flow.wait_said("recv", word, 20)[0]
    time.sleep(3)  # twice what a resolved warning takes
    flow.stop()
    flow.wait_gone(15)
    probe.end(None, 10)
    return flow, probe, told


def check_away(t, flow, probe, told, cause, evidence, function=None):
    got = warned(probe, flow.pid("recv"))
    first = [o for o in got if not o["resolved"]]
    t.expect(not warned(probe, flow.pid("send")), "the sender was said not to poll")
    t.expect(first, "not said that it does not come back")
    if not first:
        return
    late = (first[0]["t_ns"] - told["t0"]) / S - THRESHOLD
    t.facts["after its threshold"] = f"{late * 1000:.0f} ms"
    # With inputs that are not taken, only once the channel was full: ten messages at 50 ms.
    t.expect(-0.1 < late < 0.3 or ("inputs_untaken" in first[0]["evidence"] and -0.6 < late < 0.9),
             f"said {late:.2f} s after its threshold")
    t.expect(first[0]["_arrival_ns"] < told["t1"] + S, "said only when it was over")
    t.expect(first[0]["cause"] in cause, f"cause {first[0]['cause']!r}, want {cause}")
    t.expect(set(first[0]["evidence"]) & set(evidence), f"evidence {first[0]['evidence']}")
    if function:
        t.expect(first[0]["function"] == function, f"at {first[0]['function']!r}, want {function!r}")
    t.expect(got[-1]["resolved"], "not resolved when it was back")
    return first[0]


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_blocked(t):
    """Asleep without the GIL: said with its place, and since when it sleeps."""
    flow, probe, told = away(t, t.rng.choice(("sleep", "read")), 4)
    said = check_away(t, flow, probe, told, ("blocked",), ("asleep",), told["function"])
    if said:
        off = (said["asleep_since_ns"] - told["t0"]) / MS
        t.facts["asleep since"] = f"{off:+.1f} ms"
        t.expect(-20 < off < 120, f"asleep since {off:.0f} ms after it fell asleep")


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_native(t):
    """One native call with the GIL."""
    flow, probe, told = away(t, t.rng.choice(("usleep", "sum")), 4)
    check_away(t, flow, probe, told, ("gil_native",), ("gil_held",), told["function"])


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_busy(t):
    """Pure Python that does not come back."""
    flow, probe, told = away(t, "busy", 4)
    check_away(t, flow, probe, told, ("busy_python",), ("gil_held", "inputs_untaken"))


@scenario(dora=("1.1.0",))
def not_polling_untaken(t):
    """It lets go of the GIL all the time; its inputs, which it does not take, give it away."""
    flow, probe, told = away(t, "short", 5)
    check_away(t, flow, probe, told, ("busy_python",),
               ("inputs_untaken",))


@scenario(dora=("0.3.12", "0.4.1", "0.5.0", "1.1.0"))
def not_polling_naps(t):
    """Many short sleeps without the GIL: no sleep is long, and nothing but next() not being called shows it."""
    flow, probe, told = away(t, "naps", 4)
    check_away(t, flow, probe, told, ("blocked",), ("next_not_called",), "act_naps")


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_zip(t):
    """Many short calls that compute without the GIL."""
    flow, probe, told = away(t, "zip", 4)
    check_away(t, flow, probe, told, ("running_without_gil",), ("next_not_called", "no_gil_taken"), "act_zip")


def end_unwarned(t, flow, probe):
    flow.stop()
    flow.wait_gone(15)
    probe.end(None, 10)
    got = [o for o in probe.events("warning") if o["kind"] == "not_polling"]
    t.expect(not got, f"said not to poll: {got[:1]}")


@scenario(dora=("0.3.12", "0.5.0", "1.1.0"))
def polls_after_short_handlers(t):
    """A handler of 80 ms for each message, longer than they are apart: it comes back after each."""
    flow = t.flow(sender(size=SMALL, period_ms=20),
                  receiver(plan=[{"at": 0.3 + i * 0.05, "do": ("naps", "zip")[i % 2], "for": 0.08} for i in range(60)]))
    probe = t.probe("--polling-threshold", "300ms")
    flow.go()
    flow.wait_said("recv", "plan_done", 20)
    end_unwarned(t, flow, probe)


@scenario(dora=("0.5.0", "1.1.0"))
def polls_on(t):
    """Nodes that wait in next(), with and without inputs, are not said to be stuck."""
    flow = t.flow(sender(size=SMALL), receiver("recv"),
                  sender("idle", period_ms=30000, size=SMALL))
    probe = t.probe("--polling-threshold", "500ms")
    flow.go()
    time.sleep(5)
    end_unwarned(t, flow, probe)


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_stopped(t):
    """A process in SIGSTOP is stopped, and neither blocked nor in a native call, whatever it was at."""
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.3, "do": t.rng.choice(("naps", "busy")), "for": 12}]))
    probe = t.probe("--polling-threshold", "3s")
    flow.go()
    time.sleep(1)
    pid = flow.pid("recv")
    os.kill(pid, signal.SIGSTOP)
    stopped = now()
    time.sleep(5)
    os.kill(pid, signal.SIGCONT)
    probe.end()
    got = [o for o in warned(probe, pid) if not o["resolved"] and o["t_ns"] > stopped + S]
    t.expect(got and {o["cause"] for o in got} == {"stopped"} and "stopped" in got[0]["evidence"],
             f"said {[(o['cause'], o['evidence']) for o in got]}")


@scenario(dora=("0.4.1", "0.5.0", "1.1.0"))
def polls_without_waiting(t):
    """try_recv() and drain() keep the GIL: nodes that look in by them do come back, which nothing else shows."""
    apis = ("try_recv", "drain")
    flow = t.flow(sender(size=SMALL), *(receiver(api, script="trouble.py", api=api, thread="main", trouble="nothing")
                                        for api in apis))
    probe = t.probe("--polling-threshold", "500ms", "--shutdown", "nudge", "--nudge-after", "300ms")
    time.sleep(3)  # they are seen in next() before
    flow.go()
    time.sleep(6)
    flow.stop()
    flow.wait_gone(15)
    probe.end(None, 10)
    got = [o for o in probe.events("warning") if o["kind"] == "not_polling"]
    t.expect(not got, f"said not to poll: {got[:1]}")
    t.expect(not checks.lines_of(probe.events(), "action", result="sent"), "signalled")
    for api in apis:
        t.expect(flow.said(api, "bye"), f"{api} did not end by itself")


@scenario(dora=("0.5.0", "1.1.0"))
def late_asleep(t):
    """The probe comes when the node has been asleep for seconds, and knows since when."""
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.2, "do": "sleep", "for": 12}]))
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 5 * S, 10, "middle of the sleep")
    probe = t.probe("--duration", "5s")
    probe.end(None, 10)
    told = flow.wait_said("recv", "blocked", 20)[0]
    flow.stop()
    flow.wait_gone(15)
    got = warned(probe, flow.pid("recv"))
    t.expect(got and got[0]["cause"] == "blocked" and got[0]["function"] == told["function"],
             f"said {got[:1]}")
    if got:
        off = (got[0]["asleep_since_ns"] - told["t0"]) / MS
        t.facts["asleep since"] = f"{off:+.0f} ms"
        # Its own clock stands still while the machine's host has the CPU.
        t.expect(-100 < off < 800, f"asleep since {off:.0f} ms after it fell asleep")


def unlocked(t, name, cause):
    """A native call without the GIL that waits for threads of its own. Gives the warning's cause in time."""
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.3, "do": "unlocked", "for": 6, "args": [name]}]))
    probe = t.probe()
    flow.go()
    told = flow.wait_said("recv", "unlocked", 20)[0]
    flow.stop()
    flow.wait_gone(15)
    probe.end(None, 10)
    got = [o for o in warned(probe, flow.pid("recv")) if not o["resolved"]]
    t.expect(got, f"{name}: not said that it does not come back")
    t.expect(got and {o["cause"] for o in got} == {cause}, f"{name}: {[o['cause'] for o in got]}, not {cause}")
    t.expect(got and got[0]["function"] == told["function"], f"{name}: at {[o['function'] for o in got]}")


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_pool_computes(t):
    """A call that lets the GIL go and waits while its own threads compute: no blocked handler."""
    unlocked(t, t.rng.choice(("pool_work", "join_compute")), "running_without_gil")


@scenario(dora=("0.5.0", "1.1.0"))
def not_polling_pool_sleeps(t):
    """The same call whose thread sleeps as well: blocked."""
    unlocked(t, "join_sleep", "blocked")


def stuck_at_stop(t, mode, grace=None):
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.2, "do": "sleep", "for": 40}],
                                               inputs=TIMER),
                  mode=mode)
    probe = t.probe("--shutdown", "nudge", "--nudge-after", "1500ms")
    flow.go()
    wait_until(lambda: now() > flow.go_ns + int(2.5 * S), 10, "a full channel")
    flow.stop(grace)
    flow.wait_gone(25)
    probe.end(None, 10)
    return flow, probe


def check_witness(t, flow, probe, witnesses, late):
    recv = flow.pid("recv")
    lines = probe.events("stop", pid=recv)
    t.expect(len(lines) == 1 and lines[0]["witness"] in witnesses, f"stop lines {lines}")
    if not lines:
        return
    at = (lines[0]["t_ns"] - flow.stop_ns) / S
    t.facts["stop"] = f"{lines[0]['witness']} {at:+.3f} s"
    t.expect(-0.01 < at < late, f"Stop at {at:.2f} s after it was asked for")
    sent = [o for o in probe.events("action", pid=recv) if o["result"] == "sent"]
    t.expect(sent, "not helped")
    t.check(checks.check_exit(probe.events(), recv, grace_kill=False, saved=True))


@scenario(dora=("1.1.0",))
def stop_unread_ctrl_c(t):
    """Its channel is full, so it never reads its Stop: `dora run`'s Ctrl-C tells, and it is helped."""
    flow, probe = stuck_at_stop(t, "run")
    check_witness(t, flow, probe, ("daemon",), 0.05)


@scenario(dora=("1.1.0",))
def stop_unread_command(t):
    """The same with `dora stop`: the sender's Stop says when, the command that it is true."""
    flow, probe = stuck_at_stop(t, "coordinator", "8s")
    check_witness(t, flow, probe, ("sibling", "command"), 1.5)


@contextlib.contextmanager
def forger(flow, uuid, name):
    """A process that plays a node of the dataflow, on a socket of its own (nodes/forger.py)."""
    port = free_port()
    config = (f"dataflow_id: {uuid}\nnode_id: {name}\nrun_config:\n  inputs: {{}}\n  outputs: []\n"
              f"daemon_communication: !Tcp\n  socket_addr: 127.0.0.1:{port}\ndynamic: false\n")
    proc = subprocess.Popen(
        [*DEFAULT_SIGNALS, os.path.join(flow.env, "bin", "python"), "-u",
         os.path.join(NODES, "forger.py"), uuid, name, str(port), "read"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=dict(os.environ, DORA_NODE_CONFIG=config), start_new_session=True)
    try:
        assert proc.stdout.readline() == b"ready\n", "the forger did not start"
        yield proc
    finally:
        os.killpg(proc.pid, signal.SIGKILL)
        proc.wait()
        proc.stdin.close()
        proc.stdout.close()


@scenario(dora=("1.1.0",))
def forged_sibling(t):
    """A process that plays a node of the dataflow hands itself a Stop while a real node is stuck and
    could not read its own: whatever is said, nobody but the forger is signalled."""
    flow = t.flow(sender(size=SMALL), receiver(plan=[{"at": 0.2, "do": "sleep", "for": 40}],
                                               inputs=TIMER))
    t.may_lose = True
    first = t.probe("--duration", "4s", record=False)
    first.end(None, 10)
    uuid = first.events("node", pid=flow.pid("recv"))[0]["dataflow"]
    with forger(flow, uuid, "played") as proc:
        probe = t.probe("--shutdown", "nudge", "--nudge-after", "200ms",
                        pids=[*flow.pids().values(), proc.pid])
        flow.go()
        wait_until(lambda: now() > flow.go_ns + 2 * S, 10, "a full channel")
        proc.stdin.write(b"\n")
        proc.stdin.flush()
        time.sleep(4)
        t.expect(set(flow.alive()) == set(flow.pids().values()), "a real node was brought down")
        probe.end(signal.SIGINT)
    t.expect(probe.events("stop", pid=proc.pid), "the forged Stop was not seen: nothing was tried")
    wrong = [o for o in probe.events("action") if o["pid"] != proc.pid]
    t.expect(not wrong, f"acted on another process: {wrong}")
    t.expect(not probe.events("stop", pid=flow.pid("send")),
             "a node that would have heard was said to be told")
    for o in probe.events("stop", pid=flow.pid("recv")):
        t.facts["the stuck one"] = o["witness"]
    for pid in flow.pids().values():
        os.kill(pid, signal.SIGKILL)
    flow.wait_gone(15)
