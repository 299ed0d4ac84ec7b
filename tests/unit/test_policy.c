// SPDX-License-Identifier: MIT
/* The shutdown guard's decisions: each rule from a table, and its neighbours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "decide/policy.h"

#define T0         (1000 * SEC) /* the Stop of every table */
#define TICK       (10 * MS)
#define SIG_BIT(n) (1ULL << ((n)-1))
#define INT_CAUGHT SIG_BIT(2)

static const struct dp_policy_config NUDGE = {.mode = DP_SHUTDOWN_NUDGE};

/* A node that has been stuck since 2 s before Stop: main thread, asleep in nanosleep, GIL held. */
static struct dp_policy_view stuck(void)
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

static struct dp_policy_view on_cpu(void)
{
	struct dp_policy_view v = stuck();

	v.hold.sched_state = DP_SCHED_ON_CPU;
	v.hold.syscall_nr = -1;
	return v;
}

static struct dp_policy_view blocked(void)
{
	struct dp_policy_view v = stuck();

	v.hold.id = 0;
	v.blocked.since_ns = T0 - 3 * SEC;
	v.blocked.tid = 4242;
	v.blocked.syscall_nr = SYS_clock_nanosleep;
	v.blocked.place = (struct dp_place){.function = "sleep"};
	return v;
}

/* Neither a hold nor a sleep of before Stop: a loop, of which stacks show where it is. */
static struct dp_policy_view looping(void)
{
	struct dp_policy_view v = stuck();

	v.hold = (struct dp_policy_hold){0};
	v.progress = (struct dp_policy_progress){
		.main_tid = 4242,
		.known_before = true,
		.place = {.function = "nap", .file = "node.py", .line = 20},
	};
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
static void run(struct trail *t, struct dp_policy_state *st, const struct dp_policy_config *cfg,
		const struct dp_policy_view *v, uint64_t from, uint64_t to, unsigned int result)
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

static struct trail whole_stop(const struct dp_policy_config *cfg, const struct dp_policy_view *v)
{
	struct dp_policy_state st = {0};
	struct trail t = {0};

	run(&t, &st, cfg, v, 0, 15 * SEC, DP_RESULT_SENT);
	return t;
}

static void assert_only_refused(const struct trail *t, enum dp_refusal why)
{
	if (t->nudges || t->terminates || t->stops || t->refusals != 1 || t->refused[why] != 1)
		fail_msg("wanted refusal %d alone: %u nudges, %u terminates, %u refusals, %u of it",
			 why, t->nudges, t->terminates, t->refusals, t->refused[why]);
}

/* ---- when ---- */

static void nudges_with_back_off_from_40_per_cent(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&NUDGE, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[0], 4000 * MS);
	assert_int_equal(t.at[1], 4500 * MS);
	assert_int_equal(t.at[2], 5500 * MS);
	assert_int_equal(t.at[3], 7500 * MS);
	assert_int_equal(t.last_nudge.tid, 4242);
	assert_int_equal(t.last_nudge.signal, 2);
	assert_int_equal(t.last_nudge.attempt, 4);
	assert_int_equal(t.last_nudge.pretend, 0);
	assert_string_equal(t.last_nudge.reason, "thread 4242 holds the GIL for 9.50 s in on_image "
						 "(receiver.py:12), 7.50 s after Stop");
	/* What closes it: no more are sent, and then the deadline is there. */
	assert_int_equal(t.refused_at[DP_REFUSE_TRIES_SPENT], 8 * SEC);
	assert_int_equal(t.refused[DP_REFUSE_DEADLINE_PASSED], 1);
	assert_int_equal(t.refusals, 2);
}

static void options_move_the_first_nudge(void **state)
{
	static const struct {
		struct dp_policy_config cfg;
		uint64_t grace, pending, delivered; /* delivered: since T0 - 10 s */
		uint64_t first, second;
	} rows[] = {
		{{.nudge_after_ns = 300 * MS}, 10 * SEC, 0, 0, 300 * MS, 800 * MS},
		{{.nudge_after_ns = 300 * MS, .nudge_interval_ns = 200 * MS},
		 10 * SEC,
		 0,
		 0,
		 300 * MS,
		 500 * MS},
		{{0}, 15 * SEC, 0, 0, 6 * SEC, 6500 * MS},
		{{0}, 2 * SEC, 0, 0, 800 * MS, 1300 * MS},
		{{0}, 0, 0, 0, 4 * SEC, 4500 * MS}, /* unknown: dora's shortest default */
		{{.save_tokens = 1}, 10 * SEC, 3, 5 * SEC, 300 * MS, 800 * MS},
		/* Arrived 0.4 s before Stop: lost at +0.6 s, so 0.3 s before that. */
		{{.save_tokens = 1}, 10 * SEC, 3, 9600 * MS, 300 * MS, 800 * MS},
		{{.save_tokens = 1}, 10 * SEC, 3, 9900 * MS, 600 * MS, 1100 * MS},
		/* Nothing to save: as without the option. */
		{{.save_tokens = 1}, 10 * SEC, 0, 0, 4 * SEC, 4500 * MS},
		{{.save_tokens = 1, .nudge_after_ns = SEC}, 10 * SEC, 3, 5 * SEC, SEC, 1500 * MS},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dp_policy_config cfg = rows[i].cfg;
		struct dp_policy_view v = stuck();
		struct trail t;

		cfg.mode = DP_SHUTDOWN_NUDGE;
		v.grace_ns = rows[i].grace;
		if (rows[i].grace)
			v.deadline_ns = T0 + rows[i].grace;
		v.pending_tokens = rows[i].pending;
		v.oldest_delivered_ns = rows[i].delivered ? T0 - 10 * SEC + rows[i].delivered : 0;
		t = whole_stop(&cfg, &v);
		assert_true(t.nudges >= 2);
		if (t.at[0] != rows[i].first || t.at[1] != rows[i].second)
			fail_msg("row %zu: %llu and %llu ms", i, (unsigned long long)(t.at[0] / MS),
				 (unsigned long long)(t.at[1] / MS));
	}
}

static void the_interval_cannot_overflow(void **state)
{
	struct dp_policy_config cfg = {.mode = DP_SHUTDOWN_NUDGE, .nudge_interval_ns = UINT64_MAX};
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&cfg, &v);

	(void)state;
	assert_int_equal(t.nudges, 1);
	cfg.nudge_interval_ns = 0;
	cfg.nudge_after_ns = UINT64_MAX;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.refusals, 0);
}

static void only_stop_and_sigterm_count(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.stop_reason = DP_STOP_ALL_INPUTS_CLOSED;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals + t.terminates, 0);
	v.stop_reason = DP_STOP_SIGTERM;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	v.stop_ns = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals + t.terminates, 0);
}

/* ---- whom ---- */

static void what_is_no_subject_is_left_alone(void **state)
{
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.hold.start_ns = T0 + 100 * MS;
	v.hold.start_lo_ns = T0 + 50 * MS;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_AFTER_STOP], 4 * SEC);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_AFTER_STOP);

	v.hold.start_lo_ns = T0 - 50 * MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_START_UNPROVEN);

	v = stuck();
	v.hold.confirmed = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCONFIRMED);

	v = stuck();
	v.hold.id = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCLEAR);

	v = blocked();
	v.blocked.since_ns = T0 + MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_AFTER_STOP);

	v = stuck();
	v.exited = true;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals, 0);

	v = stuck();
	v.outputs_done = 1;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges + t.refusals, 0);
}

static void blocked_main_thread_is_helped(void **state)
{
	struct dp_policy_view v = blocked();
	struct trail t = whole_stop(&NUDGE, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_non_null(strstr(t.last_nudge.reason, "is blocked for"));
	assert_null(strstr(t.last_nudge.reason, "GIL"));

	/* It moved since Stop: it is on its way. */
	v.moved_ns = T0 + 20 * MS;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MOVED);

	/* Not having moved is no evidence with losses; a hold is seen directly and stays one. */
	v = blocked();
	v.lost = 1;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_RECORDS_LOST);
	v = stuck();
	v.lost = 1;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	assert_non_null(strstr(t.last_nudge.reason, "records were lost"));
}

static void only_where_a_signal_can_help(void **state)
{
	struct dp_policy_view v;
	struct trail t;

	(void)state;
	/* Not main, in an interruptible call: helped, as main is. */
	v = stuck();
	v.hold.is_main = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);

	/* Not main, on the CPU: nothing, and said. */
	v = on_cpu();
	v.hold.is_main = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_NON_MAIN_ON_CPU);
	assert_non_null(strstr(t.reason[DP_REFUSE_NON_MAIN_ON_CPU], "no signal helps"));

	v.hold.sched_state = DP_SCHED_UNKNOWN;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_STATE_UNKNOWN);

	v = stuck();
	v.hold.sched_state = DP_SCHED_DISK_SLEEP;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_DISK_SLEEP);

	/* Main, native, on the CPU: one try tells. */
	v = on_cpu();
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);
	assert_int_equal(t.refused_at[DP_REFUSE_NOT_POLLING], 4500 * MS);

	/* Waiting for a lock with the GIL: one try tells, too. */
	v = stuck();
	v.hold.syscall_nr = SYS_futex;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);

	/* Bytecode polls signals always: what did not help once may help later. */
	v = on_cpu();
	v.hold.native = 0;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.nudges, 4);
	v.moved_ns = T0 + 3 * SEC;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MOVED);
}

static void the_process_must_catch_the_signal(void **state)
{
	struct dp_policy_config cfg = NUDGE;
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.signals_caught = SIG_BIT(10);
	v.signals_ignored = INT_CAUGHT;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_IGNORED);
	assert_string_equal(
		t.reason[DP_REFUSE_IGNORED],
		"the process ignores SIGINT (as one started by a background shell does); "
		"it catches SIGUSR1: --nudge-signal");

	v.signals_ignored = 0;
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_DEFAULT_KILLS);

	cfg.nudge_signal = 10;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.last_nudge.signal, 10);

	v.masks_known = 0;
	t = whole_stop(&cfg, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_MASKS_UNKNOWN);

	/* KILL, STOP and what is no signal are no nudges, also when all masks have their bit. */
	v = stuck();
	v.signals_caught = UINT64_MAX;
	for (size_t i = 0; i < 3; i++) {
		cfg.nudge_signal = (uint32_t[]){9, 19, 65}[i];
		t = whole_stop(&cfg, &v);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_FORBIDDEN_SIGNAL);
	}
}

static void a_hold_that_ends_in_time_is_waited_for(void **state)
{
	struct dp_policy_config cfg = NUDGE;
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	/* Earlier calls took 8 s: ends at +6 s, before the deadline. Believed until a quarter over.
	 */
	v.hold.expected_end_ns = T0 + 6 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_ENDS_IN_TIME], 4 * SEC);
	assert_true(t.nudges >= 1);
	assert_int_equal(t.at[0], 8010 * MS);

	/* With a clean-up of 5 s after it, it does not end in time. */
	v.need_ns = 5 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.refused[DP_REFUSE_ENDS_IN_TIME], 0);

	v.need_ns = DP_NULL;
	v.hold.expected_end_ns = T0 + 12 * SEC;
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.at[0], 4 * SEC);

	/* Tokens that are being lost are not waited for, unless it ends at once. */
	cfg.save_tokens = 1;
	v.pending_tokens = 5;
	v.oldest_delivered_ns = T0 - SEC;
	v.hold.expected_end_ns = T0 + 2 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.at[0], 300 * MS);
	v.hold.expected_end_ns = T0 + 390 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.refused_at[DP_REFUSE_ENDS_IN_TIME], 300 * MS);
	assert_int_equal(t.at[0], 990 * MS); /* 0.39 s and a quarter of 2.39 s, next tick */
}

/* ---- loops ---- */

enum found { FOUND_SAME, FOUND_OTHER, FOUND_BOTH_IN_TURN, FOUND_IDLE, FOUND_NOTHING };

/* What each stack since Stop shows, and what becomes of a nudge. */
struct loop {
	enum found found;
	bool handled;   /* the Python handler runs 20 ms after the signal, and the node goes on */
	bool delivered; /* alone */
	bool leaves;    /* it is elsewhere from 20 ms after the signal on */
};

static void see(struct dp_policy_view *v, const struct loop *l, unsigned int nudges, uint64_t last,
		uint64_t at)
{
	struct dp_policy_progress *p = &v->progress;
	bool after = nudges && at >= last + 20 * MS, look = at % (100 * MS) == 0;

	if (after && l->delivered)
		p->delivered_ns = T0 + last + 5 * MS;
	if (after && l->handled)
		p->delivered_ns = p->handled_ns = T0 + last + 10 * MS;
	if (!look || l->found == FOUND_NOTHING)
		return;
	if (l->found == FOUND_IDLE)
		p->idle_ns = T0 + at;
	else if (l->found == FOUND_OTHER || (after && l->leaves) ||
		 (l->found == FOUND_BOTH_IN_TURN && at / (100 * MS) % 4))
		p->other_ns = T0 + at;
	else
		p->same_ns = p->kept_ns = T0 + at;
}

static struct trail whole_loop(const struct dp_policy_config *cfg, struct dp_policy_view v,
			       const struct loop *l)
{
	struct dp_policy_state st = {0};
	struct trail t = {0};
	uint64_t at;

	for (at = TICK; at < 10 * SEC; at += TICK) {
		see(&v, l, t.nudges, t.nudges ? t.at[t.nudges - 1] : 0, at);
		run(&t, &st, cfg, &v, at, at, DP_RESULT_SENT);
	}
	return t;
}

static void a_loop_is_helped_wherever_it_is(void **state)
{
	static const struct {
		struct loop loop;
		unsigned int nudges;
		uint64_t at;             /* the first; ms */
		enum dp_refusal refused; /* NONE: no line at all */
		const char *reason;      /* of the last nudge, or of the refusal */
	} rows[] = {
		{{FOUND_SAME, .leaves = true}, 1, 4000, DP_REFUSE_AFTER_STOP, "did not do before"},
		{{FOUND_SAME, .handled = true},
		 4,
		 4000,
		 DP_REFUSE_SWALLOWED,
		 "all 4 nudges were handled and swallowed in nap (node.py:20)"},
		{{FOUND_SAME, .delivered = true},
		 1,
		 4000,
		 DP_REFUSE_NOT_POLLING,
		 "as before Stop: this call does not poll signals"},
		/* Nothing says what became of them: the tries go on. */
		{{.found = FOUND_SAME},
		 4,
		 4000,
		 DP_REFUSE_TRIES_SPENT,
		 "goes on after every nudge"},
		/* Three stacks of four show a place of the loop that is not known. */
		{{FOUND_BOTH_IN_TURN, .handled = true}, 4, 4000, DP_REFUSE_SWALLOWED, "swallowed"},
		/* Its clean-up, from Stop on. */
		{{.found = FOUND_OTHER}, 0, 0, DP_REFUSE_AFTER_STOP, "did not do before Stop"},
		/* asyncio shows no task, and nothing at all: only when little time is left. */
		{{.found = FOUND_IDLE}, 3, 7500, DP_REFUSE_UNCLEAR, "three quarters"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trail t = whole_loop(&NUDGE, looping(), &rows[i].loop);
		enum dp_refusal why = rows[i].refused;

		if (t.nudges != rows[i].nudges || (t.nudges && t.at[0] != rows[i].at * MS))
			fail_msg("row %zu: %u nudges, the first at %llu ms", i, t.nudges,
				 (unsigned long long)(t.at[0] / MS));
		if (t.refusals != 1 || t.refused[why] != 1)
			fail_msg("row %zu: %u refusals, %u of %d", i, t.refusals, t.refused[why],
				 why);
		if (!strstr(t.reason[why], rows[i].reason))
			fail_msg("row %zu: %s", i, t.reason[why]);
	}
}

static void what_the_last_nudge_did_is_said(void **state)
{
	const struct loop swallows = {FOUND_SAME, .handled = true};
	struct dp_policy_view v = looping();
	struct trail t = whole_loop(&NUDGE, v, &swallows);

	(void)state;
	assert_int_equal(t.last_nudge.tid, 4242);
	assert_true(t.last_nudge.anywhere);
	assert_string_equal(
		t.last_nudge.reason,
		"nudge 3 was handled and swallowed: the node goes on in nap (node.py:20), "
		"as before Stop, 7.50 s after Stop");
	v.progress.asyncio = true;
	v.grace_ns = 3 * SEC;
	v.deadline_ns = T0 + 1800 * MS; /* time for two */
	t = whole_loop(&NUDGE, v, &swallows);
	assert_int_equal(t.nudges, 2);
	assert_non_null(strstr(t.last_nudge.reason, "asyncio's first SIGINT only cancels"));
}

/* After its own nudge the clock does not begin anew: a new sleep, a new hold is the same node. */
static void a_new_hold_after_a_nudge_is_the_same_node(void **state)
{
	const struct loop swallows = {FOUND_SAME, .handled = true};
	struct dp_policy_state st = {0};
	struct trail t = {0};

	(void)state;
	for (int blocks = 0; blocks < 2; blocks++) {
		struct dp_policy_view v = blocks ? blocked() : on_cpu();

		v.progress = looping().progress;
		memset(&st, 0, sizeof(st));
		memset(&t, 0, sizeof(t));
		for (uint64_t at = TICK; at < 10 * SEC; at += TICK) {
			uint64_t last = t.nudges ? t.at[t.nudges - 1] : 0;

			see(&v, &swallows, t.nudges, last, at);
			if (t.nudges && at == last + TICK) {
				v.hold.id += v.hold.id ? 1 : 0;
				v.hold.start_ns = v.hold.start_lo_ns = T0 + at;
				v.blocked.since_ns = blocks ? T0 + at : 0;
			}
			run(&t, &st, &NUDGE, &v, at, at, DP_RESULT_SENT);
		}
		assert_int_equal(t.nudges, 4);
		assert_int_equal(t.at[1], 4500 * MS);
		assert_int_equal(t.at[2], 5500 * MS);
		assert_int_equal(t.at[3], 7500 * MS);
		assert_int_equal(t.refused[DP_REFUSE_SWALLOWED], 1);
		assert_int_equal(t.refusals, 1);
	}
}

/* A call that runs the handler and goes on (asyncio's returns) is no call that polls none. */
static void a_handler_that_ran_is_not_a_call_that_polls_none(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.progress.handled_ns = T0 + 4010 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 4600 * MS, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 2);
	assert_int_equal(t.refusals, 0);
	/* The second is not handled: that one is said, and it was no lie before. */
	run(&t, &st, &NUDGE, &v, 4610 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 2);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 1);
	assert_int_equal(st.learned[0].swallowed, 1);
	assert_int_equal(st.learned[0].in_vain, 1);
}

static void a_loop_that_ends_in_time_is_waited_for(void **state)
{
	const struct loop same = {.found = FOUND_SAME};
	struct dp_policy_view v = looping();
	struct trail t;

	(void)state;
	/* Its handler once took 6 s, and began 1 s before Stop. */
	v.progress.busy_since_ns = T0 - SEC;
	v.progress.busy_until_ns = T0 + 5 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.refused[DP_REFUSE_ENDS_IN_TIME], 1);
	assert_int_equal(t.at[0], 6510 * MS); /* a quarter over */
	v.progress.busy_until_ns = T0 + 12 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.at[0], 4 * SEC);
	/* It works off its queue: Stop comes after that. */
	v.progress.busy_until_ns = 0;
	v.progress.took_ns = T0 + 5 * SEC;
	t = whole_loop(&NUDGE, v, &same);
	assert_int_equal(t.refused[DP_REFUSE_MOVED], 1);
	assert_int_equal(t.at[0], 6010 * MS);
}

/* Main has ended: threads that are no daemons get three quarters of the time. */
static void who_finalises_is_nudged_late(void **state)
{
	struct dp_policy_view v = looping();
	struct dp_policy_state st = {0};
	struct trail t = {0};

	(void)state;
	v.progress.finalising_ns = T0 + 200 * MS;
	v.outputs_done = true;
	run(&t, &st, &NUDGE, &v, TICK, 8 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused_at[DP_REFUSE_FINALISING], 4 * SEC);
	assert_int_equal(t.at[0], 7500 * MS);
	assert_int_equal(t.nudges, 2);
	assert_string_equal(
		t.last_nudge.reason,
		"main has ended, and a thread that is no daemon keeps the process, 8.00 s after Stop");
	/* Without Python nothing is known of it, and nothing sent. */
	v = looping();
	v.progress = (struct dp_policy_progress){0};
	t = whole_stop(&NUDGE, &v);
	t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
	assert_only_refused(&t, DP_REFUSE_UNCLEAR);
}

/* The true reason: that the signal would do nothing, or kill, comes before all that is seen. */
static void the_signal_comes_first_of_the_reasons(void **state)
{
	struct dp_policy_view views[] = {stuck(), on_cpu(), blocked(), looping()};

	(void)state;
	views[1].hold.is_main = false;
	views[2].blocked.since_ns = T0 + SEC;
	for (size_t i = 0; i < 4; i++) {
		struct trail t;

		views[i].signals_caught = 0;
		t = whole_stop(&NUDGE, &views[i]);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_DEFAULT_KILLS);
		views[i].signals_ignored = INT_CAUGHT;
		t = whole_stop(&NUDGE, &views[i]);
		t.refusals -= t.refused[DP_REFUSE_DEADLINE_PASSED];
		assert_only_refused(&t, DP_REFUSE_IGNORED);
	}
}

/* Python gives its handlers back when it ends: that is no reason, and no kill. */
static void a_python_that_ends_is_let_alone(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.signals_caught = 0;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refusals, 0);
}

/* ---- what was learned ---- */

static void stops_as_soon_as_the_node_moves(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = stuck();
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	/* The hold is over, the node cleans up in another one that began after Stop. */
	v.hold.id = 8;
	v.hold.start_ns = T0 + 4210 * MS;
	v.hold.start_lo_ns = T0 + 4205 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_AFTER_STOP], 1);

	/* The same hold, but a token came back after the nudge. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	v = stuck();
	run(&t, &st, &NUDGE, &v, 0, 4200 * MS, DP_RESULT_SENT);
	v.moved_ns = T0 + 4100 * MS;
	run(&t, &st, &NUDGE, &v, 4210 * MS, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_MOVED], 1);

	/* A move that is older than the nudge, by dora's own thread, changes nothing. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	v.moved_ns = T0 + MS;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 4);
}

static void a_call_that_does_not_poll_is_remembered(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu(), w;
	struct trail t = {0};

	(void)state;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);

	/* Another Stop, the same call: known, nothing is sent. */
	v.stop_ns += 100 * SEC;
	v.deadline_ns += 100 * SEC;
	v.hold.start_ns += 100 * SEC;
	v.hold.id = 9;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 100 * SEC, 109 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 0);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING_BEFORE], 1);

	/* The neighbour on the next line is another call. */
	w = v;
	w.stop_ns += 100 * SEC;
	w.deadline_ns += 100 * SEC;
	w.hold.start_ns += 100 * SEC;
	w.hold.id = 10;
	w.hold.place.line = 13;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &w, 200 * SEC, 204 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 1);
	/* It ends 100 ms later: helped. Later in vain once: still worth a try the next time. */
	w.hold.id = 0;
	run(&t, &st, &NUDGE, &w, 204100 * MS, 204200 * MS, DP_RESULT_SENT);
	assert_int_equal(st.learned[1].helped, 1);

	/* The same place again in an interruptible call is another case: helped as ever. */
	v.stop_ns += 200 * SEC;
	v.deadline_ns += 200 * SEC;
	v.hold.start_ns += 200 * SEC;
	v.hold.id = 11;
	v.hold.sched_state = DP_SCHED_SYSCALL;
	v.hold.syscall_nr = SYS_read;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 300 * SEC, 309 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 4);
}

static void the_memory_is_bounded(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};
	uint64_t i;

	(void)state;
	for (i = 0; i < 200; i++) {
		v.stop_ns = T0 + i * 100 * SEC;
		v.deadline_ns = v.stop_ns + 10 * SEC;
		v.hold.start_ns = v.stop_ns - SEC;
		v.hold.id = i + 1;
		v.hold.place.line = (int32_t)i + 1;
		run(&t, &st, &NUDGE, &v, i * 100 * SEC, i * 100 * SEC + 5 * SEC, DP_RESULT_SENT);
	}
	assert_int_equal(t.nudges, 200);
	/* The last ones are known, the first is forgotten. */
	v.stop_ns += 100 * SEC;
	v.deadline_ns += 100 * SEC;
	v.hold.start_ns += 100 * SEC;
	v.hold.id++;
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 200 * 100 * SEC, 200 * 100 * SEC + 5 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.nudges, 0);
}

static void answers_decide_what_comes_next(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_decision d;
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};
	uint64_t at;

	(void)state;
	/* Refused by the second look at the state: nothing was sent, nothing learned, tried again.
	 */
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_REFUSED);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 0);
	assert_int_equal(st.learned[0].in_vain, 0);

	/* Cannot be sent: said once, no further try. */
	memset(&st, 0, sizeof(st));
	memset(&t, 0, sizeof(t));
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_FAILED);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_CANNOT_SEND], 1);

	/* No answer yet: no second signal. */
	memset(&st, 0, sizeof(st));
	v = stuck();
	t.nudges = 0;
	for (at = 0; at < 9 * SEC; at += TICK) {
		dp_policy_decide(&st, &NUDGE, &v, T0 + at, &d);
		t.nudges += d.kind == DP_DECIDE_NUDGE;
	}
	assert_int_equal(t.nudges, 1);
	/* Answers that make no sense are no answers. */
	dp_policy_answer(&st, DP_ACTION_HOOK, DP_RESULT_SENT);
	dp_policy_answer(&st, DP_ACTION_NUDGE, 255);
	assert_int_equal(st.answer, 0);
}

/* ---- modes ---- */

static void observe_and_dry_run_only_say(void **state)
{
	struct dp_policy_config observe = {.mode = DP_SHUTDOWN_OBSERVE};
	struct dp_policy_config dry = {.mode = DP_SHUTDOWN_NUDGE, .dry_run = 1};
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	t = whole_stop(&observe, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.at[0], 4 * SEC);
	assert_int_equal(t.last_nudge.pretend, 1);

	/* Dry run goes the way of a real run, back-off and all. */
	t = whole_stop(&dry, &v);
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.at[3], 7500 * MS);
	assert_int_equal(t.last_nudge.pretend, 1);

	/* But what a signal would have shown stays open. */
	v = on_cpu();
	t = whole_stop(&dry, &v);
	assert_int_equal(t.nudges, 1);
	assert_int_equal(t.refused[DP_REFUSE_NOT_POLLING], 0);

	/* Observe terminates nothing, not even in words. */
	t = whole_stop(&observe, &v);
	assert_int_equal(t.terminates, 0);
}

static void terminates_when_slack_is_below_a_second(void **state)
{
	struct dp_policy_config cfg = {.mode = DP_SHUTDOWN_TERMINATE};
	struct dp_policy_view v = stuck();
	struct trail t = whole_stop(&cfg, &v);

	(void)state;
	assert_int_equal(t.nudges, 4);
	assert_int_equal(t.terminates, 1);
	assert_int_equal(t.terminate_at, 9010 * MS);
	assert_int_equal(t.terminate.signal, 15);
	assert_int_equal(t.terminate.tid, 0);
	assert_int_equal(t.terminate.action, DP_ACTION_TERMINATE);
	assert_non_null(strstr(t.terminate.reason, "the daemon's SIGTERM follows in 990 ms"));

	/* Its clean-up counts as long as it has not begun. */
	v.need_ns = 3 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 6010 * MS);
	v.moved_ns = T0 + SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 9010 * MS);

	/* The nudge comes first. */
	v = stuck();
	v.need_ns = 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.at[0], 4010 * MS);
	assert_int_equal(t.terminate_at, 4 * SEC);

	/* A short grace has a short last second. */
	v = stuck();
	v.grace_ns = SEC;
	v.deadline_ns = T0 + SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminate_at, 810 * MS);

	/* Neighbours: done with its outputs, ends in time, ignores SIGTERM, no deadline. */
	v = stuck();
	v.outputs_done = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	v = stuck();
	v.hold.expected_end_ns = T0 + 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	v = blocked();
	v.blocked.expected_end_ns = T0 + 9500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.nudges + t.terminates, 0);
	v.blocked.expected_end_ns = T0 + 10500 * MS;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 1);
	v = stuck();
	v.signals_ignored = SIG_BIT(15);
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	assert_int_equal(t.refused[DP_REFUSE_TERM_IGNORED], 1);
	v = stuck();
	v.deadline_ns = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.terminates, 0);
	/* And the mode below it never does. */
	v = stuck();
	t = whole_stop(&NUDGE, &v);
	assert_int_equal(t.terminates, 0);
}

static void stops_the_dataflow_once_before_any_stop(void **state)
{
	struct dp_policy_config cfg = {.stop_dataflow_after_ns = 5 * SEC};
	struct dp_policy_view v = stuck();
	struct trail t;

	(void)state;
	v.stop_ns = 0;
	v.deadline_ns = 0;
	v.pending_tokens = 1;
	v.oldest_delivered_ns = T0 - 4 * SEC;
	v.pending_cause = DP_CAUSE_GIL_NATIVE;
	v.dataflow_grace_ns = 12 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 1);
	assert_int_equal(t.stop.grace_ns, 12 * SEC);
	assert_int_equal(t.stop.pretend, 0);
	assert_int_equal(t.nudges + t.refusals, 0);
	assert_string_equal(
		t.stop.reason,
		"a drop token waits for 5.00 s because of the GIL (gil_native); grace 12.0 s");

	/* Never less than the grace that there is anyway. */
	v.dataflow_grace_ns = 2 * SEC;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.grace_ns, 10 * SEC);
	v.dataflow_grace_ns = DP_NULL;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.grace_ns, 10 * SEC);
	cfg.dry_run = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stop.pretend, 1);

	/* Neighbours. */
	v.pending_cause = DP_CAUSE_BUSY_PYTHON;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.pending_cause = DP_CAUSE_GIL_NATIVE;
	v.dataflow_stopping = 1;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.dataflow_stopping = 0;
	v.pending_tokens = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	v.pending_tokens = 1;
	cfg.stop_dataflow_after_ns = 0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
	cfg.stop_dataflow_after_ns = 5 * SEC;
	v.stop_ns = T0;
	t = whole_stop(&cfg, &v);
	assert_int_equal(t.stops, 0);
}

static void a_second_stop_starts_afresh(void **state)
{
	struct dp_policy_state st = {0};
	struct dp_policy_view v = on_cpu();
	struct trail t = {0};

	(void)state;
	v.hold.is_main = 0;
	run(&t, &st, &NUDGE, &v, 0, 9 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused[DP_REFUSE_NON_MAIN_ON_CPU], 1);
	v.stop_ns += 20 * SEC;
	v.deadline_ns += 20 * SEC;
	run(&t, &st, &NUDGE, &v, 20 * SEC, 29 * SEC, DP_RESULT_SENT);
	assert_int_equal(t.refused[DP_REFUSE_NON_MAIN_ON_CPU], 2);
}

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

static void configuration_comes_from_the_options(void **state)
{
	struct dp_rec_options o = {.nudge_after_ns = 1,
				   .nudge_interval_ns = 2,
				   .stop_dataflow_after_ns = 3,
				   .nudge_signal = 10,
				   .shutdown = DP_SHUTDOWN_TERMINATE,
				   .save_tokens = 1,
				   .dry_run = 1};
	struct dp_policy_config cfg;

	(void)state;
	dp_policy_configure(&cfg, &o);
	assert_int_equal(cfg.nudge_after_ns, 1);
	assert_int_equal(cfg.nudge_interval_ns, 2);
	assert_int_equal(cfg.stop_dataflow_after_ns, 3);
	assert_int_equal(cfg.nudge_signal, 10);
	assert_int_equal(cfg.mode, DP_SHUTDOWN_TERMINATE);
	assert_int_equal(cfg.save_tokens, 1);
	assert_int_equal(cfg.dry_run, 1);
}

static void readiness_is_read_from_the_masks(void **state)
{
	(void)state;
	assert_int_equal(dp_policy_disposition(INT_CAUGHT, 0, 2), DP_SIGDISP_CAUGHT);
	assert_int_equal(dp_policy_disposition(0, INT_CAUGHT, 2), DP_SIGDISP_IGNORED);
	assert_int_equal(dp_policy_disposition(0, 0, 2), DP_SIGDISP_DEFAULT);
	assert_int_equal(dp_policy_disposition(UINT64_MAX, 0, 0), DP_SIGDISP_UNKNOWN);
	assert_int_equal(dp_policy_disposition(UINT64_MAX, 0, 65), DP_SIGDISP_UNKNOWN);
	assert_int_equal(dp_policy_disposition(SIG_BIT(64), 0, 64), DP_SIGDISP_CAUGHT);
	assert_int_equal(dp_policy_other_signal(SIG_BIT(10) | INT_CAUGHT, 2), 10);
	assert_int_equal(dp_policy_other_signal(SIG_BIT(10) | INT_CAUGHT, 10), 2);
	assert_int_equal(dp_policy_other_signal(INT_CAUGHT, 2), 0);
	/* A profiler's or a timer's handler is no offer. */
	assert_int_equal(dp_policy_other_signal(SIG_BIT(27) | SIG_BIT(14) | SIG_BIT(11), 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nudges_with_back_off_from_40_per_cent),
		cmocka_unit_test(options_move_the_first_nudge),
		cmocka_unit_test(the_interval_cannot_overflow),
		cmocka_unit_test(only_stop_and_sigterm_count),
		cmocka_unit_test(what_is_no_subject_is_left_alone),
		cmocka_unit_test(blocked_main_thread_is_helped),
		cmocka_unit_test(only_where_a_signal_can_help),
		cmocka_unit_test(the_process_must_catch_the_signal),
		cmocka_unit_test(a_hold_that_ends_in_time_is_waited_for),
		cmocka_unit_test(a_loop_is_helped_wherever_it_is),
		cmocka_unit_test(what_the_last_nudge_did_is_said),
		cmocka_unit_test(a_new_hold_after_a_nudge_is_the_same_node),
		cmocka_unit_test(a_handler_that_ran_is_not_a_call_that_polls_none),
		cmocka_unit_test(a_loop_that_ends_in_time_is_waited_for),
		cmocka_unit_test(who_finalises_is_nudged_late),
		cmocka_unit_test(the_signal_comes_first_of_the_reasons),
		cmocka_unit_test(a_python_that_ends_is_let_alone),
		cmocka_unit_test(stops_as_soon_as_the_node_moves),
		cmocka_unit_test(a_call_that_does_not_poll_is_remembered),
		cmocka_unit_test(the_memory_is_bounded),
		cmocka_unit_test(answers_decide_what_comes_next),
		cmocka_unit_test(observe_and_dry_run_only_say),
		cmocka_unit_test(terminates_when_slack_is_below_a_second),
		cmocka_unit_test(stops_the_dataflow_once_before_any_stop),
		cmocka_unit_test(a_second_stop_starts_afresh),
		cmocka_unit_test(healthy_nodes_are_never_signalled),
		cmocka_unit_test(a_hostile_node_reaches_itself_at_most),
		cmocka_unit_test(configuration_comes_from_the_options),
		cmocka_unit_test(readiness_is_read_from_the_masks),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
