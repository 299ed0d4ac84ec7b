// SPDX-License-Identifier: MIT
/* What text mode would have printed: kept, and the last of it shown. */
#include "view/screen.h"

#include <string.h>

#include "base/utf8.h"

#define INDENT 14 /* of what does not fit into the line: below the name, behind the time */

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

void messages_draw(struct screen *s, uint32_t pid, int limit)
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
		struct dp_line *l = screen_begin(s);

		if (pid && one->pid != pid)
			continue;
		if (one->under)
			dp_line_fill(l, ' ', INDENT);
		dp_line_str(l, one->text);
		screen_end_wrapped(s, one->mood, INDENT, limit);
	}
}
