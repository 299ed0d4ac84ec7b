/* SPDX-License-Identifier: MIT */
/* What the machine is watched by: the sources that are on, how much can be seen by them, and one that a process lacks. */
#ifndef DORA_PROBE_MODEL_SOURCES_H
#define DORA_PROBE_MODEL_SOURCES_H

#include "model/ledger.h"
#include "model/node.h"

struct sources {
	uint32_t on;               /* bit per enum dp_source */
	char calls[DP_REASON_MAX]; /* names of those that go by system calls, by commas */
};

/*
 * A record SOURCE_STATE of the machine, or of a process. Returns the level that the machine is watched at from then on, enum
 * dp_level.
 */
uint8_t sources_record(struct sources *s, const struct dp_record *r);
/*
 * The edge source of a process went on, off, or could not be had; or one that it floods is left alone for a while. Warns of
 * either, once, until it is there.
 */
void sources_of_node(const struct env *e, struct ledger *l, struct node *n,
		     const struct dp_record *r);
/* What is left alone is not held against the node. */
void sources_tick(const struct env *e, struct node *n);

#endif
