/* SPDX-License-Identifier: MIT */
/* The summary at the end: totals, one line for each node, the end. */
#ifndef DORA_PROBE_MODEL_SUMMARY_H
#define DORA_PROBE_MODEL_SUMMARY_H

#include "model/table.h"

/* Says all of it; `records` were seen and `lost` known to be missing. */
void summary_say(const struct env *e, struct table *t, uint64_t records, uint64_t lost);

#endif
