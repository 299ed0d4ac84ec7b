/* SPDX-License-Identifier: MIT */
/* What a live run costs, for the endpoint. */
#ifndef DORA_PROBE_COST_H
#define DORA_PROBE_COST_H

#include <stdbool.h>

#include "sense/targets.h"
#include "serve/metrics.h"

/* Zeroed, but for `say`. */
struct dp_cost {
	void (*say)(void *ctx, const char *sentence);
	void *ctx;

	struct dp_metrics_cost told;
	struct dp_metrics_program programs[DP_METRICS_PROGRAMS_MAX];
	uint64_t window_ns[DP_METRICS_PROGRAMS_MAX]; /* run time when statistics were turned on */
	double programs_share;                       /* of a core; below 0 not known */
	uint64_t at_ns, cpu_ns, refreshed_ns;
	unsigned int round;
	bool stats_on, stats_refused;
};

/*
 * Share of a core per watched process: CPU time of the agent in a stretch of time, and the share of
 * its kernel programs. -1 when one of them is not known, or nothing is watched.
 */
double dp_cost_ratio(uint64_t cpu_ns, uint64_t stretch_ns, double programs_share,
		     unsigned int watched);
/* Once a second: the agent's own numbers into the metrics. `losses` by enum dp_loss. */
void dp_cost_tell(struct dp_cost *c, struct dp_bpf *b, struct dp_metrics *m,
		  const struct dp_targets *t, const uint64_t losses[DP_LOSS_COUNT],
		  uint64_t records);

#endif
