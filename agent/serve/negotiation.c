// SPDX-License-Identifier: MIT
/* What a client takes: formats and encodings (negotiation.h). */
#include "serve/negotiation.h"

#include <string.h>
#include <strings.h>

/* The next element of a comma-separated header, trimmed; NULL at the end. Quotes are respected. */
static const char *list_next(const char **at, size_t *ret_len)
{
	const char *s = *at, *e;
	int quoted = 0;

	while (*s == ' ' || *s == '\t' || *s == ',')
		s++;
	if (!*s)
		return NULL;
	for (e = s; *e && (quoted || *e != ','); e++)
		if (*e == '"')
			quoted = !quoted;
	*at = e;
	while (e > s && (e[-1] == ' ' || e[-1] == '\t'))
		e--;
	*ret_len = (size_t)(e - s);
	return s;
}

/* A weight "0" … "1.000" in thousandths (RFC 9110, 12.4.2); -1 when it is none. */
static int parse_weight(const char *s, size_t len)
{
	int w = 0, unit = 100;

	if (!len || len > 5 || (s[0] != '0' && s[0] != '1') || (len > 1 && s[1] != '.'))
		return -1;
	w = (s[0] - '0') * 1000;
	for (size_t i = 2; i < len; i++, unit /= 10) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		w += (s[i] - '0') * unit;
	}
	return w > 1000 ? -1 : w;
}

/*
 * The value of parameter `name` of a list element ("text/plain;version=0.0.4;q=0.5"), without
 * quotes; NULL when there is none.
 */
static const char *parameter(const char *s, size_t len, const char *name, size_t *ret_len)
{
	const char *end = s + len, *p = memchr(s, ';', len);
	size_t n = strlen(name);

	while (p && p < end) {
		const char *v, *e;

		p++;
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
		e = memchr(p, ';', (size_t)(end - p));
		if (!e)
			e = end;
		if ((size_t)(e - p) > n && strncasecmp(p, name, n) == 0 && p[n] == '=') {
			v = p + n + 1;
			while (e > v && (e[-1] == ' ' || e[-1] == '\t'))
				e--;
			if (e - v >= 2 && *v == '"' && e[-1] == '"') {
				v++;
				e--;
			}
			*ret_len = (size_t)(e - v);
			return v;
		}
		p = e;
	}
	return NULL;
}

/* Weight of an element: 1000 without one, 0 for one that is nonsense. */
static int weight(const char *s, size_t len)
{
	size_t n;
	const char *q = parameter(s, len, "q", &n);
	int w = q ? parse_weight(q, n) : 1000;

	return w < 0 ? 0 : w;
}

static int name_is(const char *s, size_t len, const char *name)
{
	const char *semi = memchr(s, ';', len);
	size_t n = semi ? (size_t)(semi - s) : len;

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		n--;
	return n == strlen(name) && strncasecmp(s, name, n) == 0;
}

static int version_is(const char *s, size_t len, const char *a, const char *b)
{
	size_t n;
	const char *v = parameter(s, len, "version", &n);

	return !v || (n == strlen(a) && memcmp(v, a, n) == 0) ||
	       (n == strlen(b) && memcmp(v, b, n) == 0);
}

enum dp_metrics_format dp_http_negotiate(const char *accept)
{
	/* Weight by how specific the range was: 0 none, 1 any, 2 any of a type, 3 the type. */
	int text_w = 0, text_s = 0, om_w = 0, om_s = 0;
	const char *s;
	size_t len;

	while (accept && (s = list_next(&accept, &len))) {
		int w = weight(s, len), spec_text = 0, spec_om = 0;

		if (name_is(s, len, "*/*"))
			spec_text = spec_om = 1;
		else if (name_is(s, len, "text/*"))
			spec_text = 2;
		else if (name_is(s, len, "application/*"))
			spec_om = 2;
		else if (name_is(s, len, "text/plain") && version_is(s, len, "0.0.4", "0.0.4"))
			spec_text = 3;
		else if (name_is(s, len, "application/openmetrics-text") &&
			 version_is(s, len, "1.0.0", "0.0.1"))
			spec_om = 3;
		if (spec_text > text_s || (spec_text == text_s && spec_text && w > text_w)) {
			text_s = spec_text;
			text_w = w;
		}
		if (spec_om > om_s || (spec_om == om_s && spec_om && w > om_w)) {
			om_s = spec_om;
			om_w = w;
		}
	}
	/* OpenMetrics goes to who names it; a browser's wildcards mean the readable text. */
	if (om_w > text_w && om_s == 3)
		return DP_METRICS_OPENMETRICS;
	if (om_w == text_w && om_w && om_s == 3 && text_s < 3)
		return DP_METRICS_OPENMETRICS;
	return DP_METRICS_TEXT;
}

int dp_http_accepts_gzip(const char *accept)
{
	int gzip = -1, any = 0;
	const char *s;
	size_t len;

	while (accept && (s = list_next(&accept, &len))) {
		if (name_is(s, len, "gzip") || name_is(s, len, "x-gzip"))
			gzip = weight(s, len);
		else if (name_is(s, len, "*"))
			any = weight(s, len);
	}
	return (gzip >= 0 ? gzip : any) > 0;
}
