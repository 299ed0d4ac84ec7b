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
/* Somebody else than the node's own socket shows that Stop came at at_ns, which is in the past. */
void stop_by_witness(struct stop *s, const struct env *e, struct identity *id, enum dp_witness who,
		     uint64_t at_ns);
/* The daemon's own SIGTERM or SIGKILL. */
void stop_signal(struct stop *s, const struct env *e, struct identity *id, uint32_t signal,
		 uint64_t t_ns);

#endif
