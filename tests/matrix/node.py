# SPDX-License-Identifier: MIT
"""A dora node that holds the GIL in one C call of 1.5 s, twice, when it is told to: the files TOLD.hold1 and TOLD.hold2.

TOLD, a file from the environment variable DP_TOLD, gets what it does, in JSON lines with CLOCK_MONOTONIC nanoseconds. With
DP_DYNAMIC it joins a running dataflow by that name. Understood by each dora from 0.3.6 on.
"""

import ctypes
import json
import os
import time

TOLD = os.environ["DP_TOLD"]
held = ctypes.PyDLL(None)  # keeps the GIL during a call
now = time.monotonic_ns


def say(what, **more):
    fd = os.open(TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(fd, (json.dumps(dict(more, what=what, t=now(), pid=os.getpid())) + "\n").encode())
    os.close(fd)


def hold(name):
    say(name + "_begin")
    held.usleep(1500000)  # LINE hold
    say(name + "_end")


def main():
    say("start")
    if os.environ.get("DP_DIES") and not os.path.exists(TOLD + ".died"):
        open(TOLD + ".died", "w").close()
        raise SystemExit(3)
    from dora import Node
    node = Node(os.environ["DP_DYNAMIC"]) if os.environ.get("DP_DYNAMIC") else Node()
    say("ready")
    left = ["hold1", "hold2"]
    for event in node:
        if event["type"] == "STOP":
            say("stop")
            break
        if left and os.path.exists(TOLD + "." + left[0]):
            hold(left.pop(0))
    say("bye")


if __name__ == "__main__":
    main()
