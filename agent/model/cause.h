/* SPDX-License-Identifier: MIT */
/*
 * Which of the look-alike causes it was, from evidence: intervals of the GIL, the steps of a token,
 * and what the consumer was seen doing. Where the evidence is not there, it is `unknown`.
 */
#ifndef DORA_PROBE_MODEL_CAUSE_H
#define DORA_PROBE_MODEL_CAUSE_H

#include "model/node.h"
#include "model/token.h"

/*
 * How long the owner left the token with the daemon: from the last report until it asked for what
 * came back, or `now`. 0 where a receiver still had it, or where that is not known.
 */
uint64_t cause_uncollected_ns(const struct delivery *d, uint64_t now);
/* Why a token is, or was, pending; `pending_threshold_ns` as in the options. enum dp_cause. */
int8_t cause_of_delivery(const struct delivery *d, uint64_t pending_threshold_ns, uint64_t now);
/* The cause of a hold that goes on: hold_cause(), as far as the consumer is known. */
int8_t cause_of_hold(const struct node *n, const struct hold *h);
/* Why the node does not move between from and to (Stop, exit). enum dp_cause. */
int8_t cause_of_stall(const struct node *n, uint64_t from, uint64_t to);

#endif
