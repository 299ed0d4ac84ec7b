# SPDX-License-Identifier: MIT
"""The slice that `make test` runs of the cells, unless more was asked for."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# Behind this folder, whose `run` is another.
sys.path += [os.path.join(os.path.dirname(HERE), "e2e")]


def pytest_collection_modifyitems(config, items):
    if config.getoption("--only") or config.getoption("all_scenarios"):
        return
    late = [item for item in items if item.path.parent.name == "matrix" and not item.callspec.params["cell"].quick]
    config.hook.pytest_deselected(items=late)
    items[:] = [item for item in items if item not in late]
