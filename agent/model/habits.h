/* SPDX-License-Identifier: MIT */
/*
 * What each daemon was seen to do at the end of a grace that nobody had asked for: a fork, a vendored or
 * a later dora may have another one than its version number says.
 */
#ifndef DORA_PROBE_MODEL_HABITS_H
#define DORA_PROBE_MODEL_HABITS_H

#include "model/table.h"

#define HABITS_MAX 16 /* daemons; the oldest leaves */

struct habits {
	struct {
		uint32_t daemon_pid;
		struct dp_grace grace;
	} at[HABITS_MAX];
	uint32_t count; /* of all that were noted */
};

/* The daemon has sent the node SIGTERM or SIGKILL: noted where that shows its default. */
void habits_note(struct habits *h, struct table *t, const struct node *n, uint32_t signal,
		 uint64_t t_ns);
/* Takes the grace of the node's daemon: as it was seen, else by its version. */
void habits_judge(const struct habits *h, struct identity *id);

#endif
