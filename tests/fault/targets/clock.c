// SPDX-License-Identifier: MIT
/*
 * Preloaded: the wall clock of this process is set forward by an hour once the file that STEP_FILE names is there,
 * without setting the machine's.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	const char *file = getenv("STEP_FILE");

	if (syscall(SYS_clock_gettime, clock, ret))
		return -1;
	if (clock == CLOCK_REALTIME && file && access(file, F_OK) == 0)
		ret->tv_sec += 3600;
	return 0;
}
