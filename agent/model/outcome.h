/* SPDX-License-Identifier: MIT */
/* How a token ended: its line, and what it adds to its node's account. */
#ifndef DORA_PROBE_MODEL_OUTCOME_H
#define DORA_PROBE_MODEL_OUTCOME_H

#include "model/node.h"
#include "model/token.h"

/* A delivery that has ended, once the evidence of that moment is in. */
void outcome_delivery(const struct env *e, struct delivery *d);
/* A token that no watched receiver took, told from its owner's side alone; else nothing. */
void outcome_owner_only(const struct env *e, struct token *t, enum dp_token_state state,
			uint64_t t_ns);

#endif
