# SPDX-License-Identifier: MIT
"""How soon the probe says what it sees, and how exactly."""

import checks
import os
import subprocess
import sys
import time

from figures import MS, S, bench, plan, spread
from flow import free_port, now, receiver, sender
from probe import Probe

TICK = os.sysconf("SC_CLK_TCK")


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


def cpu_of(pid):
    """CPU seconds of a process, all threads."""
    with open(f"/proc/{pid}/stat") as f:
        part = f.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / TICK
