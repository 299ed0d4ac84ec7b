/* SPDX-License-Identifier: MIT */
/*
 * What stands on the screen of the live view, as lines of text: no terminal, no clock, no I/O. The
 * terminal's side is view.h. Strings of a target are made printable here.
 */
#ifndef DORA_PROBE_VIEW_PANEL_H
#define DORA_PROBE_VIEW_PANEL_H

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"
#include "model/model.h"

#define DP_PANEL_MESSAGES    200
#define DP_PANEL_MESSAGE_MAX 512 /* bytes of one, with its NUL */
#define DP_PANEL_WIDTH_MIN   40  /* below, nothing could be read */
#define DP_PANEL_HEIGHT_MIN  8
#define DP_PANEL_LINE_BYTES  2048 /* of a line on the screen, however wide it is */
/* One that has left is shown for this long, unless it is selected. */
#define DP_PANEL_GONE_NS MIN

/* How a line looks; what each becomes is the terminal's business. */
enum dp_panel_mood {
	DP_MOOD_PLAIN,
	DP_MOOD_DIM,
	DP_MOOD_HEADING,
	DP_MOOD_BAR,
	DP_MOOD_NOTICE,
	DP_MOOD_ALARM,
	DP_MOOD_COUNT
};
#define DP_MOOD_SELECTED 0x80u /* or-ed in */

/* A node as it was at one moment: a copy, so that a paused screen stays what it was. */
struct dp_panel_row {
	struct dp_node_view v; /* its pointers are not set: the copies below are meant */
	struct dp_rec_node facts;
	char thread[64];
	char function[DP_FUNCTION_MAX], file[DP_FILE_MAX], library[DP_LIBRARY_MAX];
	char max_hold_function[DP_FUNCTION_MAX];
};

/* A line that text mode would have printed, already printable. */
struct dp_panel_message {
	uint32_t pid;
	uint8_t mood;
	uint8_t under; /* belongs to the one before */
	char text[DP_PANEL_MESSAGE_MAX];
};

/* The last ones, in a ring: number n of all is at[n % DP_PANEL_MESSAGES]. */
struct dp_panel_messages {
	struct dp_panel_message at[DP_PANEL_MESSAGES];
	uint64_t count;
};

struct dp_panel {
	const struct dp_panel_row *rows; /* sorted */
	unsigned int row_count;
	const struct dp_panel_messages *messages;
	uint64_t now_ns;
	int64_t wall_offset_ns;          /* DP_SNULL unknown */
	uint64_t warnings, records_lost; /* so far */
	uint32_t selected_pid;           /* 0: the first row */
	uint64_t selected_start;
	int paused, keys; /* keys: can any be read? */
	/* --warn-hold and --pending-threshold, in ns: from where a node stands out */
	uint64_t warn_hold_ns, pending_ns;
};

/* Takes the copies. */
void dp_panel_row_from(struct dp_panel_row *row, const struct dp_node_view *v);

/*
 * The node that needs a look first: smallest slack, then the oldest pending token, then the current
 * hold, those that left at the end. The last two count in steps of 100 ms: rows that change places
 * with every hand-over of the GIL could not be read.
 */
void dp_panel_sort(struct dp_panel_row *rows, unsigned int count);

/* Index of the selected row; 0 when it is not there. */
unsigned int dp_panel_selected(const struct dp_panel *p);

/*
 * Keeps text (len bytes, one line or several, without colours) as messages. What is longer than a
 * message is cut between two characters.
 */
void dp_panel_keep(struct dp_panel_messages *m, uint32_t pid, uint8_t mood, const char *text,
		   size_t len);

/* "310us", "45ms", "1.2s", "2m03s", "1h02m", "3d04h": cut, 6 columns at most up to 99 days. */
char *dp_panel_duration(uint64_t ns, char *buf, size_t len);

/* Called for each line from the top: at most `width` columns of UTF-8, NUL-terminated. */
typedef void (*dp_panel_put)(void *ctx, int y, unsigned int mood, const char *text);
void dp_panel_draw(const struct dp_panel *p, int width, int height, dp_panel_put put, void *ctx);

#endif
