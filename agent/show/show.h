/* SPDX-License-Identifier: MIT */
/*
 * Findings as lines: text for a person, or JSON. Both take findings only, so live and replay print
 * the same. Output is buffered per finding and written whole.
 */
#ifndef DORA_PROBE_SHOW_H
#define DORA_PROBE_SHOW_H

#include <stdbool.h>
#include <stddef.h>

#include "dora_probe/finding.h"

enum dp_show_format { DP_SHOW_TEXT, DP_SHOW_JSON, DP_SHOW_NOTHING };

struct dp_show;

struct dp_show_options {
	int fd;
	enum dp_show_format format;
	bool colour;    /* text */
	int verbose;    /* text: -1 quiet (warnings, actions, exits, summary), 0, 1 (all) */
	size_t columns; /* text: lines wider than this go on below; 0 no limit */
	uint64_t hold_threshold_ns;
};

struct dp_show *dp_show_new(const struct dp_show_options *o);
void dp_show_free(struct dp_show *s);
/*
 * 0; -EPIPE the reader has gone (the caller ignores SIGPIPE); -ENOBUFS the reader has not read for
 * so long that this finding was left out whole; other -errno of the write. A slow reader holds the
 * caller up for DP_SHOW_WAIT_MS at most: what it has not taken by then is kept for the next call.
 */
int dp_show_finding(struct dp_show *s, const struct dp_finding *f);
/*
 * To be called now and then while nothing is found: the text holds tokens back that end alike, and
 * tells their number when no more of them come. Returns as dp_show_finding. `now_ns`: dp_now().
 */
int dp_show_waiting(struct dp_show *s, uint64_t now_ns);
#define DP_SHOW_WAIT_MS     100
#define DP_SHOW_BACKLOG_MAX (1024 * 1024) /* bytes kept for a slow reader */

/* Replay: the recording's own threshold is known only when its options come. */
void dp_show_set_hold_threshold(struct dp_show *s, uint64_t ns);

/* Is `fd` a terminal that wants colour? No with NO_COLOR (https://no-color.org) or TERM=dumb. */
int dp_show_colour_wanted(int fd);
/* Columns for text on `fd`: the terminal's, or DP_SHOW_COLUMNS where it is none. */
size_t dp_show_columns_wanted(int fd);
#define DP_SHOW_COLUMNS 100
/* The JSON `event` of a finding type; "?" outside the list. Static string. */
const char *dp_event_name(unsigned int type);

/* RFC 3339 UTC with microseconds from CLOCK_REALTIME ns: "2026-11-23T07:02:27.123456Z". */
char *dp_format_time(int64_t wall_ns, char *buf, size_t len);
/* Local time of day "07:02:27.123"; *ret_day is the local date as the number 20261123. */
char *dp_format_local_time(int64_t wall_ns, char *buf, size_t len, int *ret_day);
/* "512 B", "1.0 MB" (powers of 1000), cut. */
char *dp_format_bytes(uint64_t bytes, char *buf, size_t len);
/* dp_signal_text() */
char *dp_format_signal(uint32_t sig, char *buf, size_t len);
/* A drop token as its uuid; 37 bytes. */
char *dp_format_token(const uint8_t token[DP_TOKEN_LEN], char *buf, size_t len);
/* Has it an id? One whose delivery nobody saw has none. */
int dp_token_is_known(const uint8_t token[DP_TOKEN_LEN]);

#endif
