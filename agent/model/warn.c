// SPDX-License-Identifier: MIT
/*
 * Warnings with steps and hysteresis: notice at the threshold D, warning at 4 D, critical at 10 D,
 * each said once; resolved when the condition has been below D / 2 for 2 s or the node has left.
 * A hold at another place than those named so far is news also while the warning stands, and so are
 * tokens that came later and wait for another cause.
 */
#include "model/internal.h"

#include <stdio.h>
#include <string.h>

static enum warn_level level_of(uint64_t value, uint64_t d)
{
	if (value >= 10 * d)
		return LEVEL_CRITICAL;
	if (value >= 4 * d)
		return LEVEL_WARNING;
	return value >= d ? LEVEL_NOTICE : LEVEL_NONE;
}

static uint64_t step_of(enum warn_level l, uint64_t d)
{
	return l == LEVEL_CRITICAL ? 10 * d : l == LEVEL_WARNING ? 4 * d : d;
}

/* Tokens pending here and the age of the oldest, by what is certain. */
static void pending_of(const struct dp_model *m, const struct node *n, uint64_t *ret_count,
		       uint64_t *ret_oldest)
{
	const struct life *l = n->pending_first;

	*ret_count = n->facts.tokens_observable ? n->pending_count : DP_NULL;
	*ret_oldest = DP_NULL;
	if (!n->facts.tokens_observable)
		return;
	while (l && l->doubtful)
		l = l->next_pending;
	*ret_oldest = l ? m->now - l->delivered_ns : 0;
}

void warn_say(struct dp_model *m, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
	      int resolved, const char *outlook)
{
	struct warning *w = &n->warn[kind];
	struct dp_finding f = {.type = DP_FIND_WARNING};
	struct dp_warning_finding *k = &f.u.warning;
	char advice[sizeof(n->advice) + DP_REASON_MAX + 4];

	k->kind = (uint8_t)kind;
	k->severity = (uint8_t)(w->level - LEVEL_NOTICE);
	k->cause = w->cause;
	k->resolved = (uint8_t)resolved;
	k->holder_tid = w->holder_tid;
	k->place = place_view(&w->place);
	k->held_ns = w->holder_tid ? w->held_ns : DP_NULL;
	pending_of(m, n, &k->pending_tokens, &k->oldest_pending_ns);
	k->deadline_ns = n->stop_seen && n->deadline_ns ? n->deadline_ns : DP_NULL;
	k->slack_ns = n->slack_ns;
	if (!resolved) {
		k->advice = cause_advice(w->cause, n, &w->place);
		if (outlook && outlook[0]) {
			snprintf(advice, sizeof(advice), "%s; %s", outlook, k->advice);
			k->advice = advice;
		}
	}
	model_say(m, n, t_ns, &f);
}

void warn_note_holder(struct node *n, struct warning *w)
{
	const struct hold *h = &n->gils[0].cur;

	if (h->tid == 0)
		return;
	w->holder_tid = h->tid;
	w->place = h->place;
	w->held_ns = hold_until(h) - hold_start(h);
}

/*
 * One step of a warning: `value` against the threshold `d`; `since` is when the condition began, so
 * the step became true at since + its threshold.
 */
static void step(struct dp_model *m, struct node *n, enum dp_warning_kind kind, uint64_t value,
		 uint64_t d, uint64_t since, int8_t cause, uint64_t not_before)
{
	struct warning *w = &n->warn[kind];
	enum warn_level level = level_of(value, d);
	uint64_t t;

	if (value > w->peak_ns)
		w->peak_ns = value;
	if (level > w->level) {
		w->level = (uint8_t)level;
		w->cause = cause;
		w->below_ns = 0;
		w->raised_ns = m->now;
		t = since + step_of(level, d);
		if (t < not_before)
			t = not_before;
		warn_say(m, n, kind, t > m->now ? m->now : t, 0, NULL);
		return;
	}
	if (w->level == LEVEL_NONE)
		return;
	if (value * 2 >= d) {
		w->below_ns = 0;
	} else if (w->below_ns == 0) {
		w->below_ns = m->now;
	} else if (m->now - w->below_ns >= WARN_CLEAR_NS) {
		warn_say(m, n, kind, w->below_ns + WARN_CLEAR_NS, 1, NULL);
		memset(w, 0, sizeof(*w));
		w->cause = -1;
	}
}

/* What a line names, as a number: FNV-1a of function, file and line, beginning with the key. */
static uint32_t place_hash(uint32_t key, const struct place *p)
{
	uint32_t x = 2166136261u ^ key;

	for (const char *c = p->function; *c; c++)
		x = (x ^ (unsigned char)*c) * 16777619u;
	for (const char *c = p->file; *c; c++)
		x = (x ^ (unsigned char)*c) * 16777619u;
	return (x ^ (uint32_t)p->line) * 16777619u;
}

/* Notes the place and the key (thread or cause): 1 when it is news. Where the list is full, nothing is
 * any more. */
static int note_place(struct warning *w, uint32_t key)
{
	uint32_t x = place_hash(key, &w->place);

	for (uint32_t i = 0; i < w->told_count; i++)
		if (w->told[i] == x)
			return 0;
	if (w->told_count == TOLD_MAX)
		return 0;
	w->told[w->told_count++] = x;
	return 1;
}

/* The warning stands, and something that is none of what was told so far has crossed its step. */
static void warn_other(struct dp_model *m, struct node *n, enum dp_warning_kind kind,
		       enum warn_level level, uint64_t d, uint64_t since, int8_t cause,
		       uint64_t not_before)
{
	struct warning *w = &n->warn[kind];
	uint8_t highest = w->level;
	uint64_t t = since + step_of(level, d);

	if (t < not_before)
		t = not_before;
	w->level = (uint8_t)level;
	w->cause = cause;
	w->raised_ns = m->now;
	warn_say(m, n, kind, t > m->now ? m->now : t, 0, NULL);
	w->level = highest;
}

static void warn_hold(struct dp_model *m, struct node *n)
{
	struct hold *h = NULL;
	struct warning *w = &n->warn[DP_WARN_GIL_HOLD];
	uint64_t value = 0, since = 0, d = m->options.warn_hold_ns;
	int8_t cause = w->cause;

	for (int i = 0; i < DP_MAX_GILS; i++) {
		struct hold *c = &n->gils[i].cur;
		uint64_t held = c->tid ? hold_until(c) - hold_start(c) : 0;

		/* What is not proven is warned about only where nothing can prove it. */
		if (c->tid && !hold_proven(c) && !n->edge.refused)
			continue;
		if (held > value) {
			value = held;
			h = c;
		}
	}
	if (h) {
		enum warn_level level = level_of(value, d);

		since = hold_start(h);
		cause = cause_of_hold(n, h);
		/* A warning waits a moment for its stack, then goes out without. */
		if (level != LEVEL_NONE && h->stack_state == 1 &&
		    m->now - h->stack_asked_ns < STACK_WAIT_NS)
			return;
		if (level != LEVEL_NONE || h->tid == w->holder_tid) {
			w->holder_tid = h->tid;
			w->place = h->place;
			w->held_ns = value;
		}
		/* Within one hold a place that changes is no news. */
		if (level != LEVEL_NONE && !h->told) {
			h->told = 1;
			if (note_place(w, h->tid) && level <= w->level)
				warn_other(m, n, DP_WARN_GIL_HOLD, level, d, since, cause,
					   h->known_ns);
		}
	}
	step(m, n, DP_WARN_GIL_HOLD, value, d, since, cause, h ? h->known_ns : 0);
}

/* The holder now, or the function whose holds cost the token most, if it has just let go. */
static void blame_holder(struct dp_model *m, struct node *n, struct warning *w, uint64_t since)
{
	const struct gil *g = &n->gils[0];
	struct blame_share share;
	const struct dp_blame *b;

	warn_note_holder(n, w);
	if (w->holder_tid && w->place.known)
		return;
	/* It may have let go a moment ago, and still wait for late evidence. */
	if (g->closing_count && g->closing[g->closing_count - 1].place.known) {
		w->place = g->closing[g->closing_count - 1].place;
		return;
	}
	blame_window(n, since, m->now, &share);
	if (share.top_function < 0)
		return;
	b = &n->functions[share.top_function].b;
	w->place.known = 1;
	w->place.line = b->line;
	memcpy(w->place.function, b->function, sizeof(w->place.function));
	memcpy(w->place.file, b->file, sizeof(w->place.file));
}

/* Cause and place of what the token waits for. Gives the cause. */
static int8_t blame_pending(struct dp_model *m, struct node *n, struct warning *w,
			    const struct life *l)
{
	int8_t cause = cause_of_life(m, l, m->now);

	memset(&w->place, 0, sizeof(w->place));
	w->holder_tid = 0;
	if (cause == DP_CAUSE_GIL_NATIVE || cause == DP_CAUSE_GIL_CONTENTION ||
	    cause == DP_CAUSE_DORA_INTERNAL || cause == DP_CAUSE_DEADLOCK)
		blame_holder(m, n, w, l->delivered_ns);
	else if (cause == DP_CAUSE_BLOCKED || cause == DP_CAUSE_BUSY_PYTHON)
		w->place = n->doing_place;
	return cause;
}

static void warn_pending(struct dp_model *m, struct node *n)
{
	const struct life *l = n->pending_first;
	struct warning *w = &n->warn[DP_WARN_TOKEN_PENDING];
	uint64_t value, d = m->options.pending_threshold_ns;
	int8_t cause = w->cause;
	enum warn_level level;

	while (l && l->doubtful)
		l = l->next_pending;
	value = l ? m->now - l->delivered_ns : 0;
	level = level_of(value, d);
	if (l && level > w->level) {
		cause = blame_pending(m, n, w, l);
		note_place(w, (uint32_t)cause);
	} else if (l && level != LEVEL_NONE && l->delivered_ns > w->raised_ns &&
		   l->delivered_ns > w->looked_ns) {
		struct warning was = *w;

		cause = blame_pending(m, n, w, l);
		/* What is not known yet may be at the next tick. */
		if (cause != DP_CAUSE_UNKNOWN)
			was.looked_ns = w->looked_ns = l->delivered_ns;
		if (cause != DP_CAUSE_UNKNOWN && cause != was.cause &&
		    note_place(w, (uint32_t)cause))
			warn_other(m, n, DP_WARN_TOKEN_PENDING, level, d, l->delivered_ns, cause, 0);
		else
			*w = was;
	}
	step(m, n, DP_WARN_TOKEN_PENDING, value, d, l ? l->delivered_ns : 0, cause, 0);
}

static void warn_deadlock(struct dp_model *m, struct node *n)
{
	const struct hold *h = &n->gils[0].cur;
	struct warning *w = &n->warn[DP_WARN_DEADLOCK];
	int dead = h->tid && cause_of_hold(n, h) == DP_CAUSE_DEADLOCK;

	if (dead && w->level == LEVEL_NONE) {
		w->level = LEVEL_CRITICAL;
		w->cause = DP_CAUSE_DEADLOCK;
		w->raised_ns = m->now;
		warn_note_holder(n, w);
		warn_say(m, n, DP_WARN_DEADLOCK, m->now, 0, NULL);
	} else if (!dead && w->level != LEVEL_NONE) {
		warn_say(m, n, DP_WARN_DEADLOCK, m->now, 1, NULL);
		memset(w, 0, sizeof(*w));
		w->cause = -1;
	}
}

void warn_tick(struct dp_model *m, struct node *n)
{
	warn_hold(m, n);
	warn_pending(m, n);
	warn_deadlock(m, n);
}

void warn_node_gone(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	for (int i = 0; i < DP_WARN_COUNT; i++) {
		struct warning *w = &n->warn[i];

		if (w->level == LEVEL_NONE)
			continue;
		warn_say(m, n, (enum dp_warning_kind)i, t_ns, 1, NULL);
		memset(w, 0, sizeof(*w));
		w->cause = -1;
	}
}
