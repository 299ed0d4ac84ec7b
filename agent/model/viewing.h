/* SPDX-License-Identifier: MIT */
/* A node as metrics and the live view see it. */
#ifndef DORA_PROBE_MODEL_VIEWING_H
#define DORA_PROBE_MODEL_VIEWING_H

#include "dora_probe/finding.h"

#include <stdbool.h>
#include <stdint.h>

struct env;
struct node;

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
	uint64_t not_polling_ns; /* so long its consumer is away from next(); 0 not proven */
	bool not_polling;        /* a warning says that it is */
	uint64_t pending_tokens, oldest_pending_ns;
	bool stop_seen, deadline_known;
	uint8_t deadline_source; /* enum dp_deadline_source */
	uint64_t stop_ns, deadline_ns;
	uint64_t watchdog_ns; /* a watchdog of dora's ends it then, and that was warned of; 0 not */
	int64_t slack_ns;
	uint64_t need_ns;  /* what a stop now would take, DP_NULL unknown */
	uint64_t grace_ns; /* from Stop to the first deadly signal, 0 unknown */
	/* what its time went to, of the last five seconds; a negative ratio: not known */
	struct dp_estimate gil_held, gil_wait, running_without_gil, blocked;
	/* totals since it was first seen */
	uint64_t held_ns, holds, waits, wait_ns;
	uint64_t tokens, tokens_returned, tokens_abandoned, tokens_lost, token_gil_ns;
	uint64_t max_hold_ns, max_pending_ns, recommended_grace_ns;
	const char *max_hold_function; /* NULL unknown */
};

/* `superseded` is left false: it takes the table. */
void node_view(const struct env *e, const struct node *n, struct dp_node_view *ret);

#endif
