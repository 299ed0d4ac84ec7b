// SPDX-License-Identifier: MIT
/* The store of tokens and deliveries; see ledger.h. */
#include "model/ledger.h"

#include "base/hash.h"
#include "model/node.h"

#include <string.h>

static uint32_t bucket_of(const uint8_t *id)
{
	return dp_hash_fold(dp_hash_bytes(DP_HASH_START, id, DP_TOKEN_LEN)) % TOKEN_BUCKETS;
}

uint32_t ledger_region_hash(const char *region)
{
	return dp_hash_fold(
		dp_hash_bytes(DP_HASH_START, region, strnlen(region, DP_REGION_NAME_MAX)));
}

struct token *ledger_find(const struct ledger *l, const uint8_t *id)
{
	for (uint32_t i = l->buckets[bucket_of(id)]; i; i = l->tokens[i - 1].next)
		if (memcmp(l->tokens[i - 1].id, id, DP_TOKEN_LEN) == 0)
			return &l->tokens[i - 1];
	return NULL;
}

static uint32_t link_of(const struct ledger *l, const struct token *t)
{
	return (uint32_t)(t - l->tokens) + 1;
}

static void unlink_sent(struct ledger *l, struct token *t)
{
	if (t->prev_sent)
		t->prev_sent->next_sent = t->next_sent;
	else if (l->sent_first == t)
		l->sent_first = t->next_sent;
	if (t->next_sent)
		t->next_sent->prev_sent = t->prev_sent;
	t->prev_sent = t->next_sent = NULL;
}

static void unlink_region(struct ledger *l, struct token *t)
{
	uint32_t *at = &l->region_buckets[t->region_hash % TOKEN_BUCKETS];

	if (!t->in_region)
		return;
	while (*at && *at != link_of(l, t))
		at = &l->tokens[*at - 1].next_region;
	if (*at)
		*at = t->next_region;
	t->in_region = false;
}

void ledger_note_region(struct token *t, const char *region)
{
	memcpy(t->region, region, sizeof(t->region));
	t->region_hash = ledger_region_hash(region);
}

void ledger_link_region(struct ledger *l, struct token *t, const char *region)
{
	uint32_t *at;

	unlink_region(l, t);
	ledger_note_region(t, region);
	at = &l->region_buckets[t->region_hash % TOKEN_BUCKETS];
	t->next_region = *at;
	t->in_region = true;
	*at = link_of(l, t);
}

struct token *ledger_next_in_region(const struct ledger *l, uint32_t hash,
				    const struct token *after)
{
	uint32_t i = after ? after->next_region : l->region_buckets[hash % TOKEN_BUCKETS];

	return i ? &l->tokens[i - 1] : NULL;
}

/* Room for a token, in the list of all; NULL: there is none. */
static struct token *new_token(struct ledger *l)
{
	struct token *t = l->token_free;

	if (t)
		l->token_free = t->next_sent;
	else if (l->token_high < TOKENS_MAX)
		t = &l->tokens[l->token_high++];
	else
		return NULL;
	memset(t, 0, sizeof(*t));
	t->used = true;
	t->next_sent = l->sent_first;
	if (l->sent_first)
		l->sent_first->prev_sent = t;
	l->sent_first = t;
	return t;
}

struct token *ledger_token(struct ledger *l, const uint8_t *id)
{
	struct token *t = ledger_find(l, id);
	uint32_t b = bucket_of(id);

	if (t)
		return t;
	t = new_token(l);
	if (!t)
		return NULL;
	memcpy(t->id, id, DP_TOKEN_LEN);
	t->next = l->buckets[b];
	l->buckets[b] = link_of(l, t);
	return t;
}

struct token *ledger_unnamed(struct ledger *l)
{
	return new_token(l);
}

void ledger_release_token(struct ledger *l, struct token *t)
{
	uint32_t *at = &l->buckets[bucket_of(t->id)];

	while (*at && *at != link_of(l, t))
		at = &l->tokens[*at - 1].next;
	if (*at)
		*at = t->next;
	unlink_sent(l, t);
	unlink_region(l, t);
	t->used = false;
	t->next_sent = l->token_free;
	l->token_free = t;
}

static void add_pending(struct account *a, struct delivery *d)
{
	d->pending = true;
	d->prev_pending = a->pending_last;
	if (a->pending_last)
		a->pending_last->next_pending = d;
	else
		a->pending_first = d;
	a->pending_last = d;
	a->pending_count++;
}

struct delivery *ledger_deliver(struct ledger *l, struct token *t, struct node *receiver)
{
	struct delivery *d = l->delivery_free;

	if (d)
		l->delivery_free = d->next_of_token;
	else if (l->delivery_high < DELIVERIES_MAX)
		d = &l->deliveries[l->delivery_high++];
	else
		return NULL;
	memset(d, 0, sizeof(*d));
	d->used = true;
	d->token = t;
	d->receiver = receiver;
	d->next_of_token = t->deliveries;
	t->deliveries = d;
	add_pending(&receiver->account, d);
	return d;
}

void ledger_not_pending(struct delivery *d)
{
	struct account *a = &d->receiver->account;

	if (!d->pending)
		return;
	d->pending = false;
	if (d->prev_pending)
		d->prev_pending->next_pending = d->next_pending;
	else
		a->pending_first = d->next_pending;
	if (d->next_pending)
		d->next_pending->prev_pending = d->prev_pending;
	else
		a->pending_last = d->prev_pending;
	d->prev_pending = d->next_pending = NULL;
	a->pending_count--;
}

void ledger_end(struct ledger *l, struct delivery *d, enum dp_token_state state, uint64_t t_ns)
{
	if (d->end_ns)
		return;
	ledger_not_pending(d);
	d->state = (uint8_t)state;
	d->end_ns = t_ns ? t_ns : 1;
	d->next_ending = NULL;
	if (l->ending_last)
		l->ending_last->next_ending = d;
	else
		l->ending = d;
	l->ending_last = d;
}

struct delivery *ledger_take_ended(struct ledger *l, uint64_t until)
{
	struct delivery *d = l->ending;

	if (!d || d->end_ns > until)
		return NULL;
	l->ending = d->next_ending;
	if (!l->ending)
		l->ending_last = NULL;
	return d;
}

void ledger_release_delivery(struct ledger *l, struct delivery *d)
{
	struct token *t = d->token;
	struct delivery **at = &t->deliveries;

	while (*at && *at != d)
		at = &(*at)->next_of_token;
	if (*at)
		*at = d->next_of_token;
	d->used = false;
	d->next_of_token = l->delivery_free;
	l->delivery_free = d;
	if (!t->deliveries && (t->owner_done || !t->owner))
		ledger_release_token(l, t);
}
