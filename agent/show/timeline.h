/* SPDX-License-Identifier: MIT */
/*
 * A run as one page: for each node a picture of its holds, waits and token lives over time, and the
 * findings as text below. The page is self-contained: no script, nothing fetched, well-formed XML.
 */
#ifndef DORA_PROBE_TIMELINE_H
#define DORA_PROBE_TIMELINE_H

#include <stdio.h>

#include "dora_probe/finding.h"

/* Spans drawn at most; of more the shortest are left out, and the page says how many. */
#define DP_TIMELINE_MAX       20000
#define DP_TIMELINE_NODES_MAX 256

struct dp_timeline;

/* NULL: no memory. */
struct dp_timeline *dp_timeline_new(void);
void dp_timeline_free(struct dp_timeline *t);
void dp_timeline_finding(struct dp_timeline *t, const struct dp_finding *f);
/* Holds shorter than this are drawn but not listed in the text; 0 at first. */
void dp_timeline_set_hold_threshold(struct dp_timeline *t, uint64_t ns);
/* Writes the page: 0 or -errno. Findings may not be added afterwards. */
int dp_timeline_write(struct dp_timeline *t, FILE *out);

#endif
