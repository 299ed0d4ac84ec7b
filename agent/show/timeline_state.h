/* SPDX-License-Identifier: MIT */
/* What timeline.c collects and timeline_page.c draws. Private to the two. */
#ifndef DORA_PROBE_TIMELINE_STATE_H
#define DORA_PROBE_TIMELINE_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "show/render.h"
#include "show/timeline.h"

#define LABEL_MAX 256
#define TEXT_MAX  (4u * 1024 * 1024)

enum timeline_kind { HOLD, WAIT, TOKEN, MARK };

struct timeline_item {
	uint64_t start, end;
	uint32_t pid;
	uint8_t kind;
	const char *style; /* a class of the page's style sheet */
	char label[LABEL_MAX];
};

struct timeline_node {
	uint32_t pid;
	char name[DP_ID_MAX + 16];
};

struct dp_timeline {
	struct timeline_item *items;
	size_t count;
	uint64_t left_out;
	uint64_t longest_left_out_ns;
	struct timeline_node nodes[DP_TIMELINE_NODES_MAX];
	size_t node_count;
	int nodes_left_out;
	uint64_t first_ns, last_ns;
	int64_t wall_offset_ns;
	uint64_t hold_threshold_ns; /* of the text */
	struct dp_line text;
	struct dp_text_state text_state;
	int text_cut;
};

/* Leaves out the shortest spans beyond DP_TIMELINE_MAX, and counts them. */
void timeline_keep_longest(struct dp_timeline *t);

#endif
