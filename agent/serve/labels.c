// SPDX-License-Identifier: MIT
/* Strings from outside as values of labels (metrics_state.h). */
#include "serve/metrics_state.h"

#include <string.h>

#include "base/utf8.h"

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

/*
 * Copies what both formats can carry: valid UTF-8, cut between characters. What may not be shown,
 * but for the line feed, and broken sequences become '?', so that keys are equal exactly when the
 * printed labels are, and no two series can print alike. NULL is "".
 */
void metrics_clean(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	while (src && *src) {
		uint32_t c;
		size_t len = dp_utf8_decode(src, SIZE_MAX, &c);
		bool bad = c != '\n' && !dp_utf8_may_show(c);

		if (n + (bad ? 1 : len) >= cap)
			break;
		if (bad) {
			dst[n++] = '?';
		} else {
			memcpy(dst + n, src, len);
			n += len;
		}
		src += c == UINT32_MAX ? 1 : len;
	}
	dst[n] = '\0';
}
