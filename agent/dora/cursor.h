/* SPDX-License-Identifier: MIT */
/*
 * A frame's body and a bounded reader over it. A body may have a hole (a piece that was cut off or
 * unreadable): its length is known, its first `head_len` and its last `tail_len` bytes are there,
 * what lies between is not. Skipping over a hole is allowed, reading from it is not.
 *
 * The first failure sticks: after it every read gives 0, so that a walk checks once at its end and
 * in its loops.
 */
#ifndef DORA_PROBE_DORA_CURSOR_H
#define DORA_PROBE_DORA_CURSOR_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dp_body {
	const uint8_t *head;
	size_t head_len; /* == len when there is no hole */
	const uint8_t *tail;
	size_t tail_len; /* only with a hole */
	size_t len;
};

enum dp_cursor_status {
	DP_CUR_OK,
	DP_CUR_HOLE,    /* the bytes exist but were not captured */
	DP_CUR_UNKNOWN, /* well-formed so far, then something that this table does not know */
	DP_CUR_BAD,     /* cannot be a frame of this kind */
};

struct dp_cursor {
	const struct dp_body *body;
	size_t pos;
	enum dp_cursor_status status;
};

struct dp_slice {
	const uint8_t *p; /* NULL: absent or not captured */
	size_t len;
};

static inline void dp_cur_fail(struct dp_cursor *c, enum dp_cursor_status status)
{
	if (c->status == DP_CUR_OK)
		c->status = status;
}

static inline size_t dp_cur_left(const struct dp_cursor *c)
{
	return c->body->len - c->pos;
}

/* The next n bytes, or NULL with the status set. */
static inline const uint8_t *dp_cur_take(struct dp_cursor *c, uint64_t n)
{
	const struct dp_body *b = c->body;
	const uint8_t *p;

	if (c->status != DP_CUR_OK)
		return NULL;
	if (n > b->len - c->pos) {
		c->status = DP_CUR_BAD;
		return NULL;
	}
	if (c->pos + n <= b->head_len) {
		p = b->head + c->pos;
	} else if (c->pos >= b->len - b->tail_len) {
		p = b->tail + (c->pos - (b->len - b->tail_len));
	} else {
		c->status = DP_CUR_HOLE;
		return NULL;
	}
	c->pos += n;
	return p;
}

static inline void dp_cur_skip(struct dp_cursor *c, uint64_t n)
{
	if (c->status != DP_CUR_OK)
		return;
	if (n > c->body->len - c->pos)
		c->status = DP_CUR_BAD;
	else
		c->pos += n;
}

static inline uint8_t dp_cur_u8(struct dp_cursor *c)
{
	const uint8_t *p = dp_cur_take(c, 1);

	return p ? *p : 0;
}

/* bool and the tag of an Option: both codecs refuse any other byte. */
static inline int dp_cur_flag(struct dp_cursor *c)
{
	uint8_t v = dp_cur_u8(c);

	if (v > 1)
		dp_cur_fail(c, DP_CUR_BAD);
	return v == 1;
}

/* `n` things of at least `least` bytes each are to follow: 0 with the status set where they cannot. */
static inline uint64_t dp_cur_count(struct dp_cursor *c, uint64_t n, size_t least)
{
	if (n <= dp_cur_left(c) / least)
		return n;
	dp_cur_fail(c, DP_CUR_BAD);
	return 0;
}

static inline uint32_t dp_cur_u32(struct dp_cursor *c)
{
	const uint8_t *p = dp_cur_take(c, 4);
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, 4);
	return le32toh(v);
}

static inline uint64_t dp_cur_u64(struct dp_cursor *c)
{
	const uint8_t *p = dp_cur_take(c, 8);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, 8);
	return le64toh(v);
}

/*
 * Events of a reply that nobody needs to see: the `n` behind the hole take together exactly the bytes
 * that `n` inputs take which are as long as the one before them. An event of another kind is no
 * more than some hundred bytes, an input of this length is its payload.
 */
#define DP_ALIKE_MIN 1024

/* Does that hold for the rest of the body behind the event of `size` bytes that ends at `end`? */
static inline int dp_cur_rest_alike(const struct dp_cursor *c, uint64_t end, uint64_t size,
				    uint64_t n)
{
	return c->status == DP_CUR_HOLE && size >= DP_ALIKE_MIN && end <= c->body->len &&
	       (c->body->len - end) % size == 0 && (c->body->len - end) / size == n;
}

/* Every byte must have been used: both codecs refuse trailing bytes. */
static inline void dp_cur_end(struct dp_cursor *c)
{
	if (c->status == DP_CUR_OK && c->pos != c->body->len)
		c->status = DP_CUR_BAD;
}

#endif
