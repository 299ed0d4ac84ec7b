// SPDX-License-Identifier: MIT
/* What a node's time goes to, with its error; and the two warnings about it. */
#include "model_table.h"

#include "base/array.h"
#include "base/units.h"

#define RECV  100
#define OTHER 101
#define HOG   102

static struct table *one_node(void)
{
	struct table *t = table_new();

	node(t, 0, RECV, "recv");
	return t;
}

/* A second that ends at `ms`: CPU time in ms, samples, and those with the GIL. */
static struct dp_record stretch(double ms, double cpu_ms, uint32_t samples, uint32_t held)
{
	struct dp_record r = record(DP_REC_SHARE, ms, RECV, RECV);

	r.u.share = (struct dp_rec_share){.from_ns = AT(ms) - SEC,
					  .every_ns = SEC,
					  .cpu_ns = (uint64_t)(cpu_ms * 1e6),
					  .main_cpu_ns = UINT64_MAX,
					  .main_queued_ns = UINT64_MAX,
					  .samples = samples,
					  .samples_held = held};
	return r;
}

static void feed_at(struct table *t, struct dp_record r)
{
	ticks_until(t, (double)(r.h.t_ns - T0) / 1e6);
	feed(t, &r);
}

static const struct dp_share_finding *line(const struct table *t, unsigned int i)
{
	const struct said *s = said(t, DP_FIND_SHARE, i);

	assert_non_null(s);
	return &s->f.u.share;
}

static void assert_near(struct dp_estimate e, double ratio, double error, double slack)
{
	assert_float_equal(e.ratio, ratio, slack);
	assert_float_equal(e.error, error, slack);
}

/* CPU time is exact, whose it is comes from the samples: half of them, and the error is known. */
static void test_cpu_time_by_samples(void **state)
{
	struct table *t = one_node();

	(void)state;
	feed_at(t, stretch(1000, 800, 40, 40));
	assert_near(line(t, 0)->gil_held, 0.79, 0.014, 0.002);
	assert_near(line(t, 0)->running_without_gil, 0.01, 0.014, 0.002);
	feed_at(t, stretch(2000, 800, 40, 20));
	assert_near(line(t, 1)->gil_held, 0.4, 0.0617, 0.001);
	assert_near(line(t, 1)->running_without_gil, 0.4, 0.0617, 0.001);
	/* Two threads on two CPUs without it, one of them half of the time. */
	feed_at(t, stretch(3000, 1500, 75, 0));
	assert_near(line(t, 2)->running_without_gil, 1, 0.014, 0.002);
	assert_near(line(t, 2)->gil_held, 0.01, 0.014, 0.002);
	/* Nothing sampled of a node that hardly ran: known within what it ran. */
	feed_at(t, stretch(4000, 4, 0, 0));
	assert_near(line(t, 3)->gil_held, 0.002, 0.0014, 0.0001);
	assert_float_equal(line(t, 0)->gil_wait.ratio, 0, 0);
	assert_true(line(t, 0)->blocked.ratio < 0);
	table_free(t);
}

/* Where the clock does not run, the agent's looks stand in; the rest of the CPU time is not known. */
static void test_looks_without_samples(void **state)
{
	struct table *t = one_node();
	struct dp_record r = stretch(1000, 800, 0, 0);

	(void)state;
	r.u.share.looks = 100;
	r.u.share.looks_held = 60;
	feed_at(t, r);
	assert_near(line(t, 0)->gil_held, 0.6, 0.0487, 0.002);
	assert_true(line(t, 0)->running_without_gil.ratio < 0);
	table_free(t);
}

static void off_cpu(struct table *t, double from, double to, uint32_t tid, int preempted)
{
	struct dp_record r = record(DP_REC_GIL_OFFCPU, to, RECV, tid);

	r.u.gil_span.from_ns = AT(from);
	r.u.gil_span.to_ns = AT(to);
	r.u.gil_span.off_ns = AT(to) - AT(from);
	r.u.gil_span.preempted = (uint8_t)preempted;
	feed_at(t, r);
}

/* Off the CPU with the GIL: one by one, added up, and one that goes on over the end of a stretch. */
static void test_held_off_the_cpu(void **state)
{
	struct table *t = one_node();
	struct dp_record r = stretch(1000, 0, 0, 0), k = look(1990, RECV, RECV, 1490);

	(void)state;
	off_cpu(t, 100, 350, RECV, 0);
	r.u.share.off_ns = 50 * MS;
	feed_at(t, r);
	assert_near(line(t, 0)->gil_held, 0.3, 0, 0.0001);
	k.u.look.off_since_ns = AT(1500);
	feed_at(t, k);
	feed_at(t, stretch(2000, 0, 0, 0));
	assert_near(line(t, 1)->gil_held, 0.5, 0, 0.0001);
	off_cpu(t, 1500, 2600, RECV, 0);
	feed_at(t, stretch(3000, 0, 0, 0));
	assert_near(line(t, 2)->gil_held, 0.6, 0, 0.0001);
	table_free(t);
}

static void wait_of(struct table *t, double from, double to, uint32_t tid)
{
	struct dp_record r = record(DP_REC_GIL_WAIT_END, to, RECV, tid);

	r.u.wait.begin_ns = AT(from);
	r.u.wait.acquired = 1;
	feed_at(t, r);
}

/* No moment counts twice, however many wait; a wait that goes on is spread over its seconds. */
static void test_waits_of_several_threads(void **state)
{
	struct table *t = one_node();
	struct dp_record r = stretch(3000, 0, 0, 0), begin;

	(void)state;
	wait_of(t, 600, 700, OTHER);
	wait_of(t, 200, 400, HOG);
	feed_at(t, stretch(1000, 0, 0, 0));
	assert_near(line(t, 0)->gil_wait, 0.3, 0, 0.0001);
	wait_of(t, 1200, 1300, OTHER);
	wait_of(t, 1250, 1400, HOG);
	wait_of(t, 1100, 1500, RECV);
	begin = record(DP_REC_GIL_WAIT_BEGIN, 1705, RECV, OTHER);
	begin.u.wait.begin_ns = AT(1700);
	feed_at(t, begin);
	feed_at(t, stretch(2000, 0, 0, 0));
	assert_near(line(t, 1)->gil_wait, 0.4 + 0.3, 0, 0.0001);
	wait_of(t, 1700, 2500, OTHER);
	r.u.share.wait_ns = 120 * MS;
	feed_at(t, r);
	assert_near(line(t, 2)->gil_wait, 0.5 + 0.12, 0.0346, 0.001);
	table_free(t);
}

static void test_main_asleep(void **state)
{
	(void)state;
	for (int other = 0; other < 2; other++) {
		struct table *t = one_node();
		struct dp_record r = stretch(1000, 300, 15, 15);

		if (other) {
			/* Another thread takes the events: main's sleep is not the node's. */
			struct dp_record map = record(DP_REC_REGION, 10, RECV, OTHER);

			map.u.region.kind = DP_REGION_MAPPED;
			feed_at(t, map);
		}
		wait_of(t, 100, 200, RECV);
		off_cpu(t, 300, 350, RECV, 0);
		off_cpu(t, 400, 450, RECV, 1);
		r.u.share.main_cpu_ns = 300 * MS;
		r.u.share.main_queued_ns = 50 * MS;
		feed_at(t, r);
		if (other)
			assert_true(line(t, 0)->blocked.ratio < 0);
		else
			assert_near(line(t, 0)->blocked, 0.5, 0, 0.0001);
		table_free(t);
	}
}

/* A line each interval, the rest at the end; the summary has the whole. */
static void test_lines_and_summary(void **state)
{
	(void)state;
	for (uint64_t every = 0; every <= 2; every++) {
		struct table *t = one_node();
		struct dp_record end;

		for (int i = 1; i <= 5; i++) {
			struct dp_record r = stretch(i * 1000, 800, 40, 40);

			r.u.share.every_ns = every * SEC;
			feed_at(t, r);
		}
		assert_int_equal(count_said(t, DP_FIND_SHARE), every == 0 ? 0 : every == 1 ? 5 : 2);
		end = record(DP_REC_END, 5100, 0, 0);
		feed(t, &end);
		assert_int_equal(count_said(t, DP_FIND_SHARE), every == 0 ? 0 : every == 1 ? 5 : 3);
		if (every == 2)
			assert_int_equal(line(t, 2)->duration_ns, SEC);
		/* Two hundred samples say more than five times forty. */
		assert_near(said(t, DP_FIND_SUMMARY_NODE, 0)->f.u.summary_node.gil_held, 0.798,
			    0.0028, 0.0002);
		table_free(t);
	}
}

static const struct dp_warning_finding *warning(const struct table *t, enum dp_warning_kind kind,
						unsigned int i)
{
	for (unsigned int j = 0; j < t->said_count; j++) {
		const struct dp_finding *f = &t->said[j].f;

		if (f->type == DP_FIND_WARNING && f->u.warning.kind == kind && i-- == 0)
			return &f->u.warning;
	}
	return NULL;
}

/* The handler's stack, whenever it is asked for. */
static void answer_stacks(struct table *t, unsigned int *answered, double ms, const char *function)
{
	for (; *answered < t->asked_count; (*answered)++)
		if (t->asked[*answered].type == DP_REQ_READ_STACK)
			stack(t, ms, RECV, t->asked[*answered].tid, function, 7, "");
}

/* 80 % in short pieces: after five seconds, with the place; over when it is below 65 %. */
static void test_share_in_pieces(void **state)
{
	struct table *t = one_node();
	unsigned int answered = 0;
	struct dp_record first = token(DP_REC_TOKEN_DELIVERED, 10, RECV, 1);

	(void)state;
	feed_at(t, first);
	for (int ms = 20; ms <= 15000; ms += 20) {
		struct dp_record k = look(ms, RECV, RECV, ms - 1);

		feed_at(t, k);
		answer_stacks(t, &answered, ms, "handler");
		if (ms % 1000 == 0)
			feed_at(t, stretch(ms, ms <= 6000 ? 820 : ms <= 9000 ? 990 : 300, 49, 49));
		if (ms == 4980)
			assert_null(warning(t, DP_WARN_GIL_SHARE, 0));
		if (ms == 6000)
			assert_null(warning(t, DP_WARN_GIL_SHARE, 1));
	}
	assert_non_null(warning(t, DP_WARN_GIL_SHARE, 0));
	assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 0)->severity, DP_SEVERITY_NOTICE);
	assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 0)->cause, DP_CAUSE_BUSY_PYTHON);
	assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 0)->holder_tid, RECV);
	assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 0)->held_ns, DP_NULL);
	assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 1)->severity, DP_SEVERITY_WARNING);
	assert_true(warning(t, DP_WARN_GIL_SHARE, 2)->resolved);
	assert_null(warning(t, DP_WARN_GIL_SHARE, 3));
	table_free(t);
}

/*
 * A share that becomes high when the stretches of a warning are there already: who it is has been
 * asked for only since, and the warning waits for the answer, two seconds at most.
 */
static void test_share_that_rises(void **state)
{
	(void)state;
	for (int is_answered = 0; is_answered < 2; is_answered++) {
		struct table *t = one_node();
		unsigned int answered = 0;

		feed_at(t, token(DP_REC_TOKEN_DELIVERED, 10, RECV, 1));
		for (int ms = 20; ms <= 15000; ms += 20) {
			feed_at(t, look(ms, RECV, RECV, ms - 1));
			if (is_answered)
				answer_stacks(t, &answered, ms, "handler");
			if (ms % 1000 == 0)
				feed_at(t, stretch(ms, ms <= 8000 ? 600 : 880, 49, 49));
		}
		assert_non_null(warning(t, DP_WARN_GIL_SHARE, 0));
		assert_int_equal(warning(t, DP_WARN_GIL_SHARE, 0)->cause,
				 is_answered ? DP_CAUSE_BUSY_PYTHON : DP_CAUSE_UNKNOWN);
		if (is_answered)
			assert_string_equal(warning(t, DP_WARN_GIL_SHARE, 0)->place.function,
					    "handler");
		table_free(t);
	}
}

/* A node that has had no message yet is loading its modules, up to ten seconds of age. */
static void test_a_node_that_loads(void **state)
{
	struct table *t = one_node();

	(void)state;
	for (int s = 1; s <= 11; s++) {
		feed_at(t, stretch(s * 1000, 990, 49, 49));
		if (s == 9)
			assert_null(warning(t, DP_WARN_GIL_SHARE, 0));
	}
	assert_non_null(warning(t, DP_WARN_GIL_SHARE, 0));
	table_free(t);

	/* One that has had a message without a token, as all are in dora 1.x, has loaded them. */
	t = one_node();
	for (int s = 1; s <= 9; s++) {
		if (s == 2) {
			struct dp_record r = record(DP_REC_WIRE_EVENT, 1500, RECV, RECV);

			r.u.wire.kind = DP_WIRE_INPUT;
			feed(t, &r);
		}
		feed_at(t, stretch(s * 1000, 990, 49, 49));
	}
	assert_non_null(warning(t, DP_WARN_GIL_SHARE, 0));
	table_free(t);
}

/* One hold of many seconds has its own warning. */
static void test_one_long_hold_is_no_share(void **state)
{
	struct table *t = one_node();

	(void)state;
	for (int ms = 20; ms <= 9000; ms += 20) {
		struct dp_record k = look(ms, RECV, RECV, 10);

		k.u.look.off_since_ns = AT(15);
		feed_at(t, k);
		if (ms % 1000 == 0)
			feed_at(t, stretch(ms, 0, 0, 0));
	}
	assert_true(line(t, 5)->gil_held.ratio > 0.99);
	assert_non_null(warning(t, DP_WARN_GIL_HOLD, 0));
	assert_null(warning(t, DP_WARN_GIL_SHARE, 0));
	table_free(t);
}

/* Waits of `wait` ms, `each` apart; with `held`, the thread holds the GIL between them itself. */
static struct table *convoy(double wait, double each, int held)
{
	struct table *t = one_node();
	double ms = 10;

	for (int s = 1; s <= 6; s++) {
		for (; ms + wait < s * 1000; ms += each) {
			struct dp_record r;

			wait_of(t, ms, ms + wait, RECV);
			if (!held)
				continue;
			r = record(DP_REC_GIL_RELEASE, ms + wait + 3, RECV, RECV);
			r.u.gil_span.from_ns = AT(ms + wait);
			r.u.gil_span.to_ns = AT(ms + wait + 3);
			feed_at(t, r);
		}
		feed_at(t, stretch(s * 1000, 500, 25, 25));
	}
	return t;
}

static void test_convoy(void **state)
{
	static const struct {
		double wait, each;
		int held, warned;
	} rows[] = {
		{5.2, 6, 0, 1},                 /* all its time */
		{5.2, 33, 0, 1},                /* once a message */
		{5.2, 10, 1, 0},                /* two that compute */
		{5.2, 200, 0, 0}, {3, 6, 0, 0}, /* behind short holds: no switch interval */
		{30, 33, 0, 1},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct table *t = convoy(rows[i].wait, rows[i].each, rows[i].held);
		const struct dp_warning_finding *w = warning(t, DP_WARN_CONVOY, 0);

		assert_int_equal(w != NULL, rows[i].warned);
		if (w) {
			assert_int_equal(w->cause, DP_CAUSE_GIL_CONTENTION);
			assert_int_equal(w->severity, rows[i].each < 10 || rows[i].wait > 20
							      ? DP_SEVERITY_WARNING
							      : DP_SEVERITY_NOTICE);
		}
		for (int s = 7; s < 11; s++)
			feed_at(t, stretch(s * 1000, 500, 25, 25));
		if (rows[i].warned)
			assert_true(warning(t, DP_WARN_CONVOY, 1)->resolved);
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_time_by_samples),
		cmocka_unit_test(test_looks_without_samples),
		cmocka_unit_test(test_held_off_the_cpu),
		cmocka_unit_test(test_waits_of_several_threads),
		cmocka_unit_test(test_main_asleep),
		cmocka_unit_test(test_lines_and_summary),
		cmocka_unit_test(test_share_in_pieces),
		cmocka_unit_test(test_share_that_rises),
		cmocka_unit_test(test_a_node_that_loads),
		cmocka_unit_test(test_one_long_hold_is_no_share),
		cmocka_unit_test(test_convoy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
