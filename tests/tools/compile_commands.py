#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a compile_commands.json: what `make` runs for each C source, for clang-tidy and editors.

  compile_commands.py COMPILER FLAG... -- SOURCE...
"""

import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(args):
    at = args.index("--")
    command, sources = args[:at], args[at + 1:]
    json.dump([{"directory": TOP, "file": s, "arguments": [*command, "-c", s]} for s in sources],
              sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
