#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No file over 500 lines without a reason in its head; no function of agent/, bpf/, include/ over 60.

A function of tests/ has up to 120: a test may have its table of rows in it. A reason stands in the first
20 lines, in a comment: `Over 500 lines: because`. What was longer when this check came stands in
shape_known.txt; what no longer needs to be there fails the check until its line goes.

  shape.py            a line per fault, exit code 1 if there is one
"""

import ast
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
KNOWN = os.path.join(TOP, "tests/tools/shape_known.txt")
FILE_LINES, HEAD_LINES = 500, 20
FUNCTION_LINES, TEST_FUNCTION_LINES = 60, 120
OF_AGENT, OF_TESTS = (".c", ".h"), (".c", ".h", ".py", ".sh", ".rs", ".mjs")
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


def python_functions(text):
    """The same of Python, methods and functions within functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def long_things(path, text):
    """What is too long in a file: (what shape_known.txt calls it, the sentence)."""
    lines = text.splitlines()
    most = TEST_FUNCTION_LINES if path.startswith("tests/") else FUNCTION_LINES
    if len(lines) > FILE_LINES and not REASON.search("\n".join(lines[:HEAD_LINES])):
        yield path, f"{path}: {len(lines)} lines, over {FILE_LINES} without a reason in its head"
    for name, at, length in python_functions(text) if path.endswith(".py") else functions(lines):
        if length > most:
            yield f"{path} {name}", f"{path}:{at}: {name}: {length} lines, over {most}"


def faults(sources, known):
    """Sentences about what is too long and not known, and what is known and not too long."""
    seen = {}
    for path, text in sources:
        seen.update(long_things(path, text))
    return ([sentence for what, sentence in sorted(seen.items()) if what not in known] +
            [f"{os.path.relpath(KNOWN, TOP)}: '{what}' is not too long any more: take the line out"
             for what in sorted(known - seen.keys())])


def sources():
    for folder, kinds in (("agent", OF_AGENT), ("bpf", OF_AGENT), ("include", OF_AGENT), ("tests", OF_TESTS)):
        for at, _, names in os.walk(os.path.join(TOP, folder)):
            for name in names:
                if name.endswith(kinds):
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
