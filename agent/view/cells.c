// SPDX-License-Identifier: MIT
/* Text that fits into so many columns (cells.h). */
#include "view/cells.h"

#include <stdint.h>
#include <stdio.h>
#include <wchar.h>

#include "base/units.h"
#include "base/utf8.h"
#include "dora_probe/finding.h"
#include "view/panel.h"

/* The character at s (valid UTF-8, as dp_line_text leaves it): its bytes, and columns in *ret. */
static size_t character(const char *s, size_t *ret)
{
	uint32_t c;
	size_t n = dp_utf8_decode(s, SIZE_MAX, &c);
	int columns = wcwidth((wchar_t)c);

	*ret = columns < 0 ? 1 : (size_t)columns;
	return n;
}

size_t columns_of(const char *s)
{
	size_t columns = 0, c;

	for (; *s; columns += c)
		s += character(s, &c);
	return columns;
}

size_t fitting(const char *s, size_t width)
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

size_t line_end(const char *s, size_t width)
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

const char *text_end(struct text *t)
{
	dp_line_add(&t->l, "", 1);
	/* What did not fit is a cut line, never a lost screen. */
	return t->l.error || !t->l.data ? "" : t->l.data;
}

void put_cell(struct dp_line *l, const char *s, size_t width, int right)
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

char *slack_text(int64_t ns, char *buf, size_t len)
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
