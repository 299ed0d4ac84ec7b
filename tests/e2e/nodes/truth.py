# SPDX-License-Identifier: MIT
"""What a test node knows about itself, written down by the node as JSON lines.

Times are CLOCK_MONOTONIC nanoseconds, as the probe's are. Each line is one write to a file opened
with O_APPEND, so lines of several threads do not mix.
"""

import json
import os
import sys
import threading
import time

now = time.monotonic_ns
NODE = os.environ["E2E_NODE"]
DIR = os.environ["E2E_DIR"]
_fd = os.open(os.path.join(DIR, NODE + ".truth.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def say(kind, **fields):
    fields.update(kind=kind, node=NODE, pid=os.getpid(), t=now())
    os.write(_fd, (json.dumps(fields) + "\n").encode())


class phase:
    """A stretch in which dora or the interpreter may hold the GIL: import, create, drop."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.t0 = now()

    def __exit__(self, *_):
        say("phase", name=self.name, t0=self.t0, t1=now(), tid=threading.get_native_id())


class stretch(phase):
    """Work that is too short for a hold, unless the machine makes its thread wait: then it is one."""

    LONG_NS = 40_000_000

    def __init__(self):
        super().__init__("starved")

    def __exit__(self, *_):
        if now() - self.t0 >= self.LONG_NS:
            super().__exit__()


def here():
    """Line of the caller."""
    return sys._getframe(1).f_lineno


_go = None


def went():
    """Time at which the test said go, or None while it has not."""
    global _go
    if _go is None:
        try:
            with open(os.path.join(DIR, "go")) as f:
                _go = int(f.read())
        except (FileNotFoundError, ValueError):
            return None
    return _go
