/* SPDX-License-Identifier: MIT */
/* Since when a thread sleeps that nobody has watched falling asleep. */
#ifndef DORA_PROBE_ASLEEP_H
#define DORA_PROBE_ASLEEP_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Since when, in CLOCK_MONOTONIC ns, the thread has been off the CPU without a moment on it, by the
 * scheduler's account: se.exec_start of /proc/PID/task/TID/sched, which stands still meanwhile
 * (kernel/sched/debug.c; CONFIG_SCHED_DEBUG up to 6.14). 0: it does not sleep, or that cannot be told.
 *
 * The account is in the clock of the CPU on which the thread ran last, in which the time that a
 * hypervisor took away and that of interrupts may be missing: each CPU has another one. It is compared
 * with the same CPU's clock now, by a thread of ours that runs there, so that the true sleep is never
 * shorter than what this says by more than 1 ms, and longer by what that CPU lost meanwhile.
 * Waits up to 20 ms for that CPU, once a second at most.
 */
uint64_t dp_asleep_since(pid_t pid, pid_t tid);

#endif
