/* SPDX-License-Identifier: MIT */
/*
 * A drop token as its owner sent it, and its deliveries, one for each receiver:
 *   sent → delivered → mapped → released → reported → returned
 */
#ifndef DORA_PROBE_MODEL_TOKEN_H
#define DORA_PROBE_MODEL_TOKEN_H

#include "dora_probe/finding.h"

#include <stdbool.h>

struct node;
struct delivery;

/* A token as its owner sees it, or as first heard of. */
struct token {
	uint8_t id[DP_TOKEN_LEN];
	struct node *owner; /* NULL: not watched */
	bool used;
	bool owner_done; /* the owner has it back, or has closed its region */
	bool delivered;  /* a watched receiver had it: its own line tells this token */
	bool in_region;  /* linked in its region's bucket */
	bool doubtful; /* records of its owner were lost meanwhile: its return may be among them */
	uint64_t sent_ns, returned_ns, owner_closed_ns;
	uint64_t last_report_ns; /* by any receiver */
	uint64_t asked_ns;       /* when the owner asked for what returned it; 0 unknown */
	uint64_t bytes;
	struct delivery *deliveries;
	uint32_t region_hash; /* compared first: lists of tokens are searched by region */
	char region[DP_REGION_NAME_MAX];
	char output[DP_ID_MAX];
	char dataflow[DP_UUID_MAX];
	char owner_name[DP_ID_MAX];
	/* the ledger's links */
	uint32_t next;                       /* in its bucket; index + 1 */
	uint32_t next_region;                /* in its region's bucket; index + 1 */
	struct token *prev_sent, *next_sent; /* of all tokens */
};

/* One token at one receiver. */
struct delivery {
	struct token *token;
	struct node *receiver;
	uint32_t region_hash; /* of the token */
	bool used;
	bool pending;  /* in the receiver's list */
	bool doubtful; /* records were lost meanwhile: its report may be among them */
	/*
	 * Mapped when the probe came, and its token has no name: delivered_ns and mapped_ns are the
	 * moment of that look, after the true ones.
	 */
	bool stock;
	uint8_t state; /* enum dp_token_state, once it has ended */
	uint64_t doubt_ns;
	uint64_t delivered_ns, mapped_ns, released_ns, reported_ns, given_up_ns;
	uint64_t end_ns;                  /* 0: alive */
	uint64_t maps_before, maps_after; /* the receiver's map_count, mapped and released */
	struct delivery *next_of_token;
	struct delivery *prev_pending, *next_pending; /* of the receiver */
	struct delivery *next_ending;
};

#endif
