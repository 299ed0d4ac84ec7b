/* SPDX-License-Identifier: MIT */
/* From looks, edges and waits to holds: the records that move the GIL timeline of a process. */
#ifndef DORA_PROBE_MODEL_TIMELINE_H
#define DORA_PROBE_MODEL_TIMELINE_H

#include "model/gil.h"

/* A record of the GIL's own: look, wait, release, edge hold, off the CPU, run. */
void timeline_record(const struct timeline_of *p, const struct dp_record *r);
/* The answer to a request for a stack. */
void timeline_stack(struct timeline *t, const struct dp_record *r);
/*
 * Settles what has waited, and asks for the stacks of candidates. With `stopping` they are read
 * more often, since the guard wants to know what the holder is doing.
 */
void timeline_tick(const struct timeline_of *p, bool stopping);
/* Has the main GIL's candidate been at one bytecode position for long? */
bool timeline_is_stuck(const struct timeline *t);
/* Records were lost: up to t_ns the absence of releases proves nothing. */
void timeline_loss(struct timeline *t, uint64_t t_ns);
/* The switches of its threads are not looked at for a while: who waits now may end that unseen. */
void timeline_switches_unseen(struct timeline *t, uint64_t t_ns);
void timeline_thread_exit(const struct timeline_of *p, uint32_t tid, uint64_t t_ns);
/* The process, or the probe, ends: everything is settled. */
void timeline_end(const struct timeline_of *p, uint64_t t_ns, bool probe_ends);

#endif
