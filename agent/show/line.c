// SPDX-License-Identifier: MIT
/* Lines: a bounded buffer and the escaping of strings from outside (line.h). */
#include "show/line.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu

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

/*
 * One character of a NUL-terminated string: its code point in *ret and the bytes it takes. What is
 * not UTF-8 (overlong forms, surrogates, beyond U+10FFFF, cut short) gives U+FFFD once for each
 * longest prefix of a valid sequence, as the Unicode standard (chapter 3, table 3-7) recommends.
 */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
	unsigned char low = 0x80, high = 0xBF;
	uint32_t c = s[0];
	size_t more;

	*ret = REPLACEMENT;
	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	if (c >= 0xC2 && c <= 0xDF) {
		more = 1;
		c &= 0x1F;
	} else if (c >= 0xE0 && c <= 0xEF) {
		more = 2;
		low = c == 0xE0 ? 0xA0 : low;
		high = c == 0xED ? 0x9F : high;
		c &= 0x0F;
	} else if (c >= 0xF0 && c <= 0xF4) {
		more = 3;
		low = c == 0xF0 ? 0x90 : low;
		high = c == 0xF4 ? 0x8F : high;
		c &= 0x07;
	} else {
		return 1;
	}
	for (size_t i = 1; i <= more; i++) {
		if (s[i] < low || s[i] > high)
			return i;
		low = 0x80;
		high = 0xBF;
		c = c << 6 | (s[i] & 0x3Fu);
	}
	*ret = c;
	return more + 1;
}

/*
 * Characters that a terminal or a reader acts on instead of showing them: C0 and C1 controls, and
 * the invisible ones that reorder or hide text (Unicode technical report 36, section 2.4).
 */
static int is_active(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x61C || (c >= 0x200B && c <= 0x200F) ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF ||
	       (c >= 0xE0000 && c <= 0xE007F);
}

void dp_line_json(struct dp_line *l, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	if (!s) {
		dp_line_str(l, "null");
		return;
	}
	dp_line_str(l, "\"");
	while (*p) {
		uint32_t c;
		size_t n = decode(p, &c);

		if (c == '"' || c == '\\')
			dp_line_fmt(l, "\\%c", (char)c);
		else if (c == '\n')
			dp_line_str(l, "\\n");
		else if (c == '\t')
			dp_line_str(l, "\\t");
		else if (is_active(c) && c > 0xFFFF)
			dp_line_fmt(l, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
				    0xDC00 + ((c - 0x10000) & 0x3FF));
		else if (is_active(c))
			dp_line_fmt(l, "\\u%04x", c);
		else if (c == REPLACEMENT)
			dp_line_str(l, "\xEF\xBF\xBD");
		else
			dp_line_add(l, (const char *)p, n);
		p += n;
	}
	dp_line_str(l, "\"");
}

size_t dp_line_text(struct dp_line *l, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t columns = 0;

	while (*p) {
		char escape[16];
		uint32_t c;
		size_t n = decode(p, &c);

		if (is_active(c)) {
			int len = snprintf(escape, sizeof(escape),
					   c < 0x100 ? "\\x%02x" : "\\u%04x", c);

			dp_line_add(l, escape, (size_t)len);
			columns += (size_t)len;
		} else {
			if (c == REPLACEMENT)
				dp_line_str(l, "\xEF\xBF\xBD");
			else
				dp_line_add(l, (const char *)p, n);
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
		if (n == sizeof(plain) - 1)
			while (n > sizeof(plain) - 5 && ((unsigned char)s[n] & 0xC0) == 0x80)
				n--;
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
