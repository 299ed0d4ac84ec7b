// SPDX-License-Identifier: MIT
/* Text that is not wider than wanted (wrap.h). */
#include "show/wrap.h"

#include <stdbool.h>
#include <string.h>

/* Bytes of the colour sequence that begins at s, 0 where none does. No string from outside has one. */
static size_t paint_at(const char *s, size_t len)
{
	const char *end = len > 1 && s[0] == '\033' ? memchr(s, 'm', len) : NULL;

	return end ? (size_t)(end - s) + 1 : 0;
}

/* Bytes of the character at s, which is UTF-8 from dp_line_text(). */
static size_t character_at(const char *s, size_t len)
{
	size_t n = 1;

	while (n < len && ((unsigned char)s[n] & 0xC0) == 0x80)
		n++;
	return n;
}

/*
 * Of a line without its end: how many bytes stay on the first row of `columns`, when a break is
 * only at a space behind `margin` columns. All of it where it fits, or has no such space.
 */
static size_t row_bytes(const char *s, size_t len, size_t columns, size_t margin)
{
	size_t at = 0, column = 0, space = 0;
	bool found = false;

	while (at < len) {
		size_t paint = paint_at(s + at, len - at);

		if (paint) {
			at += paint;
			continue;
		}
		if (s[at] == ' ' && column > margin && (column <= columns || !found)) {
			space = at;
			found = true;
		}
		if (column >= columns && found)
			return space;
		at += character_at(s + at, len - at);
		column++;
	}
	return len;
}

static size_t spaces_at(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] == ' ')
		n++;
	return n;
}

static void wrap_line(struct dp_line *to, const char *s, size_t len, size_t columns, size_t indent)
{
	size_t row;

	if (indent >= columns / 2)
		indent = columns / 2;
	row = row_bytes(s, len, columns, indent);
	dp_line_add(to, s, row);
	while (row < len) {
		size_t skip = spaces_at(s + row, len - row);

		if (row + skip == len)
			break;
		s += row + skip;
		len -= row + skip;
		dp_line_str(to, "\n");
		dp_line_fill(to, ' ', indent);
		row = row_bytes(s, len, columns - indent, 0);
		dp_line_add(to, s, row);
	}
	dp_line_str(to, "\n");
}

void dp_wrap(struct dp_line *to, const char *text, size_t len, size_t columns, size_t indent)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t line = end ? (size_t)(end - text) : len;

		wrap_line(to, text, line, columns,
			  indent ? indent : spaces_at(text, line) + DP_WRAP_FURTHER);
		line += end ? 1 : 0;
		text += line;
		len -= line;
	}
}
