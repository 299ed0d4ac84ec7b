/* SPDX-License-Identifier: MIT */
/* The clocks. CLOCK_MONOTONIC is that of records, and the kernel programs' own. */
#ifndef DORA_PROBE_BASE_CLOCK_H
#define DORA_PROBE_BASE_CLOCK_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* A clock in nanoseconds; 0 where the kernel does not have it. */
uint64_t dp_clock_ns(clockid_t clock);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t dp_now(void);

/* CPU time of a process, all its threads, in nanoseconds; 0 where there is none to be read. */
uint64_t dp_cpu_ns(pid_t pid);

/* Wall clock minus dp_now(). */
int64_t dp_wall_offset(void);

#endif
