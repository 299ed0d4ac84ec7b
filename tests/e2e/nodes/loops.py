# SPDX-License-Identifier: MIT
"""Does not leave when it is told to stop, or takes its time, in the way that E2E_OPTS["how"] names.

The body begins at the first event after go (E2E_OPTS["at"] seconds after it) and never looks at
Stop. What happens to the node is written down by itself: `body`, `interrupted` (a KeyboardInterrupt
was raised, and in which function), `bye` (it left by its own end).
"""

import json
import os
import signal
import sys
import threading
import time

from truth import now, say, went

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))
signal.alarm(int(os.environ.get("E2E_LIMIT", "120")))  # never outlives the test

import pyarrow  # noqa: E402,F401
from dora import Node  # noqa: E402

say("start")
sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None


# ---- bodies: what a node does instead of coming back to next() ----------------------------------

def nap_loop(node):
    while True:
        time.sleep(0.07)


def next_loop(node):
    while True:
        node.next()


def next_timeout_loop(node):
    while True:
        event = node.next(timeout=0.15)
        if event is None:
            continue


def select_loop(node):
    import select
    r, _ = os.pipe()
    while True:
        select.select([r], [], [], 0.05)


def queue_get(node):
    import queue
    queue.Queue().get()


def join_daemon(node):
    t = threading.Thread(target=nap_loop, args=(None,), daemon=True)
    t.start()
    t.join()


def send_loop(node):
    data = pyarrow.array(bytearray(5000), type=pyarrow.uint8())
    while True:
        node.send_output("data", data)
        time.sleep(0.06)


def retry_loop(node):
    """Retries on every Exception, which KeyboardInterrupt is not."""
    while True:
        try:
            time.sleep(0.2)
            raise OSError("no camera")
        except Exception:
            pass


def bare_sleep(node):
    while True:
        try:
            time.sleep(0.3)
        except:  # noqa: E722
            pass


def bare_spin(node):
    while True:
        try:
            for _ in range(10**6):
                pass
        except:  # noqa: E722
            pass


def spin(node):
    x = 0
    while True:
        x += 1


def json_loop(node):
    x = [{"a": i, "b": str(i)} for i in range(60_000)]
    while True:
        json.dumps(x)


def short_calls(node):
    """Many C calls of some microseconds."""
    import hashlib
    data = b"x" * 1500
    while True:
        hashlib.blake2s(data).digest()


def sort_loop(node):
    """C calls of some 0.2 s that poll no signals, one after the other."""
    import random
    x = [random.random() for _ in range(250_000)]
    while True:
        sorted(x)


def unlocked_loop(node):
    """C calls that let the GIL go while they compute."""
    import zlib
    data = os.urandom(400_000)
    while True:
        zlib.compress(data, 6)


def mixed_loop(node):
    while True:
        time.sleep(0.03)
        sum(range(200_000))


def one_sum(node):
    """One C call that polls no signals and does not end."""
    sum(range(10**11))


def one_unlocked(node):
    """One call of sqlite, which lets the GIL go and does not end."""
    import sqlite3
    sqlite3.connect(":memory:").execute(
        "with recursive c(x) as (select 1 union all select x + 1 from c) select count(*) from c"
    ).fetchall()


def worker_sum(node):
    t = threading.Thread(target=one_sum, args=(None,), daemon=True)
    t.start()
    t.join()


# ---- those that end by themselves in time --------------------------------------------------------

def call_ends(node):
    """A C call with the GIL held that goes on for a while after Stop."""
    import ctypes
    ctypes.PyDLL(None).usleep(ctypes.c_uint(int(OPTS["for"] * 1e6)))


def nothing(node):
    """An ordinary handler."""


def clean_sleep():
    time.sleep(OPTS["clean"])


def clean_naps():
    end = now() + int(OPTS["clean"] * 1e9)
    while now() < end:
        time.sleep(0.04)


def clean_spin():
    end = now() + int(OPTS["clean"] * 1e9)
    x = 0
    while now() < end:
        x += 1


def clean_none():
    pass


CLEAN = {"sleep": clean_sleep, "naps": clean_naps, "spin": clean_spin, "none": clean_none}


# ---- the ways in which a node is written ---------------------------------------------------------

def is_time(begun):
    start = went()
    return not begun and start is not None and now() >= start + int(OPTS.get("at", 0.2) * 1e9)


def plain(body):
    node = Node()
    say("ready", tid=threading.get_native_id())
    begun = False
    while True:
        event = node.next()
        if event is None or event["type"] == "STOP":
            break
        del event
        if is_time(begun):
            begun = True
            say("body")
            body(node)
    say("stop_seen")
    CLEAN[OPTS.get("cleanup", "none")]()


def stays(body):
    """Main has ended; a thread that is not a daemon keeps the process."""
    node = Node()
    say("ready", tid=threading.get_native_id())
    seconds = OPTS.get("for", 600)

    def work():
        end = now() + int(seconds * 1e9)
        while now() < end:
            time.sleep(0.05)
        say("work_done")

    for event in node:
        if event["type"] == "STOP":
            break
    if OPTS.get("keep_node"):
        sys.modules["__main__"].the_node = node  # dora is told only when the interpreter goes
    say("stop_seen")
    threading.Thread(target=work, name="uploader").start()


def consumer_thread(body):
    """A worker, no daemon, takes the events; main joins it."""
    node = Node()
    say("ready", tid=threading.get_native_id())

    def consume():
        begun = False
        while True:
            event = node.next()
            if event is None or event["type"] == "STOP":
                return
            if is_time(begun):
                begun = True
                say("body")
                body(node)

    t = threading.Thread(target=consume, name="consumer")
    t.start()
    t.join()


def in_asyncio(body):
    import asyncio

    async def main():
        node = Node()
        say("ready", tid=threading.get_native_id())
        begun = False
        while True:
            event = node.next(timeout=0.1)
            if event is not None and event["type"] == "STOP":
                return
            if is_time(begun):
                begun = True
                say("body")
                body(node)
            await asyncio.sleep(0)

    asyncio.run(main())


def async_naps(swallow):
    import asyncio

    async def main():
        node = Node()
        say("ready", tid=threading.get_native_id())
        while not is_time(False):
            node.next(timeout=0.05)
            await asyncio.sleep(0)
        say("body")
        while True:
            try:
                await asyncio.sleep(0.08)
            except asyncio.CancelledError:
                say("cancelled")
                if not swallow:
                    raise

    asyncio.run(main())


def long_sleep(node):
    time.sleep(100)


WAYS = {
    "stays": stays,
    "consumer_nap_loop": lambda _: consumer_thread(nap_loop),
    "asyncio_sleep": lambda _: in_asyncio(long_sleep),
    "asyncio_nap_loop": lambda _: in_asyncio(nap_loop),
    "async_naps": lambda _: async_naps(False),
    "async_deaf": lambda _: async_naps(True),
}


def main():
    how = OPTS["how"]
    if how in WAYS:
        WAYS[how](None)
    else:
        plain(globals()[how])


try:
    main()
except KeyboardInterrupt as e:
    tb = e.__traceback__
    while tb.tb_next:
        tb = tb.tb_next
    say("interrupted", function=tb.tb_frame.f_code.co_name)
    raise
say("bye")
