// SPDX-License-Identifier: MIT
/* What follows from a dora version. */
#include "wire_support.h"

#include <signal.h>

#include "base/array.h"
#include "dora/nodeconfig.h"

#define S 1000000000ULL

static void test_grace_ladder(void **state)
{
	static const struct {
		const char *dora;
		uint64_t deadline;
		uint32_t first;
	} cases[] = {
		{"0.3.5", 2 * S, SIGKILL},       {"0.3.5-fix1", 2 * S, SIGKILL},
		{"0.3.6", 15 * S, SIGKILL},      {"0.3.7", 15 * S, SIGKILL},
		{"0.3.8", 15 * S, SIGKILL},      {"0.3.9", 15 * S, SIGKILL},
		{"0.3.10", 15 * S, SIGKILL},     {"0.3.12", 15 * S, SIGKILL},
		{"0.3.13", 15 * S, SIGKILL},     {"0.4.0", 10 * S, SIGTERM},
		{"0.4.1", 10 * S, SIGTERM},      {"0.5.0", 10 * S, SIGTERM},
		{"1.0.0-rc.4", 10 * S, SIGTERM}, {"1.0.0", 10 * S, SIGTERM},
		{"1.1.0", 10 * S, SIGTERM},      {"2.0.0", 10 * S, SIGTERM},
		{"", 10 * S, SIGTERM}, /* as the newest */
		{"nonsense", 10 * S, SIGTERM},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++) {
		struct dp_grace g;

		memset(&g, 0xff, sizeof(g));
		dp_grace_of(cases[i].dora, &g);
		if (g.deadline_ns != cases[i].deadline || g.first_signal != cases[i].first)
			fail_msg("grace of \"%s\"", cases[i].dora);
	}
}

static void test_at_least(void **state)
{
	(void)state;
	assert_true(dp_version_at_least("0.3.8", 0, 3, 8));
	assert_true(dp_version_at_least("0.3.10", 0, 3, 8));
	assert_true(dp_version_at_least("0.4.0", 0, 3, 8));
	assert_true(dp_version_at_least("1.0.0", 0, 3, 8));
	assert_false(dp_version_at_least("0.3.7", 0, 3, 8));
	assert_false(dp_version_at_least("0.2.9", 0, 3, 8));
	/* before and after a release, in semver's and in Python's spelling */
	assert_false(dp_version_at_least("1.0.0-rc.1", 1, 0, 0));
	assert_false(dp_version_at_least("1.0.0rc1", 1, 0, 0));
	assert_false(dp_version_at_least("1.0.0.dev3", 1, 0, 0));
	assert_true(dp_version_at_least("1.0.1-rc.1", 1, 0, 0));
	assert_true(dp_version_at_least("1.0.0+build5", 1, 0, 0));
	assert_true(dp_version_at_least("1.0.0.post1", 1, 0, 0));
	/* no versions */
	assert_false(dp_version_at_least("", 0, 0, 0));
	assert_false(dp_version_at_least(NULL, 0, 0, 0));
	assert_false(dp_version_at_least("1", 0, 0, 0));
	assert_false(dp_version_at_least("1.2", 0, 0, 0));
	assert_false(dp_version_at_least("1..2", 0, 0, 0));
	assert_false(dp_version_at_least("-1.2.3", 0, 0, 0));
	assert_false(dp_version_at_least(" 1.2.3", 0, 0, 0));
	assert_false(dp_version_at_least("1.2.x", 0, 0, 0));
	assert_false(dp_version_at_least("99999999999999999999.0.0", 0, 0, 0));
}

static void test_message_versions(void **state)
{
	static const char *const pairs[][2] = {
		{"0.4.0", "0.3.6"},
		{"0.4.1", "0.3.7"},
		{"0.4.2", "0.3.8"},
		{"0.4.3", "0.3.9"},
		{"0.4.4", "0.3.11"},
		{"0.5.0", "0.3.12"},
		{"0.6.0", "0.3.13"},
		{"0.7.0", "0.4.1"},
		{"0.8.0", "0.5.0"},
		{"1.0.0", "1.0.0"},
		{"1.1.0", "1.1.0"},
		{"1.0.0-rc.4", "1.0.0-rc.4"},
		{"0.2.1", "1.0.0-rc.1"},
		{"0.9.0", ""},
		{"", ""},
		{"x", ""},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(pairs); i++)
		assert_string_equal(dp_dora_version_of_message(pairs[i][0]), pairs[i][1]);
	assert_string_equal(dp_dora_version_of_message(NULL), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grace_ladder),
		cmocka_unit_test(test_at_least),
		cmocka_unit_test(test_message_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
