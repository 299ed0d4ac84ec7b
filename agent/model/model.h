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

#include <stdbool.h>

struct dp_model;

/* A snapshot of one node for metrics and the live view. Strings live as long as the node. */
struct dp_node_view {
	uint32_t pid;
	bool gone; /* not watched any more; kept until its series expire */
	uint64_t gone_ns;
	const struct dp_rec_node *facts;
	/* now */
	uint64_t hold_ns; /* current proven hold, 0 none */
	uint32_t holder_tid;
	struct dp_place place;
	uint64_t pending_tokens, oldest_pending_ns;
	bool stop_seen, deadline_known;
	uint64_t stop_ns, deadline_ns;
	int64_t slack_ns;
	uint64_t need_ns;  /* what a stop now would take, DP_NULL unknown */
	uint64_t grace_ns; /* from Stop to the first deadly signal, 0 unknown */
	/* totals since it was first seen */
	uint64_t held_ns, holds, waits, wait_ns;
	uint64_t tokens, tokens_returned, tokens_abandoned, tokens_lost, token_gil_ns;
	uint64_t max_hold_ns, max_pending_ns, recommended_grace_ns;
	const char *max_hold_function; /* NULL unknown */
};

/*
 * All memory that the model will ever use. NULL when there is none. The sink's functions are called
 * from dp_model_feed only; what a finding points at is valid during the call.
 */
struct dp_model *dp_model_new(const struct dp_model_sink *sink);
void dp_model_free(struct dp_model *m);

/* Eats one record. Bytes beyond r->h.size are not read. Never fails. */
void dp_model_feed(struct dp_model *m, const struct dp_record *r);

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
