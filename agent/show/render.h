/* SPDX-License-Identifier: MIT */
/* Inside show/: one finding into one line (or none), by format. Nothing here does I/O. */
#ifndef DORA_PROBE_RENDER_H
#define DORA_PROBE_RENDER_H

#include "dora_probe/finding.h"
#include "show/line.h"
#include "show/show.h"

/* What the text of earlier findings left behind: column widths, the last date, the summary. */
#define DP_TEXT_ADVISED 64
#define DP_TEXT_ALIKE   8

/* Tokens of one way that end alike at about the same time: some are shown, the others counted. */
struct dp_text_alike {
	char way[4 * DP_ID_MAX]; /* "sender/output to receiver" */
	uint32_t pid, shown, hidden;
	uint8_t state;
	int8_t cause;
	uint64_t last_ns;           /* of the last of them, shown or not */
	uint64_t least_ns, most_ns; /* of those not shown, how long they were pending */
};

struct dp_text_state {
	size_t name_width;
	int day;
	struct dp_line table; /* rows of the summary, until SUMMARY_END */
	int in_summary;
	uint32_t rows;
	uint32_t late_rows; /* of processes that ran before the probe came */
	/* Advice given lately: the same is not repeated under every line about the same process. */
	struct {
		uint32_t pid, hash;
	} advised[DP_TEXT_ADVISED];
	uint32_t advised_next;
	struct dp_text_alike alike[DP_TEXT_ALIKE];
};

/* The summary's JSON line grows over several findings. */
struct dp_json_state {
	struct dp_line summary;
	int in_summary;
	uint32_t nodes, nodes_left_out;
};

/* Would any format print it? (print flag of tokens, hold threshold) */
int dp_finding_passes(const struct dp_finding *f, const struct dp_show_options *o);
/* "held" in sentences about holds: the proven length, end − start; 0 where not known. */
uint64_t dp_hold_duration(const struct dp_hold_finding *h);

void dp_render_json(struct dp_line *l, struct dp_json_state *s, const struct dp_finding *f);
void dp_render_text(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		    const struct dp_finding *f);
/* The lines on tokens that were counted and not shown, of those before `until_ns`; or none. */
void dp_render_text_alike(struct dp_line *l, struct dp_text_state *s, uint64_t until_ns);

#endif
