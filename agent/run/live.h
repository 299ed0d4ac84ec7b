/* SPDX-License-Identifier: MIT */
/*
 * The live run: one thread, one loop. Captures and samples become records, records are merged by
 * time, recorded and fed to the model; its findings are shown, its requests executed.
 */
#ifndef DORA_PROBE_LIVE_H
#define DORA_PROBE_LIVE_H

#include <stdbool.h>

#include "run/acting.h"
#include "show/show.h"

struct dp_live_options {
	struct dp_wanted wanted;
	struct dp_rec_options model; /* what the model is told */
	uint64_t exact_ns;           /* of model.exact; 0: the whole run */
	uint64_t share_interval_ns;  /* between two lines about shares; 0 none */
	uint64_t duration_ns;        /* 0: until it is ended */
	double max_overhead;         /* per cent of a core per watched process */
	struct dp_show_options show;
	bool view;               /* the live view instead */
	const char *record;      /* NULL: no recording. Strings must outlive the run */
	const char *listen_addr; /* numeric; NULL: no endpoint */
	uint16_t listen_port;
	struct dp_acting_options acting;
	void (*say)(void *ctx, const char *sentence); /* to the user, beside the findings */
	void *ctx;
};

/* What had failed, so that an exit code can be told. */
enum dp_live_failure { DP_LIVE_TARGET = 1, DP_LIVE_ENDPOINT, DP_LIVE_USER, DP_LIVE_OTHER };

struct dp_live_result {
	enum dp_live_failure failed; /* with an error: in what */
	unsigned int nodes_seen;
	bool never_seen; /* what was asked for by pid has left before anything was known of it */
	bool warned;
	int output_error;
};

/*
 * Runs to its end. 0, or -errno with a sentence in `why`, which is "" where every refused process
 * has had its own.
 */
int dp_live_run(const struct dp_live_options *o, struct dp_live_result *ret, char *why,
		size_t why_len);

#endif
