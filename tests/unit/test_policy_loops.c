// SPDX-License-Identifier: MIT
/* The shutdown guard and a node that loops, or whose Python is ending. */
#include "policy_views.h"
#include "base/array.h"

/* Neither a hold nor a sleep of before Stop: a loop, of which stacks show where it is. */
static struct dp_policy_view looping(void)
{
	struct dp_policy_view v = stuck();

	v.hold = (struct dp_policy_hold){0};
	v.progress = (struct dp_policy_progress){
		.main_tid = 4242,
		.known_before = true,
		.place = {.function = "nap", .file = "node.py", .line = 20},
	};
	return v;
}

/* ---- loops ---- */

enum found { FOUND_SAME, FOUND_OTHER, FOUND_BOTH_IN_TURN, FOUND_IDLE, FOUND_NOTHING };

/* What each stack since Stop shows, and what becomes of a nudge. */
struct loop {
	enum found found;
	bool handled;   /* the Python handler runs 20 ms after the signal, and the node goes on */
	bool delivered; /* alone */
	bool leaves;    /* it is elsewhere from 20 ms after the signal on */
};

static void see(struct dp_policy_view *v, const struct loop *l, unsigned int nudges, uint64_t last,
		uint64_t at)
{
	struct dp_policy_progress *p = &v->progress;
	bool after = nudges && at >= last + 20 * MS, look = at % (100 * MS) == 0;

	if (after && l->delivered)
		p->delivered_ns = T0 + last + 5 * MS;
	if (after && l->handled)
		p->delivered_ns = p->handled_ns = T0 + last + 10 * MS;
	if (!look || l->found == FOUND_NOTHING)
		return;
	if (l->found == FOUND_IDLE)
		p->idle_ns = T0 + at;
	else if (l->found == FOUND_OTHER || (after && l->leaves) ||
		 (l->found == FOUND_BOTH_IN_TURN && at / (100 * MS) % 4))
		p->other_ns = T0 + at;
	else
		p->same_ns = p->kept_ns = T0 + at;
}

static struct trail whole_loop(const struct dp_policy_config *cfg, struct dp_policy_view v,
			       const struct loop *l)
{
	struct dp_policy_state st = {0};
	struct trail t = {0};
	uint64_t at;

	for (at = TICK; at < 10 * SEC; at += TICK) {
		see(&v, l, t.nudges, t.nudges ? t.at[t.nudges - 1] : 0, at);
		run(&t, &st, cfg, &v, at, at, DP_RESULT_SENT);
	}
	return t;
}

static void a_loop_is_helped_wherever_it_is(void **state)
{
	static const struct {
		struct loop loop;
		unsigned int nudges;
		uint64_t at;             /* the first; ms */
		enum dp_refusal refused; /* NONE: no line at all */
		const char *reason;      /* of the last nudge, or of the refusal */
	} rows[] = {
		{{FOUND_SAME, .leaves = true}, 1, 4000, DP_REFUSE_AFTER_STOP, "did not do before"},
		{{FOUND_SAME, .handled = true},
		 4,
		 4000,
		 DP_REFUSE_SWALLOWED,
		 "all 4 nudges were handled and swallowed in nap (node.py:20)"},
		{{FOUND_SAME, .delivered = true},
		 1,
		 4000,
		 DP_REFUSE_NOT_POLLING,
		 "as before Stop: this call does not poll signals"},
		/* Nothing says what became of them: the tries go on. */
		{{.found = FOUND_SAME},
		 4,
		 4000,
		 DP_REFUSE_TRIES_SPENT,
		 "goes on after every nudge"},
		/* Three stacks of four show a place of the loop that is not known. */
		{{FOUND_BOTH_IN_TURN, .handled = true}, 4, 4000, DP_REFUSE_SWALLOWED, "swallowed"},
		/* Its clean-up, from Stop on. */
		{{.found = FOUND_OTHER}, 0, 0, DP_REFUSE_AFTER_STOP, "did not do before Stop"},
		/* asyncio shows no task, and nothing at all: only when little time is left. */
		{{.found = FOUND_IDLE}, 2, 8500, DP_REFUSE_UNCLEAR, "let alone"},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct trail t = whole_loop(&NUDGE, looping(), &rows[i].loop);
		enum dp_refusal why = rows[i].refused;

		if (t.nudges != rows[i].nudges || (t.nudges && t.at[0] != rows[i].at * MS))
			fail_msg("row %zu: %u nudges, the first at %llu ms", i, t.nudges,
				 (unsigned long long)(t.at[0] / MS));
		if (t.refusals != 1 || t.refused[why] != 1)
			fail_msg("row %zu: %u refusals, %u of %d", i, t.refusals, t.refused[why],
				 why);
		if (!strstr(t.reason[why], rows[i].reason))
			fail_msg("row %zu: %s", i, t.reason[why]);
	}
}

/* Nothing of the process has asked dora for an event since before Stop. */
static void who_has_not_come_back_to_dora_has_not_taken_stop(void **state)
{
	static const struct {
		int64_t away;    /* since; ms after Stop */
		uint64_t looked; /* the last look is so old, ms */
		bool asyncio, by_signal;
		unsigned int nudges;
	} rows[] = {
		{-700, 50, false, false, 1},  {300, 50, false, false, 0},
		{-700, 400, false, false, 0}, {-700, 50, true, false, 0},
		{-700, 50, false, true, 0},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_policy_view v = looping();
		struct dp_policy_state st = {0};
		struct trail t = {0};

		v.progress.away_ns = (uint64_t)((int64_t)T0 + rows[i].away * (int64_t)MS);
		v.progress.away_place =
			(struct dp_place){.function = "steps", .file = "node.py", .line = 33};
		v.progress.asyncio = rows[i].asyncio;
		v.stop_reason = rows[i].by_signal ? DP_STOP_SIGTERM : DP_STOP_STOP;
		for (uint64_t at = TICK; at < 10 * SEC; at += TICK) {
			v.progress.other_ns = T0 + at;
			v.progress.looked_ns = T0 + at - rows[i].looked * MS;
			run(&t, &st, &NUDGE, &v, at, at, DP_RESULT_SENT);
		}
		if (t.nudges != rows[i].nudges)
			fail_msg("row %zu: %u nudges", i, t.nudges);
		/* What follows the first one may be a clean-up. */
		if (t.nudges)
			assert_non_null(strstr(
				t.last_nudge.reason,
				"not come back to next() since before Stop; it is in steps (node.py:33)"));
	}
}

static void what_the_last_nudge_did_is_said(void **state)
{
	const struct loop swallows = {FOUND_SAME, .handled = true};
	struct dp_policy_view v = looping();
	struct trail t = whole_loop(&NUDGE, v, &swallows);

	(void)state;
	assert_int_equal(t.last_nudge.tid, 4242);
	assert_true(t.last_nudge.anywhere);
	assert_string_equal(
		t.last_nudge.reason,
		"nudge 3 was handled and swallowed: the node goes on in nap (node.py:20), "
		"as before Stop, 7.50 s after Stop");
	v.progress.asyncio = true;
	v.grace_ns = 3 * SEC;
	v.deadline_ns = T0 + 1800 * MS; /* time for two */
	t = whole_loop(&NUDGE, v, &swallows);
	assert_int_equal(t.nudges, 2);
	assert_non_null(strstr(t.last_nudge.reason, "asyncio's first SIGINT only cancels"));
}

/* After its own nudge the clock does not begin anew: a new sleep, a new hold is the same node. */
static void a_new_hold_after_a_nudge_is_the_same_node(void **state)
{
	const struct loop swallows = {FOUND_SAME, .handled = true};
	struct dp_policy_state st = {0};
	struct trail t = {0};

	(void)state;
	for (int blocks = 0; blocks < 2; blocks++) {
		struct dp_policy_view v = blocks ? blocked() : on_cpu();

		v.progress = looping().progress;
		memset(&st, 0, sizeof(st));
		memset(&t, 0, sizeof(t));
		for (uint64_t at = TICK; at < 10 * SEC; at += TICK) {
			uint64_t last = t.nudges ? t.at[t.nudges - 1] : 0;

			see(&v, &swallows, t.nudges, last, at);
			if (t.nudges && at == last + TICK) {
				v.hold.id += v.hold.id ? 1 : 0;
				v.hold.start_ns = v.hold.start_lo_ns = T0 + at;
				v.blocked.since_ns = blocks ? T0 + at : 0;
			}
			run(&t, &st, &NUDGE, &v, at, at, DP_RESULT_SENT);
		}
		assert_int_equal(t.nudges, 4);
		assert_int_equal(t.at[1], 4500 * MS);
		assert_int_equal(t.at[2], 5500 * MS);
		assert_int_equal(t.at[3], 7500 * MS);
		assert_int_equal(t.refused[DP_REFUSE_SWALLOWED], 1);
		assert_int_equal(t.refusals, 1);
	}
}

/* A call that runs the handler and goes on (asyncio's returns) is no call that polls none. */
static void a_handler_that_ran_is_not_a_call_that_polls_none(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.progress.handled_ns = T0 + 4010 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 4600 * MS, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 2);
	assert_int_equal(t.refusals, 0);
	/* The second is not handled: that one is said, and it was no lie before. */
	run(&t, &st, &NUDGE, &v, 4610 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 2);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);
	assert_int_equal(st.learned[0].swallowed, 1);
	assert_int_equal(st.learned[0].in_vain, 1);
}

static void a_loop_that_ends_in_time_is_waited_for(void **state)
{
	const struct loop same = {.found = FOUND_SAME};
	struct dp_policy_view v = looping();
	struct trail t;

	(void)state;
	/* Its handler once took 6 s, and began 1 s before Stop. */
	v.progress.busy_since_ns = T0 - SEC;
	v.progress.busy_until_ns = T0 + 5 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.refused[DP_REFUSE_ENDS_IN_TIME], 1);
	assert_int_equal(t.at[0], 6510 * MS); /* a quarter over */
	v.progress.busy_until_ns = T0 + 12 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.at[0], 4 * SEC);
	/* It works off its queue: Stop comes after that. */
	v.progress.busy_until_ns = 0;
	v.progress.took_ns = T0 + 5 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.refused[DP_REFUSE_MOVED], 1);
	assert_int_equal(t.at[0], 6010 * MS);
}

/* Main has ended: threads that are no daemons get three quarters of the time. */
static void who_finalises_is_nudged_late(void **state)
{
	struct dp_policy_view v = looping();
	struct dp_policy_state st = {0};
	struct trail t = {0};

	(void)state;
	v.progress.finalising_ns = T0 + 200 * MS;
	v.outputs_done = true;
	run(&t, &st, &NUDGE, &v, TICK, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused_at[DP_REFUSE_FINALISING], 4 * SEC);
	assert_int_equal(t.at[0], 8500 * MS);
	assert_int_equal(t.nudges, 2);
	assert_string_equal(
		t.last_nudge.reason,
		"main has ended, and a thread that is no daemon keeps the process, 9.00 s after Stop");
	/* Threads that are where they were before Stop have had three quarters of the time. */
	v.progress.worker_tid = 99;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 7500 * MS);
	assert_string_equal(
		t.reason[DP_REFUSE_FINALISING],
		"main has ended, and a thread that is no daemon keeps the process; thread 99 goes on as before Stop: whether it ends by itself is not known, and it is let alone until the deadline is near");
	/* Its clean-up took as long before, and ends in time: it is let alone, until that is outlasted. */
	v.need_ns = 8 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.refused[DP_REFUSE_ENDS_IN_TIME], 1);
	assert_non_null(strstr(t.reason[DP_REFUSE_ENDS_IN_TIME], "as its clean-up went before"));
	v.need_ns = 6800 * MS;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 8510 * MS);
	/* One that would not end in time is nudged as if nothing were known. */
	v.need_ns = 11 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 7500 * MS);
	/* The probe came after Stop: what goes on then may be a loop of short sleeps or holds as well. */
	for (int holds = 0; holds < 2; holds++) {
		v = holds ? on_cpu() : blocked();
		v.hold.start_ns = v.hold.start_lo_ns = T0 + 2 * SEC;
		v.blocked.since_ns = holds ? 0 : T0 + 2 * SEC;
		v.progress.main_tid = 4242;
		t = whole_stop(&NUDGE, &v);
		assert_int_equal(t.nudges, 0);
		assert_int_equal(t.refused[DP_REFUSE_AFTER_STOP], 1);
		v.progress.came_late = true;
		t = whole_stop(&NUDGE, &v);
		assert_int_equal(t.at[0], 8500 * MS);
		assert_int_equal(t.refused[DP_REFUSE_UNCLEAR], 1);
	}
	/* Main waits for a thread that may be the one that takes the events, and may end by itself. */
	v = blocked();
	v.progress.main_tid = 4242;
	v.blocked.joins = true;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 8500 * MS);
	assert_int_equal(t.refused[DP_REFUSE_FINALISING], 1);
	/* Without Python nothing is known of it, and nothing sent. */
	v = looping();
	v.progress = (struct dp_policy_progress){0};
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCLEAR);
}

/* The true reason: that the signal would do nothing, or kill, comes before all that is seen. */
static void the_signal_comes_first_of_the_reasons(void **state)
{
	struct dp_policy_view views[] = {stuck(), on_cpu(), blocked(), looping()};

	(void)state;
	views[1].hold.is_main = false;
	views[2].blocked.since_ns = T0 + SEC;
	for (size_t i = 0; i < 4; i++) {
		struct trail t;

		views[i].signals_caught = 0;
		t = whole_stop(&NUDGE, &views[i]);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_DEFAULT_KILLS);
		views[i].signals_ignored = INT_CAUGHT;
		t = whole_stop(&NUDGE, &views[i]);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_IGNORED);
	}
}

/* Python gives its handlers back when it ends: that is no reason, and no kill. */
static void a_python_that_ends_is_let_alone(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.signals_caught = 0;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refusals, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_is_helped_wherever_it_is),
		cmocka_unit_test(who_has_not_come_back_to_dora_has_not_taken_stop),
		cmocka_unit_test(what_the_last_nudge_did_is_said),
		cmocka_unit_test(a_new_hold_after_a_nudge_is_the_same_node),
		cmocka_unit_test(a_handler_that_ran_is_not_a_call_that_polls_none),
		cmocka_unit_test(a_loop_that_ends_in_time_is_waited_for),
		cmocka_unit_test(who_finalises_is_nudged_late),
		cmocka_unit_test(the_signal_comes_first_of_the_reasons),
		cmocka_unit_test(a_python_that_ends_is_let_alone),

	};

	return cmocka_run_group_tests_name("policy: loops", tests, NULL, NULL);
}
