/* SPDX-License-Identifier: MIT */
/*
 * Preloaded: the wall clock is set forward by an hour once the process has run for a second and a half,
 * without setting the machine's.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static time_t begin;
	struct timespec now;

	if (syscall(SYS_clock_gettime, clock, ret))
		return -1;
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	if (!begin)
		begin = now.tv_sec * 1000 + now.tv_nsec / 1000000;
	if (clock == CLOCK_REALTIME && now.tv_sec * 1000 + now.tv_nsec / 1000000 - begin > 1500)
		ret->tv_sec += 3600;
	return 0;
}
