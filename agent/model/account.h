/* SPDX-License-Identifier: MIT */
/* A node's part of the token ledger: as receiver what is pending here, and its totals. */
#ifndef DORA_PROBE_MODEL_ACCOUNT_H
#define DORA_PROBE_MODEL_ACCOUNT_H

#include <stdint.h>

struct delivery;

struct account {
	/* delivered here and not reported yet, oldest first */
	struct delivery *pending_first, *pending_last;
	uint64_t pending_count;
	uint64_t stock_left; /* of these, mapped when the probe came */
	uint64_t map_count;  /* regions mapped: the node took a message each time */
	uint64_t took_ns;    /* took its last message that has a token */
	uint64_t giveup_ns;  /* up to where dora's event thread has given tokens up, after Stop */
	/* totals: as receiver, and as owner of tokens that no watched receiver took */
	uint64_t tokens, returned, abandoned, lost, open;
	uint64_t max_pending_ns;
	uint64_t gil_ns; /* token time that the GIL cost */
};

#endif
