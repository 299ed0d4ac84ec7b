// SPDX-License-Identifier: MIT
/* The merge against a plain sort: any interleaving, lateness, ties, bounds, and what it costs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sense/merge.h"

/* xorshift64*: the same numbers in every run. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545F4914F6CDD1DULL;
}

/* A record whose whole body is known from (type, t, seq), so that a mix-up of blocks is seen. */
static void make(struct dp_record *r, unsigned int type, uint64_t t, uint32_t cpu, uint32_t seq)
{
	size_t size = dp_record_size(type);
	unsigned char *body = (unsigned char *)r + sizeof(r->h);

	dp_record_init(r, (enum dp_record_type)type, t, 1, 2);
	r->h.cpu = cpu;
	r->h.seq = seq;
	for (size_t i = 0; i < size - sizeof(r->h); i++)
		body[i] = (unsigned char)(seq * 31 + cpu * 7 + i);
}

static void check_body(const struct dp_record *r)
{
	struct dp_record want;

	make(&want, r->h.type, r->h.t_ns, r->h.cpu, r->h.seq);
	assert_int_equal(r->h.size, dp_record_size(r->h.type));
	assert_memory_equal((const unsigned char *)r + sizeof(r->h),
			    (const unsigned char *)&want + sizeof(r->h), r->h.size - sizeof(r->h));
}

static unsigned int any_type(uint64_t *rng)
{
	return 1 + (unsigned int)(next_random(rng) % (DP_REC_COUNT - 1));
}

/* Four CPUs, each in order, skewed against each other by less than the watermark: full order. */
static void test_order(void **state)
{
	struct dp_merge *m = dp_merge_new();
	uint64_t rng = 88172645463325252ULL, clock[4] = {0};
	uint32_t seq[4] = {UINT32_MAX - 1000, 0, 5, 9}; /* wraps on the way */
	struct dp_record r, last = {0};
	int have = 0;
	size_t pushed = 0, popped = 0;

	(void)state;
	assert_non_null(m);
	for (uint64_t now = 0; now < 40000; now++) {
		uint32_t cpu = (uint32_t)(next_random(&rng) % 4);
		/* Sometimes the same nanosecond again; never more than 44 µs behind. */
		uint64_t t = 1000000 + now * 1000 - next_random(&rng) % 44000;

		if (t < clock[cpu])
			t = clock[cpu];
		clock[cpu] = t;
		make(&r, any_type(&rng), t, cpu, seq[cpu]++);
		assert_int_equal(dp_merge_push(m, &r), 0);
		pushed++;
		while (dp_merge_pop(m, 1000000 + now * 1000 - 100000, &r)) {
			check_body(&r);
			assert_int_equal(r.h.flags, 0);
			if (have) {
				assert_true(r.h.t_ns >= last.h.t_ns);
				if (r.h.t_ns == last.h.t_ns && r.h.cpu == last.h.cpu)
					assert_true((int32_t)(r.h.seq - last.h.seq) > 0);
				else if (r.h.t_ns == last.h.t_ns)
					assert_true(r.h.cpu > last.h.cpu);
			}
			last.h = r.h;
			have = 1;
			popped++;
		}
	}
	while (dp_merge_pop(m, UINT64_MAX, &r)) {
		check_body(&r);
		assert_true(r.h.t_ns >= last.h.t_ns);
		last.h = r.h;
		popped++;
	}
	assert_int_equal(pushed, popped);
	assert_int_equal(dp_merge_late(m), 0);
	dp_merge_free(m);
}

static int by_key(const void *a, const void *b)
{
	const struct dp_record *x = a, *y = b;

	if (x->h.t_ns != y->h.t_ns)
		return x->h.t_ns < y->h.t_ns ? -1 : 1;
	if (x->h.cpu != y->h.cpu)
		return x->h.cpu < y->h.cpu ? -1 : 1;
	return x->h.seq < y->h.seq ? -1 : x->h.seq > y->h.seq;
}

/* Random batches come out as qsort would put them. */
static void test_like_a_sort(void **state)
{
	static struct dp_record batch[300];
	struct dp_merge *m = dp_merge_new();
	uint64_t rng = 42;
	struct dp_record r;

	(void)state;
	assert_non_null(m);
	for (uint64_t round = 0; round < 200; round++) {
		size_t n = 1 + next_random(&rng) % 300;

		for (size_t i = 0; i < n; i++) {
			make(&batch[i], any_type(&rng), round * 100 + next_random(&rng) % 20,
			     (uint32_t)(next_random(&rng) % 3), (uint32_t)i);
			assert_int_equal(dp_merge_push(m, &batch[i]), 0);
		}
		qsort(batch, n, sizeof(batch[0]), by_key);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 1);
			assert_memory_equal(&r, &batch[i], r.h.size);
		}
		assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 0);
	}
	dp_merge_free(m);
}

/* Equal keys (the agent's own records without sequence) keep the order of their coming. */
static void test_ties(void **state)
{
	struct dp_merge *m = dp_merge_new();
	struct dp_record r;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		dp_record_init(&r, DP_REC_WALL_CLOCK, 77, i, 0);
		r.u.wall_clock.offset_ns = i;
		assert_int_equal(dp_merge_push(m, &r), 0);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(dp_merge_pop(m, 78, &r), 1);
		assert_int_equal(r.h.pid, i);
	}
	dp_merge_free(m);
}

static void test_watermark_and_late(void **state)
{
	struct dp_merge *m = dp_merge_new();
	struct dp_record r;

	(void)state;
	make(&r, DP_REC_TICK, 100, 0, 1);
	dp_merge_push(m, &r);
	make(&r, DP_REC_TICK, 200, 0, 2);
	dp_merge_push(m, &r);
	assert_int_equal(dp_merge_pop(m, 100, &r), 0); /* not older than until */
	assert_int_equal(dp_merge_pop(m, 101, &r), 1);
	assert_int_equal(r.h.t_ns, 100);
	assert_int_equal(dp_merge_pop(m, 101, &r), 0);
	/* Between the last that left and the watermark: out of order, but not late. */
	make(&r, DP_REC_TICK, 100, 0, 0);
	dp_merge_push(m, &r);
	assert_int_equal(dp_merge_late(m), 0);
	assert_int_equal(dp_merge_pop(m, 150, &r), 1);
	assert_int_equal(r.h.flags & DP_F_LATE, 0);
	/* Behind the last that left: flagged, moved to its time, counted, body intact. */
	make(&r, DP_REC_STACK, 99, 3, 5);
	r.h.flags = DP_F_CUT;
	dp_merge_push(m, &r);
	assert_int_equal(dp_merge_late(m), 1);
	assert_int_equal(dp_merge_pop(m, 150, &r), 1);
	assert_int_equal(r.h.t_ns, 100);
	assert_int_equal(r.h.flags, DP_F_LATE | DP_F_CUT);
	check_body(&r);
	dp_merge_free(m);
}

/* Both bounds hold, nothing that was accepted is lost, and the room comes back. */
static void test_bounds(void **state)
{
	struct dp_merge *m = dp_merge_new();
	struct dp_record r;
	size_t n;

	(void)state;
	for (int round = 0; round < 2; round++) {
		/* Small ones: the number is the bound. */
		for (n = 0;; n++) {
			make(&r, DP_REC_TICK, 1000 + n, 0, (uint32_t)n);
			if (dp_merge_push(m, &r) != 0)
				break;
		}
		assert_int_equal(n, DP_MERGE_MAX);
		assert_int_equal(dp_merge_push(m, &r), -ENOBUFS);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 1);
			assert_int_equal(r.h.seq, i);
		}
		assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 0);
		/* Large ones: the bytes are. */
		for (n = 0;; n++) {
			make(&r, DP_REC_STACK, 1000000 + n, 0, (uint32_t)n);
			if (dp_merge_push(m, &r) != 0)
				break;
		}
		assert_true(n > 8000 && n * dp_record_size(DP_REC_STACK) <= DP_MERGE_ARENA_BYTES);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 1);
			check_body(&r);
		}
	}
	dp_merge_free(m);
}

static void test_bad_records(void **state)
{
	struct dp_merge *m = dp_merge_new();
	struct dp_record r;

	(void)state;
	make(&r, DP_REC_TICK, 1, 0, 0);
	r.h.size = UINT32_MAX;
	assert_int_equal(dp_merge_push(m, &r), -EINVAL);
	r.h.size = 0;
	assert_int_equal(dp_merge_push(m, &r), -EINVAL);
	r.h.type = DP_REC_COUNT;
	assert_int_equal(dp_merge_push(m, &r), -EINVAL);
	r.h.type = DP_REC_NONE;
	assert_int_equal(dp_merge_push(m, &r), -EINVAL);
	assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 0);
	dp_merge_free(m);
	dp_merge_free(NULL);
}

/* What a record costs, printed for the overhead page; the limit only catches a lost order of
 * magnitude. */
static void test_cost(void **state)
{
	static const unsigned int mix[] = {DP_REC_GIL_LOOK,     DP_REC_GIL_WAIT_END,
					   DP_REC_GIL_RELEASE,  DP_REC_TOKEN_SENT,
					   DP_REC_WIRE_REQUEST, DP_REC_TICK};
	struct dp_merge *m = dp_merge_new();
	const uint64_t count = 400000, waiting = 2000;
	struct timespec a, b;
	uint64_t rng = 7, ns;
	struct dp_record r;

	(void)state;
	make(&r, DP_REC_GIL_LOOK, 0, 0, 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	for (uint64_t i = 0; i < count; i++) {
		r.h.type = (uint16_t)mix[i % 6];
		r.h.size = (uint32_t)dp_record_size(r.h.type);
		r.h.t_ns = 100000 + i * 1000 - next_random(&rng) % 44000;
		r.h.seq = (uint32_t)i;
		dp_merge_push(m, &r);
		if (i >= waiting)
			assert_int_equal(dp_merge_pop(m, UINT64_MAX, &r), 1);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	ns = ((uint64_t)(b.tv_sec - a.tv_sec) * 1000000000ULL + (uint64_t)b.tv_nsec -
	      (uint64_t)a.tv_nsec) /
	     count;
	print_message("merge: %llu ns of CPU a record, %llu waiting\n", (unsigned long long)ns,
		      (unsigned long long)waiting);
	assert_true(ns < 20000);
	dp_merge_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),  cmocka_unit_test(test_like_a_sort),
		cmocka_unit_test(test_ties),   cmocka_unit_test(test_watermark_and_late),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_bad_records),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
