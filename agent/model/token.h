/* SPDX-License-Identifier: MIT */
/*
 * A drop token as its owner sent it, and its deliveries, one for each receiver:
 *   sent → delivered → mapped → released → reported → returned
 */
#ifndef DORA_PROBE_MODEL_TOKEN_H
#define DORA_PROBE_MODEL_TOKEN_H

#include "dora_probe/finding.h"

#include <stdbool.h>
#include <stddef.h>

struct node;
struct delivery;

/*
 * Each is touched half a dozen times in its life, with thousands of others between, so it comes from memory each time: what is
 * looked at together lies in one line of the cache, what is only printed behind it.
 */
#define LEDGER_LINE 64

/* A token as its owner sees it, or as first heard of. */
struct token {
	uint8_t id[DP_TOKEN_LEN];
	uint32_t next;                     /* in its bucket; index + 1 */
	uint32_t prev_region, next_region; /* in its region's bucket; index + 1 */
	uint32_t region_hash; /* compared first: lists of tokens are searched by region */
	struct node *owner;   /* NULL: not watched */
	struct delivery *deliveries;
	bool used;
	bool owner_done; /* the owner has it back, or has closed its region */
	bool delivered;  /* a watched receiver had it: its own line tells this token */
	bool in_region;  /* linked in its region's bucket */
	bool doubtful; /* records of its owner were lost meanwhile: its return may be among them */
	/* a second line */
	struct token *prev_sent, *next_sent; /* of all tokens */
	uint64_t sent_ns, returned_ns, owner_closed_ns;
	uint64_t last_report_ns; /* by any receiver */
	uint64_t asked_ns;       /* when the owner asked for what returned it; 0 unknown */
	uint64_t bytes;
	char region[DP_REGION_NAME_MAX];
	char output[DP_ID_MAX];
	char dataflow[DP_UUID_MAX];
	char owner_name[DP_ID_MAX];
} __attribute__((aligned(LEDGER_LINE)));

_Static_assert(offsetof(struct token, prev_sent) <= LEDGER_LINE, "by what it is found is one line");

/* One token at one receiver. */
struct delivery {
	struct token *token;
	struct node *receiver;
	struct delivery *next_of_token;
	uint32_t region_hash; /* of the token */
	bool used;
	bool pending;  /* in the receiver's list */
	bool doubtful; /* records were lost meanwhile: its report may be among them */
	bool blind; /* whether it was mapped and let go was not looked at, for some of its time */
	/*
	 * Mapped when the probe came, and its token has no name: delivered_ns and mapped_ns are the
	 * moment of that look, after the true ones.
	 */
	bool stock;
	uint8_t state; /* enum dp_token_state, once it has ended */
	/* a second line */
	uint64_t delivered_ns, mapped_ns, released_ns, reported_ns, given_up_ns;
	uint64_t doubt_ns;
	uint64_t end_ns; /* 0: alive */
	uint32_t maps_before,
		maps_after; /* the receiver's map_count, mapped and released; they wrap */
	struct delivery *prev_pending, *next_pending; /* of the receiver */
	struct delivery *next_ending;
} __attribute__((aligned(LEDGER_LINE)));

_Static_assert(sizeof(struct delivery) == 2 * LEDGER_LINE, "no third line");

#endif
