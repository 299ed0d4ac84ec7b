# SPDX-License-Identifier: MIT
"""Random scenarios for bench_truth.py: which trouble, on which thread, through which API of dora, and when the probe comes."""

import dataclasses

# What a control run measures of the trouble (bench_truth.measured), and the causes that are true of it.
CAUSES = {
    "held": ("gil_native",),               # another thread does not get the GIL for over a second
    "deadlock": ("deadlock",),             # the same, for ever
    "taken": ("gil_contention",),          # it waits some 10 ms or longer again and again
    "python": ("busy_python",),            # a switch interval at a time; the thread computes
    "calls": ("busy_python", "gil_native"),  # calls of 0.1 s and more, one after the other
    "computes": ("running_without_gil",),  # at once; the thread computes
    "pool": ("running_without_gil",),      # at once; others of its threads compute and it waits
    "asleep": ("blocked",),                # at once; nobody computes
}
# A proof takes its time: until then this is true of a deadlock.
EARLIER = {"deadlock": ("gil_native",)}
FREE = ("computes", "pool", "asleep")

MAIN, ANY, WORKER = ("main",), ("main", "consumer"), ("worker",)
ALL = ("main", "consumer", "worker")


@dataclasses.dataclass(frozen=True)
class Trouble:
    measured: str | None  # a key of CAUSES; None: none but that it goes on after Stop
    threads: tuple = ANY
    spins: bool = False
    can_end: bool = False  # E2E_OPTS["for"] ends it
    sleeps: bool = False   # … and whoever looks can know when


TROUBLES = {
    "nap": Trouble("asleep", can_end=True, sleeps=True),
    "read_pipe": Trouble("asleep"),
    "nap_loop": Trouble("asleep"),
    "steps": Trouble("asleep"),
    "select_loop": Trouble("asleep"),
    "queue_get": Trouble("asleep"),
    "queue_timeout_loop": Trouble("asleep"),
    "event_loop": Trouble("asleep"),
    "lock_acquire": Trouble("asleep"),
    "socket_read": Trouble("asleep"),
    "socket_timeout_loop": Trouble("asleep"),
    "subprocess_run": Trouble("asleep"),
    "waitpid": Trouble("asleep"),
    "mp_pool": Trouble("asleep", MAIN),
    "retry_loop": Trouble("asleep"),
    "bare_sleep": Trouble("asleep"),
    "flag_handler": Trouble("asleep", MAIN),
    "join_daemon": Trouble("asleep"),
    "join_sleeps": Trouble("asleep", can_end=True),
    "hold_usleep": Trouble("held", ALL, can_end=True, sleeps=True),
    "hold_pow": Trouble("held", ALL, spins=True),
    "hold_re": Trouble("held", ALL, spins=True),
    "hold_sum": Trouble("held", ALL, spins=True, can_end=True),
    "int_to_text": Trouble("held", ALL, spins=True),
    "native_join_sleep": Trouble("held", ALL, can_end=True),
    "native_join_compute": Trouble("held", ALL, spins=True, can_end=True),
    "native_mutex_sleep": Trouble("held", ALL, can_end=True),
    "native_pool_work": Trouble("held", ALL, spins=True, can_end=True),
    "native_cond_timed": Trouble("held", ALL, can_end=True),
    "native_join_gil": Trouble("deadlock", ALL),
    "native_mutex_gil": Trouble("deadlock", ALL),
    "native_pool_gil": Trouble("deadlock", ALL),
    "native_static_gil": Trouble("deadlock", ALL),
    "native_once_gil": Trouble("deadlock", ALL),
    "contend": Trouble("taken", WORKER, spins=True),
    "spin": Trouble("python", spins=True),
    "bare_spin": Trouble("python", spins=True),
    "json_loop": Trouble("calls", spins=True),
    "short_calls": Trouble("python", spins=True),
    "generator_sum": Trouble("python", spins=True),
    "sort_loop": Trouble("calls", spins=True),
    "unlocked_loop": Trouble("computes", spins=True),
    "hash_loop": Trouble("computes", spins=True),
    "one_unlocked": Trouble("computes", spins=True),
    "pool_computes": Trouble("pool", spins=True, can_end=True),
    "join_computes": Trouble("pool", spins=True, can_end=True),
    "next_loop": Trouble(None, MAIN, spins=True),
    "next_timeout_loop": Trouble(None, MAIN, spins=True),
    "nothing": Trouble(None, ANY),
}

LASTS = 4.5  # seconds of the trouble before Stop


@dataclasses.dataclass(frozen=True)
class Case:
    number: int
    version: str
    trouble: str
    thread: str
    api: str
    attach: str  # before, during, after_stop
    stop: bool
    grace: float
    nudge_after: float | None
    length: float | None  # of the trouble; None: for ever
    cleanup: str
    clean: float
    size: int

    @property
    def kind(self):
        return TROUBLES[self.trouble]

    @property
    def ends(self):
        return self.length is not None or self.trouble == "nothing"

    def __str__(self):
        ends = f", for {self.length:.1f} s" if self.length else ""
        clean = f", cleanup {self.cleanup} {self.clean:.1f} s" if self.cleanup != "none" else ""
        told = f"stopped, grace {self.grace:.1f} s" if self.stop else "not stopped"
        after = "" if self.nudge_after is None else f", nudge after {self.nudge_after:.1f} s"
        return (f"{self.number:3} dora {self.version} {self.trouble} on {self.thread} by {self.api}{ends}"
                f"{clean}; probe {self.attach}, {told}{after}")


def draw(rng, number, versions, trouble):
    """One scenario with this trouble."""
    kind = TROUBLES[trouble]
    thread = rng.choice(kind.threads)
    stop = kind.measured is None or rng.random() < 0.75
    grace = rng.uniform(6, 9)
    nudge_after = rng.choice((None, None, rng.uniform(1.0, 2.5)))
    waits = nudge_after or 0.4 * grace
    length = None
    if stop and kind.can_end and rng.random() < 0.35:
        # Who cannot know that it ends lets it alone for as long as the guard waits, and no longer.
        length = LASTS + (rng.uniform(0.5, 0.7 * grace) if kind.sleeps else rng.uniform(0.2, 0.7 * waits))
    late = stop and length is None and trouble != "nothing"  # else it may be over by then
    cleanup = rng.choice(("sleep", "naps", "spin", "join", "pool")) if trouble == "nothing" else "none"
    version = rng.choice(versions)
    return Case(number=number, version=version, trouble=trouble, thread=thread,
                api=rng.choice(("next", "timeout", "iter") + (("asyncio",) if thread == "main" else ()) +
                               (("try_recv", "drain") if version not in ("0.3.12",) else ())),
                attach=rng.choice(("before", "during") + (("after_stop",) if late else ())),
                stop=stop, grace=grace, nudge_after=nudge_after, length=length, cleanup=cleanup,
                clean=rng.uniform(0.5, 0.55 * grace) if trouble == "nothing" else 0.0,
                size=rng.choice((100, 65536)))


def cases(rng, count, versions, only=()):
    """Each trouble about as often as any other, in random order."""
    names = [n for n in TROUBLES if not only or any(o in n for o in only)]
    deck, out = [], []
    while len(out) < count:
        if not deck:
            deck = names[:]
            rng.shuffle(deck)
        out.append(draw(rng, len(out) + 1, versions, deck.pop()))
    return out
