// SPDX-License-Identifier: MIT
/* Durations, times, sizes and signals for people and for JSON (show.h). */
#include "base/array.h"
#include "base/units.h"
#include "base/uuid.h"
#include "show/show.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Parts of `unit` in ns; `up` 1 rounds up. Saturates instead of wrapping. */
static uint64_t parts(uint64_t ns, uint64_t unit, int up)
{
	return ns / unit + (up && ns % unit ? 1 : 0);
}

/*
 * A duration is cut, not rounded, so that no proven time is ever printed longer than it was; the
 * upper end of a range (`up`) is rounded up for the same reason. Rounding up may carry into the
 * next unit (59.99 s): then that unit is used.
 */
static char *duration(uint64_t ns, int up, char *buf, size_t len)
{
	uint64_t p;

	if (ns == DP_NULL) {
		snprintf(buf, len, "unknown time");
	} else if (ns < US) {
		snprintf(buf, len, "%llu ns", (unsigned long long)ns);
	} else if (parts(ns, US, up) < 1000) {
		snprintf(buf, len, "%llu µs", (unsigned long long)parts(ns, US, up));
	} else if (parts(ns, 100 * US, up) < 100) {
		p = parts(ns, 100 * US, up);
		snprintf(buf, len, "%llu.%llu ms", (unsigned long long)(p / 10),
			 (unsigned long long)(p % 10));
	} else if (parts(ns, MS, up) < 1000) {
		snprintf(buf, len, "%llu ms", (unsigned long long)parts(ns, MS, up));
	} else if (parts(ns, 10 * MS, up) < 1000) {
		p = parts(ns, 10 * MS, up);
		snprintf(buf, len, "%llu.%02llu s", (unsigned long long)(p / 100),
			 (unsigned long long)(p % 100));
	} else if (parts(ns, 100 * MS, up) < 600) {
		p = parts(ns, 100 * MS, up);
		snprintf(buf, len, "%llu.%llu s", (unsigned long long)(p / 10),
			 (unsigned long long)(p % 10));
	} else if (parts(ns, SEC, up) < 3600) {
		p = parts(ns, SEC, up);
		snprintf(buf, len, "%llu min %llu s", (unsigned long long)(p / 60),
			 (unsigned long long)(p % 60));
	} else if (parts(ns, MIN, up) < 48ULL * 60) {
		p = parts(ns, MIN, up);
		snprintf(buf, len, "%llu h %llu min", (unsigned long long)(p / 60),
			 (unsigned long long)(p % 60));
	} else {
		p = parts(ns, HOUR, up);
		snprintf(buf, len, "%llu d %llu h", (unsigned long long)(p / 24),
			 (unsigned long long)(p % 24));
	}
	return buf;
}

char *dp_format_duration(uint64_t ns, char *buf, size_t len)
{
	return duration(ns, 0, buf, len);
}

char *dp_format_duration_up(uint64_t ns, char *buf, size_t len)
{
	return duration(ns, 1, buf, len);
}

char *dp_format_range(uint64_t lo_ns, uint64_t hi_ns, char *buf, size_t len)
{
	char lo[32], hi[32], *lo_unit, *hi_unit;

	duration(lo_ns, 0, lo, sizeof(lo));
	duration(hi_ns, 1, hi, sizeof(hi));
	lo_unit = strchr(lo, ' ');
	hi_unit = strchr(hi, ' ');
	if (strcmp(lo, hi) == 0) {
		snprintf(buf, len, "%s", lo);
		return buf;
	}
	/* "between 1.20 and 1.25 s", but "between 59.9 s and 1 min 2 s". */
	if (lo_unit && hi_unit && strcmp(lo_unit, hi_unit) == 0)
		*lo_unit = '\0';
	snprintf(buf, len, "between %s and %s", lo, hi);
	return buf;
}

char *dp_format_bytes(uint64_t bytes, char *buf, size_t len)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t unit = 1000;
	size_t i = 0;

	if (bytes < 1000) {
		snprintf(buf, len, "%llu B", (unsigned long long)bytes);
		return buf;
	}
	while (i + 1 < DP_COUNT_OF(units) && bytes / unit >= 1000) {
		unit *= 1000;
		i++;
	}
	if (bytes / unit < 10)
		snprintf(buf, len, "%llu.%llu %s", (unsigned long long)(bytes / unit),
			 (unsigned long long)(bytes % unit / (unit / 10)), units[i]);
	else
		snprintf(buf, len, "%llu %s", (unsigned long long)(bytes / unit), units[i]);
	return buf;
}

/* Splits so that the fraction is not negative for times before 1970. */
static void split(int64_t wall_ns, time_t *sec, unsigned int *us)
{
	int64_t s = wall_ns / (int64_t)SEC, rest = wall_ns % (int64_t)SEC;

	if (rest < 0) {
		s--;
		rest += (int64_t)SEC;
	}
	*sec = (time_t)s;
	*us = (unsigned int)(rest / (int64_t)US);
}

char *dp_format_time(int64_t wall_ns, char *buf, size_t len)
{
	unsigned int us;
	struct tm tm;
	time_t sec;

	split(wall_ns, &sec, &us);
	/* 64 bits of nanoseconds end in 2262, so gmtime_r has no year that it cannot give. */
	if (!gmtime_r(&sec, &tm))
		tm = (struct tm){.tm_year = 70, .tm_mday = 1};
	snprintf(buf, len, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, us);
	return buf;
}

char *dp_format_local_time(int64_t wall_ns, char *buf, size_t len, int *ret_day)
{
	unsigned int us;
	struct tm tm;
	time_t sec;

	split(wall_ns, &sec, &us);
	if (!localtime_r(&sec, &tm))
		tm = (struct tm){.tm_year = 70, .tm_mday = 1};
	snprintf(buf, len, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec, us / 1000);
	*ret_day = (tm.tm_year + 1900) * 10000 + (tm.tm_mon + 1) * 100 + tm.tm_mday;
	return buf;
}

char *dp_format_signal(uint32_t sig, char *buf, size_t len)
{
	const char *name = sig > 0 && sig < 32 ? sigabbrev_np((int)sig) : NULL;

	if (name)
		snprintf(buf, len, "SIG%s", name);
	else if (sig >= (uint32_t)SIGRTMIN && sig <= (uint32_t)SIGRTMAX)
		snprintf(buf, len, "SIGRTMIN+%u", sig - (uint32_t)SIGRTMIN);
	else
		snprintf(buf, len, "signal %u", sig);
	return buf;
}

char *dp_format_token(const uint8_t token[DP_TOKEN_LEN], char *buf, size_t len)
{
	char text[37];

	dp_uuid_text(text, token);
	snprintf(buf, len, "%s", text);
	return buf;
}
