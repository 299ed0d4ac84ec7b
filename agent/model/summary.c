// SPDX-License-Identifier: MIT
/* The summary at the end; see summary.h. */
#include "model/summary.h"

#include "decide/recommend.h"
#include "model/outlook.h"
#include "model/parting.h"

#include <string.h>

/* Of two processes of an entry, which is rather the node? */
static uint64_t rank(const struct node *n)
{
	return (uint64_t)(n->id.announced && !n->id.life_void) << 32 | n->id.life;
}

/* Is this process the one that stands for its entry: the newest life, or the only one? */
static bool stands_for(const struct table *t, const struct node *n)
{
	for (uint32_t i = 0; n->id.entry && i < t->count; i++) {
		const struct node *o = &t->nodes[i];

		if (o->id.entry != n->id.entry || o == n)
			continue;
		if (rank(o) > rank(n) || (rank(o) == rank(n) && o > n))
			return false;
	}
	/* What started a node that never came, and was no Python, is no node. */
	return !n->id.entry || n->id.announced || !n->id.unproven || n->id.facts.is_python;
}

static uint32_t count_rows(const struct table *t)
{
	uint32_t rows = 0;

	for (uint32_t i = 0; i < t->count; i++)
		rows += stands_for(t, &t->nodes[i]);
	return rows;
}

static void say_totals(const struct env *e, const struct table *t, uint64_t records, uint64_t lost)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY};
	char why[DP_RECOMMENDATION_MAX];

	f.u.summary = (struct dp_summary_finding){
		.records = records,
		.records_lost = lost,
		.nodes = count_rows(t),
		.recommended_grace_ns = outlook_recommend_all(t, why, sizeof(why)),
	};
	f.u.summary.recommendation = why[0] ? why : NULL;
	say_finding(e, NULL, e->now, &f);
}

/* All lives of the node's entry together. */
static void add_up(const struct table *t, const struct node *n, struct life_totals *ret)
{
	struct life_totals one;

	if (!n->id.entry) {
		parting_totals(n, ret);
		return;
	}
	*ret = n->id.entry->past;
	for (uint32_t i = 0; i < t->count; i++) {
		if (t->nodes[i].id.entry != n->id.entry)
			continue;
		parting_totals(&t->nodes[i], &one);
		lives_add(ret, &one);
	}
}

static void say_node_totals(const struct env *e, const struct table *t, struct node *n)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY_NODE};
	struct dp_summary_node_finding *s = &f.u.summary_node;
	struct life_totals a;

	add_up(t, n, &a);
	/* What is not known of the last life is not known because of an earlier one. */
	if (n->timeline.hold_unfinished || n->ending.killed_after_ns)
		a.recommended_ns = n->outlook.recommended_ns;
	*s = (struct dp_summary_node_finding){
		.dataflow = n->id.facts.dataflow[0] ? n->id.facts.dataflow : NULL,
		.node = n->id.facts.node[0] ? n->id.facts.node : NULL,
		.holds = a.holds,
		.max_hold_ns = a.max_hold_ns,
		.max_hold_function = a.max_hold_function[0] ? a.max_hold_function : NULL,
		.gil_held_ns = a.held_ns,
		.tokens = a.tokens_known ? a.tokens : DP_NULL,
		.tokens_abandoned = a.tokens_known ? a.abandoned : DP_NULL,
		.tokens_open = a.tokens_known ? a.open : DP_NULL,
		.tokens_lost = a.tokens_known ? a.lost : DP_NULL,
		.max_pending_ns = a.tokens_known ? a.max_pending_ns : DP_NULL,
		.recommended_grace_ns = a.recommended_ns,
		.lives = n->id.life,
		.blame_count = a.blame_count,
		.gil_held = share_estimate(&n->shares.total, SHARE_HELD),
		.gil_wait = share_estimate(&n->shares.total, SHARE_WAIT),
		.running_without_gil = share_estimate(&n->shares.total, SHARE_WITHOUT),
		.blocked = share_estimate(&n->shares.total, SHARE_BLOCKED),
		.since_ns = n->id.first_ns,
		.since_attach = n->id.late,
	};
	memcpy(s->blame, a.blame, sizeof(s->blame));
	say_finding(e, &n->id, e->now, &f);
}

static void say_end(const struct env *e)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY_END};

	say_finding(e, NULL, e->now, &f);
}

void summary_say(const struct env *e, struct table *t, uint64_t records, uint64_t lost)
{
	for (uint32_t i = 0; i < t->count; i++)
		outlook_recommend(&t->nodes[i]);
	say_totals(e, t, records, lost);
	for (uint32_t i = 0; i < t->count; i++)
		if (stands_for(t, &t->nodes[i]))
			say_node_totals(e, t, &t->nodes[i]);
	say_end(e);
}
