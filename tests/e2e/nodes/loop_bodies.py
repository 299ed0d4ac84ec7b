# SPDX-License-Identifier: MIT
"""Bodies of loops.py: what a node does instead of coming back to next(), and its clean-ups."""

import functools
import json
import os
import signal
import threading
import time

import pyarrow
from truth import now

OPTS = json.loads(os.environ.get("E2E_OPTS", "{}"))


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


def long_sorts(node):
    """C calls of over a second that poll no signals, one after the other."""
    import random
    x = [random.random() for _ in range(1_000_000)]
    while True:
        sorted(x)


def step_a(seconds):
    end = now() + int(seconds * 1e9)
    while now() < end:
        time.sleep(0.03)


def step_b(seconds):
    end = now() + int(seconds * 1e9)
    while now() < end:
        sum(range(20000))
        time.sleep(0.01)


def steps(node):
    """One handler of many steps, each at a line of its own: what it does after Stop it did not do before."""
    step_a(0.9)
    step_b(0.9)
    time.sleep(0.9)
    step_b(1.1)
    step_a(1.1)
    time.sleep(1.1)
    step_b(1.3)
    while True:
        step_a(0.5)
        step_b(0.5)


def unlocked_loop(node):
    """C calls that let the GIL go while they compute."""
    import zlib
    data = os.urandom(400_000)
    while True:
        zlib.compress(data, 6)


def queue_timeout_loop(node):
    import queue
    q = queue.Queue()
    while True:
        try:
            q.get(timeout=0.15)
        except queue.Empty:
            continue


def event_loop(node):
    event = threading.Event()
    while not event.wait(0.09):
        pass


def lock_acquire(node):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def base_continue(node):
    while True:
        try:
            time.sleep(0.11)
        except BaseException:
            continue


def flag_handler(node):
    """A handler in Python that sets a flag, which the loop looks at."""
    flags = []
    signal.signal(signal.SIGINT, lambda *_: flags.append(1))
    while not flags:
        time.sleep(0.06)


def flag_unread(node):
    """A handler in Python that sets a flag at which nobody looks."""
    flags = []
    signal.signal(signal.SIGINT, lambda *_: flags.append(1))
    while True:
        time.sleep(0.06)


def socket_read(node):
    import socket
    a, b = socket.socketpair()
    a.recv(100)
    b.close()


def socket_timeout_loop(node):
    import socket
    a, b = socket.socketpair()
    a.settimeout(0.12)
    while b:
        try:
            a.recv(100)
        except TimeoutError:
            pass


def subprocess_run(node):
    import subprocess
    subprocess.run(["sleep", "100"], check=False)


def waitpid(node):
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    os.waitpid(child, 0)


def join_looping(node):
    """Joins a thread that is no daemon and loops."""
    t = threading.Thread(target=nap_loop, args=(None,))
    t.start()
    t.join()


def future_result(node):
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(2) as pool:
        pool.submit(nap_loop, None).result()


def mp_pool(node):
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(time.sleep, [60, 60])


def generator_sum(node):
    sum(1 for _ in iter(int, 1))


@functools.lru_cache
def waits():
    from waits import library
    return library()


def native_deadlock(node):
    waits().join_gil(0)


def native_mutex_deadlock(node):
    waits().mutex_gil(0)


def native_pool_deadlock(node):
    waits().pool_gil(0)


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


def naps_end(node):
    """A handler of many short sleeps that goes on for a while after Stop."""
    end = now() + int(OPTS["for"] * 1e9)
    while now() < end:
        time.sleep(0.05)


def unlocked_ends(node):
    """The same in one call that lets the GIL go."""
    import ctypes
    ctypes.CDLL(None).usleep(ctypes.c_uint(int(OPTS["for"] * 1e6)))


def native_wait_ends(node):
    """A native call that waits for its own worker with the GIL held, and ends."""
    waits().join_sleep(OPTS["for"])


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


def clean_pool():
    """Work that was still to be done: the pool waits for it."""
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(1) as pool:
        pool.submit(clean_naps)


def clean_atexit():
    import atexit
    atexit.register(clean_naps)


def clean_join():
    t = threading.Thread(target=clean_naps)
    t.start()
    t.join()


CLEAN = {"pool": clean_pool, "atexit": clean_atexit, "join": clean_join,
         "sleep": clean_sleep, "naps": clean_naps, "spin": clean_spin, "none": clean_none}
