// SPDX-License-Identifier: MIT
/* Durations, ranges, times, sizes, signals and strings as people read them. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/duration.h"
#include "base/signals.h"
#include "findings.h"
#include "show/line.h"

static void test_duration(void **state)
{
	static const struct {
		uint64_t ns;
		const char *down, *up;
	} rows[] = {
		{0, "0 ns", "0 ns"},
		{999, "999 ns", "999 ns"},
		{1000, "1 µs", "1 µs"},
		{310 * 1000, "310 µs", "310 µs"},
		{310 * 1000 + 1, "310 µs", "311 µs"},
		{999999, "999 µs", "1.0 ms"},
		{MS, "1.0 ms", "1.0 ms"},
		{9950 * 1000, "9.9 ms", "10 ms"},
		{45 * MS, "45 ms", "45 ms"},
		{49999999, "49 ms", "50 ms"},
		{999999999, "999 ms", "1.00 s"},
		{1230 * MS, "1.23 s", "1.23 s"},
		{1239 * MS, "1.23 s", "1.24 s"},
		{9999999999ULL, "9.99 s", "10.0 s"},
		{12340 * MS, "12.3 s", "12.4 s"},
		{59999999999ULL, "59.9 s", "1 min 0 s"},
		{125 * SEC, "2 min 5 s", "2 min 5 s"},
		{3600 * SEC - 1, "59 min 59 s", "1 h 0 min"},
		{3720 * SEC, "1 h 2 min", "1 h 2 min"},
		{48 * 3600 * SEC, "2 d 0 h", "2 d 0 h"},
		{UINT64_MAX - 1, "213503 d 23 h", "213504 d 0 h"},
		{DP_NULL, "unknown time", "unknown time"},
	};
	char buf[40];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		assert_string_equal(dp_duration_text(rows[i].ns, buf, sizeof(buf)), rows[i].down);
		assert_string_equal(dp_duration_text_up(rows[i].ns, buf, sizeof(buf)), rows[i].up);
	}
}

static void test_range(void **state)
{
	char buf[96];

	(void)state;
	assert_string_equal(dp_duration_range(1200 * MS, 1245 * MS, buf, sizeof(buf)),
			    "between 1.20 and 1.25 s");
	assert_string_equal(dp_duration_range(1200 * MS, 1200 * MS, buf, sizeof(buf)), "1.20 s");
	assert_string_equal(dp_duration_range(900 * MS, 1100 * MS, buf, sizeof(buf)),
			    "between 900 ms and 1.10 s");
	assert_string_equal(dp_duration_range(59 * SEC, 62 * SEC, buf, sizeof(buf)),
			    "between 59.0 s and 1 min 2 s");
}

static void test_time(void **state)
{
	char buf[64];
	int day;

	(void)state;
	assert_string_equal(dp_format_time(1795417347123456789LL, buf, sizeof(buf)),
			    "2026-11-23T07:02:27.123456Z");
	assert_string_equal(dp_format_time(0, buf, sizeof(buf)), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(dp_format_time(-1, buf, sizeof(buf)), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(dp_format_time(951782400LL * 1000000000, buf, sizeof(buf)),
			    "2000-02-29T00:00:00.000000Z");
	assert_string_equal(dp_format_time(INT64_MAX, buf, sizeof(buf)),
			    "2262-04-11T23:47:16.854775Z");
	assert_string_equal(dp_format_time(INT64_MIN, buf, sizeof(buf)),
			    "1677-09-21T00:12:43.145224Z");

	setenv("TZ", "XYZ-14", 1); /* fourteen hours east */
	tzset();
	assert_string_equal(dp_format_local_time(1795417347123456789LL, buf, sizeof(buf), &day),
			    "21:02:27.123");
	assert_int_equal(day, 20261123);
	dp_format_local_time(1795417347123456789LL + (int64_t)(3 * 3600 * SEC), buf, sizeof(buf),
			     &day);
	assert_int_equal(day, 20261124);
	setenv("TZ", "UTC", 1);
	tzset();
}

static void test_bytes_and_signals(void **state)
{
	char buf[40];

	(void)state;
	assert_string_equal(dp_format_bytes(0, buf, sizeof(buf)), "0 B");
	assert_string_equal(dp_format_bytes(999, buf, sizeof(buf)), "999 B");
	assert_string_equal(dp_format_bytes(4096, buf, sizeof(buf)), "4.0 kB");
	assert_string_equal(dp_format_bytes(1999999, buf, sizeof(buf)), "1.9 MB");
	assert_string_equal(dp_format_bytes(12345678, buf, sizeof(buf)), "12 MB");
	assert_string_equal(dp_format_bytes(UINT64_MAX, buf, sizeof(buf)), "18 EB");
	assert_string_equal(dp_signal_text(2, buf, sizeof(buf)), "SIGINT");
	assert_string_equal(dp_signal_text(9, buf, sizeof(buf)), "SIGKILL");
	assert_string_equal(dp_signal_text(37, buf, sizeof(buf)), "SIGRTMIN+3");
	assert_string_equal(dp_signal_text(0, buf, sizeof(buf)), "signal 0");
	assert_string_equal(dp_signal_text(UINT32_MAX, buf, sizeof(buf)), "signal 4294967295");
}

static const char *as(size_t (*fn)(struct dp_line *, const char *), const char *s, size_t *columns)
{
	static char text[256];
	struct dp_line l = {.limit = sizeof(text) - 1};

	*columns = fn(&l, s);
	assert_int_equal(l.error, 0);
	memcpy(text, l.data ? l.data : "", l.len);
	text[l.len] = '\0';
	dp_line_free(&l);
	return text;
}

static size_t json(struct dp_line *l, const char *s)
{
	dp_line_json(l, s);
	return 0;
}

static void test_strings(void **state)
{
	static const struct {
		const char *in, *json, *text;
		size_t columns;
	} rows[] = {
		{"", "\"\"", "", 0},
		{"camera", "\"camera\"", "camera", 6},
		{"a\"b\\c", "\"a\\\"b\\\\c\"", "a\"b\\c", 5},
		{"a\nb\tc", "\"a\\nb\\tc\"", "a\\x0ab\\x09c", 11},
		{"\033]0;x\a", "\"\\u001b]0;x\\u0007\"", "\\x1b]0;x\\x07", 12},
		{"\x7f", "\"\\u007f\"", "\\x7f", 4},
		{"\xc2\x9bm", "\"\\u009bm\"", "\\x9bm", 5},
		{"\xc3\xa9\xe2\x82\xac", "\"\xc3\xa9\xe2\x82\xac\"", "\xc3\xa9\xe2\x82\xac", 2},
		{"\xe2\x80\xae"
		 "x",
		 "\"\\u202ex\"", "\\u202ex", 7},
		{"\xf3\xa0\x80\xa0", "\"\\udb40\\udc20\"", "\\ue0020", 7},
		{"\xff", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd", 1},
		{"\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"", "\xef\xbf\xbd\xef\xbf\xbd", 2},
		{"\xe2\x82", "\"\xef\xbf\xbd\"", "\xef\xbf\xbd", 1},
		{"\xe2\x82"
		 "A",
		 "\"\xef\xbf\xbd"
		 "A\"",
		 "\xef\xbf\xbd"
		 "A",
		 2},
		{"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3},
	};
	size_t columns;

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		assert_string_equal(as(json, rows[i].in, &columns), rows[i].json);
		assert_string_equal(as(dp_line_text, rows[i].in, &columns), rows[i].text);
		assert_int_equal(columns, rows[i].columns);
	}
	assert_string_equal(as(json, NULL, &columns), "null");
}

/* No string of up to three bytes leaves anything that a terminal would act on. */
static void test_all_short_strings(void **state)
{
	struct dp_line l = {.limit = 4096};

	(void)state;
	for (unsigned int v = 0; v < 1u << 24; v += v < 1u << 16 ? 1 : 251) {
		const char s[4] = {(char)(v & 0xFF), (char)(v >> 8 & 0xFF), (char)(v >> 16)};

		dp_line_reset(&l);
		dp_line_text(&l, s);
		dp_line_json(&l, s);
		assert_int_equal(l.error, 0);
		for (size_t i = 0; i < l.len; i++) {
			unsigned char c = (unsigned char)l.data[i];

			assert_true(c >= 0x20 && c != 0x7F);
			assert_false(c == 0xC2 && (unsigned char)l.data[i + 1] < 0xA0);
		}
	}
	dp_line_free(&l);
}

static void test_line_limits(void **state)
{
	struct dp_line l = {.limit = 10};

	(void)state;
	dp_line_str(&l, "12345");
	dp_line_str(&l, "67890");
	assert_int_equal(l.error, 0);
	dp_line_str(&l, "1");
	assert_int_equal(l.error, -E2BIG);
	dp_line_str(&l, "");
	assert_int_equal(l.error, -E2BIG); /* sticks */
	assert_int_equal(l.len, 10);
	dp_line_reset(&l);
	dp_line_fmt(&l, "%u", 7u);
	assert_int_equal(l.error, 0);
	assert_int_equal(l.len, 1);
	dp_line_fmt(&l, "%600u", 7u);
	assert_int_equal(l.error, -E2BIG);
	dp_line_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_duration),    cmocka_unit_test(test_range),
		cmocka_unit_test(test_time),        cmocka_unit_test(test_bytes_and_signals),
		cmocka_unit_test(test_strings),     cmocka_unit_test(test_all_short_strings),
		cmocka_unit_test(test_line_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
