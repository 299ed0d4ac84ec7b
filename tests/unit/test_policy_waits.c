// SPDX-License-Identifier: MIT
/* The shutdown guard where the holder of the GIL waits for a lock, a thread, an event. */
#include "policy_views.h"

static struct dp_policy_view waiting(uint8_t waits, bool deadlock)
{
	struct dp_policy_view v = stuck();

	v.hold.syscall_nr = SYS_futex;
	v.hold.waits = waits;
	v.hold.deadlock = deadlock;
	strcpy(v.hold.waits_for,
	       "waits for the end of thread worker (17), which waits for the GIL");
	return v;
}

/* Join, mutex, lock and static initialiser go on after EINTR; an event may be a semaphore. */
static void no_signal_ends_a_wait_for_a_lock(void **state)
{
	static const uint8_t locks[] = {DP_WAIT_THREAD, DP_WAIT_MUTEX, DP_WAIT_LOCK,
					DP_WAIT_STATIC};

	(void)state;
	for (size_t i = 0; i < sizeof(locks); i++)
		for (int deadlock = 0; deadlock < 2; deadlock++) {
			enum dp_refusal why = deadlock ? DP_REFUSE_DEADLOCK : DP_REFUSE_LOCK_WAIT;
			struct dp_policy_view v = waiting(locks[i], deadlock);
			struct trail t = whole_stop(&NUDGE, &v);

			t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
			assert_only_refused(&t, why);
			assert_int_equal(t.refused_at[why], 4 * SEC);
			assert_non_null(strstr(t.reason[why], "worker (17)"));
			assert_non_null(strstr(t.reason[why], "thread 4242 holds the GIL"));
			/* The reading is of an earlier moment: the thread runs again. */
			v.hold.sched_state = DP_SCHED_ON_CPU;
			v.hold.syscall_nr = -1;
			assert_true(whole_stop(&NUDGE, &v).nudges > 0);
		}
}

static void a_wait_for_an_event_is_tried_once(void **state)
{
	static const uint8_t events[] = {DP_WAIT_FUTEX, DP_WAIT_SHARED, DP_WAIT_UNKNOWN};

	(void)state;
	for (size_t i = 0; i < sizeof(events); i++) {
		struct dp_policy_view v = waiting(events[i], true);
		struct trail t = whole_stop(&NUDGE, &v);

		assert_int_equal(t.nudges, 1);
		assert_int_equal(t.at[0], 4 * SEC);
		assert_non_null(strstr(t.last_nudge.reason, "in a deadlock"));
		assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);
	}
}

/* What is proven never to end is no clean-up, though it began after Stop; any other hold may be. */
static void a_deadlock_in_the_clean_up_is_told(void **state)
{
	struct dp_policy_view v = waiting(DP_WAIT_MUTEX, true);
	struct trail t;

	(void)state;
	v.hold.start_ns = v.hold.start_lo_ns = T0 + SEC;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_DEADLOCK);
	v.hold.deadlock = false;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_AFTER_STOP);
}

static void what_ends_a_deadlock_is_said(void **state)
{
	static const struct dp_policy_config terminate = {.mode = DP_SHUTDOWN_TERMINATE};
	struct dp_policy_view v = waiting(DP_WAIT_THREAD, true);
	struct trail t = whole_stop(&terminate, &v);

	(void)state;
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.terminates, 1);
	assert_non_null(
		strstr(t.reason[DP_REFUSE_DEADLOCK], "SIGTERM alone (--shutdown terminate)"));
	v.signals_caught |= SIG_BIT(15);
	t = whole_stop(&NUDGE, &v);
	assert_non_null(strstr(t.reason[DP_REFUSE_DEADLOCK], "SIGKILL alone (no handler can run)"));
	v.signals_caught = INT_CAUGHT;
	v.signals_ignored = SIG_BIT(15);
	t = whole_stop(&NUDGE, &v);
	assert_non_null(strstr(t.reason[DP_REFUSE_DEADLOCK], "it ignores SIGTERM"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_signal_ends_a_wait_for_a_lock),
		cmocka_unit_test(a_wait_for_an_event_is_tried_once),
		cmocka_unit_test(a_deadlock_in_the_clean_up_is_told),
		cmocka_unit_test(what_ends_a_deadlock_is_said),
	};

	return cmocka_run_group_tests_name("policy: waits", tests, NULL, NULL);
}
