/* SPDX-License-Identifier: MIT */
/* What is said when a process of a node ends: whose exit it was, a crash loop, a wrapper's death. */
#ifndef DORA_PROBE_MODEL_PARTING_H
#define DORA_PROBE_MODEL_PARTING_H

#include "model/lives.h"
#include "model/table.h"

/*
 * The process of a node has ended: its exit is said, or held until it is known whose it was; the
 * life is counted. `abandoned` as for exit_record().
 */
void parting_exit(const struct env *e, struct lives *l, struct node *n, uint64_t abandoned,
		  const struct dp_record *r);
/* A record about a process, which has gone to its node if it has one (`known`). */
void parting_record(const struct env *e, struct lives *l, struct table *t,
		    const struct dp_record *r, bool known);
/* Says of exits that waited what has become clear by now, and which warnings are over. */
void parting_tick(const struct env *e, struct lives *l, struct table *t);
/* The node has facts: its role, and, once its name is known, its place among the lives of its entry. */
void parting_join(struct lives *l, const struct table *t, struct node *n, uint64_t t_ns);
/* What the process adds to the totals of its entry. */
void parting_totals(const struct node *n, struct life_totals *ret);
/* The process gives its slot up: its totals stay with the entry. */
void parting_fold(struct node *n);

#endif
