/* SPDX-License-Identifier: MIT */
/* What a live run has lost: gaps in the CPUs' numbers, and counters that grow, told as records. */
#ifndef DORA_PROBE_LOSSES_H
#define DORA_PROBE_LOSSES_H

#include "sense/bpf_source.h"
#include "sense/merge.h"
#include "sense/targets.h"

#define DP_SAMPLE_HZ 49ULL /* of cpu-clock on each CPU */
#define DP_CPUS_MAX  1024

/* Captures of one CPU that did not come. The ring that was full explains them, or nothing does. */
struct dp_cpu_sequence {
	uint32_t last;      /* highest number that came */
	uint64_t missing;   /* numbers below it that did not come, since the start */
	uint64_t ring_full; /* captures that the kernel counted as lost for a full ring */
	uint64_t told;      /* of the rest, told as a gap */
	uint64_t since_ns;  /* there has been an unexplained rest since; 0 there is none */
	uint64_t least;     /* the least that it was since */
};

/* Zeroed, but for the first block. */
struct dp_losses {
	void (*push)(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count);
	void *ctx;
	struct dp_targets *targets;
	uint64_t cpus_online; /* at the start */
	uint64_t thin_ns;     /* when thinned samples were told last; at first the start */

	struct dp_cpu_sequence cpus[DP_CPUS_MAX];
	uint64_t told[DP_LOSS_COUNT];
	uint64_t merge_full; /* records that the merger had no room for */
};

/* A capture has come. */
void dp_losses_sequence(struct dp_losses *l, const struct dp_capture *h);
/*
 * Tells the gaps that nothing has explained for a second. After the kernel's counts were read
 * (`ring_full` of each CPU), so that none of them is told a second time as a gap.
 */
void dp_losses_missing(struct dp_losses *l, uint64_t now);
/*
 * Tells what the counters of the kernel side and of the merger have grown by. Losses that spoil
 * findings are told at once, those that only thin samples out now and then; `last`: all now.
 */
void dp_losses_tick(struct dp_losses *l, struct dp_bpf *b, const struct dp_merge *m, int last);

#endif
