// SPDX-License-Identifier: MIT
/* The clocks (clock.h). */
#include "base/clock.h"

#include "base/units.h"

uint64_t dp_clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * SEC + (uint64_t)ts.tv_nsec;
}

uint64_t dp_now(void)
{
	return dp_clock_ns(CLOCK_MONOTONIC);
}

uint64_t dp_cpu_ns(pid_t pid)
{
	clockid_t clock;

	return clock_getcpuclockid(pid, &clock) ? 0 : dp_clock_ns(clock);
}

int64_t dp_wall_offset(void)
{
	uint64_t before = dp_now(), wall = dp_clock_ns(CLOCK_REALTIME);

	return (int64_t)wall - (int64_t)(before + (dp_now() - before) / 2);
}
