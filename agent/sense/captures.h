/* SPDX-License-Identifier: MIT */
/* Captures of the kernel programs become records, and the watched processes are told. */
#ifndef DORA_PROBE_CAPTURES_H
#define DORA_PROBE_CAPTURES_H

#include "sense/targets.h"

/* Where they go. Everything is the caller's. */
struct dp_captures {
	struct dp_wire *wire;
	struct dp_targets *targets;
	void (*record)(void *ctx, const struct dp_record *r);
	void (*exited)(void *ctx, pid_t pid); /* a process has ended */
	void *ctx;
};

/* One capture; what is too short for its type is left out. */
void dp_captures_take(const struct dp_captures *c, const struct dp_capture *h, size_t len);

#endif
