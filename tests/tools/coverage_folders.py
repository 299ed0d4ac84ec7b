#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A line per folder of agent/ from `llvm-cov export -summary-only`: lines that ran, of how many."""

import collections
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(path):
    with open(path) as f:
        files = json.load(f)["data"][0]["files"]
    ran, lines = collections.Counter(), collections.Counter()
    for file in files:
        name = os.path.relpath(file["filename"], TOP)
        if not name.startswith("agent/"):
            continue
        for folder in (os.path.dirname(name), "total"):
            ran[folder] += file["summary"]["lines"]["covered"]
            lines[folder] += file["summary"]["lines"]["count"]
    for folder in [*sorted(set(lines) - {"total"}), "total"]:
        print(f"{folder:14} {ran[folder]:6} of {lines[folder]:6} lines  {100 * ran[folder] / lines[folder]:5.1f} %")


if __name__ == "__main__":
    main(sys.argv[1])
