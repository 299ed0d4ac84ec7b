// SPDX-License-Identifier: MIT
/* The summary at the end; see summary.h. */
#include "model/summary.h"

#include "decide/recommend.h"
#include "model/outlook.h"

static void say_totals(const struct env *e, const struct table *t, uint64_t records, uint64_t lost)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY};
	char why[DP_RECOMMENDATION_MAX];

	f.u.summary = (struct dp_summary_finding){
		.records = records,
		.records_lost = lost,
		.nodes = t->count,
		.recommended_grace_ns = outlook_recommend_all(t, why, sizeof(why)),
	};
	f.u.summary.recommendation = why[0] ? why : NULL;
	say_finding(e, NULL, e->now, &f);
}

static void say_node_totals(const struct env *e, struct node *n)
{
	struct dp_finding f = {.type = DP_FIND_SUMMARY_NODE};
	struct dp_summary_node_finding *s = &f.u.summary_node;
	const struct timeline *t = &n->timeline;
	const struct account *a = &n->account;
	bool known = node_tokens_known(n);

	*s = (struct dp_summary_node_finding){
		.dataflow = n->id.facts.dataflow[0] ? n->id.facts.dataflow : NULL,
		.node = n->id.facts.node[0] ? n->id.facts.node : NULL,
		.holds = t->holds,
		.max_hold_ns = t->max_hold_ns,
		.max_hold_function = t->max_hold_function[0] ? t->max_hold_function : NULL,
		.gil_held_ns = t->held_ns,
		.tokens = known ? a->tokens : DP_NULL,
		.tokens_abandoned = known ? a->abandoned : DP_NULL,
		.tokens_open = known ? a->open : DP_NULL,
		.tokens_lost = known ? a->lost : DP_NULL,
		.max_pending_ns = known ? a->max_pending_ns : DP_NULL,
		.recommended_grace_ns = n->outlook.recommended_ns,
		.gil_held = share_estimate(&n->shares.total, SHARE_HELD),
		.gil_wait = share_estimate(&n->shares.total, SHARE_WAIT),
		.running_without_gil = share_estimate(&n->shares.total, SHARE_WITHOUT),
		.blocked = share_estimate(&n->shares.total, SHARE_BLOCKED),
		.since_ns = n->id.first_ns,
		.since_attach = n->id.late,
	};
	s->blame_count = functions_dearest(&t->functions, s->blame);
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
		say_node_totals(e, &t->nodes[i]);
	say_end(e);
}
