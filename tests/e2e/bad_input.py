#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Wrong options, wrong targets, missing rights and features: each has its exit code of the README,
its own clear sentence on standard error, and never a crash or a silent wrong answer.

The tests stand in bad_*.py; this runs them all by pytest, whose options it takes.
"""

import glob
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

if __name__ == "__main__":
    PYTEST = os.path.join(HERE, "..", "pytest.sh")
    FILES = sorted(f for f in glob.glob(os.path.join(HERE, "bad_*.py")) if f != os.path.abspath(__file__))
    os.execv(PYTEST, [PYTEST, *sys.argv[1:], *FILES])
