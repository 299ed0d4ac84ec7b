/* SPDX-License-Identifier: MIT */
/*
 * The grace period that a node, and a dataflow, needs: from what was measured, and null where that
 * does not say. Pure functions; durations in ns.
 */
#ifndef DORA_PROBE_RECOMMEND_H
#define DORA_PROBE_RECOMMEND_H

#include "dora_probe/finding.h"

#define DP_RECOMMENDATION_MAX 256

struct dp_measured {
	const char *node;              /* for the sentence; NULL unnamed */
	uint64_t holds;                /* number of holds that ended */
	uint64_t max_hold_ns;          /* longest of them */
	const char *max_hold_function; /* NULL unknown */
	uint64_t stops; /* number of clean-ups measured: a Stop that ended in an exit by itself */
	uint64_t max_cleanup_ns; /* longest: from the end of the hold at Stop, or from Stop, to exit
				  */
	int64_t least_margin_ns; /* deadline - exit of the closest call; DP_SNULL never stopped */
	uint64_t killed_after_ns; /* ended by the daemon this long after Stop; 0 never */
	uint8_t hold_unfinished;  /* a hold was still going on at the end, of whatever length */
	uint8_t observable;       /* its GIL could be seen */
};

/*
 * Recommended grace of one node, rounded up to half seconds; `text` says how it came about, or why
 * there is none. 0; -ENODATA nothing to go by (DP_NULL is right).
 */
int dp_recommend(const struct dp_measured *m, uint64_t *ret_ns, char *text, size_t text_len);

/*
 * Of a whole dataflow: the largest of its nodes. Null when a node that matters has none: one whose
 * hold is unfinished, or that was killed. Nodes of which nothing could be seen are named as left
 * out.
 */
int dp_recommend_all(const struct dp_measured *m, size_t count, uint64_t *ret_ns, char *text,
		     size_t text_len);

#endif
