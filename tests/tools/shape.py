#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No file of agent/, bpf/, include/ over 500 lines without a reason in its head, no function over 60.

A reason stands in the first 20 lines, in a comment: `Over 500 lines: because`. What was longer when this
check came stands in shape_known.txt; what no longer needs to be there fails the check until its line goes.

  shape.py            a line per fault, exit code 1 if there is one
"""

import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KNOWN = os.path.join(TOP, "tests/tools/shape_known.txt")
FILE_LINES, FUNCTION_LINES, HEAD_LINES = 500, 60, 20
REASON = re.compile(r"\bOver 500 lines: \w+")


def name_of(signature):
    """The name of the function that these lines declare: SEC("x") int BPF_PROG(name, …) too."""
    text = re.sub(r'SEC\("[^"]*"\)', "", " ".join(signature))
    m = re.search(r"\bBPF_\w+\((\w+)", text) or re.search(r"(\w+)\s*\(", text)
    return m.group(1) if m else "?"


def functions(lines):
    """(name, line number, length) of each function, from the first line of its signature on."""
    opened = None
    for i, line in enumerate(lines):
        if line == "{":
            opened = i
        elif line == "}" and opened is not None:
            first = opened
            while first and lines[first - 1].strip() and not re.match(r"[}#/]| \*", lines[first - 1]):
                first -= 1
            yield name_of(lines[first:opened]), first + 1, i - first + 1
            opened = None


def long_things(path, text):
    """What is too long in a file: (what shape_known.txt calls it, the sentence)."""
    lines = text.splitlines()
    if len(lines) > FILE_LINES and not REASON.search("\n".join(lines[:HEAD_LINES])):
        yield path, f"{path}: {len(lines)} lines, over {FILE_LINES} without a reason in its head"
    for name, at, length in functions(lines):
        if length > FUNCTION_LINES:
            yield f"{path} {name}", f"{path}:{at}: {name}: {length} lines, over {FUNCTION_LINES}"


def faults(sources, known):
    """Sentences about what is too long and not known, and what is known and not too long."""
    seen = {}
    for path, text in sources:
        seen.update(long_things(path, text))
    return ([sentence for what, sentence in sorted(seen.items()) if what not in known] +
            [f"{os.path.relpath(KNOWN, TOP)}: '{what}' is not too long any more: take the line out"
             for what in sorted(known - seen.keys())])


def sources():
    for folder in ("agent", "bpf", "include"):
        for at, _, names in os.walk(os.path.join(TOP, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.join(at, name)
                    with open(path) as f:
                        yield os.path.relpath(path, TOP), f.read()


def main():
    with open(KNOWN) as f:
        known = {line.strip() for line in f if line.strip() and not line.startswith("#")}
    found = faults(sources(), known)
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
