// SPDX-License-Identifier: MIT
/*
 * Line of a bytecode offset, from the three formats of 3.8–3.15:
 *   co_lnotab, 3.8 and 3.9    Objects/lnotab_notes.txt: pairs u8 Δoffset, s8 Δline
 *   co_linetable, 3.10        the same with -128 for "no line", Δline before the range
 *   co_linetable, from 3.11   Objects/locations.md: entries of variable length
 */
#include "python/internal.h"

#define MAX_LINE 0x3fffffff

void dp_linetable_begin(struct dp_linetable *t, uint32_t format, int32_t first_line, int32_t offset)
{
	*t = (struct dp_linetable){.format = format, .line = first_line, .wanted = offset};
	/* A frame that has not started yet is at the def line, as PyCode_Addr2Line has it. */
	if (offset < 0) {
		t->found = first_line;
		t->done = true;
	}
}

static void add_line(struct dp_linetable *t, int64_t delta)
{
	int64_t line = t->line + delta;

	t->line = line > MAX_LINE ? MAX_LINE : line < -MAX_LINE ? -MAX_LINE : (int32_t)line;
}

/* Advances over `len` bytes of bytecode that belong to `line`. */
static void range(struct dp_linetable *t, int32_t len, int32_t line)
{
	if (t->wanted >= t->offset && t->wanted - t->offset < len) {
		t->found = line;
		t->done = true;
	}
	t->offset += len;
	if (t->offset > MAX_LINE)
		t->done = true;
}

static size_t feed_lnotab(struct dp_linetable *t, const uint8_t *p, size_t len)
{
	size_t i = 0;

	for (; i + 2 <= len && !t->done; i += 2) {
		t->offset += p[i];
		if (t->offset > t->wanted) {
			t->found = t->line;
			t->done = true;
			break;
		}
		add_line(t, (int8_t)p[i + 1]);
	}
	return i;
}

static size_t feed_310(struct dp_linetable *t, const uint8_t *p, size_t len)
{
	size_t i = 0;

	for (; i + 2 <= len && !t->done; i += 2) {
		int8_t delta = (int8_t)p[i + 1];

		if (delta != -128)
			add_line(t, delta);
		range(t, p[i], delta == -128 ? 0 : t->line);
	}
	return i;
}

/* Six bits a byte, lowest first. Returns the bytes taken, 0 when `len` ends before it does. */
static size_t varint(const uint8_t *p, size_t len, uint32_t *ret)
{
	uint32_t v = 0;

	for (size_t i = 0; i < len && i < 6; i++) {
		v |= (uint32_t)(p[i] & 63) << (6 * i);
		if (!(p[i] & 64) || i == 5) {
			*ret = v;
			return i + 1;
		}
	}
	return 0;
}

/* Reads one entry; 0 when more bytes are needed. The column fields are stepped over. */
static size_t location_entry(struct dp_linetable *t, const uint8_t *p, size_t len)
{
	unsigned int code = (p[0] >> 3) & 15, varints = 0;
	int32_t bytes = ((p[0] & 7) + 1) * 2;
	int64_t delta = 0;
	size_t used = 1, plain = 0;

	switch (code) {
	case 15:
		break;
	case 14:
		varints = 4;
		break;
	case 13:
		varints = 1;
		break;
	case 10:
	case 11:
	case 12:
		delta = (int64_t)code - 10;
		plain = 2;
		break;
	default:
		plain = 1;
		break;
	}
	for (unsigned int i = 0; i < varints; i++) {
		uint32_t v = 0;
		size_t n = varint(p + used, len - used, &v);

		if (n == 0)
			return 0;
		if (i == 0)
			delta = v & 1 ? -(int64_t)(v >> 1) : (int64_t)(v >> 1);
		used += n;
	}
	if (len - used < plain)
		return 0;
	add_line(t, delta);
	range(t, bytes, code == 15 ? 0 : t->line);
	return used + plain;
}

size_t dp_linetable_feed(struct dp_linetable *t, const uint8_t *p, size_t len)
{
	size_t i = 0;

	if (t->format == DP_LINES_LNOTAB)
		return feed_lnotab(t, p, len);
	if (t->format == DP_LINES_310)
		return feed_310(t, p, len);
	while (i < len && !t->done) {
		size_t n = location_entry(t, p + i, len - i);

		if (n == 0)
			break;
		i += n;
	}
	return i;
}

int32_t dp_linetable_line(const struct dp_linetable *t)
{
	int32_t line = t->found;

	/* The last line of a co_lnotab runs to the end of the code, which the table does not say.
	 */
	if (!t->done && t->format == DP_LINES_LNOTAB)
		line = t->line;
	return line > 0 ? line : 0;
}
