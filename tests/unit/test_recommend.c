// SPDX-License-Identifier: MIT
/* Recommended grace, and the sentences that go with the guard. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/units.h"
#include "decide/recommend.h"
#include "base/sentence.h"

static void grace_of_one_node(void **state)
{
	static const struct {
		struct dp_measured m;
		int ret;
		uint64_t grace;
		const char *text;
	} rows[] = {
		{{.node = "camera",
		  .holds = 12,
		  .max_hold_ns = 2400 * MS,
		  .max_hold_function = "on_image",
		  .stops = 3,
		  .max_cleanup_ns = 1200 * MS,
		  .least_margin_ns = 6000000000,
		  .observable = 1},
		 0,
		 4500 * MS,
		 "4.50 s for node camera: longest hold 2.40 s in on_image, clean-up 1.20 s (3 stops), "
		 "plus 25 %"},
		/* Nobody has stopped it yet: dora's own clean-up is assumed, and said to be. */
		{{.node = "plot",
		  .holds = 1,
		  .max_hold_ns = 500 * MS,
		  .least_margin_ns = DP_SNULL,
		  .observable = 1},
		 0,
		 5000 * MS,
		 "5.00 s for node plot: longest hold 500 ms, clean-up 3.50 s assumed (no stop seen; "
		 "dora's own), plus 25 %"},
		/* A Rust node: no GIL, but its stop was measured. Never below a second. */
		{{.node = "driver",
		  .stops = 1,
		  .max_cleanup_ns = 30 * MS,
		  .least_margin_ns = 9900000000},
		 0,
		 1 * SEC,
		 "1.00 s for node driver: no hold, clean-up 30 ms (1 stop), plus 25 %"},
		{{.node = "late",
		  .stops = 1,
		  .max_cleanup_ns = 9600 * MS,
		  .least_margin_ns = 400000000,
		  .observable = 1},
		 0,
		 12 * SEC,
		 "12.0 s for node late: no hold, clean-up 9.60 s (1 stop), plus 25 %; it has left "
		 "only "
		 "400 ms before its deadline"},
		{{.node = "hog",
		  .holds = 4,
		  .max_hold_ns = SEC,
		  .hold_unfinished = 1,
		  .observable = 1},
		 -ENODATA,
		 0,
		 "node hog still held the GIL at the end: how long it needs was not seen"},
		{{.node = "hog",
		  .holds = 4,
		  .max_hold_ns = SEC,
		  .killed_after_ns = 10 * SEC,
		  .observable = 1},
		 -ENODATA,
		 0,
		 "node hog was killed 10.0 s after Stop: that it needs more is all that is known"},
		{{.node = "new", .observable = 1}, -ENODATA, 0, "node new gave nothing to measure"},
		{{.holds = 1,
		  .max_hold_ns = UINT64_MAX,
		  .stops = 1,
		  .max_cleanup_ns = SEC,
		  .least_margin_ns = DP_SNULL,
		  .observable = 1},
		 0,
		 UINT64_MAX - UINT64_MAX % (500 * MS),
		 NULL},
	};
	char text[DP_RECOMMENDATION_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		uint64_t grace = 77;
		int ret = dp_recommend(&rows[i].m, &grace, text, sizeof(text));

		if (ret != rows[i].ret || grace != (ret ? 77 : rows[i].grace))
			fail_msg("row %zu: %d, %llu ms", i, ret, (unsigned long long)(grace / MS));
		if (rows[i].text)
			assert_string_equal(text, rows[i].text);
	}
}

static void grace_of_a_dataflow_is_its_slowest_nodes(void **state)
{
	struct dp_measured m[] = {
		{.node = "a",
		 .stops = 1,
		 .max_cleanup_ns = SEC,
		 .least_margin_ns = DP_SNULL,
		 .observable = 1},
		{.node = "b",
		 .stops = 2,
		 .max_cleanup_ns = 4 * SEC,
		 .least_margin_ns = DP_SNULL,
		 .observable = 1},
		{.node = "rust"},
	};
	char text[DP_RECOMMENDATION_MAX];
	uint64_t grace = 77;

	(void)state;
	assert_int_equal(dp_recommend_all(m, 3, &grace, text, sizeof(text)), 0);
	assert_true(grace == 5 * SEC);
	assert_string_equal(text,
			    "5.00 s for node b: no hold, clean-up 4.00 s (2 stops), plus 25 %; "
			    "1 node gave nothing to measure");
	/* One node whose end was not seen leaves no figure for the whole. */
	m[0].hold_unfinished = 1;
	grace = 77;
	assert_int_equal(dp_recommend_all(m, 3, &grace, text, sizeof(text)), -ENODATA);
	assert_true(grace == 77);
	assert_non_null(strstr(text, "node a still held the GIL"));
	assert_int_equal(dp_recommend_all(m + 2, 1, &grace, text, sizeof(text)), -ENODATA);
	assert_int_equal(dp_recommend_all(m, 0, &grace, text, sizeof(text)), -ENODATA);
	assert_string_equal(text, "nothing was measured");
}

static void sentences_are_bounded(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} durations[] = {
		{0, "0 ns"},
		{40000, "40 µs"},
		{300 * MS, "300 ms"},
		{999499999, "999 ms"},
		{999500000, "999 ms"},
		{2540 * MS, "2.54 s"},
		{119940 * MS, "1 min 59 s"},
		{125 * SEC, "2 min 5 s"},
		{180 * SEC, "3 min 0 s"},
	};
	static const struct {
		uint32_t sig;
		const char *text;
	} signals[] = {{2, "SIGINT"},     {15, "SIGTERM"},    {31, "SIGSYS"},
		       {32, "signal 32"}, {34, "SIGRTMIN+0"}, {64, "SIGRTMIN+30"},
		       {65, "signal 65"}, {0, "signal 0"}};
	struct dp_place nowhere = {0}, native = {.library = "libfoo.so.1"};
	struct dp_sentence s;
	char buf[64], small[6];
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(durations); i++) {
		dp_sentence_begin(&s, buf, sizeof(buf));
		dp_say_duration(&s, durations[i].ns);
		assert_string_equal(buf, durations[i].text);
	}
	for (i = 0; i < DP_COUNT_OF(signals); i++) {
		dp_sentence_begin(&s, buf, sizeof(buf));
		dp_say_signal(&s, signals[i].sig);
		assert_string_equal(buf, signals[i].text);
	}
	dp_sentence_begin(&s, buf, sizeof(buf));
	dp_say_place(&s, &nowhere);
	dp_say(&s, "; ");
	dp_say_place(&s, &native);
	assert_string_equal(buf, "code that could not be read; native code of libfoo.so.1");
	/* Cut between characters: "\xc3\xbc" would be halved at 5 bytes. */
	dp_sentence_begin(&s, small, sizeof(small));
	dp_say(&s, "abcd\xc3\xbc!");
	assert_string_equal(small, "abcd");
	dp_say(&s, "xyz");
	assert_string_equal(small, "abcdx");
	dp_sentence_begin(&s, small, 1);
	dp_say(&s, "x");
	dp_say_u64(&s, UINT64_MAX);
	assert_string_equal(small, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grace_of_one_node),
		cmocka_unit_test(grace_of_a_dataflow_is_its_slowest_nodes),
		cmocka_unit_test(sentences_are_bounded),
	};

	return cmocka_run_group_tests_name("recommend", tests, NULL, NULL);
}
