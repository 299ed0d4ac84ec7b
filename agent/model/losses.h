/* SPDX-License-Identifier: MIT */
/*
 * What was lost: counted at once, told in one line a second at most, whatever comes. The first line
 * after a quiet second is not held back; what comes meanwhile waits, and one reason after the other
 * is told, the one that has waited longest first.
 */
#ifndef DORA_PROBE_MODEL_LOSSES_H
#define DORA_PROBE_MODEL_LOSSES_H

#include "dora_probe/names.h"

#include <stdbool.h>
#include <stdint.h>

/* What of a reason has not been told yet. */
struct untold {
	uint64_t count;
	uint64_t since_ns; /* the first of it */
	uint64_t t_ns;     /* the last of it */
	uint32_t pid;      /* of which process; 0 of several, or of none */
};

/* Zeroed at first. */
struct losses {
	uint64_t count[DP_LOSS_COUNT];
	uint64_t records; /* the sum over those reasons that stand for records the model missed */
	struct untold untold[DP_LOSS_COUNT];
	uint64_t told_ns; /* when a line was due last; 0 never */
};

/* Counts `count` losses of a process (pid 0: of none) at t_ns. */
void losses_count(struct losses *l, enum dp_loss reason, uint32_t pid, uint64_t count,
		  uint64_t t_ns);
/*
 * What is to be told at `now`: fills reason and rest, which counts as told from then on. False:
 * nothing, or not yet. `all`: whatever is left, without waiting for its second.
 */
bool losses_due(struct losses *l, uint64_t now, bool all, enum dp_loss *ret_reason,
		struct untold *ret);

#endif
