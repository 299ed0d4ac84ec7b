# SPDX-License-Identifier: MIT
"""The probe beside what a user would take instead, and beside nothing: rounds of all, interleaved, in one run."""

import os
import statistics
import subprocess
import time

from figures import MS, S, TOP, bench
from flow import now, receiver, sender, wait_until
from tools import DEFAULT, NOTHING, rounds_of, tools

STRANGERS = os.path.join(TOP, "build", "bench", "strangers")


def load():
    return f"{os.getloadavg()[0]:.1f}"


def pairs(rows, base):
    """The same rounds of both, where both were measured."""
    return [(x, y) for x, y in zip(rows, base) if x and y]


def quantile(values, share):
    v = sorted(values)
    return v[min(len(v) - 1, int(share * len(v)))]


def say_ratios(b, measure, got, target=None, targets=None, more=None, method=""):
    """One line a tool: the median over the rounds of `measured / measured with nothing`. `got`: {tool: [number]}."""
    goals = targets or {DEFAULT: target}
    for name, rows in got.items():
        if name == NOTHING:
            continue
        two = pairs(rows, got[NOTHING])
        ratios = [x / y for x, y in two]
        b.say(f"{measure}, {name}", statistics.median(ratios), "of that with nothing attached", goals.get(name),
              method if name == DEFAULT else "", measure=measure, tool=name,
              worst=f"{min(ratios):.3f}", best=f"{max(ratios):.3f}", n=len(ratios), load=load(),
              **(more(name, two) if more else {}))


@bench
def compare_strangers(b):
    """What processes that nobody watches pay while two nodes of an idle flow are watched."""
    flow = b.flow(sender(period_ms=50), receiver(), limit=3600)
    flow.go()
    ms = "1000" if b.full else "300"

    def measure(_):
        out = subprocess.run([STRANGERS, ms], capture_output=True, text=True, check=True)
        return [float(x) for x in out.stdout.split()]

    got = rounds_of(b, list(flow.pids().values()), b.rounds(20, 5), measure)
    b.end(flow)
    for i, what in enumerate(("getpid", "futex there and back", "a byte there and back over loopback")):
        # A rate: how many rounds with it for each round without.
        rates = {name: [r and 1 / r[i] for r in rows] for name, rows in got.items()}
        say_ratios(b, f"stranger's {what}", rates,
                   targets={"tracepoints": (">=", 0.99), "nothing watched": (">=", 0.99)},
                   more=lambda _, two: {"ns": f"{statistics.median(1 / x for x, _ in two):.0f}",
                                        "nothing": f"{statistics.median(1 / y for _, y in two):.0f}"},
                   method=f"loops of {ms} ms, pinned to one CPU, two nodes of an idle 20 Hz flow watched")


def flat_rounds(b, what, size, queue):
    """{tool: [(messages, seconds, CPU ns of the tool)]} of a flow flat out."""
    window, count = b.window(10.0, 2.0), b.rounds(10, 5)
    seconds = count * len(tools()) * (window + 4.5) + 10
    flow = b.flow(sender(log="count", wait_go=True, size=size, flat=seconds, pace=0.05, period_ms=20),
                  receiver(queue_size=queue, pace=0.05), limit=int(seconds) + 120)
    flow.go()
    wait_until(lambda: flow.said("recv", "pace"), 20, "messages")
    time.sleep(1.5)

    def measure(tool):
        t0, c0 = now(), tool.cpu()
        time.sleep(window)
        return t0, now(), tool.cpu() - c0

    got = rounds_of(b, list(flow.pids().values()), count, measure, leave_out=("nothing watched",))
    paces = [(p["t"], p["received"]) for p in flow.said("recv", "pace")]
    b.end(flow, None, 90)

    def counted(span):
        inside = [(t, n) for t, n in paces if span and span[0] <= t <= span[1]]
        return (inside[-1][1] - inside[0][1], (inside[-1][0] - inside[0][0]) / S,
                span[2]) if len(inside) > 2 else None

    return window, count, {name: [counted(s) for s in spans] for name, spans in got.items()}


@bench
def compare_throughput(b):
    """A dataflow flat out with each of them, by messages received; what each of them needs for a message."""
    for what, size, queue, target in (("64 KiB", 65536, 1000, 0.97), ("1 MB", 1000000, 10, 0.98)):
        if b.sizes and what not in b.sizes:
            continue
        window, count, got = flat_rounds(b, what, size, queue)
        rates = {name: [r and r[0] / r[1] for r in rows] for name, rows in got.items()}
        say_ratios(b, f"throughput flat out, {what}", rates,
                   targets={DEFAULT: (">=", target), "--exact": (">=", 0.9)},
                   more=lambda _, two: {"rate": f"{statistics.median(x for x, _ in two):.0f}/s",
                                        "nothing": f"{statistics.median(y for _, y in two):.0f}/s"},
                   method=f"{count} interleaved rounds of {window:g} s, {size} bytes a message")
        for name, rows in got.items():
            rows = [r for r in rows if r]
            if name == NOTHING:
                continue
            b.say(f"CPU of the tool for a message flat out, {what}, {name}",
                  statistics.median(r[2] / 1000 / r[0] for r in rows), "us",
                  ("<=", 6) if name == DEFAULT and size == 65536 else None,
                  "schedstat of its threads and of its own processes over the window" if name == DEFAULT else "",
                  measure=f"CPU of the tool for a message flat out, {what}", tool=name, n=len(rows), load=load())


@bench
def compare_latency(b):
    """From the call that sends to the receiver's next() having it, at a pace of its own."""
    window, count = b.window(10.0, 3.0), b.rounds(10, 5)
    for what, size, pace in (("1 MB at 20 Hz", 1000000, {"period_ms": 50}), ("64 KiB at 200 Hz", 65536, {"period_ms": 5})):
        flow = b.flow(sender(wait_go=True, size=size, **pace), receiver(queue_size=1000, log="each"), limit=3600)
        flow.go()
        wait_until(lambda f=flow: f.said("recv", "received"), 20, "messages")

        def measure(_):
            t0 = now()
            time.sleep(window)
            return t0, now()

        got = rounds_of(b, list(flow.pids().values()), count, measure, leave_out=("nothing watched",))
        sent = {s["n"]: s["t0"] for s in flow.said("send", "sent")}
        took = [(sent[r["n"]], r["t"] - sent[r["n"]]) for r in flow.said("recv", "received") if r["n"] in sent]
        b.end(flow)
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            rows = {tool: [s and quantile([d for t, d in took if s[0] <= t <= s[1]] or [0], share) for s in spans]
                    for tool, spans in got.items()}
            say_ratios(b, f"latency {name}, {what}", rows, targets={DEFAULT: ("<=", 1.03)} if name == "p99" else None,
                       more=lambda _, two: {"ms": f"{statistics.median(x for x, _ in two) / MS:.3g}",
                                            "nothing": f"{statistics.median(y for _, y in two) / MS:.3g}"},
                       method=f"{count} interleaved rounds of {window:g} s")


LOOPS = r"""
import os, sys, threading, time
ms = float(sys.argv[1]) / 1000
def rate(f):
    n, end = 0, time.monotonic() + ms
    while time.monotonic() < end:
        for _ in range(50):
            f()
        n += 50
    return n / ms
zero = os.open("/dev/zero", os.O_RDONLY)
lock = threading.Lock()
def locked():
    with lock:
        pass
def two():
    n = [0, 0]
    end = time.monotonic() + ms
    def run(i):
        while time.monotonic() < end:
            n[i] += 1
    ts = [threading.Thread(target=run, args=(i,)) for i in (0, 1)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    return sum(n) / ms
sys.stdin.readline()
while True:
    print(rate(lambda: os.read(zero, 1)), rate(locked), two(), flush=True)
    if not sys.stdin.readline():
        break
"""


@bench
def compare_loops(b):
    """Loops of a watched Python that do nothing but one thing."""
    ms = "1000" if b.full else "300"
    p = subprocess.Popen(["/usr/bin/python3", "-c", LOOPS, ms], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True)

    def measure(_):
        p.stdin.write("\n")
        p.stdin.flush()
        return [float(x) for x in p.stdout.readline().split()]

    try:
        got = rounds_of(b, [p.pid], b.rounds(10, 5), measure, leave_out=("nothing watched",))
    finally:
        p.kill()
        p.wait()
    for i, what in enumerate(("os.read of one byte", "a lock that nobody wants", "two threads of bytecode")):
        say_ratios(b, f"Python loop: {what}", {name: [r and r[i] for r in rows] for name, rows in got.items()},
                   method=f"loops of {ms} ms in one process, which is watched")
