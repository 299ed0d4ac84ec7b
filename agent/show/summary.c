// SPDX-License-Identifier: MIT
/* The summary at the end: a line about the whole, then a table with a row for each node. */
#include "show/sentence.h"

#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/duration.h"
#include "show/row.h"
#include "show/words.h"

/* Node, then right-aligned cells under these headings. */
static const char *const headings[] = {
	"holds",     "longest hold",    "GIL held",     "tokens",
	"abandoned", "longest pending", "grace needed",
};
#define CELLS              DP_COUNT_OF(headings)
#define SUMMARY_NAME_WIDTH 16

/* "µ" takes two bytes and one column. */
static void put_cell(struct dp_line *l, const char *text, size_t width)
{
	size_t columns = 0;

	for (const char *p = text; *p; p++)
		columns += ((unsigned char)*p & 0xC0) != 0x80;
	dp_line_fill(l, ' ', 2 + (columns < width ? width - columns : 0));
	dp_line_str(l, text);
}

static char *count_cell(uint64_t n, char *buf, size_t len)
{
	snprintf(buf, len, n == DP_NULL ? "?" : "%llu", (unsigned long long)n);
	return buf;
}

static char *duration_cell(uint64_t ns, char *buf, size_t len)
{
	if (ns == DP_NULL || ns == 0)
		snprintf(buf, len, "-");
	else
		dp_duration_text(ns, buf, len);
	return buf;
}

static void put_blame(struct dp_line *l, const struct dp_blame *b)
{
	const struct dp_place place = {.function = b->function, .file = b->file, .line = b->line};

	if (b->token_ns == DP_NULL || b->token_ns == 0)
		return;
	dp_line_str(l, "      ");
	put_duration(l, b->token_ns);
	dp_line_str(l, " of token time lost to the GIL held");
	if (b->held_ns != DP_NULL && b->held_ns) {
		dp_line_str(l, " for ");
		put_duration(l, b->held_ns);
	}
	put_place(l, &place, 0);
	dp_line_str(l, "\n");
}

void text_summary(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
		  const struct dp_finding *f)
{
	const struct dp_summary_finding *u = &f->u.summary;
	char buf[40];

	dp_line_reset(&s->table);
	s->in_summary = 1;
	s->rows = s->late_rows = 0;
	dp_line_str(l, "\n");
	put_paint(l, o->colour, BOLD, "Summary");
	dp_line_fmt(l, ": %llu records", (unsigned long long)u->records);
	if (u->records_lost)
		dp_line_fmt(l, ", %llu lost: the figures below may be too low",
			    (unsigned long long)u->records_lost);
	else
		dp_line_str(l, ", none lost");
	dp_line_str(l, "\n");
	if (u->recommended_grace_ns != DP_NULL && u->recommended_grace_ns) {
		dp_line_fmt(l, "  grace period to ask for: %s",
			    dp_duration_text_up(u->recommended_grace_ns, buf, sizeof(buf)));
		if (has(u->recommendation)) {
			dp_line_str(l, " (");
			dp_line_text(l, u->recommendation);
			dp_line_str(l, ")");
		}
		dp_line_str(l, "\n");
	} else if (has(u->recommendation)) {
		dp_line_str(l, "  ");
		dp_line_text(l, u->recommendation);
		dp_line_str(l, "\n");
	}
}

void text_summary_node(struct dp_text_state *s, const struct dp_finding *f)
{
	const struct dp_summary_node_finding *n = &f->u.summary_node;
	struct dp_line *t = &s->table;
	const char *name = has(n->node) ? n->node : f->node;
	unsigned int blames = n->blame_count < DP_BLAME_MAX ? n->blame_count : DP_BLAME_MAX;
	char cells[CELLS][40], label[32];
	size_t columns;

	if (!s->in_summary)
		return;
	if (!has(name)) {
		snprintf(label, sizeof(label), "pid %u", f->pid);
		name = label;
	}
	count_cell(n->holds, cells[0], sizeof(cells[0]));
	duration_cell(n->max_hold_ns, cells[1], sizeof(cells[1]));
	duration_cell(n->gil_held_ns, cells[2], sizeof(cells[2]));
	count_cell(n->tokens, cells[3], sizeof(cells[3]));
	count_cell(n->tokens_abandoned, cells[4], sizeof(cells[4]));
	duration_cell(n->max_pending_ns, cells[5], sizeof(cells[5]));
	duration_cell(n->recommended_grace_ns, cells[6], sizeof(cells[6]));
	if (n->recommended_grace_ns != DP_NULL && n->recommended_grace_ns)
		dp_duration_text_up(n->recommended_grace_ns, cells[6], sizeof(cells[6]));
	dp_line_str(t, "  ");
	columns = dp_line_text(t, name);
	dp_line_fill(t, ' ', columns < SUMMARY_NAME_WIDTH ? SUMMARY_NAME_WIDTH - columns : 0);
	for (size_t i = 0; i < CELLS; i++)
		put_cell(t, cells[i], strlen(headings[i]));
	dp_line_str(t, "\n");
	if (has(n->max_hold_function)) {
		dp_line_str(t, "      longest hold in ");
		dp_line_text(t, n->max_hold_function);
		dp_line_str(t, "\n");
	}
	if (n->gil_held.ratio >= 0) {
		dp_line_str(t, "      of its time: ");
		put_shares(t, &n->gil_held, &n->gil_wait, &n->running_without_gil, &n->blocked);
		dp_line_str(t, "\n");
	}
	for (unsigned int i = 0; i < blames; i++)
		put_blame(t, &n->blame[i]);
	if (n->tokens_open && n->tokens_open != DP_NULL)
		dp_line_fmt(t, "      %llu drop token%s still pending at the end\n",
			    (unsigned long long)n->tokens_open, plural(n->tokens_open));
	if (n->tokens_lost && n->tokens_lost != DP_NULL)
		dp_line_fmt(t,
			    "      %llu drop token%s lost from sight, not counted as abandoned\n",
			    (unsigned long long)n->tokens_lost, plural(n->tokens_lost));
	s->rows++;
	s->late_rows += n->since_attach;
}

void text_summary_end(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o)
{
	if (!s->in_summary)
		return;
	s->in_summary = 0;
	if (s->rows == 0) {
		dp_line_str(l, "  no node was seen\n");
		return;
	}
	if (o->colour)
		dp_line_str(l, row_paints[DIM]);
	dp_line_str(l, "\n  node");
	dp_line_fill(l, ' ', SUMMARY_NAME_WIDTH - strlen("node"));
	for (size_t i = 0; i < CELLS; i++)
		put_cell(l, headings[i], 0);
	if (o->colour)
		dp_line_str(l, "\033[0m");
	dp_line_str(l, "\n");
	dp_line_add(l, s->table.data, s->table.len);
	if (s->late_rows)
		dp_line_fmt(l, "  counted since the probe came: %s ran before\n",
			    s->late_rows == s->rows ? "they" : "some of them");
	if (s->table.error)
		dp_line_str(l, "  (more nodes than fit here; --json lists them)\n");
}
