/* SPDX-License-Identifier: MIT */
/*
 * The shared-memory file system full: a message that finds no room there ends its sender with SIGBUS,
 * at the first touch of a page that the kernel cannot give.
 */
#ifndef DORA_PROBE_MODEL_MEMORY_H
#define DORA_PROBE_MODEL_MEMORY_H

#include "model/node.h"

/* A look at the file system: warns from 95 % on, at 100 % critically; over below 90 %. */
void memory_record(const struct env *e, struct node *n, const struct dp_record *r);
/* What SIGBUS means for a process, as far as that is known. */
void memory_explain(const struct memory *m, char *ret, size_t len);

#endif
