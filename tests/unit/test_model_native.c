// SPDX-License-Identifier: MIT
/* Native call or bytecode, by how long a hold's bytecode position stands still. */
#include "base/units.h"
#include "gil_records.h"

/*
 * A loop that spends most of its time in one function: three samples in a row outside the bytecode
 * loop, at the same instruction, and then it moves on. One long call in the midst of such a loop is
 * native while it lasts, and afterwards when it took half of the hold.
 */
static void test_standing_for_a_moment_is_not_native(void **state)
{
	for (int call = 0; call < 2; call++) {
		double stand = call ? 2000 : 220;
		struct table *t = table_new();
		uint16_t samples = 0;

		(void)state;
		node(t, 0, PID, "recv");
		for (double ms = 110; ms <= 2500; ms += 10) {
			struct dp_record r = look(ms, PID, MAIN, 100);

			if (ms == 130)
				armed(t, 130, 1, 0);
			if (ms > 130)
				r.u.look.edge_armed_ns = AT(130);
			r.u.look.frame = 0x1000;
			r.u.look.ip =
				ms >= 120 && ms < stand ? 0x2000 : 0x2000 + ((uint64_t)ms / 10) % 4;
			r.u.look.run_samples = samples;
			r.u.look.run_eval = ms < stand ? 0 : (uint16_t)(samples / 2);
			samples = (uint16_t)(samples + ((int)ms / 10) % 2);
			feed(t, &r);
			tick(t, ms + 0.1);
		}
		free_look(t, 2510);
		t->ticked_ms = 2510;
		ticks_until(t, 2600);
		assert_int_equal(only_hold(t)->native, call);
		table_free(t);
	}
}

/* While a loop goes on, too, standing for a moment late in the hold is no native call. */
static void test_standing_late_is_not_native_yet(void **state)
{
	struct table *t = table_new();
	uint16_t samples = 0, eval = 0;

	(void)state;
	node(t, 0, PID, "recv");
	for (double ms = 110; ms <= 2200; ms += 10) {
		struct dp_record r = look(ms, PID, MAIN, 100);
		bool moves = ms < 2050;

		if (ms == 130)
			armed(t, 130, 1, 0);
		if (ms > 130)
			r.u.look.edge_armed_ns = AT(130);
		eval = moves ? samples / 2 : eval;
		r.u.look.frame = 0x1000;
		r.u.look.ip = 0x2000 + (moves ? (uint64_t)ms / 10 % 4 : 0);
		r.u.look.run_samples = samples++;
		r.u.look.run_eval = eval;
		feed(t, &r);
		tick(t, ms + 0.1);
	}
	/* At 2 s of the hold it has stood for 80 ms. */
	assert_int_equal(count_said(t, DP_FIND_WARNING), 2);
	assert_int_equal(said(t, DP_FIND_WARNING, 1)->f.u.warning.cause, DP_CAUSE_BUSY_PYTHON);
	table_free(t);
}

/*
 * A thread that holds the GIL sleeps for `sleep_ms` out of every 100 and then runs bytecode: a page that
 * comes from the disk now and then is no native call, calls that sleep most of the time are.
 */
static int8_t verdict_with_sleeps(double sleep_ms, double until_ms)
{
	struct table *t = table_new();
	int8_t native;

	node(t, 0, PID, "recv");
	for (double ms = 110; ms <= 2000; ms += 10) {
		double in_period = (double)((int)ms % 100);
		bool slept = ms >= 200 && ms < until_ms && in_period < sleep_ms;
		struct dp_record r = look(ms, PID, MAIN, 100);

		if (ms == 130)
			armed(t, 130, 1, 0);
		if (ms > 130)
			r.u.look.edge_armed_ns = AT(130);
		r.u.look.frame = 0x1000;
		r.u.look.ip = slept ? 0x2000 : 0x2008 + ((uint64_t)ms / 10) % 4;
		feed(t, &r);
		tick(t, ms + 0.1);
		if (ms >= 200 && ms < until_ms && in_period == sleep_ms)
			span(t, DP_REC_GIL_OFFCPU, ms + 0.2, MAIN, 0, ms - sleep_ms, ms, 0);
	}
	free_look(t, 2010);
	t->ticked_ms = 2010;
	ticks_until(t, 2100);
	native = only_hold(t)->native;
	table_free(t);
	return native;
}

static void test_sleeps_count_by_their_share(void **state)
{
	(void)state;
	assert_int_equal(verdict_with_sleeps(20, 300), 0);
	assert_int_equal(verdict_with_sleeps(20, 2000), 0);
	assert_int_equal(verdict_with_sleeps(80, 2000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standing_for_a_moment_is_not_native),
		cmocka_unit_test(test_standing_late_is_not_native_yet),
		cmocka_unit_test(test_sleeps_count_by_their_share),
	};

	return cmocka_run_group_tests_name("model: native or bytecode", tests, NULL, NULL);
}
