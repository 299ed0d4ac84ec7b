#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the floors of agent/model/ as its objects have them: each part with the parts that it uses.

Run after `make`; docs/model.md shows the floors, which test_rooms.py compares.
"""

import glob
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def symbols(path):
    """(defined, used) global names of an object."""
    out = subprocess.run(["nm", "-g", path], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return [r[2] for r in rows if len(r) == 3], [r[1] for r in rows if len(r) == 2]


def arrows():
    """name: the parts that it uses."""
    definer, used = {}, {}
    for source in glob.glob(os.path.join(TOP, "agent/model/*.c")):
        name = os.path.basename(source)[:-2]
        defined, used[name] = symbols(os.path.join(TOP, f"build/obj/agent/model/{name}.o"))
        definer.update((symbol, name) for symbol in defined)
    return {name: {definer[s] for s in used[name] if s in definer} - {name} for name in used}


def floors(uses):
    """name: the number of its floor, 1 for a part that uses no other."""
    floor = {}

    def floor_of(name):
        if name not in floor:
            floor[name] = 1 + max((floor_of(x) for x in uses[name]), default=0)
        return floor[name]

    for name in uses:
        floor_of(name)
    return floor


def main():
    uses = arrows()
    floor = floors(uses)
    for level in range(max(floor.values()), 0, -1):
        for name in sorted(n for n in floor if floor[n] == level):
            print(f"{level:2} {name:10} {' '.join(sorted(uses[name]))}")


if __name__ == "__main__":
    main()
