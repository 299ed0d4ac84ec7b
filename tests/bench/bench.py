#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures every number that dora-probe promises, on real dora dataflows, and prints each with its
method. Results also go to build/bench.json. No timed tests: a missed target is said, and the exit
code is 0 unless a measurement itself broke.

    bench.py [--only NAME] [--full] [--seed N] [--dora VERSION]
"""

import argparse
import concurrent.futures
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))

import checks  # noqa: E402
from flow import Flow, free_port, now, receiver, sender, wait_until  # noqa: E402
from probe import BINARY, Probe  # noqa: E402

MS, S = checks.MS, checks.S
BENCHES = {}
TICK = os.sysconf("SC_CLK_TCK")


def bench(f):
    BENCHES[f.__name__] = f
    return f


class Bench:
    def __init__(self, version, seed, full, name):
        self.version, self.full = version, full
        self.rng = random.Random(f"{seed}/{name}")
        self.name = name
        self.results = []
        self.dirs, self.flows, self.probes = [], [], []

    def say(self, what, value, unit, target=None, method="", **more):
        """One number. target: ("<", 100) or (">", 0.95) or ("=", 0), in the same unit."""
        met = None
        if target and value is not None:
            met = {"<": value < target[1], ">": value > target[1], "=": value == target[1],
                   "<=": value <= target[1], ">=": value >= target[1]}[target[0]]
        shown = "unknown" if value is None else f"{value:.4g}" if isinstance(value, float) \
            else str(value)
        mark = {True: "met   ", False: "MISSED", None: "      "}[met]
        goal = f" (must be {target[0]} {target[1]:g} {unit})" if target else ""
        extra = "".join(f"; {k} {v}" for k, v in more.items())
        print(f"  {mark} {what}: {shown} {unit}{goal}{extra}", flush=True)
        if method:
            print(f"           {method}", flush=True)
        self.results.append(dict(bench=self.name, what=what, value=value, unit=unit,
                                 target=target, met=met, method=method, **more))

    def dir(self):
        d = tempfile.mkdtemp(prefix="dora-probe-bench-")
        self.dirs.append(d)
        return d

    def flow(self, *nodes, version=None, **kw):
        f = Flow(version or self.version, list(nodes), self.dir(), **kw)
        self.flows.append(f)
        return f.start()

    def probe(self, flow, *args, pids=None, **kw):
        pids = pids or list(flow.pids().values())
        kw.setdefault("record", False)
        p = Probe(["--pid", ",".join(map(str, pids)), *args], self.dir(), **kw)
        self.probes.append(p)
        p.start()
        p.wait_attached(pids)
        return p

    def end(self, flow, probe=None, timeout=20):
        flow.stop()
        flow.wait_gone(timeout)
        if probe:
            probe.end(None, 10)
        flow.cleanup()

    def cleanup(self):
        for p in self.probes:
            if p.proc and p.proc.poll() is None:
                p.end(9)
        for f in self.flows:
            f.cleanup()
        for d in self.dirs:
            shutil.rmtree(d, ignore_errors=True)


def spread(values, scale=MS):
    v = sorted(values)
    if not v:
        return {}
    return {"median": f"{statistics.median(v) / scale:.3g}",
            "p95": f"{v[min(len(v) - 1, math.ceil(0.95 * len(v)) - 1)] / scale:.3g}",
            "n": len(v)}


def plan(rng, count, gap, kinds=("usleep", "pow", "sum", "re"), shortest=0.16, longest=0.5,
         on="main"):
    steps, at = [], 0.3
    for n in range(count):
        length = rng.uniform(shortest, longest)
        steps.append({"at": at, "do": kinds[n % len(kinds)], "for": length, "on": on})
        at += length + rng.uniform(*gap)
    return steps


# -- the main job

@bench
def warning_latency(b):
    """From the moment at which a hold reaches --warn-hold to the line on the reader's side."""
    late = {}
    # Within 2 s of each other a hold is news only where it is in another function than those before.
    for name, companion, every, kinds in (
            ("uncontended", 0, 4.5, ("usleep", "sum", "pow", "usleep", "sum", "pow")),
            ("contended", 0.005, 4.5, ("usleep", "sum", "pow", "usleep", "sum", "pow")),
            ("half a second apart", 0, 1.4, ("usleep", "sum", "pow", "re"))):
        steps = [{"at": 0.3 + every * n, "do": do, "for": 0.75 + b.rng.uniform(0, 0.1)}
                 for n, do in enumerate(kinds)]
        flow = b.flow(sender(), receiver(plan=steps, companion=companion), limit=90)
        probe = b.probe(flow, "--warn-hold", "500ms")
        flow.go()
        flow.wait_said("recv", "plan_done", 60)
        b.end(flow, probe)
        values = []
        # What takes the CPU a fixed time by its calibration may be over sooner: no time to warn.
        holds = [h for h in flow.said("recv", "hold") if h["t1"] - h["t0"] >= 600 * MS]
        for h in holds:
            got = [o["_arrival_ns"] - h["t0"] - 500 * MS
                   for o in probe.events("warning", kind="gil_hold", resolved=False)
                   if h["t0"] <= o["_arrival_ns"] <= h["t1"]]
            values.append(min(got) if got else None)
        missed = values.count(None)
        late[name] = [v for v in values if v is not None]
        b.say(f"warning on screen after the threshold, {name}, worst",
              max(late[name]) / MS if late[name] else None, "ms", ("<", 100),
              "holds of 0.75-0.85 s, those below 0.6 s left out, --warn-hold 500ms; true start by the "
              "node's clock",
              missed=missed, **spread(late[name]))


@bench
def warning_under_scrapers(b):
    """Do scrapers of the endpoint, decent or not, delay a warning?"""
    hammer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hammer.py")
    for burden in (None, "scrapers", "half-open"):
        steps = [{"at": 2 + 3 * n, "do": "usleep", "for": 0.8} for n in range(4)]
        flow = b.flow(sender(), receiver(plan=steps), limit=90)
        port = free_port()
        probe = b.probe(flow, "--warn-hold", "300ms", "--listen", f"127.0.0.1:{port}")
        done = None
        if burden:
            done = subprocess.Popen([sys.executable, hammer, str(port), "15", burden],
                                    stdout=subprocess.PIPE, text=True)
        flow.go()
        flow.wait_said("recv", "plan_done", 40)
        count = int(done.communicate(timeout=30)[0]) if done else 0
        b.end(flow, probe)
        holds = flow.said("recv", "hold")
        late = [min((o["_arrival_ns"] - h["t0"] - 300 * MS
                     for o in probe.events("warning", kind="gil_hold", resolved=False)
                     if h["t0"] <= o["_arrival_ns"] <= h["t1"]), default=None) for h in holds]
        missed = late.count(None)
        late = [x for x in late if x is not None]
        what = {None: "no scraper", "scrapers": "200 scrapers",
                "half-open": "10,000 half-open connections"}[burden]
        b.say(f"warning on screen after the threshold, {what}, worst",
              max(late) / MS if late and not missed else None, "ms", ("<", 100),
              "4 holds of 0.8 s, --warn-hold 300ms, --listen; scrapers ask again as soon as they "
              "are answered", missed=missed, count=count, **spread(late))


def brackets(b, name, start_target, end_target, companion, *args, gap=(0.15, 0.35)):
    count = 24 if b.full else 12
    flow = b.flow(sender(), receiver(plan=plan(b.rng, count, gap), companion=companion), limit=90)
    probe = b.probe(flow, *args)
    flow.go()
    flow.wait_said("recv", "plan_done", 80)
    b.end(flow, probe)
    starts, ends, outside, missed = [], [], 0, 0
    precision = {}
    for h in flow.said("recv", "hold"):
        mine = [o for o in probe.events("gil_hold", tid=h["tid"])
                if checks.overlap(o["start_ns"], o["end_ns"], h["t0"], h["t1"])]
        if len(mine) != 1 or mine[0]["start_lo_ns"] is None or mine[0]["end_hi_ns"] is None:
            missed += 1
            continue
        o = mine[0]
        precision[o["precision"]] = precision.get(o["precision"], 0) + 1
        starts.append(o["start_ns"] - o["start_lo_ns"])
        ends.append(o["end_hi_ns"] - o["end_ns"])
        outside += bool(checks.check_bracket(o, h, tolerance=100_000))
    method = (f"{count} holds of 160-500 ms in C (sleeping, big integers, sum, re), "
              f"{name}; the true take and release are known to some 0.1 ms")
    b.say(f"start bracket, {name}, widest", max(starts) / MS if starts else None, "ms",
          ("<=", start_target), method, **spread(starts))
    b.say(f"end bracket, {name}, widest", max(ends) / MS if ends else None, "ms",
          ("<=", end_target), **spread(ends))
    b.say(f"holds whose true start or end lies outside, {name}", outside, "holds", ("=", 0),
          missed=missed, precision=precision)


@bench
def brackets_uncontended(b):
    """How wide are [start_lo, start] and [end, end_hi], and do they contain the truth?"""
    # Far apart, so that no confirmation source is still armed from the hold before.
    brackets(b, "uncontended", 60, 12, 0, gap=(2, 3))


@bench
def brackets_contended(b):
    """The same with a second Python thread that wants the GIL every 2 ms."""
    brackets(b, "contended", 1, 1, 0.002)


@bench
def brackets_exact(b):
    """The same with --exact."""
    brackets(b, "--exact", 0.1, 0.1, 0, "--exact")


@bench
def token_latency(b):
    """From a token's end to its line on the reader's side."""
    flow = b.flow(sender(period_ms=20), receiver())
    probe = b.probe(flow, "--token-threshold", "0s")
    flow.go()
    time.sleep(6)
    b.end(flow, probe)
    late = [o["_arrival_ns"] - (o["returned_ns"] or o["reported_ns"])
            for o in probe.events("token", state="returned") if o["returned_ns"]]
    b.say("token line after the token's end, worst", max(late) / MS if late else None, "ms",
          ("<", 100), "50 Hz flow, 6 s; arrival of the line minus returned_ns", **spread(late))


@bench
def rate_2000(b):
    """2,000 messages/s through a node: nothing lost, every token accounted for."""
    seconds = 8 if b.full else 5
    flow = b.flow(sender(period_ms=10, burst=20, log="count"), receiver(queue_size=1000), limit=90)
    probe = b.probe(flow, "--token-threshold", "0s")
    begin, cpu0 = now(), cpu_of(probe.proc.pid)
    flow.go()
    time.sleep(seconds)
    cpu = (cpu_of(probe.proc.pid) - cpu0) / ((now() - begin) / S)
    b.end(flow, probe)
    total = flow.said("send", "sent_total")[0]["sent"]
    tokens = [o for o in probe.events("token", receiver="recv")]
    sent = sorted(o["sent_ns"] for o in tokens if o["sent_ns"])
    seen = {o["token"] for o in tokens}
    summary = probe.events("summary")[-1]
    rate = (len(sent) - 1) / max(1e-9, (sent[-1] - sent[0]) / S) if sent else None
    lost = sum(1 for o in tokens if o["state"] == "lost" and o["sent_ns"])
    # Those of before the probe came cannot be accounted for: the sender's own count says how many.
    before = total - len(sent)
    b.say("messages/s with every token followed", rate, "1/s", (">=", 1900),
          f"64 KiB messages, bursts of 20 every 10 ms, {seconds} s, --token-threshold 0s",
          tokens=len(seen), sent_in_all=total, before_attach=before)
    b.say("records lost at 2,000 messages/s", summary["records_lost"], "records", ("=", 0),
          losses={o["reason"]: o["total"] for o in probe.events("loss")})
    b.say("tokens whose trail was lost", lost, "tokens", ("=", 0))
    # Uuids of version 7 begin with the time of sending: gaps in the sequence of messages of one
    # burst would be tokens without a line.
    b.say("agent's own CPU at 2,000 messages/s", 100 * cpu, "% of a core")


def flat_flow(b, seconds, queue_size=1000, **kw):
    return b.flow(sender(period_ms=20, log="count", flat=seconds, wait_go=True, **kw),
                  receiver(queue_size=queue_size), limit=180)


@bench
def rate_flat_out(b):
    """As fast as two nodes can: what is lost, where, and how it is said."""
    seconds = 4
    flow = flat_flow(b, seconds)
    probe = b.probe(flow, "--token-threshold", "10s")
    flow.go()
    flow.wait_said("send", "flat_end", 60)
    begin = flow.said("send", "flat_begin")[0]
    end = flow.said("send", "flat_end")[0]
    time.sleep(1)
    b.end(flow, probe, 60)
    rate = (end["sent"] - begin["sent"]) / ((end["t"] - begin["t"]) / S)
    summary = probe.events("summary")[-1]
    recv = [n for n in summary["nodes"] if n["node"] == "recv"][0]
    b.say("messages/s flat out with the probe attached", rate, "1/s", None,
          f"64 KiB messages in a tight loop for {seconds} s")
    b.say("records lost flat out", summary["records_lost"], "records", None,
          records=summary["records"], losses={o["reason"]: o["total"]
                                              for o in probe.events("loss")})
    b.say("tokens followed flat out", recv["tokens"], "tokens", None, sent=end["sent"])


@bench
def attach_time(b):
    """From exec to the node line of the target on the reader's side."""
    flow = b.flow(sender(), receiver())
    times = []
    for _ in range(10):
        p = Probe(["--pid", ",".join(map(str, flow.pids().values()))], b.dir(), record=False)
        b.probes.append(p)
        p.start()
        p.wait_attached(list(flow.pids().values()))
        times.append(max(o["_arrival_ns"] for o in p.events("node")) - p.begin_ns)
        p.end()
    b.end(flow)
    b.say("attached after start, worst of 10", max(times) / MS, "ms", ("<", 500),
          "fork of the probe until both nodes' lines have arrived", **spread(times))


def status(pid, field):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None


def ring_bytes(pid):
    total = 0
    folder = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(folder):
        try:
            with open(os.path.join(folder, fd)) as f:
                info = dict(x.split(":", 1) for x in f.read().splitlines() if ":" in x)
        except OSError:
            continue
        if info.get("map_type", "").strip() == "27":
            total += int(info["max_entries"])
    return total


@bench
def memory(b):
    """Private memory with ten nodes watched."""
    flow = b.flow(sender(), *(receiver(f"recv{n}") for n in range(9)))
    probe = b.probe(flow, "--token-threshold", "0s")
    flow.go()
    time.sleep(6)
    pid = probe.proc.pid
    rss = status(pid, "RssAnon")
    b.say("RssAnon with ten nodes", rss / 2**20, "MiB", ("<", 16),
          "/proc/PID/status after 6 s of a 20 Hz flow with nine receivers",
          ring_buffer=f"{ring_bytes(pid) / 2**20:g} MiB apart",
          RssFile=f"{status(pid, 'RssFile') / 2**20:.1f} MiB",
          RssShmem=f"{status(pid, 'RssShmem') / 2**20:.1f} MiB")
    b.end(flow, probe)


def cpu_of(pid):
    """CPU seconds of a process, all threads."""
    with open(f"/proc/{pid}/stat") as f:
        part = f.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / TICK


def cpu_exact(pid):
    """The same to the nanosecond, from the scheduler's own account."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / S


@bench
def idle_cost(b):
    """The agent's CPU on an idle 50 Hz flow, and that of its kernel programs."""
    seconds = 20 if b.full else 10
    flow = b.flow(sender(period_ms=20), receiver())
    probe = b.probe(flow)
    flow.go()
    time.sleep(2)
    pid = probe.proc.pid
    t0, c0 = now(), cpu_exact(pid)
    time.sleep(seconds)
    agent = (cpu_exact(pid) - c0) / ((now() - t0) / S)
    b.say("agent's CPU on an idle 50 Hz flow", 100 * agent, "% of a core", ("<", 2),
          f"schedstat of all its threads over {seconds} s")
    switch = "/proc/sys/kernel/bpf_stats_enabled"
    try:
        with open(switch) as f:
            old = f.read()
        with open(switch, "w") as f:
            f.write("1")
        try:
            r0, t0 = run_time(pid), now()
            time.sleep(4)
            r1, t1 = run_time(pid), now()
        finally:
            with open(switch, "w") as f:
                f.write(old)
        b.say("kernel programs on an idle 50 Hz flow", 100 * (r1 - r0) / (t1 - t0), "% of a core",
              None, "run_time_ns of the agent's program descriptors over 4 s, statistics on "
              "(which costs something itself)")
    except OSError as e:
        b.say("kernel programs on an idle 50 Hz flow", None, "% of a core", None, str(e))
    b.end(flow, probe)


def run_time(pid):
    total, ids = 0, set()
    folder = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(folder):
        try:
            with open(os.path.join(folder, fd)) as f:
                info = dict(x.split(":", 1) for x in f.read().splitlines() if ":" in x)
        except OSError:
            continue
        if "run_time_ns" in info and info["prog_id"].strip() not in ids:
            ids.add(info["prog_id"].strip())
            total += int(info["run_time_ns"])
    return total


def throughput_of(b, what, size, queue_size, **pace):
    """What comes out of a flow with the probe against without. `pace`: of the sender, none flat out."""
    rounds, window = (20 if b.full and not pace else 6), 2.0
    seconds = rounds * 2 * (window + 1.2) + 4
    flat = {} if pace else {"flat": seconds, "pace": 0.05, "period_ms": 20}
    flow = b.flow(sender(log="count", wait_go=True, size=size, **flat, **pace),
                  receiver(queue_size=queue_size, pace=0.05), limit=200)
    flow.go()
    wait_until(lambda: flow.said("recv", "pace"), 20, "messages")
    time.sleep(1.5)
    spans = {"with": [], "without": []}
    for n in range(2 * rounds):
        # with, without, without, with, …: a drift of the machine touches both alike
        attach = n % 4 in (0, 3)
        probe = None
        if attach:
            probe = Probe(["--pid", ",".join(map(str, flow.pids().values())),
                           "--token-threshold", "10s"], b.dir(), record=False)
            b.probes.append(probe)
            probe.start()
            probe.wait_attached(list(flow.pids().values()))
        time.sleep(0.3)
        t0 = now()
        time.sleep(window)
        spans["with" if attach else "without"].append((t0, now()))
        if probe:
            probe.end()
        time.sleep(0.3)
    b.end(flow, None, 90)

    def pairs(node, count):
        paces = [(p["t"], p[count]) for p in flow.said(node, "pace")]

        def rate(span):
            inside = [(t, n) for t, n in paces if span[0] <= t <= span[1]]
            if len(inside) < 3:
                return None
            return (inside[-1][1] - inside[0][1]) / ((inside[-1][0] - inside[0][0]) / S)

        return [(x, y) for x, y in zip(map(rate, spans["with"]), map(rate, spans["without"]))
                if x and y]

    got, sent = pairs("recv", "received"), pairs("send", "sent") if flat else []
    ratios = [x / y for x, y in got]
    b.say(f"throughput with the probe, {what}", statistics.median(ratios), "of that without",
          (">=", 0.95), f"messages received, {len(got)} pairs of {window} s windows in one run, "
          "median of the pairs", with_=f"{statistics.median(x for x, _ in got):.0f}/s",
          without=f"{statistics.median(y for _, y in got):.0f}/s",
          worst=f"{min(ratios):.3f}", best=f"{max(ratios):.3f}",
          **({"of those sent": f"{statistics.median(x / y for x, y in sent):.3f}"} if sent else {}))


@bench
def throughput(b):
    """The dataflow's own rate: at the pace of its timer, and as fast as two nodes can."""
    throughput_of(b, "images of 1 MB at 20 Hz", 1000000, 10, period_ms=50)
    throughput_of(b, "64 KiB, 2,000/s", 65536, 1000, period_ms=10, burst=20)
    throughput_of(b, "images of 1 MB flat out", 1000000, 10)
    throughput_of(b, "64 KiB flat out", 65536, 1000)


# -- causes, early warning, guard

def one_stop(b, version, step, args, grace, opts=None, on="main", seconds=40, pause=None,
             before=0):
    """A dataflow stopped while its receiver is busy in `step`; with `before`, it has been through
    one of that length already. Gives facts of the receiver."""
    top = tempfile.mkdtemp(prefix="dora-probe-bench-")
    plan_ = [{"at": 0.2, "do": step, "for": before, "on": on}] if before else []
    if step:
        plan_.append({"at": 0.2 + (before + 0.4 if before else 0), "do": step, "for": seconds,
                      "on": on})
    flow = Flow(version, [sender(), receiver(plan=plan_, **(opts or {}))], top,
                mode="coordinator" if grace else "run")
    probe = None
    try:
        flow.start()
        probe = Probe(["--pid", ",".join(map(str, flow.pids().values())), "--token-threshold", "0s",
                       *args], top, record=False).start()
        probe.wait_attached(list(flow.pids().values()))
        flow.go()
        pause = b.rng.uniform(0.4, 0.9) if pause is None else pause
        if before:
            flow.wait_said("recv", "step", 20)
            begun = now() + 350 * MS
        else:
            begun = flow.go_ns + 250 * MS
        wait_until(lambda: now() > begun + int(pause * S), 10, "the hold")
        flow.stop(f"{grace}s" if grace else None)
        recv = flow.pid("recv")
        wait_until(lambda: recv not in flow.alive(), 40, "end of the receiver", 0.005)
        took = (now() - flow.stop_ns) / S
        flow.wait_gone(20)
        probe.end(None, 10)
        lines = probe.events()
        exits = checks.lines_of(lines, "exit", pid=recv)
        stops = checks.lines_of(lines, "stop", pid=recv)
        return dict(took=took, exit=exits[0] if exits else None, stop_ns=flow.stop_ns,
                    stop=stops[0] if stops else None, lines=lines, pid=recv,
                    sent=flow.said("send", "sent"), closed=flow.closed_by_sender(),
                    holds=flow.said("recv", "hold"), phases=flow.said("recv", "phase"),
                    actions=[o for o in lines if o["event"] == "action" and o["pid"] == recv])
    finally:
        if probe and probe.proc.poll() is None:
            probe.end(9)
        flow.cleanup()
        shutil.rmtree(top, ignore_errors=True)


def many(b, jobs, at_once=3):
    """Runs one_stop for each job; those that break are counted, not hidden."""
    got, broken = [], []
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        for f in [pool.submit(one_stop, b, *j[:4], **j[4]) for j in jobs]:
            try:
                got.append(f.result())
            except Exception as e:
                broken.append(str(e)[:200])
    return got, broken


def versions_here(b):
    from flow import env_of
    all_ = ("0.3.12", "0.4.1", "0.5.0", "1.1.0") if b.full else (b.version,)
    return [v for v in all_ if env_of(v)]


@bench
def guard_300ms(b):
    """A node stuck in an interruptible call is down within 2 s of Stop with --nudge-after 300ms."""
    for version in versions_here(b):
        steps = ("usleep", "pow", "re", "usleep", "pow")
        jobs = [(version, steps[n % 5], ["--shutdown", "nudge", "--nudge-after", "300ms"], 10,
                 dict(opts={"interrupt": "leave"})) for n in range(10)]
        got, broken = many(b, jobs, 2)
        down = sum(1 for g in got if g["took"] < 2 and g["exit"] and not g["exit"]["grace_kill"])
        b.say(f"down within 2 s of Stop, dora {version}", down, "of 10", ("=", 10),
              "a hold of 40 s in C (sleeping, big integers, re), --nudge-after 300ms, grace 10 s",
              slowest=f"{max((g['took'] for g in got), default=0):.2f} s", broken=broken)
        late = [o["actions"][0]["_arrival_ns"] - o["stop"]["t_ns"] - 300 * MS
                for o in got if o["actions"] and o["stop"]]
        b.say(f"first audit line beyond --nudge-after, worst, dora {version}",
              max(late) / MS if late else None, "ms", ("<", 50),
              "arrival of the line minus Stop on the wire minus 300 ms", **spread(late))


@bench
def guard_default(b):
    """With the default time: before three quarters of the grace are gone."""
    for version in versions_here(b):
        jobs = [(version, ("usleep", "pow")[n % 2], ["--shutdown", "nudge"], 10,
                 dict(opts={"interrupt": "leave"})) for n in range(10)]
        got, broken = many(b, jobs, 3)
        down = sum(1 for g in got if g["took"] < 7.5 and g["exit"] and not g["exit"]["grace_kill"])
        b.say(f"down before three quarters of the grace, dora {version}", down, "of 10", ("=", 10),
              "as above without --nudge-after: 40 % of a grace of 10 s",
              slowest=f"{max((g['took'] for g in got), default=0):.2f} s", broken=broken)


def lost_tokens(got):
    """Tokens abandoned in each of the stops: (younger than 0.5 s at Stop, older), and the run."""
    ret = []
    for g in got:
        if not g["stop"]:
            continue
        lost = [o for o in checks.lines_of(g["lines"], "token", receiver="recv")
                if o["state"] == "abandoned"]
        young = [o for o in lost if o["delivered_ns"] and
                 o["delivered_ns"] > g["stop"]["t_ns"] - 500 * MS]
        ret.append((len(young), len(lost) - len(young), g))
    return ret


@bench
def guard_save_tokens(b):
    """--save-tokens: of tokens younger than 0.5 s at Stop none is lost."""
    args = ["--shutdown", "nudge", "--save-tokens", "--nudge-signal", "USR1"]
    got, broken = many(b, [(b.version, "usleep", args, 10,
                            dict(opts={"noop": "USR1", "drain": True}, pause=1.5 + n * 0.2))
                           for n in range(10 if b.full else 5)], 2)
    lost = lost_tokens(got)
    too_many = differ = 0
    for young, old, g in lost:
        first = g["actions"][0]["t_ns"] - g["stop"]["t_ns"] if g["actions"] else 0
        too_many += old > first / (100 * MS)
        differ += g["closed"] is not None and g["closed"] != young + old
    b.say("tokens lost that arrived less than 0.5 s before Stop", sum(o[0] for o in lost),
          "tokens", ("=", 0),
          f"{len(lost)} stops in a hold that began 1.5-3.3 s before, --save-tokens; the node takes "
          "its queued inputs before it leaves", broken=broken)
    b.say("runs with more than one older token lost per 100 ms until the nudge", too_many, "runs",
          ("=", 0), older_lost=sum(o[1] for o in lost))
    b.say("runs in which dora's own count of lost regions differs", differ, "runs", ("=", 0))
    # What a node loses that leaves its queue to dora: with the guard, and where there is nothing
    # for a guard to do, a node that slept without the GIL and is awake 0.3 s after Stop.
    for what, step, opts, seconds, noop in (
            ("in a hold, --save-tokens", "usleep", args, 40, {"noop": "USR1"}),
            ("asleep without the GIL until 0.3 s after Stop, no guard", "sleep", [], 2.6, {})):
        got, broken = many(b, [(b.version, step, opts, 10,
                                dict(opts=noop, pause=2.0, seconds=seconds)) for _ in range(5)], 1)
        lost = lost_tokens(got)
        b.say("tokens lost that arrived less than 0.5 s before Stop, by a node that leaves its "
              "queue to dora", sum(o[0] for o in lost), "tokens", None,
              f"{len(lost)} stops of a node that is {what}", older_lost=sum(o[1] for o in lost),
              broken=broken)


@bench
def guard_healthy(b):
    """A healthy node is never signalled."""
    count = 200 if b.full else 20
    jobs = []
    for n in range(count):
        kind = n % 4
        if kind == 0:
            job = (None, dict(seconds=0))
        elif kind == 1:
            # On the CPU, several at once take up to twice their time.
            step = b.rng.choice(("usleep", "sum", "pow"))
            job = (step, dict(seconds=b.rng.uniform(0.2, 3 if step == "usleep" else 1.5),
                              pause=b.rng.uniform(0.05, 0.15)))
        elif kind == 2:
            job = (None, dict(opts={"cleanup": 2}))
        else:
            job = ("usleep", dict(seconds=b.rng.uniform(0.2, 1), pause=0.1, opts={"cleanup": 1}))
        jobs.append((b.version, job[0], ["--shutdown", "nudge"], None, job[1]))
    got, broken = many(b, jobs, 4)
    sent = sum(1 for g in got for o in g["actions"] if o["result"] == "sent")
    # By the node's own clock: how long after Stop its call, and dora in dropping the node, went on.
    told = [(o["t_ns"] - g["stop_ns"], o["signal"], o["reason"],
             [(h["function"], h["t1"] - g["stop_ns"]) for h in g["holds"]],
             [(p["name"], p["t1"] - g["stop_ns"]) for p in g["phases"] if p["name"] == "drop"])
            for g in got for o in g["actions"] if o["result"] == "sent"]
    b.say("signals to healthy nodes", sent, "signals", ("=", 0),
          f"{len(got)} stops with the default guard, four at once: idle, C calls of 0.2-3 s at Stop, "
          "clean-up of 2 s", longest=f"{max((h['t1'] - g['stop_ns'] for g in got for h in g['holds']), default=0) / S:.1f} s after Stop", signalled=told, broken=broken)


@bench
def outlook(b):
    """The first warning after Stop: how early, and is its outlook right?"""
    count, grace = (100, 5) if b.full else (16, 4)
    jobs = []
    for n in range(count):
        if n % 2:  # will be killed; some have been through a short one of the same function
            job = (b.rng.choice(("usleep", "sum", "sleep", "pow")),
                   dict(seconds=40, before=b.rng.choice((0, 0.4))))
        elif n % 4:  # will not: a call that is under way at Stop, on the CPU one seen before
            length = b.rng.uniform(0.9, 0.5 * grace)
            step = b.rng.choice(("usleep", "sleep", "sum"))
            before = length * 1.2 if step == "sum" else b.rng.choice((0, 0.4))
            job = (step, dict(seconds=length, before=before, pause=0.2))
        else:  # will not: idle, or a clean-up of a second
            job = (None, dict(opts={"cleanup": b.rng.choice((0, 1))}))
        jobs.append((b.version, job[0], [], grace, job[1]))
    got, broken = many(b, jobs, 4)
    right = 0
    early, wrong = [], []
    for g in got:
        if not g["exit"]:
            wrong.append("no exit line")
            continue
        warned = [o for o in checks.lines_of(g["lines"], "warning", pid=g["pid"])
                  if o["kind"] in ("stop_pending", "deadline") and not o["resolved"]]
        killed = bool(g["exit"]["grace_kill"])
        # `deadline` says that the node will not make it; it is resolved when it will after all.
        projected = any(o["kind"] == "deadline" and
                        o["t_ns"] < g["stop_ns"] + 0.75 * grace * S for o in warned)
        if projected == killed:
            right += 1
        else:
            wrong.append(f"killed {killed}, gone after {g['took']:.1f} s, said "
                         f"{[(o['kind'], o['severity'], o['slack_ns']) for o in warned]}")
        if killed and warned:
            end = g["stop_ns"] + int(g["took"] * S)
            early.append((end - warned[0]["_arrival_ns"]) / (grace * S))
    b.say("outlook right (kill or not)", 100 * right / max(1, len(got)), "%", (">=", 95),
          f"{len(got)} stops with a grace of {grace} s, half of them killed; kill is projected by "
          "a `deadline` warning before three quarters of the grace; calls on the CPU that end in "
          "time were seen before, since nothing says how long a first one takes", wrong=wrong[:3],
          broken=broken)
    b.say("first warning before the kill, least", 100 * min(early) if early else None,
          "% of the grace", (">=", 80), n=len(early))


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", action="append")
    p.add_argument("--full", action="store_true", help="the promised number of runs; takes long")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--dora", default="0.5.0")
    p.add_argument("--list", action="store_true")
    a = p.parse_args()
    if a.list:
        for name, f in BENCHES.items():
            print(f"{name:22} {f.__doc__}")
        return 0
    if not os.access(BINARY, os.X_OK):
        print(f"no {BINARY}: run make first", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else int(time.time()) % 1_000_000
    with open("/proc/cpuinfo") as f:
        model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), "?")
    machine = (f"{os.cpu_count()} x {model}, Linux {os.uname().release}, "
               f"load {os.getloadavg()[0]:.2f} at the start")
    print(f"machine: {machine}\ndora {a.dora}, seed {seed}")
    results, failed = [], 0
    for name, f in BENCHES.items():
        if a.only and not any(o in name for o in a.only):
            continue
        print(f"{name}: {f.__doc__}", flush=True)
        b = Bench(a.dora, seed, a.full, name)
        try:
            f(b)
        except Exception:
            failed += 1
            print("  BROKE  " + traceback.format_exc().strip().replace("\n", "\n         "))
        finally:
            b.cleanup()
        results += b.results
    path = os.path.join(TOP, "build", "bench.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        json.dump({"machine": machine, "dora": a.dora, "seed": seed, "full": a.full,
                   "results": results}, f, indent=1)
    met = sum(1 for r in results if r["met"])
    missed = [r["what"] for r in results if r["met"] is False]
    print(f"{met} targets met, {len(missed)} missed" + (f": {'; '.join(missed)}" if missed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
