// SPDX-License-Identifier: MIT
/* The values of options: tables of good and of bad input. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "cli/values.h"

#define MS  1000000ULL
#define SEC (1000 * MS)

static void test_duration(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint64_t ns;
	} rows[] = {
		{"300ms", 0, 300 * MS},
		{"2s", 0, 2 * SEC},
		{"1m30s", 0, 90 * SEC},
		{"0s", 0, 0},
		{"0ms", 0, 0},
		{"15us", 0, 15000},
		{"1h", 0, 3600 * SEC},
		{"1h2m3s4ms5us", 0, 3723 * SEC + 4 * MS + 5000},
		{"007s", 0, 7 * SEC},
		{"90m", 0, 5400 * SEC},
		{"9223372036s", 0, 9223372036ULL * SEC},
		{"", -EINVAL, 0},
		{"5", -EINVAL, 0},
		{"0", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"-5ms", -EINVAL, 0},
		{"+5ms", -EINVAL, 0},
		{" 5ms", -EINVAL, 0},
		{"5ms ", -EINVAL, 0},
		{"5 ms", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"1,5s", -EINVAL, 0},
		{"50xs", -EINVAL, 0},
		{"5S", -EINVAL, 0},
		{"5ns", -EINVAL, 0},
		{"5min", -EINVAL, 0},
		{"30s1m", -EINVAL, 0},
		{"1s1s", -EINVAL, 0},
		{"1m30", -EINVAL, 0},
		{"0x10s", -EINVAL, 0},
		{"1e3s", -EINVAL, 0},
		{"inf", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"5ms\n", -EINVAL, 0},
		{"99999999999999999999999999999999s", -EINVAL, 0}, /* no number at all */
		{"99999999999999999999s", -ERANGE, 0},
		{"9223372037s", -ERANGE, 0},
		{"9223372036s999ms", -ERANGE, 0},
		{"2562048h", -ERANGE, 0},
		{"99999999999999999999s5", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		uint64_t ns = 4711;
		int err = dp_parse_duration(rows[i].s, &ns);

		if (err != rows[i].err || ns != (err ? 4711 : rows[i].ns))
			fail_msg("\"%s\": %d, %llu ns", rows[i].s, err, (unsigned long long)ns);
	}
}

static void test_number(void **state)
{
	static const struct {
		const char *s;
		int err;
	} rows[] = {
		{"1", 0},
		{"10", 0},
		{"5", 0},
		{"005", 0},
		{"0", -ERANGE},
		{"11", -ERANGE},
		{"", -EINVAL},
		{"-1", -EINVAL},
		{"+1", -EINVAL},
		{" 1", -EINVAL},
		{"1 ", -EINVAL},
		{"0x1", -EINVAL},
		{"1.0", -EINVAL},
		{"one", -EINVAL},
		{"18446744073709551616", -ERANGE},
		{"18446744073709551617", -ERANGE},
		{"99999999999999999999x", -EINVAL},
	};
	uint64_t v = 0;

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++)
		if (dp_parse_u64(rows[i].s, 1, 10, &v) != rows[i].err)
			fail_msg("\"%s\"", rows[i].s);
	assert_int_equal(dp_parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

static void test_signal(void **state)
{
	static const struct {
		const char *s;
		int err;
		uint32_t sig;
	} rows[] = {
		{"INT", 0, 2},
		{"SIGINT", 0, 2},
		{"int", 0, 2},
		{"sigusr1", 0, 10},
		{"2", 0, 2},
		{"64", 0, 64},
		{"TERM", 0, 15},
		{"KILL", -EPERM, 0},
		{"SIGKILL", -EPERM, 0},
		{"9", -EPERM, 0},
		{"STOP", -EPERM, 0},
		{"19", -EPERM, 0},
		{"0", -EINVAL, 0},
		{"65", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"SIG", -EINVAL, 0},
		{"INTX", -EINVAL, 0},
		{"-2", -EINVAL, 0},
		{"SIGSIGINT", -EINVAL, 0},
		{"SIG2", -EINVAL, 0},
		{" INT", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		uint32_t sig = 0;

		if (dp_parse_signal(rows[i].s, &sig) != rows[i].err || sig != rows[i].sig)
			fail_msg("\"%s\": %u", rows[i].s, sig);
	}
}

static void test_listen(void **state)
{
	static const struct {
		const char *s, *addr;
		uint16_t port;
	} rows[] = {
		{"127.0.0.1:9469", "127.0.0.1", 9469},
		{"[::1]:9469", "::1", 9469},
		{"0.0.0.0:65535", "0.0.0.0", 65535},
		{"[::ffff:1.2.3.4]:1", "::ffff:1.2.3.4", 1},
		{"here", NULL, 0},
		{"", NULL, 0},
		{":", NULL, 0},
		{":9469", NULL, 0},
		{"127.0.0.1", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"127.0.0.1:0", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:99999", NULL, 0},
		{"127.0.0.1:+1", NULL, 0},
		{"127.0.0.1:1x", NULL, 0},
		{"999.0.0.1:9469", NULL, 0},
		{"127.1:9469", NULL, 0},
		{"localhost:9469", NULL, 0},
		{"::1:9469", NULL, 0},
		{"[::1:9469", NULL, 0},
		{"[]:1", NULL, 0},
		{"[:1", NULL, 0},
		{"[127.0.0.1]:1", NULL, 0},
		{"[::1]x:1", NULL, 0},
		{"1111111111111111111111111111111111111111111111111111111:1", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		char addr[64] = "untouched";
		uint16_t port = 7;
		int err = dp_parse_listen(rows[i].s, addr, sizeof(addr), &port);

		if (err != (rows[i].addr ? 0 : -EINVAL) ||
		    strcmp(addr, rows[i].addr ? rows[i].addr : "untouched") != 0 ||
		    port != (rows[i].addr ? rows[i].port : 7))
			fail_msg("\"%s\": %d %s %u", rows[i].s, err, addr, port);
	}
	assert_int_equal(dp_parse_listen("127.0.0.1:1", (char[4]){0}, 4, &(uint16_t){0}), -EINVAL);
}

static const char *colour(unsigned int v)
{
	static const char *const names[] = {"red", "green", "blue"};

	return v < 3 ? names[v] : "?";
}

/* Limits that no option has today: each sentence is true of any. */
static void test_limits(void **state)
{
	static const struct {
		dp_value_parser *read;
		struct dp_value_limits limits;
		const char *s, *why; /* NULL: it is taken */
	} rows[] = {
		{dp_value_duration, {.min = 10 * MS, .max = SEC}, "10ms", NULL},
		{dp_value_duration, {.min = 10 * MS, .max = SEC}, "1s", NULL},
		{dp_value_duration,
		 {.min = 10 * MS, .max = SEC},
		 "9999us",
		 "must be at least 10 ms"},
		{dp_value_duration, {.min = 1, .max = SEC}, "0s", "must be longer than nothing"},
		{dp_value_duration, {.min = 1, .max = SEC}, "1s1us", "the duration is too long"},
		{dp_value_percent, {.min = 5, .max = 20}, "5.1", NULL},
		{dp_value_percent, {.min = 5, .max = 20}, "20", NULL},
		{dp_value_percent,
		 {.min = 5, .max = 20},
		 "5",
		 "a number of per cent above 5, up to 20"},
		{dp_value_percent, {.min = 5, .max = 20}, "4.9", "a number of per cent above 5"},
		{dp_value_percent, {.min = 5, .max = 20}, "20.1", "a number of per cent above 5"},
		{dp_value_choice, {.max = 2, .name = colour}, "blue", NULL},
		{dp_value_choice, {.max = 2, .name = colour}, "blu", "must be red, green or blue"},
		{dp_value_choice, {.max = 1, .name = colour}, "blue", "must be red or green"},
		{dp_value_choice,
		 {.min = 1, .max = 2, .name = colour},
		 "red",
		 "must be green or blue"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		uint64_t value = 0x5A5A5A5A5A5A5A5A;
		char why[DP_VALUE_WHY_MAX] = "";
		int err = rows[i].read(rows[i].s, &rows[i].limits, &value, why, sizeof(why));

		if (!rows[i].why
			    ? err != 0
			    : err >= 0 || !strstr(why, rows[i].why) || value != 0x5A5A5A5A5A5A5A5A)
			fail_msg("\"%s\": %d %s", rows[i].s, err, why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration), cmocka_unit_test(test_number),
		cmocka_unit_test(test_signal),   cmocka_unit_test(test_listen),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
