// SPDX-License-Identifier: MIT
/* Stacks that a hold is named by, from tables of records: late ones, those of another hold, and none. */
#include "gil_records.h"

/* A slow reader's answer that was begun in an earlier hold: this one has no place by it, and asks again. */
static void test_a_stack_of_an_earlier_hold_names_nothing(void **state)
{
	for (int stale = 0; stale < 2; stale++) {
		struct table *t = table_new();
		unsigned int asked;

		(void)state;
		node(t, 0, PID, "recv");
		looks(t, 110, 130, MAIN, 100, 0, 0);
		asked = count_asked(t, DP_REQ_READ_STACK);
		armed(t, 131, 1, 0);
		t->read_ms = stale ? 90 : 131;
		stack(t, 131, PID, MAIN, "grab", 12, "");
		looks(t, 140, 390, MAIN, 100, 131, 0);
		assert_int_equal(count_asked(t, DP_REQ_READ_STACK) > asked, stale);
		span(t, DP_REC_GIL_EDGE_HOLD, 395, MAIN, 100, 0, 395, 0);
		free_look(t, 400);
		t->ticked_ms = 400;
		ticks_until(t, 500);
		only_hold(t);
		assert_string_equal(said(t, DP_FIND_GIL_HOLD, 0)->function, stale ? "" : "grab");
		table_free(t);
	}
}

/* A reader that is busy (with its search for the Python, say) has no stack at once: a short hold has its line all the same. */
static void test_a_stack_in_vain_is_asked_for_again(void **state)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_STACK, 50, PID, MAIN);
	unsigned int answered = 0;

	(void)state;
	node(t, 0, PID, "n");
	free_look(t, 20);
	for (double ms = 30; ms <= 190; ms += 10) {
		looks(t, ms, ms, MAIN, 25, 0, 29);
		if (count_asked(t, DP_REQ_READ_STACK) == answered)
			continue;
		r.h.t_ns = AT(ms + 0.2);
		/* The first two come to nothing. */
		memset(&r.u.stack, 0, sizeof(r.u.stack));
		r.u.stack.status = answered < 2 ? -115 : 0;
		r.u.stack.frame_count = answered < 2 ? 0 : 1;
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "load");
		feed(t, &r);
		answered++;
	}
	assert_in_range(answered, 3, 6);
	span(t, DP_REC_GIL_OFFCPU, 195, MAIN, 25, 29, 195, 0);
	free_look(t, 200);
	tick(t, 300);
	assert_string_equal(only_hold(t)->place.function, "load");
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stack_of_an_earlier_hold_names_nothing),
		cmocka_unit_test(test_a_stack_in_vain_is_asked_for_again),
	};

	return cmocka_run_group_tests_name("model: stacks", tests, NULL, NULL);
}
