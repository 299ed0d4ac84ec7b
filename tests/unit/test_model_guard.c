// SPDX-License-Identifier: MIT
/* What the model tells the policy, and what comes of it: nudges asked for or refused. */
#include "model_table.h"

#include <errno.h>

#include "base/array.h"
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

/* Thread `tid` takes the events: it maps a message. */
static void takes_events(struct table *t, double ms, uint32_t tid)
{
	struct dp_record r = record(DP_REC_REGION, ms, PID, tid);

	r.u.region.kind = DP_REGION_MAPPED;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_1");
	feed(t, &r);
}

/* The consumer slept shortly before Stop, took it and has ended: its last sleep goes on no longer, and main cleans up. */
static void test_a_consumer_that_has_ended_sleeps_no_longer(void **state)
{
	(void)state;
	for (int ended = 0; ended < 2; ended++) {
		struct table *t = guarded();

		takes_events(t, 100, PID + 1);
		for (double ms = 500; ms < 4000; ms += 50) {
			struct dp_record r = record(DP_REC_STACK, ms, PID, PID + 1);

			r.u.stack.state = 'S';
			r.u.stack.syscall_nr = 230;
			r.u.stack.asleep_since_ns = AT(400);
			r.u.stack.frame_count = 1;
			snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "polls");
			if (ms > STOP && ended)
				r.u.stack =
					(struct dp_rec_stack){.status = -ESRCH, .syscall_nr = -2};
			feed(t, &r);
			if (ms == STOP)
				stop(t, ms);
			if (ms > STOP)
				asleep(t, ms + 1, STOP + 20, 60000);
			tick(t, ms + 2);
		}
		assert_int_equal(count_asked(t, DP_REQ_ACT) != 0, !ended);
		table_free(t);
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

/* ---- where the consumer is: loops and clean-ups ---- */

/* The main thread is found in function:line, called from line 40 of the script. */
static struct dp_record found(double ms, const char *function, int line)
{
	struct dp_record r = record(DP_REC_STACK, ms, PID, PID);

	r.u.stack.is_main = 1;
	r.u.stack.state = 'R';
	r.u.stack.syscall_nr = -1;
	r.u.stack.frame_count = 2;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "%s", function);
	snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/node/n.py");
	r.u.stack.frames[0].line = line;
	snprintf(r.u.stack.frames[1].function, DP_FUNCTION_MAX, "<module>");
	snprintf(r.u.stack.frames[1].file, DP_FILE_MAX, "/node/n.py");
	r.u.stack.frames[1].line = 40;
	return r;
}

struct stretch {
	double from, to; /* ms; a Stop comes at 1 s */
	const char *function;
	int lines[3]; /* found there in turn; 0 ends them; negative: it waits for the GIL there */
};

/* Stacks every 100 ms along the stretches, ticks between them; when a nudge was asked for, ms. */
static double first_nudge(struct table *t, const struct stretch *s, size_t n)
{
	int turn = 0;

	for (size_t i = 0; i < n; i++) {
		for (double ms = s[i].from; ms < s[i].to; ms += 100) {
			struct dp_record r;
			int count = s[i].lines[2] ? 3 : s[i].lines[1] ? 2 : 1;

			if (ms == STOP)
				stop(t, ms);
			r = found(ms + 5, s[i].function, abs(s[i].lines[turn % count]));
			r.u.stack.has_gil_wait = s[i].lines[turn++ % count] < 0;
			feed(t, &r);
			t->ticked_ms = ms;
			ticks_until(t, ms + 90);
			if (count_asked(t, DP_REQ_ACT))
				return ms;
		}
	}
	return 0;
}

static void test_where_it_is_says_whether_it_has_moved(void **state)
{
	static const struct {
		struct stretch s[4];
		double nudged; /* 0: never */
	} rows[] = {
		/* A loop at one line, and at three of which one alone was seen before. */
		{{{0, 6000, "work", {20}}}, 2000},
		{{{0, 1000, "work", {20}}, {1000, 6000, "work", {21, 20, 22}}}, 2000},
		/* A clean-up: another function, or the same one called at another line of it. */
		{{{0, 1100, "work", {20}}, {1100, 10900, "save", {60}}}, 0},
		{{{0, 1100, "work", {20}}, {1100, 10900, "work", {25}}}, 0},
		/* Back in the loop after something else. */
		{{{0, 1000, "work", {20}}, {1000, 3000, "look", {70}}, {3000, 6000, "work", {20}}},
		 3000},
		/* It waits for the GIL: it could not have moved, and then gets its chance. */
		{{{0, 1000, "work", {20}}, {1000, 10900, "work", {-20}}}, 0},
		{{{0, 1000, "work", {20}}, {1000, 3000, "work", {-20}}, {3000, 6000, "work", {20}}},
		 3000},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct table *t = guarded();
		double at = first_nudge(t, rows[i].s, 4);

		if (at != rows[i].nudged)
			fail_msg("row %zu: nudged at %.0f ms", i, at);
		if (at > 0) {
			assert_true(t->asked[t->asked_count - 1].anywhere);
			assert_int_equal(t->asked[t->asked_count - 1].tid, PID);
		}
		table_free(t);
	}
}

/* Another thread keeps the GIL over Stop: what main is found at proves nothing, nor 300 ms on. */
static void test_who_is_held_up_gets_a_chance(void **state)
{
	struct table *t = guarded();
	double asked = 0;

	(void)state;
	for (double ms = 500; ms < 4000 && asked == 0; ms += 10) {
		struct dp_record r = look(ms, PID, ms < 2500 ? PID + 1 : 0, 490);

		if (ms < 2500)
			r.u.look.off_since_ns = AT(495);
		feed(t, &r);
		if (ms == STOP)
			stop(t, ms);
		if ((int)ms % 100 == 0) {
			r = found(ms + 1, "work", 20);
			feed(t, &r);
		}
		tick(t, ms + 2);
		for (unsigned int i = 0; i < t->asked_count; i++)
			if (t->asked[i].type == DP_REQ_ACT && t->asked[i].tid == PID)
				asked = ms;
	}
	assert_true(asked >= 2800 && asked < 3100);
	table_free(t);
}

/* When a nudge is asked for with these stacks, ms; 0 never. */
static double nudged_when(struct dp_record (*make)(double ms), double to)
{
	struct table *t = guarded();
	double at = 0;

	for (double ms = 0; ms < to && at == 0; ms += 100) {
		struct dp_record r;

		if (ms == STOP)
			stop(t, ms);
		r = make(ms + 5);
		feed(t, &r);
		t->ticked_ms = ms;
		ticks_until(t, ms + 90);
		if (count_asked(t, DP_REQ_ACT))
			at = ms;
	}
	table_free(t);
	return at;
}

static struct dp_record finalising(double ms)
{
	struct dp_record r = found(ms, "join", 10);

	if (ms > STOP) {
		snprintf(r.u.stack.frames[1].function, DP_FUNCTION_MAX, "_shutdown");
		snprintf(r.u.stack.frames[1].file, DP_FILE_MAX, "/usr/lib/python3.11/threading.py");
	}
	return r;
}

static struct dp_record idle_loop(double ms)
{
	struct dp_record r = found(ms, "select", 468);

	snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/usr/lib/python3.11/selectors.py");
	snprintf(r.u.stack.frames[1].file, DP_FILE_MAX,
		 "/usr/lib/python3.11/asyncio/base_events.py");
	return r;
}

/* Both may end by themselves, or may not: nothing says so until 1.5 s are left of the 10 s. */
static void test_what_may_end_by_itself_is_nudged_late(void **state)
{
	double at = nudged_when(finalising, 10900);

	(void)state;
	assert_true(at >= 9400 && at < 9600);
	at = nudged_when(idle_loop, 10900);
	assert_true(at >= 9400 && at < 9600);
}

/* The event loop waits in next() at line 38, then has called work() from line 40. */
static struct dp_record handler_of(double ms, int line)
{
	struct dp_record r = found(ms, "work", 20);

	if (ms < 500) {
		r.u.stack.state = 'S';
		r.u.stack.frame_count = 1;
		r.u.stack.frames[0] = r.u.stack.frames[1];
		r.u.stack.frames[0].line = 38;
		snprintf(r.u.stack.library, DP_LIBRARY_MAX, "dora.abi3.so");
	} else if (ms > STOP) {
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "more");
		r.u.stack.frames[1].line = line;
	}
	return r;
}

static struct dp_record next_step(double ms)
{
	return handler_of(ms, 40);
}

static struct dp_record another_line(double ms)
{
	return handler_of(ms, 45);
}

/*
 * What is new since Stop, and called from the line of the event loop that was in its handler before, may be the
 * handler's next step as well as a handler of Stop. From another line of it, it is a clean-up.
 */
static void test_the_next_step_of_a_handler_is_nudged_late(void **state)
{
	double at = nudged_when(next_step, 10900);

	(void)state;
	assert_true(at >= 9400 && at < 9600);
	assert_true(nudged_when(another_line, 10900) == 0);
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
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
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
		cmocka_unit_test(test_a_consumer_that_has_ended_sleeps_no_longer),
		cmocka_unit_test(test_a_sleep_beyond_the_deadline_is_ended),
		cmocka_unit_test(test_a_sleep_with_the_gil_that_ends_in_time_is_left_alone),
		cmocka_unit_test(test_a_sleep_with_the_gil_beyond_the_deadline_is_ended),
		cmocka_unit_test(test_where_it_is_says_whether_it_has_moved),
		cmocka_unit_test(test_who_is_held_up_gets_a_chance),
		cmocka_unit_test(test_what_may_end_by_itself_is_nudged_late),
		cmocka_unit_test(test_the_next_step_of_a_handler_is_nudged_late),
		cmocka_unit_test(test_readiness_is_the_policys),
	};

	return cmocka_run_group_tests_name("model: guard", tests, NULL, NULL);
}
