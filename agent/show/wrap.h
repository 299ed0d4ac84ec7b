/* SPDX-License-Identifier: MIT */
/* Text that is not wider than wanted: a line goes on below, under where its sentence began. */
#ifndef DORA_PROBE_WRAP_H
#define DORA_PROBE_WRAP_H

#include "show/line.h"

/* How much further to the right a line goes on: what is told below it stands under its beginning. */
#define DP_WRAP_FURTHER 2

/*
 * Adds whole lines of text to `to`. One that is wider than `columns` is broken at spaces, and what
 * follows is indented by `indent` columns, or, for 0, by DP_WRAP_FURTHER more than the line itself.
 * A word that is wider than that stays whole, since a path is to be copied. Every character counts
 * as one column, colour sequences as none.
 */
void dp_wrap(struct dp_line *to, const char *text, size_t len, size_t columns, size_t indent);

#endif
