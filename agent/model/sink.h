/* SPDX-License-Identifier: MIT */
/* The way out for the model's findings and requests. */
#ifndef DORA_PROBE_MODEL_SINK_H
#define DORA_PROBE_MODEL_SINK_H

#include "dora_probe/finding.h"
#include "dora_probe/request.h"

struct dp_model_sink {
	void (*finding)(void *ctx, const struct dp_finding *f);
	void (*request)(void *ctx, const struct dp_request *r);
	void *ctx;
};

#endif
