/* SPDX-License-Identifier: MIT */
/*
 * The model: a pure function from records to findings and requests. It reads no clock, does no I/O
 * and allocates only in dp_model_new, so a recording replayed gives the findings of the live run.
 *
 * Records must come in the merged order (sense/merge.h). Time advances by records alone.
 */
#ifndef DORA_PROBE_MODEL_H
#define DORA_PROBE_MODEL_H

#include "dora_probe/finding.h"
#include "dora_probe/record.h"
#include "dora_probe/request.h"
#include "model/sink.h"
#include "model/viewing.h"

#include <stdbool.h>

struct dp_model;

/*
 * All memory that the model will ever use. NULL when there is none. The sink's functions are called
 * from dp_model_feed only; what a finding points at is valid during the call.
 */
struct dp_model *dp_model_new(const struct dp_model_sink *sink);
void dp_model_free(struct dp_model *m);

/* Eats one record. Bytes beyond r->h.size are not read. Never fails. */
void dp_model_feed(struct dp_model *m, const struct dp_record *r);

/*
 * This record will be fed as the `ahead`-th after the one that is fed now: DP_MODEL_AHEAD, and again each DP_MODEL_STEP
 * later. What it will need is fetched from memory meanwhile. Says and changes nothing.
 */
#define DP_MODEL_AHEAD 6u
#define DP_MODEL_STEP  2u
void dp_model_expect(const struct dp_model *m, const struct dp_record *r, unsigned int ahead);

/* Number of nodes known, and a view of the i-th. 0, or -ENOENT beyond the last. */
unsigned int dp_model_node_count(const struct dp_model *m);
int dp_model_node_view(const struct dp_model *m, unsigned int i, struct dp_node_view *ret);

/* Where a reader of node views has them from: the two functions above with the model as `ctx`. */
struct dp_node_views {
	unsigned int (*count)(const void *ctx);
	int (*view)(const void *ctx, unsigned int i, struct dp_node_view *ret);
	const void *ctx;
};

#endif
