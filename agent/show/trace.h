/* SPDX-License-Identifier: MIT */
/*
 * Findings in the Chrome trace event format, which Perfetto (ui.perfetto.dev) and chrome://tracing
 * open: holds and waits as slices of their threads, token lives as asynchronous slices of their
 * receiver, the rest as instants. Format: "Trace Event Format", catapult project.
 */
#ifndef DORA_PROBE_TRACE_H
#define DORA_PROBE_TRACE_H

#include <stdio.h>

#include "dora_probe/finding.h"

struct dp_trace;

/* Begins the file on `out`, which stays the caller's. NULL: no memory. */
struct dp_trace *dp_trace_new(FILE *out);
void dp_trace_finding(struct dp_trace *t, const struct dp_finding *f);
/* Ends the file and frees. 0, or -errno when something could not be written. */
int dp_trace_end(struct dp_trace *t);

#endif
