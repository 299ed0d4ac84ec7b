// SPDX-License-Identifier: MIT
/* Stop as a fact of the dataflow: whose word starts the clock of a node that has not read its own. */
#include "model_table.h"
#include "base/array.h"

#include <signal.h>

#define A      100 /* a node that hears of everything */
#define B      200 /* the one that is stuck */
#define C      300
#define DAEMON 7
#define UID    1000

/* B has slept in a handler since 500 ms and will for long; the guard nudges 1 s after Stop. */
struct run {
	struct table *t;
	double ms;
};

static void add(struct run *u, uint32_t pid, const char *name, const char *dataflow)
{
	struct dp_record r = record(DP_REC_NODE_FACTS, u->ms, pid, 0);

	r.u.node = (struct dp_rec_node){.start_time = 1,
					.is_dora = 1,
					.is_python = 1,
					.gil_observable = 1,
					.gil_count = 1,
					.daemon_pid = DAEMON,
					.uid = UID,
					.signals_caught = 2};
	snprintf(r.u.node.node, sizeof(r.u.node.node), "%s", name);
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "1.1.0");
	snprintf(r.u.node.dataflow, sizeof(r.u.node.dataflow), "%s", dataflow);
	feed(u->t, &r);
}

static struct run *begin(void)
{
	struct run *u = calloc(1, sizeof(*u));
	struct dp_record r = record(DP_REC_OPTIONS, 0, 0, 0);

	assert_non_null(u);
	u->t = table_new();
	r.u.options = (struct dp_rec_options){.hold_threshold_ns = 50000000,
					      .warn_hold_ns = 500000000,
					      .pending_threshold_ns = 1000000000,
					      .shutdown = DP_SHUTDOWN_NUDGE,
					      .nudge_after_ns = 1000000000,
					      .nudge_signal = 2};
	feed(u->t, &r);
	add(u, A, "a", "flow");
	add(u, B, "b", "flow");
	return u;
}

static void finish(struct run *u)
{
	table_free(u->t);
	free(u);
}

static void wire(struct run *u, uint32_t pid, enum dp_wire_kind kind)
{
	bool request = kind == DP_WIRE_NEXT_EVENT;
	struct dp_record r =
		record(request ? DP_REC_WIRE_REQUEST : DP_REC_WIRE_EVENT, u->ms, pid, pid + 1);

	r.u.wire.kind = (uint8_t)kind;
	r.u.wire.role = DP_ROLE_EVENTS;
	feed(u->t, &r);
}

/* Goes on to `ms`; B sleeps and says so every 100 ms. */
static void until(struct run *u, double ms)
{
	for (; u->ms < ms; u->ms += 10) {
		if ((int)u->ms % 100 == 0 && u->ms >= 500) {
			struct dp_record r = record(DP_REC_STACK, u->ms, B, B);

			r.u.stack.is_main = 1;
			r.u.stack.state = 'S';
			r.u.stack.syscall_nr = 230; /* clock_nanosleep */
			r.u.stack.asleep_since_ns = AT(500);
			r.u.stack.sleep_ns = 60000000000ULL;
			r.u.stack.frame_count = 1;
			snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "handler");
			feed(u->t, &r);
		}
		tick(u->t, u->ms);
	}
}

/* B's event thread has been handed something and asks for no more: its channel is full. */
static void full_channel(struct run *u)
{
	wire(u, B, DP_WIRE_NEXT_EVENT);
	until(u, u->ms + 10);
	wire(u, B, DP_WIRE_INPUT);
}

static const struct dp_finding *stop_of(const struct run *u, uint32_t pid)
{
	for (unsigned int i = 0; i < u->t->said_count; i++)
		if (u->t->said[i].f.type == DP_FIND_STOP && u->t->said[i].f.pid == pid)
			return &u->t->said[i].f;
	return NULL;
}

static unsigned int signals_to(const struct run *u, uint32_t pid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < u->t->asked_count; i++)
		n += u->t->asked[i].type == DP_REQ_ACT && u->t->asked[i].pid == pid;
	return n;
}

static void expect_stop(const struct run *u, uint32_t pid, enum dp_witness who, double at_ms)
{
	const struct dp_finding *f = stop_of(u, pid);

	assert_non_null(f);
	assert_int_equal(f->u.stop.witness, who);
	assert_int_equal(f->t_ns, AT(at_ms));
	assert_int_equal(f->u.stop.deadline_ns, AT(at_ms) + 10000000000ULL);
}

/* Its own frame is the best witness; the others only say the same. */
static void test_own_frame(void **state)
{
	struct run *u = begin();

	(void)state;
	until(u, 1000);
	wire(u, A, DP_WIRE_STOP);
	until(u, 1050);
	wire(u, B, DP_WIRE_STOP);
	until(u, 4000);
	expect_stop(u, A, DP_WITNESS_NODE, 1000);
	expect_stop(u, B, DP_WITNESS_NODE, 1050);
	assert_int_equal(count_said(u->t, DP_FIND_STOP), 2);
	assert_true(signals_to(u, B) > 0);
	finish(u);
}

/*
 * A node of the dataflow got its Stop, and B does not read its socket: the line, the deadline and the
 * warnings are B's from the sibling's moment on, and no signal goes to it on that word alone.
 */
static void test_sibling(void **state)
{
	struct run *u = begin();

	(void)state;
	until(u, 700);
	full_channel(u);
	until(u, 1000);
	wire(u, A, DP_WIRE_STOP);
	until(u, 9500);
	expect_stop(u, B, DP_WITNESS_SIBLING, 1000);
	assert_int_equal(count_said(u->t, DP_FIND_STOP), 2);
	assert_true(count_said(u->t, DP_FIND_WARNING) > 0);
	assert_int_equal(signals_to(u, B), 0);
	finish(u);
}

/* Once it reads its own the word is borne out, the clock stays, and nothing is said again. */
static void test_sibling_then_own(void **state)
{
	struct run *u = begin();

	(void)state;
	until(u, 700);
	full_channel(u);
	until(u, 1000);
	wire(u, A, DP_WIRE_STOP);
	until(u, 3000);
	wire(u, B, DP_WIRE_INPUT); /* one answer: what waited, and Stop as the last of it */
	wire(u, B, DP_WIRE_STOP);
	until(u, 5000);
	expect_stop(u, B, DP_WITNESS_SIBLING, 1000);
	assert_int_equal(count_said(u->t, DP_FIND_STOP), 2);
	assert_true(signals_to(u, B) > 0);
	finish(u);
}

/* What a node does that shows that it was not told. */
static void test_who_would_have_heard(void **state)
{
	static const struct {
		const char *what;
		bool asks, answered, lost, other_asks;
		bool stopped;
	} rows[] = {
		{"nothing is known of its stream", .stopped = true},
		{"its request waits for an answer", .asks = true},
		{"it was answered with something else", .answered = true},
		{"its request waits, but records were lost", .asks = true, .lost = true,
		 .stopped = true},
		{"a third node's request waits: the Stop was A's alone", .other_asks = true},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();

		print_message("    %s\n", rows[i].what);
		add(u, C, "c", "flow");
		until(u, 900);
		if (rows[i].asks)
			wire(u, B, DP_WIRE_NEXT_EVENT);
		if (rows[i].other_asks)
			wire(u, C, DP_WIRE_NEXT_EVENT);
		until(u, 1000);
		wire(u, A, DP_WIRE_STOP);
		if (rows[i].lost) {
			struct dp_record r = record(DP_REC_LOSS, u->ms, B, 0);

			r.u.loss.reason = DP_LOSS_STREAM_RESYNC;
			r.u.loss.count = 1;
			feed(u->t, &r);
		}
		until(u, 1200);
		if (rows[i].answered)
			wire(u, B, DP_WIRE_INPUT);
		until(u, 3000);
		assert_int_equal(stop_of(u, B) != NULL, rows[i].stopped);
		assert_int_equal(signals_to(u, B) + signals_to(u, C), 0);
		finish(u);
	}
}

/* Another dataflow is told to stop. */
static void test_other_dataflow(void **state)
{
	struct run *u = begin();

	(void)state;
	add(u, C, "c", "another");
	until(u, 1000);
	wire(u, C, DP_WIRE_STOP);
	until(u, 3000);
	assert_null(stop_of(u, A));
	assert_null(stop_of(u, B));
	finish(u);
}

static void command(struct run *u, const char *target, uint32_t uid)
{
	struct dp_record r = record(DP_REC_STOP_COMMAND, u->ms, 900, 900);

	r.u.stop_command.uid = uid;
	snprintf(r.u.stop_command.target, sizeof(r.u.stop_command.target), "%s", target);
	feed(u->t, &r);
}

static void test_command(void **state)
{
	static const struct {
		const char *target;
		uint32_t uid;
		bool runs, asks, stopped;
	} rows[] = {
		{"flow", UID, .runs = true, .stopped = true},
		{"flow", 0, .runs = true, .stopped = true},
		{"flow", UID + 1, .runs = true}, /* of somebody who may not stop it */
		{"", UID, .runs = true},         /* of which dataflow? */
		{"another", UID, .runs = true},
		{"flow", UID, .runs = false}, /* it was refused at once */
		{"flow", UID, .runs = true, .asks = true},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();

		until(u, 900);
		if (rows[i].asks)
			wire(u, B, DP_WIRE_NEXT_EVENT);
		until(u, 1000);
		command(u, rows[i].target, rows[i].uid);
		until(u, 2200);
		if (rows[i].runs) {
			struct dp_record r = record(DP_REC_STOP_WITNESS, u->ms, 900, 0);

			r.u.witness.witness = DP_WITNESS_COMMAND;
			r.u.witness.found = 1;
			feed(u->t, &r);
		}
		until(u, 5000);
		print_message("    row %zu\n", i);
		assert_int_equal(stop_of(u, B) != NULL, rows[i].stopped);
		assert_int_equal(signals_to(u, B) > 0, rows[i].stopped);
		if (rows[i].stopped)
			expect_stop(u, B, DP_WITNESS_COMMAND, 1000);
		finish(u);
	}
}

/* The probe comes when the command has been running for a while: that says all. */
static void test_command_found(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 4000);
	r = record(DP_REC_DORA_COMMAND, u->ms, 900, 0);
	r.u.command.started_ns = AT(1000);
	r.u.command.uid = UID;
	r.u.command.verb = DP_DORA_STOP;
	snprintf(r.u.command.dataflow, sizeof(r.u.command.dataflow), "flow");
	feed(u->t, &r);
	until(u, 4100);
	expect_stop(u, B, DP_WITNESS_COMMAND, 1000);
	assert_true(signals_to(u, B) > 0);
	finish(u);
}

/* The command says that it is true, the sibling when. */
static void test_command_and_sibling(void **state)
{
	struct run *u = begin();
	struct dp_record r;

	(void)state;
	until(u, 1000);
	command(u, "flow", UID);
	until(u, 1600);
	wire(u, A, DP_WIRE_STOP);
	until(u, 2200);
	r = record(DP_REC_STOP_WITNESS, u->ms, 900, 0);
	r.u.witness.witness = DP_WITNESS_COMMAND;
	r.u.witness.found = 1;
	feed(u->t, &r);
	until(u, 2590);
	expect_stop(u, B, DP_WITNESS_SIBLING, 1600);
	assert_int_equal(signals_to(u, B), 0); /* 1 s after Stop, not after the command */
	until(u, 4000);
	assert_true(signals_to(u, B) > 0);
	finish(u);
}

static void test_daemon_sigint(void **state)
{
	static const struct {
		uint32_t pid;
		uint8_t signal;
		bool stopped;
	} rows[] = {{DAEMON, SIGINT, true}, {DAEMON, SIGCHLD, false}, {DAEMON + 1, SIGINT, false}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();
		struct dp_record r;

		until(u, 1000);
		r = record(DP_REC_SIGNAL, u->ms, rows[i].pid, rows[i].pid);
		r.u.signal.kind = DP_SIGNAL_GENERATED;
		r.u.signal.signal = rows[i].signal;
		r.u.signal.sender_pid = 1;
		feed(u->t, &r);
		until(u, 4000);
		assert_int_equal(stop_of(u, B) != NULL, rows[i].stopped);
		assert_int_equal(signals_to(u, B) > 0, rows[i].stopped);
		if (rows[i].stopped)
			expect_stop(u, B, DP_WITNESS_DAEMON, 1000);
		finish(u);
	}
}

/* A look into the socket is asked for when somebody has heard, and what it finds is believed. */
static void test_unread(void **state)
{
	struct run *u = begin();
	unsigned int before;
	struct dp_record r;

	(void)state;
	until(u, 700);
	wire(u, B, DP_WIRE_NEXT_EVENT);
	until(u, 1000);
	before = count_asked(u->t, DP_REQ_PEEK_STOP);
	wire(u, A, DP_WIRE_STOP);
	until(u, 1500);
	assert_true(count_asked(u->t, DP_REQ_PEEK_STOP) > before);
	assert_null(stop_of(u, B));
	r = record(DP_REC_STOP_WITNESS, u->ms, B, 0);
	r.u.witness.witness = DP_WITNESS_UNREAD;
	feed(u->t, &r); /* nothing found */
	until(u, 2000);
	assert_null(stop_of(u, B));
	r = record(DP_REC_STOP_WITNESS, u->ms, B, 0);
	r.u.witness.witness = DP_WITNESS_UNREAD;
	r.u.witness.found = 1;
	feed(u->t, &r);
	until(u, 4000);
	expect_stop(u, B, DP_WITNESS_UNREAD, 2000);
	assert_true(signals_to(u, B) > 0);
	finish(u);
}

static void kill_by(struct run *u, uint32_t sender, int sig)
{
	struct dp_record r = record(DP_REC_SIGNAL, u->ms, B, B);

	r.u.signal.kind = DP_SIGNAL_GENERATED;
	r.u.signal.signal = (uint8_t)sig;
	r.u.signal.sender_pid = sender;
	feed(u->t, &r);
	r = record(DP_REC_PROC_EXIT, u->ms + 1, B, B);
	r.u.exit.is_process = 1;
	r.u.exit.status = sig;
	feed(u->t, &r);
}

/* Nobody was believed, for its request waited; the daemon's kill at the end of the grace bears it out. */
static void test_look_back(void **state)
{
	static const struct {
		uint32_t sender;
		double at;
		bool stopped;
	} rows[] = {{DAEMON, 11010, true}, {DAEMON, 4000, false}, {DAEMON + 1, 11010, false}};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct run *u = begin();
		const struct dp_finding *f;
		const struct said *s;

		until(u, 700);
		wire(u, B, DP_WIRE_NEXT_EVENT);
		until(u, 1000);
		wire(u, A, DP_WIRE_STOP);
		until(u, rows[i].at);
		assert_null(stop_of(u, B));
		kill_by(u, rows[i].sender, SIGTERM);
		s = said(u->t, DP_FIND_EXIT, 0);
		assert_non_null(s);
		/* Else it is the SIGTERM alone that says so, and since when is not known. */
		f = stop_of(u, B);
		assert_int_equal(f && f->u.stop.reason == DP_STOP_STOP, rows[i].stopped);
		if (rows[i].stopped) {
			expect_stop(u, B, DP_WITNESS_SIBLING, 1000);
			assert_true(s->f.u.exit.grace_kill);
			assert_int_equal(s->f.u.exit.since_stop_ns, 10011000000ULL);
		} else {
			assert_int_equal(s->f.u.exit.since_stop_ns, DP_NULL);
		}
		finish(u);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_frame),
		cmocka_unit_test(test_sibling),
		cmocka_unit_test(test_sibling_then_own),
		cmocka_unit_test(test_who_would_have_heard),
		cmocka_unit_test(test_other_dataflow),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_command_found),
		cmocka_unit_test(test_command_and_sibling),
		cmocka_unit_test(test_daemon_sigint),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_look_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
