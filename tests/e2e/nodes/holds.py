# SPDX-License-Identifier: MIT
"""Deliberate holds of the GIL whose true moments are known.

Each gives the GIL up right before and right after (time.sleep), so that the take lies in
[take_lo, t0] and the release in [t1, release_hi]: a sleep of 1 ms ends no earlier than 1 ms after
it was asked for. The clock is read before and after the call without a bytecode in between (one
`map` in C does all three), because a thread that waits gets the GIL at the first bytecode after the
call, and t1 would be read only when the GIL has come back. All of it stands on one line, so the
line is known too.
"""

import ctypes
import functools
import math
import operator
import re
import threading
import time

from truth import here, now, say

LIBC = ctypes.PyDLL(None)  # calls keep the GIL
CALL = operator.methodcaller("__call__")
PAUSE = 0.001
PAUSE_NS = 1_000_000


def _tell(how, function, pre, t0, line, t1):
    time.sleep(PAUSE)
    post = now()
    thread = threading.current_thread()
    say("hold", how=how, function=function, file=__file__, line=line, tid=threading.get_native_id(),
        main=thread is threading.main_thread(), take_lo=pre + PAUSE_NS, t0=t0, t1=t1,
        release_hi=post - PAUSE_NS)


def hold_usleep(seconds):
    """Off the CPU: a blocking system call with the GIL held. A signal with a handler ends it."""
    work = functools.partial(LIBC.usleep, ctypes.c_uint(int(seconds * 1e6)))
    pre = now()
    time.sleep(PAUSE)
    line, (t0, _, t1) = here(), map(CALL, (now, work, now))
    _tell("usleep", "hold_usleep", pre, t0, line, t1)


def hold_pow(seconds):
    """On the CPU; polls signals."""
    work = functools.partial(pow, 3, int(_pow_n * (seconds / _pow_t) ** (1 / math.log2(3))))
    pre = now()
    time.sleep(PAUSE)
    line, (t0, _, t1) = here(), map(CALL, (now, work, now))
    _tell("pow", "hold_pow", pre, t0, line, t1)


def hold_sum(seconds):
    """On the CPU; never polls signals."""
    work = functools.partial(sum, range(int(_sum_n * seconds / _sum_t)))
    pre = now()
    time.sleep(PAUSE)
    line, (t0, _, t1) = here(), map(CALL, (now, work, now))
    _tell("sum", "hold_sum", pre, t0, line, t1)


def hold_re(seconds):
    """On the CPU in the regular expression engine; polls signals."""
    # The pattern costs a constant factor per letter: the golden ratio.
    n = max(1, round(_re_n + math.log(seconds / _re_t) / math.log((1 + math.sqrt(5)) / 2)))
    work = functools.partial(_pattern.match, "a" * n + "b")
    pre = now()
    time.sleep(PAUSE)
    line, (t0, _, t1) = here(), map(CALL, (now, work, now))
    _tell("re", "hold_re", pre, t0, line, t1)


HOLDS = {"usleep": hold_usleep, "pow": hold_pow, "sum": hold_sum, "re": hold_re}

_pattern = re.compile("(a|aa)+$")


def _timed(f):
    best = math.inf
    for _ in range(3):
        t = time.perf_counter()
        f()
        best = min(best, time.perf_counter() - t)
    return best


# How fast is this machine? Each takes a few milliseconds.
_pow_n = 40000
_pow_t = _timed(lambda: pow(3, _pow_n))
_sum_n = 200000
_sum_t = _timed(lambda: sum(range(_sum_n)))
_re_n = 20
_re_text = "a" * _re_n + "b"
_re_t = _timed(lambda: _pattern.match(_re_text))
