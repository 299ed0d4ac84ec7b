/* SPDX-License-Identifier: MIT */
/*
 * What the parts of the model share without owning it: the model's time, the user's options, and
 * the way out for findings, requests and losses.
 */
#ifndef DORA_PROBE_MODEL_SAY_H
#define DORA_PROBE_MODEL_SAY_H

#include "model/commands.h"
#include "model/sink.h"

/* One per model, written by model.c alone. */
struct env {
	uint64_t now;           /* time of the newest record */
	int64_t wall_offset_ns; /* DP_SNULL unknown */
	struct dp_rec_options options;
	struct commands commands;
	uint8_t level; /* enum dp_level */
	struct dp_model_sink sink;
};

/*
 * Says the finding `f`, true since t_ns, about the process `id` (NULL: about none). A process whose
 * own line is not out yet is introduced first. Fills the finding's head.
 */
void say_finding(const struct env *e, struct identity *id, uint64_t t_ns, struct dp_finding *f);
/* Says the `node` line of the process. */
void say_node(const struct env *e, struct identity *id, uint64_t t_ns);
/* Asks for `q` about the process; fills pid and start time. */
void say_request(const struct env *e, const struct identity *id, struct dp_request *q);

#endif
