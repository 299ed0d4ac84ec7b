# SPDX-License-Identifier: MIT
"""A node that is stuck, at Stop, in ways that the receiver of the end-to-end tests does not know.

E2E_OPTS (JSON): how
  moves     the main thread sleeps for `seconds`; a second one lets ten kept arrays go, one by one
  vfork     the main thread is in posix_spawn with the GIL held, asleep in state D: the child opens
            a FIFO that nobody writes to for `seconds`
  after_stop  a call that keeps the GIL begins 200 ms after the event that brings Stop
  repeat    sleeps of `seconds` in one function, over and over, with one event between them
  segv      dies of SIGSEGV `seconds` after go
  exec      becomes another program `seconds` after go
"""

import ctypes
import json
import os
import signal
import threading
import time

from truth import DIR, say, went

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))
signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))  # never outlives the recording

import pyarrow  # noqa: F401  (dora would import it at the first event)
from dora import Node

LIBC = ctypes.PyDLL(None)  # calls keep the GIL
SECONDS = OPTS["seconds"]
say("start")
node = Node()
say("ready", tid=threading.get_native_id())


kept = []


def let_go_one_by_one():
    while kept:
        time.sleep(0.2)
        kept.pop(0)


def long_sleep():
    time.sleep(SECONDS)


def spawn_on_fifo():
    fifo = os.path.join(DIR, "fifo")
    os.mkfifo(fifo)
    subprocess_of_shell = ["/bin/sh", "-c", f"sleep {SECONDS}; : >{fifo}"]
    os.posix_spawn("/bin/sh", subprocess_of_shell, os.environ)
    os.posix_spawn("/bin/true", ["true"], os.environ,
                   file_actions=[(os.POSIX_SPAWN_OPEN, 0, fifo, os.O_RDONLY, 0)])


def act():
    how = OPTS["how"]
    if how == "moves":
        threading.Thread(target=let_go_one_by_one, daemon=True).start()
        long_sleep()
    elif how == "vfork":
        spawn_on_fifo()
    elif how == "repeat":
        long_sleep()
        return False
    elif how == "segv":
        time.sleep(SECONDS)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "exec":
        time.sleep(SECONDS)
        os.execv("/bin/sleep", ["sleep", "1"])
    return True


done = False
while True:
    event = node.next()
    if event is None:
        break
    if event["type"] == "STOP":
        if OPTS["how"] == "after_stop":
            time.sleep(0.2)
            LIBC.usleep(int(SECONDS * 1e6))
        break
    if OPTS["how"] == "moves" and len(kept) < 10 and event["type"] == "INPUT":
        kept.append(event["value"])
        continue
    if went() is not None and not done:
        say("acts")
        done = act()

event = None
say("bye")
