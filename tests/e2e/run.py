#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""End-to-end tests of the built dora-probe on real dora dataflows.

A line per scenario, and at the end `N passed, N failed[, N skipped]`. Random lengths, periods and
threads come from the printed seed.
"""

import argparse
import concurrent.futures
import glob
import importlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import probe  # noqa: E402
import scenario  # noqa: E402


def load():
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        importlib.import_module(os.path.basename(path)[:-3])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", action="append", metavar="NAME", help="this scenario, or a part of names")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--dora", action="append", metavar="VERSION", help="default 0.5.0, or what the scenario is about")
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("--jobs", "-j", type=int, default=1, help="scenarios at once")
    p.add_argument("--all", action="store_true", help="also those that take long")
    p.add_argument("--list", action="store_true")
    p.add_argument("--keep", action="store_true", help="keep the files of passed runs too")
    a = p.parse_args()
    load()
    if a.list:
        for name, f in scenario.REGISTRY.items():
            print(f"{name:28} {f.__doc__.splitlines()[0]}")
        return 0
    if not os.access(probe.BINARY, os.X_OK):
        print(f"no {probe.BINARY}: run make first", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else int(time.time()) % 1_000_000
    names = [n for n, f in scenario.REGISTRY.items()
             if (f.default or a.all or a.only) and
             (not a.only or n in a.only or any(o in n for o in a.only if o not in scenario.REGISTRY))]
    print(f"seed {seed}", flush=True)
    count = {"pass": 0, "fail": 0, "skip": 0}

    def tell(name, version, got):
        verdict, seconds, sentences, facts = got
        count[verdict] += 1
        extra = "".join(f", {k} {v}" for k, v in facts.items())
        print(f"{verdict:4} {name} (dora {version}, {seconds:.1f} s{extra})"
              + (f": {sentences[0]}" if verdict == "skip" else ""), flush=True)
        if verdict == "fail":
            for s in sentences:
                print("     " + s, flush=True)


    def versions(name):
        # Unless told otherwise a scenario runs on 0.5.0, or on the newest release that it is about.
        about = scenario.REGISTRY[name].dora
        return a.dora or (["0.5.0"] if not about or "0.5.0" in about else [about[-1]])

    jobs = [(n, v, seed + r) for r in range(a.repeat) for n in names for v in versions(n)]
    shared = [j for j in jobs if not scenario.REGISTRY[j[0]].alone]
    alone = [j for j in jobs if scenario.REGISTRY[j[0]].alone]
    with concurrent.futures.ThreadPoolExecutor(max(1, a.jobs)) as pool:
        running = {pool.submit(scenario.execute, *j, keep=a.keep): j for j in shared}
        for done in concurrent.futures.as_completed(running):
            tell(*running[done][:2], done.result())
    for j in alone:
        tell(*j[:2], scenario.execute(*j, keep=a.keep))
    print(f"{count['pass']} passed, {count['fail']} failed"
          + (f", {count['skip']} skipped" if count["skip"] else ""), flush=True)
    return 1 if count["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
