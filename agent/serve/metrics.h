/* SPDX-License-Identifier: MIT */
/*
 * What the probe knows as Prometheus metrics. Counts events from findings, takes states and totals
 * from the model's node views, and writes the lot as OpenMetrics 1.0 or as text 0.0.4. The list of
 * metrics is dora_probe/metrics.h.
 *
 * Series belong to (dataflow, node), never to a pid: a restarted node goes on counting where the
 * last process ended. Memory is allocated by dp_metrics_new and does not grow.
 */
#ifndef DORA_PROBE_SERVE_METRICS_H
#define DORA_PROBE_SERVE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "dora_probe/finding.h"
#include "dora_probe/metrics.h"
#include "model/model.h"

#define DP_METRICS_NODES        DP_MAX_TARGETS
#define DP_METRICS_EXPIRY_NS    (300 * SEC)
#define DP_METRICS_PROGRAMS_MAX 64
#define DP_METRICS_BODY_MAX     (16u << 20) /* an exposition that would be longer is refused */
/* OpenMetrics 1.0, "Exemplars": names and values together */
#define DP_METRICS_EXEMPLAR_CHARS 128

enum dp_metrics_format { DP_METRICS_TEXT, DP_METRICS_OPENMETRICS, DP_METRICS_FORMAT_COUNT };

struct dp_metrics_program {
	const char *name;
	uint64_t run_ns;
};

/* The agent's own numbers, totals since start. */
struct dp_metrics_cost {
	uint64_t records;
	uint64_t losses[DP_LOSS_COUNT];
	double overhead_ratio; /* share of a core per watched process; negative: unknown */
	uint32_t sources;      /* bit per enum dp_source that is on */
	unsigned int program_count;
	const struct dp_metrics_program *programs; /* read during the call */
};

/* A text that grows up to DP_METRICS_BODY_MAX. Zeroed is empty. buf is freed by the owner. */
struct dp_metrics_text {
	char *buf;
	size_t len, cap;
	int error; /* first failure, -errno; sticky until len is reset */
};

struct dp_metrics;

/*
 * `version` is shown in build_info; a NULL views->count means no views. NULL without memory.
 * `views` is copied, its ctx must outlive the metrics.
 */
struct dp_metrics *dp_metrics_new(const char *version, const struct dp_node_views *views);
void dp_metrics_free(struct dp_metrics *m);

/* Counts a finding. Each finding once, in the model's order. Never fails. */
void dp_metrics_finding(struct dp_metrics *m, const struct dp_finding *f);

/* Takes over the agent's own numbers. Totals that fall are ignored. */
void dp_metrics_cost(struct dp_metrics *m, const struct dp_metrics_cost *c);

/*
 * Reads all views and lets series of nodes that left DP_METRICS_EXPIRY_NS ago go. `now_ns` is
 * CLOCK_MONOTONIC. Rendering does it too; calling it once a minute keeps totals right when nobody
 * scrapes.
 */
void dp_metrics_refresh(struct dp_metrics *m, uint64_t now_ns);

/*
 * Writes the exposition into `t` from its beginning, reusing its memory. 0; -ENOMEM; -EFBIG beyond
 * DP_METRICS_BODY_MAX. On failure the text is not to be sent.
 */
int dp_metrics_render(struct dp_metrics *m, enum dp_metrics_format format, uint64_t now_ns,
		      struct dp_metrics_text *t);

/* How long the last rendering took, as the next one will show. */
void dp_metrics_rendered(struct dp_metrics *m, uint64_t duration_ns);

/* The Content-Type of a format. Static string. */
const char *dp_metrics_content_type(enum dp_metrics_format format);

/* One entry of the list: for the documentation and the tests. NULL beyond the last. */
struct dp_metric_def {
	enum dp_metric_type type;
	enum dp_metric_scope scope;
	const char *family; /* with the prefix */
	const char *unit;
	const char *labels; /* comma-separated, without those of the scope */
	const char *help;
};
const struct dp_metric_def *dp_metric_def(unsigned int id);

#endif
