# SPDX-License-Identifier: MIT
"""What the benchmarks share: runs of real dataflows under the probe, and a number with its method and target."""

import math
import os
import random
import shutil
import statistics
import tempfile
import time

import checks
from flow import Flow
from probe import Probe

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))

MS, S = checks.MS, checks.S
BENCHES = {}


def bench(f):
    BENCHES[f.__name__] = f
    return f


class Bench:
    def __init__(self, version, seed, full, name, given=None):
        self.version, self.full = version, full
        self.given = given or {}  # of the command line: rounds, window, tools, sizes
        self.tools, self.sizes = self.given.get("tools"), self.given.get("sizes")
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
                                 target=target, met=met, method=method,
                                 when=time.strftime("%Y-%m-%d"), **more))

    def rounds(self, full, short):
        return self.given.get("rounds") or (full if self.full else short)

    def window(self, full, short):
        return self.given.get("window") or (full if self.full else short)

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
