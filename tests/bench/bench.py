#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures every number that dora-probe promises, on real dora dataflows, and prints each with its
method. Results also go to build/bench.json, beside those of earlier runs that were not taken again, and
with --write as a table into the README. No timed tests: a missed target is said, and the exit
code is 0 unless a measurement itself broke. The measurements stand in bench_*.py.

    bench.py [--only NAME] [--full] [--rounds N] [--window S] [--tool NAME] [--size "64 KiB"] [--seed N]
             [--dora VERSION] [--write]

A part takes two or three minutes: --only compare_throughput --size "64 KiB" --rounds 5 --window 2
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
import bench_scale  # noqa: E402, F401
import bench_compare  # noqa: E402, F401
import table  # noqa: E402
from figures import BENCHES, TOP, Bench  # noqa: E402
from probe import BINARY  # noqa: E402

RESULTS = os.path.join(TOP, "build", "bench.json")


def options():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", action="append")
    p.add_argument("--full", action="store_true", help="the promised number of runs; takes long")
    p.add_argument("--rounds", type=int, help="of what is compared")
    p.add_argument("--window", type=float, help="seconds of each")
    p.add_argument("--tool", action="append", help="compare with nothing but these")
    p.add_argument("--size", action="append", help='"64 KiB" or "1 MB" alone')
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--dora", default="0.5.0")
    p.add_argument("--write", action="store_true", help="the README's table from all results there are")
    p.add_argument("--list", action="store_true")
    return p.parse_args()


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), "?")
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def earlier():
    try:
        with open(RESULTS) as f:
            return json.load(f)["results"]
    except (OSError, ValueError, KeyError):
        return []


def keep(a, seed, results):
    """All results that there are, the newest of each."""
    new = {(r["bench"], r["what"]) for r in results}
    kept = [r for r in earlier() if (r["bench"], r["what"]) not in new]
    os.makedirs(os.path.dirname(RESULTS), exist_ok=True)
    with open(RESULTS, "w") as f:
        json.dump({"machine": machine(), "dora": a.dora, "seed": seed, "full": a.full,
                   "results": kept + results}, f, indent=1)
    return kept + results


def main():
    a = options()
    if a.list:
        for name, f in BENCHES.items():
            print(f"{name:22} {f.__doc__}")
        return 0
    if not os.access(BINARY, os.X_OK):
        print(f"no {BINARY}: run make first", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else int(time.time()) % 1_000_000
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.2f} at the start\ndora {a.dora}, seed {seed}")
    results, failed = [], 0
    for name, f in BENCHES.items():
        if (a.only and not any(o in name for o in a.only)) or (a.write and not a.only):
            continue
        print(f"{name}: {f.__doc__}", flush=True)
        b = Bench(a.dora, seed, a.full, name,
                  {"rounds": a.rounds, "window": a.window, "tools": a.tool, "sizes": a.size})
        try:
            f(b)
        except Exception:
            failed += 1
            print("  BROKE  " + traceback.format_exc().strip().replace("\n", "\n         "))
        finally:
            b.cleanup()
        results += b.results
        everything = keep(a, seed, b.results)
    if a.write:
        table.write(os.path.join(TOP, "README.md"), machine(), everything if results else earlier())
    met = sum(1 for r in results if r["met"])
    missed = [r["what"] for r in results if r["met"] is False]
    print(f"{met} targets met, {len(missed)} missed" + (f": {'; '.join(missed)}" if missed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
