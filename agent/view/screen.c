// SPDX-License-Identifier: MIT
/* The screen in the making (screen.h). */
#include "view/screen.h"

#include <string.h>

#include "base/utf8.h"

struct dp_line *screen_begin(struct screen *s)
{
	dp_line_reset(&s->t.l);
	return &s->t.l;
}

void screen_put(struct screen *s, unsigned int mood, const char *text)
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

void screen_end(struct screen *s, unsigned int mood)
{
	screen_put(s, mood, text_end(&s->t));
}

void screen_end_wide(struct screen *s, unsigned int mood)
{
	size_t columns;

	dp_line_add(&s->t.l, "", 1);
	columns = s->t.l.error ? 0 : columns_of(s->t.l.data);
	if (!s->t.l.error)
		s->t.l.len--;
	if (columns < (size_t)s->width)
		dp_line_fill(&s->t.l, ' ', (size_t)s->width - columns);
	screen_end(s, mood);
}

void screen_end_wrapped(struct screen *s, unsigned int mood, size_t indent, int limit)
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
		screen_end(s, mood);
		rest += n;
		while (*rest == ' ')
			rest++;
		first = 0;
	}
	dp_line_free(&whole.l);
}
