// SPDX-License-Identifier: MIT
/* The row that a finding's sentence stands in (row.h). */
#include "show/row.h"

#include "base/hash.h"
#include "base/units.h"
#include "show/words.h"

#include <stdio.h>

#define TIME_WIDTH     12
#define KIND_WIDTH     8
#define NAME_WIDTH_MIN 8
#define NAME_WIDTH_MAX 24

const char *const row_paints[] = {
	[PLAIN] = "",          [DIM] = "\033[2m",    [BOLD] = "\033[1m",
	[YELLOW] = "\033[33m", [RED] = "\033[1;31m",
};

size_t put_paint(struct dp_line *l, int colour, enum paint p, const char *s)
{
	size_t columns;

	if (colour && p != PLAIN)
		dp_line_str(l, row_paints[p]);
	columns = dp_line_text(l, s);
	if (colour && p != PLAIN)
		dp_line_str(l, "\033[0m");
	return columns;
}

void row_begin(struct dp_line *l, struct dp_text_state *s, const struct dp_show_options *o,
	       const struct dp_finding *f, const char *kind, enum paint paint)
{
	char time[64], label[32];
	const char *name = f->node;
	size_t columns;
	int day;

	if (f->wall_offset_ns == DP_SNULL) {
		/* No wall clock yet: seconds of the monotonic clock, marked as such. */
		snprintf(time, sizeof(time), "+%llu.%03llu", (unsigned long long)(f->t_ns / SEC),
			 (unsigned long long)(f->t_ns / 1000000 % 1000));
	} else {
		dp_format_local_time((int64_t)(f->t_ns + (uint64_t)f->wall_offset_ns), time,
				     sizeof(time), &day);
		if (day != s->day) {
			s->day = day;
			dp_line_fmt(l, "%04d-%02d-%02d\n", day / 10000, day / 100 % 100, day % 100);
		}
	}
	if (!has(name)) {
		snprintf(label, sizeof(label), f->pid ? "pid %u" : "-", f->pid);
		name = label;
	}
	columns = put_paint(l, o->colour, DIM, time);
	dp_line_fill(l, ' ', (columns < TIME_WIDTH ? TIME_WIDTH - columns : 0) + 2);
	columns = dp_line_text(l, name);
	if (s->name_width < NAME_WIDTH_MIN)
		s->name_width = NAME_WIDTH_MIN;
	if (columns > s->name_width)
		s->name_width = columns < NAME_WIDTH_MAX ? columns : NAME_WIDTH_MAX;
	dp_line_fill(l, ' ', (columns < s->name_width ? s->name_width - columns : 0) + 2);
	columns = put_paint(l, o->colour, paint, kind);
	dp_line_fill(l, ' ', (columns < KIND_WIDTH ? KIND_WIDTH - columns : 0) + 2);
}

size_t row_indent(const struct dp_text_state *s)
{
	return TIME_WIDTH + 2 + s->name_width + 2 + KIND_WIDTH + 2;
}

void row_below_begin(struct dp_line *l, const struct dp_text_state *s)
{
	dp_line_fill(l, ' ', row_indent(s));
}

void row_below(struct dp_line *l, const struct dp_text_state *s, const char *text)
{
	row_below_begin(l, s);
	dp_line_text(l, text);
	dp_line_str(l, "\n");
}

int row_is_new_advice(struct dp_text_state *s, uint32_t pid, const char *advice)
{
	uint32_t hash = dp_hash_fold(dp_hash_text(DP_HASH_START, advice));

	for (uint32_t i = 0; i < DP_TEXT_ADVISED; i++)
		if (s->advised[i].pid == pid && s->advised[i].hash == hash)
			return 0;
	s->advised[s->advised_next].pid = pid;
	s->advised[s->advised_next].hash = hash;
	s->advised_next = (s->advised_next + 1) % DP_TEXT_ADVISED;
	return 1;
}
