# SPDX-License-Identifier: MIT
"""What the tests of wrong use share: the exit codes of the README, a process as a target, and that the probe
refused it with a sentence of its own on standard error."""

import json
import os
import re
import shutil
import subprocess

import pytest

from flow import DEFAULT_SIGNALS
from probe import BINARY, run

MS = 1_000_000
OK, INTERNAL, USAGE, RIGHT, FEATURE, TARGET = 0, 1, 2, 3, 4, 5
PYTHON = shutil.which("python3.11", path="/usr/bin") or os.path.realpath("/usr/bin/python3")


def is_sanitized():
    """Is the probe under test built with a sanitizer? Its runtime makes system calls of its own, so readers have no limit."""
    with open(BINARY, "rb") as f:
        whole = f.read()
    return b"__asan_init" in whole or b"__tsan_init" in whole


class Wrong(pytest.fail.Exception):
    """What was seen is not what must be: a sentence that needs no traceback."""

    def __init__(self, sentence):
        super().__init__(sentence, pytrace=False)


class Target:
    """A process to be watched, ended by pid."""

    def __init__(self, *args, **kw):
        self.proc = subprocess.Popen([*DEFAULT_SIGNALS, *args], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                     start_new_session=True, **kw)
        self.pid = self.proc.pid

    def __enter__(self):
        return self

    def said(self):
        line = self.proc.stdout.readline().decode().strip()
        if not line:
            raise Wrong("the target did not start")
        return line

    def go(self):
        """It waits for a line: however long the probe took to attach, nothing has happened yet."""
        self.proc.stdin.write(b"\n")
        self.proc.stdin.flush()

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()


def python(code, interpreter=None, **kw):
    t = Target(interpreter or PYTHON, "-u", "-c", "print('up')\n" + code, **kw)
    t.said()
    return t


IDLE = "import time\nwhile True: time.sleep(0.05)\n"

# Two threads that take turns: the edge source has something to see. Says where its uprobe comes to be.
ARMABLE = ("import ctypes, threading\n"
           "f = ctypes.CDLL(None).pthread_cond_signal\n"
           "print(ctypes.cast(f, ctypes.c_void_p).value)\n"
           "def busy():\n while True: sum(range(20000))\n"
           "for _ in range(2): threading.Thread(target=busy).start()\n")


def code_of(t):
    """A function that reads the code where the uprobe of ARMABLE comes to be."""
    addr = int(t.said())

    def read():
        with open(f"/proc/{t.pid}/mem", "rb") as f:
            f.seek(addr)
            return f.read(8)

    return read


def refuse(got, code, *words, what=""):
    """The run ended with `code` and said why: short, one of the words in it, no crash."""
    codes = code if isinstance(code, tuple) else (code,)
    err = got.stderr.strip()
    if got.returncode not in codes:
        raise Wrong(f"{what} exit code {got.returncode}, want {codes}: {err[-300:]!r}")
    if not err:
        raise Wrong(f"{what} says nothing on standard error")
    lines = err.splitlines()
    if len(lines) > 3 or len(err) > 700:
        raise Wrong(f"{what} is not one clear sentence: {err[:700]!r}")
    if re.search(r"libbpf:|Assertion|Sanitizer|core dumped|Segmentation", err):
        raise Wrong(f"{what} speaks of its inside: {err!r}")
    if words and not any(re.search(w, err, re.I) for w in words):
        raise Wrong(f"{what} does not say {' or '.join(words)}: {err!r}")


def unused_pid():
    with open("/proc/sys/kernel/pid_max") as f:
        pid = int(f.read()) - 3
    while os.path.exists(f"/proc/{pid}"):
        pid -= 1
    return pid


def watched(pid, *args, seconds="700ms", directory=None):
    """Watches a target for a moment; gives the objects of the lines, the code, standard error."""
    got = run("--pid", pid, "--json", "--duration", seconds, *args)
    lines = [json.loads(x) for x in got.stdout.splitlines()]
    return lines, got
