# SPDX-License-Identifier: MIT
"""Runs scenarios (scenario.py) as tests, once per release of dora; with -n some at once.

A test of real dataflows takes `t`, or what it needs of it: `flow`, `probe`, `folder`, `dora`.
"""

import contextlib
import fcntl
import inspect
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import scenario  # noqa: E402
from flow import env_of  # noqa: E402


def pytest_generate_tests(metafunc):
    if "dora" not in metafunc.fixturenames:
        return
    # Unless told otherwise a scenario runs on 0.5.0, or on the newest release that it is about.
    releases = getattr(metafunc.function, "dora", None)
    newest = "0.5.0" if not releases or "0.5.0" in releases else releases[-1]
    metafunc.parametrize("dora", metafunc.config.getoption("--dora") or [newest])
    if metafunc.config.getoption("--repeat") > 1:
        metafunc.parametrize("turn", range(metafunc.config.getoption("--repeat")))


def pytest_collection_modifyitems(config, items):
    """Leaves out what takes long unless it was asked for; those that run alone come last."""
    asked = config.getoption("--only") or config.getoption("all_scenarios")
    late = [item for item in items if not asked and not getattr(item.function, "default", True)]
    # A scenario that another file imports is a test of its own file only.
    late += [item for item in items if item.function.__module__ != item.module.__name__]
    config.hook.pytest_deselected(items=late)
    items[:] = [item for item in items if item not in late]
    items.sort(key=lambda item: getattr(item.function, "alone", False))


@contextlib.contextmanager
def beside(others):
    """While it lasts: nobody else in this tree runs a scenario, or only such as may have others."""
    os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
    with open(os.path.join(TOP, "build", "e2e.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if others else fcntl.LOCK_EX)
        yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    if "t" not in item.fixturenames:
        yield
        return
    with beside(others=not getattr(item.function, "alone", False)):
        yield


@pytest.fixture
def turn():
    """The number of this repetition (--repeat)."""
    return 0


@pytest.fixture
def t(request, dora, turn, folder):
    releases = getattr(request.function, "dora", None)
    if releases and dora not in releases:
        pytest.skip(f"not for dora {dora}, only {', '.join(releases)}")
    if not env_of(dora):
        pytest.skip(f"no dora {dora} here: tests/setup/dora_env.sh {dora}")
    return scenario.Test(request.function.__name__, dora, request.config.option.seed + turn, folder)


@pytest.fixture
def flow(t):
    """flow(*nodes): starts a dataflow, which ends with the test."""
    return t.flow


@pytest.fixture
def probe(t):
    """probe(*args): starts the probe on the nodes of the first dataflow; its lines are checked at the end."""
    return t.probe


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    t = pyfuncitem.funcargs.get("t")
    if t is None:
        return None
    args = {a: pyfuncitem.funcargs[a] for a in inspect.signature(pyfuncitem.obj).parameters}
    seed = pyfuncitem.config.option.seed
    pyfuncitem.user_properties += [
        ("name", t.name), ("dora", t.version),
        ("again", f"tests/e2e/run.py --only {t.name} --dora {t.version} --seed {seed}")]
    verdict, sentences = scenario.judge(t, pyfuncitem.obj, args)
    pyfuncitem.user_properties += list(t.facts.items())
    if verdict == "skip":
        pytest.skip(sentences[0])
    if verdict == "fail":
        pytest.fail("\n".join(sentences), pytrace=False)
    return True
