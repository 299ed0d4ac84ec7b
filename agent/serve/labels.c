// SPDX-License-Identifier: MIT
/* Strings from outside as values of labels (metrics_state.h). */
#include "serve/metrics_state.h"

#include <string.h>

size_t metrics_escape(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	for (; *src && n + 2 < cap; src++) {
		if (*src == '\\' || *src == '"' || *src == '\n') {
			dst[n++] = '\\';
			dst[n++] = *src == '\n' ? 'n' : *src;
		} else {
			dst[n++] = *src;
		}
	}
	dst[n] = '\0';
	return n;
}

/* Length of the valid UTF-8 sequence at s, 0 when there is none (RFC 3629). */
static size_t utf8_length(const unsigned char *s)
{
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if (s[0] >= 0xe0 && s[0] <= 0xef)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/*
 * Copies what both formats can carry: valid UTF-8, cut between characters. Control characters other
 * than the line feed and broken sequences become '?', so that keys are equal exactly when the
 * printed labels are, and no two series can print alike. NULL is "".
 */
void metrics_clean(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	while (src && *src) {
		size_t len = utf8_length((const unsigned char *)src);
		int bad = !len || ((unsigned char)*src < 0x20 && *src != '\n') || *src == 0x7f;

		if (n + (bad ? 1 : len) >= cap)
			break;
		if (bad) {
			dst[n++] = '?';
			src++;
		} else {
			memcpy(dst + n, src, len);
			n += len;
			src += len;
		}
	}
	dst[n] = '\0';
}
