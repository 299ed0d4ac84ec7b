/* SPDX-License-Identifier: MIT */
/* What each function of a process has cost by holding the GIL. */
#ifndef DORA_PROBE_MODEL_FUNCTIONS_H
#define DORA_PROBE_MODEL_FUNCTIONS_H

#include "model/place.h"

#define FUNCTIONS_MAX 64

struct function_cost {
	struct dp_blame b;
	uint64_t max_hold_ns;
};

struct functions {
	uint32_t count;
	struct function_cost at[FUNCTIONS_MAX];
};

/*
 * Index of the function of this place, taken up if it is new; -1 where it has no name or no
 * room.
 */
int functions_index(struct functions *f, const struct place *p);
/* The longest hold so far of this very function and line; 0 none. */
uint64_t functions_longest_hold(const struct functions *f, const struct place *p);
/* A hold of the i-th function has ended. */
void functions_held(struct functions *f, int i, uint64_t length_ns);
/* The dearest first, by the token time and then the time held; at most DP_BLAME_MAX. Gives their
 * number. */
uint32_t functions_dearest(const struct functions *f, struct dp_blame ret[DP_BLAME_MAX]);

#endif
