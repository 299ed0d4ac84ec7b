# SPDX-License-Identifier: MIT
"""How cost grows: with what is watched, with what happens, with what is alive; what the governor gives up."""

import os
import socket
import statistics
import subprocess
import time
import uuid

from bench_cost import status
from figures import MS, S, TOP, bench
from flow import free_port, now, receiver, sender
from probe import Probe
from tools import cpu_ns

FLOOD = os.path.join(TOP, "build", "bench", "flood")
CONFIG = """dataflow_id: {dataflow}
node_id: {node}
run_config:
  inputs: {{}}
  outputs: [data]
daemon_communication: !Tcp
  socket_addr: 127.0.0.1:{port}
dynamic: false
"""
# A Python node as it waits in next(): connected, the main thread asleep without the GIL, nothing else going on.
IDLE = """import os, socket, threading
s = socket.create_connection(("127.0.0.1", int(os.environ["FLOOD_PORT"])))
threading.Event().wait()
"""


def of_flow(dataflow, node, port):
    return {**os.environ, "FLOOD_PORT": str(port),
            "DORA_NODE_CONFIG": CONFIG.format(dataflow=dataflow, node=node, port=port)}


class Idle:
    """So many idle nodes, four to a dataflow, whose daemon is this process."""

    def __init__(self, count):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=count)
        port = self.listener.getsockname()[1]
        self.procs = [subprocess.Popen(["/usr/bin/python3", "-c", IDLE], stdin=subprocess.DEVNULL,
                                       env=of_flow(uuid.UUID(int=n // 4), f"node{n}", port)) for n in range(count)]
        self.ends = [self.listener.accept()[0] for _ in range(count)]
        time.sleep(0.5)

    def pids(self):
        return [p.pid for p in self.procs]

    def end(self):
        for p in self.procs:
            p.kill()
        for p in self.procs:
            p.wait()
        for s in [self.listener, *self.ends]:
            s.close()


class Flood:
    """One flood.c, connected to its daemon."""

    def __init__(self, kind, rate=0, seconds=0, dataflow=None, node="flood"):
        env = of_flow(dataflow or uuid.uuid4(), node, free_port())
        self.proc = subprocess.Popen([FLOOD, kind, str(rate), str(seconds)], env=env, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.proc.stdout.readline() != "ready\n":
            raise RuntimeError("the flooding node did not start")

    def go(self):
        self.proc.stdin.write("\n")
        self.proc.stdin.flush()

    def done(self):
        """(how often, seconds)."""
        n, ns = self.proc.stdout.readline().split()
        return int(n), int(ns) / S

    def end(self):
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc.wait()


def probe_of(b, pids, *args):
    p = Probe(["--pid", ",".join(map(str, pids)), *args], b.dir(), record=False)
    b.probes.append(p)
    p.start()
    p.wait_attached(pids, 60)
    return p


def private_bytes(pid):
    """Of a process and its children: what nobody else has (Private_Dirty), so that a fork counts with what it has changed."""
    total = 0
    with open(f"/proc/{pid}/smaps_rollup") as f:
        total += sum(int(x.split()[1]) * 1024 for x in f if x.startswith(("Private_Dirty", "Private_Clean")))
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return total + sum(private_bytes(int(c)) for c in f.read().split())


@bench
def scale_idle(b):
    """Nodes that do nothing: CPU and memory of the agent and its readers, by their number."""
    for count in (1, 10, 50, 200):
        nodes = Idle(count)
        try:
            probe = probe_of(b, nodes.pids())
            time.sleep(5)
            pid = probe.proc.pid
            t0, c0 = now(), cpu_ns(pid)
            time.sleep(b.window(10, 5))
            share = 100 * (cpu_ns(pid) - c0) / (now() - t0)
            b.say(f"CPU of the agent and its readers, {count} idle nodes", share, "% of a core",
                  ("<=", 6) if count == 200 else None, load=f"{os.getloadavg()[0]:.1f}",
                  for_each=f"{share / count:.3f} %")
            b.say(f"private memory of the agent, {count} idle nodes", status(pid, "RssAnon") / 2**20, "MiB",
                  {10: ("<=", 16), 200: ("<=", 32)}.get(count),
                  with_readers=f"{private_bytes(pid) / 2**20:.1f} MiB")
            probe.end()
        finally:
            nodes.end()


@bench
def scale_attach(b):
    """From exec to the node lines of ten dora nodes on the reader's side."""
    flow = b.flow(sender(), *(receiver(f"recv{n}") for n in range(9)))
    pids = list(flow.pids().values())
    times = []
    for _ in range(b.rounds(10, 5)):
        p = probe_of(b, pids)
        times.append((max(o["_arrival_ns"] for o in p.events("node") if o["_arrival_ns"] <= p.attached_ns)
                      - p.begin_ns) / MS)
        p.end()
    b.end(flow)
    b.say("attached to ten dora nodes after start, median", statistics.median(times), "ms", ("<=", 300),
          "fork of the probe until the lines of all have arrived", worst=f"{max(times):.0f}", n=len(times),
          load=f"{os.getloadavg()[0]:.1f}")


def flood_once(b, what, kind, rate, seconds, budget=100):
    """(done per second, records, lost, microseconds of the agent for each). `budget`: of --max-overhead, 100 is none."""
    f = Flood(kind, rate, seconds)
    try:
        probe = probe_of(b, [f.proc.pid], "--max-overhead", budget,
                         "--token-threshold", "1h")
        c0 = cpu_ns(probe.proc.pid)
        f.go()
        n, took = f.done()
        time.sleep(0.5)
        cost = (cpu_ns(probe.proc.pid) - c0) / 1000 / max(1, n)
        probe.end(timeout=60)
        summary = probe.events("summary")[-1]
        losses = {o["reason"]: o["total"] for o in probe.events("loss")}
        given_up = [o["advice"] for o in probe.events("warning") if o["kind"] == "source_missing" and o["advice"]]
        b.say(f"{what}: asked for {rate or 'all it can'}", n / took, "1/s", None, records=summary["records"],
              lost=summary["records_lost"], losses=losses, given_up=given_up, agent_us=f"{cost:.2f}", load=f"{os.getloadavg()[0]:.1f}")
        return n / took, summary["records"] / took, summary["records_lost"], cost
    finally:
        f.end()


@bench
def scale_records(b):
    """Records a second, until some are lost: of a call each, and of calls that move 200 frames each."""
    best = {}
    for kind, rates in (("frames", (20_000, 50_000, 100_000, 0)), ("batches", (100_000, 200_000, 220_000, 300_000, 400_000))):
        for rate in rates:
            _, records, lost, _ = flood_once(b, f"{kind} of one node", kind, rate, b.window(10, 4))
            if not lost:
                best[kind] = max(best.get(kind, 0), records)
    b.say("records a second without a loss, most", best.get("batches", 0), "1/s", (">=", 200_000),
          "a node of flood.c, 200 frames a call, a record each", a_call_each=f"{best.get('frames', 0):.0f}")


@bench
def scale_tokens(b):
    """Tokens alive at the same time: what one more costs, and that none is lost."""
    for alive in (1_000, 10_000, 100_000):
        _, _, lost, _ = flood_once(b, f"messages, up to {alive} tokens alive", "tokens", 20_000, alive / 20_000)
    b.say("lost with 100,000 tokens alive", lost, "records", ("=", 0), "messages of flood.c, whose tokens never come back")


@bench
def scale_floods(b):
    """Each source, flooded: what comes, what is lost, what is said; with the governor and without."""
    for kind in ("frames", "regions", "signals", "forks"):
        flood_once(b, kind, kind, 0, b.window(10, 3))
    for kind in ("frames", "regions"):
        flood_once(b, f"{kind}, a budget of 0.02 %", kind, 0, b.window(10, 3), budget=0.02)
