// SPDX-License-Identifier: MIT
/* Reassembly alone: exact skipping, the limits of memory. */
#include "wire_support.h"

#include "base/array.h"
#include "dora/stream.h"

struct got {
	size_t frames, lost, limited, holed;
	size_t last_len, last_head, last_tail, ends;
	uint8_t last_end[64];
	int answer;
};

static int on_event(void *ctx, enum dp_stream_event event, const struct dp_body *b, int limited)
{
	struct got *g = ctx;
	struct dp_cursor c = {.body = b};
	const uint8_t *p;

	if (event == DP_STREAM_LOST) {
		g->lost++;
		return 0;
	}
	g->frames++;
	g->limited += limited != 0;
	g->holed += b->head_len != b->len;
	g->last_len = b->len;
	g->last_head = b->head_len;
	g->last_tail = b->tail_len;
	assert_true(b->head_len <= b->len && b->tail_len <= b->len - b->head_len);
	if (b->len >= 64) {
		dp_cur_skip(&c, b->len - 64);
		p = dp_cur_take(&c, 64);
		if (p) {
			memcpy(g->last_end, p, 64);
			g->ends++;
		}
	}
	return g->answer;
}

static void piece(struct dp_stream *s, struct dp_stream_pool *pool, struct got *g, const uint8_t *p,
		  size_t total, size_t copied)
{
	for (size_t at = 0; at < copied || at == 0; at += DP_SOCK_PIECE_MAX) {
		size_t n = copied - at < DP_SOCK_PIECE_MAX ? copied - at : DP_SOCK_PIECE_MAX;

		dp_stream_piece(s, pool, 1, (uint32_t)total, (uint32_t)at, p + at, (uint32_t)n,
				at + n == copied, on_event, g);
	}
}

static void header(struct dp_stream *s, struct dp_stream_pool *pool, struct got *g, uint64_t len)
{
	uint8_t h[8];

	put_len(h, len);
	piece(s, pool, g, h, 8, 8);
}

/* Bodies of many sizes around every limit, cut at every limit: head, tail and sizes are right. */
static void test_sizes(void **state)
{
	static uint8_t body[3 * DP_STREAM_BODY_MAX];
	static const size_t sizes[] = {2,
				       255,
				       256,
				       257,
				       8191,
				       8192,
				       8193,
				       16385,
				       131072,
				       DP_STREAM_BODY_MAX - 1,
				       DP_STREAM_BODY_MAX,
				       DP_STREAM_BODY_MAX + 1,
				       DP_STREAM_BODY_MAX + 255,
				       DP_STREAM_BODY_MAX + 5000,
				       sizeof(body)};
	static const size_t calls[] = {1000, 4096, 100001, 200000, sizeof(body)};
	struct dp_stream_pool pool = {0};
	struct dp_stream s;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 7 + (i >> 8));
	dp_stream_init(&s, 1);
	for (size_t i = 0; i < DP_COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < DP_COUNT_OF(calls); k++) {
			size_t n = sizes[i];
			struct got g = {.answer = 1};

			header(&s, &pool, &g, n);
			for (size_t at = 0; at < n; at += calls[k]) {
				size_t take = n - at < calls[k] ? n - at : calls[k];

				piece(&s, &pool, &g, body + at, take, take);
			}
			assert_int_equal(g.frames, 1);
			assert_int_equal(g.last_len, n);
			assert_int_equal(g.limited, n > DP_STREAM_BODY_MAX);
			if (n > DP_STREAM_BODY_MAX) {
				assert_int_equal(g.last_head, DP_STREAM_BODY_MAX);
				assert_in_range(g.last_tail, 1, DP_STREAM_TAIL);
				if (n >= DP_STREAM_BODY_MAX + DP_STREAM_TAIL)
					assert_int_equal(g.last_tail, DP_STREAM_TAIL);
			}
			if (n >= 64 && (n <= DP_STREAM_BODY_MAX || n > DP_STREAM_BODY_MAX + 64))
				assert_memory_equal(g.last_end, body + n - 64, 64);
			/* A large buffer leaves with its frame. */
			assert_true(pool.used <= 16384);
		}
	}
	dp_stream_done(&s, &pool);
	assert_int_equal(pool.used, 0);
}

/* Many streams in the middle of long frames: the common limit holds, what is cut is skipped. */
static void test_pool(void **state)
{
	enum { STREAMS = 400 };
	static uint8_t body[DP_STREAM_BODY_MAX];
	static struct dp_stream s[STREAMS];
	struct dp_stream_pool pool = {0};
	struct got g = {.answer = 1};

	(void)state;
	for (int i = 0; i < STREAMS; i++) {
		dp_stream_init(&s[i], 1);
		header(&s[i], &pool, &g, sizeof(body));
		piece(&s[i], &pool, &g, body, sizeof(body) - 100, sizeof(body) - 100);
		assert_true(pool.used <= DP_STREAMS_MAX);
		assert_true(dp_stream_in_frame(&s[i]));
	}
	assert_true(pool.used > DP_STREAMS_MAX / 2);
	for (int i = 0; i < STREAMS; i++)
		piece(&s[i], &pool, &g, body, 100, 100);
	assert_int_equal(g.frames, STREAMS);
	assert_int_equal(g.last_len, sizeof(body));
	assert_true(g.limited >= STREAMS - DP_STREAMS_MAX / DP_STREAM_BODY_MAX);
	assert_true(g.limited < STREAMS);
	assert_int_equal(g.lost, 0);
	for (int i = 0; i < STREAMS; i++)
		dp_stream_done(&s[i], &pool);
	assert_int_equal(pool.used, 0);
}

/* Calls cut at random: a hole never moves the boundary while no header is in it. */
static void test_exact_skip(void **state)
{
	static uint8_t body[300000];
	struct dp_stream_pool pool = {0};
	struct dp_stream s;
	struct got g = {.answer = 1};
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 31 + (i >> 8));
	dp_stream_init(&s, 1);
	for (int i = 0; i < 3000; i++) {
		size_t ends = g.ends;
		size_t n = 2 + next_random(&seed) % (i % 10 ? 3000 : sizeof(body) - 2), at = 0;

		header(&s, &pool, &g, n);
		while (at < n) {
			size_t take = 1 + next_random(&seed) % (n - at);
			size_t copied =
				next_random(&seed) % 3 ? take : next_random(&seed) % (take + 1);

			piece(&s, &pool, &g, body + at, take, copied);
			at += take;
		}
		assert_int_equal(g.frames, i + 1);
		assert_int_equal(g.last_len, n);
		/* The end, where it can be had, is the end: holes before it did not shift it. */
		if (g.ends != ends)
			assert_memory_equal(g.last_end, body + n - 64, 64);
	}
	assert_int_equal(g.lost, 0);
	assert_true(g.holed > 500);
	assert_in_range(g.ends, 300, 3000);
	dp_stream_done(&s, &pool);
}

/* Lengths that no frame has, and the way back. */
static void test_bad_length(void **state)
{
	static const uint64_t lengths[] = {0,          1,          DP_FRAME_MAX + 1ULL,
					   1ULL << 32, 1ULL << 63, ~0ULL};
	uint8_t body[64] = {0};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(lengths); i++) {
		struct dp_stream_pool pool = {0};
		struct got g = {.answer = 1};
		struct dp_stream s;

		dp_stream_init(&s, 1);
		header(&s, &pool, &g, lengths[i]);
		assert_int_equal(g.lost, 1);
		piece(&s, &pool, &g, body, 40, 40);
		assert_int_equal(g.frames, 0);
		header(&s, &pool, &g, 40);
		piece(&s, &pool, &g, body, 40, 40);
		assert_int_equal(g.frames, 1);
		assert_int_equal(g.lost, 1);
		dp_stream_done(&s, &pool);
	}
}

/* A boundary that was guessed must be proved by its first frame. */
static void test_proving(void **state)
{
	uint8_t body[64] = {0};
	struct dp_stream_pool pool = {0};
	struct got g = {.answer = 0};
	struct dp_stream s;

	(void)state;
	dp_stream_init(&s, 0);
	header(&s, &pool, &g, 40);
	piece(&s, &pool, &g, body, 40, 40);
	assert_int_equal(g.frames, 1);
	assert_int_equal(g.lost, 1);
	assert_false(s.synced);
	/* a call longer than the frame that the guess promised */
	header(&s, &pool, &g, 40);
	assert_true(s.synced);
	piece(&s, &pool, &g, body, 41, 41);
	assert_int_equal(g.lost, 2);
	g.answer = 1;
	header(&s, &pool, &g, 40);
	piece(&s, &pool, &g, body, 40, 40);
	g.answer = 0;
	for (int i = 0; i < 2; i++) {
		header(&s, &pool, &g, 40);
		piece(&s, &pool, &g, body, 40, 40);
	}
	assert_true(s.synced); /* proved: two bad frames do not count yet */
	header(&s, &pool, &g, 40);
	piece(&s, &pool, &g, body, 40, 40);
	assert_false(s.synced);
	dp_stream_done(&s, &pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),      cmocka_unit_test(test_pool),
		cmocka_unit_test(test_exact_skip), cmocka_unit_test(test_bad_length),
		cmocka_unit_test(test_proving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
