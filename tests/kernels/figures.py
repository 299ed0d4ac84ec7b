#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The verifier's figures of each kernel that was booted, as one table: instructions walked / states.

    figures.py [--write FILE] LOG...      FILE: the part between its two markers is written anew
"""

import os
import re
import sys

BEGIN, END = "<!-- figures: made by make test-kernels -->", "<!-- end of figures -->"


def read(path):
    got = {}
    with open(path) as f:
        for line in f:
            m = re.match(r"figures (\w+) instructions=(\d+) states=(\d+)", line)
            if m:
                got[m[1]] = (int(m[2]), int(m[3]))
    return got


def release(path):
    folder = os.path.join(os.path.dirname(os.path.dirname(path)), os.path.basename(path))
    try:
        with open(os.path.join(folder, "release")) as f:
            return f.read().strip()
    except OSError:
        return os.path.basename(path)


def main():
    args = sys.argv[1:]
    target = args[1] if args[:1] == ["--write"] else None
    logs = {release(p): read(p) for p in (args[2:] if target else args)}
    logs = {k: v for k, v in sorted(logs.items(), key=lambda kv: [int(x) for x in re.findall(r"\d+", kv[0])[:2]]) if v}
    programs = sorted({p for v in logs.values() for p in v})
    rows = ["| program | " + " | ".join(logs) + " |", "|---|" + "---|" * len(logs)]
    for p in programs:
        rows.append(f"| `{p}` | " + " | ".join(
            "{:,} / {:,}".format(*v[p]) if p in v else "–" for v in logs.values()) + " |")
    text = "\n".join(rows)
    print("\nverifier: instructions / states of each program\n" + text)
    if target:
        with open(target) as f:
            whole = f.read()
        head, rest = whole.split(BEGIN, 1)
        tail = rest.split(END, 1)[1]
        with open(target, "w") as f:
            f.write(f"{head}{BEGIN}\n{text}\n{END}{tail}")


if __name__ == "__main__":
    main()
