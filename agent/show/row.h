/* SPDX-License-Identifier: MIT */
/*
 * The row of the text: time, node, kind, and behind them the sentence of a finding. What is printed
 * below a row stands under its sentence.
 */
#ifndef DORA_PROBE_ROW_H
#define DORA_PROBE_ROW_H

#include "show/render.h"

enum paint { PLAIN, DIM, BOLD, YELLOW, RED };

/* The sequence that turns each paint on; "\033[0m" turns it off. */
extern const char *const row_paints[RED + 1];

/* s made printable, in that paint where colour is wanted. Returns its columns. */
size_t put_paint(struct dp_line *l, int colour, enum paint p, const char *s);
/*
 * Begins a row: time, node, kind, with the date on a line before where it has changed. What follows
 * is the sentence; the caller ends the line.
 */
void row_begin(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f, const char *kind, enum paint paint);
/* Columns before the sentence of a row, as wide as the names so far make them. */
size_t row_indent(const struct dp_text_state *s);
/* A whole line under a row, below its sentence. */
void row_below_begin(struct dp_line *l, const struct dp_text_state *s);
void row_below(struct dp_line *l, const struct dp_text_state *s, const char *text);
/* True when this advice was not given lately about this process; from now on it was. */
int row_is_new_advice(struct dp_text_state *s, uint32_t pid, const char *advice);

#endif
