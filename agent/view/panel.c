// SPDX-License-Identifier: MIT
/* The screen of the live view as lines of text (panel.h). */
#include "view/panel.h"

#include "show/line.h"
#include "show/show.h"
#include "show/words.h"
#include "view/rows.h"
#include "view/screen.h"

static void title(struct screen *s)
{
	const struct dp_panel *p = s->p;
	struct dp_line *l = screen_begin(s);
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
	screen_end_wide(s, DP_MOOD_BAR);
}

static void heading(struct screen *s, const char *words, const char *name)
{
	struct dp_line *l = screen_begin(s);

	dp_line_str(l, words);
	dp_line_text(l, name);
	screen_end(s, DP_MOOD_HEADING);
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
		screen_put(&s, DP_MOOD_PLAIN, "window too small");
		return;
	}
	if (p->row_count)
		row = &p->rows[selected];
	s.height = height - 1; /* the last line is for the keys */
	table_measure(&s);
	title(&s);
	body = s.height - 2;
	shown = (unsigned int)body * 2 / 5;
	if (shown > p->row_count)
		shown = p->row_count;
	table_draw(&s, selected, shown);
	if (row) {
		screen_put(&s, DP_MOOD_PLAIN, "");
		detail_draw(&s, row, s.y + (s.height - s.y) * 2 / 3);
	}
	/* With one node, the last about it and the last of all are the same. */
	if (row && p->row_count > 1 && s.height - s.y >= 7) {
		heading(&s, "Last about ", node_name(row, name, sizeof(name)));
		messages_draw(&s, row->v.pid, s.y + (s.height - s.y - 1) / 2);
	}
	if (s.height - s.y >= 2) {
		heading(&s, "Latest", "");
		messages_draw(&s, 0, s.height);
	}
	while (s.y < s.height)
		screen_put(&s, DP_MOOD_PLAIN, "");
	s.height = height;
	dp_line_str(screen_begin(&s), !p->keys    ? " Ctrl-C ends"
				      : p->paused ? " q quit   p go on   up/down select"
						  : " q quit   p pause   up/down select");
	screen_end_wide(&s, DP_MOOD_BAR);
	dp_line_free(&s.t.l);
}
