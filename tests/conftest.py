# SPDX-License-Identifier: MIT
"""What every test here shares: options, a folder, a line per test, and a last line for the whole.

A test that fails keeps its folder and says where it is.
"""

import shutil
import tempfile
import time

import pytest


def pytest_addoption(parser):
    g = parser.getgroup("dora-probe")
    g.addoption("--only", action="append", default=[], metavar="NAME", help="this test, or a part of names")
    g.addoption("--keep", action="store_true", help="keep the folders of passed tests too")
    g.addoption("--dora", action="append", default=[], metavar="VERSION",
                help="default 0.5.0, or what the scenario is about")
    g.addoption("--seed", type=int, help="of random lengths, periods and threads")
    g.addoption("--repeat", type=int, default=1, metavar="N", help="each scenario N times, with N seeds")
    g.addoption("--all", action="store_true", dest="all_scenarios", help="also scenarios that take long")


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        return  # a worker of xdist, which has the options of its controller
    if config.option.seed is None:
        config.option.seed = int(time.time()) % 1_000_000
    config.pluginmanager.register(Tally())


class Tally:
    """Prints a line per test as it ends, and at the very end the sum."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report):
        return report.outcome, "", ""  # no dots and letters

    def pytest_runtest_logreport(self, report):
        facts = dict(report.user_properties)
        name = facts.pop("name", report.nodeid.split("::")[-1])
        kept = facts.pop("kept", None)
        shown = "".join(f", {k} {v}" for k, v in facts.items() if k not in ("dora", "again"))
        about = f"dora {facts['dora']}, " if "dora" in facts else ""
        about = f"{name} ({about}{report.duration:.1f} s{shown})"
        if report.failed:
            self.failed += 1
            print(f"fail {about}" + ("" if report.when == "call" else f" in {report.when}"))
            told = [*report.longreprtext.splitlines(), *report.capstdout.splitlines(),
                    *([f"kept: {kept}"] if kept else []),
                    *([f"again: {facts['again']}"] if "again" in facts else [])]
            print("".join(f"     {line}\n" for line in told), end="", flush=True)
        elif report.skipped:
            self.skipped += 1
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            print(f"skip {name}: {why.removeprefix('Skipped: ')}", flush=True)
        elif report.when == "call":
            self.passed += 1
            print(f"pass {about}", flush=True)

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed += 1
            print(f"fail {report.nodeid}: cannot be read\n{report.longreprtext}", flush=True)

    def pytest_unconfigure(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)


def pytest_collection_modifyitems(config, items):
    """--only NAME: the test of that name, or, where there is none, those with it in their names."""
    only = config.getoption("--only")
    if not only:
        return
    names = {item.originalname for item in items}
    wanted = [item for item in items
              if any(o == item.originalname or (o not in names and o in item.name) for o in only)]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.keeps_folder = True
        if "folder" in item.funcargs:
            report.user_properties.append(("kept", item.funcargs["folder"]))


@pytest.fixture
def folder(request):
    """A folder that only its owner can enter; pytest's own `tmp_path` lies below one."""
    name = request.node.originalname.removeprefix("test_")
    path = tempfile.mkdtemp(prefix=f"dora-probe-{name}-")
    yield path
    if not getattr(request.node, "keeps_folder", False) and not request.config.getoption("--keep"):
        shutil.rmtree(path, ignore_errors=True)
