/* SPDX-License-Identifier: MIT */
/*
 * Text that fits into so many columns. Strings are valid UTF-8 that may be shown, as dp_line_text
 * leaves it; put_cell alone takes any.
 */
#ifndef DORA_PROBE_VIEW_CELLS_H
#define DORA_PROBE_VIEW_CELLS_H

#include <stddef.h>
#include <stdint.h>

#include "show/line.h"

/* A buffer that is drawn as one line. */
struct text {
	struct dp_line l;
};

/* Ends it and returns the whole; "" for one that did not fit. Valid until it is next written to. */
const char *text_end(struct text *t);

size_t columns_of(const char *s);
/* Bytes of s that fit into `width` columns. */
size_t fitting(const char *s, size_t width);
/*
 * Bytes of the part of s that goes into one line: to the last blank that fits, or to the edge where
 * a word is longer than the line. At least one character.
 */
size_t line_end(const char *s, size_t width);
/* A cell: s made printable, cut with an ellipsis or filled up to exactly `width` columns. */
void put_cell(struct dp_line *l, const char *s, size_t width, int right);
/* A slack as "1.2s" or "-1.2s", cut towards less time: it is never shown larger than it is. */
char *slack_text(int64_t ns, char *buf, size_t len);

#endif
