// SPDX-License-Identifier: MIT
/* The nodes as they were at one moment: copies, and their order (rows.h, panel.h). */
#include "view/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

#define STEP (100 * MS)

static void copy(char *to, size_t len, const char *from)
{
	snprintf(to, len, "%s", from ? from : "");
}

void dp_panel_row_from(struct dp_panel_row *row, const struct dp_node_view *v)
{
	memset(row, 0, sizeof(*row));
	row->v = *v;
	if (v->facts)
		row->facts = *v->facts;
	copy(row->thread, sizeof(row->thread), v->place.thread);
	copy(row->function, sizeof(row->function), v->place.function);
	copy(row->file, sizeof(row->file), v->place.file);
	copy(row->library, sizeof(row->library), v->place.library);
	copy(row->max_hold_function, sizeof(row->max_hold_function), v->max_hold_function);
	row->v.facts = NULL;
	row->v.max_hold_function = NULL;
	row->v.place = (struct dp_place){.line = v->place.line};
}

static int larger_first(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int by_risk(const void *one, const void *other)
{
	const struct dp_panel_row *a = one, *b = other;
	int order;

	if (a->v.gone || b->v.gone) {
		if (a->v.gone != b->v.gone)
			return a->v.gone ? 1 : -1;
		order = larger_first(a->v.gone_ns, b->v.gone_ns);
		return order ? order : larger_first(b->v.pid, a->v.pid);
	}
	if (a->v.slack_ns != b->v.slack_ns) {
		if (a->v.slack_ns == DP_SNULL || b->v.slack_ns == DP_SNULL)
			return a->v.slack_ns == DP_SNULL ? 1 : -1;
		return a->v.slack_ns < b->v.slack_ns ? -1 : 1;
	}
	order = larger_first(a->v.oldest_pending_ns / STEP, b->v.oldest_pending_ns / STEP);
	if (!order)
		order = larger_first(a->v.hold_ns / STEP, b->v.hold_ns / STEP);
	if (!order)
		order = strcmp(a->facts.node, b->facts.node);
	return order ? order : larger_first(b->v.pid, a->v.pid);
}

void dp_panel_sort(struct dp_panel_row *rows, unsigned int count)
{
	if (count > 1)
		qsort(rows, count, sizeof(*rows), by_risk);
}

unsigned int dp_panel_selected(const struct dp_panel *p)
{
	for (unsigned int i = 0; p->selected_pid && i < p->row_count; i++)
		if (p->rows[i].v.pid == p->selected_pid &&
		    p->rows[i].facts.start_time == p->selected_start)
			return i;
	return 0;
}

const char *node_name(const struct dp_panel_row *r, char *buf, size_t len)
{
	if (r->facts.node[0])
		return r->facts.node;
	snprintf(buf, len, "pid %u", r->v.pid);
	return buf;
}

unsigned int mood_of(const struct dp_panel *p, const struct dp_panel_row *r)
{
	const struct dp_node_view *v = &r->v;

	if (v->gone)
		return DP_MOOD_DIM;
	if ((v->slack_ns != DP_SNULL && v->slack_ns < 0) ||
	    (p->warn_hold_ns && v->hold_ns / 10 >= p->warn_hold_ns))
		return DP_MOOD_ALARM;
	if (v->stop_seen || v->not_polling || (p->warn_hold_ns && v->hold_ns >= p->warn_hold_ns) ||
	    (p->pending_ns && v->oldest_pending_ns >= p->pending_ns) ||
	    (r->facts.is_dora && v->need_ns != DP_NULL && v->grace_ns && v->need_ns > v->grace_ns))
		return DP_MOOD_NOTICE;
	return DP_MOOD_PLAIN;
}
