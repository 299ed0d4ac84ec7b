/* SPDX-License-Identifier: MIT */
/* What was found of a process that ran before the probe came, until it is told. */
#ifndef DORA_PROBE_MODEL_STOCK_H
#define DORA_PROBE_MODEL_STOCK_H

#include "model/say.h"

struct stock {
	bool have; /* the process ran before the probe */
	bool said;
	uint64_t taken_ns;
	uint64_t oldest_lo_ns; /* no mapped message is older than this; 0 none, unknown */
	bool oldest_unknown;   /* of one of them nobody knows */
	struct dp_rec_stock found;
};

/* STOCK, and a STOCK_REGION for each message that was mapped when the probe came. */
void stock_record(struct stock *s, const struct dp_record *r);
/*
 * Says it once the process' own line is out. `first` says that no other was told in this run: what
 * holds for all of them is said with it alone. True when it has said something.
 */
bool stock_say(struct stock *s, const struct env *e, struct identity *id, bool first);

#endif
