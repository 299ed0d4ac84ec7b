// SPDX-License-Identifier: MIT
/* Kills at the end of the grace, and the outlook before them, from tables of records. */
#include <signal.h>

#include "base/units.h"
#include "token_records.h"
#include "base/array.h"

static void signal_sent(struct table *t, double ms, uint32_t pid, int sig, uint32_t sender)
{
	struct dp_record r = record(DP_REC_SIGNAL, ms, pid, pid);

	ticks_until(t, ms);
	r.u.signal.kind = DP_SIGNAL_GENERATED;
	r.u.signal.signal = (uint8_t)sig;
	r.u.signal.sender_pid = sender;
	r.u.signal.group = 1;
	feed(t, &r);
}

/* Stop, no movement, SIGTERM by the daemon at the end of the grace, death. */
static void test_grace_kill(void **state)
{
	struct table *t = two_nodes();
	const struct dp_exit_finding *e;

	(void)state;
	wire(t, DP_WIRE_STOP, 1000, RECV);
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.reason, DP_STOP_STOP);
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_ns, AT(11000));
	held(t, 500, 10990, RECV, 1);
	signal_sent(t, 11000, RECV, SIGTERM, 7);
	process_exit(t, 11001, RECV, SIGTERM);
	e = &said(t, DP_FIND_EXIT, 0)->f.u.exit;
	assert_true(e->grace_kill);
	assert_int_equal(e->reason, DP_EXIT_GRACE_KILL);
	assert_int_equal(e->signal, SIGTERM);
	assert_int_equal(e->killer_pid, 7);
	assert_int_equal(e->cause, DP_CAUSE_GIL_NATIVE);
	assert_true(e->gil_share > 0.99 && e->gil_share <= 1.0);
	assert_int_equal(e->since_stop_ns, 10001000000ULL);
	table_free(t);
}

/* Nobody saw how it ended: no kill, no code, nothing saved, and no clean-up that was measured. */
static void test_an_end_that_nobody_saw(void **state)
{
	struct table *t = two_nodes();
	struct dp_record r = record(DP_REC_PROC_EXIT, 9000, RECV, RECV);
	const struct dp_exit_finding *e;
	struct dp_node_view v;

	(void)state;
	wire(t, DP_WIRE_STOP, 1000, RECV);
	ticks_until(t, 9000);
	r.u.exit.is_process = 1;
	r.u.exit.is_unknown = 1;
	feed(t, &r);
	assert_int_equal(count_said(t, DP_FIND_EXIT), 1);
	e = &said(t, DP_FIND_EXIT, 0)->f.u.exit;
	assert_int_equal(e->reason, DP_EXIT_UNKNOWN);
	assert_int_equal(e->code, -1);
	assert_int_equal(e->signal, 0);
	assert_false(e->grace_kill);
	assert_false(e->saved);
	assert_int_equal(e->since_stop_ns, 8000000000ULL);
	r = record(DP_REC_END, 9100, 0, 0);
	feed(t, &r);
	for (unsigned int i = 0; dp_model_node_view(t->m, i, &v) == 0; i++)
		if (v.pid == RECV)
			assert_true(v.recommended_grace_ns == DP_NULL ||
				    v.recommended_grace_ns < 8000000000ULL);
	table_free(t);
}

/* A node that was nudged in vain and ended by another's hand before the deadline was not saved. */
static void test_killed_after_a_nudge(void **state)
{
	static const struct {
		int by;
		uint32_t sender;
		bool saved;
	} cases[] = {{0, 0, true}, {SIGINT, 99, true}, {SIGKILL, 77, false}, {SIGTERM, 77, false}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++) {
		struct table *t = two_nodes();
		struct dp_record r = record(DP_REC_ACTION_RESULT, 2000, RECV, RECV);
		const struct dp_exit_finding *e;

		wire(t, DP_WIRE_STOP, 1000, RECV);
		ticks_until(t, 2000);
		r.u.action.action = DP_ACTION_NUDGE;
		r.u.action.result = DP_RESULT_SENT;
		r.u.action.signal = SIGINT;
		r.u.action.attempt = 1;
		feed(t, &r);
		if (cases[i].by)
			signal_sent(t, 3000, RECV, cases[i].by, cases[i].sender);
		process_exit(t, 3001, RECV, cases[i].by);
		e = &said(t, DP_FIND_EXIT, 0)->f.u.exit;
		assert_int_equal(e->signal, cases[i].by);
		assert_false(e->grace_kill);
		assert_int_equal(e->saved, cases[i].saved);
		table_free(t);
	}
}

static unsigned int deadline_warnings(const struct table *t)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < count_said(t, DP_FIND_WARNING); i++)
		n += said(t, DP_FIND_WARNING, i)->f.u.warning.kind == DP_WARN_DEADLINE;
	return n;
}

/*
 * A node that sleeps at Stop, with the GIL or without, and nothing was ever measured of it: when
 * the sleep ends is in its arguments. One that began later is one of several, so nothing is known.
 */
static void test_outlook_of_a_sleep(void **state)
{
	const struct {
		double seconds;
		int absolute, late;
		unsigned int warned;
	} cases[] = {{4, 0, 0, 0}, {4, 1, 0, 0}, {40, 0, 0, 1}, {40, 1, 0, 1}, {4, 0, 1, 1}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(cases); i++)
		for (int with_gil = 0; with_gil < 2; with_gil++) {
			struct table *t = two_nodes();

			for (double ms = 510; ms < 3500; ms += 10) {
				struct dp_record r = look(ms, RECV, with_gil ? RECV : 0, 490);
				double since = cases[i].late && ms > 1100 ? ms - 70 : 500;

				if (ms == 1000)
					wire(t, DP_WIRE_STOP, ms, RECV);
				if (with_gil)
					r.u.look.off_since_ns = AT(since);
				feed(t, &r);
				ticks_until(t, ms);
				if (((int)ms - 510) % 100)
					continue;
				r = record(DP_REC_STACK, ms + 1, RECV, RECV);
				r.u.stack.state = 'S';
				r.u.stack.syscall_nr = 230;
				r.u.stack.asleep_since_ns = AT(since);
				if (cases[i].absolute)
					r.u.stack.sleep_until_ns =
						AT(since + cases[i].seconds * 1e3);
				else
					r.u.stack.sleep_ns = (uint64_t)(cases[i].seconds * 1e9);
				r.u.stack.frame_count = 1;
				snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "doze");
				feed(t, &r);
			}
			/* What begins to sleep after Stop is not stuck. */
			assert_int_equal(deadline_warnings(t),
					 cases[i].late && !with_gil ? 0 : cases[i].warned);
			table_free(t);
		}
}

/* Main joins the thread that may be the consumer: what that one does nobody has seen. */
static void test_main_that_joins_says_nothing(void **state)
{
	(void)state;
	/* Not seen in next(); seen there; not seen, but nobody computes: it sleeps, whichever thread it is. */
	for (int row = 0; row < 3; row++) {
		struct table *t = two_nodes();
		struct dp_record share = record(DP_REC_SHARE, 10000, RECV, RECV);

		if (row == 1)
			stacks(t, 500, 900, 202, "dora.abi3.so");
		wire(t, DP_WIRE_STOP, 1000, RECV);
		for (double ms = 1200; ms < 10900; ms += 100) {
			struct dp_record r = record(DP_REC_STACK, ms, RECV, RECV);

			ticks_until(t, ms);
			r.u.stack.syscall_nr = 202;
			r.u.stack.frame_count = 1;
			snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "Thread.join");
			snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/usr/lib/threading.py");
			feed(t, &r);
		}
		share.u.share.from_ns = AT(9000);
		share.u.share.cpu_ns = MS;
		share.h.t_ns = AT(10900);
		if (row == 2)
			feed(t, &share);
		signal_sent(t, 11000, RECV, SIGTERM, 7);
		process_exit(t, 11001, RECV, SIGTERM);
		assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.cause,
				 row ? DP_CAUSE_BLOCKED : DP_CAUSE_UNKNOWN);
		table_free(t);
	}
}

/* The same end without the GIL, and a kill by somebody else: neither is the GIL's. */
static void test_kills_that_are_not(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	wire(t, DP_WIRE_STOP, 1000, RECV);
	stacks(t, 1200, 10900, 230, "");
	signal_sent(t, 11000, RECV, SIGTERM, 7);
	process_exit(t, 11001, RECV, SIGTERM);
	assert_true(said(t, DP_FIND_EXIT, 0)->f.u.exit.grace_kill);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.cause, DP_CAUSE_BLOCKED);
	assert_true(said(t, DP_FIND_EXIT, 0)->f.u.exit.gil_share == 0.0);

	table_free(t);
	/* Another run: Stop is a fact of the whole dataflow. */
	t = two_nodes();
	wire(t, DP_WIRE_STOP, 12000, SEND);
	signal_sent(t, 12500, SEND, SIGKILL, 7);
	process_exit(t, 12501, SEND, SIGKILL);
	assert_false(said(t, DP_FIND_EXIT, 0)->f.u.exit.grace_kill);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason, DP_EXIT_SIGNAL);
	table_free(t);
}

static void test_all_inputs_closed_has_no_deadline(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	wire(t, DP_WIRE_ALL_INPUTS_CLOSED, 1000, RECV);
	assert_int_equal(said(t, DP_FIND_STOP, 0)->f.u.stop.reason, DP_STOP_ALL_INPUTS_CLOSED);
	assert_true(said(t, DP_FIND_STOP, 0)->f.u.stop.deadline_ns == DP_NULL);
	process_exit(t, 1500, RECV, 0);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason, DP_EXIT_CLEAN);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grace_kill),
		cmocka_unit_test(test_an_end_that_nobody_saw),
		cmocka_unit_test(test_killed_after_a_nudge),
		cmocka_unit_test(test_outlook_of_a_sleep),
		cmocka_unit_test(test_main_that_joins_says_nothing),
		cmocka_unit_test(test_kills_that_are_not),
		cmocka_unit_test(test_all_inputs_closed_has_no_deadline),
	};

	return cmocka_run_group_tests_name("model: exits", tests, NULL, NULL);
}
