// SPDX-License-Identifier: MIT
/* The table of watched processes; see table.h. */
#include "model/table.h"

#include <string.h>

/* A process that has left keeps its slot for this long: answers about it may be on their way. */
#define KEEP_GONE_NS (1 * SEC)

static bool is_there(const struct node *n, uint32_t pid)
{
	return n->id.pid == pid && !n->id.gone;
}

/* Of those that are there each has a pid of its own, so the one that was found last is the one if it still fits. */
struct node *table_find(struct table *t, uint32_t pid)
{
	uint16_t *hint = &t->hints[pid % TABLE_HINTS];

	if (pid == 0)
		return NULL;
	if (*hint < t->count && is_there(&t->nodes[*hint], pid))
		return &t->nodes[*hint];
	for (uint32_t i = 0; i < t->count; i++)
		if (is_there(&t->nodes[i], pid)) {
			*hint = (uint16_t)i;
			return &t->nodes[i];
		}
	return NULL;
}

struct node *table_find_gone(struct table *t, uint32_t pid)
{
	struct node *n = NULL;

	for (uint32_t i = 0; pid && i < t->count; i++) {
		struct node *o = &t->nodes[i];

		if (o->id.pid == pid && o->id.gone && (!n || o->id.gone_ns > n->id.gone_ns))
			n = o;
	}
	return n;
}

bool table_is_of_the_dead(struct table *t, const struct dp_record *r)
{
	const struct node *n = table_find_gone(t, r->h.pid);

	if (!n || !n->id.exited)
		return false;
	if (r->h.type == DP_REC_NODE_FACTS)
		return n->id.facts.start_time == r->u.node.start_time;
	return n->id.limits_known && n->id.limits.started_ns == r->u.limits.started_ns;
}

/* The longest gone of those that may give up their slot, of one entry or (NULL) of all. */
static struct node *longest_gone(struct table *t, const struct entry *of, uint64_t now,
				 uint32_t *ret_count)
{
	struct node *n = NULL;

	*ret_count = 0;
	for (uint32_t i = 0; i < t->count; i++) {
		struct node *o = &t->nodes[i];

		if (!o->id.gone || o->id.exit_held || now - o->id.gone_ns <= KEEP_GONE_NS ||
		    (of && o->id.entry != of))
			continue;
		++*ret_count;
		if (!n || o->id.gone_ns < n->id.gone_ns)
			n = o;
	}
	return n;
}

struct node *table_slot(struct table *t, const struct entry *of, uint64_t now, bool *ret_reused)
{
	struct node *n = NULL;
	uint32_t count = 0;

	if (of)
		n = longest_gone(t, of, now, &count);
	*ret_reused = true;
	if (count > LIVES_KEPT)
		return n;
	*ret_reused = t->count == NODES_MAX;
	if (t->count < NODES_MAX)
		return &t->nodes[t->count++];
	return longest_gone(t, NULL, now, &count);
}

bool table_is_superseded(const struct table *t, const struct node *n)
{
	for (uint32_t i = 0; n->id.gone && n->id.entry && i < t->count; i++) {
		const struct identity *o = &t->nodes[i].id;

		if (o->entry == n->id.entry && o != &n->id &&
		    (!o->gone || o->gone_ns > n->id.gone_ns))
			return true;
	}
	return false;
}

void node_clear(struct node *n, uint32_t pid, uint64_t t_ns)
{
	memset(n, 0, offsetof(struct node, timeline));
	timeline_clear(&n->timeline, t_ns);
	n->id.pid = pid;
	n->id.first_ns = t_ns;
	n->id.role = -1;
	n->outlook.slack_ns = DP_SNULL;
	n->outlook.need_ns = DP_NULL;
	n->outlook.forecast_ns = DP_NULL;
	n->outlook.recommended_ns = DP_NULL;
	n->ending.margin_ns = DP_SNULL;
	for (int i = 0; i < DP_WARN_COUNT; i++)
		n->warn[i].cause = -1;
}
