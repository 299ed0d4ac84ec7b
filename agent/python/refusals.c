// SPDX-License-Identifier: MIT
/* Why a process is not taken, in words for its user. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "dora_probe/rights.h"
#include "python/internal.h"

uint64_t dp_py_age_ms(uint64_t start_time)
{
	long hz = sysconf(_SC_CLK_TCK);
	uint64_t now_ms = dp_clock_ns(CLOCK_BOOTTIME) / MS, start_ms;

	start_ms = start_time * 1000 / (uint64_t)(hz > 0 ? hz : 100);
	return now_ms > start_ms ? now_ms - start_ms : 0;
}

static int refused(char *why, size_t len)
{
	char set[DP_RIGHTS_TEXT];

	snprintf(
		why, len,
		"no right to read its memory: run as root, or sudo setcap %s $(command -v dora-probe)",
		dp_rights_setcap(1u << DP_RIGHT_WATCH, set, sizeof(set)));
	return -EPERM;
}

int dp_py_exited(char *why, size_t len)
{
	snprintf(why, len, "the process is gone");
	return -ESRCH;
}

int dp_py_starting(char *why, size_t len, const char *what)
{
	snprintf(why, len, "Python is still starting: %s", what);
	return -EAGAIN;
}

int dp_py_failed(int rc, char *why, size_t len, const char *what)
{
	if (rc == -EPERM)
		return refused(why, len);
	if (rc == -ESRCH)
		return dp_py_exited(why, len);
	snprintf(why, len, "%s", what);
	return -ENOTSUP;
}
