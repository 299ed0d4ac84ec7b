/* SPDX-License-Identifier: MIT */
/*
 * The ledger's store: all tokens and deliveries, found by token and by region; the lists of what
 * is pending at a receiver and of what has ended and waits to be said. No rule stands here.
 */
#ifndef DORA_PROBE_MODEL_LEDGER_H
#define DORA_PROBE_MODEL_LEDGER_H

#include "model/token.h"

#define TOKENS_MAX     32768
#define DELIVERIES_MAX 32768
#define TOKEN_BUCKETS  8192

struct ledger {
	struct token *tokens;
	uint32_t token_high; /* used at some time */
	struct token *token_free;
	struct delivery *deliveries;
	uint32_t delivery_high;
	struct delivery *delivery_free;
	uint32_t buckets[TOKEN_BUCKETS];        /* by token */
	uint32_t region_buckets[TOKEN_BUCKETS]; /* sent tokens by region */
	struct token *sent_first;               /* all tokens, newest first */
	struct delivery *ending;                /* ended, not said yet, oldest first */
	struct delivery *ending_last;
};

/* The token with this id; NULL none. */
struct token *ledger_find(const struct ledger *l, const uint8_t *id);
/* The token with this id, taken up if it is new; NULL when there is no room. */
struct token *ledger_token(struct ledger *l, const uint8_t *id);
/* A token whose id is not known: no record will find it. NULL when there is no room. */
struct token *ledger_unnamed(struct ledger *l);
void ledger_release_token(struct ledger *l, struct token *t);
/* Gives the token its region, by which ledger_next_in_region() finds it. */
void ledger_link_region(struct ledger *l, struct token *t, const char *region);
/* Gives the token a region that is known from a receiver alone: ledger_next_in_region() does not find it. */
void ledger_note_region(struct token *t, const char *region);
uint32_t ledger_region_hash(const char *region);
/*
 * First token (`after` NULL), then the next one, in the bucket of a region's hash; NULL the
 * last.
 */
struct token *ledger_next_in_region(const struct ledger *l, uint32_t hash,
				    const struct token *after);

/* A new delivery of the token, pending at `receiver`; NULL when there is no room. */
struct delivery *ledger_deliver(struct ledger *l, struct token *t, struct node *receiver);
/* Takes it off the receiver's list of pending ones. */
void ledger_not_pending(struct delivery *d);
/* The delivery has ended so, at t_ns: from now on it waits to be said. Only its first end counts. */
void ledger_end(struct ledger *l, struct delivery *d, enum dp_token_state state, uint64_t t_ns);
/* The first that has ended up to `until`, taken off the list; NULL none. */
struct delivery *ledger_take_ended(struct ledger *l, uint64_t until);
/* Frees it, and its token with the last one if the owner is done with it. */
void ledger_release_delivery(struct ledger *l, struct delivery *d);

#endif
