// SPDX-License-Identifier: MIT
/* The screen of the live view as lines of text (panel.h). */
#include "show/panel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/duration.h"
#include "base/units.h"
#include "base/utf8.h"
#include "show/line.h"
#include "show/show.h"

#define STEP   (100 * MS)
#define INDENT 14 /* of what does not fit into the line: below the name, behind the time */
#define LABEL  8  /* width of "tokens", "grace" and the like in the detail */

/* ---- rows -------------------------------------------------------------------------------- */

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

/* ---- messages ---------------------------------------------------------------------------- */

void dp_panel_keep(struct dp_panel_messages *m, uint32_t pid, uint8_t mood, const char *text,
		   size_t len)
{
	uint8_t under = 0;

	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len, n = line, blanks = 0;
		struct dp_panel_message *to;

		while (blanks < line && text[blanks] == ' ')
			blanks++;
		if (blanks < line) {
			to = &m->at[m->count++ % DP_PANEL_MESSAGES];
			*to = (struct dp_panel_message){.pid = pid, .mood = mood, .under = under};
			n -= blanks;
			if (n > sizeof(to->text) - 1)
				n = dp_utf8_cut(text + blanks, sizeof(to->text) - 1);
			memcpy(to->text, text + blanks, n);
			to->text[n] = '\0';
			under = 1;
		}
		text += line + (end != NULL);
		len -= line + (end != NULL);
	}
}

/* ---- text of a certain width ---------------------------------------------------------------- */

/* The character at s (valid UTF-8, as dp_line_text leaves it): its bytes, and columns in *ret. */
static size_t character(const char *s, size_t *ret)
{
	uint32_t c;
	size_t n = dp_utf8_decode(s, SIZE_MAX, &c);
	int columns = wcwidth((wchar_t)c);

	*ret = columns < 0 ? 1 : (size_t)columns;
	return n;
}

static size_t columns_of(const char *s)
{
	size_t columns = 0, c;

	for (; *s; columns += c)
		s += character(s, &c);
	return columns;
}

/* Bytes of s that fit into `width` columns. */
static size_t fitting(const char *s, size_t width)
{
	size_t n = 0, columns = 0;

	while (s[n]) {
		size_t c, bytes = character(s + n, &c);

		if (columns + c > width)
			break;
		columns += c;
		n += bytes;
	}
	return n;
}

/*
 * Bytes of the part of s that goes into one line: to the last blank that fits, or to the edge where
 * a word is longer than the line. At least one character.
 */
static size_t line_end(const char *s, size_t width)
{
	size_t n = fitting(s, width), word = n, c;

	if (!s[n])
		return n;
	if (n == 0)
		return character(s, &c);
	while (word && s[word] != ' ')
		word--;
	return word ? word : n;
}

/* A buffer that is drawn as one line. */
struct text {
	struct dp_line l;
};

static const char *text_end(struct text *t)
{
	dp_line_add(&t->l, "", 1);
	/* What did not fit is a cut line, never a lost screen. */
	return t->l.error || !t->l.data ? "" : t->l.data;
}

/* A cell: s made printable, cut with an ellipsis or filled up to exactly `width` columns. */
static void put_cell(struct dp_line *l, const char *s, size_t width, int right)
{
	struct text t = {.l = {.limit = DP_PANEL_LINE_BYTES}};
	const char *printable;
	size_t columns, n;

	dp_line_text(&t.l, s);
	printable = text_end(&t);
	columns = columns_of(printable);
	if (columns <= width) {
		if (right)
			dp_line_fill(l, ' ', width - columns);
		dp_line_str(l, printable);
		if (!right)
			dp_line_fill(l, ' ', width - columns);
	} else if (width) {
		n = fitting(printable, width - 1);
		columns = 0;
		for (size_t i = 0, c; i < n; columns += c)
			i += character(printable + i, &c);
		dp_line_add(l, printable, n);
		dp_line_str(l, "…");
		dp_line_fill(l, ' ', width - 1 - columns);
	}
	dp_line_free(&t.l);
}

char *dp_panel_duration(uint64_t ns, char *buf, size_t len)
{
	unsigned long long s = ns / SEC;

	if (ns == DP_NULL)
		snprintf(buf, len, "?");
	else if (ns < MS)
		snprintf(buf, len, "%lluus", (unsigned long long)(ns / US));
	else if (ns < SEC)
		snprintf(buf, len, "%llums", (unsigned long long)(ns / MS));
	else if (s < 100 && ns / (100 * MS) % 10)
		snprintf(buf, len, "%llu.%llus", s, (unsigned long long)(ns / (100 * MS) % 10));
	else if (s < 100)
		snprintf(buf, len, "%llus", s);
	else if (s < 6000)
		snprintf(buf, len, "%llum%02llus", s / 60, s % 60);
	else if (s < 48 * 3600)
		snprintf(buf, len, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, len, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return buf;
}

/* Cut towards less time: a slack is never shown larger than it is. */
static char *slack_text(int64_t ns, char *buf, size_t len)
{
	char d[32];

	if (ns >= 0) {
		dp_panel_duration((uint64_t)ns, buf, len);
	} else {
		dp_panel_duration((uint64_t)-ns + 100 * MS - 1, d, sizeof(d));
		snprintf(buf, len, "-%s", d);
	}
	return buf;
}

/* ---- the parts of the screen ---------------------------------------------------------------- */

struct screen {
	const struct dp_panel *p;
	int width, height, y;
	dp_panel_put put;
	void *ctx;
	struct text t; /* the line in the making */
	int flow;      /* the table has a column for the dataflow */
	size_t name_width, flow_width, gil_width;
};

static struct dp_line *begin(struct screen *s)
{
	dp_line_reset(&s->t.l);
	return &s->t.l;
}

static void put_line(struct screen *s, unsigned int mood, const char *text)
{
	char line[DP_PANEL_LINE_BYTES];
	size_t n = fitting(text, (size_t)s->width);

	if (s->y >= s->height)
		return;
	if (n > sizeof(line) - 1)
		n = dp_utf8_cut(text, sizeof(line) - 1);
	memcpy(line, text, n);
	line[n] = '\0';
	s->put(s->ctx, s->y++, mood, line);
}

static void end(struct screen *s, unsigned int mood)
{
	put_line(s, mood, text_end(&s->t));
}

/* Filled up to the edge, so that a bar or a selection covers the line. */
static void end_wide(struct screen *s, unsigned int mood)
{
	size_t columns;

	dp_line_add(&s->t.l, "", 1);
	columns = s->t.l.error ? 0 : columns_of(s->t.l.data);
	if (!s->t.l.error)
		s->t.l.len--;
	if (columns < (size_t)s->width)
		dp_line_fill(&s->t.l, ' ', (size_t)s->width - columns);
	end(s, mood);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static const char *node_name(const struct dp_panel_row *r, char *buf, size_t len)
{
	if (r->facts.node[0])
		return r->facts.node;
	snprintf(buf, len, "pid %u", r->v.pid);
	return buf;
}

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

static unsigned int mood_of(const struct dp_panel *p, const struct dp_panel_row *r)
{
	const struct dp_node_view *v = &r->v;

	if (v->gone)
		return DP_MOOD_DIM;
	if ((v->slack_ns != DP_SNULL && v->slack_ns < 0) ||
	    (p->warn_hold_ns && v->hold_ns / 10 >= p->warn_hold_ns))
		return DP_MOOD_ALARM;
	if (v->stop_seen || (p->warn_hold_ns && v->hold_ns >= p->warn_hold_ns) ||
	    (p->pending_ns && v->oldest_pending_ns >= p->pending_ns) ||
	    (r->facts.is_dora && v->need_ns != DP_NULL && v->grace_ns && v->need_ns > v->grace_ns))
		return DP_MOOD_NOTICE;
	return DP_MOOD_PLAIN;
}

static void title(struct screen *s)
{
	const struct dp_panel *p = s->p;
	struct dp_line *l = begin(s);
	unsigned int nodes = 0, remarkable = 0;
	char time[64];
	int day;

	for (unsigned int i = 0; i < p->row_count; i++) {
		unsigned int mood = mood_of(p, &p->rows[i]);

		nodes += !p->rows[i].v.gone;
		remarkable += mood == DP_MOOD_NOTICE || mood == DP_MOOD_ALARM;
	}
	dp_line_str(l, " dora-probe");
	if (p->wall_offset_ns != DP_SNULL) {
		dp_format_local_time((int64_t)(p->now_ns + (uint64_t)p->wall_offset_ns), time,
				     sizeof(time), &day);
		time[8] = '\0'; /* without the thousandths, which nobody can read */
		dp_line_fmt(l, "  %s", time);
	}
	if (p->paused)
		dp_line_str(l, "  PAUSED, still watching");
	dp_line_fmt(l, "  %u node%s", nodes, plural(nodes));
	if (remarkable)
		dp_line_fmt(l, ", %u to look at", remarkable);
	dp_line_fmt(l, "  %llu warning%s", (unsigned long long)p->warnings, plural(p->warnings));
	if (p->records_lost)
		dp_line_fmt(l, "  %llu records lost", (unsigned long long)p->records_lost);
	end_wide(s, DP_MOOD_BAR);
}

/*
 * Columns: name, dataflow (where there is room or more than one), GIL, and what is told in numbers,
 * which takes NUMBERS columns.
 */
#define TOKENS_WIDTH 10
#define SLACK_WIDTH  6
#define HOLDS_WIDTH  11
#define NEED_WIDTH   12
#define NUMBERS      (TOKENS_WIDTH + SLACK_WIDTH + HOLDS_WIDTH + NEED_WIDTH + 4)

static void measure(struct screen *s)
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
	struct dp_line *l = begin(s);

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
	end_wide(s, DP_MOOD_HEADING);
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
	struct dp_line *l = begin(s);
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
	end_wide(s, mood_of(s->p, r) | (selected ? DP_MOOD_SELECTED : 0));
}

static void table(struct screen *s, unsigned int selected, unsigned int shown)
{
	const struct dp_panel *p = s->p;
	unsigned int first = 0;

	if (selected >= shown)
		first = selected - shown + 1;
	table_head(s);
	for (unsigned int i = first; i < first + shown && i < p->row_count; i++)
		table_row(s, &p->rows[i], i == selected);
	if (p->row_count == 0)
		put_line(s, DP_MOOD_DIM, " waiting for a node to start");
}

/* ---- the selected node ------------------------------------------------------------------------
 */

/* The line in the making, over as many lines as it takes but no more than up to `limit`. */
static void end_wrapped(struct screen *s, unsigned int mood, size_t indent, int limit)
{
	struct text whole = s->t;
	const char *rest = text_end(&whole);
	int first = 1;

	if (limit > s->height)
		limit = s->height;
	/* The buffer passes to `whole`, and comes back for the next line. */
	s->t = (struct text){.l = {.limit = DP_PANEL_LINE_BYTES}};
	while (*rest && s->y < limit) {
		size_t margin = first ? 0 : indent, n;

		n = line_end(rest, (size_t)s->width - margin);
		dp_line_reset(&s->t.l);
		dp_line_fill(&s->t.l, ' ', margin);
		dp_line_add(&s->t.l, rest, n);
		end(s, mood);
		rest += n;
		while (*rest == ' ')
			rest++;
		first = 0;
	}
	dp_line_free(&whole.l);
}

static struct dp_line *label(struct screen *s, const char *word)
{
	struct dp_line *l = begin(s);

	put_cell(l, word, LABEL, 0);
	return l;
}

static const char *duration(uint64_t ns, char *buf, size_t len)
{
	return dp_duration_text(ns, buf, len);
}

static void detail_facts(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_rec_node *f = &r->facts;
	struct dp_line *l = begin(s);
	char name[32];

	dp_line_text(l, node_name(r, name, sizeof(name)));
	if (f->node[0])
		dp_line_fmt(l, ": pid %u", r->v.pid);
	if (f->dataflow[0]) {
		dp_line_str(l, " of dataflow ");
		if (f->dataflow_name[0]) {
			dp_line_text(l, f->dataflow_name);
			dp_line_str(l, " ");
		}
		dp_line_text(l, f->dataflow);
	}
	if (f->python[0]) {
		dp_line_str(l, ", Python ");
		dp_line_text(l, f->python);
	}
	if (f->dora[0]) {
		dp_line_str(l, ", dora ");
		dp_line_text(l, f->dora);
	}
	if (f->transport != DP_TRANSPORT_UNKNOWN)
		dp_line_fmt(l, " over %s", dp_transport_name(f->transport));
	end_wrapped(s, DP_MOOD_HEADING, LABEL, limit);
}

static void detail_gil(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	struct dp_line *l = label(s, "GIL");
	char a[40], b[40];

	if (!r->facts.gil_observable) {
		dp_line_str(l, r->facts.free_threaded ? "has none" : "not observed");
	} else if (v->hold_ns && !v->gone) {
		dp_line_fmt(l, "held for %s by ", duration(v->hold_ns, a, sizeof(a)));
		if (r->thread[0]) {
			dp_line_text(l, r->thread);
			dp_line_fmt(l, " (tid %u)", v->holder_tid);
		} else {
			dp_line_fmt(l, "thread %u", v->holder_tid);
		}
		if (r->function[0]) {
			dp_line_str(l, " in ");
			dp_line_text(l, r->function);
		}
		if (r->file[0]) {
			dp_line_str(l, r->function[0] ? " (" : " at ");
			dp_line_text(l, r->file);
			if (v->place.line > 0)
				dp_line_fmt(l, ":%d", v->place.line);
			dp_line_str(l, r->function[0] ? ")" : "");
		}
		if (r->library[0]) {
			dp_line_str(l, ", inside ");
			dp_line_text(l, r->library);
		}
	} else {
		dp_line_str(l, "no hold under way that is long enough to be told");
	}
	end_wrapped(s, v->hold_ns && !v->gone ? mood_of(s->p, r) : DP_MOOD_PLAIN, LABEL, limit);
	if (!v->holds)
		return;
	l = label(s, "");
	dp_line_fmt(l, "%llu hold%s, %s in all; longest %s", (unsigned long long)v->holds,
		    plural(v->holds), duration(v->held_ns, a, sizeof(a)),
		    duration(v->max_hold_ns, b, sizeof(b)));
	if (r->max_hold_function[0]) {
		dp_line_str(l, " in ");
		dp_line_text(l, r->max_hold_function);
	}
	if (v->waits)
		dp_line_fmt(l, "; %llu wait%s, %s in all", (unsigned long long)v->waits,
			    plural(v->waits), duration(v->wait_ns, a, sizeof(a)));
	end_wrapped(s, DP_MOOD_PLAIN, LABEL, limit);
}

static void detail_tokens(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	struct dp_line *l;
	char a[40], b[40];

	if (!v->tokens && !v->pending_tokens)
		return;
	l = label(s, "tokens");
	if (v->pending_tokens)
		dp_line_fmt(l, "%llu pending, the oldest for %s; ",
			    (unsigned long long)v->pending_tokens,
			    duration(v->oldest_pending_ns, a, sizeof(a)));
	dp_line_fmt(l, "%llu seen, %llu returned, %llu abandoned", (unsigned long long)v->tokens,
		    (unsigned long long)v->tokens_returned,
		    (unsigned long long)v->tokens_abandoned);
	if (v->tokens_lost)
		dp_line_fmt(l, ", %llu lost from sight", (unsigned long long)v->tokens_lost);
	dp_line_fmt(l, "; pending for %s at most", duration(v->max_pending_ns, a, sizeof(a)));
	if (v->token_gil_ns)
		dp_line_fmt(l, "; the GIL cost them %s", duration(v->token_gil_ns, b, sizeof(b)));
	end_wrapped(s, DP_MOOD_PLAIN, LABEL, limit);
}

static void detail_stop(struct screen *s, const struct dp_panel_row *r, int limit)
{
	const struct dp_node_view *v = &r->v;
	uint64_t now = s->p->now_ns;
	struct dp_line *l;
	char a[40];

	if (!v->stop_seen && (!r->facts.is_dora || (v->need_ns == DP_NULL && !v->grace_ns &&
						    v->recommended_grace_ns == DP_NULL)))
		return;
	if (v->gone && v->recommended_grace_ns == DP_NULL)
		return;
	l = label(s, v->stop_seen && !v->gone ? "stop" : "grace");
	if (v->gone) {
		dp_line_fmt(l, "left %s ago",
			    duration(now > v->gone_ns ? now - v->gone_ns : 0, a, sizeof(a)));
	} else if (v->stop_seen) {
		dp_line_fmt(l, "seen %s ago",
			    duration(now > v->stop_ns ? now - v->stop_ns : 0, a, sizeof(a)));
		if (v->deadline_known && v->deadline_ns > now)
			dp_line_fmt(l, ", deadline in %s",
				    duration(v->deadline_ns - now, a, sizeof(a)));
		else if (v->deadline_known)
			dp_line_str(l, ", the deadline is over");
		if (v->slack_ns != DP_SNULL)
			dp_line_fmt(l, ", slack %s", slack_text(v->slack_ns, a, sizeof(a)));
	} else {
		if (v->need_ns == DP_NULL)
			dp_line_str(l, "what a stop now would take is not known");
		else
			dp_line_fmt(l, "a stop now would take %s",
				    dp_duration_text_up(v->need_ns, a, sizeof(a)));
		if (v->grace_ns)
			dp_line_fmt(l, ", granted %s", duration(v->grace_ns, a, sizeof(a)));
	}
	if (v->recommended_grace_ns != DP_NULL)
		dp_line_fmt(l, "; recommended %s",
			    dp_duration_text_up(v->recommended_grace_ns, a, sizeof(a)));
	end_wrapped(s, v->stop_seen && !v->gone ? mood_of(s->p, r) : DP_MOOD_PLAIN, LABEL, limit);
}

static void detail(struct screen *s, const struct dp_panel_row *r, int limit)
{
	struct dp_line *l;

	detail_facts(s, r, limit);
	detail_gil(s, r, limit);
	detail_tokens(s, r, limit);
	detail_stop(s, r, limit);
	if (r->facts.reason[0]) {
		l = label(s, "note");
		dp_line_text(l, r->facts.reason);
		end_wrapped(s, DP_MOOD_DIM, LABEL, limit);
	}
}

/* ---- messages on the screen -------------------------------------------------------------------
 */

static int message_height(const struct screen *s, const struct dp_panel_message *m)
{
	const char *rest = m->text;
	int lines = 0;

	do {
		size_t margin = m->under || lines ? INDENT : 0;

		rest += line_end(rest, (size_t)s->width - margin);
		while (*rest == ' ')
			rest++;
		lines++;
	} while (*rest);
	return lines;
}

/* The newest messages (of one process, or pid 0: of all) that fit above `limit`, oldest first. */
static void messages(struct screen *s, uint32_t pid, int limit)
{
	const struct dp_panel_messages *m = s->p->messages;
	uint64_t first = m->count, oldest;
	int room = limit - s->y;

	oldest = m->count > DP_PANEL_MESSAGES ? m->count - DP_PANEL_MESSAGES : 0;
	for (uint64_t i = m->count; i-- > oldest && room > 0;) {
		const struct dp_panel_message *one = &m->at[i % DP_PANEL_MESSAGES];

		if (pid && one->pid != pid)
			continue;
		room -= message_height(s, one);
		/* The newest is shown even where its end is cut off. */
		if (room >= 0 || first == m->count)
			first = i;
	}
	for (; first < m->count && s->y < limit; first++) {
		const struct dp_panel_message *one = &m->at[first % DP_PANEL_MESSAGES];
		struct dp_line *l = begin(s);

		if (pid && one->pid != pid)
			continue;
		if (one->under)
			dp_line_fill(l, ' ', INDENT);
		dp_line_str(l, one->text);
		end_wrapped(s, one->mood, INDENT, limit);
	}
}

static void heading(struct screen *s, const char *words, const char *name)
{
	struct dp_line *l = begin(s);

	dp_line_str(l, words);
	dp_line_text(l, name);
	end(s, DP_MOOD_HEADING);
}

/*
 * From the top: a bar, the table (two fifths of the height at most), the selected node with what
 * was last said about it, what was last said at all, the keys.
 */
void dp_panel_draw(const struct dp_panel *p, int width, int height, dp_panel_put put, void *ctx)
{
	struct screen s = {.p = p, .width = width, .height = height, .put = put, .ctx = ctx};
	const struct dp_panel_row *row = NULL;
	unsigned int selected = dp_panel_selected(p), shown;
	char name[32];
	int body;

	s.t.l.limit = DP_PANEL_LINE_BYTES;
	if (width < DP_PANEL_WIDTH_MIN || height < DP_PANEL_HEIGHT_MIN) {
		put_line(&s, DP_MOOD_PLAIN, "window too small");
		return;
	}
	if (p->row_count)
		row = &p->rows[selected];
	s.height = height - 1; /* the last line is for the keys */
	measure(&s);
	title(&s);
	body = s.height - 2;
	shown = (unsigned int)body * 2 / 5;
	if (shown > p->row_count)
		shown = p->row_count;
	table(&s, selected, shown);
	if (row) {
		put_line(&s, DP_MOOD_PLAIN, "");
		detail(&s, row, s.y + (s.height - s.y) * 2 / 3);
	}
	/* With one node, the last about it and the last of all are the same. */
	if (row && p->row_count > 1 && s.height - s.y >= 7) {
		heading(&s, "Last about ", node_name(row, name, sizeof(name)));
		messages(&s, row->v.pid, s.y + (s.height - s.y - 1) / 2);
	}
	if (s.height - s.y >= 2) {
		heading(&s, "Latest", "");
		messages(&s, 0, s.height);
	}
	while (s.y < s.height)
		put_line(&s, DP_MOOD_PLAIN, "");
	s.height = height;
	dp_line_str(begin(&s), !p->keys    ? " Ctrl-C ends"
			       : p->paused ? " q quit   p go on   up/down select"
					   : " q quit   p pause   up/down select");
	end_wide(&s, DP_MOOD_BAR);
	dp_line_free(&s.t.l);
}
