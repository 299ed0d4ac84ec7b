# SPDX-License-Identifier: MIT
"""What the probe may do once it watches, and as whom it runs hooks."""

import os
import pwd
import time

import pytest
from flow import wait_until
from probe import Probe
from refusals import IDLE, OK, USAGE, Wrong, is_sanitized, python

CAP_KILL, CAP_SETUID = 1 << 5, 1 << 7
READING = 1 << 2 | 1 << 19 | 1 << 40
NOBODY = pwd.getpwnam("nobody")

# Holds of the GIL that are worth a warning.
WARNED = ("import ctypes, time\ninput()\n"
          "while True:\n ctypes.PyDLL(None).usleep(300000)\n time.sleep(0.1)\n")


def status(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def readers(pid):
    """The processes in which it reads its targets."""
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(p) for p in f.read().split() if status(p)["Name"] == "dora-probe-read"]


@pytest.mark.parametrize("mode", ["observe", "nudge"])
def test_drops(folder, mode):
    """KILL is kept for the guard alone; no set has more than it needs; system calls are limited."""
    if os.geteuid() != 0:
        pytest.skip("dropping rights needs root")
    with python(IDLE) as t:
        p = Probe(["--pid", t.pid, "--shutdown", mode], folder, record=False).start()
        try:
            p.wait_attached([t.pid])
            wait_until(lambda: status(p.proc.pid)["Seccomp"] == "2", 5, "limit of system calls")
            it = status(p.proc.pid)
            for part in ("CapPrm", "CapEff"):
                if bool(int(it[part], 16) & CAP_KILL) != (mode == "nudge"):
                    raise Wrong(f"--shutdown {mode}: {part} is {it[part]}")
                if int(it[part], 16) & CAP_SETUID:
                    raise Wrong(f"it may still change users: {part} is {it[part]}")
            if int(it["CapBnd"], 16) or int(it["CapAmb"], 16) or it["NoNewPrivs"] != "1":
                raise Wrong(f"bounding {it['CapBnd']}, ambient {it['CapAmb']}")
            of_it = readers(p.proc.pid)
            limited = "0" if is_sanitized() else "2"
            if not of_it:
                raise Wrong("nobody reads the target")
            for pid in of_it:
                reader = status(pid)
                if int(reader["CapPrm"], 16) & ~READING or reader["Seccomp"] != limited:
                    raise Wrong(f"reader: {reader['CapPrm']}, seccomp {reader['Seccomp']}")
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
        finally:
            p.end(9)


@pytest.mark.parametrize("by", ["sudo", "option"])
def test_hook_user(folder, by, monkeypatch):
    """A hook runs as who has called the probe by sudo, or as --hook-user says; not as root."""
    if os.geteuid() != 0:
        pytest.skip("running as another user needs root")
    out = os.path.join(folder, "out")
    os.mkdir(out)
    os.chmod(folder, 0o755)
    os.chown(out, NOBODY.pw_uid, NOBODY.pw_gid)
    said = os.path.join(out, "said")
    args = ["--warn-hold", "100ms", "--on-warning",
            f'echo "$(id -u) $(id -g) $HOME $USER" >{said}.new && mv {said}.new {said}']
    if by == "sudo":
        monkeypatch.setenv("SUDO_UID", str(NOBODY.pw_uid))
    else:
        monkeypatch.delenv("SUDO_UID", raising=False)
        args += ["--hook-user", "nobody"]
    with python(WARNED) as t:
        p = Probe(["--pid", t.pid, *args], folder, record=False).start()
        try:
            p.wait_attached([t.pid])
            t.go()
            wait_until(lambda: os.path.exists(said), 10, f"the hook's file; {p.stderr()!r}")
            if p.end() != OK:
                raise Wrong(f"exit code {p.code}: {p.stderr()!r}")
        finally:
            p.end(9)
    with open(said) as f:
        got = f.read().split()
    want = [str(NOBODY.pw_uid), str(NOBODY.pw_gid), NOBODY.pw_dir, "nobody"]
    if got != want:
        raise Wrong(f"the hook ran as {got}, want {want}")


def test_no_such_hook_user(folder):
    """A user that does not exist is a mistake on the command line: 2, and its name."""
    with python(IDLE) as t:
        p = Probe(["--pid", t.pid, "--on-warning", "true", "--hook-user", "nosuchuser-4711"],
                  folder, record=False).start()
        begin = time.monotonic()
        code = p.end(None, 10)
    if code != USAGE or "nosuchuser-4711" not in p.stderr() or time.monotonic() - begin > 5:
        raise Wrong(f"exit code {code}: {p.stderr()!r}")
