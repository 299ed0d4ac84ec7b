// SPDX-License-Identifier: MIT
/* Arriving late: what the model makes of the stock that is taken when the probe comes. */
#include "model_table.h"

#define RECV 100
/* A moment before the probe came. */
#define BEFORE(ms) (T0 - (uint64_t)((ms)*1e6))

static void stock(struct table *t, double ms, uint32_t regions)
{
	struct dp_record r = record(DP_REC_STOCK, ms, RECV, 0);

	ticks_until(t, ms);
	r.u.stock.started_ns = BEFORE(25000);
	r.u.stock.sockets = 4;
	r.u.stock.regions = regions;
	snprintf(r.u.stock.daemon_version, sizeof(r.u.stock.daemon_version), "0.5.0");
	feed(t, &r);
}

static void mapped_already(struct table *t, double ms, uint8_t id, double before_ms)
{
	struct dp_record r = record(DP_REC_STOCK_REGION, ms, RECV, 0);

	ticks_until(t, ms);
	r.u.stock_region.since_lo_ns = BEFORE(before_ms);
	r.u.stock_region.bytes = 65536;
	snprintf(r.u.stock_region.name, sizeof(r.u.stock_region.name), "shmem_%X", id);
	feed(t, &r);
}

static void region(struct table *t, enum dp_region_kind kind, double ms, uint8_t id)
{
	struct dp_record r = record(DP_REC_REGION, ms, RECV, RECV);

	ticks_until(t, ms);
	r.u.region.kind = (uint8_t)kind;
	snprintf(r.u.region.name, sizeof(r.u.region.name), "shmem_%X", id);
	feed(t, &r);
}

static void wire_token(struct table *t, enum dp_record_type type, double ms, uint8_t id)
{
	struct dp_record r = token(type, ms, RECV, id);

	ticks_until(t, ms);
	feed(t, &r);
}

static void end(struct table *t, double ms)
{
	struct dp_record r = record(DP_REC_END, ms, 0, 0);

	ticks_until(t, ms);
	feed(t, &r);
}

static struct table *late_node(uint32_t regions)
{
	struct table *t = table_new();

	node(t, 0, RECV, "recv");
	for (uint32_t i = 0; i < regions; i++)
		mapped_already(t, 0, (uint8_t)(i + 1), 20000 - 10 * (double)i);
	stock(t, 0, regions);
	return t;
}

static const struct dp_warning_finding *warned(const struct table *t, enum dp_warning_kind kind)
{
	const struct said *s;

	for (unsigned int i = 0; (s = said(t, DP_FIND_WARNING, i)); i++)
		if (s->f.u.warning.kind == kind && !s->f.u.warning.resolved)
			return &s->f.u.warning;
	return NULL;
}

/* One line about each process that was there, and what cannot be known with the first alone. */
static void test_stock_is_told(void **state)
{
	struct table *t = late_node(3);
	const struct dp_stock_finding *k;
	struct dp_record r;

	(void)state;
	node(t, 0, 101, "other");
	r = record(DP_REC_STOCK, 0, 101, 0);
	r.u.stock.sockets_incomplete = 1;
	feed(t, &r);
	ticks_until(t, 50);
	assert_int_equal(count_said(t, DP_FIND_STOCK), 2);
	k = &said(t, DP_FIND_STOCK, 0)->f.u.stock;
	assert_int_equal(k->started_ns, BEFORE(25000));
	assert_int_equal(k->messages, 3);
	assert_int_equal(k->oldest_lo_ns, BEFORE(20000));
	assert_string_equal(k->daemon, "0.5.0");
	assert_true(k->complete);
	assert_non_null(k->unknown);
	k = &said(t, DP_FIND_STOCK, 1)->f.u.stock;
	assert_false(k->complete);
	assert_null(k->unknown);
	assert_int_equal(k->oldest_lo_ns, 0);
	table_free(t);
}

/* What was mapped when the probe came is pending, at least since then; and it has no name. */
static void test_mapped_is_pending(void **state)
{
	struct table *t = late_node(3);
	const struct dp_token_finding *k;
	struct dp_node_view v;

	(void)state;
	assert_int_equal(dp_model_node_view(t->m, 0, &v), 0);
	assert_int_equal(v.pending_tokens, 3);
	ticks_until(t, 900);
	assert_null(warned(t, DP_WARN_TOKEN_PENDING));
	ticks_until(t, 1100);
	assert_int_equal(warned(t, DP_WARN_TOKEN_PENDING)->pending_tokens, 3);
	assert_true(warned(t, DP_WARN_TOKEN_PENDING)->oldest_pending_ns <= 1100000000);
	end(t, 1200);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 3);
	k = &said(t, DP_FIND_TOKEN, 0)->f.u.token;
	assert_int_equal(k->state, DP_TOKEN_OPEN);
	assert_int_equal(k->delivered_ns, DP_NULL);
	assert_int_equal(k->mapped_ns, DP_NULL);
	assert_int_equal(k->pending_ns, 1200000000);
	for (int i = 0; i < DP_TOKEN_LEN; i++)
		assert_int_equal(k->token[i], 0);
	table_free(t);
}

/* A message that was sent before our eyes and mapped before we saw it delivered: its report is of that one. */
static void test_report_of_what_was_seen_sent(void **state)
{
	struct table *t = table_new();
	struct dp_record r = token(DP_REC_TOKEN_SENT, 5, 50, 2);

	(void)state;
	node(t, 0, 50, "send");
	node(t, 0, RECV, "recv");
	feed(t, &r);
	mapped_already(t, 6, 1, 20);
	mapped_already(t, 6, 2, 1);
	stock(t, 6, 2);
	region(t, DP_REGION_UNMAPPED, 20, 2);
	wire_token(t, DP_REC_TOKEN_REPORTED, 30, 2);
	/* One that was reported already does not stand for another. */
	wire_token(t, DP_REC_TOKEN_DELIVERED, 40, 3);
	region(t, DP_REGION_UNMAPPED, 45, 1);
	wire_token(t, DP_REC_TOKEN_REPORTED, 50, 3);
	wire_token(t, DP_REC_TOKEN_REPORTED, 51, 3);
	ticks_until(t, 1300);
	assert_int_equal(warned(t, DP_WARN_TOKEN_PENDING)->pending_tokens, 1);
	table_free(t);
}

/* A node that goes on taking messages keeps those that it had: no other cause is possible. */
static void test_kept_since_before(void **state)
{
	struct table *t = late_node(2);

	(void)state;
	for (uint8_t i = 0; i < 30; i++) {
		wire_token(t, DP_REC_TOKEN_DELIVERED, 50 * i + 10, (uint8_t)(100 + i));
		region(t, DP_REGION_MAPPED, 50 * i + 11, (uint8_t)(100 + i));
		region(t, DP_REGION_UNMAPPED, 50 * i + 12, (uint8_t)(100 + i));
		wire_token(t, DP_REC_TOKEN_REPORTED, 50 * i + 13, (uint8_t)(100 + i));
	}
	assert_int_equal(warned(t, DP_WARN_TOKEN_PENDING)->cause, DP_CAUSE_REFERENCE_KEPT);
	assert_int_equal(warned(t, DP_WARN_TOKEN_PENDING)->pending_tokens, 2);
	table_free(t);
}

/* Freed and reported: the report's name is one that nobody saw delivered. */
static void test_given_back(void **state)
{
	struct table *t = late_node(2);
	const struct dp_token_finding *k;
	struct dp_node_view v;

	(void)state;
	/* One of before: nothing that was mapped is free yet. */
	wire_token(t, DP_REC_TOKEN_REPORTED, 10, 0xaa);
	assert_int_equal(dp_model_node_view(t->m, 0, &v), 0);
	assert_int_equal(v.pending_tokens, 2);
	region(t, DP_REGION_UNMAPPED, 100, 2);
	wire_token(t, DP_REC_TOKEN_REPORTED, 110, 0xbb);
	ticks_until(t, 200);
	assert_int_equal(count_said(t, DP_FIND_TOKEN), 1);
	k = &said(t, DP_FIND_TOKEN, 0)->f.u.token;
	assert_int_equal(k->state, DP_TOKEN_RETURNED);
	assert_string_equal(k->region, "shmem_2");
	assert_int_equal(k->released_ns, AT(100));
	assert_int_equal(k->reported_ns, AT(110));
	assert_int_equal(k->pending_ns, 110000000);
	assert_int_equal(dp_model_node_view(t->m, 0, &v), 0);
	assert_int_equal(v.pending_tokens, 1);
	table_free(t);
}

/* A token whose delivery was seen is not counted twice, and dora 1.x has none. */
static void test_not_twice(void **state)
{
	struct table *t = table_new();
	struct dp_node_view v;

	(void)state;
	node(t, 0, RECV, "recv");
	wire_token(t, DP_REC_TOKEN_DELIVERED, 1, 5);
	region(t, DP_REGION_MAPPED, 2, 5);
	mapped_already(t, 3, 5, 100);
	assert_int_equal(dp_model_node_view(t->m, 0, &v), 0);
	assert_int_equal(v.pending_tokens, 1);
	table_free(t);

	t = table_new();
	node_of(t, 0, RECV, "recv", "1.1.0");
	mapped_already(t, 3, 5, 100);
	assert_int_equal(dp_model_node_view(t->m, 0, &v), 0);
	assert_int_equal(v.pending_tokens, 0);
	table_free(t);
}

/* What there is no room for is a loss of its process. */
static void test_too_many(void **state)
{
	struct table *t = table_new();

	(void)state;
	for (uint32_t pid = 1; pid <= 64; pid++) {
		node(t, 0, pid, "recv");
		for (unsigned int i = 0; i < 2048; i++) {
			struct dp_record r = record(DP_REC_STOCK_REGION, 0, pid, 0);

			snprintf(r.u.stock_region.name, sizeof(r.u.stock_region.name), "shmem_%X",
				 i + 1);
			feed(t, &r);
		}
	}
	assert_int_equal(count_said(t, DP_FIND_LOSS), 0);
	node(t, 0, RECV, "recv");
	mapped_already(t, 0, 1, 10);
	assert_int_equal(count_said(t, DP_FIND_LOSS), 1);
	assert_int_equal(said(t, DP_FIND_LOSS, 0)->f.u.loss.reason, DP_LOSS_TOKEN_LIMIT);
	table_free(t);
}

/* The line about a node waits for its first frame, but not for long. */
static void test_waits_for_a_frame(void **state)
{
	struct table *t = table_new();
	struct dp_record r = record(DP_REC_NODE_FACTS, 0, RECV, 0);

	(void)state;
	r.u.node =
		(struct dp_rec_node){.is_dora = 1, .is_python = 1, .transport = DP_TRANSPORT_TCP};
	r.u.node.unheard = 1;
	snprintf(r.u.node.dora, sizeof(r.u.node.dora), "0.5.0");
	snprintf(r.u.node.implementation, sizeof(r.u.node.implementation), "cpython");
	feed(t, &r);
	stock(t, 0, 0);
	ticks_until(t, 200);
	assert_int_equal(count_said(t, DP_FIND_NODE), 0);
	assert_int_equal(count_said(t, DP_FIND_STOCK), 0);
	r.h.t_ns = AT(210);
	r.u.node.unheard = 0;
	r.u.node.tokens_observable = 1;
	feed(t, &r);
	assert_int_equal(count_said(t, DP_FIND_NODE), 1);
	ticks_until(t, 300);
	assert_int_equal(count_said(t, DP_FIND_STOCK), 1);
	table_free(t);

	t = table_new();
	r.h.t_ns = AT(0);
	r.u.node.unheard = 1;
	r.u.node.tokens_observable = 0;
	feed(t, &r);
	ticks_until(t, 490);
	assert_int_equal(count_said(t, DP_FIND_NODE), 0);
	ticks_until(t, 520);
	assert_int_equal(count_said(t, DP_FIND_NODE), 1);
	assert_false(said(t, DP_FIND_NODE, 0)->f.u.node.facts->tokens_observable);
	table_free(t);
}

static void asleep(struct table *t, double ms, double before_ms)
{
	struct dp_record r = record(DP_REC_STACK, ms, RECV, RECV);

	ticks_until(t, ms);
	r.u.stack.state = 'S';
	r.u.stack.syscall_nr = 230;
	r.u.stack.asleep_since_ns = BEFORE(before_ms);
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "grab");
	feed(t, &r);
}

/* A holder that sleeps since before anybody looked holds since then: nobody else can let go. */
static void test_holds_in_its_sleep(void **state)
{
	struct table *t = late_node(0);
	const struct dp_hold_finding *h;

	(void)state;
	for (int i = 1; i <= 20; i++) {
		struct dp_record r = look(10 * i, RECV, RECV, 0);

		ticks_until(t, 10 * i);
		r.u.look.notheld_ns = 0;
		feed(t, &r);
	}
	asleep(t, 205, 12000);
	ticks_until(t, 300);
	assert_non_null(warned(t, DP_WARN_GIL_HOLD));
	assert_int_equal(warned(t, DP_WARN_GIL_HOLD)->held_ns, 12200000000 - 2000);
	assert_int_equal(warned(t, DP_WARN_GIL_HOLD)->severity, DP_SEVERITY_CRITICAL);
	end(t, 320);
	h = &said(t, DP_FIND_GIL_HOLD, 0)->f.u.hold;
	assert_int_equal(h->start_ns, BEFORE(12000));
	assert_int_equal(h->precision, DP_PRECISION_AT_LEAST);
	table_free(t);
}

/* One that was seen not to hold meanwhile cannot have slept through. */
static void test_sleep_of_before_the_hold(void **state)
{
	struct table *t = late_node(0);

	(void)state;
	for (int i = 1; i <= 20; i++) {
		struct dp_record r = look(10 * i, RECV, RECV, 5);

		ticks_until(t, 10 * i);
		feed(t, &r);
	}
	asleep(t, 205, 12000);
	ticks_until(t, 300);
	assert_null(warned(t, DP_WARN_GIL_HOLD));
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_of_what_was_seen_sent),
		cmocka_unit_test(test_stock_is_told),
		cmocka_unit_test(test_mapped_is_pending),
		cmocka_unit_test(test_kept_since_before),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_not_twice),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_waits_for_a_frame),
		cmocka_unit_test(test_holds_in_its_sleep),
		cmocka_unit_test(test_sleep_of_before_the_hold),
	};

	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
