// SPDX-License-Identifier: MIT
/* Durations, times, sizes and signals for people and for JSON (show.h). */
#include "base/array.h"
#include "base/signals.h"
#include "base/units.h"
#include "base/uuid.h"
#include "show/render.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

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

uint64_t dp_hold_duration(const struct dp_hold_finding *h)
{
	return h->start_ns == DP_NULL || h->end_ns == DP_NULL || h->end_ns < h->start_ns
		       ? 0
		       : h->end_ns - h->start_ns;
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
	return dp_signal_text(sig, buf, len);
}

int dp_token_is_known(const uint8_t token[DP_TOKEN_LEN])
{
	static const uint8_t none[DP_TOKEN_LEN];

	return memcmp(token, none, sizeof(none)) != 0;
}

char *dp_format_token(const uint8_t token[DP_TOKEN_LEN], char *buf, size_t len)
{
	char text[37];

	dp_uuid_text(text, token);
	snprintf(buf, len, "%s", text);
	return buf;
}
