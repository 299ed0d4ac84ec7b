// SPDX-License-Identifier: MIT
/* A source that a process floods is left alone, for longer each time, and looked at again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "sense/governor.h"

static const struct governor_limits limits = {.per_second = {1000, 1000, 5000}};

/* So many of one kind in each tick of a second that begins at `from`; what is left alone at its end. */
static uint32_t second(struct governor *g, enum governed i, uint32_t per_tick, uint64_t from)
{
	uint32_t ret = 0;

	for (int tick = 1; tick <= 100; tick++) {
		uint64_t now = from + (uint64_t)tick * 10 * MS;

		governor_count(g, i, per_tick, now);
		ret = governor_tick(g, &limits, now);
	}
	return ret;
}

static void test_what_is_no_flood(void **state)
{
	struct governor g = {0};

	(void)state;
	for (uint64_t s = 100; s < 200; s++)
		assert_int_equal(second(&g, GOVERNED_SOCKETS, 10, s * SEC), 0);
}

static void test_each_flood_alone(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < GOVERNED_COUNT; i++) {
		struct governor g = {0};
		char text[192];

		assert_int_equal(second(&g, (enum governed)i, 60, 100 * SEC), 1u << i);
		governor_says(&g, (enum governed)i, text, sizeof(text));
		assert_non_null(strstr(text, "times a second: left alone for 5 s"));
		assert_true(strlen(text) < sizeof(text) - 1);
	}
}

/* An agent that was stopped for ten seconds finds what the ring has kept of them in one tick. */
static void test_late_agent(void **state)
{
	struct governor g = {0};

	(void)state;
	for (uint64_t t = 100 * SEC; t < 110 * SEC; t += MS)
		governor_count(&g, GOVERNED_SOCKETS, 1, t);
	assert_true(governor_has_counted(&g));
	assert_int_equal(governor_tick(&g, &limits, 110 * SEC), 0);
	assert_false(governor_has_counted(&g));
	for (uint64_t t = 110 * SEC; t < 120 * SEC; t += MS)
		governor_count(&g, GOVERNED_SOCKETS, t < 111 * SEC ? 2 : 1, t);
	assert_int_equal(governor_tick(&g, &limits, 120 * SEC), 1u << GOVERNED_SOCKETS);
}

static void test_longer_each_time_and_forgiven(void **state)
{
	static const unsigned int expected[] = {5, 10, 20, 40, 80, 80};
	struct governor g = {0};
	uint64_t now = 100 * SEC;

	(void)state;
	for (unsigned int i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		governor_count(&g, GOVERNED_REGIONS, 1001, now);
		assert_int_equal(governor_tick(&g, &limits, now), 1u << GOVERNED_REGIONS);
		now += expected[i] * SEC;
		/* What came in before the kernel knew does not count again. */
		governor_count(&g, GOVERNED_REGIONS, 1001, now - 1);
		assert_int_equal(governor_tick(&g, &limits, now - 1), 1u << GOVERNED_REGIONS);
		assert_int_equal(governor_tick(&g, &limits, now), 0);
	}
	now += 61 * SEC;
	governor_tick(&g, &limits, now);
	governor_count(&g, GOVERNED_REGIONS, 1001, now);
	assert_int_equal(governor_tick(&g, &limits, now + MS), 1u << GOVERNED_REGIONS);
	assert_int_equal(governor_tick(&g, &limits, now + MS + 5 * SEC), 0);
}

static void test_budget(void **state)
{
	struct governor_limits l;
	struct governor g = {0};

	(void)state;
	governor_limits(1, &l);
	assert_int_equal(l.per_second[GOVERNED_SOCKETS], 100000);
	assert_int_equal(l.per_second[GOVERNED_SWITCHES], 250000);
	/* 0: as much as they like. */
	governor_limits(0, &l);
	governor_count(&g, GOVERNED_SOCKETS, UINT32_MAX, SEC);
	assert_int_equal(governor_tick(&g, &l, SEC), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_no_flood),
		cmocka_unit_test(test_each_flood_alone),
		cmocka_unit_test(test_longer_each_time_and_forgiven),
		cmocka_unit_test(test_late_agent),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
