// SPDX-License-Identifier: MIT
/* The token ledger, causes, stop and exit from tables of records. */
#include "model_table.h"

#include <signal.h>

#define SEND 200
#define RECV 100

static void say(struct table *t, enum dp_record_type type, double ms, uint32_t pid, uint8_t id)
{
	struct dp_record r = token(type, ms, pid, id);

	ticks_until(t, ms);
	feed(t, &r);
}

static void region(struct table *t, enum dp_region_kind kind, double ms, uint32_t pid, uint8_t id)
{
	struct dp_record r = record(DP_REC_REGION, ms, pid, pid);

	ticks_until(t, ms);
	r.u.region.kind = (uint8_t)kind;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_%X", id);
	feed(t, &r);
}

static void wire(struct table *t, enum dp_wire_kind kind, double ms, uint32_t pid)
{
	struct dp_record r = record(
		kind < DP_WIRE_SUBSCRIBE ? DP_REC_WIRE_EVENT : DP_REC_WIRE_REQUEST, ms, pid, pid);

	ticks_until(t, ms);
	r.u.wire.kind = (uint8_t)kind;
	feed(t, &r);
}

static void process_exit(struct table *t, double ms, uint32_t pid, int status)
{
	struct dp_record r = record(DP_REC_PROC_EXIT, ms, pid, pid);

	ticks_until(t, ms);
	r.u.exit.status = status;
	r.u.exit.is_process = 1;
	feed(t, &r);
}

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

static void held(struct table *t, double from, double to, uint32_t tid, int sleeping)
{
	struct dp_record r =
		record(sleeping ? DP_REC_GIL_OFFCPU : DP_REC_GIL_EDGE_HOLD, to, RECV, tid);

	ticks_until(t, to);
	r.u.gil_span.lo_ns = AT(from - 0.1);
	r.u.gil_span.from_ns = AT(from);
	r.u.gil_span.to_ns = AT(to);
	feed(t, &r);
	if (sleeping) {
		r = record(DP_REC_GIL_RUN, to + 0.1, RECV, tid);
		r.u.gil_span.lo_ns = AT(from - 0.1);
		r.u.gil_span.from_ns = AT(from);
		r.u.gil_span.to_ns = AT(to);
		r.u.gil_span.hi_ns = AT(to + 0.1);
		feed(t, &r);
	}
}

static struct table *two_nodes(void)
{
	struct table *t = table_new();

	node(t, 0, SEND, "send");
	node(t, 0, RECV, "recv");
	return t;
}

static const struct dp_token_finding *only_token(const struct table *t)
{
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	return &said(t, DP_FIND_TOKEN, 0)->f.u.token;
}

static void test_one_life_of_two_views(void **state)
{
	struct table *t = two_nodes();
	const struct dp_token_finding *k;

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 10, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 11, RECV, 1);
	region(t, DP_REGION_MAPPED, 12, RECV, 1);
	region(t, DP_REGION_UNMAPPED, 20, RECV, 1);
	say(t, DP_REC_TOKEN_REPORTED, 25, RECV, 1);
	say(t, DP_REC_TOKEN_RETURNED, 26, SEND, 1);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 0);
	ticks_until(t, 80);
	k = only_token(t);
	assert_int_equal(k->state, DP_TOKEN_RETURNED);
	assert_string_equal(k->owner, "send");
	assert_string_equal(k->receiver, "recv");
	assert_int_equal(k->sent_ns, AT(10));
	assert_int_equal(k->delivered_ns, AT(11));
	assert_int_equal(k->mapped_ns, AT(12));
	assert_int_equal(k->released_ns, AT(20));
	assert_int_equal(k->reported_ns, AT(25));
	assert_int_equal(k->returned_ns, AT(26));
	assert_int_equal(k->cause, -1);
	assert_int_equal(k->gil_held_ns, 0);
	table_free(t);
}

/* The owner is not watched: reported is the end. Two receivers: a life each. */
static void test_owner_not_watched_and_two_receivers(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_DELIVERED, 11, RECV, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 11, SEND, 1);
	say(t, DP_REC_TOKEN_REPORTED, 25, RECV, 1);
	ticks_until(t, 80);
	assert_int_equal(only_token(t)->state, DP_TOKEN_RETURNED);
	assert_null(only_token(t)->owner);
	assert_true(only_token(t)->mapped_ns == DP_NULL);
	say(t, DP_REC_TOKEN_REPORTED, 90, SEND, 1);
	ticks_until(t, 140);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 2);
	table_free(t);
}

static void test_native_hold_costs_the_token(void **state)
{
	struct table *t = two_nodes();
	const struct dp_token_finding *k;

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	held(t, 110, 1910, RECV, 1);
	region(t, DP_REGION_UNMAPPED, 1920, RECV, 1);
	say(t, DP_REC_TOKEN_REPORTED, 1925, RECV, 1);
	say(t, DP_REC_TOKEN_RETURNED, 1926, SEND, 1);
	ticks_until(t, 2000);
	k = only_token(t);
	assert_int_equal(k->cause, DP_CAUSE_GIL_NATIVE);
	assert_true(k->gil_held_ns >= 1799900000ULL && k->gil_held_ns <= 1800100000ULL);
	table_free(t);
}

/* Another thread took it again and again while the consumer waited. */
/* The token is told while the hold that cost it still waits for late evidence on its end. */
static void test_hold_that_has_just_ended_counts(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	say(t, DP_REC_TOKEN_REPORTED, 700, RECV, 1);
	say(t, DP_REC_TOKEN_RETURNED, 701, SEND, 1);
	held(t, 200, 722, RECV, 1);
	ticks_until(t, 740);
	assert_int_equal(count_said(t, DP_FIND_GIL_HOLD), 0);
	assert_int_equal(only_token(t)->gil_held_ns, 500000000);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_GIL_NATIVE);
	table_free(t);
}

static void test_contention(void **state)
{
	struct table *t = two_nodes();
	const struct dp_token_finding *k;

	(void)state;
	region(t, DP_REGION_MAPPED, 50, RECV, 9); /* the consumer is known */
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	for (double ms = 110; ms < 1900; ms += 10) {
		struct dp_record r = record(DP_REC_GIL_WAIT_END, ms + 9, RECV, RECV);

		r.u.wait.begin_ns = AT(ms);
		r.u.wait.acquired = 1;
		r.u.wait.holder_tid = 101;
		ticks_until(t, ms + 9);
		feed(t, &r);
	}
	say(t, DP_REC_TOKEN_REPORTED, 1925, RECV, 1);
	ticks_until(t, 2000);
	k = only_token(t);
	assert_int_equal(k->cause, DP_CAUSE_GIL_CONTENTION);
	assert_true(k->gil_held_ns > 1600000000ULL);
	table_free(t);
}

/* The same by a row of native calls of another thread: no single one is to blame. */
static void test_contention_of_native_calls(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	region(t, DP_REGION_MAPPED, 50, RECV, 9);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	for (double ms = 110; ms < 1900; ms += 100)
		held(t, ms, ms + 90, 101, 1);
	say(t, DP_REC_TOKEN_REPORTED, 1925, RECV, 1);
	ticks_until(t, 2000);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_GIL_CONTENTION);
	table_free(t);

	/* One long call of that thread, and it is. */
	t = two_nodes();
	region(t, DP_REGION_MAPPED, 50, RECV, 9);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	held(t, 110, 1900, 101, 1);
	say(t, DP_REC_TOKEN_REPORTED, 1925, RECV, 1);
	ticks_until(t, 2000);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_GIL_NATIVE);
	table_free(t);
}

static void stacks(struct table *t, double from, double to, int syscall, const char *library)
{
	for (double ms = from; ms < to; ms += 100) {
		struct dp_record r = record(DP_REC_STACK, ms, RECV, RECV);

		ticks_until(t, ms);
		r.u.stack.syscall_nr = syscall;
		r.u.stack.frame_count = 1;
		r.u.stack.frames[0].line = 5;
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "handler");
		snprintf(r.u.stack.library, DP_LIBRARY_MAX, "%s", library);
		feed(t, &r);
	}
}

/* The same silence, the GIL free: a sleep, or an array that is kept while the node polls on. */
static void test_blocked_and_reference_kept(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	stacks(t, 300, 2000, 230, "");
	say(t, DP_REC_TOKEN_REPORTED, 2005, RECV, 1);
	ticks_until(t, 2100);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_BLOCKED);

	say(t, DP_REC_TOKEN_DELIVERED, 2200, RECV, 2);
	region(t, DP_REGION_MAPPED, 2201, RECV, 2);
	stacks(t, 2400, 3500, 202, "dora.abi3.so");
	say(t, DP_REC_TOKEN_REPORTED, 3600, RECV, 2);
	ticks_until(t, 3700);
	assert_int_equal(said(t, DP_FIND_TOKEN, 1)->f.u.token.cause, DP_CAUSE_REFERENCE_KEPT);
	table_free(t);
}

/* A message at `from`, and the next two `first` and `then` ms later: its array goes with the first of them. */
static int8_t cause_at_pace(double from, double first, double then)
{
	struct table *t = two_nodes();
	double next = from + first, last = next + then;
	int8_t cause;

	say(t, DP_REC_TOKEN_DELIVERED, from, RECV, 1);
	region(t, DP_REGION_MAPPED, from + 0.5, RECV, 1);
	/* The guard's look at where the loop is, twice a second: one of them falls into it. */
	stacks(t, from + first / 2, from + first / 2 + 1, 202, "dora.abi3.so");
	say(t, DP_REC_TOKEN_DELIVERED, next, RECV, 2);
	region(t, DP_REGION_MAPPED, next + 0.2, RECV, 2);
	region(t, DP_REGION_UNMAPPED, next + 0.6, RECV, 1);
	say(t, DP_REC_TOKEN_REPORTED, last, RECV, 1);
	ticks_until(t, last + 100);
	cause = only_token(t)->cause;
	table_free(t);
	return cause;
}

/* Nothing but messages was waited for, though one look found the consumer in next() meanwhile. */
static void test_what_goes_with_the_next_message_is_not_kept(void **state)
{
	(void)state;
	assert_int_equal(cause_at_pace(100, 50, 50.4), DP_CAUSE_NOT_REPORTED);
	assert_int_equal(cause_at_pace(100, 58, 42), DP_CAUSE_NOT_REPORTED);
	assert_int_equal(cause_at_pace(100, 1000, 1000), DP_CAUSE_NOT_REPORTED);
	assert_int_equal(cause_at_pace(100, 110, 10), DP_CAUSE_UNKNOWN);
	/* A second without a message, with the array in hand: dropping it would have let it go. */
	assert_int_equal(cause_at_pace(100, 1000, 50), DP_CAUSE_REFERENCE_KEPT);
}

/*
 * A warning stands until 2 s after its tokens went. Tokens that come meanwhile and wait for another
 * cause are told, those that wait for one that was told are not.
 */
static void test_warning_of_another_cause(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	for (int i = 0; i < 3; i++) {
		double from = 100 + i * 1500;

		say(t, DP_REC_TOKEN_DELIVERED, from, RECV, (uint8_t)(i + 1));
		region(t, DP_REGION_MAPPED, from + 1, RECV, (uint8_t)(i + 1));
		/* asleep in the handler; then kept while the node polls; then asleep again */
		if (i == 1)
			stacks(t, from + 200, from + 1200, 202, "dora.abi3.so");
		else
			stacks(t, from + 200, from + 1200, 230, "");
		assert_int_equal(count_said(t, DP_FIND_WARNING), i == 0 ? 1 : 2);
		say(t, DP_REC_TOKEN_REPORTED, from + 1250, RECV, (uint8_t)(i + 1));
	}
	assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.cause, DP_CAUSE_BLOCKED);
	assert_int_equal(said(t, DP_FIND_WARNING, 1)->f.u.warning.cause, DP_CAUSE_REFERENCE_KEPT);
	assert_false(said(t, DP_FIND_WARNING, 1)->f.u.warning.resolved);
	ticks_until(t, 7000);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 3);
	assert_true(said(t, DP_FIND_WARNING, 2)->f.u.warning.resolved);
	table_free(t);
}

static void test_not_reported(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	region(t, DP_REGION_UNMAPPED, 120, RECV, 1);
	ticks_until(t, 1300);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 1);
	assert_int_equal(said(t, DP_FIND_WARNING, 0)->f.u.warning.cause, DP_CAUSE_NOT_REPORTED);
	say(t, DP_REC_TOKEN_REPORTED, 1400, RECV, 1);
	ticks_until(t, 1500);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_NOT_REPORTED);
	table_free(t);
}

static void test_receiver_gone(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	process_exit(t, 150, RECV, 1 << 8);
	ticks_until(t, 300);
	assert_int_equal(only_token(t)->state, DP_TOKEN_ABANDONED);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_RECEIVER_GONE);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.code, 1);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.tokens_abandoned, 1);
	assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.reason, DP_EXIT_ERROR);
	table_free(t);
}

/* The owner closes the region while the token is out. */
static void test_owner_closes_region(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_UNMAPPED, 2100, SEND, 1);
	ticks_until(t, 2200);
	assert_int_equal(only_token(t)->state, DP_TOKEN_ABANDONED);
	/* What comes afterwards is not counted again. */
	say(t, DP_REC_TOKEN_REPORTED, 2300, RECV, 1);
	ticks_until(t, 2400);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	table_free(t);
}

/*
 * Up to dora 0.4.1 the owner asks for the next token only when Python has taken the one before. The
 * first is returned at once; the second waits with the daemon until the owner asks again.
 */
static void owner_asks_late(const char *dora, int8_t cause)
{
	struct table *t = table_new();

	node_of(t, 0, SEND, "send", dora);
	node(t, 0, RECV, "recv");
	wire(t, DP_WIRE_NEXT_DROP, 50, SEND);
	for (uint8_t id = 1; id <= 2; id++) {
		say(t, DP_REC_TOKEN_SENT, 99, SEND, id);
		say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, id);
		region(t, DP_REGION_MAPPED, 101, RECV, id);
		region(t, DP_REGION_UNMAPPED, 110, RECV, id);
		say(t, DP_REC_TOKEN_REPORTED, 120, RECV, id);
	}
	say(t, DP_REC_TOKEN_RETURNED, 121, SEND, 1);
	wire(t, DP_WIRE_NEXT_DROP, 2120, SEND);
	say(t, DP_REC_TOKEN_RETURNED, 2121, SEND, 2);
	ticks_until(t, 2200);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 2);
	assert_int_equal(said(t, DP_FIND_TOKEN, 0)->f.u.token.cause, -1);
	assert_int_equal(said(t, DP_FIND_TOKEN, 1)->f.u.token.cause, cause);
	table_free(t);
}

static void test_owner_not_collecting(void **state)
{
	(void)state;
	owner_asks_late("0.3.12", DP_CAUSE_OWNER_NOT_COLLECTING);
	owner_asks_late("0.4.1", DP_CAUSE_OWNER_NOT_COLLECTING);
	/* Later ones collect by themselves; of an unknown one nobody can say. */
	owner_asks_late("0.5.0", -1);
	owner_asks_late("", -1);
}

/* The owner asks all the time: what does not come back is with another receiver, watched or not. */
static void test_other_receiver_is_not_the_owner(void **state)
{
	for (int watched = 0; watched < 2; watched++) {
		struct table *t = two_nodes();

		(void)state;
		if (watched)
			node(t, 0, RECV + 1, "slow");
		wire(t, DP_WIRE_NEXT_DROP, 50, SEND);
		say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
		say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
		if (watched)
			say(t, DP_REC_TOKEN_DELIVERED, 100, RECV + 1, 1);
		region(t, DP_REGION_MAPPED, 101, RECV, 1);
		region(t, DP_REGION_UNMAPPED, 110, RECV, 1);
		say(t, DP_REC_TOKEN_REPORTED, 120, RECV, 1);
		if (watched)
			say(t, DP_REC_TOKEN_REPORTED, 2119, RECV + 1, 1);
		say(t, DP_REC_TOKEN_RETURNED, 2120, SEND, 1);
		wire(t, DP_WIRE_NEXT_DROP, 2121, SEND);
		ticks_until(t, 2200);
		assert_int_equal(count_said(t, DP_FIND_TOKEN), (unsigned int)(1 + watched));
		for (int i = 0; i <= watched; i++) {
			const struct dp_token_finding *k =
				&said(t, DP_FIND_TOKEN, (unsigned int)i)->f.u.token;

			if (k->receiver_pid == RECV)
				assert_int_equal(k->cause, -1);
			else
				assert_int_not_equal(k->cause, DP_CAUSE_OWNER_NOT_COLLECTING);
		}
		table_free(t);
	}
}

/* Kept for 1.2 s, then reported with many others and left with the daemon even longer. */
static void test_long_pending_has_its_cause_at_the_receiver(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	for (uint8_t id = 2; id < 8; id++) {
		say(t, DP_REC_TOKEN_DELIVERED, 100 + 10 * id, RECV, id);
		region(t, DP_REGION_MAPPED, 101 + 10 * id, RECV, id);
	}
	region(t, DP_REGION_UNMAPPED, 1300, RECV, 1);
	say(t, DP_REC_TOKEN_REPORTED, 1310, RECV, 1);
	wire(t, DP_WIRE_NEXT_DROP, 3000, SEND);
	say(t, DP_REC_TOKEN_RETURNED, 3001, SEND, 1);
	ticks_until(t, 3100);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_REFERENCE_KEPT);
	table_free(t);
}

static void test_node_dropped_first(void **state)
{
	struct table *t = two_nodes();

	(void)state;
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	region(t, DP_REGION_MAPPED, 101, RECV, 1);
	wire(t, DP_WIRE_EVENT_STREAM_DROPPED, 300, RECV);
	process_exit(t, 1500, RECV, 0);
	ticks_until(t, 1600);
	assert_int_equal(only_token(t)->state, DP_TOKEN_ABANDONED);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_NODE_DROPPED_FIRST);
	table_free(t);
}

/* After a loss a token without an end is lost, never abandoned. */
static void test_lost_is_not_abandoned(void **state)
{
	struct table *t = two_nodes();
	struct dp_record r = record(DP_REC_LOSS, 200, 0, 0);

	(void)state;
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	ticks_until(t, 200);
	r.u.loss.reason = DP_LOSS_RING_FULL;
	r.u.loss.count = 1;
	feed(t, &r);
	ticks_until(t, 3000);
	assert_int_equal(only_token(t)->state, DP_TOKEN_LOST);
	assert_int_equal(only_token(t)->cause, DP_CAUSE_UNKNOWN);
	assert_int_equal(count_said(t, DP_FIND_WARNING), 0);
	table_free(t);
}

static void test_open_at_the_end(void **state)
{
	struct table *t = two_nodes();
	struct dp_record r = record(DP_REC_END, 300, 0, 0);

	(void)state;
	say(t, DP_REC_TOKEN_SENT, 99, SEND, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
	feed(t, &r);
	assert_int_equal(only_token(t)->state, DP_TOKEN_OPEN);
	table_free(t);
}

/* More tokens than the ledger holds: counted, nothing else breaks. */
static void test_ledger_is_bounded(void **state)
{
	struct table *t = two_nodes();
	const struct dp_loss_finding *lost;

	(void)state;
	for (uint32_t i = 0; i < 33000; i++) {
		struct dp_record r = token(DP_REC_TOKEN_DELIVERED, 100, RECV, 0);

		memcpy(r.u.token.token, &i, sizeof(i));
		dp_model_feed(t->m, &r);
	}
	ticks_until(t, 1500);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 2);
	lost = &said(t, DP_FIND_LOSS, 1)->f.u.loss;
	assert_int_equal(lost->reason, DP_LOSS_TOKEN_LIMIT);
	assert_in_range(lost->total, 100, 32999);
	table_free(t);
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
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

/* Shared-memory transport: no token was seen, which does not mean that there was none. */
static void test_unobservable_tokens_are_unknown(void **state)
{
	for (int v1 = 0; v1 < 2; v1++) {
		struct table *t = table_new();
		struct dp_record r = record(DP_REC_NODE_FACTS, 0, RECV, 0);
		const struct dp_summary_node_finding *s;

		(void)state;
		r.u.node = (struct dp_rec_node){.is_dora = 1,
						.is_python = 1,
						.gil_observable = 1,
						.gil_count = 1,
						.transport = DP_TRANSPORT_SHMEM};
		snprintf(r.u.node.dora, sizeof(r.u.node.dora), "%s", v1 ? "1.1.0" : "0.4.1");
		feed(t, &r);
		process_exit(t, 100, RECV, 0);
		r = record(DP_REC_END, 200, 0, 0);
		feed(t, &r);
		s = &said(t, DP_FIND_SUMMARY_NODE, 0)->f.u.summary_node;
		assert_int_equal(said(t, DP_FIND_EXIT, 0)->f.u.exit.tokens_abandoned,
				 v1 ? 0 : DP_NULL);
		assert_int_equal(s->tokens, v1 ? 0 : DP_NULL);
		assert_int_equal(s->tokens_abandoned, v1 ? 0 : DP_NULL);
		assert_int_equal(s->max_pending_ns, v1 ? 0 : DP_NULL);
		table_free(t);
	}
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

/* Records dropped or shifted change what is said: the model looks at nothing else. */
static void test_findings_follow_the_records(void **state)
{
	uint64_t held_ns[3];

	(void)state;
	for (int variant = 0; variant < 3; variant++) {
		struct table *t = two_nodes();

		say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
		if (variant != 1)
			held(t, variant == 2 ? 610 : 110, 1110, RECV, 1);
		say(t, DP_REC_TOKEN_REPORTED, 1200, RECV, 1);
		ticks_until(t, 1300);
		held_ns[variant] = only_token(t)->gil_held_ns;
		table_free(t);
	}
	assert_true(held_ns[0] > held_ns[2] && held_ns[2] > held_ns[1]);
	assert_int_equal(held_ns[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_life_of_two_views),
		cmocka_unit_test(test_owner_not_watched_and_two_receivers),
		cmocka_unit_test(test_native_hold_costs_the_token),
		cmocka_unit_test(test_hold_that_has_just_ended_counts),
		cmocka_unit_test(test_contention),
		cmocka_unit_test(test_contention_of_native_calls),
		cmocka_unit_test(test_blocked_and_reference_kept),
		cmocka_unit_test(test_what_goes_with_the_next_message_is_not_kept),
		cmocka_unit_test(test_warning_of_another_cause),
		cmocka_unit_test(test_not_reported),
		cmocka_unit_test(test_receiver_gone),
		cmocka_unit_test(test_owner_closes_region),
		cmocka_unit_test(test_owner_not_collecting),
		cmocka_unit_test(test_other_receiver_is_not_the_owner),
		cmocka_unit_test(test_long_pending_has_its_cause_at_the_receiver),
		cmocka_unit_test(test_node_dropped_first),
		cmocka_unit_test(test_lost_is_not_abandoned),
		cmocka_unit_test(test_open_at_the_end),
		cmocka_unit_test(test_ledger_is_bounded),
		cmocka_unit_test(test_grace_kill),
		cmocka_unit_test(test_outlook_of_a_sleep),
		cmocka_unit_test(test_kills_that_are_not),
		cmocka_unit_test(test_unobservable_tokens_are_unknown),
		cmocka_unit_test(test_all_inputs_closed_has_no_deadline),
		cmocka_unit_test(test_findings_follow_the_records),
	};

	return cmocka_run_group_tests_name("model: tokens, causes, exits", tests, NULL, NULL);
}
