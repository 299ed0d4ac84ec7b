// SPDX-License-Identifier: MIT
/* What a loss of records takes away: no token is abandoned, no cause is told from what was not seen. */
#include "model_table.h"

#define SEND 200
#define RECV 100

static struct table *two_nodes(const char *dora)
{
	struct table *t = table_new();

	node_of(t, 0, SEND, "send", dora);
	node_of(t, 0, RECV, "recv", dora);
	return t;
}

static void say_token(struct table *t, enum dp_record_type type, double ms, uint32_t pid)
{
	struct dp_record r = record(type, ms, pid, pid);

	ticks_until(t, ms);
	r.u.token.token[0] = 1;
	r.u.token.bytes = 5000;
	snprintf(r.u.token.region, sizeof(r.u.token.region), "shmem_1");
	feed(t, &r);
}

static void region(struct table *t, enum dp_region_kind kind, double ms, uint32_t pid)
{
	struct dp_record r = record(DP_REC_REGION, ms, pid, pid);

	ticks_until(t, ms);
	r.u.region.kind = (uint8_t)kind;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_1");
	feed(t, &r);
}

static void wire(struct table *t, enum dp_wire_kind kind, double ms, uint32_t pid)
{
	struct dp_record r = record(DP_REC_WIRE_REQUEST, ms, pid, pid);

	ticks_until(t, ms);
	r.u.wire.kind = (uint8_t)kind;
	feed(t, &r);
}

static void loss(struct table *t, double ms, uint32_t pid, enum dp_loss reason, uint64_t count)
{
	struct dp_record r = record(DP_REC_LOSS, ms, pid, 0);

	ticks_until(t, ms);
	r.u.loss.reason = reason;
	r.u.loss.count = count;
	feed(t, &r);
}

static void process_exit(struct table *t, double ms, uint32_t pid)
{
	struct dp_record r = record(DP_REC_PROC_EXIT, ms, pid, pid);

	ticks_until(t, ms);
	r.u.exit.is_process = 1;
	feed(t, &r);
}

static const struct dp_token_finding *only_token(const struct table *t)
{
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	return &said(t, DP_FIND_TOKEN, 0)->f.u.token;
}

/* How the token ends when its region is closed, or its owner leaves, after a loss of this process. */
static void owner_is_done(int delivered, int leaves, uint32_t pid, enum dp_loss reason,
			  enum dp_token_state state)
{
	struct table *t = two_nodes("0.5.0");

	say_token(t, DP_REC_TOKEN_SENT, 99, SEND);
	if (delivered)
		say_token(t, DP_REC_TOKEN_DELIVERED, 100, RECV);
	loss(t, 200, pid, reason, 1);
	if (leaves)
		process_exit(t, 900, SEND);
	else
		region(t, DP_REGION_UNLINKED, 900, SEND);
	ticks_until(t, 1200);
	assert_int_equal(only_token(t)->state, state);
	assert_int_equal(only_token(t)->cause,
			 state == DP_TOKEN_LOST ? DP_CAUSE_UNKNOWN : only_token(t)->cause);
	table_free(t);
}

static void test_lost_when_the_owner_is_done(void **state)
{
	(void)state;
	for (int delivered = 0; delivered < 2; delivered++) {
		for (int leaves = 0; leaves < 2; leaves++) {
			owner_is_done(delivered, leaves, 0, DP_LOSS_RING_FULL, DP_TOKEN_LOST);
			owner_is_done(delivered, leaves, 0, DP_LOSS_SEQUENCE_GAP, DP_TOKEN_LOST);
			owner_is_done(delivered, leaves, delivered ? RECV : SEND,
				      DP_LOSS_STREAM_RESYNC, DP_TOKEN_LOST);
			/* Somebody else's stream, or what holds no token. */
			owner_is_done(delivered, leaves, delivered ? SEND : RECV,
				      DP_LOSS_FRAME_INVALID, DP_TOKEN_ABANDONED);
			owner_is_done(delivered, leaves, 0, DP_LOSS_SAMPLE_SKIPPED,
				      DP_TOKEN_ABANDONED);
			owner_is_done(delivered, leaves, 0, DP_LOSS_SIGNAL_REPEATED,
				      DP_TOKEN_ABANDONED);
		}
	}
}

/* A delivery that comes late came perhaps after its own report. */
static void test_late_delivery_is_in_doubt(void **state)
{
	for (int late = 0; late < 2; late++) {
		struct table *t = two_nodes("0.5.0");
		struct dp_record r = record(DP_REC_TOKEN_DELIVERED, 100, RECV, RECV);

		(void)state;
		say_token(t, DP_REC_TOKEN_REPORTED, 101, RECV);
		r.h.flags = late ? DP_F_LATE : 0;
		r.u.token.token[0] = 1;
		feed(t, &r);
		process_exit(t, 500, RECV);
		ticks_until(t, 700);
		assert_int_equal(only_token(t)->state, late ? DP_TOKEN_LOST : DP_TOKEN_ABANDONED);
		table_free(t);
	}
}

/*
 * The release and the owner's request fall into a loss: neither did the node object go first, nor is
 * the array kept, nor does the owner not collect.
 */
static int8_t cause_with_loss(int lost, const char *dora)
{
	struct table *t = two_nodes(dora);
	int8_t cause;

	wire(t, DP_WIRE_NEXT_DROP, 50, SEND);
	say_token(t, DP_REC_TOKEN_SENT, 99, SEND);
	say_token(t, DP_REC_TOKEN_DELIVERED, 100, RECV);
	region(t, DP_REGION_MAPPED, 101, RECV);
	if (lost)
		loss(t, 150, 0, DP_LOSS_RING_FULL, 9);
	wire(t, DP_WIRE_EVENT_STREAM_DROPPED, 300, RECV);
	say_token(t, DP_REC_TOKEN_REPORTED, 1400, RECV);
	say_token(t, DP_REC_TOKEN_RETURNED, 1401, SEND);
	ticks_until(t, 1600);
	cause = only_token(t)->cause;
	table_free(t);
	return cause;
}

static void test_no_cause_from_what_was_not_seen(void **state)
{
	(void)state;
	assert_int_equal(cause_with_loss(0, "0.5.0"), DP_CAUSE_NODE_DROPPED_FIRST);
	assert_int_equal(cause_with_loss(1, "0.5.0"), DP_CAUSE_UNKNOWN);
	assert_int_equal(cause_with_loss(1, "0.4.1"), DP_CAUSE_UNKNOWN);
}

static const struct dp_loss_finding *told(const struct table *t, unsigned int i)
{
	const struct said *s = said(t, DP_FIND_LOSS, i);

	assert_non_null(s);
	return &s->f.u.loss;
}

/* A flood of two kinds: the first at once, then a line a second, one kind after the other. */
static void test_told_once_a_second(void **state)
{
	struct table *t = two_nodes("0.5.0");
	uint64_t sum[DP_LOSS_COUNT] = {0}, lost = 0;
	unsigned int n;

	(void)state;
	loss(t, 100, 0, DP_LOSS_RING_FULL, 5);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 1);
	for (int ms = 110; ms < 5100; ms += 10) {
		loss(t, ms, 0, DP_LOSS_RING_FULL, 3);
		loss(t, ms, RECV, DP_LOSS_FRAME_INVALID, 1);
	}
	assert_in_range(count_said(t, DP_FIND_LOSS), 5, 6);
	assert_int_equal(told(t, 1)->reason, DP_LOSS_RING_FULL);
	assert_int_equal(told(t, 2)->reason, DP_LOSS_FRAME_INVALID);
	assert_int_equal(said(t, DP_FIND_LOSS, 2)->f.pid, RECV);
	/* What is left when the probe ends is told then, before the summary; nothing twice. */
	loss(t, 5101, 0, DP_LOSS_STREAM_LIMIT, 7);
	feed(t, &(struct dp_record){.h = record(DP_REC_END, 5110, 0, 0).h});
	n = count_said(t, DP_FIND_LOSS);
	for (unsigned int i = 0; i < n; i++) {
		sum[told(t, i)->reason] += told(t, i)->count;
		assert_int_equal(told(t, i)->total, sum[told(t, i)->reason]);
		lost += told(t, i)->count;
	}
	assert_int_equal(sum[DP_LOSS_RING_FULL], 5 + 499 * 3);
	assert_int_equal(sum[DP_LOSS_FRAME_INVALID], 499);
	assert_int_equal(sum[DP_LOSS_STREAM_LIMIT], 7);
	assert_int_equal(said(t, DP_FIND_SUMMARY, 0)->f.u.summary.records_lost, lost);
	assert_true(said(t, DP_FIND_SUMMARY, 0) > said(t, DP_FIND_LOSS, n - 1));
	table_free(t);
}

/* Of several processes it is nobody's; after a quiet second nothing is held back. */
static void test_of_whom_and_when(void **state)
{
	struct table *t = two_nodes("0.5.0");

	(void)state;
	loss(t, 100, SEND, DP_LOSS_FRAME_INVALID, 1);
	assert_int_equal(said(t, DP_FIND_LOSS, 0)->f.pid, SEND);
	loss(t, 200, SEND, DP_LOSS_FRAME_INVALID, 1);
	loss(t, 300, RECV, DP_LOSS_FRAME_INVALID, 1);
	ticks_until(t, 1200);
	assert_int_equal(said(t, DP_FIND_LOSS, 1)->f.pid, 0);
	assert_int_equal(told(t, 1)->count, 2);
	loss(t, 9000, RECV, DP_LOSS_STREAM_RESYNC, 1);
	assert_int_equal(said(t, DP_FIND_LOSS, 2)->f.t_ns, AT(9000));
	table_free(t);
}

/*
 * The agent looks at a process that has ended before its exit is drained: its facts come later than its
 * exit, and are no second process of that pid. After an exec they are the other program's.
 */
static void test_facts_after_the_exit(void **state)
{
	for (int exec = 0; exec < 2; exec++) {
		struct table *t = two_nodes("0.5.0");
		struct dp_record r;

		(void)state;
		ticks_until(t, 500);
		if (exec) {
			r = record(DP_REC_PROC_EXEC, 500, RECV, RECV);
			feed(t, &r);
		} else {
			process_exit(t, 500, RECV);
		}
		node_of(t, 505, RECV, "recv", "0.4.1");
		assert_int_equal(dp_model_node_count(t->m), exec ? 3 : 2);
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lost_when_the_owner_is_done),
		cmocka_unit_test(test_late_delivery_is_in_doubt),
		cmocka_unit_test(test_no_cause_from_what_was_not_seen),
		cmocka_unit_test(test_told_once_a_second),
		cmocka_unit_test(test_of_whom_and_when),
		cmocka_unit_test(test_facts_after_the_exit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
