# SPDX-License-Identifier: MIT
"""Every Python that can be had, in every way that a process comes to run one: is it seen?

In each cell a target (target.py) holds the GIL for some 1.5 s in a C call that sleeps, in a C call that computes, and in
bytecode. The built probe, as a user runs it, must find each, tell them apart and name their lines; the truth is the target's
own. A Python that cannot be watched is refused with the right sentence, which is a pass; what cannot be had is a skip. The
newest result of each cell is kept in build/matrix, for docs/compatibility.md (page.py). Root.
"""

import fcntl
import json
import os
import time

import pytest

import cells
import node_cells
from flow import FlowError
from run import BUILD, RESULTS, NotTried, Refused

CELLS = [*cells.debian_cells(), *cells.built_cells(), *cells.way_cells(), *node_cells.node_cells()]


def keep(result):
    os.makedirs(BUILD, exist_ok=True)
    with open(RESULTS + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = {}
        if os.path.exists(RESULTS):
            with open(RESULTS) as f:
                known = {r["cell"]: r for r in json.load(f)}
        known[result["cell"]] = result
        with open(RESULTS + ".new", "w") as f:
            json.dump([known[c.name] for c in CELLS if c.name in known], f, indent=1)
        os.replace(RESULTS + ".new", RESULTS)


@pytest.mark.parametrize("cell", CELLS, ids=[c.name for c in CELLS])
def test_seen(cell, record_property):
    began, fault = time.monotonic(), None
    try:
        state, why = "working", cell.run() or ""
    except Refused as e:
        state, why = "refused", str(e)
    except NotTried as e:
        state, why = "not tried", str(e)
    except Exception as e:
        state, why, fault = "FAIL", str(e), e
    keep({"cell": cell.name, "python": cell.python, "way": cell.way, "level": cell.level, "state": state, "why": why,
          "seconds": round(time.monotonic() - began, 1)})
    record_property("name", cell.name)
    if state == "not tried":
        pytest.skip(why)
    if isinstance(fault, (AssertionError, FlowError)):
        pytest.fail(why, pytrace=False)
    if fault:
        raise fault
    record_property(state, why)
