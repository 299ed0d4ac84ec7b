# SPDX-License-Identifier: MIT
"""A test in C that is skipped says why, by the one function that does (tests/unit/skipping.h)."""

import glob
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SAYS_WHY = "tests/unit/skipping.h"


def test_no_skip_without_a_reason():
    sources = [os.path.relpath(p, TOP) for p in glob.glob(os.path.join(TOP, "tests", "**", "*.[ch]"), recursive=True)]
    assert SAYS_WHY in sources
    bare = [f"{path}:{n}" for path in sorted(sources) if path != SAYS_WHY
            for n, line in enumerate(open(os.path.join(TOP, path)), 1) if re.search(r"\bskip\(\)", line)]
    assert not bare, f"skip_because() of {SAYS_WHY} says why: {bare}"
