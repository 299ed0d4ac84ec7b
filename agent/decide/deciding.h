/* SPDX-License-Identifier: MIT */
/*
 * What the files of the policy share with each other: policy.c (the entry, SIGTERM, the stop of a
 * dataflow), nudge.c (the nudge and what refuses it), subject.c (whom it is meant for), learned.c (which calls a signal ends).
 */
#ifndef DORA_PROBE_DECIDING_H
#define DORA_PROBE_DECIDING_H

#include "decide/policy.h"
#include "base/sentence.h"

/* Linux numbers of x86 and arm; <signal.h> is kept out so that this stays a pure function. */
enum {
	SIG_HUP = 1,
	SIG_INT = 2,
	SIG_KILL = 9,
	SIG_USR1 = 10,
	SIG_USR2 = 12,
	SIG_TERM = 15,
	SIG_STOP = 19
};

/* What one decision is made of; saves handing five pointers down. */
struct deciding {
	struct dp_policy_state *st;
	const struct dp_policy_config *cfg;
	const struct dp_policy_view *v;
	uint64_t now;
	struct dp_policy_decision *ret;
	struct dp_sentence say;
};

static inline bool policy_in_mask(uint64_t mask, uint32_t sig)
{
	return sig >= 1 && sig <= 64 && (mask >> (sig - 1) & 1);
}

/* Sum that ends at the last representable moment instead of going round. */
static inline uint64_t policy_later(uint64_t t, uint64_t by)
{
	return t > UINT64_MAX - by ? UINT64_MAX : t + by;
}

/* The node's clean-up, nothing where it was never measured. */
static inline uint64_t policy_need(const struct dp_policy_view *v)
{
	return v->need_ns == DP_NULL ? 0 : v->need_ns;
}

static inline uint32_t policy_nudge_signal(const struct dp_policy_config *cfg)
{
	return cfg->nudge_signal ? cfg->nudge_signal : SIG_INT;
}

/* policy.c */
/*
 * Begins a refusal; false when its line is out already in this stop, and nothing is to be said.
 */
bool policy_refuse(struct deciding *d, enum dp_refusal why, enum dp_action action, uint32_t tid);
/* ", 4.2 s after Stop" */
void policy_say_since_stop(struct deciding *d);
/*
 * Does what began at `since` and is expected to end at `end` (0: nobody knows) end by itself so
 * early that the clean-up is over before `limit` (0: there is none)? An expectation is believed
 * until it has been outlasted by a quarter.
 */
bool policy_ends_before(const struct deciding *d, uint64_t since, uint64_t end, uint64_t limit);

/* subject.c */
enum subject_kind {
	SUBJECT_HOLD,       /* one hold of the GIL, since before Stop */
	SUBJECT_SLEEP,      /* one sleep of the consumer without the GIL, since before Stop */
	SUBJECT_LOOP,       /* the node goes on at the places where it was before Stop */
	SUBJECT_AWAY,       /* it has not come back to dora since before Stop, wherever it is */
	SUBJECT_FINALISING, /* main has ended, another thread keeps the process */
	SUBJECT_UNCLEAR,    /* none of it can be seen, and little time is left */
};

/* Whom a nudge is meant for, and the thread that it goes to. */
struct subject {
	enum subject_kind kind;
	uint64_t id; /* of the hold or the sleep, 0 else */
	uint64_t since_ns;
	uint64_t expected_end_ns;
	bool ends_as_asked;
	uint32_t tid;
	bool one_shot; /* whether a signal helps here is learned from the first one */
	const struct dp_place *place; /* NULL unknown */
};

/* Is the holder a thread beside main that is not known to be in one native call? */
static inline bool policy_gives_way(const struct dp_policy_view *v)
{
	return !v->hold.is_main && v->hold.sched_state == DP_SCHED_ON_CPU && v->hold.native != 1 &&
	       v->progress.main_tid;
}

/* Has the node not moved since Stop? Fills *s; else leaves the line that says why not. */
bool policy_find_subject(struct deciding *d, struct subject *s);
/* "thread 12 holds the GIL for 4.2 s in f (x.py:12)" */
void policy_say_subject(struct deciding *d, const struct subject *s);
/* A refusal of a nudge in one sentence. */
void policy_refuse_nudge(struct deciding *d, enum dp_refusal why, uint32_t tid, const char *text);

/* nudge.c */
/* Decides on a nudge: a decision, a refusal, or nothing. */
void policy_nudge(struct deciding *d);
/* What the last nudge was sent for is over: it helped if that came soon after a signal was sent. */
void policy_close_subject(struct deciding *d);

/* learned.c */
/*
 * Key of a place; 0 for one without a name, about which nothing is learned beyond the hold
 * itself.
 */
uint64_t policy_place_key(const struct dp_place *p);
/* What is known of the place; NULL nothing. */
struct dp_policy_learned *policy_learned(struct dp_policy_state *st, uint64_t key);
void policy_learn(struct dp_policy_state *st, uint64_t key, enum dp_learned what, uint64_t now);

#endif
