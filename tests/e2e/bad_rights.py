# SPDX-License-Identifier: MIT
"""Missing rights and kernel features: each has its exit code, its sentence, and what mends it."""

import json
import os
import re
import shutil
import stat
import subprocess

import pytest

from probe import BINARY, run
from refusals import FEATURE, IDLE, OK, PYTHON, RIGHT, Target, Wrong, python, refuse


def stranger(folder):
    """The binary where everybody can run it, and the start of a command without any right."""
    if os.geteuid() != 0:
        pytest.skip("giving up rights needs root")
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv here")
    os.chmod(folder, 0o755)
    exe = os.path.join(folder, "dora-probe")
    if not os.path.exists(exe):
        shutil.copy(BINARY, exe)
        os.chmod(exe, stat.S_IRWXU | 0o055)
    return exe, ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                 "--bounding-set=-all"]


def test_without_rights(folder):
    """As nobody: 3, and the command that mends it."""
    exe, wrap = stranger(folder)
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=wrap, binary=exe), RIGHT, "sudo", "setcap")


def test_without_rights_own_process(folder):
    exe, wrap = stranger(folder)
    with Target(*wrap, PYTHON, "-u", "-c", "print('up')\n" + IDLE) as t:
        t.said()
        refuse(run("--pid", t.pid, wrap=wrap, binary=exe), RIGHT, "sudo", "setcap")


def test_root_without_capabilities(folder):
    """Root in a container without capabilities."""
    stranger(folder)
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=["setpriv", "--inh-caps=-all", "--bounding-set=-all"]),
               RIGHT, "cap")


def test_commands_without_rights(folder):
    """list, doctor, --help and replay do not crash as nobody."""
    exe, wrap = stranger(folder)
    for args in (("list",), ("doctor",)):
        got = run(*args, wrap=wrap, binary=exe)
        if got.returncode not in (OK, RIGHT, FEATURE):
            raise Wrong(f"{args}: exit code {got.returncode} {got.stderr!r}")
        if not got.stdout and not got.stderr:
            raise Wrong(f"{args} says nothing")
    if run("--help", wrap=wrap, binary=exe).returncode:
        raise Wrong("--help fails")


def unit_rights():
    """The capabilities of the systemd unit, as setpriv spells them."""
    unit = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "agent", "dist",
                        "dora-probe.service")
    with open(unit, encoding="utf-8") as f:
        line, = re.findall(r"^CapabilityBoundingSet=(.*)$", f.read(), re.M)
    return [c.removeprefix("CAP_").lower() for c in line.split()]


def with_rights(folder, rights):
    """As a user that has these capabilities and no other: binary and start of a command."""
    exe, _ = stranger(folder)
    only = ",".join(["-all", *(f"+{r}" for r in rights)])
    return exe, ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
                 f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"]


# A few tenths of a second on the CPU in C with the GIL, and nobody waits for it.
C_HOLD = ("import time\n"
          "while True:\n"
          "    pow(7, 2_000_017)\n"
          "    time.sleep(0.4)\n")


def proven_on_cpu(holds):
    """The holds that are said for certain although their thread computed: an edge source saw them.

    What a thread spends off the CPU with the GIL, the scheduler proves without an edge source.
    """
    return [x for x in holds if x["precision"] != "unconfirmed"
            and x["duration_ns"] > x["off_cpu_ns"] + 1_000_000]


def hold_with(folder, rights, name):
    """Watches a hold without a waiter: the findings of holds, the source, standard error."""
    exe, wrap = with_rights(folder, rights)
    workdir = os.path.join(folder, name)
    os.mkdir(workdir)
    with python(C_HOLD) as t:
        got = run("--pid", t.pid, "--json", "--exact", "--duration", "8s", wrap=wrap, binary=exe)
    if got.returncode != OK:
        raise Wrong(f"{name}: exit code {got.returncode}: {got.stderr!r}")
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    return [x for x in lines if x["event"] == "gil_hold"], lines, got.stderr


def test_rights_of_the_unit(folder):
    """With exactly the unit's rights a hold is confirmed; each needed one less is said."""
    rights = unit_rights()
    holds, _, err = hold_with(folder, rights, "all")
    if not proven_on_cpu(holds) or "uprobe" in err:
        raise Wrong(f"{len(holds)} holds, {err!r}")
    holds, lines, err = hold_with(folder, [r for r in rights if r != "sys_admin"], "no_admin")
    if proven_on_cpu(holds):
        raise Wrong(f"confirmed without an edge source: {proven_on_cpu(holds)}")
    if "CAP_SYS_ADMIN" not in err or "unconfirmed" not in err:
        raise Wrong(f"does not say what is missing: {err!r}")
    if not any("CAP_SYS_ADMIN" in (x.get("reason") or "") for x in lines if x["event"] == "node"):
        raise Wrong(f"no node line has the reason: {[x for x in lines if x['event'] == 'node']}")


def test_doctor_by_rights(folder):
    """What the doctor says and its exit code, with the unit's rights and with one less."""
    rights = unit_rights()
    exe, wrap = with_rights(folder, [*rights, "kill"])
    full = run("doctor", wrap=wrap, binary=exe)
    if full.returncode != OK or re.search("^(limited|missing) +(capabilities|uprobes|programs)",
                                          full.stdout, re.M):
        raise Wrong(f"all rights: exit code {full.returncode}: {full.stdout}")
    for less, code, check in (("sys_admin", OK, "uprobes"), ("sys_ptrace", RIGHT, "capabilities"),
                              ("dac_read_search", RIGHT, "capabilities"),
                              ("checkpoint_restore", OK, None)):
        exe, wrap = with_rights(folder, [r for r in [*rights, "kill"] if r != less])
        got = run("doctor", wrap=wrap, binary=exe)
        if got.returncode != code:
            raise Wrong(f"without {less}: exit code {got.returncode}: {got.stdout}")
        if check and not re.search(f"^(limited|missing) +{check}", got.stdout, re.M):
            raise Wrong(f"without {less}: {check} is not named: {got.stdout}")
        if check and f"CAP_{less.upper()}" not in got.stdout:
            raise Wrong(f"does not name {less}: {got.stdout}")
    exe, wrap = with_rights(folder, [r for r in rights if r not in ("bpf", "perfmon", "sys_admin")])
    got = run("doctor", wrap=wrap, binary=exe)
    if got.returncode != RIGHT or not re.search("^missing +programs", got.stdout, re.M):
        raise Wrong(f"without bpf: exit code {got.returncode}: {got.stdout}")


def hidden(*folders):
    """Start of a command that sees empty folders in the place of these."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("hiding a folder needs root and unshare")
    script = "".join(f"if [ -d {f} ]; then mount -t tmpfs -o ro none {f} || exit 99; fi; "
                     for f in folders)
    wrap = ["unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh"]
    if subprocess.run([*wrap, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    return wrap


def test_without_btf():
    wrap = hidden("/sys/kernel/btf")
    with python(IDLE) as t:
        refuse(run("--pid", t.pid, wrap=wrap), FEATURE, "BTF")


def test_without_tracefs():
    """No tracefs: either it is not needed, or 4 and the mount command."""
    wrap = hidden("/sys/kernel/tracing", "/sys/kernel/debug")
    with python(IDLE) as t:
        got = run("--pid", t.pid, "--json", "--duration", "600ms", wrap=wrap)
        if got.returncode == OK:
            if not any(json.loads(x)["event"] == "node" for x in got.stdout.splitlines()):
                raise Wrong("ended with 0 and watched nothing")
        else:
            refuse(got, FEATURE, "tracefs", "tracing")


def test_doctor():
    got = run("doctor")
    if got.returncode not in (OK, RIGHT, FEATURE):
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    for word in ("BTF", "kernel"):
        if word.lower() not in got.stdout.lower():
            raise Wrong(f"does not speak of {word}: {got.stdout!r}")


def test_listing():
    """`list` ends with 0: with the nodes, or with a sentence that there is none."""
    got = run("list")
    if got.returncode != OK:
        raise Wrong(f"exit code {got.returncode}: {got.stderr!r}")
    if not got.stdout and "no dora node" not in got.stderr:
        raise Wrong(f"no node and no sentence: {got.stderr!r}")
