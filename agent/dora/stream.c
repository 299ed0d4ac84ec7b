// SPDX-License-Identifier: MIT
/* Reassembly and frame cutting of one direction (stream.h). */
#include "dora/stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* The first buffer of a stream; most frames are some 200 bytes, inline payload goes up to 4 KiB. */
#define BODY_FIRST 8192u
/* A larger buffer is given back with its frame. */
#define BODY_KEPT 16384u
/* Frames in a row that cannot be read before the boundary itself is doubted. */
#define INVALID_STREAK_MAX 3
/* The shortest body: postcard's Result Ok. */
#define FRAME_MIN 2
/* Lengths that a call of 8 bytes may announce to be taken for a header (dora 1.x's own limit). */
#define FRAME_PLAUSIBLE (64u * 1024 * 1024)

void dp_stream_init(struct dp_stream *s, int synced)
{
	memset(s, 0, offsetof(struct dp_stream, tail));
	s->synced = synced ? 1 : 0;
}

static void give_back(struct dp_stream *s, struct dp_stream_pool *pool)
{
	free(s->buf);
	pool->used -= s->cap;
	s->buf = NULL;
	s->cap = 0;
	s->have = 0;
}

void dp_stream_done(struct dp_stream *s, struct dp_stream_pool *pool)
{
	give_back(s, pool);
}

/* Room for `need` bytes of body, within the limits. 0 or -ENOBUFS. */
static int grow(struct dp_stream *s, struct dp_stream_pool *pool, size_t need)
{
	uint32_t cap = s->cap ? s->cap : BODY_FIRST;
	uint8_t *buf;

	if (need <= s->cap)
		return 0;
	if (need > DP_STREAM_BODY_MAX)
		return -ENOBUFS;
	while (cap < need)
		cap *= 2;
	if (pool->used + (cap - s->cap) > DP_STREAMS_MAX)
		return -ENOBUFS;
	buf = realloc(s->buf, cap);
	if (!buf)
		return -ENOBUFS;
	pool->used += cap - s->cap;
	s->buf = buf;
	s->cap = cap;
	return 0;
}

static void end_frame(struct dp_stream *s, struct dp_stream_pool *pool)
{
	s->header_have = 0;
	s->have = 0;
	s->pos = 0;
	s->len = 0;
	s->holed = 0;
	s->limited = 0;
	s->tail_len = 0;
	if (s->cap > BODY_KEPT)
		give_back(s, pool);
}

int dp_stream_lost(struct dp_stream *s, struct dp_stream_pool *pool)
{
	int had = s->synced;

	end_frame(s, pool);
	s->synced = 0;
	s->proving = 0;
	s->invalid_streak = 0;
	s->in_call = 0;
	return had;
}

int dp_stream_in_frame(const struct dp_stream *s)
{
	return s->synced && s->header_have;
}

int dp_stream_whole(const struct dp_stream *s)
{
	return s->synced && !s->proving && !s->holed && s->invalid_streak == 0;
}

static uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

struct feed {
	struct dp_stream *s;
	struct dp_stream_pool *pool;
	dp_stream_fn *fn;
	void *ctx;
};

static void desync(const struct feed *f)
{
	if (dp_stream_lost(f->s, f->pool))
		f->fn(f->ctx, DP_STREAM_LOST, NULL, 0);
}

/* Hands a complete body over and judges by the answer whether the boundary is right. */
static void complete(const struct feed *f, const struct dp_body *b)
{
	struct dp_stream *s = f->s;
	int understood = f->fn(f->ctx, DP_STREAM_FRAME, b, s->limited);

	end_frame(s, f->pool);
	if (understood > 0) {
		s->proving = 0;
		s->invalid_streak = 0;
	} else if (understood == 0) {
		/* A new kind of frame does not move the boundary, a row of them is no boundary. */
		if (s->proving || ++s->invalid_streak >= INVALID_STREAK_MAX)
			desync(f);
	}
}

static void complete_buffered(const struct feed *f)
{
	struct dp_stream *s = f->s;
	static const uint8_t nothing[1];
	struct dp_body b = {
		.head = s->buf ? s->buf : nothing, .head_len = s->have, .len = (size_t)s->len};

	if (s->holed) {
		size_t n = s->tail_len < DP_STREAM_TAIL ? s->tail_len : DP_STREAM_TAIL;

		if (n > s->len - s->have)
			n = (size_t)(s->len - s->have);
		b.tail = s->tail + s->tail_len - n;
		b.tail_len = n;
	}
	complete(f, &b);
}

/* Remembers the newest bytes behind a hole; tail[] is twice as long so that it moves rarely. */
static void keep_tail(struct dp_stream *s, const uint8_t *p, size_t n)
{
	if (n > DP_STREAM_TAIL) {
		p += n - DP_STREAM_TAIL;
		n = DP_STREAM_TAIL;
		s->tail_len = 0;
	}
	if (s->tail_len + n > sizeof(s->tail)) {
		size_t keep = DP_STREAM_TAIL;

		memmove(s->tail, s->tail + s->tail_len - keep, keep);
		s->tail_len = (uint16_t)keep;
	}
	memcpy(s->tail + s->tail_len, p, n);
	s->tail_len = (uint16_t)(s->tail_len + n);
}

/* The header is complete: is this a length? 0, or -1 with the boundary given up. */
static int begin_body(const struct feed *f)
{
	struct dp_stream *s = f->s;
	uint64_t len = load_u64(s->header);

	if (len < FRAME_MIN || len > DP_FRAME_MAX) {
		desync(f);
		return -1;
	}
	s->len = len;
	s->pos = 0;
	return 0;
}

static void feed_bytes(const struct feed *f, const uint8_t *p, size_t n)
{
	struct dp_stream *s = f->s;

	while (n && s->synced) {
		size_t take;

		if (s->header_have < 8) {
			take = 8u - s->header_have;
			if (take > n)
				take = n;
			memcpy(s->header + s->header_have, p, take);
			s->header_have = (uint8_t)(s->header_have + take);
			p += take;
			n -= take;
			if (s->header_have == 8 && begin_body(f))
				return;
			continue;
		}
		if (s->pos == 0 && s->len <= n) {
			/* The usual case: a whole body in one piece is read where it lies. */
			struct dp_body b = {p, (size_t)s->len, NULL, 0, (size_t)s->len};

			p += b.len;
			n -= b.len;
			complete(f, &b);
			continue;
		}
		take = n < s->len - s->pos ? n : (size_t)(s->len - s->pos);
		if (!s->holed) {
			size_t fits = take;

			if (s->have + take > DP_STREAM_BODY_MAX)
				fits = DP_STREAM_BODY_MAX - s->have;
			if (grow(s, f->pool, s->have + fits))
				fits = s->cap - s->have;
			if (fits)
				memcpy(s->buf + s->have, p, fits);
			s->have += (uint32_t)fits;
			if (fits < take) {
				s->holed = 1;
				s->limited = 1;
				keep_tail(s, p + fits, take - fits);
			}
		} else {
			keep_tail(s, p, take);
		}
		s->pos += take;
		p += take;
		n -= take;
		if (s->pos == s->len)
			complete_buffered(f);
	}
}

/* n bytes went by unseen. */
static void feed_hole(const struct feed *f, uint64_t n)
{
	struct dp_stream *s = f->s;

	while (n && s->synced) {
		uint64_t take;

		if (s->header_have < 8) {
			desync(f); /* a length is among them */
			return;
		}
		take = n < s->len - s->pos ? n : s->len - s->pos;
		s->holed = 1;
		s->tail_len = 0;
		s->pos += take;
		n -= take;
		if (s->pos == s->len)
			complete_buffered(f);
	}
}

/*
 * Does a call with these first bytes begin at a frame? Every dora version reads 8 bytes and then
 * the body; 0.3 to 0.5 write so too, 1.x writes length and body in one call.
 */
static bool is_boundary(uint32_t total, const uint8_t *bytes, uint32_t copied)
{
	uint64_t len;

	if (copied < 8)
		return false;
	len = load_u64(bytes);
	if (total == 8)
		return len >= FRAME_MIN && len <= FRAME_PLAUSIBLE;
	return total >= 8 + FRAME_MIN && len == total - 8;
}

static void finish_call(const struct feed *f)
{
	struct dp_stream *s = f->s;

	if (s->in_call && s->call_pos < s->call_total)
		feed_hole(f, s->call_total - s->call_pos);
	s->in_call = 0;
}

void dp_stream_piece(struct dp_stream *s, struct dp_stream_pool *pool, uint32_t tid, uint32_t total,
		     uint32_t offset, const uint8_t *bytes, uint32_t copied, int last,
		     dp_stream_fn *fn, void *ctx)
{
	struct feed f = {s, pool, fn, ctx};

	if (offset > total || copied > total - offset)
		return; /* no such call */
	if (!s->in_call || offset < s->call_pos || total != s->call_total || tid != s->call_tid) {
		finish_call(&f);
		s->in_call = 1;
		s->call_total = total;
		s->call_pos = 0;
		s->call_tid = tid;
		/* Readers never read beyond their frame: a call that would is no part of one. */
		if (s->synced && s->proving && s->header_have == 8 && total > s->len - s->pos)
			desync(&f);
		if (!s->synced && offset == 0 && is_boundary(total, bytes, copied)) {
			s->synced = 1;
			s->proving = 1;
		}
	}
	/* What a frame answers may take the boundary away, but the call goes on being counted. */
	if (offset > s->call_pos)
		feed_hole(&f, offset - s->call_pos);
	feed_bytes(&f, bytes, copied);
	s->in_call = 1;
	s->call_pos = offset + copied;
	if (last || s->call_pos == s->call_total)
		finish_call(&f);
}
