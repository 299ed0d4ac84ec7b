#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""End-to-end tests of the built dora-probe on real dora dataflows: the scenarios of test_*.py, by pytest.

A line per scenario, and at the end `N passed, N failed[, N skipped]`. Random lengths, periods and
threads come from the printed seed.
"""

import argparse
import glob
import importlib
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))

import probe  # noqa: E402
import scenario  # noqa: E402

FILES = sorted(glob.glob(os.path.join(HERE, "test_*.py")))


def show_list():
    for path in FILES:
        importlib.import_module(os.path.basename(path)[:-3])
    for name, f in scenario.REGISTRY.items():
        print(f"{name:28} {(f.__doc__ or '').partition(chr(10))[0]}".rstrip())


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", action="append", default=[], metavar="NAME", help="this scenario, or a part of names")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--dora", action="append", default=[], metavar="VERSION",
                   help="default 0.5.0, or what the scenario is about")
    p.add_argument("--repeat", type=int, default=1)
    p.add_argument("--jobs", "-j", type=int, default=1, help="scenarios at once")
    p.add_argument("--all", action="store_true", help="also those that take long")
    p.add_argument("--list", action="store_true")
    p.add_argument("--keep", action="store_true", help="keep the files of passed runs too")
    a = p.parse_args()
    if a.list:
        show_list()
        return 0
    if not os.access(probe.BINARY, os.X_OK):
        print(f"no {probe.BINARY}: run make first", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else int(time.time()) % 1_000_000
    print(f"seed {seed}", flush=True)
    args = ["--seed", str(seed), "--repeat", str(a.repeat)]
    for option, values in (("--only", a.only), ("--dora", a.dora)):
        args += [x for v in values for x in (option, v)]
    args += ["-n", str(a.jobs)] if a.jobs > 1 else []
    args += ["--all"] if a.all else []
    args += ["--keep"] if a.keep else []
    script = os.path.join(os.path.dirname(HERE), "pytest.sh")
    os.execv(script, [script, *args, *FILES])


if __name__ == "__main__":
    sys.exit(main())
