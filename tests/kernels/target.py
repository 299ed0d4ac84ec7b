# SPDX-License-Identifier: MIT
"""A Python that holds the GIL in a C call, then in bytecode, and takes a signal; it tells the truth
about each in TRUTH (a file of JSON lines, CLOCK_MONOTONIC nanoseconds). A second thread wants the GIL
all the time."""

import ctypes
import json
import os
import signal
import sys
import threading
import time

truth = open(sys.argv[1], "w", buffering=1)
now = time.monotonic_ns
libc = ctypes.PyDLL(None)  # PyDLL keeps the GIL during the call
handled = []


def say(what, **more):
    truth.write(json.dumps({"what": what, "t": now(), **more}) + "\n")


def c_hold(seconds):
    libc.usleep(int(seconds * 1e6))  # LINE c_hold


def py_hold(seconds):
    end = now() + int(seconds * 1e9)
    x = 0
    while now() < end:
        for i in range(50000):
            x += i  # LINE py_hold
    return x


def rival():
    say("rival", tid=threading.get_native_id())
    while True:
        time.sleep(0.02)  # comes back every 20 ms and then waits for the GIL


def step(name, call, *args):
    say(name + "_begin")
    call(*args)
    say(name + "_end")
    time.sleep(1)
    # The GIL was let go one second ago at the latest: by the sleep.
    say(name + "_slept")


signal.signal(signal.SIGUSR1, lambda *_: handled.append(now()))
threading.Thread(target=rival, daemon=True).start()
say("ready", pid=os.getpid())
while not os.path.exists(sys.argv[2]):
    time.sleep(0.05)
step("c_hold", c_hold, 2.5)
# Nobody who wants the GIL: one long hold of bytecode would be cut into pieces of 5 ms by the rival.
sys.setswitchinterval(30)
step("py_hold", py_hold, 2.5)
sys.setswitchinterval(0.005)
os.kill(os.getpid(), signal.SIGUSR1)
time.sleep(0.5)
say("signal", handled=handled)
