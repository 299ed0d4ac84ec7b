// SPDX-License-Identifier: MIT
/* The token ledger from tables of records: the life of a token, and what the GIL cost it. */
#include "token_records.h"

#include <time.h>

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
	for (uint32_t i = 0; i < 132000; i++) {
		struct dp_record r = token(DP_REC_TOKEN_DELIVERED, 100, RECV, 0);

		memcpy(r.u.token.token, &i, sizeof(i));
		dp_model_feed(t->m, &r);
	}
	ticks_until(t, 1500);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 2);
	lost = &said(t, DP_FIND_LOSS, 1)->f.u.loss;
	assert_int_equal(lost->reason, DP_LOSS_TOKEN_LIMIT);
	assert_int_equal(lost->total, 132000 - 131072);
	table_free(t);
}

static void feed_numbered(struct table *t, enum dp_record_type type, double ms, uint32_t pid,
			  uint32_t number)
{
	struct dp_record r = token(type, ms, pid, 0);

	memcpy(r.u.token.token, &number, sizeof(number));
	snprintf(r.u.token.region, sizeof(r.u.token.region), "shmem_%X", number);
	dp_model_feed(t->m, &r);
}

static void map_numbered(struct table *t, enum dp_region_kind kind, double ms, uint32_t number)
{
	struct dp_record r = record(DP_REC_REGION, ms, RECV, RECV);

	r.u.region.kind = (uint8_t)kind;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_%X", number);
	dp_model_feed(t->m, &r);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * 100,000 tokens alive, each mapped and kept: none is lost, and one more costs what it costs among a few. A list
 * that is gone through for each (100,000 steps of memory that no cache has) would take minutes.
 */
static void test_hundred_thousand_alive(void **state)
{
	enum { ALIVE = 100000 };
	struct table *t = two_nodes();
	double begin = seconds();
	struct dp_node_view v;

	(void)state;
	for (uint32_t i = 0; i < ALIVE; i++) {
		feed_numbered(t, DP_REC_TOKEN_SENT, 100, SEND, i);
		feed_numbered(t, DP_REC_TOKEN_DELIVERED, 101, RECV, i);
		map_numbered(t, DP_REGION_MAPPED, 102, i);
	}
	assert_int_equal(dp_model_node_view(t->m, 1, &v), 0);
	assert_int_equal(v.pending_tokens, ALIVE);
	/* The newest first: at the far end of the list of what is pending. */
	for (uint32_t i = ALIVE; i-- > ALIVE - 2000;) {
		map_numbered(t, DP_REGION_UNMAPPED, 200, i);
		feed_numbered(t, DP_REC_TOKEN_REPORTED, 201, RECV, i);
		feed_numbered(t, DP_REC_TOKEN_RETURNED, 202, SEND, i);
	}
	ticks_until(t, 300);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 0);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 2000);
	for (unsigned int i = 0; i < 2000; i++) {
		const struct dp_token_finding *k = &said(t, DP_FIND_TOKEN, i)->f.u.token;

		assert_int_equal(k->state, DP_TOKEN_RETURNED);
		assert_int_equal(k->mapped_ns, AT(102));
		assert_int_equal(k->released_ns, AT(200));
		assert_int_equal(k->reported_ns, AT(201));
	}
	assert_int_equal(dp_model_node_view(t->m, 1, &v), 0);
	assert_int_equal(v.pending_tokens, ALIVE - 2000);
	assert_true(seconds() - begin < 20);
	table_free(t);
}

/* Two receivers of the same messages in the same regions: each has its own. */
static void test_region_of_two_receivers(void **state)
{
	struct table *t = two_nodes();
	struct dp_record r;

	(void)state;
	node(t, 0, 300, "other");
	say(t, DP_REC_TOKEN_DELIVERED, 10, RECV, 1);
	say(t, DP_REC_TOKEN_DELIVERED, 11, 300, 1);
	region(t, DP_REGION_MAPPED, 12, 300, 1);
	region(t, DP_REGION_UNMAPPED, 20, 300, 1);
	say(t, DP_REC_TOKEN_REPORTED, 25, 300, 1);
	say(t, DP_REC_TOKEN_REPORTED, 26, RECV, 1);
	r = record(DP_REC_END, 300, 0, 0);
	ticks_until(t, 300);
	feed(t, &r);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 2);
	assert_int_equal(said(t, DP_FIND_TOKEN, 0)->f.u.token.mapped_ns, AT(12));
	assert_int_equal(said(t, DP_FIND_TOKEN, 0)->f.u.token.released_ns, AT(20));
	assert_true(said(t, DP_FIND_TOKEN, 1)->f.u.token.mapped_ns == DP_NULL);
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
		cmocka_unit_test(test_lost_is_not_abandoned),
		cmocka_unit_test(test_open_at_the_end),
		cmocka_unit_test(test_ledger_is_bounded),
		cmocka_unit_test(test_hundred_thousand_alive),
		cmocka_unit_test(test_region_of_two_receivers),
		cmocka_unit_test(test_unobservable_tokens_are_unknown),
		cmocka_unit_test(test_findings_follow_the_records),
	};

	return cmocka_run_group_tests_name("model: tokens", tests, NULL, NULL);
}
