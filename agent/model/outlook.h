/* SPDX-License-Identifier: MIT */
/*
 * What can be said of a stop: will the one under way make its deadline, what would one need now,
 * and which grace the node and its dataflow should have.
 */
#ifndef DORA_PROBE_MODEL_OUTLOOK_H
#define DORA_PROBE_MODEL_OUTLOOK_H

#include "model/table.h"

/*
 * When the hold that goes on ends, by what it asked the kernel for, where it is one sleep, else
 * going by earlier holds of its function; 0 unknown.
 */
uint64_t outlook_hold_end(const struct node *n, const struct hold *h);
/* Recommended grace of a node into n->outlook. */
void outlook_recommend(struct node *n);
/* The grace that all nodes together need; DP_NULL unknown; `text` says how it came about, "" nothing. */
uint64_t outlook_recommend_all(const struct table *t, char *text, size_t text_len);
/* Once a second: what the node needs, the recommendation, and before a Stop the forecast. */
void outlook_second(const struct env *e, const struct table *t, struct node *n);
/*
 * Asks what the consumer does, where something depends on it: a token is pending, a Stop is under way, or
 * the node has been silent for so long that a watchdog of dora's may end it.
 */
void outlook_look(const struct env *e, struct node *n);
/* Before any Stop: warns of the deadline of a watchdog. */
void outlook_watchdog(const struct env *e, struct node *n);
/* While a Stop is under way: slack, and the warnings of a stop. */
void outlook_stop(const struct env *e, struct node *n);

#endif
