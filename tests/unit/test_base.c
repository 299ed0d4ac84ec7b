// SPDX-License-Identifier: MIT
/* The ground floor's pure primitives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_units_and_arrays),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
