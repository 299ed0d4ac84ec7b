# SPDX-License-Identifier: MIT
"""The kernel that `make test` boots, unless more was asked for; and each kernel is one worker's."""

import pytest


def pytest_collection_modifyitems(config, items):
    mine = [item for item in items if item.path.parent.name == "kernels"]
    for item in mine:
        item.add_marker(pytest.mark.xdist_group(item.callspec.params["guest"]))
    if config.getoption("--only") or config.getoption("all_scenarios"):
        return
    late = [item for item in mine if item.callspec.params["guest"] != item.module.SLICE]
    config.hook.pytest_deselected(items=late)
    items[:] = [item for item in items if item not in late]
