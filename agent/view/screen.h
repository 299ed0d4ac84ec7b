/* SPDX-License-Identifier: MIT */
/* The screen in the making: lines from the top, each ended in one of three ways. Private to view/. */
#ifndef DORA_PROBE_VIEW_SCREEN_H
#define DORA_PROBE_VIEW_SCREEN_H

#include "show/line.h"
#include "view/cells.h"
#include "view/panel.h"

struct screen {
	const struct dp_panel *p;
	int width, height, y;
	dp_panel_put put;
	void *ctx;
	struct text t; /* the line in the making */
	int flow;      /* the table has a column for the dataflow */
	size_t name_width, flow_width, gil_width;
};

/* Empties the line in the making and returns it. */
struct dp_line *screen_begin(struct screen *s);
/* Puts the text, cut at the edge, on the next line; nothing below the last. */
void screen_put(struct screen *s, unsigned int mood, const char *text);
/* Puts the line in the making. */
void screen_end(struct screen *s, unsigned int mood);
/* Puts the line in the making, filled up to the edge, so that a bar or a selection covers it. */
void screen_end_wide(struct screen *s, unsigned int mood);
/*
 * Puts the line in the making over as many lines as it takes but no more than up to `limit`; all but the first are
 * indented.
 */
void screen_end_wrapped(struct screen *s, unsigned int mood, size_t indent, int limit);

/* ---- the parts, each from s->y on ---- */

/* Shares the columns out; before table_draw. */
void table_measure(struct screen *s);
/* The nodes, `shown` of them, so that the selected one is among them. */
void table_draw(struct screen *s, unsigned int selected, unsigned int shown);
/* All about one node, down to `limit` at most. */
void detail_draw(struct screen *s, const struct dp_panel_row *r, int limit);
/* The newest messages (of one process, or pid 0: of all) that fit above `limit`, oldest first. */
void messages_draw(struct screen *s, uint32_t pid, int limit);

#endif
