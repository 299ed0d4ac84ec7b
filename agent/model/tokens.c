// SPDX-License-Identifier: MIT
/* The rules of the token ledger; see tokens.h. */
#include "model/tokens.h"

#include "model/outcome.h"

#include <errno.h>
#include <string.h>

/* How long a delivery may stay in doubt after a loss before it is called lost. */
#define DOUBT_NS (2 * SEC)
/* dora's event thread looks at a pending token for this long after Stop (0.3.8-0.5.0) … */
#define POLL_NS (100 * MS)
/* … and gives it up if it arrived longer ago than this. */
#define KEEP_NS (1 * SEC)

static int sent(struct ledger *l, struct node *n, const struct dp_record *r)
{
	struct token *t = ledger_token(l, r->u.token.token);

	if (!t)
		return -ENOSPC;
	t->owner = n;
	t->sent_ns = r->h.t_ns;
	t->bytes = r->u.token.bytes;
	ledger_link_region(l, t, r->u.token.region);
	memcpy(t->output, r->u.token.id, sizeof(t->output));
	memcpy(t->owner_name, n->id.facts.node, sizeof(t->owner_name));
	memcpy(t->dataflow, n->id.facts.dataflow, sizeof(t->dataflow));
	return 0;
}

static int delivered(struct ledger *l, struct node *n, const struct dp_record *r)
{
	struct token *t = ledger_token(l, r->u.token.token);
	struct delivery *d = t ? ledger_deliver(l, t, n) : NULL;

	if (!d) {
		if (t && !t->deliveries && !t->owner)
			ledger_release_token(l, t);
		return -ENOSPC;
	}
	if (!t->bytes)
		t->bytes = r->u.token.bytes;
	if (!t->region[0])
		ledger_link_region(l, t, r->u.token.region);
	d->region_hash = t->region_hash;
	if (!t->dataflow[0])
		memcpy(t->dataflow, n->id.facts.dataflow, sizeof(t->dataflow));
	t->delivered = true;
	d->delivered_ns = r->h.t_ns;
	/* Its report may have come before it: then there was nothing yet that it could end. */
	d->doubtful = (r->h.flags & DP_F_LATE) != 0;
	d->doubt_ns = r->h.t_ns;
	d->blind = (n->id.left_alone & 1u << DP_SOURCE_REGION) != 0;
	n->account.tokens++;
	return 0;
}

static bool is_unreleased(const struct delivery *d)
{
	return !d->released_ns;
}

static bool is_unmapped(const struct delivery *d)
{
	return !d->mapped_ns;
}

static bool is_mapped(const struct delivery *d)
{
	return d->mapped_ns && !d->released_ns;
}

static bool is_stock(const struct delivery *d)
{
	return d->stock;
}

/* Has a token of the wire been seen that lies there? */
static bool has_pending_in(const struct ledger *l, const struct node *n, const char *region)
{
	uint32_t hash = ledger_region_hash(region);

	return ledger_pending_in_region(l, n, region, hash, is_unreleased) != NULL;
}

int tokens_stock_region(struct ledger *l, struct node *n, const struct dp_record *r)
{
	struct token *t;
	struct delivery *d;

	/* Without a socket nobody would see it reported; dora 1.x has no tokens. */
	if (!n->id.facts.is_dora || n->id.facts.transport == DP_TRANSPORT_SHMEM ||
	    dp_version_at_least(n->id.facts.dora, 1, 0, 0) ||
	    has_pending_in(l, n, r->u.stock_region.name))
		return 0;
	t = ledger_unnamed(l);
	d = t ? ledger_deliver(l, t, n) : NULL;
	if (!d) {
		if (t)
			ledger_release_token(l, t);
		return -ENOSPC;
	}
	ledger_link_region(l, t, r->u.stock_region.name);
	memcpy(t->dataflow, n->id.facts.dataflow, sizeof(t->dataflow));
	t->delivered = true;
	d->region_hash = t->region_hash;
	d->stock = true;
	d->delivered_ns = d->mapped_ns = r->h.t_ns;
	d->maps_before = (uint32_t)n->account.map_count;
	n->account.tokens++;
	n->account.stock_left++;
	return 0;
}

/*
 * The report of a token that nobody has seen delivered: that of the message in its region that was
 * mapped when the probe came, where the token was seen sent; else of the first of those messages that
 * is free by now, since dora reports them in the order in which they are freed. NULL: it was freed
 * before the probe came.
 */
static struct delivery *unreported_stock(const struct ledger *l, const struct token *t,
					 const struct node *n)
{
	struct delivery *first = NULL, *d;

	if (!n->account.stock_left)
		return NULL;
	if (t)
		return ledger_pending_in_region(l, n, t->region, t->region_hash, is_stock);
	for (d = n->account.pending_first; d; d = d->next_pending)
		if (d->stock && d->released_ns && (!first || d->released_ns < first->released_ns))
			first = d;
	return first;
}

/* The delivery of the token at this node that is not reported yet; NULL none. */
static struct delivery *unreported(struct token *t, const struct node *n)
{
	for (struct delivery *d = t->deliveries; d; d = d->next_of_token)
		if (d->receiver == n && !d->reported_ns && !d->end_ns)
			return d;
	return NULL;
}

static bool was_delivered(const struct token *t, const struct node *n)
{
	for (const struct delivery *d = t->deliveries; d; d = d->next_of_token)
		if (d->receiver == n)
			return true;
	return false;
}

static void reported(struct ledger *l, const struct node *n, const struct dp_record *r)
{
	struct token *t = ledger_find(l, r->u.token.token);
	struct delivery *d =
		t && was_delivered(t, n) ? unreported(t, n) : unreported_stock(l, t, n);

	if (!d)
		return; /* delivered before we watched */
	t = d->token;
	d->reported_ns = r->h.t_ns;
	t->last_report_ns = r->h.t_ns;
	ledger_not_pending(d);
	if (t->returned_ns || !t->owner || t->owner->id.gone || t->owner_closed_ns)
		ledger_end(l, d, t->owner_closed_ns ? DP_TOKEN_ABANDONED : DP_TOKEN_RETURNED,
			   r->h.t_ns);
}

static void returned(struct ledger *l, const struct env *e, struct node *n,
		     const struct dp_record *r)
{
	struct token *t = ledger_find(l, r->u.token.token);

	n->streams.collecting = false;
	if (!t || t->owner != n)
		return;
	t->returned_ns = r->h.t_ns;
	t->asked_ns = n->streams.collect_ns;
	t->owner_done = true;
	if (!t->deliveries) {
		outcome_owner_only(e, t, DP_TOKEN_RETURNED, r->h.t_ns);
		ledger_release_token(l, t);
		return;
	}
	for (struct delivery *d = t->deliveries; d; d = d->next_of_token)
		ledger_end(l, d, DP_TOKEN_RETURNED, r->h.t_ns);
}

int tokens_record(struct ledger *l, const struct env *e, struct node *n, const struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_TOKEN_SENT:
		return sent(l, n, r);
	case DP_REC_TOKEN_DELIVERED:
		return delivered(l, n, r);
	case DP_REC_TOKEN_REPORTED:
		reported(l, n, r);
		return 0;
	case DP_REC_TOKEN_RETURNED:
		returned(l, e, n, r);
		return 0;
	default:
		return 0;
	}
}

/* What became of a delivery whose report will not come: it may be among the lost records. */
static enum dp_token_state unreported_state(const struct delivery *d)
{
	return d->doubtful ? DP_TOKEN_LOST : DP_TOKEN_ABANDONED;
}

/* The owner has let go of the memory: what was not reported by then is abandoned. */
static void close_token(struct ledger *l, const struct env *e, struct token *t, uint64_t t_ns)
{
	t->owner_closed_ns = t_ns;
	t->owner_done = true;
	if (!t->deliveries) {
		outcome_owner_only(e, t, t->doubtful ? DP_TOKEN_LOST : DP_TOKEN_ABANDONED, t_ns);
		ledger_release_token(l, t);
		return;
	}
	/* What was reported in time, only the owner was not there to take it, is returned. */
	for (struct delivery *d = t->deliveries; d; d = d->next_of_token)
		ledger_end(l, d, d->reported_ns ? DP_TOKEN_RETURNED : unreported_state(d), t_ns);
}

static bool is_out(const struct token *t, const struct node *owner)
{
	return t->owner == owner && !t->owner_done && !t->returned_ns;
}

static void owner_closed_region(struct ledger *l, const struct env *e, const struct node *n,
				const char *region, uint64_t t_ns)
{
	uint32_t hash = ledger_region_hash(region);
	struct token *t = ledger_next_in_region(l, hash, NULL), *next;

	for (; t; t = next) {
		next = ledger_next_in_region(l, hash, t);
		if (is_out(t, n) && t->region_hash == hash &&
		    strncmp(t->region, region, sizeof(t->region)) == 0)
			close_token(l, e, t, t_ns);
	}
}

static void owner_left(struct ledger *l, const struct env *e, const struct node *n, uint64_t t_ns)
{
	for (struct token *t = l->sent_first, *next; t; t = next) {
		next = t->next_sent;
		if (is_out(t, n))
			close_token(l, e, t, t_ns);
	}
}

static void mapped(const struct ledger *l, struct node *n, const struct dp_record *r)
{
	const char *region = r->u.region.name;
	uint32_t hash = ledger_region_hash(region);
	struct delivery *d = ledger_pending_in_region(l, n, region, hash, is_unmapped);

	n->id.consumer_tid = r->h.tid;
	n->account.map_count++;
	if (!d)
		return;
	d->mapped_ns = n->account.took_ns = r->h.t_ns;
	d->maps_before = (uint32_t)n->account.map_count;
}

/* A receiver has freed its array. False when none of its pending tokens lies there. */
static bool released(const struct ledger *l, struct node *n, const struct dp_record *r)
{
	const char *region = r->u.region.name;
	uint32_t hash = ledger_region_hash(region);
	struct delivery *d = ledger_pending_in_region(l, n, region, hash, is_mapped);

	if (!d)
		return false;
	d->released_ns = r->h.t_ns;
	d->maps_after = (uint32_t)n->account.map_count;
	stop_moved(&n->stop, r->h.t_ns);
	return true;
}

void tokens_region(struct ledger *l, const struct env *e, struct node *n, const struct dp_record *r)
{
	switch (r->u.region.kind) {
	case DP_REGION_MAPPED:
		mapped(l, n, r);
		break;
	case DP_REGION_UNMAPPED:
		if (!released(l, n, r))
			owner_closed_region(l, e, n, r->u.region.name, r->h.t_ns);
		break;
	case DP_REGION_UNLINKED:
		owner_closed_region(l, e, n, r->u.region.name, r->h.t_ns);
		break;
	default:
		break;
	}
}

/*
 * From Stop on (0.3.8-0.5.0) the event thread polls its tokens one after the other and gives up
 * each that arrived more than 1 s ago (event_stream/thread.rs, report_remaining). When it came to
 * this one, at the latest when the stream closed.
 */
static uint64_t given_up(struct node *n, const struct delivery *d, uint64_t closed_ns)
{
	uint64_t t, end_ns = n->streams.events_end_ns;

	if (!end_ns || dp_version_at_least(n->id.facts.dora, 1, 0, 0))
		return closed_ns;
	t = (n->account.giveup_ns < end_ns ? end_ns : n->account.giveup_ns) + POLL_NS;
	while (t < d->delivered_ns + KEEP_NS)
		t += POLL_NS;
	n->account.giveup_ns = t;
	return t < closed_ns ? t : closed_ns;
}

void tokens_stream_closed(struct ledger *l, struct node *n, uint64_t t_ns)
{
	while (n->account.pending_first) {
		struct delivery *d = n->account.pending_first;

		d->given_up_ns = given_up(n, d, t_ns);
		ledger_end(l, d, unreported_state(d), t_ns);
	}
}

void tokens_node_gone(struct ledger *l, const struct env *e, struct node *n, uint64_t t_ns)
{
	tokens_stream_closed(l, n, t_ns);
	owner_left(l, e, n, t_ns);
}

/* Says what has ended up to `until`, in the order of its end. */
static void say_ended(struct ledger *l, const struct env *e, uint64_t until)
{
	struct delivery *d;

	while ((d = ledger_take_ended(l, until))) {
		outcome_delivery(e, d);
		ledger_release_delivery(l, d);
	}
}

void tokens_forget(struct ledger *l, const struct env *e, const struct node *n)
{
	for (uint32_t i = 0; i < l->delivery_high; i++)
		if (l->deliveries[i].used && l->deliveries[i].receiver == n)
			ledger_end(l, &l->deliveries[i], DP_TOKEN_OPEN, e->now);
	say_ended(l, e, UINT64_MAX);
	for (uint32_t i = 0; i < l->token_high; i++)
		if (l->tokens[i].used && l->tokens[i].owner == n)
			l->tokens[i].owner = NULL;
}

void tokens_loss(struct ledger *l, const struct node *n, uint64_t t_ns)
{
	l->doubts = true;
	for (uint32_t i = 0; i < l->delivery_high; i++) {
		struct delivery *d = &l->deliveries[i];

		if (!d->used || d->end_ns || (n && d->receiver != n))
			continue;
		d->doubtful = true;
		d->doubt_ns = t_ns;
	}
	for (struct token *t = l->sent_first; t; t = t->next_sent)
		if (t->owner && (!n || t->owner == n) && !t->returned_ns)
			t->doubtful = true;
}

void tokens_regions_unseen(struct node *n)
{
	for (struct delivery *d = n->account.pending_first; d; d = d->next_pending)
		d->blind = true;
}

void tokens_end_doubts(struct ledger *l, struct node *n, uint64_t now)
{
	struct delivery *d;

	while ((d = n->account.pending_first) && d->doubtful && now - d->doubt_ns >= DOUBT_NS)
		ledger_end(l, d, DP_TOKEN_LOST, now);
}

void tokens_tick(struct ledger *l, const struct env *e)
{
	if (e->now > CLOSING_NS)
		say_ended(l, e, e->now - CLOSING_NS);
}

void tokens_end_pending(struct ledger *l, struct node *n, uint64_t t_ns)
{
	while (n->account.pending_first)
		ledger_end(l, n->account.pending_first, DP_TOKEN_OPEN, t_ns);
}

void tokens_end(struct ledger *l, const struct env *e, uint64_t t_ns)
{
	for (uint32_t i = 0; i < l->delivery_high; i++)
		if (l->deliveries[i].used)
			ledger_end(l, &l->deliveries[i], DP_TOKEN_OPEN, t_ns);
	say_ended(l, e, UINT64_MAX);
	while (l->sent_first) {
		struct token *t = l->sent_first;

		if (!t->deliveries && t->owner && !t->owner_done)
			outcome_owner_only(e, t, DP_TOKEN_OPEN, t_ns);
		ledger_release_token(l, t);
	}
}

uint64_t tokens_abandoned(const struct ledger *l, const struct node *n)
{
	uint64_t count = n->account.abandoned;

	for (const struct delivery *d = l->ending; d; d = d->next_ending)
		if (d->receiver == n && d->state == DP_TOKEN_ABANDONED)
			count++;
	return count;
}
