/* SPDX-License-Identifier: MIT */
/* What the metrics and the live view see of the model: a snapshot for each process. */
#ifndef DORA_PROBE_MODEL_NODE_VIEW_H
#define DORA_PROBE_MODEL_NODE_VIEW_H

#include "dora_probe/finding.h"

#include <stdbool.h>

/* A snapshot of one node for metrics and the live view. Strings live as long as the node. */
struct dp_node_view {
	uint32_t pid;
	bool gone;       /* not watched any more; kept until its series expire */
	bool superseded; /* gone, and its node has another process since: only its totals count */
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

/* Where a reader of node views has them from: dp_model_node_count() and dp_model_node_view(), with the model as `ctx`. */
struct dp_node_views {
	unsigned int (*count)(const void *ctx);
	int (*view)(const void *ctx, unsigned int i, struct dp_node_view *ret);
	const void *ctx;
};

#endif
