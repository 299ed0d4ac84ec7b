#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures every number that dora-probe promises, on real dora dataflows, and prints each with its
method. Results also go to build/bench.json. No timed tests: a missed target is said, and the exit
code is 0 unless a measurement itself broke. The measurements stand in bench_*.py.

    bench.py [--only NAME] [--full] [--seed N] [--dora VERSION]
"""

import argparse
import json
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import bench_latency  # noqa: E402, F401  (they register what they measure)
import bench_cost  # noqa: E402, F401
import bench_guard  # noqa: E402, F401
import bench_compare  # noqa: E402, F401
from figures import BENCHES, TOP, Bench  # noqa: E402
from probe import BINARY  # noqa: E402


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
