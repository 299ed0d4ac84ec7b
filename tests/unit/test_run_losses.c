// SPDX-License-Identifier: MIT
/* A gap in a CPU's numbers is a loss once, and only where the kernel has not counted it already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "run/losses.h"

#define SECOND_NS 1000000000ULL

struct run {
	struct dp_losses l;
	uint64_t now, gaps, lines;
};

static void pushed(void *ctx, uint32_t pid, enum dp_loss reason, uint64_t count)
{
	struct run *r = ctx;

	assert_int_equal(pid, 0);
	assert_int_equal(reason, DP_LOSS_SEQUENCE_GAP);
	r->gaps += count;
	r->lines++;
}

static struct run *run_new(void)
{
	const struct dp_wanted wanted = {0};
	const struct dp_targets_sink sink = {0};
	struct run *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->l.push = pushed;
	r->l.ctx = r;
	r->l.targets = dp_targets_new(&wanted, NULL, NULL, &sink);
	assert_non_null(r->l.targets);
	r->now = SECOND_NS;
	return r;
}

static void run_free(struct run *r)
{
	dp_targets_free(r->l.targets);
	free(r);
}

static void came(struct run *r, uint32_t cpu, uint32_t from, uint32_t to)
{
	for (uint32_t seq = from; seq <= to; seq++) {
		struct dp_capture h = {.cpu = cpu, .seq = seq};

		dp_losses_sequence(&r->l, &h);
	}
}

/* A second and a half of ticks. */
static void wait_for_gaps(struct run *r)
{
	for (int i = 0; i < 150; i++) {
		r->now += SECOND_NS / 100;
		dp_losses_missing(&r->l, r->now);
	}
}

static void test_a_gap_is_told_once(void **state)
{
	struct run *r = run_new();

	(void)state;
	came(r, 0, 1, 10);
	came(r, 0, 16, 20);
	came(r, 1, 1, 10);
	wait_for_gaps(r);
	wait_for_gaps(r);
	assert_int_equal(r->gaps, 5);
	assert_int_equal(r->lines, 1);
	run_free(r);
}

/* Whatever was counted before or after the gap was seen, on the CPU that has it. */
static void test_the_ring_explains_it(void **state)
{
	(void)state;
	for (uint64_t counted = 0; counted <= 8; counted++) {
		struct run *r = run_new();

		r->l.cpus[0].ring_full = counted;
		came(r, 0, 1, 10);
		came(r, 0, 16, 20);
		wait_for_gaps(r);
		assert_int_equal(r->gaps, counted < 5 ? 5 - counted : 0);
		run_free(r);
	}
}

static void test_the_ring_of_another_cpu_does_not(void **state)
{
	struct run *r = run_new();

	(void)state;
	r->l.cpus[1].ring_full = 100;
	came(r, 0, 1, 10);
	came(r, 0, 16, 20);
	wait_for_gaps(r);
	assert_int_equal(r->gaps, 5);
	run_free(r);
}

/*
 * A ring that stays full for long: gaps are seen all the time, and the kernel's count is read after
 * them each time. The oldest gap is a second old long before the last one is explained.
 */
static void test_a_long_loss_is_the_rings_alone(void **state)
{
	struct run *r = run_new();
	uint32_t seq = 1;

	(void)state;
	for (int i = 0; i < 500; i++) {
		came(r, 0, seq, seq);
		seq += 8;
		came(r, 0, seq, seq);
		seq++;
		r->l.cpus[0].ring_full += 7;
		r->now += SECOND_NS / 100;
		dp_losses_missing(&r->l, r->now);
	}
	wait_for_gaps(r);
	assert_int_equal(r->gaps, 0);
	run_free(r);
}

/* Captures that come out of order are no loss, nor is what a late one has filled. */
static void test_late_is_not_lost(void **state)
{
	struct run *r = run_new();

	(void)state;
	came(r, 0, 1, 10);
	came(r, 0, 13, 13);
	r->now += SECOND_NS / 100;
	dp_losses_missing(&r->l, r->now);
	came(r, 0, 12, 12);
	came(r, 0, 11, 11);
	wait_for_gaps(r);
	assert_int_equal(r->gaps, 0);
	run_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_gap_is_told_once),
		cmocka_unit_test(test_the_ring_explains_it),
		cmocka_unit_test(test_the_ring_of_another_cpu_does_not),
		cmocka_unit_test(test_a_long_loss_is_the_rings_alone),
		cmocka_unit_test(test_late_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
