/* SPDX-License-Identifier: MIT */
/* What happens to the daemon of watched nodes: signals that it is sent, and its end. */
#ifndef DORA_PROBE_MODEL_DAEMON_H
#define DORA_PROBE_MODEL_DAEMON_H

#include "model/table.h"

/* A signal to, or the exit of, a process that is no watched node; it may be the daemon of some. */
void daemon_record(struct table *t, const struct dp_record *r);
/* Warns of a node whose daemon has gone, while it lives on. */
void daemon_tick(const struct env *e, struct node *n);

#endif
