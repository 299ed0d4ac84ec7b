// SPDX-License-Identifier: MIT
/* The table of nodes. */
#include "view/rows.h"
#include "view/screen.h"

#include <stdio.h>
#include <string.h>

/*
 * Columns: name, dataflow (where there is room or more than one), GIL, and what is told in numbers,
 * which takes NUMBERS columns.
 */
#define TOKENS_WIDTH 10
#define SLACK_WIDTH  6
#define HOLDS_WIDTH  11
#define NEED_WIDTH   12
#define NUMBERS      (TOKENS_WIDTH + SLACK_WIDTH + HOLDS_WIDTH + NEED_WIDTH + 4)

/*
 * The name that a person gave, or the end of the uuid: dora's begin with the time (version 7), so
 * those of one day look the same there.
 */
static const char *flow_name(const struct dp_panel_row *r, char *buf, size_t len)
{
	if (r->facts.dataflow_name[0])
		return r->facts.dataflow_name;
	if (strlen(r->facts.dataflow) > 8)
		snprintf(buf, len, "…%s", r->facts.dataflow + strlen(r->facts.dataflow) - 8);
	else
		snprintf(buf, len, "%s", r->facts.dataflow[0] ? r->facts.dataflow : "-");
	return buf;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void table_measure(struct screen *s)
{
	const struct dp_panel *p = s->p;
	size_t width = (size_t)s->width, left;

	s->flow = width >= 100;
	for (unsigned int i = 1; i < p->row_count && !s->flow; i++)
		s->flow = strcmp(p->rows[i].facts.dataflow, p->rows[0].facts.dataflow) != 0;
	left = width > NUMBERS + 2 ? width - NUMBERS - 2 : 0;
	/* "pid 4194304" is the longest of a node without a name. */
	s->name_width = left / 4 < 11 ? 11 : left / 4 > 24 ? 24 : left / 4;
	s->flow_width = !s->flow ? 0 : left / 6 < 6 ? 6 : left / 6 > 16 ? 16 : left / 6;
	left -= s->name_width < left ? s->name_width : left;
	if (s->flow)
		left -= s->flow_width + 1 < left ? s->flow_width + 1 : left;
	s->gil_width = left;
}

static void table_head(struct screen *s)
{
	struct dp_line *l = screen_begin(s);

	dp_line_str(l, " ");
	put_cell(l, "NODE", s->name_width, 0);
	if (s->flow) {
		dp_line_str(l, " ");
		put_cell(l, "DATAFLOW", s->flow_width, 0);
	}
	dp_line_str(l, " ");
	put_cell(l, "GIL HELD NOW", s->gil_width, 0);
	dp_line_str(l, " ");
	put_cell(l, "PENDING", TOKENS_WIDTH, 1);
	dp_line_str(l, " ");
	put_cell(l, "SLACK", SLACK_WIDTH, 1);
	dp_line_str(l, " ");
	put_cell(l, "HOLDS MAX", HOLDS_WIDTH, 1);
	dp_line_str(l, " ");
	put_cell(l, "NEED/GRACE", NEED_WIDTH, 1);
	screen_end_wide(s, DP_MOOD_HEADING);
}

/* "12.3s process (vision.py:42) MainThread": the most telling first, since the end is cut. */
static void gil_cell(struct screen *s, struct dp_line *l, const struct dp_panel_row *r)
{
	const struct dp_node_view *v = &r->v;
	char text[DP_FUNCTION_MAX + DP_FILE_MAX + 160] = "-", since[32], line[16] = "";

	if (v->gone) {
		snprintf(
			text, sizeof(text), "left %s ago",
			dp_panel_duration(s->p->now_ns > v->gone_ns ? s->p->now_ns - v->gone_ns : 0,
					  since, sizeof(since)));
	} else if (!r->facts.gil_observable) {
		snprintf(text, sizeof(text), "%s",
			 r->facts.free_threaded ? "has no GIL" : "not observed");
	} else if (v->hold_ns) {
		if (v->place.line > 0)
			snprintf(line, sizeof(line), ":%d", v->place.line);
		snprintf(text, sizeof(text), "%s %s%s%s%s%s %s",
			 dp_panel_duration(v->hold_ns, since, sizeof(since)), r->function,
			 r->file[0] ? " (" : "", base_name(r->file), line, r->file[0] ? ")" : "",
			 r->thread);
	}
	put_cell(l, text, s->gil_width, 0);
}

static void table_row(struct screen *s, const struct dp_panel_row *r, int selected)
{
	const struct dp_node_view *v = &r->v;
	struct dp_line *l = screen_begin(s);
	char text[96], a[32], b[32];

	dp_line_str(l, selected ? ">" : " ");
	put_cell(l, node_name(r, text, sizeof(text)), s->name_width, 0);
	if (s->flow) {
		dp_line_str(l, " ");
		put_cell(l, flow_name(r, text, sizeof(text)), s->flow_width, 0);
	}
	dp_line_str(l, " ");
	gil_cell(s, l, r);
	if (v->pending_tokens)
		snprintf(text, sizeof(text), "%llu %s", (unsigned long long)v->pending_tokens,
			 dp_panel_duration(v->oldest_pending_ns, a, sizeof(a)));
	else
		snprintf(text, sizeof(text), "-");
	dp_line_str(l, " ");
	put_cell(l, text, TOKENS_WIDTH, 1);
	if (v->slack_ns != DP_SNULL && !v->gone)
		slack_text(v->slack_ns, text, sizeof(text));
	else
		snprintf(text, sizeof(text), v->stop_seen && !v->gone ? "stop" : "-");
	dp_line_str(l, " ");
	put_cell(l, text, SLACK_WIDTH, 1);
	if (v->holds)
		snprintf(text, sizeof(text), "%llu %s", (unsigned long long)v->holds,
			 dp_panel_duration(v->max_hold_ns, a, sizeof(a)));
	else
		snprintf(text, sizeof(text), "-");
	dp_line_str(l, " ");
	put_cell(l, text, HOLDS_WIDTH, 1);
	/* Nobody stops what is no node of dora. */
	if (!r->facts.is_dora || (v->need_ns == DP_NULL && !v->grace_ns))
		snprintf(text, sizeof(text), "-");
	else
		snprintf(text, sizeof(text), "%s/%s", dp_panel_duration(v->need_ns, a, sizeof(a)),
			 dp_panel_duration(v->grace_ns ? v->grace_ns : DP_NULL, b, sizeof(b)));
	dp_line_str(l, " ");
	put_cell(l, text, NEED_WIDTH, 1);
	screen_end_wide(s, mood_of(s->p, r) | (selected ? DP_MOOD_SELECTED : 0));
}

void table_draw(struct screen *s, unsigned int selected, unsigned int shown)
{
	const struct dp_panel *p = s->p;
	unsigned int first = 0;

	if (selected >= shown)
		first = selected - shown + 1;
	table_head(s);
	for (unsigned int i = first; i < first + shown && i < p->row_count; i++)
		table_row(s, &p->rows[i], i == selected);
	if (p->row_count == 0)
		screen_put(s, DP_MOOD_DIM, " waiting for a node to start");
}
