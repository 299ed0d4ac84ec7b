// SPDX-License-Identifier: MIT
/* UTF-8 from outside (utf8.h). */
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"

#define NAME_HASH 9 /* bytes of "~12345678" */

#define IS_CONTINUATION(byte) (((unsigned char)(byte)&0xc0) == 0x80)

size_t dp_utf8_decode(const char *s, size_t len, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char low = 0x80, high = 0xbf;
	uint32_t c = p[0];
	size_t more;

	*ret = UINT32_MAX;
	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		more = 1;
		c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2;
		low = c == 0xe0 ? 0xa0 : low;
		high = c == 0xed ? 0x9f : high;
		c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3;
		low = c == 0xf0 ? 0x90 : low;
		high = c == 0xf4 ? 0x8f : high;
		c &= 0x07;
	} else {
		return 1;
	}
	for (size_t i = 1; i <= more; i++) {
		if (i >= len || p[i] < low || p[i] > high)
			return i;
		low = 0x80;
		high = 0xbf;
		c = c << 6 | (p[i] & 0x3fu);
	}
	*ret = c;
	return more + 1;
}

bool dp_utf8_may_show(uint32_t c)
{
	return !(c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c ||
		 (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		 (c >= 0x2060 && c <= 0x206f) || (c >= 0xd800 && c <= 0xdfff) || c == 0xfeff ||
		 (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f) || c > 0x10ffff);
}

size_t dp_utf8_encode(char *dst, uint32_t c)
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		dst[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t dp_utf8_cut(const char *s, size_t len)
{
	while (len > 0 && IS_CONTINUATION(s[len]))
		len--;
	return len;
}

/* How many bytes from the start of `s` are letters, digits and signs of ASCII, eight at a time; the rest is not known. */
static size_t plain(const char *s, size_t len)
{
	const uint64_t ones = 0x0101010101010101ULL;
	size_t n = 0;

	for (; n + 8 <= len; n += 8) {
		uint64_t w;

		memcpy(&w, s + n, 8);
		/* A byte above 0x7f, one below 0x20, one that is 0x7f: each sets a highest bit somewhere. */
		if ((w | (w - ones * 0x20) | (w + ones)) & ones * 0x80)
			break;
	}
	return n;
}

void dp_utf8_copy(char *dst, size_t cap, const void *src, size_t len)
{
	const char *s = src;
	size_t at = plain(s, len < cap ? len : cap - 1);

	memcpy(dst, s, at);
	s += at;
	len -= at;
	while (len > 0) {
		uint32_t c;
		size_t n = dp_utf8_decode(s, len, &c);
		bool shown = dp_utf8_may_show(c);

		if (c == UINT32_MAX)
			n = 1;
		if (at + (shown ? n : 1) >= cap)
			break;
		if (shown)
			memcpy(dst + at, s, n);
		else
			dst[at] = '?';
		at += shown ? n : 1;
		s += n;
		len -= n;
	}
	dst[at] = '\0';
}

void dp_utf8_name(char *dst, size_t cap, const void *src, size_t len)
{
	size_t room = cap - 1 - NAME_HASH;

	if (len < cap) {
		dp_utf8_copy(dst, cap, src, len);
		return;
	}
	dp_utf8_copy(dst, room + 1, src, len);
	room = strlen(dst);
	snprintf(dst + room, cap - room, "~%08x",
		 dp_hash_fold(dp_hash_bytes(DP_HASH_START, src, len)));
}

void dp_utf8_tail(char *dst, size_t cap, const char *src, size_t len, bool cut_before)
{
	size_t room, from;

	if (len < cap && !cut_before) {
		memcpy(dst, src, len);
		dst[len] = '\0';
		return;
	}
	room = cap - 4; /* "..." and the NUL */
	from = len > room ? len - room : 0;
	while (from < len && IS_CONTINUATION(src[from]))
		from++;
	/* A path reads better from the start of a component, if that costs at most a third. */
	for (size_t i = from; i < len && i - from < room / 3; i++)
		if (src[i] == '/') {
			from = i;
			break;
		}
	memcpy(dst, "...", 3);
	memcpy(dst + 3, src + from, len - from);
	dst[3 + len - from] = '\0';
}
