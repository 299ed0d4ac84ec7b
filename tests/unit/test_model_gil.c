// SPDX-License-Identifier: MIT
/* The GIL timeline from tables of records: what is a hold, what only looks like one. */
#include <errno.h>

#include "base/units.h"
#include "gil_records.h"
#include "model/hold.h"

#define WORK 101

static void test_uncontended_hold_is_confirmed_by_the_edge(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	assert_int_equal(count_asked(t, DP_REQ_ARM_EDGE), 1);
	assert_true(count_asked(t, DP_REQ_READ_STACK) >= 1);
	armed(t, 131, 1, 0);
	stack(t, 131, PID, MAIN, "grab", 12, "");
	looks(t, 140, 390, MAIN, 100, 131, 0);
	span(t, DP_REC_GIL_EDGE_HOLD, 395, MAIN, 100, 0, 395, 0);
	free_look(t, 400);
	t->ticked_ms = 400;
	ticks_until(t, 500);
	h = only_hold(t);
	assert_int_equal(h->tid, MAIN);
	assert_int_equal(h->precision, DP_PRECISION_BOUNDED);
	assert_int_equal(h->start_lo_ns, AT(100));
	assert_int_equal(h->start_ns, AT(131));
	assert_int_equal(h->end_ns, AT(395));
	assert_int_equal(h->end_hi_ns, AT(395));
	assert_int_equal(h->native, 1);
	assert_string_equal(said(t, DP_FIND_GIL_HOLD, 0)->function, "grab");
	table_free(t);
}

/*
 * The releasing thread loses the CPU between letting go and signalling: a look finds the GIL free
 * before the edge tells of the release. Armed within the hold or before it, it is one hold.
 */
static void test_a_release_told_late_is_no_second_hold(void **state)
{
	for (int exact = 0; exact < 2; exact++) {
		struct table *t = table_new();
		const struct dp_hold_finding *h;

		(void)state;
		node(t, 0, PID, "recv");
		if (exact)
			armed(t, 50, 1, 0);
		looks(t, 110, 130, MAIN, 100, exact ? 50 : 0, 0);
		if (!exact)
			armed(t, 131, 1, 0);
		looks(t, 140, 390, MAIN, 100, exact ? 50 : 131, 0);
		free_look(t, 396);
		span(t, DP_REC_GIL_EDGE_HOLD, 404, MAIN, exact ? 0 : 100, exact ? 100 : 0, 404, 0);
		t->ticked_ms = 404;
		ticks_until(t, 600);
		h = only_hold(t);
		assert_int_equal(h->precision, DP_PRECISION_BOUNDED);
		assert_int_equal(h->start_ns, AT(exact ? 100 : 131));
		assert_int_equal(h->end_hi_ns, AT(396));
		table_free(t);
	}
}

/* Every look says "held", but the edge sees a release: no hold, however long it looked like one. */
static void test_short_releases_are_no_hold(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	armed(t, 131, 1, 0);
	/* From now on the kernel knows of a release a millisecond before each look. */
	for (double ms = 140; ms < 1000; ms += 10) {
		struct dp_record r = look(ms, PID, MAIN, ms - 1);

		r.u.look.edge_armed_ns = AT(131);
		r.u.look.edge_release_ns = AT(ms - 1);
		r.u.look.edge_take_ns = AT(ms - 0.99);
		r.u.look.edge_take_tid = MAIN;
		feed(t, &r);
		tick(t, ms + 0.1);
	}
	assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	table_free(t);
}

/* Over before the source that was being armed could prove or refute it: no finding. */
static void test_row_that_ends_before_arming_is_dropped(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 300, MAIN, 100, 0, 0);
	free_look(t, 310);
	t->ticked_ms = 310;
	ticks_until(t, 400);
	assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 0);
	table_free(t);
}

/* Without any proof it may be said, but never as more than it is. */
static void test_unproven_row_is_unconfirmed(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	armed(t, 131, 0, -19);
	looks(t, 140, 300, MAIN, 100, 0, 0);
	free_look(t, 310);
	t->ticked_ms = 310;
	ticks_until(t, 400);
	h = only_hold(t);
	assert_int_equal(h->precision, DP_PRECISION_UNCONFIRMED);
	assert_int_equal(h->end_ns, AT(300) - 2000);
	assert_int_equal(h->end_hi_ns, AT(310));
	table_free(t);
}

/* Asleep with the GIL: nobody else could have released it (no uprobe, no waiter needed). */
static void test_sleep_with_the_gil_proves_itself(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 290, MAIN, 100, 0, 100.05);
	span(t, DP_REC_GIL_OFFCPU, 300, MAIN, 100, 100.05, 300, 0);
	span(t, DP_REC_GIL_RUN, 300.2, MAIN, 100, 100.05, 300.1, 300.2);
	t->ticked_ms = 300;
	ticks_until(t, 400);
	h = only_hold(t);
	assert_int_equal(h->precision, DP_PRECISION_EXACT);
	assert_int_equal(h->start_ns, AT(100.05));
	assert_true(h->end_ns >= AT(300) && h->end_ns <= AT(300.1));
	assert_int_equal(h->end_hi_ns, AT(300.2));
	assert_int_equal(h->native, 1);
	table_free(t);
}

/* Off the CPU from 100.05 to about 300 by its CPU time, which is told at the release: nobody saw it come back. */
static void came_back_unseen(struct table *t, double ms)
{
	struct dp_record r = record(DP_REC_GIL_OFFCPU, ms, PID, MAIN);

	r.u.gil_span.lo_ns = AT(100);
	r.u.gil_span.from_ns = AT(100.05);
	r.u.gil_span.to_ns = AT(290);
	r.u.gil_span.off_ns = AT(300) - AT(100.05);
	feed(t, &r);
}

/* Its time off the CPU is what its CPU time says, not what is proven without a gap. */
static void test_coming_back_unseen(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 290, MAIN, 100, 0, 100.05);
	came_back_unseen(t, 300.1);
	span(t, DP_REC_GIL_RELEASE, 300.1, MAIN, 100, 0, 300.1, 0);
	t->ticked_ms = 300;
	ticks_until(t, 400);
	h = only_hold(t);
	assert_int_equal(h->start_ns, AT(100.05));
	assert_int_equal(h->off_cpu_ns, h->end_ns - h->start_ns);
	assert_int_equal(h->native, 1);
	table_free(t);
}

/* The same, told after a look that found the GIL free, and taken by another thread: still of that hold. */
static void test_coming_back_is_told_late(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;
	struct dp_record r;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 290, MAIN, 100, 0, 100.05);
	r = look(300.05, PID, 0, 0);
	feed(t, &r);
	r = look(300.08, PID, WORK, 0);
	feed(t, &r);
	came_back_unseen(t, 300.1);
	r = look(300.2, PID, 0, 0);
	feed(t, &r);
	t->ticked_ms = 300;
	ticks_until(t, 400);
	h = only_hold(t);
	assert_int_equal(h->tid, MAIN);
	assert_int_equal(h->start_ns, AT(100.05));
	assert_int_equal(h->off_cpu_ns, h->end_ns - h->start_ns);
	assert_true(h->off_cpu_ns >= 189 * MS);
	table_free(t);
}

/*
 * A look that is read before the release and told after it, or the other way round: what the thread did off
 * the CPU ends later than the hold that the look has closed, and is no second hold in the same time.
 */
static void test_off_cpu_past_the_look_that_found_it_free(void **state)
{
	for (int other = 0; other < 2; other++) {
		struct table *t = table_new();
		const struct dp_hold_finding *h;
		struct dp_record r;

		(void)state;
		node(t, 0, PID, "recv");
		looks(t, 110, 290, MAIN, 100, 0, 100.05);
		r = look(299.9, PID, 0, 0);
		feed(t, &r);
		if (other) {
			r = look(299.95, PID, WORK, 0);
			feed(t, &r);
		}
		span(t, DP_REC_GIL_OFFCPU, 300, MAIN, 100, 100.05, 300, 0);
		span(t, DP_REC_GIL_RUN, 300.2, MAIN, 100, 100.05, 300.1, 300.2);
		t->ticked_ms = 300;
		ticks_until(t, 400);
		h = only_hold(t);
		assert_int_equal(h->tid, MAIN);
		assert_int_equal(h->start_ns, AT(100.05));
		assert_true(h->end_ns >= AT(290) && h->end_ns <= AT(300.1));
		assert_int_equal(h->native, 1);
		table_free(t);
	}
}

/* A waiter asleep throughout: a release would have woken it. */
static void test_waiter_proves_the_hold(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;
	struct dp_record r;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 110, MAIN, 109.9, 0, 0);
	r = record(DP_REC_GIL_WAIT_BEGIN, 115.5, PID, WORK);
	r.u.wait.begin_ns = AT(110.5);
	r.u.wait.holder_tid = MAIN;
	feed(t, &r);
	looks(t, 120, 260, MAIN, 109.9, 0, 0);
	span(t, DP_REC_GIL_RELEASE, 265, MAIN, 109.9, 0, 265, 0);
	r = record(DP_REC_GIL_WAIT_END, 265.03, PID, WORK);
	r.u.wait.begin_ns = AT(110.5);
	r.u.wait.acquired = 1;
	feed(t, &r);
	t->ticked_ms = 265.03;
	ticks_until(t, 350);
	h = only_hold(t);
	assert_int_equal(h->tid, MAIN);
	assert_int_equal(h->precision, DP_PRECISION_EXACT);
	assert_int_equal(h->start_lo_ns, AT(109.9));
	assert_int_equal(h->start_ns, AT(110.5));
	assert_int_equal(h->end_ns, AT(265));
	assert_int_equal(h->waiter_count, 1);
	assert_int_equal(h->waiters[0], WORK);
	assert_int_equal(count_said(t, DP_FIND_GIL_WAIT), 1);
	assert_int_equal(said(t, DP_FIND_GIL_WAIT, 0)->f.u.wait.holder_tid, MAIN);
	table_free(t);
}

/* After a loss the absence of a wake-up proves nothing. */
static void test_loss_takes_the_waiters_proof_away(void **state)
{
	struct table *t = table_new();
	struct dp_record r;

	(void)state;
	node(t, 0, PID, "recv");
	r = record(DP_REC_GIL_WAIT_BEGIN, 115.5, PID, WORK);
	r.u.wait.begin_ns = AT(110.5);
	feed(t, &r);
	looks(t, 120, 180, MAIN, 109.9, 0, 0);
	r = record(DP_REC_LOSS, 185, 0, 0);
	r.u.loss.reason = DP_LOSS_RING_FULL;
	r.u.loss.count = 3;
	feed(t, &r);
	looks(t, 190, 300, MAIN, 109.9, 0, 0);
	free_look(t, 310);
	t->ticked_ms = 310;
	ticks_until(t, 400);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 1);
	/* Two proofs with a gap between them: the longer is told, not their sum. */
	assert_true(only_hold(t)->end_ns - only_hold(t)->start_ns <= 120 * 1000000ULL);
	table_free(t);
}

/* Two threads in pure Python hand the GIL over every 5 ms. */
static void test_competition_is_no_hold(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	for (double ms = 100; ms < 1100; ms += 5) {
		uint32_t next = (int)(ms / 5) % 2 ? WORK : MAIN;
		uint32_t last = next == MAIN ? WORK : MAIN;
		struct dp_record r;

		span(t, DP_REC_GIL_RELEASE, ms, last, 0, ms - 4.9, ms, 0);
		r = record(DP_REC_GIL_WAIT_END, ms + 0.02, PID, next);
		r.u.wait.begin_ns = AT(ms - 4.9);
		r.u.wait.acquired = 1;
		feed(t, &r);
		if ((int)ms % 10 == 0) {
			r = look(ms + 1, PID, next, ms);
			r.u.look.take_ns = AT(ms + 0.02);
			feed(t, &r);
			tick(t, ms + 1.1);
		}
	}
	assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 0);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	table_free(t);
}

static void test_exact_edge_hold(void **state)
{
	struct table *t = table_new();
	const struct dp_hold_finding *h;

	(void)state;
	node(t, 0, PID, "recv");
	armed(t, 50, 1, 0);
	span(t, DP_REC_GIL_EDGE_HOLD, 200, WORK, 99, 100, 200, 0);
	t->ticked_ms = 200;
	ticks_until(t, 300);
	h = only_hold(t);
	assert_int_equal(h->tid, WORK);
	assert_int_equal(h->precision, DP_PRECISION_EXACT);
	assert_int_equal(h->start_lo_ns, AT(100));
	assert_int_equal(h->start_ns, AT(100));
	assert_int_equal(h->end_ns, AT(200));
	assert_int_equal(h->end_hi_ns, AT(200));
	table_free(t);
}

/* Still held when the probe ends: told as far as it is known. */
static void test_hold_at_the_end_is_at_least(void **state)
{
	struct table *t = table_new();
	struct dp_record r;

	(void)state;
	node(t, 0, PID, "recv");
	looks(t, 110, 130, MAIN, 100, 0, 0);
	armed(t, 131, 1, 0);
	looks(t, 140, 390, MAIN, 100, 131, 0);
	r = record(DP_REC_END, 395, 0, 0);
	feed(t, &r);
	assert_int_equal(only_hold(t)->precision, DP_PRECISION_AT_LEAST);
	assert_true(only_hold(t)->end_hi_ns == DP_NULL);
	assert_int_equal(count_said(t, DP_FIND_SUMMARY_NODE), 1);
	table_free(t);
}

/*
 * The holder computes; the kernel's mark of its last switch-out stays, as it does where the
 * switch-in was missed. Samples of it on the CPU say otherwise: nothing is proven, and what the
 * looks saw is said as unconfirmed.
 */
static void test_a_stale_off_cpu_mark_proves_nothing(void **state)
{
	struct table *t = table_new();

	(void)state;
	node(t, 0, PID, "recv");
	armed(t, 50, 0, -EPERM);
	for (double ms = 110; ms <= 1110; ms += 10) {
		struct dp_record r = look(ms, PID, MAIN, 100);

		r.u.look.off_since_ns = AT(115);
		r.u.look.off_runnable = 1;
		r.u.look.run_last_ns = AT(ms < 150 ? 115 : ms - 5);
		feed(t, &r);
		tick(t, ms + 0.1);
	}
	free_look(t, 1120);
	t->ticked_ms = 1120;
	ticks_until(t, 1250);
	assert_int_equal(only_hold(t)->precision, DP_PRECISION_UNCONFIRMED);
	table_free(t);
}

/* A step of the wall clock moves what is printed as time, nothing else. */
static void test_clock_step_moves_no_interval(void **state)
{
	uint64_t length[2];

	(void)state;
	for (int step = 0; step < 2; step++) {
		struct table *t = table_new();
		struct dp_record r = record(DP_REC_WALL_CLOCK, 1, 0, 0);

		r.u.wall_clock.offset_ns = 5000;
		feed(t, &r);
		node(t, 2, PID, "recv");
		armed(t, 50, 1, 0);
		if (step) {
			r = record(DP_REC_WALL_CLOCK, 150, 0, 0);
			r.u.wall_clock.offset_ns = -3600000000000;
			feed(t, &r);
		}
		span(t, DP_REC_GIL_EDGE_HOLD, 200, WORK, 99, 100, 200, 0);
		t->ticked_ms = 200;
		ticks_until(t, 300);
		length[step] = only_hold(t)->end_ns - only_hold(t)->start_ns;
		assert_int_equal(said(t, DP_FIND_GIL_HOLD, 0)->f.t_ns, AT(200));
		assert_int_equal(said(t, DP_FIND_GIL_HOLD, 0)->f.wall_offset_ns,
				 step ? -3600000000000 : 5000);
		table_free(t);
	}
	assert_int_equal(length[0], length[1]);
}

/* Stretches that a later one joins are one, though a wake lies between two of them. */
static void test_proofs_that_touch_are_one(void **state)
{
	struct hold h;

	(void)state;
	hold_begin(&h, MAIN, 10, 10);
	hold_prove(&h, 100, 20, 50);
	hold_prove(&h, 100, 52, 60);
	assert_int_equal(hold_start(&h), 20);
	assert_int_equal(hold_until(&h), 50);
	hold_prove(&h, 100, 45, 70); /* somebody waited for it over the wake */
	assert_int_equal(hold_start(&h), 20);
	assert_int_equal(hold_until(&h), 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proofs_that_touch_are_one),
		cmocka_unit_test(test_uncontended_hold_is_confirmed_by_the_edge),
		cmocka_unit_test(test_short_releases_are_no_hold),
		cmocka_unit_test(test_a_release_told_late_is_no_second_hold),
		cmocka_unit_test(test_row_that_ends_before_arming_is_dropped),
		cmocka_unit_test(test_unproven_row_is_unconfirmed),
		cmocka_unit_test(test_sleep_with_the_gil_proves_itself),
		cmocka_unit_test(test_coming_back_unseen),
		cmocka_unit_test(test_coming_back_is_told_late),
		cmocka_unit_test(test_off_cpu_past_the_look_that_found_it_free),
		cmocka_unit_test(test_waiter_proves_the_hold),
		cmocka_unit_test(test_loss_takes_the_waiters_proof_away),
		cmocka_unit_test(test_competition_is_no_hold),
		cmocka_unit_test(test_exact_edge_hold),
		cmocka_unit_test(test_hold_at_the_end_is_at_least),
		cmocka_unit_test(test_clock_step_moves_no_interval),
		cmocka_unit_test(test_a_stale_off_cpu_mark_proves_nothing),
	};

	return cmocka_run_group_tests_name("model: GIL timeline", tests, NULL, NULL);
}
