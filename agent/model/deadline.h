/* SPDX-License-Identifier: MIT */
/*
 * A node's Stop as everybody reads it: when it came, when the time is up, and whether the node has
 * moved since.
 */
#ifndef DORA_PROBE_MODEL_DEADLINE_H
#define DORA_PROBE_MODEL_DEADLINE_H

#include "model/identity.h"

struct stop {
	bool seen;
	bool inputs_closed; /* told that all its inputs have closed */
	bool outputs_done;  /* it has closed its outputs */
	uint8_t reason;     /* enum dp_stop_reason */
	uint64_t at_ns;
	uint64_t deadline_ns;  /* the first signal that ends it; 0 none */
	uint32_t first_signal; /* that one */
	uint64_t moved_ns;     /* first move by itself since; see struct dp_policy_view */
	uint8_t witness;       /* enum dp_witness: by whom it was known first */
	bool confirmed;        /* … or since, by one that no other node can make up: witness.h */
	uint64_t heard_ns
		[DP_WITNESS_COUNT]; /* since when, as each of them has it; 0 does not say so */
	uint64_t peeked_ns;         /* its socket was to be looked at */
	uint32_t command_pid;       /* a `dora stop` of exactly this dataflow … */
	uint64_t command_began_ns;  /* … was seen starting */
	uint64_t command_ns;        /* a `dora stop` was seen starting */
	uint64_t command_grace_ns;  /* and asked for this grace; 0 none */
};

/* Is a Stop under way that has a deadline? */
static inline bool stop_is_on(const struct stop *s)
{
	return s->seen && s->reason != DP_STOP_ALL_INPUTS_CLOSED;
}

/* The node showed by itself that Python runs again after Stop. */
void stop_moved(struct stop *s, uint64_t t_ns);
/* The grace that counts: option, version, or a `dora stop` seen. `option_ns` is --grace, 0 none. */
uint64_t stop_grace(const struct stop *s, const struct identity *id, uint64_t option_ns);
/* Stop came at t_ns: sets the deadline. */
void stop_begin(struct stop *s, const struct identity *id, uint64_t option_ns,
		enum dp_stop_reason why, uint64_t t_ns);

#endif
