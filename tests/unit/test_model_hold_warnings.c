// SPDX-License-Identifier: MIT
/* Warnings of a hold from tables of records: their steps, place and advice. */
#include "gil_records.h"
#include "base/array.h"

/* Warned while it lasts, in steps, and taken back two seconds after it is over. */
static void test_warning_steps(void **state)
{
	struct table *t = table_new();
	const struct dp_finding *w;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	armed(t, 131, 1, 0);
	stack(t, 131, PID, MAIN, "grab", 12, "");
	looks(t, 140, 600, MAIN, 100, 131, 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	looks(t, 610, 660, MAIN, 100, 131, 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 1);
	w = &said(t, DP_FIND_WARNING, 0)->f;
	assert_int_equal(w->u.warning.kind, DP_WARN_GIL_HOLD);
	assert_int_equal(w->u.warning.severity, DP_SEVERITY_NOTICE);
	assert_int_equal(w->u.warning.cause, DP_CAUSE_GIL_NATIVE);
	assert_int_equal(w->u.warning.holder_tid, MAIN);
	assert_int_equal(w->t_ns, AT(631));
	assert_string_equal(said(t, DP_FIND_WARNING, 0)->function, "grab");
	assert_non_null(strstr(said(t, DP_FIND_WARNING, 0)->advice, "grab (grab.py:12)"));
	looks(t, 670, 2300, MAIN, 100, 131, 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 2);
	assert_int_equal(said(t, DP_FIND_WARNING, 1)->f.u.warning.severity, DP_SEVERITY_WARNING);
	span(t, DP_REC_GIL_EDGE_HOLD, 2305, MAIN, 100, 0, 2305, 0);
	t->ticked_ms = 2305;
	ticks_until(t, 4200);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 2);
	ticks_until(t, 4400);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 3);
	assert_true(said(t, DP_FIND_WARNING, 2)->f.u.warning.resolved);
	table_free(t);
}

/* One armed hold of MAIN in `function`, from `from` for 600 ms. */
static void hold_of_600_ms(struct table *t, double from, const char *function, int line)
{
	looks(t, from + 10, from + 30, MAIN, from, 131, 0);
	stack(t, from + 31, PID, MAIN, function, line, "");
	looks(t, from + 40, from + 600, MAIN, from, 131, 0);
	span(t, DP_REC_GIL_EDGE_HOLD, from + 601, MAIN, from, 0, from + 601, from);
	t->ticked_ms = from + 601;
	ticks_until(t, from + 800);
}

/* The last stack shows the tail of a hold: its line names where it was most of the time. */
static void test_place_of_the_most_stacks(void **state)
{
	static const struct {
		const char *seen[5], *named;
	} rows[] = {
		{{"grab"}, "grab"},
		{{"grab", "tail"}, "grab"},
		{{"start", "grab", "grab"}, "grab"},
		{{"grab", "grab", "grab", "tail", "tail"}, "grab"},
		{{"start", "grab", "grab", "grab", "tail"}, "grab"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct table *t = table_new();

		node(t, 0, PID, "recv");
		looks(t, 110, 130, MAIN, 100, 0, 0);
		armed(t, 131, 1, 0);
		for (int k = 0; k < 5 && rows[i].seen[k]; k++) {
			stack(t, 132 + k * 200, PID, MAIN, rows[i].seen[k], 12, "");
			looks(t, 140 + k * 200, 320 + k * 200, MAIN, 100, 131, 0);
		}
		span(t, DP_REC_GIL_EDGE_HOLD, 1205, MAIN, 100, 0, 1205, 0);
		t->ticked_ms = 1205;
		ticks_until(t, 1400);
		assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 1);
		assert_string_equal(said(t, DP_FIND_GIL_HOLD, 0)->function, rows[i].named);
		table_free(t);
	}
}

/* dora drops the node: nothing to do about that, unless inputs are queued that nobody took. */
static void test_advice_on_dropping_the_node(void **state)
{
	(void)state;
	for (uint8_t queued = 0; queued < 3; queued++) {
		struct table *t = table_new();
		struct dp_record r = record(DP_REC_WIRE_EVENT, 5, PID, PID);
		const char *advice;

		node(t, 0, PID, "recv");
		for (uint8_t id = 0; id < queued; id++) {
			struct dp_record k = token(DP_REC_TOKEN_DELIVERED, 4, PID, id);

			feed(t, &k);
		}
		r.u.wire.kind = DP_WIRE_STOP;
		feed(t, &r);
		looks(t, 110, 130, MAIN, 100, 0, 0);
		armed(t, 131, 1, 0);
		stack(t, 131, PID, MAIN, "<module>", 319, "dora.abi3.so");
		looks(t, 140, 660, MAIN, 100, 131, 0);
		advice = NULL;
		for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++) {
			const struct said *w = said(t, DP_FIND_WARNING, i);

			if (w->f.u.warning.kind == DP_WARN_GIL_HOLD)
				advice = w->advice;
		}
		assert_non_null(advice);
		assert_int_equal(!!strstr(advice, "nothing to do"), queued == 0);
		assert_int_equal(!!strstr(advice, "1 input queued"), queued == 1);
		assert_int_equal(!!strstr(advice, "2 inputs queued"), queued == 2);
		table_free(t);
	}
}

/*
 * While a warning stands, each further hold is news, at another place or at one that was named before; a
 * place that changes within one hold is none. One line takes all back.
 */
static void test_warning_of_another_place(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	armed(t, 50, 1, 0);
	hold_of_600_ms(t, 200, "grab", 12);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 1);
	hold_of_600_ms(t, 1000, "crunch", 30);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 2);
	assert_string_equal(said(t, DP_FIND_WARNING, 1)->function, "crunch");
	assert_int_equal(said(t, DP_FIND_WARNING, 1)->f.u.warning.severity, DP_SEVERITY_NOTICE);
	assert_false(said(t, DP_FIND_WARNING, 1)->f.u.warning.resolved);
	hold_of_600_ms(t, 1800, "grab", 12);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 3);
	assert_string_equal(said(t, DP_FIND_WARNING, 2)->function, "grab");
	looks(t, 2610, 2630, MAIN, 2600, 131, 0);
	stack(t, 2631, PID, MAIN, "crunch", 30, "");
	looks(t, 2640, 3150, MAIN, 2600, 131, 0);
	stack(t, 3151, PID, MAIN, "crunch", 31, "");
	looks(t, 3160, 3200, MAIN, 2600, 131, 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 4);
	span(t, DP_REC_GIL_EDGE_HOLD, 3201, MAIN, 2600, 0, 3201, 2600);
	t->ticked_ms = 3201;
	ticks_until(t, 5400);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 5);
	assert_true(said(t, DP_FIND_WARNING, 4)->f.u.warning.resolved);
	table_free(t);
}

/*
 * Node() waits, with the GIL held, until every node of the dataflow has connected: of the one that waits there
 * is a notice that says so. Once it has been let in, dora's code is warned of as any other.
 */
static void test_barrier_is_no_fault_of_who_waits(void **state)
{
	(void)state;
	for (int let_in = 0; let_in < 2; let_in++) {
		struct table *t = table_new();
		struct dp_record r = record(DP_REC_WIRE_REQUEST, 5, PID, PID);

		node(t, 0, PID, "recv");
		r.u.wire.kind = DP_WIRE_SUBSCRIBE;
		feed(t, &r);
		r.h.t_ns++;
		r.u.wire.kind = DP_WIRE_NEXT_EVENT;
		if (let_in)
			feed(t, &r);
		looks(t, 110, 130, MAIN, 100, 0, 0);
		armed(t, 131, 1, 0);
		stack(t, 131, PID, MAIN, "main", 12, "dora.abi3.so");
		looks(t, 140, 6000, MAIN, 100, 131, 0);
		assert_int_equal(count_said(t, DP_FIND_WARNING), let_in ? 3 : 1);
		assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.severity,
				 DP_SEVERITY_NOTICE);
		assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.cause,
				 DP_CAUSE_DORA_INTERNAL);
		assert_int_equal(!let_in, strstr(said(t, DP_FIND_WARNING, 0)->advice,
						 "every node of the dataflow") != NULL);
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warning_steps),
		cmocka_unit_test(test_place_of_the_most_stacks),
		cmocka_unit_test(test_advice_on_dropping_the_node),
		cmocka_unit_test(test_warning_of_another_place),
		cmocka_unit_test(test_barrier_is_no_fault_of_who_waits),
	};

	return cmocka_run_group_tests_name("model: warnings of a hold", tests, NULL, NULL);
}
