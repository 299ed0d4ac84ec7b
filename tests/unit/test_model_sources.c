// SPDX-License-Identifier: MIT
/* By what a machine is watched gives the level of each node; a source that a process lacks is warned of once. */
#include "model_table.h"

#include <errno.h>

#define RECV 100

static void source(struct table *t, double ms, uint32_t pid, enum dp_source source, bool on,
		   int error, const char *detail)
{
	struct dp_record r = record(DP_REC_SOURCE_STATE, ms, pid, 0);

	r.u.source.source = (uint8_t)source;
	r.u.source.on = on;
	r.u.source.error = error;
	snprintf(r.u.source.detail, sizeof(r.u.source.detail), "%s", detail);
	feed(t, &r);
}

/* The level that a node line says after these sources; `calls`: what goes by system calls, NULL nothing. */
static unsigned int level(uint32_t on, const char *calls)
{
	struct table *t = table_new();
	unsigned int ret = DP_LEVEL_COUNT;

	for (unsigned int i = 0; i < DP_SOURCE_COUNT; i++)
		if (on & 1u << i)
			source(t, 1, 0, (enum dp_source)i, true, 0,
			       i == DP_SOURCE_SYSCALLS ? calls : "");
	node(t, 2, RECV, "receiver");
	ticks_until(t, 1000);
	for (unsigned int i = 0; i < t->said_count; i++)
		if (t->said[i].f.type == DP_FIND_NODE)
			ret = t->said[i].f.u.node.level;
	table_free(t);
	return ret;
}

static void test_levels(void **state)
{
	const uint32_t sampler = 1u << DP_SOURCE_SAMPLER;
	const uint32_t all = ((1u << DP_SOURCE_COUNT) - 1) & ~(1u << DP_SOURCE_EDGE);

	(void)state;
	assert_int_equal(level(0, ""), DP_LEVEL_NONE);
	assert_int_equal(level(sampler, ""), DP_LEVEL_SAMPLING);
	assert_int_equal(level(all & ~(1u << DP_SOURCE_SYSCALLS), ""), DP_LEVEL_FULL);
	assert_int_equal(level(all, "futex"), DP_LEVEL_FULL);
	assert_int_equal(level(all, "futex,socket"), DP_LEVEL_FALLBACK);
	assert_int_equal(level(all, "futex,socket,region"), DP_LEVEL_FALLBACK);
	/* Recordings up to 0.1.0 do not name them. */
	assert_int_equal(level(all, ""), DP_LEVEL_FULL);
}

static const struct said *warned(const struct table *t, unsigned int i)
{
	for (unsigned int j = 0; j < t->said_count; j++)
		if (t->said[j].f.type == DP_FIND_WARNING &&
		    t->said[j].f.u.warning.kind == DP_WARN_SOURCE_MISSING && i-- == 0)
			return &t->said[j];
	return NULL;
}

static void test_a_source_is_missing(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, RECV, "receiver");
	/* One that is ending lacks nothing. */
	source(t, 100, RECV, DP_SOURCE_EDGE, false, -ESRCH, "");
	source(t, 200, RECV, DP_SOURCE_EDGE, false, 0, "");
	source(t, 250, RECV, DP_SOURCE_EDGE, false, -EBUSY, "");
	assert_null(warned(t, 0));
	source(t, 300, RECV, DP_SOURCE_EDGE, false, -EACCES, "no uprobe: CAP_SYS_ADMIN is missing");
	source(t, 5000, RECV, DP_SOURCE_EDGE, false, -EACCES,
	       "no uprobe: CAP_SYS_ADMIN is missing");
	assert_non_null(warned(t, 0));
	assert_non_null(strstr(warned(t, 0)->advice, "CAP_SYS_ADMIN"));
	assert_int_equal(warned(t, 0)->f.u.warning.severity, DP_SEVERITY_WARNING);
	assert_null(warned(t, 1));
	source(t, 6000, RECV, DP_SOURCE_EDGE, true, 0, "");
	assert_true(warned(t, 1)->f.u.warning.resolved);
	assert_null(warned(t, 2));
	table_free(t);
}

/* A source that a node floods is left alone: said once, and nothing that was not seen is held against anybody. */
static void test_a_source_is_left_alone(void **state)
{
	static const enum dp_source sources[] = {DP_SOURCE_SOCKET, DP_SOURCE_REGION,
						 DP_SOURCE_SCHED};

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct table *t = table_new();

		node(t, 0, RECV, "receiver");
		source(t, 100, RECV, sources[i], false, 0, "more than 1000 times a second");
		assert_non_null(warned(t, 0));
		assert_non_null(strstr(warned(t, 0)->advice, "1000 times"));
		assert_false(warned(t, 0)->f.u.warning.resolved);
		ticks_until(t, 1000);
		source(t, 1100, RECV, sources[i], true, 0, "");
		assert_true(warned(t, 1)->f.u.warning.resolved);
		assert_null(warned(t, 2));
		table_free(t);
	}
}

/* Its tokens: those of the sockets are lost from sight, those of the regions pend for a cause that nobody knows. */
static void test_tokens_of_what_is_left_alone(void **state)
{
	for (int regions = 0; regions < 2; regions++) {
		struct table *t = table_new();
		struct dp_record r;

		(void)state;
		node(t, 0, RECV, "receiver");
		r = token(DP_REC_TOKEN_DELIVERED, 50, RECV, 1);
		feed(t, &r);
		source(t, 100, RECV, regions ? DP_SOURCE_REGION : DP_SOURCE_SOCKET, false, 0,
		       "more than 1000 times a second");
		r = token(DP_REC_TOKEN_DELIVERED, 110, RECV, 2);
		if (regions)
			feed(t, &r);
		ticks_until(t, 4000);
		r = record(DP_REC_END, 4000, 0, 0);
		feed(t, &r);
		assert_int_equal(count_said(t, DP_FIND_TOKEN), regions ? 2 : 1);
		for (unsigned int i = 0; i < count_said(t, DP_FIND_TOKEN); i++) {
			const struct dp_token_finding *k = &said(t, DP_FIND_TOKEN, i)->f.u.token;

			assert_int_equal(k->state, regions ? DP_TOKEN_OPEN : DP_TOKEN_LOST);
			assert_int_equal(k->cause, DP_CAUSE_UNKNOWN);
		}
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_a_source_is_missing),
		cmocka_unit_test(test_a_source_is_left_alone),
		cmocka_unit_test(test_tokens_of_what_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
