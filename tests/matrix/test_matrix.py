#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every Python that can be had, in every way that a process comes to run one: is it seen?

    matrix.py [--quick] [--only PART-OF-A-NAME] [--list] [-j N] [--write]

In each cell a target (target.py) holds the GIL for some 1.5 s in a C call that sleeps, in a C call that computes, and in
bytecode. The built probe, as a user runs it, must find each, tell them apart and name their lines; the truth is the target's
own. Prints `ok CELL`, `refused CELL: the probe's sentence`, `skip CELL: why` or `FAIL CELL: why`, and counts.
`--write` makes the table of docs/compatibility.md of the newest result of each cell. Root. Parts lie in build/matrix.
Not by pytest: a cell's answer is kept from run to run for that table, and `refused` is one of them, neither passed nor skipped.
"""

import argparse
import concurrent.futures
import json
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import cells  # noqa: E402
import node_cells  # noqa: E402
import page  # noqa: E402
from run import BUILD, NotTried, Refused  # noqa: E402


def all_cells():
    return [*cells.debian_cells(), *cells.built_cells(), *cells.way_cells(), *node_cells.node_cells()]


RESULTS = os.path.join(BUILD, "results.json")


def run_one(cell):
    began = time.monotonic()
    try:
        said = cell.run()
        state, why = "working", said or ""
    except Refused as e:
        state, why = "refused", str(e)
    except NotTried as e:
        state, why = "not tried", str(e)
    except Exception as e:
        state, why = "FAIL", str(e) if isinstance(e, AssertionError) else traceback.format_exc()[-800:]
    return {"cell": cell.name, "python": cell.python, "way": cell.way, "level": cell.level, "state": state, "why": why,
            "seconds": round(time.monotonic() - began, 1)}


def show(r):
    word = {"working": "ok", "refused": "refused", "not tried": "skip"}.get(r["state"], "FAIL")
    print(f"{word} {r['cell']}" + (f": {r['why']}" if r["why"] else "") + f" ({r['seconds']} s)", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true", help="the slice that `make test` runs")
    p.add_argument("--only", action="append", default=[], help="cells with this in their name")
    p.add_argument("--list", action="store_true")
    p.add_argument("--write", action="store_true", help="docs/compatibility.md")
    p.add_argument("-j", type=int, default=2)
    args = p.parse_args()
    wanted = [c for c in all_cells() if (c.quick or not args.quick) and
              (not args.only or any(o in c.name for o in args.only))]
    if args.list:
        print("\n".join(c.name for c in wanted))
        return 0
    os.makedirs(BUILD, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        results = []
        for r in pool.map(run_one, wanted):
            show(r)
            results.append(r)
    try:
        with open(RESULTS) as f:
            known = {r["cell"]: r for r in json.load(f)}
    except FileNotFoundError:
        known = {}
    known.update({r["cell"]: r for r in results})
    order = [c.name for c in all_cells()]
    with open(RESULTS, "w") as f:
        json.dump([known[n] for n in order if n in known], f, indent=1)
    if args.write:
        page.write([known.get(n) for n in order if n in known])
    states = [r["state"] for r in results]
    failed, skipped = states.count("FAIL"), states.count("not tried")
    print(f"{len(states) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return failed != 0 or len(states) == skipped


sys.exit(main())
