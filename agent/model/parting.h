/* SPDX-License-Identifier: MIT */
/* What is said when a process of a node ends: whose exit it was, a crash loop, a wrapper's death. */
#ifndef DORA_PROBE_MODEL_PARTING_H
#define DORA_PROBE_MODEL_PARTING_H

#include "model/lives.h"
#include "model/table.h"

/*
 * The process of a node has ended, and exit_record() has said it with `reason` (enum
 * dp_exit_reason): the life is counted, and a crash loop warned of. `m` may be NULL.
 */
void parting_died(const struct env *e, struct node *n, const struct dp_record *r, uint8_t reason);
/* Says of all exits that waited what has become clear by now. */
void parting_tell(const struct env *e, struct lives *l, struct table *t);
/* Once in a while: warnings that are over. */
void parting_tick(const struct env *e, struct lives *l);
/* The number of a new life of the entry. */
uint32_t parting_next_life(const struct entry *of, const struct table *t);
/* What the process adds to the totals of its entry. */
void parting_totals(const struct node *n, struct life_totals *ret);
/* The process gives its slot up: its totals stay with the entry. */
void parting_fold(struct node *n);

#endif
