// SPDX-License-Identifier: MIT
/* A warning comes for each hold, whatever was warned of before; its end names that hold. */
#include "model_table.h"

#include "base/array.h"
#include "base/units.h"

#define RECV 100

/* A hold asleep in `function` from one moment to the other: looks, stacks when asked, the release. */
static void hold(struct table *t, double from, double to, const char *function)
{
	unsigned int answered = t->asked_count;
	struct dp_record r;

	for (double ms = from + 10; ms < to; ms += 10) {
		struct dp_record k = look(ms, RECV, RECV, from);

		ticks_until(t, ms);
		k.u.look.off_since_ns = AT(from) + 1000;
		feed(t, &k);
		for (; answered < t->asked_count; answered++)
			if (t->asked[answered].type == DP_REQ_READ_STACK)
				stack(t, ms, RECV, RECV, function, 42, "libc.so");
	}
	ticks_until(t, to);
	r = record(DP_REC_GIL_OFFCPU, to, RECV, RECV);
	r.u.gil_span.lo_ns = AT(from);
	r.u.gil_span.from_ns = AT(from) + 1000;
	r.u.gil_span.to_ns = AT(to);
	feed(t, &r);
	r = look(to, RECV, 0, 0);
	feed(t, &r);
}

struct row {
	const char *function;
	int severity; /* -1: resolved */
};

/* The warnings about holds, as they came. */
static void assert_warned(const struct table *t, const struct row *rows, size_t count)
{
	size_t n = 0;

	for (unsigned int i = 0; i < t->said_count; i++) {
		const struct dp_warning_finding *w = &t->said[i].f.u.warning;

		if (t->said[i].f.type != DP_FIND_WARNING || w->kind != DP_WARN_GIL_HOLD)
			continue;
		assert_true(n < count);
		assert_string_equal(t->said[i].function, rows[n].function);
		assert_int_equal(w->resolved ? -1 : w->severity, rows[n].severity);
		n++;
	}
	assert_int_equal(n, count);
}

#define ASSERT_WARNED(t, ...)                                                                      \
	assert_warned(t, (const struct row[]){__VA_ARGS__},                                        \
		      DP_COUNT_OF(((const struct row[]){__VA_ARGS__})))

static struct table *one_node(void)
{
	struct table *t = table_new();

	node(t, 0, RECV, "recv");
	return t;
}

static void test_second_hold_at_the_same_line(void **state)
{
	struct table *t = one_node();

	(void)state;
	hold(t, 100, 800, "a");
	hold(t, 1300, 2000, "a");
	ticks_until(t, 5000);
	ASSERT_WARNED(t, {"a", DP_SEVERITY_NOTICE}, {"a", DP_SEVERITY_NOTICE}, {"a", -1});
	table_free(t);
}

/* Another place has reached the highest step already: this one's steps are told all the same. */
static void test_steps_of_another_place(void **state)
{
	struct table *t = one_node();

	(void)state;
	hold(t, 100, 5600, "a");
	hold(t, 6000, 8500, "b");
	ticks_until(t, 12000);
	ASSERT_WARNED(t, {"a", DP_SEVERITY_NOTICE}, {"a", DP_SEVERITY_WARNING},
		      {"a", DP_SEVERITY_CRITICAL}, {"b", DP_SEVERITY_NOTICE},
		      {"b", DP_SEVERITY_WARNING}, {"b", -1});
	table_free(t);
}

/* However many places there are. */
static void test_many_places(void **state)
{
	struct table *t = one_node();
	struct row rows[21];
	char names[20][8];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof(names[i]), "f%d", i);
		rows[i] = (struct row){names[i], DP_SEVERITY_NOTICE};
		hold(t, 1000 * i + 100, 1000 * i + 700, names[i]);
	}
	ticks_until(t, 25000);
	rows[20] = (struct row){"f19", -1};
	assert_warned(t, rows, 21);
	table_free(t);
}

/* Short holds elsewhere come after it: the end is still that of the hold that was warned of. */
static void test_resolved_names_the_hold(void **state)
{
	struct table *t = one_node();

	(void)state;
	hold(t, 100, 900, "a");
	for (int i = 0; i < 10; i++)
		hold(t, 1000 + 200 * i, 1080 + 200 * i, "b");
	ticks_until(t, 5000);
	ASSERT_WARNED(t, {"a", DP_SEVERITY_NOTICE}, {"a", -1});
	table_free(t);
}

/* With a threshold of some milliseconds not every hold can have a line. */
static void test_no_flood(void **state)
{
	struct table *t = one_node();
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);
	unsigned int raised = 0;

	(void)state;
	r.u.options = (struct dp_rec_options){.hold_threshold_ns = 50 * MS,
					      .warn_hold_ns = 20 * MS,
					      .pending_threshold_ns = SEC,
					      .max_edge_rate = 6666};
	feed(t, &r);
	for (int i = 0; i < 100; i++)
		hold(t, 100 + 100 * i, 160 + 100 * i, "a");
	for (unsigned int i = 0; i < t->said_count; i++)
		raised += t->said[i].f.type == DP_FIND_WARNING && !t->said[i].f.u.warning.resolved;
	assert_in_range(raised, 15, 25);
	table_free(t);
}

static void shared_memory(struct table *t, double ms, uint64_t free_mib)
{
	struct dp_record r = record(DP_REC_SHARED_MEMORY, ms, RECV, 0);

	ticks_until(t, ms);
	r.u.memory.total = 64ULL << 20;
	r.u.memory.free = free_mib << 20;
	feed(t, &r);
}

static const struct dp_warning_finding *of_memory(const struct table *t, unsigned int i)
{
	for (unsigned int j = 0; j < t->said_count; j++)
		if (t->said[j].f.type == DP_FIND_WARNING &&
		    t->said[j].f.u.warning.kind == DP_WARN_SHM_FULL && i-- == 0)
			return &t->said[j].f.u.warning;
	return NULL;
}

/* Warned of from 95 % on, once a step; over when a tenth is free again. */
static void test_shared_memory_fills_up(void **state)
{
	struct table *t = one_node();

	(void)state;
	shared_memory(t, 100, 6);
	assert_null(of_memory(t, 0));
	shared_memory(t, 1100, 3);
	shared_memory(t, 2100, 2);
	assert_int_equal(of_memory(t, 0)->severity, DP_SEVERITY_WARNING);
	assert_null(of_memory(t, 1));
	shared_memory(t, 3100, 0);
	assert_int_equal(of_memory(t, 1)->severity, DP_SEVERITY_CRITICAL);
	shared_memory(t, 4100, 4);
	assert_null(of_memory(t, 2));
	shared_memory(t, 5100, 7);
	assert_true(of_memory(t, 2)->resolved);
	table_free(t);
}

/* What is said of an exit by that signal, with so much free; -1: not known. */
static void assert_explained(int signal, int free_mib, const char *words)
{
	struct table *t = one_node();
	struct dp_record r = record(DP_REC_PROC_EXIT, 200, RECV, RECV);

	if (free_mib >= 0)
		shared_memory(t, 199, (uint64_t)free_mib);
	r.u.exit.is_process = 1;
	r.u.exit.status = signal;
	feed(t, &r);
	if (words)
		assert_non_null(strstr(said(t, DP_FIND_EXIT, 0)->advice, words));
	else
		assert_string_equal(said(t, DP_FIND_EXIT, 0)->advice, "");
	table_free(t);
}

static void test_sigbus_is_explained(void **state)
{
	(void)state;
	assert_explained(7, 0, "/dev/shm is full (0.0 of 64.0 MiB free)");
	assert_explained(7, 2, "/dev/shm is full");
	assert_explained(7, 30, "is not full");
	assert_explained(7, -1, "could not be had");
	assert_explained(9, 0, NULL);
	assert_explained(0, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_hold_at_the_same_line),
		cmocka_unit_test(test_steps_of_another_place),
		cmocka_unit_test(test_many_places),
		cmocka_unit_test(test_resolved_names_the_hold),
		cmocka_unit_test(test_no_flood),
		cmocka_unit_test(test_shared_memory_fills_up),
		cmocka_unit_test(test_sigbus_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
