# SPDX-License-Identifier: MIT
"""Debian's kernels in QEMU: each boots once and runs guest.py, whose steps are the tests here.

A kernel that cannot be had is a skip, with its reason. Without --all, and unless --only names others: this machine's
architecture with Debian 12's kernel. On another machine arm64 wants build/arm64 (make ARCH=arm64) and its root with a
Python in build/arm64/root.
"""

import collections
import fcntl
import os
import re
import subprocess
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WORK = os.path.join(TOP, "build", "kernels")
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
KERNELS = ("bullseye-security/amd64", "bookworm/amd64", "trixie-security/amd64", "sid/amd64",
           "bullseye/arm64", "bookworm/arm64", "trixie-security/arm64", "sid/arm64")
SLICE = f"bookworm/{NATIVE}"
STEPS = ("figures", "kernel_tests", "doctor", "python", "dora")
DORA = os.path.join(TOP, "build", "env", os.environ.get("KERNELS_DORA", "0.5.0"))
# What the guest said: of a step, and after its last one.
Said = collections.namedtuple("Said", "release steps rest took")


def home_of(suite, arch):
    """The kernel and what it boots with. One at a time: kernels share folders of packages."""
    os.makedirs(WORK, exist_ok=True)
    with open(os.path.join(WORK, "get.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        got = subprocess.run([os.path.join(HERE, "get.sh"), WORK, suite, arch], capture_output=True, text=True)
    if got.returncode:
        pytest.skip((got.stderr.strip().splitlines() or ["get.sh says nothing"])[-1])
    return os.path.join(WORK, f"{suite}-{arch}")


def command_of(arch):
    """Root of the guest, and what runs there."""
    build, root, dora = os.path.join(TOP, "build"), "/", []
    if arch == NATIVE:
        dora = [DORA] if os.path.exists(os.path.join(DORA, ".complete")) else []
    else:
        build = os.path.join(build, arch)
        root = os.path.join(build, "root")
        if not os.access(os.path.join(build, "dora-probe"), os.X_OK) or not os.path.exists(root + "/usr/bin/python3"):
            pytest.skip(f"no build/{arch}: make ARCH={arch}")
    return root, ["/usr/bin/python3", "tests/kernels/guest.py", build, "/usr/bin/python3", *dora]


# Each kernel is one worker's: it boots once.
@pytest.fixture(scope="session", params=[pytest.param(k, marks=pytest.mark.xdist_group(k)) for k in KERNELS])
def guest(request):
    suite, arch = request.param.split("/")
    home = home_of(suite, arch)
    root, command = command_of(arch)
    log = os.path.join(WORK, "log", os.path.basename(home))
    os.makedirs(os.path.dirname(log), exist_ok=True)
    began = time.monotonic()
    with open(log, "wb") as out:
        subprocess.run([os.path.join(HERE, "boot.sh"), "-t", "900", "-r", root, home, "--", *command], cwd=TOP,
                       stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    with open(log, errors="replace") as f:
        text = f.read()
    with open(os.path.join(home, "release")) as f:
        release = f.read().strip()
    # guest.py ends each step with its time.
    pieces = re.split(r"^time (\w+) .*\n", text, flags=re.M)
    return Said(release, dict(zip(pieces[1::2], pieces[:-1:2])), pieces[-1], time.monotonic() - began)


@pytest.mark.parametrize("step", STEPS)
def test_kernel(guest, step, request, record_property):
    arch = request.node.callspec.params["guest"].split("/")[1]
    record_property("name", f"Linux {guest.release}, {arch}: {step}")
    if step == "dora" and "dora" not in guest.steps and guest.steps.keys() >= set(STEPS[:-1]):
        pytest.skip("no dora for the guest here")
    if step not in guest.steps:
        pytest.fail(f"never ended; the last words: {guest.rest[-1500:]}", pytrace=False)
    checks = re.findall(r"^(ok|FAIL) (.*)$", guest.steps[step], flags=re.M)
    failed = [what for verdict, what in checks if verdict == "FAIL"]
    record_property("checks", len(checks))
    record_property("kernel's time", f"{guest.took:.0f} s")
    if failed or not checks:
        pytest.fail("\n".join(failed) or "nothing was checked", pytrace=False)
