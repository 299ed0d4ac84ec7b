// SPDX-License-Identifier: MIT
/* What the shutdown guard learns from its nudges, and what each of its modes does. */
#include "policy_views.h"

/* ---- what was learned ---- */

static void stops_as_soon_as_the_node_moves(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = stuck();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	/* The hold is over, the node cleans up in another one that began after Stop. */
	v.hold.id = 8;
	v.hold.start_ns = T0 + 4210 * MS;
	v.hold.start_lo_ns = T0 + 4205 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_AFTER_STOP], 1);

	/* The same hold, but a token came back after the nudge. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	v = stuck();
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.moved_ns = T0 + 4100 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_MOVED], 1);

	/* A move that is older than the nudge, by dora's own thread, changes nothing. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	v.moved_ns = T0 + MS;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 4);
}

static void a_call_that_does_not_poll_is_remembered(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu(), w;
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);

	/* Another Stop, the same call: known, nothing is sent. */
	v.stop_ns += 100 * SEC;
	v.deadline_ns += 100 * SEC;
	v.hold.start_ns += 100 * SEC;
	v.hold.id = 9;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 100 * SEC, 109 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING_BEFORE], 1);

	/* The neighbour on the next line is another call. */
	w = v;
	w.stop_ns += 100 * SEC;
	w.deadline_ns += 100 * SEC;
	w.hold.start_ns += 100 * SEC;
	w.hold.id = 10;
	w.hold.place.line = 13;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &w, 200 * SEC, 204 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	/* It ends 100 ms later: helped. Later in vain once: still worth a try the next time. */
	w.hold.id = 0;
	run(&t, &st, &NUDGE, &w, 204100 * MS, 204200 * MS, DP_RESULT_SENT);
	assert_int_equal(st.learned[1].helped, 1);

	/* The same place again in an interruptible call is another case: helped as ever. */
	v.stop_ns += 200 * SEC;
	v.deadline_ns += 200 * SEC;
	v.hold.start_ns += 200 * SEC;
	v.hold.id = 11;
	v.hold.sched_state = DP_SCHED_SYSCALL;
	v.hold.syscall_nr = SYS_read;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 300 * SEC, 309 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 4);
}

static void the_memory_is_bounded(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};
	uint64_t i;

	(void)state;
	for (i = 0; i < 200; i++) {
		v.stop_ns = T0 + i * 100 * SEC;
		v.deadline_ns = v.stop_ns + 10 * SEC;
		v.hold.start_ns = v.stop_ns - SEC;
		v.hold.id = i + 1;
		v.hold.place.line = (int32_t)i + 1;
		run(&t, &st, &NUDGE, &v, i * 100 * SEC, i * 100 * SEC + 5 * SEC, DP_RESULT_SENT);
	}
	assert_int_equal(t.nudges, 200);
	/* The last ones are known, the first is forgotten. */
	v.stop_ns += 100 * SEC;
	v.deadline_ns += 100 * SEC;
	v.hold.start_ns += 100 * SEC;
	v.hold.id++;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 200 * 100 * SEC, 200 * 100 * SEC + 5 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 0);
}

static void answers_decide_what_comes_next(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_decision d;
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};
	uint64_t at;

	(void)state;
	/* Refused by the second look at the state: nothing was sent, nothing learned, tried again.
	 */
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_REFUSED);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 0);
	assert_int_equal(st.learned[0].in_vain, 0);

	/* Cannot be sent: said once, no further try. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_FAILED);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_CANNOT_SEND], 1);

	/* No answer yet: no second signal. */
	memset(&st, 0, sizeof(st));
	v = stuck();
	t.nudges = 0;
	for (at = 0; at < 9 * SEC; at += TICK) {
		dp_policy_decide(&st, &NUDGE, &v, T0 + at, &d);
		t.nudges += d.kind == DP_DECIDE_NUDGE;
	}
	assert_int_equal(t.nudges, 1);
	/* Answers that make no sense are no answers. */
	dp_policy_answer(&st, DP_ACTION_HOOK, DP_RESULT_SENT);
	dp_policy_answer(&st, DP_ACTION_NUDGE, 255);
	assert_int_equal(st.answer, 0);
}

/* ---- modes ---- */

static void observe_and_dry_run_only_say(void **state)
{
	struct dp_policy_config observe = {.mode = DP_SHUTDOWN_OBSERVE};
	struct dp_policy_config dry = {.mode = DP_SHUTDOWN_NUDGE, .dry_run = 1};
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	t = whole_stop(&observe, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.last_nudge.pretend, 1);

	/* Dry run goes the way of a real run, back-off and all. */
	t = whole_stop(&dry, &v);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[3], 7500 * MS);
	assert_int_equal(t.last_nudge.pretend, 1);

	/* But what a signal would have shown stays open. */
	v = on_cpu();
	t = whole_stop(&dry, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 0);

	/* Observe terminates nothing, not even in words. */
	t = whole_stop(&observe, &v);
	assert_int_equal(t.terminates, 0);
}

static void terminates_when_slack_is_below_a_second(void **state)
{
	struct dp_policy_config cfg = {.mode = DP_SHUTDOWN_TERMINATE};
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&cfg, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.terminates, 1);
	assert_int_equal(t.terminate_at, 9010 * MS);
	assert_int_equal(t.terminate.signal, 15);
	assert_int_equal(t.terminate.tid, 0);
	assert_int_equal(t.terminate.action, DP_ACTION_TERMINATE);
	assert_non_null(strstr(t.terminate.reason, "the daemon's SIGTERM follows in 990 ms"));

	/* Its clean-up counts as long as it has not begun. */
	v.need_ns = 3 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 6010 * MS);
	v.moved_ns = T0 + SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 9010 * MS);

	/* The nudge comes first. */
	v = stuck();
	v.need_ns = 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.at[0], 4010 * MS);
	assert_int_equal(t.terminate_at, 4 * SEC);

	/* A short grace has a short last second. */
	v = stuck();
	v.grace_ns = SEC;
	v.deadline_ns = T0 + SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 810 * MS);

	/* Neighbours: done with its outputs, ends in time, ignores SIGTERM, no deadline. */
	v = stuck();
	v.outputs_done = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	v = stuck();
	v.hold.expected_end_ns = T0 + 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	v = blocked();
	v.blocked.expected_end_ns = T0 + 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges + t.terminates, 0);
	v.blocked.expected_end_ns = T0 + 10500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 1);
	v = stuck();
	v.signals_ignored = SIG_BIT(15);
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	assert_int_equal(t.refused[DP_REFUSE_TERM_IGNORED], 1);
	v = stuck();
	v.deadline_ns = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	/* And the mode below it never does. */
	v = stuck();
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.terminates, 0);
}

static void stops_the_dataflow_once_before_any_stop(void **state)
{
	struct dp_policy_config cfg = {.stop_dataflow_after_ns = 5 * SEC};
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.stop_ns = 0;
	v.deadline_ns = 0;
	v.pending_tokens = 1;
	v.oldest_delivered_ns = T0 - 4 * SEC;
	v.pending_cause = DP_CAUSE_GIL_NATIVE;
	v.dataflow_grace_ns = 12 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 1);
	assert_int_equal(t.stop.grace_ns, 12 * SEC);
	assert_int_equal(t.stop.pretend, 0);
	assert_int_equal(t.nudges + t.refusals, 0);
	assert_string_equal(
		t.stop.reason,
		"a drop token waits for 5.00 s because of the GIL (gil_native); grace 12.0 s");

	/* Never less than the grace that there is anyway. */
	v.dataflow_grace_ns = 2 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.grace_ns, 10 * SEC);
	v.dataflow_grace_ns = DP_NULL;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.grace_ns, 10 * SEC);
	cfg.dry_run = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.pretend, 1);

	/* Neighbours. */
	v.pending_cause = DP_CAUSE_BUSY_PYTHON;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.pending_cause = DP_CAUSE_GIL_NATIVE;
	v.dataflow_stopping = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.dataflow_stopping = 0;
	v.pending_tokens = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.pending_tokens = 1;
	cfg.stop_dataflow_after_ns = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	cfg.stop_dataflow_after_ns = 5 * SEC;
	v.stop_ns = T0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
}

static void a_second_stop_starts_afresh(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	v.hold.is_main = 0;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused[DP_REFUSE_NON_MAIN_ON_CPU], 1);
	v.stop_ns += 20 * SEC;
	v.deadline_ns += 20 * SEC;
	run(&t, &st, &NUDGE, &v, 20 * SEC, 29 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused[DP_REFUSE_NON_MAIN_ON_CPU], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stops_as_soon_as_the_node_moves),
		cmocka_unit_test(a_call_that_does_not_poll_is_remembered),
		cmocka_unit_test(the_memory_is_bounded),
		cmocka_unit_test(answers_decide_what_comes_next),
		cmocka_unit_test(observe_and_dry_run_only_say),
		cmocka_unit_test(terminates_when_slack_is_below_a_second),
		cmocka_unit_test(stops_the_dataflow_once_before_any_stop),
		cmocka_unit_test(a_second_stop_starts_afresh),

	};

	return cmocka_run_group_tests_name("policy: modes", tests, NULL, NULL);
}
