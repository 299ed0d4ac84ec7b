# SPDX-License-Identifier: MIT
"""What the probe costs: memory, CPU, throughput of the dataflow."""

import os
import statistics
import time

from figures import S, bench
from flow import now, receiver, sender, wait_until
from probe import Probe


def status(pid, field):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return None


def descriptors(pid):
    """What the kernel says of each of its descriptors, /proc/PID/fdinfo."""
    folder = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(folder):
        try:
            with open(os.path.join(folder, fd)) as f:
                yield {k: v.strip() for k, _, v in (x.partition(":") for x in f)}
        except OSError:
            continue


def ring_bytes(pid):
    return sum(int(x["max_entries"]) for x in descriptors(pid) if x.get("map_type") == "27")


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
    """Of each program once, however many descriptors it has."""
    return sum({x["prog_id"]: int(x["run_time_ns"]) for x in descriptors(pid) if "run_time_ns" in x}.values())


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
