// SPDX-License-Identifier: MIT
/* Lines: a bounded buffer and the escaping of strings from outside (line.h). */
#include "show/line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

void dp_line_free(struct dp_line *l)
{
	free(l->data);
	*l = (struct dp_line){.limit = l->limit};
}

void dp_line_reset(struct dp_line *l)
{
	l->len = 0;
	l->error = 0;
}

void dp_line_add(struct dp_line *l, const char *data, size_t len)
{
	size_t cap = l->cap ? l->cap : 512;
	char *bigger;

	if (l->error)
		return;
	if (len > l->limit - l->len) {
		l->error = -E2BIG;
		return;
	}
	while (cap < l->len + len)
		cap *= 2;
	if (cap > l->cap) {
		bigger = realloc(l->data, cap);
		if (!bigger) {
			l->error = -ENOMEM;
			return;
		}
		l->data = bigger;
		l->cap = cap;
	}
	if (len)
		memcpy(l->data + l->len, data, len);
	l->len += len;
}

void dp_line_str(struct dp_line *l, const char *s)
{
	dp_line_add(l, s, strlen(s));
}

void dp_line_fmt(struct dp_line *l, const char *format, ...)
{
	char buf[512];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(buf)) {
		if (!l->error)
			l->error = -E2BIG;
		return;
	}
	dp_line_add(l, buf, (size_t)n);
}

void dp_line_fill(struct dp_line *l, char c, size_t count)
{
	while (count--)
		dp_line_add(l, &c, 1);
}

void dp_line_json(struct dp_line *l, const char *s)
{
	const char *p = s;

	if (!s) {
		dp_line_str(l, "null");
		return;
	}
	dp_line_str(l, "\"");
	while (*p) {
		uint32_t c;
		size_t n = dp_utf8_decode(p, SIZE_MAX, &c);

		if (c == '"' || c == '\\')
			dp_line_fmt(l, "\\%c", (char)c);
		else if (c == '\n')
			dp_line_str(l, "\\n");
		else if (c == '\t')
			dp_line_str(l, "\\t");
		else if (c == UINT32_MAX)
			dp_line_str(l, DP_UTF8_REPLACED);
		else if (!dp_utf8_may_show(c) && c > 0xFFFF)
			dp_line_fmt(l, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
				    0xDC00 + ((c - 0x10000) & 0x3FF));
		else if (!dp_utf8_may_show(c))
			dp_line_fmt(l, "\\u%04x", c);
		else
			dp_line_add(l, p, n);
		p += n;
	}
	dp_line_str(l, "\"");
}

size_t dp_line_text(struct dp_line *l, const char *s)
{
	const char *p = s;
	size_t columns = 0;

	while (*p) {
		char escape[16];
		uint32_t c;
		size_t n = dp_utf8_decode(p, SIZE_MAX, &c);

		if (c == UINT32_MAX) {
			dp_line_str(l, DP_UTF8_REPLACED);
			columns++;
		} else if (!dp_utf8_may_show(c)) {
			int len = snprintf(escape, sizeof(escape),
					   c < 0x100 ? "\\x%02x" : "\\u%04x", c);

			dp_line_add(l, escape, (size_t)len);
			columns += (size_t)len;
		} else {
			dp_line_add(l, p, n);
			columns++;
		}
		p += n;
	}
	return columns;
}

void dp_line_html(struct dp_line *l, const char *s, size_t len)
{
	static const char marks[] = "&<>\"'\n";

	while (len) {
		char plain[65];
		size_t n = 0;

		/* Runs without markup go through dp_line_text, which needs an end of string. */
		while (n < len && n < sizeof(plain) - 1 && (s[n] == '\0' || !strchr(marks, s[n])))
			n++;
		/* Not in the middle of a character, which would spoil it. */
		if (n == sizeof(plain) - 1 && n < len && dp_utf8_cut(s, n) >= sizeof(plain) - 4)
			n = dp_utf8_cut(s, n);
		if (n == 0) {
			if (*s == '\n')
				dp_line_str(l, "\n");
			else
				dp_line_fmt(l, "&#%d;", *s);
			n = 1;
		} else {
			memcpy(plain, s, n);
			plain[n] = '\0';
			dp_line_text(l, plain);
		}
		s += n;
		len -= n;
	}
}
