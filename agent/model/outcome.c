// SPDX-License-Identifier: MIT
/* How a token ended; see outcome.h. */
#include "model/outcome.h"

#include "model/blame.h"
#include "model/cause.h"

#include <string.h>

/* What was pending shorter, and left uncollected shorter, has no cause: it was not slow. */
#define SLOW_NS             (100 * MS)
#define UNCOLLECTED_SLOW_NS (500 * MS)
/* With a token threshold above this, abandoned tokens get no line of their own either. */
#define ALWAYS_PRINT_NS (10 * SEC)

static uint64_t or_null(uint64_t t)
{
	return t ? t : DP_NULL;
}

static void fill_owner(struct dp_token_finding *f, const struct token *t)
{
	memcpy(f->token, t->id, DP_TOKEN_LEN);
	f->dataflow = t->dataflow[0] ? t->dataflow : NULL;
	f->owner = t->owner_name[0] ? t->owner_name : NULL;
	f->owner_pid = t->owner ? t->owner->id.pid : 0;
	f->output = t->output[0] ? t->output : NULL;
	f->region = t->region[0] ? t->region : NULL;
	f->bytes = t->bytes;
	f->sent_ns = or_null(t->sent_ns);
	f->returned_ns = or_null(t->returned_ns);
}

static void count_owner_only(struct account *a, enum dp_token_state state, uint64_t pending_ns)
{
	a->tokens++;
	if (state == DP_TOKEN_RETURNED)
		a->returned++;
	else if (state == DP_TOKEN_ABANDONED)
		a->abandoned++;
	else if (state == DP_TOKEN_LOST)
		a->lost++;
	if (pending_ns > a->max_pending_ns)
		a->max_pending_ns = pending_ns;
}

void outcome_owner_only(const struct env *e, struct token *t, enum dp_token_state state,
			uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_TOKEN};
	struct dp_token_finding *k = &f.u.token;

	if (t->delivered)
		return;
	fill_owner(k, t);
	k->delivered_ns = k->mapped_ns = DP_NULL;
	k->released_ns = k->reported_ns = k->given_up_ns = DP_NULL;
	k->state = (uint8_t)state;
	k->pending_ns = t_ns > t->sent_ns ? t_ns - t->sent_ns : 0;
	k->gil_held_ns = DP_NULL;
	k->cause = -1;
	if (k->pending_ns >= e->options.pending_threshold_ns || state == DP_TOKEN_ABANDONED ||
	    state == DP_TOKEN_LOST)
		k->cause = DP_CAUSE_UNKNOWN;
	k->print = k->pending_ns >= e->options.token_threshold_ns;
	if (t->owner)
		count_owner_only(&t->owner->account, state, k->pending_ns);
	say_finding(e, t->owner ? &t->owner->id : NULL, t_ns, &f);
}

/* When the array was free, or the delivery over: the end of the stretch in which it was held. */
static uint64_t held_until(const struct delivery *d)
{
	if (d->released_ns)
		return d->released_ns;
	return d->reported_ns ? d->reported_ns : d->end_ns;
}

static void fill_delivery(struct dp_token_finding *k, const struct delivery *d)
{
	const struct identity *id = &d->receiver->id;
	uint64_t over = d->reported_ns ? d->reported_ns : d->end_ns;

	fill_owner(k, d->token);
	k->receiver = id->facts.node[0] ? id->facts.node : NULL;
	k->receiver_pid = id->pid;
	k->delivered_ns = d->stock ? DP_NULL : d->delivered_ns;
	k->mapped_ns = d->stock ? DP_NULL : or_null(d->mapped_ns);
	k->released_ns = or_null(d->released_ns);
	k->reported_ns = or_null(d->reported_ns);
	k->given_up_ns = or_null(d->given_up_ns);
	k->state = d->state;
	k->pending_ns = over > d->delivered_ns ? over - d->delivered_ns : 0;
}

static int8_t cause_of(const struct delivery *d, const struct env *e, uint64_t pending_ns)
{
	if (d->state == DP_TOKEN_LOST)
		return DP_CAUSE_UNKNOWN;
	if (pending_ns >= SLOW_NS || d->state == DP_TOKEN_ABANDONED ||
	    cause_uncollected_ns(d, d->end_ns) >= UNCOLLECTED_SLOW_NS)
		return cause_of_delivery(d, e->options.pending_threshold_ns, d->end_ns);
	return -1;
}

static void count_delivery(struct account *a, enum dp_token_state state, uint64_t pending_ns)
{
	if (pending_ns > a->max_pending_ns)
		a->max_pending_ns = pending_ns;
	switch (state) {
	case DP_TOKEN_RETURNED:
		a->returned++;
		break;
	case DP_TOKEN_ABANDONED:
		a->abandoned++;
		break;
	case DP_TOKEN_LOST:
		a->lost++;
		break;
	default:
		a->open++;
		break;
	}
}

void outcome_delivery(const struct env *e, struct delivery *d)
{
	struct node *n = d->receiver;
	struct dp_finding f = {.type = DP_FIND_TOKEN};
	struct dp_token_finding *k = &f.u.token;
	struct blame_share share;
	uint64_t threshold = e->options.token_threshold_ns;

	fill_delivery(k, d);
	blame_window(&n->timeline, node_consumer(n), d->delivered_ns, held_until(d), &share);
	k->gil_held_ns = n->id.facts.gil_observable ? share.gil_ns : DP_NULL;
	k->cause = cause_of(d, e, k->pending_ns);
	k->print = k->pending_ns >= threshold ||
		   (d->state == DP_TOKEN_ABANDONED && threshold <= ALWAYS_PRINT_NS);
	n->account.gil_ns += share.gil_ns;
	blame_charge(&n->timeline, node_consumer(n), d->delivered_ns, held_until(d));
	count_delivery(&n->account, (enum dp_token_state)d->state, k->pending_ns);
	say_finding(e, &n->id, d->end_ns, &f);
}
