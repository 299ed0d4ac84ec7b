# SPDX-License-Identifier: MIT
"""When and how the probe comes to its nodes, and how its run ends."""

import os
import re
import signal
import subprocess

from flow import wait_until
from ordinary import HAS_TOKENS, check_holds, finish
from probe import BINARY, run
from scenario import MS, checks, now, receiver, scenario, sender


def stop_and_end(flow, probe, pids):
    """The same where the probe goes on without targets. Gives the lines."""
    flow.stop()
    flow.wait_gone(10)
    for pid in pids.values():
        probe.wait("exit", 5, pid=pid)
    probe.end(signal.SIGINT)
    return probe.events()


@scenario(dora=("0.4.1", "0.5.0", "1.1.0"))
def node_restarts(t):
    """dora starts a node anew that died: a process of its own with the same name."""
    flow = t.flow(sender(), receiver(restart="on-failure", plan=[
        {"at": 0.3, "do": "keep", "for": 60}, {"at": 0.8, "do": "crash_once"},
        {"at": 0.9, "do": "usleep", "for": 0.4}]))
    old = flow.pid("recv")
    with open(f"/proc/{old}/environ") as f:
        uuid = re.search(r"dataflow_id: *\S*?([0-9a-f-]{36})", f.read()).group(1)
    probe = t.probe("--dataflow", uuid, "--token-threshold", "0s", pids=[])
    for pid in flow.pids().values():
        probe.wait("node", 10, pid=pid)
    since = now()
    flow.go()
    new = flow.wait_restarted("recv")
    probe.wait("node", 10, pid=new)
    fresh = now()
    hold = flow.wait_said("recv", "hold", 15)[0]
    wait_until(lambda: now() > hold["t1"] + 700 * MS, 5, "the time after the hold")
    end = now() - 100 * MS
    flow.stop()
    flow.wait_gone(15)
    for pid in (new, flow.pid("send")):
        probe.wait("exit", 5, pid=pid)
    probe.end(signal.SIGINT)  # with --dataflow it waits for further nodes
    lines = probe.events()
    truth = flow.truth("recv")
    for pid in (old, new):
        # The new process' hold may begin before the probe is there.
        t.check(checks.check_holds(lines, [o for o in truth if o["pid"] == pid],
                                   since if pid == old else fresh, end, starved=flow.starved))
    names = {o["pid"]: (o["node"], o["dataflow"]) for o in checks.lines_of(lines, "node")}
    t.expect(names.get(old) == names.get(new) == ("recv", uuid), f"names {names}")
    t.check(checks.check_exit(lines, old, code=3, signal=None, grace_kill=False,
                              since_stop_ns=None))
    t.check(checks.check_exit(lines, new, code=0, signal=None, grace_kill=False, saved=False))
    t.check(checks.check_stop(lines, new, flow.stop_ns))
    t.expect(not checks.lines_of(lines, "stop", pid=old), "a Stop of the process that died")
    if t.version in HAS_TOKENS:
        mine = checks.lines_of(lines, "token", receiver="recv")
        left = [o for o in mine if o["receiver_pid"] == old and o["state"] == "abandoned"]
        t.expect(len(left) >= 5, f"{len(left)} tokens abandoned by the crash")
        for o in left:
            t.expect(o["cause"] == "receiver_gone", f"abandoned token: cause {o['cause']!r}")
        t.check(checks.check_exit(lines, old, tokens_abandoned=len(left)))
        back = [o for o in mine if o["receiver_pid"] == new and o["state"] == "returned"]
        t.expect(len(back) >= 5, f"{len(back)} tokens returned by the new process")


@scenario()
def late_attach(t):
    """The probe comes in the middle of a hold, to a node that has run for a while."""
    flow = t.flow(sender(), receiver(plan=[{"at": 0.2, "do": "usleep", "for": 2.0}]))
    flow.go()
    wait_until(lambda: now() > flow.go_ns + 800 * MS, 5, "middle of the hold")
    probe = t.probe("--token-threshold", "0s")
    hold = flow.wait_said("recv", "hold", 10)[0]
    t.expect(probe.attached_ns < hold["t1"], "attached only after the hold")
    wait_until(lambda: now() > hold["t1"] + 500 * MS, 5, "the time after the hold")
    end = finish(t, flow, probe)
    lines = probe.events()
    mine = [o for o in checks.lines_of(lines, "gil_hold", tid=hold["tid"])
            if checks.overlap(o["start_ns"], o["end_ns"], hold["t0"], hold["t1"])]
    t.expect(len(mine) == 1, f"{len(mine)} lines of the hold that was under way")
    for o in mine:
        t.check(checks.check_bracket(o, hold))
        t.expect(o["precision"] in ("at_least", "bounded"), f"precision {o['precision']}")
        t.expect(o["function"] == "hold_usleep", f"function {o['function']!r}")
        t.expect(o["end_ns"] >= hold["t1"] - checks.END_BRACKET - checks.TOLERANCE, "ends too early")
    # Since when the holder sleeps is known at the attach: a hold that is old enough is warned of at once.
    t.check(checks.check_warning(lines, "gil_hold", flow.pid("recv"), hold["t0"], hold["t1"], 500 * MS, ("gil_native",),
                                 late=probe.attached_ns - hold["t0"] + 300 * MS, resolved=False))
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario()
def early_attach(t):
    """--all picks up nodes that start after the probe, and follows their tokens from the first."""
    probe = t.probe("--all", "--token-threshold", "0s", pids=[])
    t.may_lose = True  # other people's dataflows may be watched too
    flow = t.flow(sender(), receiver())
    pids = flow.pids()
    for pid in pids.values():
        probe.wait("node", 5, pid=pid)
    flow.go()
    count = len(flow.said("send", "sent"))
    flow.wait_said("send", "sent", 10, count=count + 40)
    end = now()
    lines = stop_and_end(flow, probe, pids)
    uuids = {o["dataflow"] for o in checks.lines_of(lines, "node", pid=pids["recv"])}
    t.expect(len(uuids) == 1 and None not in uuids, f"dataflow of the node: {uuids}")
    mine = [o for o in lines if o.get("event") != "token" or o["dataflow"] in uuids]
    if t.version in HAS_TOKENS:
        first = flow.said("send", "sent")[0]["t0"] - MS
        t.check(checks.check_tokens(mine, flow.said("send", "sent"), ["recv"], first, end))
    check_holds(t, mine, flow, "recv", 0, end)
    check_holds(t, mine, flow, "send", 0, end)


@scenario()
def helpers(t):
    """Python processes that a node starts inherit its environment and are not taken for it."""
    flow = t.flow(sender(), receiver(helpers=True))
    mine = flow.said("recv", "helpers")[0]["pids"]
    pids = flow.pids()
    t.may_lose = True  # other dataflows have nodes of these names too
    probe = t.probe("--node", "send", "--node", "recv", "--token-threshold", "0s", pids=[])
    probe.wait_attached(pids.values())
    flow.go()
    listed = run("list", "--json")
    flow.wait_said("send", "sent", 10, count=40)
    end = now() - 100 * MS
    flow.stop()
    flow.wait_gone(10)
    probe.wait("exit", 5, pid=pids["recv"])
    probe.end(signal.SIGINT)
    lines = probe.events()
    uuid = checks.lines_of(lines, "node", pid=pids["recv"])[0]["dataflow"]
    nodes = {o["pid"] for o in checks.lines_of(lines, "node", dataflow=uuid)}
    lines = [o for o in lines if o.get("event") != "token" or o["dataflow"] == uuid]
    t.expect(nodes == set(pids.values()), f"nodes {nodes}, want {pids}, helpers {mine}")
    for pid in mine:
        t.expect(f'"pid":{pid},' not in listed.stdout, f"list names the helper {pid}")
    for pid in pids.values():
        t.expect(f'"pid":{pid},' in listed.stdout, f"list does not name the node {pid}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(lines, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario()
def launched(t):
    """A node behind a Python launcher: the process that talks to the daemon is the node."""
    early = t.rng.choice((False, True))
    t.facts["probe first"] = early
    args = ("--all", "--token-threshold", "0s")
    t.may_lose = True  # other people's dataflows may be watched too
    probe = t.probe(*args, pids=[]) if early else None
    flow = t.flow(sender(), receiver(script="launcher.py"))
    pids = flow.pids()
    probe = probe or t.probe(*args, pids=[])
    probe.wait_attached(pids.values())
    flow.go()
    flow.wait_said("send", "sent", 10, count=40)
    end = now() - 100 * MS
    lines = stop_and_end(flow, probe, pids)
    uuid = checks.lines_of(lines, "node", pid=pids["recv"])[-1]["dataflow"]
    mine = [o for o in lines if o.get("event") != "token" or o["dataflow"] == uuid]
    t.expect(uuid is not None, "the node has no dataflow")
    exits = {o["pid"] for o in checks.lines_of(lines, "exit", dataflow=uuid)}
    t.expect(exits == set(pids.values()), f"exits of {exits}, want {pids}")
    if t.version in HAS_TOKENS:
        t.check(checks.check_tokens(mine, flow.said("send", "sent"), ["recv"], probe.attached_ns,
                                    end))


@scenario()
def by_node_name(t):
    """--node NAME and --dataflow UUID choose the same targets as --pid."""
    name = f"recv{t.rng.randrange(1 << 30):x}"
    flow = t.flow(sender(), receiver(name))
    pid = flow.pid(name)
    listed = run("list")
    t.expect(listed.returncode == 0 and name in listed.stdout and str(pid) in listed.stdout,
             f"`list` does not show {name}: {listed.stdout[-300:]} {listed.stderr}")
    probe = t.probe("--node", name, "--duration", "700ms", pids=[])
    probe.wait("node", 5, pid=pid)
    probe.end(None, 10)
    nodes = checks.lines_of(probe.events(), "node")
    t.expect([o["pid"] for o in nodes] == [pid], f"--node {name} watches {nodes}")
    uuid = nodes[0]["dataflow"] if nodes else None
    other = t.probe("--dataflow", uuid, "--duration", "700ms", pids=[])
    other.end(None, 10)
    got = {o["pid"] for o in checks.lines_of(other.events(), "node")}
    t.expect(got == set(flow.pids().values()), f"--dataflow {uuid} watches {got}")
    flow.stop()
    flow.wait_gone(10)


@scenario()
def ends(t):
    """SIGINT, SIGTERM and --duration end with a summary; a broken pipe ends quietly."""
    flow = t.flow(sender(), receiver())
    for how in (signal.SIGINT, signal.SIGTERM, None):
        args = ["--duration", "600ms"] if how is None else []
        probe = t.probe(*args)
        if how is not None:
            probe.end(how)
        else:
            probe.end(None, 5)
        t.expect(probe.code == 0, f"ended with {probe.code} after {how}")
        t.expect(probe.events("summary") != [], f"no summary after {how}")
    r, w = os.pipe()
    proc = subprocess.Popen([BINARY, "--pid", str(flow.pid("recv")), "--json",
                             "--token-threshold", "0s"], stdout=w, stderr=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(w)
    try:
        os.read(r, 1)
        os.close(r)
        try:
            code = proc.wait(10)
        except subprocess.TimeoutExpired:
            code = "timeout"
        t.expect(code == 0, f"a broken pipe ends with {code}")
        err = proc.stderr.read().decode()
        t.expect(err.strip() == "", f"a broken pipe is not quiet: {err!r}")
    finally:
        if proc.poll() is None:
            proc.kill()
            proc.wait()
    flow.stop()
    flow.wait_gone(10)
