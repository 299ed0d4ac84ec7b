/* SPDX-License-Identifier: MIT */
/*
 * The ledger's store: all tokens and deliveries, found by token and by region; the lists of what
 * is pending at a receiver and of what has ended and waits to be said. No rule stands here.
 */
#ifndef DORA_PROBE_MODEL_LEDGER_H
#define DORA_PROBE_MODEL_LEDGER_H

#include "model/token.h"

/* Some 330 and 170 bytes each, of which those are touched that were in use at the same time at some moment. */
#define TOKENS_MAX     131072
#define DELIVERIES_MAX 131072
#define TOKEN_BUCKETS  16384

struct ledger {
	struct token *tokens;
	uint32_t token_high; /* used at some time */
	struct token *token_free;
	struct delivery *deliveries;
	uint32_t delivery_high;
	struct delivery *delivery_free;
	uint32_t buckets[TOKEN_BUCKETS];        /* by token */
	uint32_t region_buckets[TOKEN_BUCKETS]; /* tokens by region */
	struct token *sent_first;               /* all tokens, newest first */
	struct delivery *ending;                /* ended, not said yet, oldest first */
	struct delivery *ending_last;
	bool doubts; /* something has been in doubt */
};

/* Bytes, zeroed, that ledger_begin() takes over for all tokens and for all deliveries. */
#define LEDGER_TOKEN_BYTES    (TOKENS_MAX * sizeof(struct token) + LEDGER_LINE)
#define LEDGER_DELIVERY_BYTES (DELIVERIES_MAX * sizeof(struct delivery) + LEDGER_LINE)
void ledger_begin(struct ledger *l, void *tokens, void *deliveries);

/*
 * The token with this id will be looked for, so many records later: first its bucket is fetched from memory, then the token,
 * then its delivery. Changes nothing.
 */
#define LEDGER_FAR    6u
#define LEDGER_MIDDLE 4u
#define LEDGER_NEAR   2u
void ledger_expect(const struct ledger *l, const uint8_t *id, unsigned int ahead);
/* The same of the tokens in a region. */
void ledger_expect_region(const struct ledger *l, const char *region, unsigned int ahead);
/* The token with this id; NULL none. */
struct token *ledger_find(const struct ledger *l, const uint8_t *id);
/* The token with this id, taken up if it is new; NULL when there is no room. */
struct token *ledger_token(struct ledger *l, const uint8_t *id);
/* A token whose id is not known: no record will find it. NULL when there is no room. */
struct token *ledger_unnamed(struct ledger *l);
void ledger_release_token(struct ledger *l, struct token *t);
/* Gives the token its region, by which ledger_next_in_region() finds it. */
void ledger_link_region(struct ledger *l, struct token *t, const char *region);
uint32_t ledger_region_hash(const char *region);
/*
 * First token (`after` NULL), then the next one, in the bucket of a region's hash; NULL the
 * last.
 */
struct token *ledger_next_in_region(const struct ledger *l, uint32_t hash,
				    const struct token *after);

/* A new delivery of the token, pending at `receiver`; NULL when there is no room. */
struct delivery *ledger_deliver(struct ledger *l, struct token *t, struct node *receiver);
/*
 * The oldest delivery pending at `receiver` whose token lies in that region and of which `is_it` is true; NULL none. `hash`
 * is the region's.
 */
struct delivery *ledger_pending_in_region(const struct ledger *l, const struct node *receiver,
					  const char *region, uint32_t hash,
					  bool (*is_it)(const struct delivery *d));
/* Takes it off the receiver's list of pending ones. */
void ledger_not_pending(struct delivery *d);
/* The delivery has ended so, at t_ns: from now on it waits to be said. Only its first end counts. */
void ledger_end(struct ledger *l, struct delivery *d, enum dp_token_state state, uint64_t t_ns);
/* The first that has ended up to `until`, taken off the list; NULL none. */
struct delivery *ledger_take_ended(struct ledger *l, uint64_t until);
/* Frees it, and its token with the last one if the owner is done with it. */
void ledger_release_delivery(struct ledger *l, struct delivery *d);

#endif
