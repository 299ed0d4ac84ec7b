# SPDX-License-Identifier: MIT
"""The probe beside what a user would take instead, and beside nothing: rounds of all, interleaved, in one run."""

import os
import shutil
import statistics
import subprocess
import time

from figures import S, TOP, bench
from flow import end_process, now, receiver, sender, wait_until
from probe import Probe

STRANGERS = os.path.join(TOP, "build", "bench", "strangers")
PY_SPY = shutil.which("py-spy") or os.path.join(TOP, "build", "bench", "py-spy")
BPFTRACE = shutil.which("bpftrace")

# The same facts of both nodes as far as a script can have them: bytes by length, futex calls, regions.
SCRIPT = """
tracepoint:syscalls:sys_enter_futex /%s/ { @futex[tid, args->op & 127] = count(); }
tracepoint:syscalls:sys_enter_sendto /%s/ { @sent[pid, args->fd] = sum(args->len); }
tracepoint:syscalls:sys_exit_recvfrom /(%s) && args->ret > 0/ { @got[pid] = sum(args->ret); }
tracepoint:syscalls:sys_enter_openat /%s/ { @opened[pid] = count(); }
tracepoint:syscalls:sys_enter_mmap /%s/ { @mapped[pid] = count(); }
tracepoint:syscalls:sys_enter_munmap /%s/ { @unmapped[pid] = count(); }
"""


class Tool:
    """Something that watches processes, started and ended: the probe with options, or another program."""

    def __init__(self, b, pids):
        self.b, self.pids, self.procs, self.probe = b, pids, [], None

    def start_probe(self, *args, way="auto"):
        self.probe = Probe(["--pid", ",".join(map(str, self.pids)), "--token-threshold", "10s", *args],
                           self.b.dir(), record=False, wrap=("env", f"DORA_PROBE_SOURCES={way}"))
        self.b.probes.append(self.probe)
        self.probe.start()
        self.probe.wait_attached(self.pids)

    def start_others(self, *commands):
        for c in commands:
            self.procs.append(subprocess.Popen(c, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL))
        time.sleep(1.5)

    def end(self):
        if self.probe:
            self.probe.end()
        for p in self.procs:
            end_process(p)


def tools():
    """name: what starts it. Those that are not installed are left out."""
    ret = {"nothing": lambda t: None,
           "default": lambda t: t.start_probe(),
           "--exact": lambda t: t.start_probe("--exact"),
           "by system calls": lambda t: t.start_probe(way="syscalls")}
    if os.access(PY_SPY, os.X_OK):
        ret["py-spy --nonblocking"] = lambda t: t.start_others(*(
            [PY_SPY, "record", "--gil", "--nonblocking", "-d", "600", "-f", "raw", "-o",
             os.path.join(t.b.dir(), "out"), "-p", str(pid)] for pid in t.pids))
    if BPFTRACE:
        ret["bpftrace"] = lambda t: t.start_others(
            [BPFTRACE, "-e", SCRIPT.replace("%s", " || ".join(f"pid == {p}" for p in t.pids))])
    return ret


def rounds_of(b, pids, count, measure):
    """Each tool once a round, the order turned by one each time: {name: [measured]}."""
    ways, got = tools(), {}
    names = list(ways)
    for n in range(count):
        for name in names[n % len(names):] + names[:n % len(names)]:
            tool = Tool(b, pids)
            try:
                ways[name](tool)
                time.sleep(0.3)
                got.setdefault(name, []).append(measure())
            finally:
                tool.end()
            time.sleep(0.3)
    return got


def load():
    return f"{os.getloadavg()[0]:.1f}"


@bench
def compare_strangers(b):
    """What processes that nobody watches pay while two nodes of an idle flow are watched."""
    flow = b.flow(sender(period_ms=50), receiver())
    flow.go()

    def measure():
        out = subprocess.run([STRANGERS, "300"], capture_output=True, text=True, check=True)
        return [float(x) for x in out.stdout.split()]

    got = rounds_of(b, list(flow.pids().values()), 20 if b.full else 5, measure)
    b.end(flow)
    for i, what in enumerate(("getpid", "futex there and back", "a byte there and back over loopback")):
        base = statistics.median(r[i] for r in got["nothing"])
        for name, rows in got.items():
            if name == "nothing":
                continue
            ratio = statistics.median(x[i] / y[i] for x, y in zip(rows, got["nothing"]))
            b.say(f"stranger's {what}, {name}", 1 / ratio, "of that with nothing attached",
                  (">=", 0.99) if name == "default" else None,
                  ns=f"{statistics.median(r[i] for r in rows):.0f}", nothing=f"{base:.0f}",
                  n=len(rows), load=load())


@bench
def compare_throughput(b):
    """A dataflow flat out with each of them, by messages received."""
    window, count = (10.0, 10) if b.full else (2.0, 5)
    for what, size, queue, target in (("64 KiB", 65536, 1000, 0.97), ("1 MB", 1000000, 10, 0.98)):
        seconds = count * len(tools()) * (window + 3.5) + 10
        flow = b.flow(sender(log="count", wait_go=True, size=size, flat=seconds, pace=0.05, period_ms=20),
                      receiver(queue_size=queue, pace=0.05), limit=int(seconds) + 120)
        flow.go()
        wait_until(lambda f=flow: f.said("recv", "pace"), 20, "messages")
        time.sleep(1.5)

        def measure():
            t0 = now()
            time.sleep(window)
            return t0, now()

        got = rounds_of(b, list(flow.pids().values()), count, measure)
        b.end(flow, None, 90)
        paces = [(p["t"], p["received"]) for p in flow.said("recv", "pace")]

        def rate(span, paces=paces):
            inside = [(t, n) for t, n in paces if span[0] <= t <= span[1]]
            return (inside[-1][1] - inside[0][1]) / ((inside[-1][0] - inside[0][0]) / S)

        rates = {name: [rate(s) for s in spans] for name, spans in got.items()}
        for name, r in rates.items():
            if name == "nothing":
                continue
            ratios = [x / y for x, y in zip(r, rates["nothing"])]
            b.say(f"throughput flat out, {what}, {name}", statistics.median(ratios),
                  "of that with nothing attached", (">=", target) if name == "default" else None,
                  f"{count} interleaved rounds of {window:g} s" if name == "default" else "",
                  rate=f"{statistics.median(r):.0f}/s",
                  nothing=f"{statistics.median(rates['nothing']):.0f}/s",
                  worst=f"{min(ratios):.3f}", best=f"{max(ratios):.3f}", load=load())
