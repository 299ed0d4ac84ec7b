/* SPDX-License-Identifier: MIT */
/*
 * Warnings about what a node's time goes to: the GIL held most of the time in pieces too short to be
 * warned of one by one, and a convoy. While there is reason to, the holder's stack is read five times a
 * second, so that a place can be named.
 */
#ifndef DORA_PROBE_MODEL_USAGE_H
#define DORA_PROBE_MODEL_USAGE_H

#include "model/node.h"

/* A second's shares: says the line that is due, raises and ends the warnings. */
void usage_stretch(const struct env *e, struct node *n, const struct dp_record *r);
/* A record about the GIL of the process. */
void usage_gil(struct node *n, const struct dp_record *r);
/* Asks for the holder's stack where there is reason to. */
void usage_tick(const struct env *e, struct node *n);
/* A stack of some thread of the process. */
void usage_stack(struct node *n, const struct dp_record *r);
/* The process or the probe ends: says what has come together since the last line. */
void usage_end(const struct env *e, struct node *n, uint64_t t_ns);

#endif
