# SPDX-License-Identifier: MIT
"""Receives messages and, at moments laid down by the test, misbehaves in one known way.

E2E_OPTS (JSON):
  plan       list of steps {"at": seconds after go, "do": name, "for": seconds, "on": "main"|"second"}
             names: a hold (holds.py), or one of ACTS below
  companion  seconds: a second Python thread that wants the GIL every so often, from ready on
  repeat     of the plan: seconds after which it starts again, 0 never
  interrupt  "leave": KeyboardInterrupt ends the loop in order; else it ends the node with a traceback
  noop       name of a signal that gets a Python handler that does nothing
  ignore     name of a signal that is ignored
  leave      {signal: code}: a Python handler that ends the node at once with that exit code
  late       seconds of sleep before the node is created
  keep_all   every array is kept until the end
  drop_first the node object is dropped before the arrays
  free_early the event is let go before next() is called
  deaf       Stop is not obeyed for so many seconds of pure-Python polling
  cleanup    seconds of sleep after Stop
  pace       say how many were received that often, in seconds
  helpers    it starts two Python processes that inherit its environment: one by exec, one by fork
  drain      after Stop the inputs that are still queued are taken and dropped; a node that does not
             gives them up when it is dropped, whoever watches it
"""

import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib

from truth import DIR, NODE, now, phase, say, stretch, went

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))
signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))  # never outlives the test

with phase("import"):
    import ctypes

    import pyarrow  # noqa: F401  (dora would import it at the first event)
    from dora import Node

    import holds
    import waits

say("start")

kept = []
keep_until = None
threads = []


def act_sleep(seconds):
    """Blocked, GIL free."""
    t0 = now()
    time.sleep(seconds)
    say("blocked", function="act_sleep", t0=t0, t1=now(), tid=threading.get_native_id())


def act_read(seconds):
    """Blocked in a read of a pipe, GIL free."""
    r, w = os.pipe()
    threading.Timer(seconds, os.write, (w, b"x")).start()
    t0 = now()
    os.read(r, 1)
    say("blocked", function="act_read", t0=t0, t1=now(), tid=threading.get_native_id())
    os.close(r)
    os.close(w)


def act_naps(seconds):
    """Sleeps of 7 ms without the GIL, one after the other."""
    t0 = now()
    end = t0 + int(seconds * 1e9)
    while now() < end:
        time.sleep(0.007)
    say("napped", function="act_naps", t0=t0, t1=now(), tid=threading.get_native_id())


def act_zip(seconds):
    """Short calls that compute without the GIL, one after the other."""
    data = os.urandom(100_000)
    t0 = now()
    end = t0 + int(seconds * 1e9)
    while now() < end:
        zlib.compress(data, 1)
    say("zipped", function="act_zip", t0=t0, t1=now(), tid=threading.get_native_id())


def act_calls(seconds, name="digest"):
    """C calls of some microseconds each that keep the GIL, one after the other without giving it up."""
    small, row = b"x" * 2000, list(range(300, 0, -1))
    text = json.dumps({"a": list(range(40))})
    call = {"digest": lambda: hashlib.md5(small), "sort": lambda: sorted(row), "parse": lambda: json.loads(text),
            "unpack": lambda: struct.unpack("300I", small[:1200])}[name]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(30)
    time.sleep(0.001)
    n, t0 = 0, now()
    end = t0 + int(seconds * 1e9)
    while now() < end:
        call()
        n += 1
    t1 = now()
    time.sleep(0.001)
    sys.setswitchinterval(interval)
    say("called", function="act_calls", name=name, calls=n, t0=t0, t1=t1, tid=threading.get_native_id())


def act_busy(seconds):
    """Pure Python that does not come back."""
    t0 = now()
    end = t0 + int(seconds * 1e9)
    x = 0
    while now() < end:
        x += 1
    say("busy", function="act_busy", t0=t0, t1=now(), tid=threading.get_native_id())


def _hog(end):
    x = 0
    while now() < end:
        x += 1
    say("hogged", tid=threading.get_native_id())


def act_compete(seconds, count=2):
    """Pure-Python threads that hand the GIL over every 5 ms."""
    t0 = now()
    end = t0 + int(seconds * 1e9)
    for _ in range(count):
        thread = threading.Thread(target=_hog, args=(end,))
        thread.start()
        threads.append(thread)
    say("compete", t0=t0, t1=end)


def _chunks(end):
    while now() < end:
        sum(range(_chunks.n))


def act_contend(seconds, count=4, chunk=0.03):
    """Threads that each keep the GIL for some 30 ms at a time: no hold is long, every wait is."""
    _chunks.n = int(holds._sum_n * chunk / holds._sum_t)
    t0 = now()
    end = t0 + int(seconds * 1e9)
    for _ in range(count):
        thread = threading.Thread(target=_chunks, args=(end,))
        thread.start()
        threads.append(thread)
    say("contend", t0=t0, t1=end)


def act_short(seconds):
    """Releases the GIL a thousand times a second for a microsecond: looks held in every sample."""
    fd = os.open("/dev/zero", os.O_RDONLY)
    t0 = now()
    end = t0 + int(seconds * 1e9)
    n = 0
    while now() < end:
        with stretch():
            sum(range(200000))
        os.read(fd, 1)
        n += 1
    os.close(fd)
    say("short", t0=t0, t1=now(), releases=n, tid=threading.get_native_id())


def act_pieces(seconds, share, piece=0.002):
    """Keeps the GIL for so much of its time, in pieces too short to be holds."""
    work = range(int(holds._sum_n * piece / holds._sum_t))
    zero = os.open("/dev/zero", os.O_RDONLY)
    t0 = t1 = now()
    end = t0 + int(seconds * 1e9)
    held = 0
    while t1 < end:
        begin = now()
        sum(work)
        t1 = now()
        held += t1 - begin
        # A sleep that took too long is made up for; the GIL is let go all the same.
        rest = held / share - (now() - t0)
        if rest > 0:
            time.sleep(rest / 1e9)
        else:
            os.read(zero, 1)
    os.close(zero)
    say("pieces", function="act_pieces", t0=t0, t1=now(), held=held, tid=threading.get_native_id())


def act_hash(seconds):
    """Computes without the GIL."""
    data = bytes(4_000_000)
    t0, cpu = now(), time.thread_time_ns()
    end = t0 + int(seconds * 1e9)
    while now() < end:
        hashlib.sha256(data)
    say("hashed", t0=t0, t1=now(), cpu=time.thread_time_ns() - cpu, tid=threading.get_native_id())


def act_convoy(seconds, pause=0.001):
    """Short sleeps beside a thread of plain Python: each waits a switch interval for the GIL."""
    t0 = t1 = now()
    end = t0 + int(seconds * 1e9)
    hog = threading.Thread(target=_hog, args=(end,), name="hog")
    hog.start()
    calls = waited = 0
    while t1 < end:
        begin = now()
        time.sleep(pause)
        t1 = now()
        calls += 1
        waited += t1 - begin - int(pause * 1e9)
    say("convoy", function="_hog", t0=t0, t1=t1, calls=calls, waited=waited,
        tid=threading.get_native_id(), hog=hog.native_id)
    hog.join()


def act_keep(seconds):
    """Keeps references to all arrays from now on, for so long."""
    global keep_until
    keep_until = now() + int(seconds * 1e9)
    say("keep_begin")


def act_crash(_):
    say("crash")
    os._exit(3)


def act_crash_once(_):
    """Dies, but not again when dora has started it anew."""
    try:
        os.close(os.open(os.path.join(DIR, NODE + ".crashed"), os.O_CREAT | os.O_EXCL, 0o644))
    except FileExistsError:
        return
    act_crash(_)


def act_raise(_):
    say("crash")
    raise RuntimeError("a deliberate error of the test")


def act_deadlock(_):
    """The GIL's holder waits for a mutex whose owner waits for the GIL. Never ends."""
    mutex = ctypes.create_string_buffer(64)
    lib = holds.LIBC
    locked = threading.Event()

    def owner():
        lib.pthread_mutex_lock(mutex)
        locked.set()
        time.sleep(0.2)  # the GIL is free meanwhile
        lib.pthread_mutex_unlock(mutex)  # needs the GIL to get here

    threading.Thread(target=owner, daemon=True).start()
    locked.wait()
    say("deadlock", t0=now(), tid=threading.get_native_id(), function="act_deadlock")
    lib.pthread_mutex_lock(mutex)


def act_collect(seconds):
    """The garbage collector, over so many objects that it takes that long. The objects are made
    with the collector off, and the GIL is given up between making and collecting: a hold of the
    making, which is long on a fast collector, would else go on into the collection."""
    import gc
    n, took = 200000, 0.0
    gc.disable()
    while took < seconds:
        n = int(n * min(8, 1.2 * seconds / took)) if took else n
        keep.clear()
        keep.extend([] for _ in range(n))
        time.sleep(0.01)
        t0 = now()
        gc.collect()
        t1 = now()
        time.sleep(0.01)
        took = (t1 - t0) / 1e9
    say("collected", t0=t0, t1=t1, objects=n)
    gc.enable()
    keep.clear()


keep = []


def act_wait(seconds, name):
    """A native call of waits.c, with the GIL held."""
    call = getattr(waits.library(), name)
    t0 = now()
    say("wait_begin", name=name, t0=t0, tid=threading.get_native_id(), function="act_wait")
    call(seconds)
    say("waited", name=name, t0=t0, t1=now())


def act_unlocked(seconds, name):
    """The same with the GIL let go around the call."""
    call = getattr(ctypes.CDLL(waits.library()._name), name)
    call.argtypes, call.restype = [ctypes.c_double], None
    t0 = now()
    call(seconds)
    say("unlocked", function="act_unlocked", t0=t0, t1=now(), tid=threading.get_native_id())


ACTS = {name[4:]: f for name, f in list(globals().items()) if name.startswith("act_")}


def perform(step):
    do = step["do"]
    if do in holds.HOLDS:
        holds.HOLDS[do](step["for"])
    else:
        ACTS[do](step.get("for", 0), *step.get("args", []))
    say("step", do=do)


class Plan:
    """Steps of one thread, in order of time."""

    def __init__(self, on):
        self.all = sorted((s for s in OPTS.get("plan", []) if s.get("on", "main") == on),
                          key=lambda s: s["at"])
        self.steps = list(self.all)
        self.base = 0.0
        self.told = not self.all

    def due(self):
        if not self.steps:
            if not self.told:
                self.told = True
                say("plan_done", on=threading.current_thread().name)
            return None
        start = went()
        if start is None or now() < start + int((self.base + self.steps[0]["at"]) * 1e9):
            return None
        step = self.steps.pop(0)
        if not self.steps and OPTS.get("repeat"):
            self.base += OPTS["repeat"]
            self.steps = list(self.all)
        return step


def second_thread():
    plan = Plan("second")
    while not leaving.is_set():
        step = plan.due()
        if step:
            perform(step)
        time.sleep(0.005)


def companion_thread():
    x = 0
    say("companion", tid=threading.get_native_id())
    while not leaving.is_set():
        t0 = now()
        time.sleep(OPTS["companion"])
        x += 1
        t1 = now()
        if t1 - t0 > (OPTS["companion"] + 0.006) * 1e9:
            # It waited for the GIL, or it was held up with the GIL in its hands.
            say("late", t0=t0, t1=t1, tid=threading.get_native_id())


def on_stop():
    say("stop_seen")
    if OPTS.get("deaf"):
        act_busy(OPTS["deaf"])
    time.sleep(OPTS.get("cleanup", 0))


leaving = threading.Event()
if OPTS.get("noop"):
    signal.signal(getattr(signal, "SIG" + OPTS["noop"]), lambda *_: None)
if OPTS.get("ignore"):
    signal.signal(getattr(signal, "SIG" + OPTS["ignore"]), signal.SIG_IGN)

for name, code in OPTS.get("leave", {}).items():
    signal.signal(getattr(signal, "SIG" + name), lambda *_, code=code: os._exit(code))
time.sleep(OPTS.get("late", 0))

with phase("create"):
    node = Node()
helpers = []
if OPTS.get("helpers"):
    helpers.append(subprocess.Popen([sys.executable, "-c",
                                     "import time\nwhile True: time.sleep(0.02)"]).pid)
    helpers.append(os.fork())
    if not helpers[-1]:
        signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))
        while True:
            time.sleep(0.02)
    say("helpers", pids=helpers)
if any(s.get("on") == "second" for s in OPTS.get("plan", [])):
    threads.append(threading.Thread(target=second_thread, name="second", daemon=True))
    threads[-1].start()
if OPTS.get("companion"):
    threads.append(threading.Thread(target=companion_thread, name="companion", daemon=True))
    threads[-1].start()
say("ready", tid=threading.get_native_id())

main_plan = Plan("main")
received = 0
event = None


def loop():
    global event, received, keep_until
    tell = time.monotonic()
    while True:
        if OPTS.get("free_early"):
            event = None
        event = node.next()
        if event is None:
            return
        if event["type"] == "INPUT":
            received += 1
            if OPTS.get("log"):
                say("received", n=received)
            if OPTS.get("pace") and time.monotonic() > tell:
                say("pace", received=received)
                tell = time.monotonic() + OPTS["pace"]
            if OPTS.get("keep_all") or keep_until is not None:
                kept.append(event["value"])
            if keep_until is not None and now() > keep_until:
                keep_until = None
                event = None
                t0 = now()
                kept.clear()
                say("keep_end", t0=t0)
            step = main_plan.due()
            if step:
                perform(step)
        elif event["type"] == "STOP":
            on_stop()
            if OPTS.get("drain"):
                event = None
                while node.next() is not None:
                    pass
            return


try:
    loop()
except KeyboardInterrupt:
    say("interrupted")
    if OPTS.get("interrupt") != "leave":
        raise

say("received_total", received=received)
leaving.set()
for pid in helpers:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
if not OPTS.get("drop_first"):
    event = None
    kept.clear()
for thread in threads:
    thread.join(1)
with phase("drop"):
    del node
say("bye")
