/* SPDX-License-Identifier: MIT */
/* Names from a target, made safe to print. */
#include <string.h>

#include "python/internal.h"

static bool unprintable(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || (cp >= 0xd800 && cp <= 0xdfff) ||
	       cp == 0x061c || (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb) ||
	       (cp >= 0xe0000 && cp <= 0xe007f) || cp > 0x10ffff;
}

size_t dp_printable_put(char *dst, uint32_t cp)
{
	if (unprintable(cp))
		cp = '?';
	if (cp < 0x80) {
		dst[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		dst[0] = (char)(0xc0 | (cp >> 6));
		dst[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		dst[0] = (char)(0xe0 | (cp >> 12));
		dst[1] = (char)(0x80 | ((cp >> 6) & 0x3f));
		dst[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	dst[0] = (char)(0xf0 | (cp >> 18));
	dst[1] = (char)(0x80 | ((cp >> 12) & 0x3f));
	dst[2] = (char)(0x80 | ((cp >> 6) & 0x3f));
	dst[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

/* One code point of strict UTF-8; an invalid byte stands for itself as U+FFFFFFFF ('?'). */
static size_t decode(const unsigned char *s, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80             ? 1
		   : (s[0] & 0xe0) == 0xc0 ? 2
		   : (s[0] & 0xf0) == 0xe0 ? 3
		   : (s[0] & 0xf8) == 0xf0 ? 4
					   : 0;
	uint32_t cp;

	*ret = UINT32_MAX;
	if (n == 0 || n > len)
		return 1;
	cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		cp = cp << 6 | (s[i] & 0x3f);
	}
	if (cp < least[n])
		return 1;
	*ret = cp;
	return n;
}

void dp_printable_copy(char *dst, size_t cap, const char *src, size_t len)
{
	size_t used = 0;

	if (cap == 0)
		return;
	while (len > 0 && *src != '\0') {
		char utf8[4];
		uint32_t cp;
		size_t eaten = decode((const unsigned char *)src, len, &cp);
		size_t n = dp_printable_put(utf8, cp);

		if (used + n >= cap)
			break;
		memcpy(dst + used, utf8, n);
		used += n;
		src += eaten;
		len -= eaten;
	}
	dst[used] = '\0';
}

void dp_printable_tail(char *dst, size_t cap, const char *src, size_t len, bool cut_before)
{
	size_t room, from;

	if (cap < 8)
		return;
	if (len < cap && !cut_before) {
		memcpy(dst, src, len);
		dst[len] = '\0';
		return;
	}
	room = cap - 4; /* "..." and the NUL */
	from = len > room ? len - room : 0;
	while (from < len && ((unsigned char)src[from] & 0xc0) == 0x80)
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
