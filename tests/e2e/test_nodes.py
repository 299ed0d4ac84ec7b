# SPDX-License-Identifier: MIT
"""Who is the node: launchers, nodes that die at their first line, crash loops."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request

from flow import free_port, wait_until
from scenario import checks, receiver, scenario, sender


def exits_counted(port, node):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as r:
        text = r.read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith("dora_probe_node_exits_total") and f'node="{node}"' in line)


def own(name, t):
    """A node's name that no scenario has which runs beside this one with another dora."""
    return f"{name}-{t.version}"


def end_probe(probe):
    probe.end(signal.SIGINT)
    return probe.events()


@scenario(dora=("0.4.1", "0.5.0", "1.1.0"))
def dies_at_first_line(t):
    """ImportError at the first line, alone and below launchers: one node line, one exit, counted."""
    layers = t.rng.choice(("", "shell", "call", "pipe", "call,shell", "pipe,shell"))
    t.facts["layers"] = layers or "none"
    name = own("crash1", t)
    port = free_port()
    probe = t.probe("--node", name, "--listen", f"127.0.0.1:{port}", pids=[])
    probe.wait("start", 20)
    node = receiver(name, script="chain.py" if layers else "crasher.py",
                    env={"E2E_LAYERS": layers, "E2E_SCRIPT": "crasher.py"})
    flow = t.flow(sender(), node, wait=False)
    flow.wait_said(name, "start", 20)
    line = probe.wait("exit", 10, node=name)[0]
    t.expect(line["pid"] == flow.pid(name), f"exit of {line['pid']}, not {flow.pid(name)}")
    time.sleep(2)  # whatever else of it would be said is said by then
    t.expect(exits_counted(port, name) == 1, "node_exits_total")
    lines = end_probe(probe)
    t.check(checks.check_exit(lines, flow.pid(name), code=1, signal=None, grace_kill=False))
    got = [o["pid"] for o in checks.lines_of(lines, "exit") if o["node"] == name]
    t.expect(got == [flow.pid(name)], f"exit lines of {got}")
    # A launcher that lives for 2 s after it, and may yet be the node, has a line of its own.
    got = [o["pid"] for o in checks.lines_of(lines, "node") if o["node"] == name]
    t.expect(got and got[0] == flow.pid(name) and len(got) <= 2, f"node lines of {got}")
    rows = [o for o in checks.lines_of(lines, "summary")[0]["nodes"] if o["node"] == name]
    t.expect(len(rows) == 1, f"{len(rows)} rows in the summary")


EARLY_PROGRAMS = 3  # of births and deaths, which go to the kernel before all others


def stopped_while_loading(t, *args):
    """A probe that stands still with its early programs attached, and not yet the others."""
    for _ in range(10):
        probe = t.probe(*args, pids=[], wait=False)
        while probe.proc.poll() is None and programs_attached(probe.proc.pid) < EARLY_PROGRAMS:
            time.sleep(0.002)
        probe.proc.send_signal(signal.SIGSTOP)
        wait_until(lambda p=probe: probe_state(p) in "TZ", 5, "stopped probe")
        if programs_attached(probe.proc.pid) == EARLY_PROGRAMS:
            return probe
        probe.end(signal.SIGKILL)
        t.probes.remove(probe)
    raise AssertionError("the probe was never met while it loads")


def probe_state(probe):
    with open(f"/proc/{probe.proc.pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def programs_attached(pid):
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return sum("bpf" in x and ("link" in x or "raw-tracepoint" in x) for x in links)


@scenario(dora=("0.5.0", "1.1.0"))
def begins_while_loading(t):
    """A node that begins and dies while the kernel still checks the probe's programs."""
    name = own("crash5", t)
    probe = stopped_while_loading(t, "--node", name)
    flow = t.flow(sender(), receiver(name, script="crasher.py"), wait=False)
    flow.wait_said(name, "start", 20)
    wait_until(lambda: not os.path.exists(f"/proc/{flow.pid(name)}"), 10, "end of the node")
    probe.proc.send_signal(signal.SIGCONT)
    probe.wait("exit", 20, node=name)
    lines = end_probe(probe)
    t.check(checks.check_exit(lines, flow.pid(name), code=1, signal=None, grace_kill=False))


@scenario(dora=("1.1.0",), limit=60)
def crash_loop(t):
    """A node that dora starts again and again: each life is told, and the loop once."""
    probe = t.probe("--node", "crash2", pids=[])
    probe.wait("start", 20)
    flow = t.flow(sender(), receiver("crash2", script="crasher.py", restart="on-failure"),
                  wait=False)
    flow.wait_said("crash2", "start", 40, count=4)
    probe.wait("warning", 10, kind="crash_loop")
    time.sleep(1)
    lines = end_probe(probe)
    # Those of the time before the probe ended.
    end_ns = checks.lines_of(lines, "summary")[0]["t_ns"]
    lives = [o["pid"] for o in flow.said("crash2", "start") if o["t"] < end_ns]
    told = [o["pid"] for o in checks.lines_of(lines, "exit") if o["node"] == "crash2"]
    t.facts["lives told"] = f"{len(told)} of {len(lives)}"
    # Each, in this order; but the last, and one that had begun when the probe left, may live still.
    t.expect(told == lives[:len(told)] and len(told) >= len(lives) - 2,
             f"exits of {told}, lives {lives}")
    numbers = [o["life"] for o in checks.lines_of(lines, "node") if o["node"] == "crash2"]
    t.expect(numbers == list(range(1, len(numbers) + 1)), f"lives {numbers}")
    loops = [o for o in checks.lines_of(lines, "warning") if o["kind"] == "crash_loop"]
    t.expect([o["severity"] for o in loops] == ["notice", "warning", "critical"][:len(loops)] and
             loops[0]["pid"] == told[1], f"crash loop told: {loops}")
    rows = [o for o in checks.lines_of(lines, "summary")[0]["nodes"] if o["node"] == "crash2"]
    t.expect([o["lives"] for o in rows] == [len(told)], f"summary: {rows}")


@scenario()
def behind_launchers(t):
    """Launchers in a chain, before and after the probe: only the innermost is the node."""
    layers = ",".join(t.rng.choice(("shell", "call", "pipe")) for _ in range(t.rng.randint(2, 4)))
    early = t.rng.choice((False, True))
    t.facts.update(layers=layers, early=early)
    t.may_lose = True
    args = ("--node", "recv9", "--token-threshold", "0s")
    probe = t.probe(*args, pids=[]) if early else None
    flow = t.flow(sender(), receiver("recv9", script="chain.py", env={
        "E2E_LAYERS": layers, "E2E_SCRIPT": "receiver.py"}))
    probe = probe or t.probe(*args, pids=[])
    pid = flow.pid("recv9")
    probe.wait("node", 10, pid=pid)
    flow.go()
    flow.wait_said("send", "sent", 10, count=30)
    flow.stop()
    flow.wait_gone(15)
    probe.wait("exit", 5, pid=pid)
    time.sleep(1)
    lines = end_probe(probe)
    for event in ("node", "exit", "gil_hold", "stop"):
        got = {o["pid"] for o in checks.lines_of(lines, event) if o["node"] == "recv9"}
        t.expect(got <= {pid}, f"{event} lines of {got}, not {pid} alone")
    t.expect({o["role"] for o in checks.lines_of(lines, "node", pid=pid)} == {"node"}, "role")
    t.expect(len(checks.lines_of(lines, "exit", pid=pid)) == 1, "exits of the node")


@scenario(dora=("0.5.0",))
def launcher_dies(t):
    """The process that dora started is killed, the node goes on: told, and the node's end as well."""
    t.may_lose = True
    flow = t.flow(sender(), receiver("recv8", script="chain.py", env={
        "E2E_LAYERS": "call", "E2E_SCRIPT": "receiver.py"}))
    probe = t.probe("--node", "recv8", pids=[])
    probe.wait("node", 10, pid=flow.pid("recv8"))
    launcher = flow.said("recv8", "layer")[0]["pid"]
    os.kill(launcher, signal.SIGKILL)
    told = probe.wait("warning", 5, kind="wrapper_killed")[0]
    t.expect(told["pid"] == launcher and told["node"] == "recv8", f"told: {told}")
    os.kill(flow.pid("recv8"), signal.SIGKILL)
    probe.wait("exit", 5, pid=flow.pid("recv8"))
    lines = end_probe(probe)
    t.expect(not checks.lines_of(lines, "exit", pid=launcher), "an exit of the launcher")


def own_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("RssAnon:"))


def live_and_die(config, lives):
    """So many processes with a node's configuration, which die at their first line."""
    for _ in range(lives):
        subprocess.run([sys.executable, "-S", "-E", "-c", "raise SystemExit(3)"],
                       env=dict(os.environ, DORA_NODE_CONFIG=config), stdin=subprocess.DEVNULL, check=False)


@scenario(dora=("0.5.0",), limit=300, default=False)
def lives_memory(t):
    """A thousand lives of a crash loop: the probe's memory stays flat, and each is told. A burst of whatever else
    begins on the machine may use a buffer deeper than ever before, once; what lives leave behind would show in each stretch."""
    name = own("crash6", t)
    config = ("dataflow_id: 01234567-89ab-4cde-8f01-23456789abcd\nnode_id: " + name + "\nrun_config:\n  inputs: {}\n"
              "  outputs: []\ndaemon_communication: !Tcp\n  socket_addr: 127.0.0.1:9\ndynamic: false\n")
    probe = t.probe("--node", name, pids=[], record=False)
    probe.wait("start", 20)
    at = []
    for lives in (100, 300, 300, 300):
        live_and_die(config, lives)
        time.sleep(2)
        at.append(own_kib(probe.proc.pid))
    lines = end_probe(probe)
    t.facts["anonymous memory"] = f"{at} KiB after 100, 400, 700, 1,000 lives"
    grown = min(b - a for a, b in zip(at, at[1:]))
    t.expect(grown < 64, f"{grown} KiB more after each 300 lives: {at}")
    told = len(checks.lines_of(lines, "exit", node=name))
    t.expect(told == 1000, f"{told} exits of 1000 told")
    rows = [o for o in checks.lines_of(lines, "summary")[0]["nodes"] if o["node"] == name]
    t.expect([o["lives"] for o in rows] == [1000], f"summary: {rows}")
