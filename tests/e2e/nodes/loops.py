# SPDX-License-Identifier: MIT
"""Does not leave when it is told to stop, or takes its time, in the way that E2E_OPTS["how"] names.

The body begins at the first event after go (E2E_OPTS["at"] seconds after it) and never looks at
Stop; it is in loop_bodies.py. What happens to the node is written down by itself: `body`, `interrupted` (a KeyboardInterrupt
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

import loop_bodies  # noqa: E402
from dora import Node  # noqa: E402
from loop_bodies import CLEAN, nap_loop  # noqa: E402

say("start")
sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None


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


def worker_stays(body):
    """A thread that is no daemon loops from the beginning on, and main leaves at Stop."""
    node = Node()
    say("ready", tid=threading.get_native_id())
    threading.Thread(target=nap_loop, args=(None,), name="uploader").start()
    for event in node:
        if event["type"] == "STOP":
            break
    say("stop_seen")


def pool_stays(body):
    """The same with a pool, which main waits for."""
    from concurrent.futures import ThreadPoolExecutor
    node = Node()
    say("ready", tid=threading.get_native_id())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(nap_loop, None)
        for event in node:
            if event["type"] == "STOP":
                break
        say("stop_seen")


def worker_ends(body):
    """A thread that is no daemon takes a while to see that main has left."""
    node = Node()
    say("ready", tid=threading.get_native_id())
    told = threading.Event()

    def work():
        while not told.is_set():
            time.sleep(0.05)
        end = now() + int(OPTS["for"] * 1e9)
        while now() < end:
            time.sleep(0.05)
        say("work_done")

    threading.Thread(target=work, name="uploader").start()
    for event in node:
        if event["type"] == "STOP":
            break
    say("stop_seen")
    told.set()


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


def async_shielded(body):
    import asyncio

    async def main():
        node = Node()
        say("ready", tid=threading.get_native_id())
        while not is_time(False):
            node.next(timeout=0.05)
            await asyncio.sleep(0)
        say("body")
        await asyncio.shield(asyncio.ensure_future(asyncio.sleep(100)))

    asyncio.run(main())


def async_cleans(body):
    """Takes Stop at once and cleans up in await."""
    import asyncio

    async def main():
        node = Node()
        say("ready", tid=threading.get_native_id())
        while True:
            event = node.next(timeout=0.05)
            if event is not None and event["type"] == "STOP":
                break
            await asyncio.sleep(0)
        say("stop_seen")
        end = now() + int(OPTS["clean"] * 1e9)
        while now() < end:
            await asyncio.sleep(0.04)

    asyncio.run(main())


def queued(body):
    """Small messages behind slow handlers: Stop comes when it comes."""
    node = Node()
    say("ready", tid=threading.get_native_id())
    while True:
        event = node.next()
        if event is None or event["type"] == "STOP":
            break
        if is_time(False):
            say("body")
            clean = now() + int(OPTS["each"] * 1e9)
            while now() < clean:
                time.sleep(0.05)
    say("stop_seen")


def long_sleep(node):
    time.sleep(100)


WAYS = {
    "stays": stays,
    "worker_stays": worker_stays,
    "worker_ends": worker_ends,
    "pool_stays": pool_stays,
    "async_shielded": async_shielded,
    "async_cleans": async_cleans,
    "queued": queued,
    "consumer_nap_loop": lambda _: consumer_thread(nap_loop),
    "asyncio_sleep": lambda _: in_asyncio(long_sleep),
    "asyncio_nap_loop": lambda _: in_asyncio(nap_loop),
    "async_naps": lambda _: async_naps(False),
    "async_deaf": lambda _: async_naps(True),
}


def main():
    how = OPTS["how"]
    if how.startswith("native_"):
        loop_bodies.waits()  # is built before the body begins
    if how in WAYS:
        WAYS[how](None)
    else:
        plain(getattr(loop_bodies, how))


try:
    main()
except KeyboardInterrupt as e:
    tb = e.__traceback__
    while tb.tb_next:
        tb = tb.tb_next
    say("interrupted", function=tb.tb_frame.f_code.co_name)
    raise
say("bye")
