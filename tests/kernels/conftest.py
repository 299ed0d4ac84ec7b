# SPDX-License-Identifier: MIT
"""The kernel that `make test` boots, unless more was asked for; and, of several, one table at the end."""

import re


def pytest_collection_modifyitems(config, items):
    mine = [item for item in items if item.path.parent.name == "kernels"]
    if config.getoption("--only") or config.getoption("all_scenarios"):
        return
    late = [item for item in mine if item.callspec.params["guest"] != item.module.SLICE]
    config.hook.pytest_deselected(items=late)
    items[:] = [item for item in items if item not in late]


class Table:
    """Kernel x architecture x result. One that cannot be had was not tried, and never passed."""

    def __init__(self):
        self.rows = {}  # guest: [release, checks, time, failed steps, why it was not tried]

    def pytest_runtest_logreport(self, report):
        guest = re.search(r"\[.*?([\w-]+/(?:amd64|arm64))", report.nodeid)
        if not guest or (report.when != "call" and report.passed):
            return
        row = self.rows.setdefault(guest[1], [None, 0, "", 0, None])
        facts = dict(report.user_properties)
        row[0] = facts["name"].split(",")[0] if "name" in facts else row[0]
        row[1] += facts.get("checks", 0)
        row[2] = facts.get("kernel's time", row[2])
        row[3] += report.failed
        if report.skipped and "name" not in facts:
            row[4] = report.longrepr[2]

    def pytest_unconfigure(self):
        print(f"\n{'kernel':34} {'arch':6} result")
        for guest, (release, checks, took, failed, why) in self.rows.items():
            name, arch = guest.split("/")
            result = f"FAILED         {failed} steps" if failed else f"passed         {checks} checks, {took}"
            print(f"{release or name:34} {arch:6} {result if release or failed else f'not tried      {why}'}")
        print(flush=True)


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Table())
