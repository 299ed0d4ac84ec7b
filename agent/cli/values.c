// SPDX-License-Identifier: MIT
/* Values of options (values.h). */
#include "cli/values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/duration.h"
#include "base/signals.h"
#include "base/units.h"
#include "base/utf8.h"

/* ---- what a value is ------------------------------------------------------------------------ */

int dp_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	/* All characters are looked at before the range, so "99999999999999999999x" is EINVAL. */
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	for (; *s; s++) {
		uint64_t digit = (uint64_t)(*s - '0');

		if (v > (UINT64_MAX - digit) / 10)
			return -ERANGE;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return -ERANGE;
	*ret = v;
	return 0;
}

int dp_parse_duration(const char *s, uint64_t *ret_ns)
{
	/* Longest names first, so that "ms" is not read as "m" and "s". */
	static const struct {
		const char *name;
		unsigned int rank; /* each may follow only a larger one */
		uint64_t ns;
	} units[] = {
		{"ms", 2, MS},      {"us", 1, 1000},      {"s", 3, SEC},
		{"m", 4, 60 * SEC}, {"h", 5, 3600 * SEC},
	};
	unsigned int last_rank = 6;
	uint64_t total = 0;
	bool too_large = false;

	if (!*s)
		return -EINVAL;
	while (*s) {
		char digits[32];
		uint64_t n = 0;
		size_t len = strspn(s, "0123456789"), u;
		int err;

		if (len == 0 || len >= sizeof(digits))
			return -EINVAL;
		memcpy(digits, s, len);
		digits[len] = '\0';
		err = dp_parse_u64(digits, 0, INT64_MAX, &n);
		if (err == -EINVAL)
			return err;
		s += len;
		for (u = 0; u < DP_COUNT_OF(units); u++)
			if (strncmp(s, units[u].name, strlen(units[u].name)) == 0)
				break;
		if (u == DP_COUNT_OF(units) || units[u].rank >= last_rank)
			return -EINVAL;
		last_rank = units[u].rank;
		s += strlen(units[u].name);
		if (err || n > (INT64_MAX - total) / units[u].ns)
			too_large = true;
		else
			total += n * units[u].ns;
	}
	if (too_large)
		return -ERANGE;
	*ret_ns = total;
	return 0;
}

int dp_parse_signal(const char *s, uint32_t *ret)
{
	const char *name = strncasecmp(s, "SIG", 3) == 0 ? s + 3 : s;
	uint64_t n = 0;
	int err = dp_parse_u64(s, 1, 64, &n);

	if (err == -ERANGE)
		return -EINVAL;
	for (int i = 1; err && i < 32; i++) {
		char known[20];

		dp_signal_text((uint32_t)i, known, sizeof(known));
		if (strncmp(known, "SIG", 3) == 0 && strcasecmp(name, known + 3) == 0) {
			n = (uint64_t)i;
			err = 0;
		}
	}
	if (err)
		return -EINVAL;
	if (n == SIGKILL || n == SIGSTOP)
		return -EPERM;
	*ret = (uint32_t)n;
	return 0;
}

int dp_parse_listen(const char *s, char *addr, size_t addr_len, uint16_t *ret_port)
{
	const char *colon = strrchr(s, ':');
	unsigned char bytes[16];
	char host[INET6_ADDRSTRLEN];
	int family = AF_INET;
	uint64_t port;
	size_t len;

	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - s);
	if (*s == '[') {
		if (len < 2 || colon[-1] != ']')
			return -EINVAL;
		s++;
		len -= 2;
		family = AF_INET6;
	}
	if (len == 0 || len >= sizeof(host))
		return -EINVAL;
	memcpy(host, s, len);
	host[len] = '\0';
	if (inet_pton(family, host, bytes) != 1 || dp_parse_u64(colon + 1, 1, 65535, &port) < 0 ||
	    strlen(host) >= addr_len)
		return -EINVAL;
	memcpy(addr, host, len + 1);
	*ret_port = (uint16_t)port;
	return 0;
}

/* "1", "0.5", "12.25", in (min, max]. */
static int parse_decimal(const char *s, uint64_t min, uint64_t max, double *ret)
{
	char whole[8], fraction[8] = "0";
	size_t len = strspn(s, "0123456789");
	uint64_t w, f, scale = 1;

	if (len == 0 || len >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, s, len);
	whole[len] = '\0';
	if (s[len] == '.') {
		if (snprintf(fraction, sizeof(fraction), "%s", s + len + 1) >=
		    (int)sizeof(fraction))
			return -EINVAL;
	} else if (s[len]) {
		return -EINVAL;
	}
	if (dp_parse_u64(whole, 0, UINT64_MAX, &w) < 0 ||
	    dp_parse_u64(fraction, 0, UINT64_MAX, &f) < 0)
		return -EINVAL;
	for (size_t i = 0; i < strlen(fraction); i++)
		scale *= 10;
	if (w > max || (w == max && f) || w < min || (w == min && f == 0))
		return -ERANGE;
	*ret = (double)w + (double)f / (double)scale;
	return 0;
}

/* ---- what is wrong with a value ------------------------------------------------------------- */

int dp_value_duration(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		      size_t why_len)
{
	char least[32];
	uint64_t ns = 0;
	int err = dp_parse_duration(s, &ns);

	if (err == -EINVAL) {
		snprintf(why, why_len, "not a duration; write for example 300ms, 2s or 1m30s");
		return err;
	}
	if (err < 0 || ns > limits->max) {
		snprintf(why, why_len, "the duration is too long");
		return -ERANGE;
	}
	if (ns < limits->min) {
		if (limits->min == 1)
			snprintf(why, why_len, "must be longer than nothing");
		else
			snprintf(why, why_len, "must be at least %s",
				 dp_duration_text_up(limits->min, least, sizeof(least)));
		return -ERANGE;
	}
	*(uint64_t *)ret = ns;
	return 0;
}

int dp_value_text(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		  size_t why_len)
{
	(void)limits;
	if (!*s) {
		snprintf(why, why_len, "must not be empty");
		return -EINVAL;
	}
	*(const char **)ret = s;
	return 0;
}

int dp_value_listen(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		    size_t why_len)
{
	char addr[INET6_ADDRSTRLEN];
	uint16_t port;

	(void)limits;
	if (dp_parse_listen(s, addr, sizeof(addr), &port) < 0) {
		snprintf(why, why_len,
			 "must be ADDRESS:PORT, for example 127.0.0.1:9469 or [::1]:9469");
		return -EINVAL;
	}
	*(const char **)ret = s;
	return 0;
}

int dp_value_percent(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		     size_t why_len)
{
	int err = parse_decimal(s, limits->min, limits->max, ret);

	if (err < 0)
		snprintf(why, why_len, "must be a number of per cent above %llu, up to %llu",
			 (unsigned long long)limits->min, (unsigned long long)limits->max);
	return err;
}

int dp_value_signal(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		    size_t why_len)
{
	int err = dp_parse_signal(s, ret);

	(void)limits;
	if (err == -EPERM)
		snprintf(why, why_len, "dora-probe never sends SIGKILL or SIGSTOP");
	else if (err < 0)
		snprintf(why, why_len, "no such signal; write for example INT or USR1");
	return err < 0 ? -EINVAL : 0;
}

int dp_value_choice(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		    size_t why_len)
{
	const unsigned int min = (unsigned int)limits->min, max = (unsigned int)limits->max;
	size_t len;

	for (unsigned int v = min; v <= max; v++) {
		if (strcmp(s, limits->name(v)) == 0) {
			*(uint8_t *)ret = (uint8_t)v;
			return 0;
		}
	}
	snprintf(why, why_len, "must be %s", limits->name(min));
	for (unsigned int v = min + 1; v <= max; v++) {
		len = strlen(why);
		snprintf(why + len, why_len - len, "%s%s", v == max ? " or " : ", ",
			 limits->name(v));
	}
	return -EINVAL;
}

static int add_pid(struct dp_pid_list *list, const char *piece,
		   const struct dp_value_limits *limits, char *why, size_t why_len)
{
	uint64_t pid = 0;
	int err = dp_parse_u64(piece, limits->min, limits->max, &pid);

	if (err < 0) {
		snprintf(why, why_len, "\"%s\" is not a process id", piece);
		return err;
	}
	for (unsigned int i = 0; i < list->count; i++)
		if ((uint64_t)list->pid[i] == pid)
			return 0;
	if (list->count == DP_MAX_TARGETS) {
		snprintf(why, why_len, "more than %d processes", DP_MAX_TARGETS);
		return -ERANGE;
	}
	list->pid[list->count++] = (pid_t)pid;
	return 0;
}

int dp_value_pids(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		  size_t why_len)
{
	struct dp_pid_list list = *(const struct dp_pid_list *)ret;

	for (;;) {
		size_t len = strcspn(s, ",");
		char piece[32];
		int err;

		snprintf(piece, sizeof(piece), "%.*s", (int)(len < 31 ? len : 31), s);
		err = add_pid(&list, piece, limits, why, why_len);
		if (err < 0)
			return err;
		if (!s[len])
			break;
		s += len + 1;
	}
	*(struct dp_pid_list *)ret = list;
	return 0;
}

int dp_value_name(const char *s, const struct dp_value_limits *limits, void *ret, char *why,
		  size_t why_len)
{
	struct dp_name_list *list = ret;
	size_t len = strlen(s);

	if (len < limits->min) {
		snprintf(why, why_len, "must not be empty");
		return -ERANGE;
	}
	if (len > limits->max) {
		snprintf(why, why_len, "longer than %llu bytes", (unsigned long long)limits->max);
		return -ERANGE;
	}
	if (list->count == DP_NAMES_MAX) {
		snprintf(why, why_len, "given more than %d times", DP_NAMES_MAX);
		return -ERANGE;
	}
	/* As a node's own configuration is read. */
	dp_utf8_name(list->name[list->count++], sizeof(list->name[0]), s, len);
	return 0;
}
