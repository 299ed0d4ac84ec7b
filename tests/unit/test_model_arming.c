// SPDX-License-Identifier: MIT
/* When the edge source is armed and disarmed, and what that may cost: tables of records. */
#include "gil_records.h"

/* Armed looks of a process that makes 200,000 releases a second, until the source is let go. */
static void dear_looks(struct table *t, double from, double armed_at)
{
	uint64_t releases = 0;

	for (double ms = from; ms < from + 260; ms += 10) {
		struct dp_record r = look(ms, PID, MAIN, ms - 0.01);

		releases += 2000;
		r.u.look.edge_armed_ns = AT(armed_at);
		r.u.look.edge_releases = releases;
		feed(t, &r);
		tick(t, ms + 0.1);
	}
}

/* A process that releases more often than the budget allows is left alone for a while. */
static void test_dear_process_is_disarmed(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	armed(t, 131, 1, 0);
	dear_looks(t, 140, 131);
	assert_int_equal(count_asked(t, DP_REQ_DISARM_EDGE), 1);
	table_free(t);
}

/*
 * In back-off a row of looks is no finding, however long, when nothing proves it: each of its looks
 * may lie between two releases. Bytecode that stands still brings the source back sooner; what it
 * proves then is said.
 */
static void test_row_of_a_dear_process_is_no_finding(void **state)
{
	for (int still = 0; still < 2; still++) {
		struct table *t = table_new();
		double again;

		(void)state;
		node(t, 0, PID, "recv");
		looks(t, 110, 130, MAIN, 100, 0, 0);
		armed(t, 131, 1, 0);
		dear_looks(t, 140, 131);
		armed(t, 400, 0, 0);
		/* Twice more, so that the back-off is a second. */
		for (int i = 0; i < 2; i++) {
			again = 1000 + 1000 * i;
			looks(t, again, again + 20, MAIN, again - 10, 0, 0);
			armed(t, again + 21, 1, 0);
			dear_looks(t, again + 30, again + 21);
			armed(t, again + 300, 0, 0);
		}
		assert_int_equal(count_asked(t, DP_REQ_DISARM_EDGE), 3);
		assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), 3);
		free_look(t, 2305);
		for (double ms = 2310; ms < 2910; ms += 10) {
			struct dp_record r = look(ms, PID, MAIN, 2300);

			r.u.look.frame = 0x1000;
			r.u.look.ip = 0x2000 + (still ? 0 : (uint64_t)ms);
			feed(t, &r);
			tick(t, ms + 0.1);
		}
		assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), 3 + still);
		if (still)
			armed(t, 2910, 1, 0);
		looks(t, 2920, 3100, MAIN, 2300, still ? 2910 : 0, 0);
		free_look(t, 3105);
		t->ticked_ms = 3105;
		ticks_until(t, 3300);
		assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), still);
		table_free(t);
	}
}

/* The stall that detaching causes is no candidate, a hold that goes on afterwards is one. */
static void test_disarming_is_no_reason_to_arm(void **state)
{
	for (int stays = 0; stays < 2; stays++) {
		struct table *t = table_new();

		(void)state;
		node(t, 0, PID, "recv");
		looks(t, 110, 130, MAIN, 100, 0, 0);
		assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), 1);
		armed(t, 140, 1, 0);
		free_look(t, 145);
		t->ticked_ms = 150;
		ticks_until(t, 1200);
		assert_int_equal(count_asked(t, DP_REQ_DISARM_EDGE), 1);
		armed(t, 1200, 0, 0);
		looks(t, 1240, 1250, MAIN + 1, 1226, 0, 1230);
		assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), 1);
		if (stays)
			looks(t, 1260, 1270, MAIN + 1, 1226, 0, 1230);
		else
			free_look(t, 1255);
		t->ticked_ms = 1270;
		ticks_until(t, 1400);
		assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), stays ? 2 : 1);
		table_free(t);
	}
}

/* What a token cost the GIL when main slept with it from `at` on for `length`, the source off since 1 s. */
static uint64_t cost_beside_a_detaching(double at, double length)
{
	struct table *t = table_new();
	struct dp_record r;
	uint64_t cost;

	node(t, 0, PID, "recv");
	armed(t, 50, 1, 0);
	t->ticked_ms = 900;
	armed(t, 1000, 0, 0);
	r = token(DP_REC_TOKEN_DELIVERED, at - 10, PID, 1);
	feed(t, &r);
	ticks_until(t, at + length);
	span(t, DP_REC_GIL_OFFCPU, at + length, MAIN, at - 1, at, at + length, 0);
	r = look(at + length + 1, PID, 0, 0);
	feed(t, &r);
	r = token(DP_REC_TOKEN_REPORTED, at + length + 20, PID, 1);
	feed(t, &r);
	ticks_until(t, at + length + 100);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	cost = said(t, DP_FIND_TOKEN, 0)->f.u.token.gil_held_ns;
	table_free(t);
	return cost;
}

/* The kernel holds up who comes by a uprobe that it detaches: the GIL is held, and not by the node. */
static void test_stall_of_the_detaching(void **state)
{
	(void)state;
	assert_int_equal(cost_beside_a_detaching(1018, 13), 0);
	assert_int_equal(cost_beside_a_detaching(1055, 16), 0);
	/* Long after it, and far longer than it takes, it is a hold like any other. */
	assert_int_equal(cost_beside_a_detaching(1400, 13), 13000000);
	assert_int_equal(cost_beside_a_detaching(1018, 40), 40000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stall_of_the_detaching),
		cmocka_unit_test(test_dear_process_is_disarmed),
		cmocka_unit_test(test_row_of_a_dear_process_is_no_finding),
		cmocka_unit_test(test_disarming_is_no_reason_to_arm),

	};

	return cmocka_run_group_tests_name("model: arming", tests, NULL, NULL);
}
