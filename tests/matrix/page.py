#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`make matrix-page`: docs/compatibility.md and its head in the README, of the newest result of each cell."""

import json
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(TOP, "build", "matrix", "results.json")

BEGIN, END = "<!-- made by make test-matrix -->", "<!-- end of what make test-matrix made -->"
MARKS = {"working": "seen working", "refused": "refused", "not tried": "not tried", "FAIL": "**fails**"}


def table(results):
    yield "| Python | way | level | result | |"
    yield "|---|---|---|---|---|"
    for r in results:
        why = re.sub(r"\s+", " ", r["why"]).replace("|", "\\|")[:240]
        yield f"| {r['python']} | {r['way']} | {r['level']} | {MARKS[r['state']]} | {why} |"


def between(path, text):
    with open(path) as f:
        whole = f.read()
    head, rest = whole.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    with open(path, "w") as f:
        f.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")


def write(results):
    states = [r["state"] for r in results]
    between(os.path.join(TOP, "docs", "compatibility.md"), "\n".join(table(results)))
    count = {s: states.count(s) for s in MARKS}
    between(os.path.join(TOP, "README.md"),
            f"Of {len(results)} ways to run a Python or a dora node that `make test-matrix` has tried, {count['working']} were seen working, "
            f"{count['refused']} are refused with a reason, {count['not tried']} could not be had"
            + (f", {count['FAIL']} fail" if count["FAIL"] else "") + ": [docs/compatibility.md](docs/compatibility.md).")


if __name__ == "__main__":
    with open(RESULTS) as kept:
        write(json.load(kept))
