# SPDX-License-Identifier: MIT
"""What `make install` puts where, what `make uninstall` leaves, and how a build takes the flags of a distribution."""

import os
import re
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

INSTALLED = """
bin/dora-probe
lib/systemd/system/dora-probe.service
share/bash-completion/completions/dora-probe
share/doc/dora-probe/CHANGELOG.md
share/doc/dora-probe/README.md
share/doc/dora-probe/SECURITY.md
share/doc/dora-probe/json.md
share/doc/dora-probe/metrics.md
share/doc/dora-probe/runbook.md
share/dora-probe/alertmanager.yml
share/dora-probe/alerts.yml
share/dora-probe/dashboards/fleet.json
share/dora-probe/dashboards/node.json
share/dora-probe/dashboards/probe-health.json
share/dora-probe/prometheus.yml
share/fish/vendor_completions.d/dora-probe.fish
share/man/man8/dora-probe.8
share/zsh/site-functions/_dora-probe
""".split()


def make(*args, **kw):
    # As from a user's shell: `make test` has settings of its own in the environment.
    kw["env"] = {k: v for k, v in os.environ.items() if k not in ("WERROR", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    r = subprocess.run(["make", "--no-print-directory", *args], cwd=kw.pop("cwd", TOP), capture_output=True, text=True, **kw)
    assert r.returncode == 0, r.stdout[-2000:] + r.stderr[-2000:]
    return r.stdout


def files_below(folder):
    return sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, names in os.walk(folder) for f in names)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("root"))
    make("install", f"DESTDIR={root}", "PREFIX=/opt/probe")
    return root


def test_every_file_is_installed(installed):
    assert files_below(installed) == ["opt/probe/" + f for f in INSTALLED]


def test_the_unit_starts_the_installed_program(installed):
    unit = open(os.path.join(installed, "opt/probe/lib/systemd/system/dora-probe.service")).read()
    assert re.findall("^ExecStart=([^ ]*)", unit, re.M) == ["/opt/probe/bin/dora-probe"]


def test_the_installed_program_runs_from_anywhere(installed, tmp_path):
    r = subprocess.run([os.path.join(installed, "opt/probe/bin/dora-probe"), "--version"], cwd=tmp_path,
                       capture_output=True, text=True)
    assert r.stdout == f"dora-probe {open(os.path.join(TOP, 'VERSION')).read().strip()}\n"


@pytest.mark.parametrize("typed, offered", [
    (["--shut"], ["--shutdown"]),
    (["--shutdown", ""], ["observe", "nudge", "terminate"]),
    (["--pid", str(os.getpid())], [str(os.getpid())]),
    (["li"], ["list"]),
    (["list", "--j"], ["--json"]),
    (["list", "--gra"], []),
    (["replay", "--gra"], ["--grace"]),
])
def test_bash_completes(installed, typed, offered):
    script = f"""
        . {installed}/opt/probe/share/bash-completion/completions/dora-probe
        COMP_WORDS=(dora-probe "$@") COMP_CWORD=$#
        _dora_probe
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    r = subprocess.run(["bash", "-c", script, "bash", *typed], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert r.stdout.split() == offered


def test_uninstall_leaves_no_file_and_no_other_is_touched(tmp_path):
    root = str(tmp_path)
    make("install", f"DESTDIR={root}")
    other = tmp_path / "usr/local/bin/other"
    other.write_text("")
    make("uninstall", f"DESTDIR={root}")
    assert files_below(root) == ["usr/local/bin/other"]
    assert not os.path.exists(f"{root}/usr/local/share/dora-probe")


def test_flags_of_a_distribution_are_taken(tmp_path):
    """FORTIFY_SOURCE of another level, and linker flags."""
    told = make("-n", f"B={tmp_path}", "all", "V=1", "CPPFLAGS=-D_FORTIFY_SOURCE=3 -DFROM_OUTSIDE",
                "CFLAGS=-O1", "LDFLAGS=-Wl,-z,now")
    compiled = [line for line in told.splitlines() if " agent/main.c" in line][0]
    linked = [line for line in told.splitlines() if f"-o {tmp_path}/dora-probe " in line][0]
    assert "-DFROM_OUTSIDE" in compiled and "-O1" in compiled
    assert re.findall("_FORTIFY_SOURCE=.", compiled) == ["_FORTIFY_SOURCE=3"]
    assert "-Werror" not in compiled
    assert "-Wl,-z,now" in linked


def test_a_build_says_what_is_missing_and_installs_nothing(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "bash", "make", "getconf", "sort", "head", "sed", "printf", "mkdir", "uname", "cat", "gcc", "env"):
        if shutil.which(name):
            os.symlink(shutil.which(name), tools / name)
    tree = tmp_path / "tree"
    shutil.copytree(TOP, tree, ignore=shutil.ignore_patterns("build", ".git"))
    r = subprocess.run([shutil.which("make"), "all"], cwd=tree, capture_output=True, text=True,
                       env={"PATH": str(tools)})
    assert r.returncode != 0
    said = [line for line in r.stderr.splitlines() if line.startswith("dora-probe needs")]
    assert len(said) == 1 and "clang" in said[0] and "pkg-config" in said[0], r.stderr
    assert "  CC " not in r.stdout
