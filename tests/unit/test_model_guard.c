// SPDX-License-Identifier: MIT
/* What the model tells the policy, and what comes of it: nudges asked for or refused. */
#include "model_table.h"

#include "decide/policy.h"

#define PID  100
#define STOP 1000

/* A node is watched by a guard that nudges 1 s after Stop; its grace is 10 s (dora 0.5.0). */
static struct table *guarded(void)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	r.u.options = (struct dp_rec_options){.hold_threshold_ns = 50000000,
					      .warn_hold_ns = 500000000,
					      .pending_threshold_ns = 1000000000,
					      .shutdown = DP_SHUTDOWN_NUDGE,
					      .nudge_after_ns = 1000000000,
					      .nudge_signal = 2};
	feed(t, &r);
	r = record(DP_REC_NODE_FACTS, 0, PID, 0);
	r.u.node = (struct dp_rec_node){.start_time = 1,
					.implementation = "cpython",
					.is_dora = 1,
					.is_python = 1,
					.gil_observable = 1,
					.tokens_observable = 1,
					.gil_count = 1,
					.signals_caught = 2};
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "0.5.0");
	feed(t, &r);
	return t;
}

static void stop(struct table *t, double ms)
{
	struct dp_record r = record(DP_REC_WIRE_EVENT, ms, PID, PID);

	r.u.wire.kind = DP_WIRE_STOP;
	r.u.wire.role = DP_ROLE_EVENTS;
	feed(t, &r);
}

/* The main thread is found asleep in one sleep [from, to]. */
static void asleep(struct table *t, double ms, double from, double to)
{
	struct dp_record r = record(DP_REC_STACK, ms, PID, PID);

	r.u.stack.is_main = 1;
	r.u.stack.state = 'S';
	r.u.stack.syscall_nr = 230; /* clock_nanosleep */
	r.u.stack.asleep_since_ns = AT(from);
	r.u.stack.sleep_ns = (uint64_t)((to - from) * 1e6);
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "wait_a_little");
	feed(t, &r);
}

/* Ticks with the main thread asleep in [500 ms, `to`], a Stop at 1 s; looked at up to 4 s. */
static void sleep_over_stop(struct table *t, double to)
{
	for (double ms = 500; ms < 4000 && ms < to; ms += 100) {
		if (ms == STOP)
			stop(t, ms);
		asleep(t, ms + 5, 500, to);
		t->ticked_ms = ms;
		ticks_until(t, ms + 90);
	}
}

/* The same while it holds the GIL: each look says that it has been off the CPU since 500 ms. */
static void hold_over_stop(struct table *t, double to)
{
	for (double ms = 500; ms < 4000 && ms < to; ms += 10) {
		struct dp_record r = look(ms, PID, PID, 499);

		r.u.look.off_since_ns = AT(500);
		feed(t, &r);
		if (ms == STOP)
			stop(t, ms);
		if ((int)ms % 100 == 50)
			asleep(t, ms + 1, 500, to);
		tick(t, ms + 2);
	}
}

static const struct dp_action_finding *refusal(const struct table *t)
{
	const struct said *s = said(t, DP_FIND_ACTION, 0);

	assert_non_null(s);
	assert_int_equal(s->f.u.action.result, DP_RESULT_REFUSED);
	return &s->f.u.action;
}

static void test_a_sleep_that_ends_in_time_is_left_alone(void **state)
{
	struct table *t = guarded();

	(void)state;
	sleep_over_stop(t, 5000);
	assert_int_equal(count_asked(t, DP_REQ_ACT), 0);
	refusal(t);
	table_free(t);
}

static void test_a_sleep_beyond_the_deadline_is_ended(void **state)
{
	struct table *t = guarded();

	(void)state;
	sleep_over_stop(t, 40000);
	assert_true(count_asked(t, DP_REQ_ACT) >= 1);
	assert_int_equal(count_said(t, DP_FIND_ACTION), 0);
	table_free(t);
}

static void test_a_sleep_with_the_gil_that_ends_in_time_is_left_alone(void **state)
{
	struct table *t = guarded();

	(void)state;
	hold_over_stop(t, 5000);
	assert_int_equal(count_asked(t, DP_REQ_ACT), 0);
	refusal(t);
	table_free(t);
}

static void test_a_sleep_with_the_gil_beyond_the_deadline_is_ended(void **state)
{
	struct table *t = guarded();

	(void)state;
	hold_over_stop(t, 40000);
	assert_true(count_asked(t, DP_REQ_ACT) >= 1);
	table_free(t);
}

/* What the node's line says of its signals is what the policy decides by. */
static void test_readiness_is_the_policys(void **state)
{
	static const struct {
		uint64_t caught, ignored;
		uint32_t nudge;
	} rows[] = {
		{1ULL << 9 | 1ULL << 14, 0, 2}, /* USR1 and TERM: TERM has its own meaning */
		{1ULL << 0, 0, 2},              /* HUP alone */
		{1ULL << 1, 0, 2},              /* INT, as asked */
		{0, 1ULL << 1, 2},
		{1ULL << 11 | 1ULL << 9, 0, 2},
		{1ULL << 1 | 1ULL << 14, 0, 10},
		{0, 0, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct table *t = guarded();
		struct dp_record r = record(DP_REC_OPTIONS, 1, 0, 0);
		const struct dp_node_finding *f;

		r.u.options.nudge_signal = rows[i].nudge;
		feed(t, &r);
		r = record(DP_REC_NODE_FACTS, 1, PID + 1, 0);
		snprintf(r.u.node.implementation, sizeof(r.u.node.implementation), "cpython");
		r.u.node.signals_caught = rows[i].caught;
		r.u.node.signals_ignored = rows[i].ignored;
		feed(t, &r);
		f = &said(t, DP_FIND_NODE, 1)->f.u.node;
		assert_int_equal(
			f->nudge_disposition,
			dp_policy_disposition(rows[i].caught, rows[i].ignored, rows[i].nudge));
		assert_int_equal(f->other_caught_signal,
				 dp_policy_other_signal(rows[i].caught, rows[i].nudge));
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sleep_that_ends_in_time_is_left_alone),
		cmocka_unit_test(test_a_sleep_beyond_the_deadline_is_ended),
		cmocka_unit_test(test_a_sleep_with_the_gil_that_ends_in_time_is_left_alone),
		cmocka_unit_test(test_a_sleep_with_the_gil_beyond_the_deadline_is_ended),
		cmocka_unit_test(test_readiness_is_the_policys),
	};

	return cmocka_run_group_tests_name("model: guard", tests, NULL, NULL);
}
