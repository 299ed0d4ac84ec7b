// SPDX-License-Identifier: MIT
/* A duration as people read it (duration.h). */
#include "base/duration.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "dora_probe/finding.h"

/* Parts of `unit` in ns; `up` 1 rounds up. Saturates instead of wrapping. */
static uint64_t parts(uint64_t ns, uint64_t unit, bool up)
{
	return ns / unit + (up && ns % unit ? 1 : 0);
}

/*
 * A duration is cut, not rounded, so that no proven time is ever printed longer than it was; the
 * upper end of a range (`up`) is rounded up for the same reason. Rounding up may carry into the
 * next unit (59.99 s): then that unit is used.
 */
static char *duration(uint64_t ns, bool up, char *buf, size_t len)
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

char *dp_duration_text(uint64_t ns, char *buf, size_t len)
{
	return duration(ns, false, buf, len);
}

char *dp_duration_text_up(uint64_t ns, char *buf, size_t len)
{
	return duration(ns, true, buf, len);
}

char *dp_duration_range(uint64_t lo_ns, uint64_t hi_ns, char *buf, size_t len)
{
	char lo[32], hi[32], *lo_unit, *hi_unit;

	duration(lo_ns, false, lo, sizeof(lo));
	duration(hi_ns, true, hi, sizeof(hi));
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
