// SPDX-License-Identifier: MIT
/* When the shutdown guard acts, and on whom: each rule from a table, and its neighbours. */
#include "policy_views.h"
#include "base/array.h"

/* ---- when ---- */

static void nudges_with_back_off_from_40_per_cent(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&NUDGE, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[0], 4000 * MS);
	assert_int_equal(t.at[1], 4500 * MS);
	assert_int_equal(t.at[2], 5500 * MS);
	assert_int_equal(t.at[3], 7500 * MS);
	assert_int_equal(t.last_nudge.tid, 4242);
	assert_int_equal(t.last_nudge.signal, 2);
	assert_int_equal(t.last_nudge.attempt, 4);
	assert_int_equal(t.last_nudge.pretend, 0);
	assert_string_equal(t.last_nudge.reason, "thread 4242 holds the GIL for 9.50 s in on_image "
						 "(receiver.py:12), 7.50 s after Stop");
	/* What closes it: no more are sent, and then the deadline is there. */
	assert_int_equal(t.refused_at[DP_REFUSE_TRIES_SPENT], 8 * SEC);
	assert_int_equal(t.refused[DP_REFUSE_DEADLINE_PASSED], 1);
	assert_int_equal(t.refusals, 2);
}

static void options_move_the_first_nudge(void **state)
{
	static const struct {
		struct dp_policy_config cfg;
		uint64_t grace, pending, delivered; /* delivered: since T0 - 10 s */
		uint64_t first, second;
	} rows[] = {
		{{.nudge_after_ns = 300 * MS}, 10 * SEC, 0, 0, 300 * MS, 800 * MS},
		{{.nudge_after_ns = 300 * MS, .nudge_interval_ns = 200 * MS},
		 10 * SEC,
		 0,
		 0,
		 300 * MS,
		 500 * MS},
		{{0}, 15 * SEC, 0, 0, 6 * SEC, 6500 * MS},
		{{0}, 2 * SEC, 0, 0, 800 * MS, 1300 * MS},
		{{0}, 0, 0, 0, 4 * SEC, 4500 * MS}, /* unknown: dora's shortest default */
		{{.save_tokens = 1}, 10 * SEC, 3, 5 * SEC, 300 * MS, 800 * MS},
		/* Arrived 0.4 s before Stop: lost at +0.6 s, so 0.3 s before that. */
		{{.save_tokens = 1}, 10 * SEC, 3, 9600 * MS, 300 * MS, 800 * MS},
		{{.save_tokens = 1}, 10 * SEC, 3, 9900 * MS, 600 * MS, 1100 * MS},
		/* Nothing to save: as without the option. */
		{{.save_tokens = 1}, 10 * SEC, 0, 0, 4 * SEC, 4500 * MS},
		{{.save_tokens = 1, .nudge_after_ns = SEC}, 10 * SEC, 3, 5 * SEC, SEC, 1500 * MS},
	};
	size_t i;

	(void)state;
	for (i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_policy_config cfg = rows[i].cfg;
		struct dp_policy_view v = stuck();
		struct trail t;

		cfg.mode = DP_SHUTDOWN_NUDGE;
		v.grace_ns = rows[i].grace;
		if (rows[i].grace)
			v.deadline_ns = T0 + rows[i].grace;
		v.pending_tokens = rows[i].pending;
		v.oldest_delivered_ns = rows[i].delivered ? T0 - 10 * SEC + rows[i].delivered : 0;
		t = whole_stop(&cfg, &v);
		assert_true(t.nudges >= 2);
		if (t.at[0] != rows[i].first || t.at[1] != rows[i].second)
			fail_msg("row %zu: %llu and %llu ms", i, (unsigned long long)(t.at[0] / MS),
				 (unsigned long long)(t.at[1] / MS));
	}
}

static void the_interval_cannot_overflow(void **state)
{
	struct dp_policy_config cfg = {.mode = DP_SHUTDOWN_NUDGE, .nudge_interval_ns = UINT64_MAX};
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&cfg, &v);

	(void)state;
	assert_int_equal(t.nudges, 1);
	cfg.nudge_interval_ns = 0;
	cfg.nudge_after_ns = UINT64_MAX;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.refusals, 0);
}

static void only_stop_and_sigterm_count(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.stop_reason = DP_STOP_ALL_INPUTS_CLOSED;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals + t.terminates, 0);
	v.stop_reason = DP_STOP_SIGTERM;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	v.stop_ns = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals + t.terminates, 0);
}

/* ---- whom ---- */

static void what_is_no_subject_is_left_alone(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.hold.start_ns = T0 + 100 * MS;
	v.hold.start_lo_ns = T0 + 50 * MS;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_AFTER_STOP], 4 * SEC);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_AFTER_STOP);

	v.hold.start_lo_ns = T0 - 50 * MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_START_UNPROVEN);

	v = stuck();
	v.hold.confirmed = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCONFIRMED);

	v = stuck();
	v.hold.id = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCLEAR);

	v = blocked();
	v.blocked.since_ns = T0 + MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_AFTER_STOP);

	v = stuck();
	v.exited = true;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals, 0);

	v = stuck();
	v.outputs_done = 1;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals, 0);
}

static void blocked_main_thread_is_helped(void **state)
{
	struct dp_policy_view v = blocked();
	struct trail t = whole_stop(&NUDGE, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_non_null(strstr(t.last_nudge.reason, "is blocked for"));
	assert_null(strstr(t.last_nudge.reason, "GIL"));

	/* It moved since Stop: it is on its way. */
	v.moved_ns = T0 + 20 * MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MOVED);

	/* Not having moved is no evidence with losses; a hold is seen directly and stays one. */
	v = blocked();
	v.lost = 1;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_RECORDS_LOST);
	v = stuck();
	v.lost = 1;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	assert_non_null(strstr(t.last_nudge.reason, "records were lost"));
}

static void only_where_a_signal_can_help(void **state)
{
	struct dp_policy_view v;
	struct trail t;

	(void)state;
	/* Not main, in an interruptible call: helped, as main is. */
	v = stuck();
	v.hold.is_main = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);

	/* Not main, on the CPU: nothing, and said. */
	v = on_cpu();
	v.hold.is_main = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_NON_MAIN_ON_CPU);
	assert_non_null(strstr(t.reason[DP_REFUSE_NON_MAIN_ON_CPU], "no signal helps"));

	/* Unless it runs bytecode: it gives way to main, which the signal wakes. */
	v.hold.native = 0;
	v.progress.main_tid = 4200;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.last_nudge.tid, 4200);
	assert_true(t.last_nudge.anywhere);
	assert_non_null(strstr(t.last_nudge.reason, "thread 4242 holds the GIL"));
	/* Main has slept since before Stop, and whether that hold is as old is not known. */
	v.hold.start_ns = v.hold.start_lo_ns = T0 + SEC;
	v.blocked.since_ns = T0 - 2 * SEC;
	v.blocked.tid = 4200;
	v.blocked.syscall_nr = SYS_futex;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.last_nudge.tid, 4200);
	assert_non_null(strstr(t.last_nudge.reason, "thread 4200 is blocked"));
	v.hold.native = 1; /* one call, which gives way to nobody */
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 0);
	v.hold.start_ns = v.hold.start_lo_ns = T0 - 2 * SEC;
	v.blocked = (struct dp_policy_blocked){0};
	v.progress.main_tid = 0;

	v.hold.sched_state = DP_SCHED_UNKNOWN;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_STATE_UNKNOWN);

	v = stuck();
	v.hold.sched_state = DP_SCHED_DISK_SLEEP;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_DISK_SLEEP);

	/* Main, native, on the CPU: one try tells. */
	v = on_cpu();
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);
	assert_int_equal(t.refused_at[DP_REFUSE_NOT_POLLING], 4500 * MS);

	/* Waiting for a lock with the GIL: one try tells, too. */
	v = stuck();
	v.hold.syscall_nr = SYS_futex;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);

	/* Bytecode polls signals always: what did not help once may help later. */
	v = on_cpu();
	v.hold.native = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	v.moved_ns = T0 + 3 * SEC;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MOVED);
}

static void the_process_must_catch_the_signal(void **state)
{
	struct dp_policy_config cfg = NUDGE;
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.signals_caught = SIG_BIT(10);
	v.signals_ignored = INT_CAUGHT;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_IGNORED);
	assert_string_equal(
		t.reason[DP_REFUSE_IGNORED],
		"the process ignores SIGINT (as one started by a background shell does); "
		"it catches SIGUSR1: --nudge-signal");

	v.signals_ignored = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_DEFAULT_KILLS);

	cfg.nudge_signal = 10;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.last_nudge.signal, 10);

	v.masks_known = 0;
	t = whole_stop(&cfg, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MASKS_UNKNOWN);

	/* KILL, STOP and what is no signal are no nudges, also when all masks have their bit. */
	v = stuck();
	v.signals_caught = UINT64_MAX;
	for (size_t i = 0; i < 3; i++) {
		cfg.nudge_signal = (uint32_t[]){9, 19, 65}[i];
		t = whole_stop(&cfg, &v);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_FORBIDDEN_SIGNAL);
	}
}

static void a_hold_that_ends_in_time_is_waited_for(void **state)
{
	struct dp_policy_config cfg = NUDGE;
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	/* Earlier calls took 8 s: ends at +6 s, before the deadline. Believed until a quarter over.
	 */
	v.hold.expected_end_ns = T0 + 6 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_ENDS_IN_TIME], 4 * SEC);
	assert_true(t.nudges >= 1);
	assert_int_equal(t.at[0], 8010 * MS);

	/* With a clean-up of 5 s after it, it does not end in time. */
	v.need_ns = 5 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.refused[DP_REFUSE_ENDS_IN_TIME], 0);

	v.need_ns = DP_NULL;
	v.hold.expected_end_ns = T0 + 12 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);

	/* Tokens that are being lost are not waited for, unless it ends at once. */
	cfg.save_tokens = 1;
	v.pending_tokens = 5;
	v.oldest_delivered_ns = T0 - SEC;
	v.hold.expected_end_ns = T0 + 2 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.at[0], 300 * MS);
	v.hold.expected_end_ns = T0 + 390 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_ENDS_IN_TIME], 300 * MS);
	assert_int_equal(t.at[0], 990 * MS); /* 0.39 s and a quarter of 2.39 s, next tick */
}

/* ---- sweeps ---- */

static void configuration_comes_from_the_options(void **state)
{
	struct dp_rec_options o = {.nudge_after_ns = 1,
				   .nudge_interval_ns = 2,
				   .stop_dataflow_after_ns = 3,
				   .nudge_signal = 10,
				   .shutdown = DP_SHUTDOWN_TERMINATE,
				   .save_tokens = 1,
				   .dry_run = 1};
	struct dp_policy_config cfg;

	(void)state;
	dp_policy_configure(&cfg, &o);
	assert_int_equal(cfg.nudge_after_ns, 1);
	assert_int_equal(cfg.nudge_interval_ns, 2);
	assert_int_equal(cfg.stop_dataflow_after_ns, 3);
	assert_int_equal(cfg.nudge_signal, 10);
	assert_int_equal(cfg.mode, DP_SHUTDOWN_TERMINATE);
	assert_int_equal(cfg.save_tokens, 1);
	assert_int_equal(cfg.dry_run, 1);
}

static void readiness_is_read_from_the_masks(void **state)
{
	(void)state;
	assert_int_equal(dp_policy_disposition(INT_CAUGHT, 0, 2), DP_SIGDISP_CAUGHT);
	assert_int_equal(dp_policy_disposition(0, INT_CAUGHT, 2), DP_SIGDISP_IGNORED);
	assert_int_equal(dp_policy_disposition(0, 0, 2), DP_SIGDISP_DEFAULT);
	assert_int_equal(dp_policy_disposition(UINT64_MAX, 0, 0), DP_SIGDISP_UNKNOWN);
	assert_int_equal(dp_policy_disposition(UINT64_MAX, 0, 65), DP_SIGDISP_UNKNOWN);
	assert_int_equal(dp_policy_disposition(SIG_BIT(64), 0, 64), DP_SIGDISP_CAUGHT);
	assert_int_equal(dp_policy_other_signal(SIG_BIT(10) | INT_CAUGHT, 2), 10);
	assert_int_equal(dp_policy_other_signal(SIG_BIT(10) | INT_CAUGHT, 10), 2);
	assert_int_equal(dp_policy_other_signal(INT_CAUGHT, 2), 0);
	/* A profiler's or a timer's handler is no offer. */
	assert_int_equal(dp_policy_other_signal(SIG_BIT(27) | SIG_BIT(14) | SIG_BIT(11), 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nudges_with_back_off_from_40_per_cent),
		cmocka_unit_test(options_move_the_first_nudge),
		cmocka_unit_test(the_interval_cannot_overflow),
		cmocka_unit_test(only_stop_and_sigterm_count),
		cmocka_unit_test(what_is_no_subject_is_left_alone),
		cmocka_unit_test(blocked_main_thread_is_helped),
		cmocka_unit_test(only_where_a_signal_can_help),
		cmocka_unit_test(the_process_must_catch_the_signal),
		cmocka_unit_test(a_hold_that_ends_in_time_is_waited_for),
		cmocka_unit_test(configuration_comes_from_the_options),
		cmocka_unit_test(readiness_is_read_from_the_masks),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
