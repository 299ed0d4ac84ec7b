/* SPDX-License-Identifier: MIT */
/* What the parts of the screen ask about a row (panel.h). */
#ifndef DORA_PROBE_VIEW_ROWS_H
#define DORA_PROBE_VIEW_ROWS_H

#include "view/panel.h"

/* Its name, or "pid 1234" in buf. */
const char *node_name(const struct dp_panel_row *r, char *buf, size_t len);
/* How the row of a node looks, by what is to be noticed about it. */
unsigned int mood_of(const struct dp_panel *p, const struct dp_panel_row *r);

#endif
