// SPDX-License-Identifier: MIT
/* Slack, outlook, stepped warnings and the forecast. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/units.h"
#include "decide/slack.h"

#define T0   (1000 * SEC)
#define TICK (10 * MS)

static struct dp_outlook_view stopped(void)
{
	struct dp_outlook_view v = {
		.stop_ns = T0,
		.deadline_ns = T0 + 10 * SEC,
		.grace_ns = 10 * SEC,
		.need_ns = DP_NULL,
	};

	return v;
}

static void slack_is_signed_and_never_goes_round(void **state)
{
	(void)state;
	assert_true(dp_slack(0, T0, SEC) == DP_SNULL);
	assert_true(dp_slack(T0 + 10 * SEC, T0, 3 * SEC) == (int64_t)(7 * SEC));
	assert_true(dp_slack(T0 + 10 * SEC, T0, DP_NULL) == (int64_t)(10 * SEC));
	assert_true(dp_slack(T0, T0 + SEC, SEC) == -(int64_t)(2 * SEC));
	assert_true(dp_slack(1, T0, UINT64_MAX - 1) < 0);
	assert_true(dp_slack(UINT64_MAX, 1, 0) == INT64_MAX);
}

static void outlook_of_each_case(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_outlook o;

	(void)state;
	/* Nothing stuck: it cleans up, and is done as soon as that is. */
	v.need_ns = 2 * SEC;
	dp_outlook(&v, T0 + SEC, &o);
	assert_true(o.slack_ns == (int64_t)(7 * SEC) && !o.miss && !o.reacted);
	assert_true(o.ready_ns == T0 + 3 * SEC);

	/* Half of its clean-up is behind it. */
	v.moved_ns = T0 + SEC;
	dp_outlook(&v, T0 + 2 * SEC, &o);
	assert_true(o.slack_ns == (int64_t)(7 * SEC) && o.reacted);
	/* More time than it ever took: no debt is counted. */
	dp_outlook(&v, T0 + 8 * SEC, &o);
	assert_true(o.slack_ns == (int64_t)(2 * SEC));

	/* Stuck in a call whose length is known: the rest of it and the clean-up. */
	v = stopped();
	v.need_ns = 2 * SEC;
	v.stuck_since_ns = T0 - SEC;
	v.stuck_expected_end_ns = T0 + 3 * SEC;
	dp_outlook(&v, T0 + SEC, &o);
	assert_true(o.ready_ns == T0 + 5 * SEC && !o.miss);
	v.stuck_expected_end_ns = T0 + 9 * SEC;
	dp_outlook(&v, T0 + 50 * MS, &o);
	assert_true(o.ready_ns == T0 + 11 * SEC && o.miss && o.slack_ns == -(int64_t)SEC);

	/* Of unknown length: open at first, foreseen to miss from 15 % of the grace on. */
	v.stuck_expected_end_ns = 0;
	dp_outlook(&v, T0 + SEC, &o);
	assert_true(o.ready_ns == DP_NULL && !o.miss);
	dp_outlook(&v, T0 + 1500 * MS, &o);
	assert_true(o.ready_ns == DP_NULL && o.miss && o.slack_ns == (int64_t)(6500 * MS));

	/* Longer than earlier calls by a quarter: they say nothing any more. */
	v.stuck_expected_end_ns = T0 + SEC; /* 2 s long */
	dp_outlook(&v, T0 + 1490 * MS, &o);
	assert_true(!o.miss && o.ready_ns != DP_NULL);
	dp_outlook(&v, T0 + 1510 * MS, &o);
	assert_true(o.miss && o.ready_ns == DP_NULL);

	/* A call that began after Stop is the clean-up itself. */
	v.stuck_since_ns = T0 + 100 * MS;
	v.stuck_expected_end_ns = 0;
	dp_outlook(&v, T0 + 5 * SEC, &o);
	assert_true(!o.miss);

	/* Outputs closed: through with it. */
	v = stopped();
	v.need_ns = 2 * SEC;
	v.outputs_done = 1;
	dp_outlook(&v, T0 + 9 * SEC, &o);
	assert_true(!o.miss && o.slack_ns == (int64_t)SEC && o.reacted);

	/* No deadline, no Stop, gone: nothing to say. */
	v = stopped();
	v.deadline_ns = 0;
	v.stuck_since_ns = T0 - SEC;
	dp_outlook(&v, T0 + 5 * SEC, &o);
	assert_true(o.slack_ns == DP_SNULL && !o.miss);
	v.stop_ns = 0;
	dp_outlook(&v, T0 + 5 * SEC, &o);
	assert_true(o.slack_ns == DP_SNULL && !o.miss && o.ready_ns == DP_NULL);
}

static void a_step_is_said_once(void **state)
{
	static const struct {
		unsigned int raise, keep;
		uint64_t at;
		enum dp_step_change change;
		unsigned int level;
	} rows[] = {
		{0, 0, 0, DP_STEP_NONE, 0},
		{1, 1, 10, DP_STEP_RAISED, 1},
		{1, 1, 20, DP_STEP_NONE, 1},
		{0, 1, 30, DP_STEP_NONE, 1}, /* below the threshold, within the laxer one */
		{1, 1, 40, DP_STEP_NONE, 1},
		{3, 3, 50, DP_STEP_RAISED, 3}, /* two steps, one line */
		{0, 0, 60, DP_STEP_NONE, 3},   /* gone, but not for long enough */
		{3, 3, 70, DP_STEP_NONE, 3},   /* back: nothing has happened */
		{0, 0, 80, DP_STEP_NONE, 3},
		{0, 0, 179, DP_STEP_NONE, 3},
		{0, 0, 180, DP_STEP_RESOLVED, 0},
		{0, 0, 190, DP_STEP_NONE, 0},
		{2, 2, 200, DP_STEP_RAISED, 2},
		{1, 1, 300, DP_STEP_NONE, 2},
		{1, 1, 400, DP_STEP_NONE, 1}, /* a step down is no line */
		{2, 2, 500, DP_STEP_RAISED, 2},
	};
	struct dp_step s = {0};
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		enum dp_step_change change =
			dp_step(&s, rows[i].raise, rows[i].keep, 1000 + rows[i].at, 100);

		if (change != rows[i].change || s.level != rows[i].level)
			fail_msg("row %zu: change %d, level %u", i, (int)change, s.level);
	}
}

struct lines {
	unsigned int pending_raised, pending_resolved, deadline_raised, deadline_resolved;
	uint64_t first; /* any warning, since T0 */
	uint64_t deadline_at[4];
	unsigned int deadline_severity[4], pending_severity[4], closed_severity;
	char first_deadline[DP_REASON_MAX], last[DP_REASON_MAX];
};

static void watch(struct lines *l, struct dp_stop_steps *s, const struct dp_outlook_view *v,
		  uint64_t from, uint64_t to)
{
	struct dp_stop_change n;
	uint64_t at;

	for (at = from; at <= to; at += TICK) {
		dp_stop_warn(s, v, T0 + at, &n);
		if ((n.pending != DP_STEP_NONE || n.deadline != DP_STEP_NONE) && !l->first)
			l->first = at;
		if (n.pending == DP_STEP_RAISED && l->pending_raised < 4)
			l->pending_severity[l->pending_raised++] = n.pending_severity;
		l->pending_resolved += n.pending == DP_STEP_RESOLVED;
		if (n.deadline == DP_STEP_RAISED && l->deadline_raised < 4) {
			if (!l->deadline_raised)
				memcpy(l->first_deadline, n.text, sizeof(n.text));
			l->deadline_at[l->deadline_raised] = at;
			l->deadline_severity[l->deadline_raised++] = n.deadline_severity;
		}
		if (n.deadline == DP_STEP_RESOLVED) {
			l->deadline_resolved++;
			l->closed_severity = n.deadline_severity;
		}
		if (n.text[0])
			memcpy(l->last, n.text, sizeof(n.text));
	}
}

static void a_stuck_node_is_warned_of_early_and_in_steps(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_stop_steps s = {0};
	struct lines l = {0};

	(void)state;
	v.stuck_since_ns = T0 - 2 * SEC;
	watch(&l, &s, &v, 0, 10 * SEC);
	/* At least 80 % of the grace before the kill. */
	assert_int_equal(l.first, 1500 * MS);
	assert_int_equal(l.deadline_raised, 3);
	assert_int_equal(l.deadline_at[0], 1500 * MS);
	assert_int_equal(l.deadline_severity[0], DP_SEVERITY_NOTICE);
	assert_int_equal(l.deadline_at[1], 5010 * MS);
	assert_int_equal(l.deadline_severity[1], DP_SEVERITY_WARNING);
	assert_int_equal(l.deadline_at[2], 8010 * MS);
	assert_int_equal(l.deadline_severity[2], DP_SEVERITY_CRITICAL);
	assert_int_equal(l.pending_raised, 3);
	assert_int_equal(l.pending_severity[2], DP_SEVERITY_CRITICAL);
	assert_int_equal(l.deadline_resolved + l.pending_resolved, 0);
	assert_string_equal(l.first_deadline,
			    "1.50 s after Stop without a reaction; the deadline is in "
			    "8.50 s, which it misses unless its call ends");
	/* It leaves: one closing line each. */
	v.exited = true;
	watch(&l, &s, &v, 10010 * MS, 14 * SEC);
	assert_int_equal(l.deadline_resolved, 1);
	assert_int_equal(l.closed_severity, DP_SEVERITY_CRITICAL);
	assert_int_equal(l.pending_resolved, 1);
	assert_string_equal(l.last, "the node has left");
}

static void what_is_known_to_miss_is_said_at_once(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_stop_steps s = {0};
	struct lines l = {0};

	(void)state;
	v.stuck_since_ns = T0 - 2 * SEC;
	v.stuck_expected_end_ns = T0 + 38 * SEC;
	watch(&l, &s, &v, 0, 20 * MS);
	assert_int_equal(l.deadline_raised, 1);
	assert_int_equal(l.deadline_severity[0], DP_SEVERITY_CRITICAL);
	assert_non_null(strstr(l.first_deadline, "which it misses by 28.0 s"));
}

static void healthy_stops_raise_no_deadline_warning(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_stop_steps s = {0};
	struct lines l = {0};

	(void)state;
	/* A call of a known 3 s at Stop, and 2 s of clean-up. */
	v.need_ns = 2 * SEC;
	v.stuck_since_ns = T0 - 100 * MS;
	v.stuck_expected_end_ns = T0 + 2900 * MS;
	watch(&l, &s, &v, 0, 2900 * MS);
	v.stuck_since_ns = 0;
	v.moved_ns = T0 + 2900 * MS;
	watch(&l, &s, &v, 2910 * MS, 4900 * MS);
	v.exited = true;
	watch(&l, &s, &v, 4910 * MS, 5 * SEC);
	assert_int_equal(l.deadline_raised, 0);
	/* That it has not reacted for 1.5 s is a notice, closed as soon as it does. */
	assert_int_equal(l.pending_raised, 1);
	assert_int_equal(l.pending_severity[0], DP_SEVERITY_NOTICE);
	assert_int_equal(l.pending_resolved, 1);

	/* Out within 1 s: not a line. */
	memset(&l, 0, sizeof(l));
	memset(&s, 0, sizeof(s));
	v = stopped();
	v.stuck_since_ns = T0 - SEC;
	watch(&l, &s, &v, 0, SEC);
	v.exited = true;
	watch(&l, &s, &v, SEC, 2 * SEC);
	assert_int_equal(
		l.pending_raised + l.deadline_raised + l.pending_resolved + l.deadline_resolved, 0);
}

static void a_call_that_ends_resolves_the_warning(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_stop_steps s = {0};
	struct lines l = {0};

	(void)state;
	v.stuck_since_ns = T0 - SEC;
	watch(&l, &s, &v, 0, 3 * SEC);
	assert_int_equal(l.deadline_raised, 1);
	v.stuck_since_ns = 0;
	v.moved_ns = T0 + 3 * SEC;
	watch(&l, &s, &v, 3010 * MS, 3900 * MS);
	assert_int_equal(l.pending_resolved, 1);
	assert_int_equal(l.deadline_resolved, 0);
	watch(&l, &s, &v, 3910 * MS, 6 * SEC);
	assert_int_equal(l.deadline_resolved, 1);
	assert_int_equal(l.deadline_raised, 1);
}

static void a_slack_that_trembles_changes_nothing(void **state)
{
	struct dp_outlook_view v = stopped();
	struct dp_stop_steps s = {0};
	struct lines l = {0};
	uint64_t at;

	(void)state;
	/* Around the 50 % threshold: need swings by 0.4 s every tick while time stands still. */
	v.stuck_since_ns = T0 - SEC;
	watch(&l, &s, &v, 2 * SEC, 2 * SEC);
	for (at = 0; at < 3000 * MS; at += TICK) {
		v.deadline_ns = T0 + 2 * SEC + at + (at / TICK % 2 ? 5200 : 4800) * MS;
		watch(&l, &s, &v, 2 * SEC + at, 2 * SEC + at);
	}
	assert_int_equal(l.deadline_raised, 2);
	assert_int_equal(l.deadline_resolved, 0);
	/* A new Stop is a new story. */
	v = stopped();
	v.stop_ns = T0 + 100 * SEC;
	v.deadline_ns = T0 + 110 * SEC;
	v.stuck_since_ns = T0;
	watch(&l, &s, &v, 101500 * MS, 101500 * MS);
	assert_int_equal(l.deadline_raised, 3);
}

static void forecast_from_what_was_measured(void **state)
{
	static const struct {
		struct dp_forecast_view v;
		int ret;
		uint64_t need;
		int at_least, at_risk;
	} rows[] = {
		{{.grace_ns = 10 * SEC, .need_ns = DP_NULL}, -ENODATA, 0, 0, 0},
		{{.grace_ns = 10 * SEC, .need_ns = 2 * SEC}, 0, 2 * SEC, 0, 0},
		{{.grace_ns = 10 * SEC, .need_ns = DP_NULL, .longest_hold_ns = 3 * SEC},
		 0,
		 3 * SEC,
		 0,
		 0},
		/* The present call is 1 s old, and 4 s long as a rule. */
		{{.grace_ns = 10 * SEC,
		  .need_ns = SEC,
		  .hold_start_ns = T0 - SEC,
		  .hold_expected_end_ns = T0 + 3 * SEC,
		  .longest_hold_ns = 9 * SEC},
		 0,
		 4 * SEC,
		 0,
		 0},
		/* Longer than any before: as long again, or more. */
		{{.grace_ns = 10 * SEC,
		  .need_ns = SEC,
		  .hold_start_ns = T0 - 5 * SEC,
		  .longest_hold_ns = SEC},
		 0,
		 6 * SEC,
		 1,
		 0},
		{{.grace_ns = 10 * SEC,
		  .need_ns = SEC,
		  .hold_start_ns = T0 - 8 * SEC,
		  .longest_hold_ns = SEC},
		 0,
		 9 * SEC,
		 1,
		 1},
		/* Pending tokens cost dora's own wait. */
		{{.grace_ns = 10 * SEC, .need_ns = 7 * SEC, .pending_tokens = 3},
		 0,
		 8100 * MS,
		 0,
		 1},
		/* A forged time in the future is no hold. */
		{{.grace_ns = 10 * SEC, .need_ns = DP_NULL, .hold_start_ns = T0 + SEC},
		 -ENODATA,
		 0,
		 0,
		 0},
	};
	struct dp_forecast f;
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		memset(&f, 0xee, sizeof(f));
		if (dp_forecast(&rows[i].v, "camera", T0, &f) != rows[i].ret)
			fail_msg("row %zu", i);
		if (rows[i].ret) {
			assert_true(f.need_ns == 0xeeeeeeeeeeeeeeeeULL); /* untouched */
			continue;
		}
		if (f.need_ns != rows[i].need || f.at_least != rows[i].at_least ||
		    f.at_risk != rows[i].at_risk)
			fail_msg("row %zu: need %llu ms, at_least %d, at_risk %d", i,
				 (unsigned long long)(f.need_ns / MS), f.at_least, f.at_risk);
	}
	assert_int_equal(dp_forecast(&rows[6].v, "camera", T0, &f), 0);
	assert_string_equal(
		f.text, "if you stopped now, node camera would need about 8.10 s of its 10.0 s");
	assert_int_equal(dp_forecast(&rows[5].v, NULL, T0, &f), 0);
	assert_string_equal(
		f.text, "if you stopped now, node (unnamed) would need some 9.00 s of its 10.0 s "
			"or more: when its call ends is not known");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slack_is_signed_and_never_goes_round),
		cmocka_unit_test(outlook_of_each_case),
		cmocka_unit_test(a_step_is_said_once),
		cmocka_unit_test(a_stuck_node_is_warned_of_early_and_in_steps),
		cmocka_unit_test(what_is_known_to_miss_is_said_at_once),
		cmocka_unit_test(healthy_stops_raise_no_deadline_warning),
		cmocka_unit_test(a_call_that_ends_resolves_the_warning),
		cmocka_unit_test(a_slack_that_trembles_changes_nothing),
		cmocka_unit_test(forecast_from_what_was_measured),
	};

	return cmocka_run_group_tests_name("slack", tests, NULL, NULL);
}
