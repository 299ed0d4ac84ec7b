// SPDX-License-Identifier: MIT
/* The ground floor's pure primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/units.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_and_arrays),
		cmocka_unit_test(test_hash),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
