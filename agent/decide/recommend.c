// SPDX-License-Identifier: MIT
/* The grace period that is needed; see recommend.h. */
#include "decide/recommend.h"

#include <errno.h>

#include "base/units.h"
#include "base/sentence.h"

/* Dropping a dora node takes 1-3.5 s inside dora's own code (0.3.12-1.1.0), where none was seen. */
#define DORA_CLEANUP_NS (3500 * MS)
#define ROUND_NS        (500 * MS)
#define LEAST_NS        SEC

/* Why a node has no recommendation. */
enum standing { STANDING_OK, STANDING_UNFINISHED, STANDING_KILLED, STANDING_UNSEEN };

static enum standing judge(const struct dp_measured *m)
{
	if (m->hold_unfinished)
		return STANDING_UNFINISHED;
	if (m->killed_after_ns)
		return STANDING_KILLED;
	if (!m->observable && !m->stops)
		return STANDING_UNSEEN;
	return m->holds || m->stops ? STANDING_OK : STANDING_UNSEEN;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t wanted(const struct dp_measured *m)
{
	uint64_t t = sum(m->max_hold_ns, m->stops ? m->max_cleanup_ns : DORA_CLEANUP_NS);

	/* A quarter on top: the longest of a few measurements is not the longest there is. */
	t = sum(t, t / 4);
	if (t < LEAST_NS)
		t = LEAST_NS;
	if (t > UINT64_MAX - ROUND_NS)
		return UINT64_MAX - UINT64_MAX % ROUND_NS;
	return (t + ROUND_NS - 1) / ROUND_NS * ROUND_NS;
}

static void say_node(struct dp_sentence *s, const struct dp_measured *m)
{
	dp_say(s, "node ");
	dp_say(s, m->node && m->node[0] ? m->node : "(unnamed)");
}

static void say_why_none(struct dp_sentence *s, const struct dp_measured *m, enum standing why)
{
	say_node(s, m);
	if (why == STANDING_UNFINISHED) {
		dp_say(s, " still held the GIL at the end: how long it needs was not seen");
	} else if (why == STANDING_KILLED) {
		dp_say(s, " was killed ");
		dp_say_duration(s, m->killed_after_ns);
		dp_say(s, " after Stop: that it needs more is all that is known");
	} else {
		dp_say(s, " gave nothing to measure");
	}
}

static void say_how(struct dp_sentence *s, const struct dp_measured *m)
{
	say_node(s, m);
	if (m->holds && m->max_hold_ns) {
		dp_say(s, ": longest hold ");
		dp_say_duration(s, m->max_hold_ns);
		if (m->max_hold_function && m->max_hold_function[0]) {
			dp_say(s, " in ");
			dp_say(s, m->max_hold_function);
		}
	} else {
		dp_say(s, m->holds ? ": no hold but dora's own" : ": no hold");
	}
	dp_say(s, ", clean-up ");
	if (m->stops) {
		dp_say_duration(s, m->max_cleanup_ns);
		dp_say(s, " (");
		dp_say_u64(s, m->stops);
		dp_say(s, m->stops == 1 ? " stop)" : " stops)");
	} else {
		dp_say_duration(s, DORA_CLEANUP_NS);
		dp_say(s, " assumed (no stop seen; dora's own)");
	}
	dp_say(s, ", plus 25 %");
	if (m->least_margin_ns != DP_SNULL && m->least_margin_ns >= 0 &&
	    m->least_margin_ns < (int64_t)SEC) {
		dp_say(s, "; it has left only ");
		dp_say_duration(s, (uint64_t)m->least_margin_ns);
		dp_say(s, " before its deadline");
	}
}

int dp_recommend(const struct dp_measured *m, uint64_t *ret_ns, char *text, size_t text_len)
{
	enum standing why = judge(m);
	struct dp_sentence s;

	dp_sentence_begin(&s, text, text_len);
	if (why != STANDING_OK) {
		say_why_none(&s, m, why);
		return -ENODATA;
	}
	*ret_ns = wanted(m);
	dp_say_duration_up(&s, *ret_ns);
	dp_say(&s, " for ");
	say_how(&s, m);
	return 0;
}

int dp_recommend_all(const struct dp_measured *m, size_t count, uint64_t *ret_ns, char *text,
		     size_t text_len)
{
	const struct dp_measured *most = NULL;
	struct dp_sentence s;
	size_t i, unseen = 0;
	enum standing why;

	dp_sentence_begin(&s, text, text_len);
	for (i = 0; i < count; i++) {
		why = judge(&m[i]);
		if (why == STANDING_UNSEEN) {
			unseen++;
			continue;
		}
		if (why != STANDING_OK) {
			say_why_none(&s, &m[i], why);
			return -ENODATA;
		}
		if (!most || wanted(&m[i]) > wanted(most))
			most = &m[i];
	}
	if (!most) {
		dp_say(&s, "nothing was measured");
		return -ENODATA;
	}
	*ret_ns = wanted(most);
	dp_say_duration_up(&s, *ret_ns);
	dp_say(&s, " for ");
	say_how(&s, most);
	if (unseen) {
		dp_say(&s, "; ");
		dp_say_u64(&s, unseen);
		dp_say(&s, unseen == 1 ? " node gave" : " nodes gave");
		dp_say(&s, " nothing to measure");
	}
	return 0;
}
