// SPDX-License-Identifier: MIT
/* Why a token is pending, from tables of records: a test for each cause. */
#include "token_records.h"

#include "model/advice.h"
#include "model/node.h"

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

/* One hold of another thread, of which nobody has seen whether it is one call: that it is contention is not known. */
static void test_one_hold_that_was_not_seen_into(void **state)
{
	(void)state;
	for (int many = 0; many < 2; many++) {
		struct table *t = two_nodes();

		region(t, DP_REGION_MAPPED, 50, RECV, 9);
		say(t, DP_REC_TOKEN_DELIVERED, 100, RECV, 1);
		for (double ms = 110; ms < 1900; ms += many ? 100 : 1790)
			held(t, ms, ms + (many ? 90 : 1780), 101, 0);
		say(t, DP_REC_TOKEN_REPORTED, 1925, RECV, 1);
		ticks_until(t, 2000);
		assert_int_equal(only_token(t)->cause,
				 many ? DP_CAUSE_GIL_CONTENTION : DP_CAUSE_UNKNOWN);
		table_free(t);
	}
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

/* A new cause has no advice until somebody writes one. */
static void test_each_cause_has_its_advice(void **state)
{
	static struct node n;
	const struct place place = {.known = true, .function = "handler", .file = "/node.py"};

	(void)state;
	for (int c = DP_CAUSE_UNKNOWN + 1; c < DP_CAUSE_COUNT; c++) {
		char text[ADVICE_MAX];

		advice_for((int8_t)c, &n, &place, text);
		if (strncmp(text, "not enough evidence", 19) == 0)
			fail_msg("no advice for %s", dp_cause_name((unsigned int)c));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_contention),
		cmocka_unit_test(test_one_hold_that_was_not_seen_into),
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
		cmocka_unit_test(test_each_cause_has_its_advice),
	};

	return cmocka_run_group_tests_name("model: causes", tests, NULL, NULL);
}
