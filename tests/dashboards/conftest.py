# SPDX-License-Identifier: MIT
"""`make dashboards-test`: endpoint, rules and dashboards against the real Prometheus and Alertmanager."""

import glob
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
# prometheus_client in the version that the checks were tried with.
sys.path[:0] = [str(HERE), *glob.glob(str(BUILD / "dash-venv/lib/python3*/site-packages"))]
os.environ["no_proxy"] = "127.0.0.1"


@pytest.fixture(scope="session")
def tools():
    """The simulator of endpoints and the list of metrics."""
    return BUILD / "dashboards"


@pytest.fixture(scope="session")
def npm():
    """Grafana's schema of dashboards."""
    return BUILD / "dash-npm"


@pytest.fixture(scope="session")
def work():
    folder = BUILD / "dashboards-work"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def agree():
    """agree(complaints): fails with them, one a line."""
    def check(complaints):
        complaints = [complaints] if isinstance(complaints, str) else list(complaints)
        if complaints:
            pytest.fail("\n".join(map(str, complaints[:20])), pytrace=False)
    return check
