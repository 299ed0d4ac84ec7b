/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the policy share: nodes after Stop as the policy is shown them, and a run of
 * its decisions tick by tick.
 */
#ifndef DORA_PROBE_POLICY_VIEWS_H
#define DORA_PROBE_POLICY_VIEWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/units.h"
#include "decide/policy.h"

#define T0         (1000 * SEC) /* the Stop of every table */
#define TICK       (10 * MS)
#define SIG_BIT(n) (1ULL << ((n)-1))
#define INT_CAUGHT SIG_BIT(2)

static const struct dp_policy_config NUDGE = {.mode = DP_SHUTDOWN_NUDGE};

/* A node that has been stuck since 2 s before Stop: main thread, asleep in nanosleep, GIL held. */
static inline struct dp_policy_view stuck(void)
{
	struct dp_policy_view v = {
		.stop_ns = T0,
		.deadline_ns = T0 + 10 * SEC,
		.grace_ns = 10 * SEC,
		.need_ns = DP_NULL,
		.dataflow_grace_ns = DP_NULL,
		.signals_caught = INT_CAUGHT,
		.first_signal = 15,
		.stop_reason = DP_STOP_STOP,
		.pending_cause = -1,
		.masks_known = 1,
		.hold =
			{
				.id = 7,
				.start_ns = T0 - 2 * SEC,
				.start_lo_ns = T0 - 2 * SEC,
				.tid = 4242,
				.syscall_nr = SYS_clock_nanosleep,
				.confirmed = 1,
				.is_main = 1,
				.sched_state = DP_SCHED_SYSCALL,
				.native = 1,
				.place = {.function = "on_image",
					  .file = "receiver.py",
					  .line = 12},
			},
	};

	return v;
}

static inline struct dp_policy_view on_cpu(void)
{
	struct dp_policy_view v = stuck();

	v.hold.sched_state = DP_SCHED_ON_CPU;
	v.hold.syscall_nr = -1;
	return v;
}

static inline struct dp_policy_view blocked(void)
{
	struct dp_policy_view v = stuck();

	v.hold.id = 0;
	v.blocked.since_ns = T0 - 3 * SEC;
	v.blocked.tid = 4242;
	v.blocked.syscall_nr = SYS_clock_nanosleep;
	v.blocked.place = (struct dp_place){.function = "sleep"};
	return v;
}

/* What came of a stretch of ticks. */
struct trail {
	unsigned int nudges, terminates, stops, refusals;
	uint64_t at[32]; /* of the nudges, since T0 */
	uint64_t refused_at[DP_REFUSE_COUNT];
	unsigned int refused[DP_REFUSE_COUNT];
	struct dp_policy_decision last_nudge, terminate, stop;
	uint64_t terminate_at;
	char reason[DP_REFUSE_COUNT][DP_REASON_MAX];
};

/* Ticks from..to (since T0), every nudge answered with `result` as the loop does. */
static inline void run(struct trail *t, struct dp_policy_state *st,
		       const struct dp_policy_config *cfg, const struct dp_policy_view *v,
		       uint64_t from, uint64_t to, unsigned int result)
{
	struct dp_policy_decision d;
	uint64_t at;

	for (at = from; at <= to; at += TICK) {
		dp_policy_decide(st, cfg, v, T0 + at, &d);
		/* Invariants of every decision, whatever the test. */
		assert_true(memchr(d.reason, 0, sizeof(d.reason)) != NULL);
		assert_int_equal(d.kind == DP_DECIDE_NOTHING, d.reason[0] == '\0');
		assert_true(d.kind == DP_DECIDE_REFUSE || (d.signal != 9 && d.signal != 19));
		switch (d.kind) {
		case DP_DECIDE_NUDGE:
			if (t->nudges < 32)
				t->at[t->nudges] = at;
			t->nudges++;
			t->last_nudge = d;
			assert_int_equal(d.action, DP_ACTION_NUDGE);
			dp_policy_answer(st, d.action, d.pretend ? DP_RESULT_WOULD_SEND : result);
			break;
		case DP_DECIDE_TERMINATE:
			t->terminates++;
			t->terminate = d;
			t->terminate_at = at;
			dp_policy_answer(st, d.action, result);
			break;
		case DP_DECIDE_STOP_DATAFLOW:
			t->stops++;
			t->stop = d;
			break;
		case DP_DECIDE_REFUSE:
			t->refusals++;
			assert_true(d.refusal > DP_REFUSE_NONE && d.refusal < DP_REFUSE_COUNT);
			if (!t->refused[d.refusal]++)
				t->refused_at[d.refusal] = at;
			memcpy(t->reason[d.refusal], d.reason, sizeof(d.reason));
			break;
		default:
			assert_int_equal(d.kind, DP_DECIDE_NOTHING);
		}
	}
}

static inline struct trail whole_stop(const struct dp_policy_config *cfg,
				      const struct dp_policy_view *v)
{
	struct dp_policy_state st = {0};
	struct trail t = {0};

	run(&t, &st, cfg, v, 0, 15 * SEC, DP_RESULT_SENT);
	return t;
}

static inline void assert_only_refused(const struct trail *t, enum dp_refusal why)
{
	if (t->nudges || t->terminates || t->stops || t->refusals != 1 || t->refused[why] != 1)
		fail_msg("wanted refusal %d alone: %u nudges, %u terminates, %u refusals, %u of it",
			 why, t->nudges, t->terminates, t->refusals, t->refused[why]);
}

#endif
