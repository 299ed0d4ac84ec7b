// SPDX-License-Identifier: MIT
/* The ground floor's pure primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/pyfile.h"
#include "base/array.h"
#include "base/duration.h"
#include "base/hash.h"
#include "base/sentence.h"
#include "base/signals.h"
#include "base/units.h"
#include "base/utf8.h"

static void test_units_and_arrays(void **state)
{
	static const uint16_t three[3] = {1, 2, 3};
	static const struct {
		const char *name;
		int value;
	} one[] = {{"x", 1}};

	(void)state;
	_Static_assert(DP_COUNT_OF(three) == 3, "a constant");
	assert_int_equal(DP_COUNT_OF(one), 1);
	assert_true(US * 1000 == MS && MS * 1000 == SEC && SEC == 1000000000ULL);
	assert_true(SEC * 60 == MIN && MIN * 60 == HOUR && HOUR * 24 == DAY);
}

/* From the authors' own table (http://www.isthe.com/chongo/src/fnv/test_fnv.c). */
static void test_hash(void **state)
{
	(void)state;
	assert_true(dp_hash_text(DP_HASH_START, "") == 0xcbf29ce484222325ULL);
	assert_true(dp_hash_text(DP_HASH_START, NULL) == 0xcbf29ce484222325ULL);
	assert_true(dp_hash_text(DP_HASH_START, "a") == 0xaf63dc4c8601ec8cULL);
	assert_true(dp_hash_text(DP_HASH_START, "foobar") == 0x85944171f73967e8ULL);
	assert_true(dp_hash_bytes(DP_HASH_START, "foobar", 6) == 0x85944171f73967e8ULL);
	assert_true(dp_hash_bytes(dp_hash_text(DP_HASH_START, "foo"), "bar", 3) ==
		    0x85944171f73967e8ULL);
	assert_true(dp_hash_u32(DP_HASH_START, 0x64636261) == dp_hash_text(DP_HASH_START, "abcd"));
	assert_int_equal(dp_hash_fold(0x85944171f73967e8ULL), 0x85944171U ^ 0xf73967e8U);
}

static void test_utf8_decode(void **state)
{
	static const struct {
		const char *in;
		uint32_t c;
		size_t n;
	} rows[] = {
		{"a", 'a', 1},
		{"\xc2\xa0", 0xa0, 2},
		{"\xe2\x82\xac!", 0x20ac, 3},
		{"\xf0\x9f\xa4\x96", 0x1f916, 4},
		{"\xf4\x8f\xbf\xbf", 0x10ffff, 4},
		{"\x80", UINT32_MAX, 1},
		{"\xff", UINT32_MAX, 1},
		{"\xc0\x80", UINT32_MAX, 1},         /* over-long */
		{"\xe0\x9f\xbf", UINT32_MAX, 1},     /* over-long */
		{"\xf0\x8f\xbf\xbf", UINT32_MAX, 1}, /* over-long */
		{"\xed\xa0\x80", UINT32_MAX, 1},     /* surrogate */
		{"\xf4\x90\x80\x80", UINT32_MAX, 1}, /* beyond U+10FFFF */
		{"\xe2\x82", UINT32_MAX, 2},         /* ends with its NUL */
		{"\xf0\x9f\xa4x", UINT32_MAX, 3},
	};
	uint32_t c;

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		assert_int_equal(dp_utf8_decode(rows[i].in, SIZE_MAX, &c), rows[i].n);
		assert_int_equal(c, rows[i].c);
	}
	/* Not a byte more than is there. */
	assert_int_equal(dp_utf8_decode("\xe2\x82\xac", 2, &c), 2);
	assert_int_equal(c, UINT32_MAX);
	assert_int_equal(dp_utf8_decode("\xe2\x82\xac", 1, &c), 1);
	assert_int_equal(c, UINT32_MAX);
}

static void test_utf8_all_code_points(void **state)
{
	char s[5] = "";
	uint32_t back;

	(void)state;
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		size_t n = dp_utf8_encode(s, c);

		s[n] = '\0';
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		assert_int_equal(dp_utf8_decode(s, n, &back), n);
		assert_int_equal(back, c);
	}
}

static void test_utf8_may_show(void **state)
{
	static const uint32_t not [] = {
		0,      '\n',   0x1b,   0x7f,    0x80,    0x9b,     0x9f,       0x61c,
		0x200b, 0x200f, 0x2028, 0x202e,  0x2066,  0x2069,   0xd800,     0xdfff,
		0xfeff, 0xfff9, 0xfffb, 0xe0001, 0xe007f, 0x110000, UINT32_MAX,
	};
	static const uint32_t shown[] = {' ',    '~',    0xa0,   0xe9,    0x61b,   0x2010,
					 0x20ac, 0xfffd, 0xfffc, 0x1f916, 0x10ffff};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(not ); i++)
		assert_false(dp_utf8_may_show(not [i]));
	for (size_t i = 0; i < DP_COUNT_OF(shown); i++)
		assert_true(dp_utf8_may_show(shown[i]));
}

static void test_utf8_tail(void **state)
{
	char dst[16];

	(void)state;
	dp_utf8_tail(dst, sizeof(dst), "short", 5, false);
	assert_string_equal(dst, "short");
	dp_utf8_tail(dst, sizeof(dst), "short", 5, true);
	assert_string_equal(dst, "...short");
	dp_utf8_tail(dst, sizeof(dst), "/usr/lib/py3/x.py", 17, false);
	assert_string_equal(dst, ".../py3/x.py");
	/* Twelve bytes of room begin within the first of these: it goes whole. */
	dp_utf8_tail(dst, sizeof(dst), "ab\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac.", 15,
		     true);
	assert_string_equal(dst, "...\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac.");
	assert_int_equal(dp_utf8_cut("a\xe2\x82\xac", 3), 1);
	assert_int_equal(dp_utf8_cut("a\xe2\x82\xac", 4), 4);
}

/* The same words whether a line of text or a sentence says it. */
static void test_one_printer_of_durations(void **state)
{
	static const uint64_t each[] = {0,         999,     40 * US,    8345 * US,  300 * MS,
					5500 * MS, 4 * SEC, 59999 * MS, 3599 * SEC, 3 * DAY};
	char text[DP_DURATION_MAX], sentence[64];
	struct dp_sentence s;

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(each); i++) {
		dp_sentence_begin(&s, sentence, sizeof(sentence));
		dp_say_duration(&s, each[i]);
		assert_string_equal(sentence, dp_duration_text(each[i], text, sizeof(text)));
		dp_sentence_begin(&s, sentence, sizeof(sentence));
		dp_say_duration_up(&s, each[i] + 1);
		assert_string_equal(sentence, dp_duration_text_up(each[i] + 1, text, sizeof(text)));
	}
	dp_duration_text(5500 * MS, text, sizeof(text));
	assert_string_equal(text, "5.50 s");
}

static void test_signals(void **state)
{
	char text[24], sentence[24];
	struct dp_sentence s;

	(void)state;
	assert_string_equal(dp_signal_text(10, text, sizeof(text)), "SIGUSR1");
	for (uint32_t sig = 0; sig < 70; sig++) {
		dp_sentence_begin(&s, sentence, sizeof(sentence));
		dp_say_signal(&s, sig);
		assert_string_equal(sentence, dp_signal_text(sig, text, sizeof(text)));
		if (sig > 0 && sig < 32) {
			assert_memory_equal(text, "SIG", 3);
			assert_string_equal(text + 3, sigabbrev_np((int)sig));
		}
	}
}

static void whose_python_files_are(void **state)
{
	static const char *const libraries[] = {
		"/usr/lib/python3.11/threading.py",
		"/opt/x/lib64/python3.9/json/encoder.py",
		"/opt/x/lib/python3.13t/json/encoder.py",
		"/home/a/.venv/lib/python3.11/site-packages/torch/nn/functional.py",
		"/usr/lib/python3/dist-packages/yaml/__init__.py",
		"C:/python311.zip/os.py",
		"<frozen importlib._bootstrap>",
	};
	static const char *const own[] = {
		"/robot/nodes/vision.py",
		"vision.py",
		"<string>",
		"<stdin>",
		"",
		"/robot/python3.11/nodes/vision.py",
		"/robot/lib/vision.py",
		"/lib/python3.x/a.py",
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(libraries); i++)
		if (!dp_pyfile_is_library(libraries[i]))
			fail_msg("%s is taken for the user's", libraries[i]);
	for (size_t i = 0; i < DP_COUNT_OF(own); i++)
		if (dp_pyfile_is_library(own[i]))
			fail_msg("%s is taken for a library's", own[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose_python_files_are),
		cmocka_unit_test(test_units_and_arrays),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_one_printer_of_durations),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_utf8_decode),
		cmocka_unit_test(test_utf8_all_code_points),
		cmocka_unit_test(test_utf8_may_show),
		cmocka_unit_test(test_utf8_tail),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
