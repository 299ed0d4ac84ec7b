// SPDX-License-Identifier: MIT
/* Drawing: the page with its picture (timeline.h). */
#include "show/timeline_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/duration.h"

#define LANE_HEIGHT    14
#define LANE_GAP       4
#define NODE_GAP       14
#define TOKEN_LANES    6
#define MARGIN_LEFT    150
#define MARGIN_TOP     30
#define WIDTH_MIN      1000.0
#define WIDTH_MAX      24000.0
#define WIDTH_A_SECOND 120.0

static const char head[] =
	"<!DOCTYPE html>\n"
	"<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'\"/>\n"
	"<title>dora-probe report</title>\n<style>\n"
	"body{font:14px/1.4 system-ui,sans-serif;margin:1.5em;color:#1b1f24;background:#fff}\n"
	"div.scroll{overflow-x:auto;border:1px solid #d0d7de;border-radius:6px}\n"
	"svg text{font:11px system-ui,sans-serif;fill:#57606a}svg text.name{font-weight:600;"
	"fill:#1b1f24}\n"
	".hold{fill:#cf222e}.hold.unconfirmed{fill:#ffb3b8}.hold.dora{fill:#8250df}\n"
	".wait{fill:#d4a72c}.token{fill:#54aeff}.token.open{fill:#b6e3ff}\n"
	".token.abandoned{fill:#bc4c00}.token.lost{fill:#afb8c1}\n"
	".mark{stroke:#1b1f24;stroke-width:1.5}.mark.warning{stroke:#bc4c00}\n"
	".grid{stroke:#eaeef2}\n"
	"ul.key{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:1.2em}\n"
	"ul.key svg{vertical-align:-1px;margin-right:.4em}\n"
	"pre{background:#f6f8fa;padding:1em;border-radius:6px;overflow-x:auto}\n"
	"@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:"
	"#161b22}svg text{fill:#8b949e}svg text.name{fill:#e6edf3}.grid{stroke:#21262d}"
	".mark{stroke:#e6edf3}}\n"
	"</style></head><body>\n<h1>dora-probe report</h1>\n";

static void put_html(struct dp_line *l, const char *s)
{
	dp_line_html(l, s, strlen(s));
}

static void put_key(struct dp_line *l)
{
	static const char *const keys[][2] = {
		{"hold", "GIL held"},
		{"hold dora", "GIL held by dora's own code"},
		{"hold unconfirmed", "looks held, unconfirmed"},
		{"wait", "a thread waits for the GIL"},
		{"token", "drop token pending, then returned"},
		{"token abandoned", "drop token abandoned"},
		{"token open", "drop token still pending at the end"},
		{"token lost", "drop token lost from sight"},
	};

	dp_line_str(l, "<ul class=\"key\">");
	for (size_t i = 0; i < DP_COUNT_OF(keys); i++) {
		dp_line_fmt(l,
			    "<li><svg width=\"14\" height=\"10\"><rect class=\"%s\" "
			    "width=\"14\" height=\"10\"/></svg>",
			    keys[i][0]);
		put_html(l, keys[i][1]);
		dp_line_str(l, "</li>");
	}
	dp_line_str(l, "<li>│ stop, warning, action, exit</li></ul>\n");
}

struct canvas {
	FILE *out;
	struct dp_line line;
	uint64_t first_ns;
	double px_a_ns;
	double width;
	int error;
};

static void flush(struct canvas *c)
{
	int err = c->line.error;

	if (!err && c->line.len && fwrite(c->line.data, 1, c->line.len, c->out) != c->line.len)
		err = errno ? -errno : -EIO;
	if (err && !c->error)
		c->error = err;
	dp_line_reset(&c->line);
}

/* Hundredths of a pixel, without the locale's decimal sign. */
static void put_px(struct dp_line *l, const char *name, double px)
{
	unsigned long long hundredths = (unsigned long long)(px * 100.0 + 0.5);

	dp_line_fmt(l, " %s=\"%llu.%02llu\"", name, hundredths / 100, hundredths % 100);
}

static double x_of(const struct canvas *c, uint64_t ns)
{
	return MARGIN_LEFT + (double)(ns - c->first_ns) * c->px_a_ns;
}

static void draw(struct canvas *c, const struct timeline_item *i, unsigned int top,
		 unsigned int height)
{
	double x = x_of(c, i->start), w = (double)(i->end - i->start) * c->px_a_ns;

	if (i->kind == MARK) {
		dp_line_fmt(&c->line, "<line class=\"%s\" y1=\"%u\" y2=\"%u\"", i->style, top,
			    top + height);
		put_px(&c->line, "x1", x);
		put_px(&c->line, "x2", x);
	} else {
		dp_line_fmt(&c->line, "<rect class=\"%s\" y=\"%u\" height=\"%u\"", i->style, top,
			    height);
		put_px(&c->line, "x", x);
		put_px(&c->line, "width", w < 0.5 ? 0.5 : w);
	}
	dp_line_str(&c->line, "><title>");
	put_html(&c->line, i->label);
	dp_line_fmt(&c->line, "</title></%s>\n", i->kind == MARK ? "line" : "rect");
	flush(c);
}

/* Token lives overlap: each goes into the first lane that is free, the last takes what is left. */
static unsigned int token_lane(uint64_t *ends, const struct timeline_item *i)
{
	unsigned int lane = 0;

	while (lane < TOKEN_LANES - 1 && ends[lane] > i->start)
		lane++;
	if (i->end > ends[lane])
		ends[lane] = i->end;
	return lane;
}

/*
 * Lays a node out from y on and returns the height that it takes. Without a canvas nothing is
 * drawn: the height of the picture has to be known before its first span.
 */
static unsigned int lay_out(struct canvas *c, const struct dp_timeline *t,
			    const struct timeline_node *n, unsigned int y)
{
	const unsigned int step = LANE_HEIGHT + LANE_GAP;
	uint64_t ends[TOKEN_LANES] = {0};
	unsigned int lanes = 2;

	for (size_t k = 0; k < t->count; k++) {
		const struct timeline_item *i = &t->items[k];
		unsigned int lane;

		if (i->pid != n->pid || i->kind == MARK)
			continue;
		lane = i->kind == HOLD ? 0 : i->kind == WAIT ? 1 : 2 + token_lane(ends, i);
		lanes = lane + 1 > lanes ? lane + 1 : lanes;
		if (c)
			draw(c, i, y + lane * step, LANE_HEIGHT);
	}
	for (size_t k = 0; c && k < t->count; k++)
		if (t->items[k].pid == n->pid && t->items[k].kind == MARK)
			draw(c, &t->items[k], y, lanes * step);
	if (c) {
		dp_line_fmt(&c->line, "<text class=\"name\" x=\"8\" y=\"%u\">", y + 11);
		put_html(&c->line, n->name);
		dp_line_fmt(&c->line, "</text><text x=\"8\" y=\"%u\">pid %u</text>\n", y + 25,
			    n->pid);
		flush(c);
	}
	return lanes * step + NODE_GAP;
}

/* A step of 1, 2 or 5 times a power of ten ns, so that lines stand some 100 pixels apart. */
static uint64_t grid_step(double px_a_ns)
{
	static const uint64_t parts[] = {1, 2, 5};

	for (uint64_t power = 1; power <= 1000000000000000ULL; power *= 10)
		for (size_t i = 0; i < 3; i++)
			if ((double)(power * parts[i]) * px_a_ns >= 90.0)
				return power * parts[i];
	return 1000000000000000000ULL;
}

static void draw_grid(struct canvas *c, uint64_t last_ns, unsigned int height)
{
	uint64_t step = grid_step(c->px_a_ns), lines = (last_ns - c->first_ns) / step + 1;
	char text[40];

	/* Counted: of a damaged recording the last moment may be the last one of all. */
	for (uint64_t i = 0; i < lines; i++) {
		uint64_t at = i * step;
		double x = x_of(c, c->first_ns + at);

		dp_line_fmt(&c->line, "<line class=\"grid\" y1=\"%d\" y2=\"%u\"", MARGIN_TOP - 8,
			    height);
		put_px(&c->line, "x1", x);
		put_px(&c->line, "x2", x);
		dp_line_str(&c->line, "/><text y=\"14\"");
		put_px(&c->line, "x", x);
		dp_line_str(&c->line, ">");
		dp_line_str(&c->line, at ? dp_duration_text(at, text, sizeof(text)) : "0");
		dp_line_str(&c->line, "</text>\n");
		flush(c);
	}
}

static int earliest_first(const void *a, const void *b)
{
	const struct timeline_item *x = a, *y = b;

	return x->start > y->start ? 1 : x->start < y->start ? -1 : 0;
}

int dp_timeline_write(struct dp_timeline *t, FILE *out)
{
	struct canvas c = {.out = out, .line = {.limit = 8u * TEXT_MAX}};
	unsigned int y = MARGIN_TOP, height = MARGIN_TOP;
	char text[64];
	double seconds;

	timeline_keep_longest(t);
	qsort(t->items, t->count, sizeof(*t->items), earliest_first);
	if (t->first_ns > t->last_ns)
		t->first_ns = t->last_ns;
	c.first_ns = t->first_ns;
	seconds = (double)(t->last_ns - t->first_ns) / 1e9;
	c.width = seconds * WIDTH_A_SECOND;
	c.width = c.width < WIDTH_MIN ? WIDTH_MIN : c.width > WIDTH_MAX ? WIDTH_MAX : c.width;
	c.px_a_ns = t->last_ns > t->first_ns ? c.width / (double)(t->last_ns - t->first_ns) : 1.0;

	dp_line_str(&c.line, head);
	if (t->wall_offset_ns != DP_SNULL && t->count) {
		dp_line_str(&c.line, "<p>The picture begins at ");
		dp_line_str(&c.line,
			    dp_format_time((int64_t)(t->first_ns + (uint64_t)t->wall_offset_ns),
					   text, sizeof(text)));
		dp_line_str(&c.line, " and shows ");
		dp_line_str(&c.line,
			    dp_duration_text(t->last_ns - t->first_ns, text, sizeof(text)));
		dp_line_str(&c.line, ". Point at a span to read it.</p>\n");
	}
	put_key(&c.line);
	if (t->left_out)
		dp_line_fmt(&c.line, "<p>%llu shorter spans, of %s at most, are not drawn.</p>\n",
			    (unsigned long long)t->left_out,
			    dp_duration_text_up(t->longest_left_out_ns, text, sizeof(text)));
	if (t->nodes_left_out)
		dp_line_fmt(&c.line, "<p>Only the first %d nodes are drawn.</p>\n",
			    DP_TIMELINE_NODES_MAX);
	for (size_t n = 0; n < t->node_count; n++)
		height += lay_out(NULL, t, &t->nodes[n], 0);
	dp_line_fmt(&c.line,
		    "<div class=\"scroll\"><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" "
		    "height=\"%u\" role=\"img\" aria-label=\"Timeline\">\n",
		    (unsigned int)c.width + MARGIN_LEFT + 80, height);
	flush(&c);
	draw_grid(&c, t->last_ns, height);
	for (size_t n = 0; n < t->node_count; n++)
		y += lay_out(&c, t, &t->nodes[n], y);
	dp_line_str(&c.line, "</svg></div>\n<h2>Findings</h2>\n<pre>");
	dp_line_html(&c.line, t->text.data, t->text.len);
	dp_line_str(&c.line, "</pre>\n");
	if (t->text_cut)
		dp_line_str(&c.line, "<p>More findings than fit here: use a text report.</p>\n");
	dp_line_str(&c.line, "</body></html>\n");
	flush(&c);
	dp_line_free(&c.line);
	if (fflush(out) != 0 && !c.error)
		c.error = -errno;
	return c.error;
}
