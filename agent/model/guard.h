/* SPDX-License-Identifier: MIT */
/*
 * The shutdown guard: what the policy (decide/policy.h) is told, and what becomes of its
 * decisions.
 */
#ifndef DORA_PROBE_MODEL_GUARD_H
#define DORA_PROBE_MODEL_GUARD_H

#include "model/table.h"

/* Asks the policy about the node and requests or says what it decides. */
void guard_decide(const struct env *e, const struct table *t, const struct dp_policy_config *cfg,
		  struct node *n);
/* The answer to a requested action: noted and said. */
void guard_answer(const struct env *e, struct node *n, const struct dp_record *r);

#endif
