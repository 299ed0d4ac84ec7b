/* SPDX-License-Identifier: MIT */
/*
 * How a node is told to stop: on the wire, by the daemon's signals.
 */
#ifndef DORA_PROBE_MODEL_STOP_H
#define DORA_PROBE_MODEL_STOP_H

#include "model/deadline.h"
#include "model/say.h"

/* A frame without a token. */
void stop_wire(struct stop *s, const struct env *e, struct identity *id, const struct dp_record *r);
/* The daemon's own SIGTERM or SIGKILL. */
void stop_signal(struct stop *s, const struct env *e, struct identity *id, uint32_t signal,
		 uint64_t t_ns);

#endif
