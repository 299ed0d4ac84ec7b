#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the parts of the documentation that come from the code's own tables.

Run after a change of a table (`make docs`):
  docs.py            writes what is not current
  docs.py --check    names it and exits with 1: part of `make lint`
"""

import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.join(TOP, "build", "dora-probe")

METRICS = os.path.join(TOP, "build", "dashboards", "list_metrics")

# (file, what stands before the part and behind it, page of `dora-probe --print`); None: all of it
PARTS = [
    ("agent/dist/dora-probe.8", ".SH OPTIONS\n", ".SH OUTPUT\n", "options"),
    ("docs/json.md", None, None, "json"),
    ("tests/e2e/fields.json", None, None, "schema"),
    ("agent/dist/dora-probe.bash", None, None, "bash"),
    ("agent/dist/_dora-probe", None, None, "zsh"),
    ("agent/dist/dora-probe.fish", None, None, "fish"),
    ("dashboards/metrics.md", None, None, "metrics"),
]


# Tables that are written by hand and have a row for every word of a field: (file, field of the JSON).
ROWS = [("README.md", "cause")]


def words(schema, field):
    """The words that a field has in any of its events."""
    for event in schema.values():
        if isinstance(event, dict) and "values" in event.get(field, {}):
            return event[field]["values"]
    raise KeyError(field)


def lacking():
    """The rows that are not there, as (file, word)."""
    made = subprocess.run([BINARY, "--print", "schema"], check=True, capture_output=True, encoding="utf-8").stdout
    for name, field in ROWS:
        with open(os.path.join(TOP, name), encoding="utf-8") as f:
            text = f.read()
        yield from ((name, word) for word in words(json.loads(made), field) if f"\n| `{word}` |" not in text)


def main():
    check, stale = sys.argv[1:] == ["--check"], 0
    for name, begin, end, page in PARTS:
        path = os.path.join(TOP, name)
        command = [METRICS] if page == "metrics" else [BINARY, "--print", page]
        made = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
        text = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                text = f.read()
        new = made
        if begin:
            head, rest = text.split(begin, 1)
            new = head + begin + made + end + rest.split(end, 1)[1]
        if new != text and check:
            print(f"{name} is not what the code's {page} make of it: run `make docs`")
            stale = 1
        elif new != text:
            with open(path, "w", encoding="utf-8") as f:
                f.write(new)
            print(f"{name}: {page} written")
    for name, word in lacking():
        print(f"{name} lacks a row | `{word}` | in its table: write it by hand")
        stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
