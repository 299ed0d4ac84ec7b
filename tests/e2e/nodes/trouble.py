# SPDX-License-Identifier: MIT
"""One trouble on the thread and through the API that E2E_OPTS names: the node of bench_truth.py.

E2E_OPTS (JSON):
  trouble  a name of TROUBLES; "for": after so many seconds it ends by itself, where it can
  at       seconds after go
  thread   main: it takes the events and has the trouble; worker: another thread has it;
           consumer: another thread takes the events and has it, main joins that
  api      how events are taken: next, timeout, iter, asyncio, try_recv, drain (dora 0.4 and later)
  cleanup  what is done after Stop (loop_bodies.CLEAN), "clean": for so many seconds
  witness  a thread that wants the GIL every 10 ms and says how long it had to wait for it

What the node knows is written down: `trouble` (its thread, when), `over`, `witness`, `stop_seen`,
`interrupted`, `bye`.
"""

import ctypes
import json
import os
import signal
import statistics
import sys
import threading
import time

from truth import now, say, went

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))
signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))  # never outlives the test

import holds  # noqa: E402
import loop_bodies  # noqa: E402
from dora import Node  # noqa: E402

say("start")
sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None
LONG = 600.0
FOR = float(OPTS.get("for", LONG))


# ---- troubles ------------------------------------------------------------------------------------

def nap(_):
    time.sleep(FOR)


def read_pipe(_):
    r, _w = os.pipe()
    os.read(r, 1)


def hold_usleep(_):
    holds.hold_usleep(min(FOR, 1800))


def hold_pow(_):
    holds.hold_pow(min(FOR, 90))


def hold_re(_):
    holds.hold_re(min(FOR, 90))


def hold_sum(_):
    holds.hold_sum(FOR)


def hash_loop(_):
    """Large blocks, hashed without the GIL."""
    import hashlib
    data = bytes(8_000_000)
    while True:
        hashlib.sha256(data)


def int_to_text(_):
    """One conversion that polls no signals before its end."""
    n = 10 ** 2_000_000
    while True:
        str(n)


def native(name):
    return lambda _: getattr(loop_bodies.waits(), name)(min(FOR, 600.0))


def unlocked(name):
    """The same function with the GIL let go around it."""
    def body(_):
        path = loop_bodies.waits()._name
        call = getattr(ctypes.CDLL(path), name)
        call.argtypes, call.restype = [ctypes.c_double], None
        call(min(FOR, 600.0))
    return body


def chunk(end):
    work = range(int(holds._sum_n * 0.03 / holds._sum_t))
    while now() < end:
        sum(work)


def contend(_):
    """Four threads that each keep the GIL for some 30 ms."""
    end = now() + int(FOR * 1e9)
    for _i in range(4):
        threading.Thread(target=chunk, args=(end,), daemon=True).start()


TROUBLES = {
    "nap": nap, "read_pipe": read_pipe, "hold_usleep": hold_usleep, "hold_pow": hold_pow,
    "hold_re": hold_re, "hold_sum": hold_sum, "hash_loop": hash_loop, "int_to_text": int_to_text,
    "contend": contend, "nothing": loop_bodies.nothing,
    "pool_computes": unlocked("pool_work"), "join_computes": unlocked("join_compute"),
    "join_sleeps": unlocked("join_sleep"),
}
TROUBLES.update({name: getattr(loop_bodies, name) for name in (
    "nap_loop", "select_loop", "queue_get", "queue_timeout_loop", "event_loop", "lock_acquire",
    "socket_read", "socket_timeout_loop", "subprocess_run", "waitpid", "retry_loop", "bare_sleep",
    "bare_spin", "spin", "json_loop", "short_calls", "sort_loop", "unlocked_loop", "one_unlocked",
    "generator_sum", "next_loop", "next_timeout_loop", "flag_handler", "join_daemon", "mp_pool", "steps")})
TROUBLES.update({"native_" + name: native(name) for name in (
    "join_sleep", "join_compute", "mutex_sleep", "pool_work", "cond_timed",
    "join_gil", "mutex_gil", "pool_gil", "static_gil", "once_gil")})


def trouble(node):
    say("trouble", tid=threading.get_native_id(), t0=now())
    TROUBLES[OPTS["trouble"]](node)
    say("over")


# ---- the thread and the API ----------------------------------------------------------------------

class Turn:
    """When the consumer is to have the trouble: once, at its time."""

    def __init__(self):
        self.begun = OPTS["thread"] == "worker"

    def come(self):
        start = went()
        if self.begun or start is None or now() < start + int(OPTS.get("at", 0.2) * 1e9):
            return False
        self.begun = True
        return True


def handled(event, turn, node):
    """What to do with an event; False ends the loop."""
    if event is not None and event["type"] == "STOP":
        return False
    del event
    if turn.come():
        trouble(node)
    return True


def by_next(node, turn):
    while True:
        event = node.next()
        if event is None or not handled(event, turn, node):
            return


def by_timeout(node, turn):
    while handled(node.next(timeout=0.2), turn, node):
        pass


def by_iter(node, turn):
    for event in node:
        if not handled(event, turn, node):
            return


def by_asyncio(node, turn):
    import asyncio

    async def main():
        while handled(node.next(timeout=0.1), turn, node):
            await asyncio.sleep(0)

    asyncio.run(main())


def until_go(node, turn):
    """Waits in next(), as other nodes do."""
    while went() is None:
        if not handled(node.next(timeout=0.2), turn, node):
            return False
    return True


def by_try_recv(node, turn):
    """Looks in at its own pace, and never waits for an event."""
    go_on = until_go(node, turn)
    while go_on:
        go_on = handled(node.try_recv(), turn, node)
        time.sleep(0.02)


def by_drain(node, turn):
    go_on = until_go(node, turn)
    while go_on:
        go_on = all(handled(event, turn, node) for event in node.drain() or [None])
        time.sleep(0.03)


BY = {"try_recv": by_try_recv, "drain": by_drain, "next": by_next, "timeout": by_timeout, "iter": by_iter, "asyncio": by_asyncio}


def worker():
    """Has the trouble while the consumer waits in next()."""
    while went() is None:
        time.sleep(0.02)
    time.sleep(OPTS.get("at", 0.2))
    trouble(None)


def witness():
    told = now()
    late = []
    while True:
        t0 = now()
        time.sleep(0.01)
        late.append(now() - t0 - 10_000_000)
        if now() - told > 250_000_000:
            say("witness", since=told, worst=max(late), median=statistics.median(late))
            told, late = now(), []


def main():
    if OPTS["trouble"].startswith("native_") or OPTS["trouble"].endswith(("_computes", "_sleeps")):
        loop_bodies.waits()  # is built before the trouble begins
    if OPTS.get("witness"):
        threading.Thread(target=witness, name="witness", daemon=True).start()
    node = Node()
    say("ready", tid=threading.get_native_id())
    if OPTS["thread"] == "worker":
        threading.Thread(target=worker, name="worker", daemon=True).start()
    take = BY[OPTS["api"]]
    if OPTS["thread"] == "consumer":
        t = threading.Thread(target=take, args=(node, Turn()), name="consumer")
        t.start()
        t.join()
    else:
        take(node, Turn())
    say("stop_seen")
    loop_bodies.CLEAN[OPTS.get("cleanup", "none")]()


try:
    main()
except KeyboardInterrupt:
    say("interrupted")
    raise
say("bye")
