/* SPDX-License-Identifier: MIT */
/* The table of watched processes. */
#ifndef DORA_PROBE_MODEL_TABLE_H
#define DORA_PROBE_MODEL_TABLE_H

#include "model/node.h"

/* Of one entry, processes that have left and keep their slot; the next life gets the oldest. */
#define LIVES_KEPT 2

#define NODES_MAX 512 /* of a run that are remembered; the oldest gone leave */

#define TABLE_HINTS 1024

struct table {
	struct node nodes[NODES_MAX];
	uint32_t count;
	uint16_t hints[TABLE_HINTS]; /* by pid: the slot in which such a one was found last */
};

/* The watched process with this pid; NULL none. */
struct node *table_find(struct table *t, uint32_t pid);
/* The last to have left with this pid; NULL none. */
struct node *table_find_gone(struct table *t, uint32_t pid);
/*
 * A slot for another process, not cleared yet: that of an earlier life of the same entry (NULL: it
 * is of none), a free one, or that of the longest gone. NULL when all are in use. *ret_reused says
 * that somebody was there.
 */
struct node *table_slot(struct table *t, const struct entry *of, uint64_t now, bool *ret_reused);
/*
 * The agent looks at a process once a second, and may do so when it has ended and its exit is not
 * drained yet: then its facts come after its exit. It is no new process. One that runs another
 * program by exec has the same start time, and has not exited.
 */
bool table_is_of_the_dead(struct table *t, const struct dp_record *facts);
/* Has it left, and has its entry another process that came later? */
bool table_is_superseded(const struct table *t, const struct node *n);
/* Makes the slot that of the process `pid`, first seen at t_ns. */
void node_clear(struct node *n, uint32_t pid, uint64_t t_ns);

#endif
