// SPDX-License-Identifier: MIT
/* The store of tokens and deliveries; see ledger.h. */
#include "model/ledger.h"

#include "base/hash.h"
#include "model/node.h"

#include <string.h>

/* Messages are taken and freed in about the order in which they came: what is looked for is most often among so many. */
#define NEAR 32

/* The first whole line of the cache in memory that has one to spare. */
static void *first_line(void *room)
{
	return (char *)room + (LEDGER_LINE - (uintptr_t)room % LEDGER_LINE) % LEDGER_LINE;
}

void ledger_begin(struct ledger *l, void *tokens, void *deliveries)
{
	l->tokens = first_line(tokens);
	l->deliveries = first_line(deliveries);
}

static uint32_t bucket_of(const uint8_t *id)
{
	return dp_hash_fold(dp_hash_words(id, DP_TOKEN_LEN)) % TOKEN_BUCKETS;
}

uint32_t ledger_region_hash(const char *region)
{
	return dp_hash_fold(dp_hash_words(region, strnlen(region, DP_REGION_NAME_MAX)));
}

static struct token *find_in(const struct ledger *l, uint32_t bucket, const uint8_t *id)
{
	for (uint32_t i = l->buckets[bucket]; i; i = l->tokens[i - 1].next)
		if (memcmp(l->tokens[i - 1].id, id, DP_TOKEN_LEN) == 0)
			return &l->tokens[i - 1];
	return NULL;
}

static void fetch_lines(const void *at, size_t len)
{
	for (size_t i = 0; i < len; i += LEDGER_LINE)
		__builtin_prefetch((const char *)at + i);
}

void ledger_expect_region(const struct ledger *l, const char *region, unsigned int ahead)
{
	uint32_t b = ledger_region_hash(region) % TOKEN_BUCKETS;

	if (ahead == LEDGER_FAR)
		__builtin_prefetch(&l->region_buckets[b]);
	else if (ahead == LEDGER_MIDDLE && l->region_buckets[b])
		fetch_lines(&l->tokens[l->region_buckets[b] - 1], 2UL * LEDGER_LINE);
}

void ledger_expect(const struct ledger *l, const uint8_t *id, unsigned int ahead)
{
	uint32_t b = bucket_of(id), at;
	const struct token *t;

	switch (ahead) {
	case LEDGER_FAR:
		__builtin_prefetch(&l->buckets[b]);
		break;
	case LEDGER_MIDDLE:
		at = l->buckets[b];
		if (at)
			fetch_lines(&l->tokens[at - 1], 2UL * LEDGER_LINE);
		break;
	case LEDGER_NEAR:
		t = find_in(l, b, id);
		if (t && t->deliveries)
			fetch_lines(t->deliveries, sizeof(*t->deliveries));
		break;
	default:
		break;
	}
}

struct token *ledger_find(const struct ledger *l, const uint8_t *id)
{
	return find_in(l, bucket_of(id), id);
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
	if (!t->in_region)
		return;
	if (t->prev_region)
		l->tokens[t->prev_region - 1].next_region = t->next_region;
	else
		l->region_buckets[t->region_hash % TOKEN_BUCKETS] = t->next_region;
	if (t->next_region)
		l->tokens[t->next_region - 1].prev_region = t->prev_region;
	t->in_region = false;
}

void ledger_link_region(struct ledger *l, struct token *t, const char *region)
{
	uint32_t *at;

	unlink_region(l, t);
	memcpy(t->region, region, sizeof(t->region));
	t->region_hash = ledger_region_hash(region);
	at = &l->region_buckets[t->region_hash % TOKEN_BUCKETS];
	t->prev_region = 0;
	t->next_region = *at;
	if (*at)
		l->tokens[*at - 1].prev_region = link_of(l, t);
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
	uint32_t b = bucket_of(id);
	struct token *t = find_in(l, b, id);

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

static bool lies_in(const struct delivery *d, const char *region, uint32_t hash)
{
	return d->region_hash == hash &&
	       strncmp(d->token->region, region, sizeof(d->token->region)) == 0;
}

/* The same by the region: of those tokens that lie there, the one that was taken up first. */
static struct delivery *search_region(const struct ledger *l, const struct node *receiver,
				      const char *region, uint32_t hash,
				      bool (*is_it)(const struct delivery *d))
{
	struct delivery *found = NULL;

	for (struct token *t = ledger_next_in_region(l, hash, NULL); t;
	     t = ledger_next_in_region(l, hash, t))
		for (struct delivery *d = t->deliveries; d; d = d->next_of_token)
			if (d->receiver == receiver && d->pending && is_it(d) &&
			    lies_in(d, region, hash))
				found = d;
	return found;
}

struct delivery *ledger_pending_in_region(const struct ledger *l, const struct node *receiver,
					  const char *region, uint32_t hash,
					  bool (*is_it)(const struct delivery *d))
{
	struct delivery *d = receiver->account.pending_first;

	for (int i = 0; d && i < NEAR; i++, d = d->next_pending)
		if (is_it(d) && lies_in(d, region, hash))
			return d;
	return d ? search_region(l, receiver, region, hash, is_it) : NULL;
}

void ledger_not_pending(struct delivery *d)
{
	struct account *a = &d->receiver->account;

	if (!d->pending)
		return;
	if (d->stock)
		a->stock_left--;
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
	if (!l->ending) {
		l->ending_last = NULL;
		return d;
	}
	/* Of the next one its token, of the one after that itself. */
	fetch_lines(l->ending->token, sizeof(*l->ending->token));
	if (l->ending->next_ending)
		fetch_lines(l->ending->next_ending, sizeof(*l->ending));
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
