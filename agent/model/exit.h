/* SPDX-License-Identifier: MIT */
/*
 * The exit of a process: how it ended, whether that was the grace kill, what it says about a
 * stop.
 */
#ifndef DORA_PROBE_MODEL_EXIT_H
#define DORA_PROBE_MODEL_EXIT_H

#include "model/node.h"

/*
 * Says the exit and keeps what was measured in n->ending. Signals, holds and tokens must have been
 * ended before; `abandoned` is the number of tokens abandoned here, DP_NULL when not observable.
 * Returns its reason, enum dp_exit_reason.
 */
uint8_t exit_record(const struct env *e, struct node *n, uint64_t abandoned,
		    const struct dp_record *r);

#endif
