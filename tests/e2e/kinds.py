# SPDX-License-Identifier: MIT
"""What signals really do to nodes that do not leave on Stop: the truth of the guard's tests.

Measured without the probe by the scenario `control_signals` (test_guard.py), which fails where this
table is not what happens on a version of dora. `ends` is the number of SIGINTs, 1.5 s
apart, after which the node has left (1: the first one is enough); None: four do not end it.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Kind:
    how: str
    ends: int | None = 1
    within: float = 1.3  # seconds after the last signal
    opts: dict = dataclasses.field(default_factory=dict)
    dora: tuple = ()  # only these versions; empty: all
    spins: bool = False  # a CPU is busy with it: not beside many others


KINDS = {k.how + ("_kept" if k.opts.get("keep_node") else ""): k for k in (
    Kind("nap_loop"),
    Kind("next_loop", spins=True),
    Kind("next_timeout_loop", spins=True),
    Kind("select_loop"),
    Kind("queue_get"),
    Kind("join_daemon"),
    Kind("send_loop"),
    Kind("retry_loop"),
    Kind("mixed_loop"),
    Kind("asyncio_sleep", ends=2),
    Kind("asyncio_nap_loop", ends=2),
    Kind("async_naps"),
    Kind("async_deaf", ends=3),
    Kind("consumer_nap_loop"),
    Kind("queue_timeout_loop"),
    Kind("event_loop"),
    Kind("lock_acquire"),
    Kind("socket_read"),
    Kind("socket_timeout_loop"),
    Kind("subprocess_run"),
    Kind("waitpid"),
    Kind("flag_handler"),
    Kind("async_shielded"),
    Kind("join_looping"),
    Kind("future_result", ends=2),
    Kind("mp_pool"),
    Kind("pool_stays"),
    Kind("worker_stays"),
    Kind("base_continue", ends=None),
    Kind("flag_unread", ends=None),
    Kind("native_deadlock", ends=None),
    Kind("native_mutex_deadlock", ends=None),
    Kind("native_pool_deadlock", ends=None),
    Kind("generator_sum", spins=True),
    Kind("stays"),
    Kind("stays", opts={"keep_node": True}),
    Kind("bare_sleep", ends=None),
    Kind("bare_spin", ends=None, spins=True),
    Kind("spin", spins=True),
    Kind("json_loop", spins=True),
    Kind("short_calls", spins=True),
    Kind("sort_loop", within=1.5, spins=True),
    Kind("long_sorts", within=3, spins=True),
    Kind("steps"),
    Kind("unlocked_loop", spins=True),
    Kind("one_sum", ends=None, spins=True),
    Kind("one_unlocked", ends=None, spins=True),
    Kind("worker_sum", ends=None, spins=True),
)}
