/* SPDX-License-Identifier: MIT */
/* The one clock of records: CLOCK_MONOTONIC, which is also the kernel programs' own. */
#ifndef DORA_PROBE_CLOCK_H
#define DORA_PROBE_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "base/units.h"

static inline uint64_t dp_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

/* Wall clock minus dp_now(). */
static inline int64_t dp_wall_offset(void)
{
	struct timespec ts;
	uint64_t before = dp_now();

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000000000LL + ts.tv_nsec -
	       (int64_t)(before + (dp_now() - before) / 2);
}

#endif
