// SPDX-License-Identifier: MIT
/* Strings that come from a target (text.h). */
#include "dora/text.h"

#include <stdint.h>
#include <string.h>

/*
 * Bytes of the well-formed UTF-8 character at `p` (1 to 4) and its code point, or 0. Over-long
 * forms, surrogates and values beyond U+10FFFF are refused (Unicode 15, table 3-7).
 */
static size_t decode(const unsigned char *p, size_t len, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = p[0];
	size_t n;

	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf)
		n = 2;
	else if ((c & 0xf0) == 0xe0)
		n = 3;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	c &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

static int printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return 0;
	/* Characters that break a line or reorder what a terminal shows. */
	return c != 0x2028 && c != 0x2029 && c != 0x200e && c != 0x200f &&
	       !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff;
}

void dp_text_copy(char *dst, size_t cap, const void *src, size_t len)
{
	const unsigned char *p = src;
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = decode(p + i, len - i, &c);

		if (n == 0 || !printable(c)) {
			if (at + 1 >= cap)
				break;
			dst[at++] = '?';
			i += n ? n : 1;
			continue;
		}
		if (at + n >= cap)
			break;
		memcpy(dst + at, p + i, n);
		at += n;
		i += n;
	}
	dst[at] = '\0';
}

void dp_text_uuid(char dst[37], const unsigned char uuid[16])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			dst[at++] = '-';
		dst[at++] = hex[uuid[i] >> 4];
		dst[at++] = hex[uuid[i] & 15];
	}
	dst[at] = '\0';
}

int dp_text_is_uuid(const char *s)
{
	for (size_t i = 0; i < 36; i++) {
		char c = s[i];

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return 0;
		} else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
			     (c >= 'A' && c <= 'F'))) {
			return 0;
		}
	}
	return s[36] == '\0';
}
