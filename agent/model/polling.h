/* SPDX-License-Identifier: MIT */
/*
 * Does the node come back to next()? Since when not is told from what was seen alone:
 *   asleep         the consumer sleeps outside of dora, since then by the scheduler
 *   gil_held       it holds the GIL without a gap, and next() lets go of it
 *   gil_wait       it waits for the GIL
 *   inputs_untaken its event thread was handed events and has asked for no more: the channel between
 *                  the two is full (dora 1.x), so the consumer has taken nothing since
 *   no_gil_taken   it runs outside of dora, and has not taken the GIL since (edge source)
 *   next_not_called  dora's code in it has not let go of the GIL since, which each call of next() does (edge
 *                  source), and did before
 * A look at its stack says no more than where it is at that moment: looks that all find it elsewhere
 * are no proof, since it may have been back in between.
 */
#ifndef DORA_PROBE_MODEL_POLLING_H
#define DORA_PROBE_MODEL_POLLING_H

#include "model/node.h"

/* What is proven now, into n->polling; asks for the looks that it needs. */
void polling_tick(const struct env *e, struct node *n);
/* A stack: of the thread that polls, where that was not known yet. */
void polling_found(struct node *n, const struct dp_record *r);
/* A thread of the node's has ended. */
void polling_thread_gone(struct node *n, uint32_t tid);
/* For how long the consumer may have run in one call without the GIL, which the edge source can tell; ns. */
uint64_t polling_suspects(const struct node *n, uint64_t now);
/* Is it this evidence that has the larger part of the time? A hold may be the last of many short ones. */
bool polling_is_by(const struct node *n, enum dp_evidence i, uint64_t now);
/* Why it does not come back, enum dp_cause. */
int8_t polling_cause(const struct node *n, uint64_t now);

#endif
