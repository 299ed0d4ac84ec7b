// SPDX-License-Identifier: MIT
/* Values of postcard, and what of dora's structs is walked over (postcard.h). */
#include "dora/postcard.h"

uint64_t dp_postcard_varint(struct dp_cursor *c, unsigned int bits)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < bits; shift += 7) {
		uint8_t b = dp_cur_u8(c);

		if (c->status != DP_CUR_OK)
			return 0;
		if (shift + 7 > bits && (b & 0x7f) >> (bits - shift))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	dp_cur_fail(c, DP_CUR_BAD);
	return 0;
}

struct dp_slice dp_postcard_bytes(struct dp_cursor *c)
{
	uint64_t len = dp_postcard_varint(c, 64);
	const uint8_t *p = dp_cur_take(c, len);

	return (struct dp_slice){p, p ? (size_t)len : 0};
}

void dp_postcard_skip_bytes(struct dp_cursor *c)
{
	uint64_t len = dp_postcard_varint(c, 64);

	dp_cur_skip(c, len);
}

uint64_t dp_postcard_count(struct dp_cursor *c, size_t least)
{
	return dp_cur_count(c, dp_postcard_varint(c, 64), least);
}

void dp_postcard_skip_timestamp(struct dp_cursor *c)
{
	size_t left = dp_cur_left(c);

	if (c->status != DP_CUR_OK)
		return;
	dp_postcard_varint(c, 64);
	dp_cur_skip(c, 16);
	/*
	 * A long payload may take the end of its frame with it when it is cut. What is left then
	 * has room for one timestamp and for nothing else.
	 */
	if (c->status == DP_CUR_HOLE && left >= DP_POSTCARD_TIMESTAMP_MIN &&
	    left <= DP_POSTCARD_TIMESTAMP_MAX) {
		c->status = DP_CUR_OK;
		c->pos = c->body->len;
	}
}

static void skip_parameter(struct dp_cursor *c)
{
	uint64_t n;
	uint64_t kind = dp_postcard_varint(c, 32);

	if (c->status != DP_CUR_OK)
		return;
	switch (kind) {
	case 0: /* Bool */
		dp_cur_flag(c);
		break;
	case 1: /* Integer */
		dp_postcard_varint(c, 64);
		break;
	case 2: /* String */
	case 7: /* Timestamp, RFC 3339 text */
		dp_postcard_skip_bytes(c);
		break;
	case 3: /* ListInt */
		n = dp_postcard_count(c, 1);
		for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++)
			dp_postcard_varint(c, 64);
		break;
	case 4: /* Float */
		dp_cur_skip(c, 8);
		break;
	case 5: /* ListFloat */
		n = dp_postcard_count(c, 8);
		dp_cur_skip(c, n * 8);
		break;
	case 6: /* ListString */
		n = dp_postcard_count(c, 1);
		for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++)
			dp_postcard_skip_bytes(c);
		break;
	default:
		c->status = DP_CUR_UNKNOWN;
		break;
	}
}

void dp_postcard_skip_metadata(struct dp_cursor *c)
{
	uint64_t n;

	dp_postcard_varint(c, 16); /* metadata_version */
	dp_postcard_skip_timestamp(c);
	n = dp_postcard_count(c, 3);
	for (uint64_t i = 0; i < n && c->status == DP_CUR_OK; i++) {
		dp_postcard_skip_bytes(c);
		skip_parameter(c);
	}
}

void dp_postcard_skip_data(struct dp_cursor *c)
{
	if (!dp_cur_flag(c))
		return;
	if (dp_postcard_varint(c, 32) != 0)
		dp_cur_fail(c, DP_CUR_BAD);
	dp_postcard_skip_bytes(c);
}
