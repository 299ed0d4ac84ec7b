# SPDX-License-Identifier: MIT
"""A Python that holds the GIL, in each way that must be told apart: target.py SHAPE GO

Says what it does in JSON lines on standard output, with CLOCK_MONOTONIC nanoseconds: "ready" with its own process id, then
each hold's begin and end. Waits for the file GO in between. SHAPE says which process, interpreter or greenlet holds.
Understood by CPython 3.8 and later.
"""

import json
import os
import sys
import threading
import time

SECONDS = 1.5
now = time.monotonic_ns


def say(what, **more):
    os.write(1, (json.dumps(dict(more, what=what, t=now())) + "\n").encode())


def sleeps(libc):
    libc.usleep(int(SECONDS * 1e6))  # LINE sleeps


def computes(n):
    return sum(range(n))  # LINE computes


def bytecode():
    end = now() + int(SECONDS * 1e9)
    x = 0
    while now() < end:
        for i in range(50000):
            x += i
    return x


def one(name, call, *args):
    say(name + "_begin")
    call(*args)
    say(name + "_end")
    # Whatever held, lets go here at the latest.
    time.sleep(0.5)


def large_enough():
    """A range whose sum takes as long as a hold should."""
    n, took = 100000, 0
    while took < 20e6:
        n *= 2
        began = time.thread_time_ns()
        computes(n)
        took = time.thread_time_ns() - began
    return int(n * SECONDS * 1e9 / took)


def holds(go, sleep=time.sleep):
    try:
        import ctypes
        libc = ctypes.PyDLL(None)  # keeps the GIL during a call
    except Exception:
        libc = None  # a static program, or an interpreter that has no ctypes
    # Nobody else wants the GIL; a waiter would cut bytecode into pieces of 5 ms.
    sys.setswitchinterval(30)
    n = large_enough()
    say("ready", pid=os.getpid(), version=sys.version.split()[0], gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        sleeps=libc is not None)
    while not os.path.exists(go):
        sleep(0.05)
    sleep(0.3)
    if libc is not None:
        one("sleeps", sleeps, libc)
    one("computes", computes, n)
    one("bytecode", bytecode)


def thread(go):
    t = threading.Thread(target=holds, args=(go,))
    t.start()
    t.join()


def fork(go):
    child = os.fork()
    if child == 0:
        holds(go)
        os._exit(0)
    os.waitpid(child, 0)


def process(how, go):
    import multiprocessing
    p = multiprocessing.get_context(how).Process(target=holds, args=(go,))
    p.start()
    p.join()


def execs(go):
    os.execv(sys.executable, [sys.executable, os.path.abspath(__file__), "script", go])


def greenlet(go):
    import gevent
    gevent.spawn(holds, go, gevent.sleep).join()


def subinterpreter(go):
    """In an interpreter with a GIL of its own; the main one's is free all the while."""
    code = "import os\nos.environ.setdefault('x', '')\nsource = {0!r}\nscope = {{'__name__': 'inner', '__file__': source}}\n" \
           "exec(compile(open(source).read(), source, 'exec'), scope)\nscope['holds']({1!r})\n".format(
               os.path.abspath(__file__), go)
    try:
        import _interpreters
    except ImportError:
        # 3.12 runs it with the thread state of the thread that made it: this one.
        import _xxsubinterpreters
        inner = _xxsubinterpreters.create(isolated=True)
        _xxsubinterpreters.run_string(inner, code)
        os._exit(0)  # it may hang in finalising it
    inner = _interpreters.create("isolated")
    failed = []
    t = threading.Thread(target=lambda: failed.append(_interpreters.exec(inner, code)))
    t.start()
    t.join()
    if failed[0]:
        say("failed", why=str(failed[0]))
    os._exit(0)


SHAPES = {"script": holds, "thread": thread, "fork": fork, "exec": execs, "greenlet": greenlet,
          "subinterpreter": subinterpreter, "spawn": lambda go: process("spawn", go),
          "forkserver": lambda go: process("forkserver", go)}

if __name__ == "__main__":
    SHAPES[sys.argv[1]](sys.argv[2])
