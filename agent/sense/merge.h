/* SPDX-License-Identifier: MIT */
/*
 * Puts records of several sources into one order by (time, cpu, sequence). The kernel's records
 * arrive up to tens of microseconds out of order, the agent's own at their own pace: what is older
 * than the watermark leaves, in order; what comes later than that is flagged DP_F_LATE, given the
 * time of the last record that left, and counted.
 */
#ifndef DORA_PROBE_MERGE_H
#define DORA_PROBE_MERGE_H

#include <stdint.h>

#include "dora_probe/record.h"

#define DP_MERGE_WATERMARK_NS 5000000ULL
/* An 8 MiB ring full of the smallest captures, drained at once, still fits. */
#define DP_MERGE_MAX         131072
#define DP_MERGE_ARENA_BYTES (32u * 1024 * 1024)

struct dp_merge;

struct dp_merge *dp_merge_new(void); /* NULL: no memory */
void dp_merge_free(struct dp_merge *m);
/*
 * Copies r. 0; -ENOBUFS when DP_MERGE_MAX records or DP_MERGE_ARENA_BYTES wait (counted by the caller
 * as ring_full); -EINVAL when r->h.size is not that of its type.
 */
int dp_merge_push(struct dp_merge *m, const struct dp_record *r);
/* Next record older than `until_ns` into *ret: 1, or 0 when there is none. */
int dp_merge_pop(struct dp_merge *m, uint64_t until_ns, struct dp_record *ret);
/*
 * A record that waits, with `n` others before it, as far as that is known without sorting; NULL there is none. Valid until
 * the next push or pop.
 */
const struct dp_record *dp_merge_waiting(const struct dp_merge *m, uint32_t n);
uint64_t dp_merge_late(const struct dp_merge *m);

#endif
