// SPDX-License-Identifier: MIT
/* That a consumer does not come back to next(): what proves it, since when, and what does not. */
#include "base/array.h"
#include "model_table.h"

#define PID       100
#define OTHER     150
#define D_MS      3000
#define NANOSLEEP 230 /* clock_nanosleep */

struct run {
	struct table *t;
	double ms;
};

static struct run *begin_with(uint64_t threshold_ms)
{
	struct run *u = calloc(1, sizeof(*u));
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	assert_non_null(u);
	u->t = table_new();
	r.u.options = (struct dp_rec_options){.hold_threshold_ns = 50000000,
					      .warn_hold_ns = 500000000,
					      .pending_threshold_ns = 1000000000,
					      .polling_threshold_ns = threshold_ms * 1000000,
					      .nudge_signal = 2};
	feed(u->t, &r);
	node_of(u->t, 0, PID, "n", "1.1.0");
	r = record(DP_REC_CONN_OPENED, 1, PID, PID);
	feed(u->t, &r);
	return u;
}

static struct run *begin(void)
{
	return begin_with(D_MS);
}

static void finish(struct run *u)
{
	table_free(u->t);
	free(u);
}

static void until(struct run *u, double ms)
{
	for (; u->ms < ms; u->ms += 10)
		tick(u->t, u->ms);
}

/* A stack of `tid`: "function" in "file", and what the scheduler says of it. */
static struct dp_record stack_of(const struct run *u, uint32_t tid, const char *function,
				 const char *file, char state)
{
	struct dp_record r = record(DP_REC_STACK, u->ms, PID, tid);

	r.u.stack.is_main = tid == PID;
	r.u.stack.state = state;
	r.u.stack.syscall_nr = state == 'S' ? NANOSLEEP : -1;
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "%s", function);
	snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "%s", file);
	return r;
}

static void wire(struct run *u, enum dp_wire_kind kind)
{
	bool request = kind == DP_WIRE_NEXT_EVENT;
	struct dp_record r =
		record(request ? DP_REC_WIRE_REQUEST : DP_REC_WIRE_EVENT, u->ms, PID, PID + 1);

	r.u.wire.kind = (uint8_t)kind;
	r.u.wire.role = DP_ROLE_EVENTS;
	feed(u->t, &r);
}

/* The i-th warning of this kind; NULL beyond. */
static const struct said *told(const struct run *u, unsigned int i)
{
	for (unsigned int j = 0; j < u->t->said_count; j++)
		if (u->t->said[j].f.type == DP_FIND_WARNING &&
		    u->t->said[j].f.u.warning.kind == DP_WARN_NOT_POLLING && i-- == 0)
			return &u->t->said[j];
	return NULL;
}

static void expect(const struct run *u, unsigned int i, double ms, enum dp_severity severity,
		   enum dp_cause cause, uint32_t evidence)
{
	const struct said *s = told(u, i);

	assert_non_null(s);
	assert_int_equal(s->f.t_ns, AT(ms));
	assert_int_equal(s->f.u.warning.severity, severity);
	assert_int_equal(s->f.u.warning.cause, cause);
	assert_int_equal(s->f.u.warning.evidence, evidence);
	assert_false(s->f.u.warning.resolved);
}

/* Looks every half second at a thread that sleeps since `since`. */
static void sleep_until(struct run *u, double to, double since, uint32_t tid, const char *file)
{
	for (; u->ms < to; until(u, u->ms + 500)) {
		struct dp_record r = stack_of(u, tid, "handler", file, 'S');

		r.u.stack.asleep_since_ns = AT(since);
		feed(u->t, &r);
	}
}

static void test_asleep(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 600);
	sleep_until(u, 14000, 500, PID, "/node.py");
	expect(u, 0, 500 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_BLOCKED, 1u << DP_EVIDENCE_ASLEEP);
	assert_string_equal(told(u, 0)->function, "handler");
	assert_int_equal(told(u, 0)->f.u.warning.asleep_since_ns, AT(500));
	expect(u, 1, 500 + 4 * D_MS, DP_SEVERITY_WARNING, DP_CAUSE_BLOCKED,
	       1u << DP_EVIDENCE_ASLEEP);
	assert_null(told(u, 2));
	r = stack_of(u, PID, "main", "/node.py", 'S');
	snprintf(r.u.stack.library, DP_LIBRARY_MAX, "dora.abi3.so");
	feed(u->t, &r);
	until(u, 17000);
	assert_non_null(told(u, 2));
	assert_true(told(u, 2)->f.u.warning.resolved);
	finish(u);
}

/* The probe comes when it has slept for 15 s: said at once, as bad as it is. */
static void test_late(void **state)
{
	struct run *u = begin();
	struct dp_record r = record(DP_REC_NODE_FACTS, 20000, PID + 100, 0);

	(void)state;
	u->ms = 20000;
	node_of(u->t, 20000, PID, "n", "1.1.0");
	r = stack_of(u, PID, "handler", "/node.py", 'S');
	r.u.stack.asleep_since_ns = AT(5000);
	feed(u->t, &r);
	until(u, 20100);
	expect(u, 0, 20000, DP_SEVERITY_WARNING, DP_CAUSE_BLOCKED, 1u << DP_EVIDENCE_ASLEEP);
	assert_int_equal(told(u, 0)->f.u.warning.not_polling_ns, 15000000000ULL);
	finish(u);
}

/* Where a look finds it that is no absence, and looks alone that are no proof. */
static void test_no_absence(void **state)
{
	static const struct {
		const char *what, *function, *below, *file,
			*library; /* below: file of the next frame */
		char sleeps;
		double since; /* 0: a new sleep at each look */
	} rows[] = {
		{"next()", "main", "", "/node.py", "dora.abi3.so", 'S', 100},
		{"asyncio waits", "select", "/usr/lib/asyncio/base_events.py",
		 "/usr/lib/selectors.py", "", 'S', 100},
		{"sleeps in pieces", "handler", "", "/node.py", "", 'S', 0},
		{"runs", "handler", "", "/node.py", "", 'R', 0},
		{"main joins the thread that polls", "join", "", "/usr/lib/threading.py", "", 'S',
		 100},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();

		print_message("    %s\n", rows[i].what);
		for (until(u, 200); u->ms < 9000; until(u, u->ms + 100)) {
			struct dp_record r =
				stack_of(u, PID, rows[i].function, rows[i].file, rows[i].sleeps);

			r.u.stack.asleep_since_ns =
				AT(rows[i].since > 0 ? rows[i].since : u->ms - 50);
			snprintf(r.u.stack.library, DP_LIBRARY_MAX, "%s", rows[i].library);
			if (rows[i].below[0]) {
				r.u.stack.frame_count = 2;
				snprintf(r.u.stack.frames[1].file, DP_FILE_MAX, "%s",
					 rows[i].below);
			}
			feed(u->t, &r);
		}
		assert_null(told(u, 0));
		finish(u);
	}
}

/* Main waits for another thread, which a search finds in next(): that one is the consumer. */
static void test_another_thread(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 200);
	sleep_until(u, 1200, 100, PID, "/usr/lib/threading.py");
	assert_true(count_asked(u->t, DP_REQ_FIND_CONSUMER) > 0);
	r = stack_of(u, OTHER, "loop", "/node.py", 'S');
	snprintf(r.u.stack.library, DP_LIBRARY_MAX, "dora.abi3.so");
	feed(u->t, &r);
	until(u, 6000);
	assert_null(told(u, 0));
	assert_int_equal(u->t->asked[u->t->asked_count - 1].tid, OTHER);
	sleep_until(u, 10000, 5900, OTHER, "/node.py");
	expect(u, 0, 5900 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_BLOCKED, 1u << DP_EVIDENCE_ASLEEP);
	finish(u);
}

/* Main waits for a thread that nobody has seen in next(): if it is the only one, it is the consumer. */
static void test_the_only_other_thread(void **state)
{
	(void)state;
	for (uint32_t others = 1; others <= 2; others++) {
		struct run *u = begin();

		for (until(u, 200); u->ms < 8000; until(u, u->ms + 200)) {
			struct dp_record r = stack_of(u, PID, "join", "/usr/lib/threading.py", 'S');

			r.u.stack.asleep_since_ns = AT(100);
			feed(u->t, &r);
			for (uint32_t i = 0; i < others; i++) {
				r = stack_of(u, OTHER + i, "handler", "/node.py", 'S');
				r.u.stack.asleep_since_ns = AT(150);
				feed(u->t, &r);
			}
		}
		if (others == 1)
			assert_string_equal(told(u, 0)->function, "handler");
		else
			assert_null(told(u, 0));
		finish(u);
	}
}

/* The same after Stop, if main waited before: else it may have begun to wait as its clean-up. */
static void test_the_only_other_thread_after_stop(void **state)
{
	(void)state;
	for (int after = 0; after < 2; after++) {
		struct run *u = begin();
		const char *last = "";

		until(u, 200);
		wire(u, DP_WIRE_STOP);
		for (; u->ms < 8000; until(u, u->ms + 200)) {
			struct dp_record r = stack_of(u, PID, "join", "/usr/lib/threading.py", 'S');

			r.u.stack.asleep_since_ns = AT(after ? 300 : 100);
			if (u->ms > 300)
				feed(u->t, &r);
			r = stack_of(u, OTHER, "handler", "/node.py", 'S');
			r.u.stack.asleep_since_ns = AT(150);
			feed(u->t, &r);
		}
		for (unsigned int i = 0; i < u->t->said_count; i++)
			if (u->t->said[i].f.type == DP_FIND_WARNING &&
			    u->t->said[i].f.u.warning.kind == DP_WARN_STOP_PENDING)
				last = u->t->said[i].function;
		assert_string_equal(last, after ? "join" : "handler");
		finish(u);
	}
}

/* Its channel is full: its event thread was handed something and asks for no more. */
static void test_untaken(void **state)
{
	struct run *u = begin();

	(void)state;
	until(u, 500);
	wire(u, DP_WIRE_NEXT_EVENT);
	until(u, 510);
	wire(u, DP_WIRE_INPUT);
	for (; u->ms < 5000; until(u, u->ms + 200)) {
		struct dp_record r = stack_of(u, PID, "handler", "/node.py", 'S');

		r.u.stack.asleep_since_ns = AT(u->ms - 50);
		feed(u->t, &r);
	}
	/* A sleep of 50 ms is not what it is about, but most looks find it so. */
	expect(u, 0, 510 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_BLOCKED,
	       1u << DP_EVIDENCE_ASLEEP | 1u << DP_EVIDENCE_INPUTS_UNTAKEN);
	wire(u, DP_WIRE_NEXT_EVENT);
	until(u, 9000);
	assert_true(told(u, 1)->f.u.warning.resolved);
	assert_null(told(u, 2));
	finish(u);
}

/* … which is not known after a loss, nor after the daemon has closed the stream. */
static void test_untaken_or_not(void **state)
{
	(void)state;
	for (int row = 0; row < 3; row++) {
		struct run *u = begin();

		until(u, 500);
		wire(u, DP_WIRE_NEXT_EVENT);
		until(u, 510);
		wire(u, row == 2 ? DP_WIRE_EVENTS_END : DP_WIRE_INPUT);
		if (row == 1) {
			struct dp_record r = record(DP_REC_LOSS, 520, PID, 0);

			r.u.loss.reason = DP_LOSS_STREAM_RESYNC;
			r.u.loss.count = 1;
			feed(u->t, &r);
		}
		until(u, 8000);
		assert_int_equal(told(u, 0) != NULL, row == 0);
		finish(u);
	}
}

static void test_gil_wait(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 500);
	r = record(DP_REC_GIL_WAIT_BEGIN, 505, PID, PID);
	r.u.wait.begin_ns = AT(500);
	r.u.wait.holder_tid = OTHER;
	feed(u->t, &r);
	until(u, 5000);
	expect(u, 0, 500 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_GIL_CONTENTION,
	       1u << DP_EVIDENCE_GIL_WAIT);
	finish(u);
}

/* It waits behind one native call of another thread, not behind many that take turns. */
static void test_gil_wait_for_one_call(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 500);
	r = record(DP_REC_GIL_WAIT_BEGIN, 505, PID, PID);
	r.u.wait.begin_ns = AT(500);
	r.u.wait.holder_tid = OTHER;
	feed(u->t, &r);
	for (; u->ms < 5000; until(u, u->ms + 10)) {
		r = look(u->ms, PID, OTHER, 499);
		r.u.look.off_since_ns = AT(500);
		feed(u->t, &r);
	}
	expect(u, 0, 500 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_GIL_NATIVE,
	       1u << DP_EVIDENCE_GIL_WAIT);
	assert_int_equal(told(u, 0)->f.u.warning.holder_tid, OTHER);
	finish(u);
}

static void test_gil_held(void **state)
{
	struct run *u = begin();

	(void)state;
	until(u, 500);
	for (; u->ms < 5000; until(u, u->ms + 10)) {
		struct dp_record r = look(u->ms, PID, PID, 499);

		r.u.look.off_since_ns = AT(500);
		feed(u->t, &r);
	}
	assert_non_null(told(u, 0));
	assert_int_equal(told(u, 0)->f.u.warning.evidence, 1u << DP_EVIDENCE_GIL_HELD);
	assert_int_equal(told(u, 0)->f.t_ns, AT(500 + D_MS));
	assert_int_equal(told(u, 0)->f.u.warning.holder_tid, PID);
	finish(u);
}

/* On the CPU without the GIL: the edge source sees that it takes none. */
static void test_no_gil_taken(void **state)
{
	(void)state;
	for (int takes = 0; takes < 2; takes++) {
		struct run *u = begin();

		for (until(u, 500); u->ms < 6000; until(u, u->ms + 100)) {
			struct dp_record r = stack_of(u, PID, "infer", "/node.py", 'R');

			r.u.stack.edge_armed_ns = AT(900);
			r.u.stack.took_gil_ns = takes ? AT(u->ms - 40) : AT(400);
			feed(u->t, &r);
		}
		if (takes)
			assert_null(told(u, 0));
		else
			expect(u, 0, 900 + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_RUNNING_WITHOUT_GIL,
			       1u << DP_EVIDENCE_NO_GIL_TAKEN);
		assert_true(count_asked(u->t, DP_REQ_ARM_EDGE) > 0);
		finish(u);
	}
}

/*
 * A handler of many short calls without the GIL: dora's code has not let go of it since. Only where it was
 * seen to do so before, and while the edge source is armed.
 */
static void test_next_not_called(void **state)
{
	static const struct {
		double polled, armed; /* 0 never, not */
		bool again, said;     /* it is back in between; it is told of */
		double calls;         /* each call is seen since; 0 not */
		double since;         /* it is told to be away since then */
	} rows[] = {/* That dora's code let go of the GIL is no word of the calls that do not. */
		    {450, 400, false, false, 0, 0},
		    {450, 400, true, false, 0, 0},
		    {0, 400, false, false, 0, 0},
		    {450, 0, false, false, 0, 0},
		    /* A call that is seen needs no earlier one. */
		    {0, 400, false, true, 1000, 1000},
		    {1200, 400, false, true, 1000, 1200},
		    {0, 400, true, false, 1000, 0}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();

		for (until(u, 500); u->ms < 6000; until(u, u->ms + 100)) {
			struct dp_record r = stack_of(u, PID, "handler", "/node.py", 'S');
			double polled = rows[i].again ? u->ms - 30 : rows[i].polled;

			r.u.stack.asleep_since_ns = AT(u->ms - 7);
			r.u.stack.edge_armed_ns =
				rows[i].armed > 0 && u->ms > rows[i].armed ? AT(rows[i].armed) : 0;
			r.u.stack.took_gil_ns = AT(u->ms - 7);
			r.u.stack.polled_ns = polled > 0 && u->ms > polled ? AT(polled) : 0;
			r.u.stack.calls_seen_ns =
				rows[i].calls > 0 && u->ms > rows[i].calls ? AT(rows[i].calls) : 0;
			feed(u->t, &r);
		}
		if (rows[i].said)
			expect(u, 0, rows[i].since + D_MS, DP_SEVERITY_NOTICE, DP_CAUSE_BLOCKED,
			       1u << DP_EVIDENCE_NEXT_NOT_CALLED | 1u << DP_EVIDENCE_ASLEEP |
				       1u << DP_EVIDENCE_NO_GIL_TAKEN);
		else
			assert_null(told(u, 0));
		finish(u);
	}
}

/* What begins after Stop is a clean-up, whose own warnings are stop_pending and deadline. */
static void test_after_stop(void **state)
{
	(void)state;
	for (int after = 0; after < 2; after++) {
		struct run *u = begin();

		until(u, 1000);
		wire(u, DP_WIRE_STOP);
		sleep_until(u, 9000, after ? 1100 : 900, PID, "/node.py");
		assert_int_equal(told(u, 0) != NULL, !after);
		finish(u);
	}
}

/* Without a threshold, as in recordings from before, nothing is said. */
static void test_off(void **state)
{
	struct run *u = begin_with(0);

	(void)state;
	until(u, 600);
	sleep_until(u, 9000, 500, PID, "/node.py");
	assert_null(told(u, 0));
	finish(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_no_absence),
		cmocka_unit_test(test_another_thread),
		cmocka_unit_test(test_the_only_other_thread),
		cmocka_unit_test(test_the_only_other_thread_after_stop),
		cmocka_unit_test(test_untaken),
		cmocka_unit_test(test_untaken_or_not),
		cmocka_unit_test(test_gil_wait),
		cmocka_unit_test(test_gil_held),
		cmocka_unit_test(test_gil_wait_for_one_call),
		cmocka_unit_test(test_no_gil_taken),
		cmocka_unit_test(test_after_stop),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_next_not_called),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
