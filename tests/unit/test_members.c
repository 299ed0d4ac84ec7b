// SPDX-License-Identifier: MIT
/* Who of a node's processes is told of as the node: the last word counts, in the order of the records' times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sense/watched.h"

#define KEPT 16

struct told {
	struct dp_record at[KEPT];
	unsigned int count;
};

static void keep(void *ctx, const struct dp_record *r)
{
	struct told *told = ctx;

	assert_true(told->count < KEPT);
	told->at[told->count++] = *r;
}

/* The last record of one of two types, by its time, as the model gets them; NULL none. */
static const struct dp_record *last_word(const struct told *told, uint32_t pid)
{
	const struct dp_record *ret = NULL;

	for (unsigned int i = 0; i < told->count; i++) {
		const struct dp_record *r = &told->at[i];

		if (r->h.pid == pid &&
		    (r->h.type == DP_REC_NODE_FACTS || r->h.type == DP_REC_NODE_GONE) &&
		    (!ret || r->h.t_ns >= ret->h.t_ns))
			ret = r;
	}
	return ret;
}

static void add(struct dp_targets *t, int i, pid_t pid, pid_t above)
{
	struct target *x = &t->at[i];

	x->pid = pid;
	x->above = above;
	x->reader = dp_reader_new(pid, &t->patience);
	assert_non_null(x->reader);
	x->is_dora = 1;
	snprintf(x->config.node, sizeof(x->config.node), "recv");
	snprintf(x->config.dataflow, sizeof(x->config.dataflow), "flow");
}

/* Pids that no process can have: what is read of them in /proc is not there. */
enum { OUTER = 0x7ffffff0, INNER };

/* The connection that shows the other one to be the node was made before the facts were told, and is heard of later. */
static void test_let_go_after_its_facts(void **state)
{
	static const struct dp_wanted nobody;
	struct told told = {.count = 0};
	const struct dp_targets_sink sink = {.record = keep, .ctx = &told};
	struct dp_targets *t = dp_targets_new(&nobody, NULL, NULL, &sink);
	const struct dp_record *r;

	(void)state;
	assert_non_null(t);
	add(t, 0, OUTER, 0);
	members_decide(t, &t->at[0].config, 100);
	assert_int_equal(last_word(&told, OUTER)->h.type, DP_REC_NODE_FACTS);
	target_emit_facts_at(t, &t->at[0], 300);
	add(t, 1, INNER, OUTER);
	t->at[1].connected = 1;
	members_decide(t, &t->at[0].config, 200);
	assert_int_equal(t->at[0].role, DP_MEMBER_WRAPPER);
	r = last_word(&told, OUTER);
	assert_int_equal(r->h.type, DP_REC_NODE_GONE);
	assert_true(r->h.t_ns > 300);
	assert_int_equal(last_word(&told, INNER)->h.type, DP_REC_NODE_FACTS);
	/* And the other way round: the inner one was somebody else's, by what happened before that. */
	dp_reader_free(t->at[1].reader);
	memset(&t->at[1], 0, sizeof(t->at[1]));
	t->at[0].connected = 1;
	members_decide(t, &t->at[0].config, 250);
	assert_int_equal(last_word(&told, OUTER)->h.type, DP_REC_NODE_FACTS);
	dp_targets_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_let_go_after_its_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
