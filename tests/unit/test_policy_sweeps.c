// SPDX-License-Identifier: MIT
/* The shutdown guard over thousands of random nodes: healthy ones, and hostile ones. */
#include "policy_views.h"

/* ---- sweeps ---- */

static uint64_t rnd(uint64_t *s)
{
	/* xorshift64*: the same runs on every machine. */
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dULL;
}

/*
 * Healthy shutdowns under the default guard: whatever a node does at Stop that is over within 3.9 s
 * (calls of 200 ms-3 s, sleeps, clean-ups of 2 s, a wait for a lock) gets no signal, and no line.
 */
static void healthy_nodes_are_never_signalled(void **state)
{
	uint64_t seed = 20261123;
	unsigned int i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		struct dp_policy_config cfg = {
			.mode = (uint8_t)(DP_SHUTDOWN_NUDGE + rnd(&seed) % 2)};
		struct dp_policy_state st = {0};
		struct dp_policy_view v = stuck();
		struct trail t = {0};
		uint64_t call = 200 * MS + rnd(&seed) % (2800 * MS);
		uint64_t ends = rnd(&seed) % call; /* after Stop */
		uint64_t cleanup = rnd(&seed) % (2 * SEC);
		uint64_t at, left;

		if (ends + cleanup > 3900 * MS)
			cleanup = 3900 * MS - ends;
		left = ends + cleanup;
		v.grace_ns = rnd(&seed) % 2 ? 10 * SEC : 15 * SEC;
		v.deadline_ns = T0 + v.grace_ns;
		v.signals_caught = rnd(&seed) | INT_CAUGHT;
		v.pending_tokens = rnd(&seed) % 20;
		v.oldest_delivered_ns = T0 - rnd(&seed) % (5 * SEC);
		v.need_ns = rnd(&seed) % 2 ? 2 * SEC : DP_NULL;
		v.lost = rnd(&seed) % 8 == 0;
		v.hold.native = (int8_t)((int)(rnd(&seed) % 3) - 1);
		v.hold.is_main = (uint8_t)(rnd(&seed) % 2);
		v.hold.sched_state = (uint8_t)(rnd(&seed) % 4);
		v.hold.start_ns = v.hold.start_lo_ns = T0 + ends - call;
		if (rnd(&seed) % 2) {
			v.blocked.since_ns = v.hold.start_ns;
			v.blocked.tid = 4242;
			v.hold.id = 0;
		}
		for (at = 0; at <= left; at += TICK) {
			if (at >= ends && v.moved_ns == 0) {
				/* The call is over: it sees Stop, and cleans up under the GIL. */
				v.blocked.since_ns = 0;
				v.hold.id = 99;
				v.hold.start_ns = v.hold.start_lo_ns = T0 + ends;
				v.moved_ns = T0 + ends + 1;
			}
			run(&t, &st, &cfg, &v, at, at, DP_RESULT_SENT);
		}
		v.exited = true;
		run(&t, &st, &cfg, &v, at, 16 * SEC, DP_RESULT_SENT);
		if (t.nudges || t.terminates || t.stops || t.refusals)
			fail_msg("run %u: call %llu ms, ends %llu ms after Stop, clean-up %llu ms",
				 i, (unsigned long long)(call / MS),
				 (unsigned long long)(ends / MS),
				 (unsigned long long)(cleanup / MS));
	}
}

/*
 * Whatever a hostile node makes the probe believe (a forged Stop, forged GIL words, any masks and
 * times): the worst is one of two signals, to a thread that the probe holds for the node's own, and
 * a bounded number of them.
 */
static void a_hostile_node_reaches_itself_at_most(void **state)
{
	uint64_t seed = 42;
	unsigned int i, k, acted = 0;

	(void)state;
	for (i = 0; i < 20000; i++) {
		struct dp_policy_config cfg = {.mode = (uint8_t)(rnd(&seed) % 3),
					       .nudge_signal = (uint32_t)(rnd(&seed) % 70),
					       .nudge_after_ns = rnd(&seed) % 2 ? 300 * MS : 0,
					       .save_tokens = (uint8_t)(rnd(&seed) % 2)};
		struct dp_policy_state st = {0};
		struct dp_policy_decision d;
		unsigned int nudges = 0, terminates = 0, lines = 0;
		uint64_t now = T0;

		for (k = 0; k < 60; k++) {
			struct dp_policy_view v = stuck();

			v.stop_ns = T0 - rnd(&seed) % SEC;
			v.deadline_ns = rnd(&seed) % 3 ? T0 + rnd(&seed) % (20 * SEC) : rnd(&seed);
			v.grace_ns = rnd(&seed) % 3 ? rnd(&seed) % (20 * SEC) : rnd(&seed);
			v.moved_ns = rnd(&seed) % 4 ? 0 : rnd(&seed);
			v.need_ns = rnd(&seed);
			v.signals_caught = rnd(&seed);
			v.signals_ignored = rnd(&seed);
			v.pending_tokens = rnd(&seed) % 3;
			v.oldest_delivered_ns = rnd(&seed);
			v.stop_reason = (uint8_t)(rnd(&seed) % 5);
			v.pending_cause = (int8_t)(rnd(&seed) % 256);
			v.hold.id = rnd(&seed) % 3;
			v.hold.start_ns = rnd(&seed) % 2 ? T0 - 2 * SEC : rnd(&seed);
			v.hold.start_lo_ns = rnd(&seed);
			v.hold.expected_end_ns = rnd(&seed);
			v.hold.sched_state = (uint8_t)(rnd(&seed) % 6);
			v.hold.native = (int8_t)(rnd(&seed) % 256);
			v.hold.syscall_nr = (int32_t)rnd(&seed);
			v.hold.tid = 4242;
			v.blocked.since_ns = rnd(&seed) % 2 ? T0 - 2 * SEC : rnd(&seed) % 2;
			v.blocked.tid = 4243;
			now += rnd(&seed) % (300 * MS);
			dp_policy_decide(&st, &cfg, &v, now, &d);
			if (d.kind == DP_DECIDE_NUDGE) {
				nudges++;
				assert_true(d.tid == 4242 || d.tid == 4243);
				assert_int_equal(d.signal, cfg.nudge_signal ? cfg.nudge_signal : 2);
				assert_true(v.signals_caught >> (d.signal - 1) & 1);
				dp_policy_answer(&st, d.action, DP_RESULT_SENT);
			} else if (d.kind == DP_DECIDE_TERMINATE) {
				terminates++;
				assert_int_equal(d.tid, 0);
				assert_int_equal(d.signal, 15);
				assert_int_equal(cfg.mode, DP_SHUTDOWN_TERMINATE);
			} else if (d.kind == DP_DECIDE_REFUSE) {
				lines++;
			}
			assert_true(d.kind != DP_DECIDE_STOP_DATAFLOW);
			if (d.kind == DP_DECIDE_NUDGE || d.kind == DP_DECIDE_TERMINATE) {
				assert_true(d.signal != 9 && d.signal != 19 && d.signal <= 64);
				assert_int_equal(d.pretend, cfg.mode == DP_SHUTDOWN_OBSERVE);
				acted++;
			}
		}
		(void)lines;
		assert_true(nudges <= 60 && terminates <= 60);
	}
	assert_true(acted > 1000); /* the sweep does reach the branches that act */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy_nodes_are_never_signalled),
		cmocka_unit_test(a_hostile_node_reaches_itself_at_most),

	};

	return cmocka_run_group_tests_name("policy: sweeps", tests, NULL, NULL);
}
