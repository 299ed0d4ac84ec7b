/* SPDX-License-Identifier: MIT */
/*
 * Values of options, from the words of a command line. All parsers are strict: nothing before or
 * after the value, no bare number for a duration, nothing outside the limits. A parser that refuses
 * leaves its result untouched.
 */
#ifndef DORA_PROBE_VALUES_H
#define DORA_PROBE_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "sense/wanted.h"

/* PID_MAX_LIMIT of a 64-bit kernel (include/linux/threads.h). */
#define DP_PID_MAX 4194304

/* Bytes that hold every sentence below. */
#define DP_VALUE_WHY_MAX 256

/* What a value may be; the unit is the parser's. */
struct dp_value_limits {
	uint64_t min, max;
	/* Parsers of one word out of a list: its words are name(min) to name(max). */
	const char *(*name)(unsigned int v);
};

/*
 * Reads `s` into *ret, whose type is the parser's. 0, or -EINVAL or -ERANGE and in `why` what is
 * wrong with the value: a sentence without the option's name, which the caller puts before it.
 */
typedef int dp_value_parser(const char *s, const struct dp_value_limits *limits, void *ret,
			    char *why, size_t why_len);

dp_value_parser dp_value_duration; /* uint64_t, ns; limits in ns */
dp_value_parser dp_value_text;     /* const char *, points to `s`; not empty */
dp_value_parser dp_value_listen;   /* const char *, points to `s`; an address and a port */
dp_value_parser dp_value_percent;  /* double; above min, up to max */
dp_value_parser dp_value_signal;   /* uint32_t */
dp_value_parser dp_value_choice;   /* uint8_t: the index of the word */
dp_value_parser dp_value_pids;     /* struct dp_pid_list; adds; limits of one pid */
dp_value_parser dp_value_name;     /* struct dp_name_list; adds; limits of the bytes of one name */

/* "300ms", "2s", "1m30s", "0s": 0 and ns, or -EINVAL, -ERANGE. Also "us", "h". No bare numbers. */
int dp_parse_duration(const char *s, uint64_t *ret_ns);
/* Whole decimal number in [min, max], nothing before or after: 0, -EINVAL, -ERANGE. */
int dp_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
/* "INT", "SIGINT", "2" … without KILL and STOP: 0, -EINVAL unknown, -EPERM not allowed. */
int dp_parse_signal(const char *s, uint32_t *ret);
/* "127.0.0.1:9469", "[::1]:9469": 0 or -EINVAL. */
int dp_parse_listen(const char *s, char *addr, size_t addr_len, uint16_t *ret_port);

#endif
