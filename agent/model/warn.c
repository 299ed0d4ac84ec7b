// SPDX-License-Identifier: MIT
/* Warnings; see warn.h. */
#include "model/warn.h"

#include "model/advice.h"
#include "model/blame.h"
#include "model/cause.h"
#include "model/polling.h"

#include <stdio.h>
#include <string.h>

/* A warning is resolved when its condition has been below half of the threshold for this long. */
#define CLEAR_NS (2 * SEC)
/* A warning about a hold waits this long for the holder's stack, then goes out without. */
#define STACK_WAIT_NS (20 * MS)
/* Between two lines that tell of different holds, unless the later one is worse. */
#define OTHER_NS (500 * MS)

/* The oldest token pending at the node of which that is certain; NULL none. */
static const struct delivery *oldest_certain(const struct node *n)
{
	const struct delivery *d = n->account.pending_first;

	while (d && d->doubtful)
		d = d->next_pending;
	return d;
}

static void fill_pending(const struct env *e, const struct node *n, struct dp_warning_finding *k)
{
	const struct delivery *d = oldest_certain(n);

	k->pending_tokens = k->oldest_pending_ns = DP_NULL;
	/* What was mapped when the probe came is pending, whether its frames can be seen or not. */
	if (!n->id.facts.tokens_observable && !n->account.pending_count)
		return;
	k->pending_tokens = n->account.pending_count;
	k->oldest_pending_ns = d ? e->now - d->delivered_ns : 0;
}

/* Whom the holder that the warning names waits for, while it holds. */
static void fill_chain(const struct node *n, struct dp_warning_finding *k)
{
	const struct hold *h = &n->timeline.gils[0].cur;

	if (k->resolved || k->holder_tid == 0 || k->holder_tid != h->tid)
		return;
	k->chain = waits_of(&n->waits, h);
	if (k->chain && h->deadlock)
		k->chain_proof = waits_proof(k->chain);
}

/* The deadline of the Stop that is under way, else of a watchdog of dora's. */
static void fill_deadline(const struct env *e, const struct node *n, struct dp_warning_finding *k)
{
	struct watchdog_deadline d = watchdog_due(&n->watchdog, &n->stop, &n->id);

	k->deadline_ns = DP_NULL;
	k->slack_ns = n->outlook.slack_ns;
	if (n->stop.seen && n->stop.deadline_ns) {
		k->deadline_ns = n->stop.deadline_ns;
		k->deadline_source = n->stop.source;
	} else if (d.at_ns) {
		k->deadline_ns = d.at_ns;
		k->deadline_source = d.source;
		k->slack_ns = (int64_t)(d.at_ns - e->now);
	}
}

static void fill_polling(const struct env *e, const struct node *n, struct dp_warning_finding *k)
{
	const struct polling *p = &n->polling;

	k->not_polling_ns = p->since_ns ? e->now - p->since_ns : DP_NULL;
	k->evidence = p->evidence;
	if (p->evidence & 1u << DP_EVIDENCE_ASLEEP)
		k->asleep_since_ns = n->activity.asleep_ns;
}

static void say(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
		bool resolved, const char *text)
{
	const struct warning *w = &n->warn[kind];
	struct dp_finding f = {.type = DP_FIND_WARNING};
	struct dp_warning_finding *k = &f.u.warning;

	k->kind = (uint8_t)kind;
	k->severity = (uint8_t)(w->level - LEVEL_NOTICE);
	k->cause = w->cause;
	k->resolved = resolved;
	k->holder_tid = w->holder_tid;
	k->place = place_view(&w->place);
	k->held_ns = w->holder_tid ? w->held_ns : DP_NULL;
	fill_pending(e, n, k);
	fill_chain(n, k);
	fill_deadline(e, n, k);
	k->advice = text;
	k->not_polling_ns = DP_NULL;
	if (kind == DP_WARN_NOT_POLLING && !resolved)
		fill_polling(e, n, k);
	say_finding(e, &n->id, t_ns, &f);
}

void warn_say(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
	      const char *first)
{
	char text[ADVICE_MAX], both[ADVICE_MAX + DP_REASON_MAX + 4];

	advice_for(n->warn[kind].cause, n, &n->warn[kind].place, text);
	if (first && first[0])
		snprintf(both, sizeof(both), "%s; %s", first, text);
	say(e, n, kind, t_ns, false, first && first[0] ? both : text);
}

void warn_say_text(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns,
		   const char *text)
{
	say(e, n, kind, t_ns, false, text);
}

void warn_resolve(const struct env *e, struct node *n, enum dp_warning_kind kind, uint64_t t_ns)
{
	say(e, n, kind, t_ns, true, NULL);
	warning_clear(&n->warn[kind]);
}

void warn_note_holder(struct warning *w, const struct hold *h)
{
	if (h->tid == 0)
		return;
	w->holder_tid = h->tid;
	w->place = h->place;
	w->held_ns = hold_until(h) - hold_start(h);
}

/* A condition as a warning measures it. */
struct condition {
	uint64_t value, d;   /* ns; against the threshold */
	uint64_t since;      /* when it began: a step became true at since + its threshold … */
	uint64_t not_before; /* … but was not known before this */
	int8_t cause;
};

/* Raises the warning to a level, from the moment at which that became true. */
static void raise_to(const struct env *e, struct node *n, enum dp_warning_kind kind,
		     const struct condition *c, enum warn_level level)
{
	struct warning *w = &n->warn[kind];
	uint64_t t = c->since + warning_threshold(level, c->d);

	if (t < c->not_before)
		t = c->not_before;
	w->level = (uint8_t)level;
	w->cause = c->cause;
	w->raised_ns = e->now;
	warn_say(e, n, kind, t > e->now ? e->now : t, NULL);
}

/* A warning that is raised, on its way to its end. */
static void fall(const struct env *e, struct node *n, enum dp_warning_kind kind,
		 const struct condition *c)
{
	struct warning *w = &n->warn[kind];

	if (c->value * 2 >= c->d)
		w->below_ns = 0;
	else if (w->below_ns == 0)
		w->below_ns = e->now;
	else if (e->now - w->below_ns >= CLEAR_NS)
		warn_resolve(e, n, kind, w->below_ns + CLEAR_NS);
}

/* One step of a warning, up or to its end. */
static void step(const struct env *e, struct node *n, enum dp_warning_kind kind,
		 const struct condition *c)
{
	struct warning *w = &n->warn[kind];
	enum warn_level level = warning_level(c->value, c->d);

	if (level > w->level) {
		w->below_ns = 0;
		raise_to(e, n, kind, c, level);
		return;
	}
	if (w->level != LEVEL_NONE)
		fall(e, n, kind, c);
}

/* The warning is active already, and what it has not named yet has crossed a step too. */
static void raise_other(const struct env *e, struct node *n, enum dp_warning_kind kind,
			const struct condition *c, enum warn_level level)
{
	struct warning *w = &n->warn[kind];
	uint8_t highest = w->level;

	raise_to(e, n, kind, c, level);
	w->level = highest;
}

/* The longest hold that goes on at any of the process' GILs; NULL none. */
static struct hold *longest_hold(struct node *n)
{
	struct hold *longest = NULL;
	uint64_t value = 0;

	for (uint32_t i = 0; i < n->timeline.gil_count; i++) {
		struct hold *h = &n->timeline.gils[i].cur;
		uint64_t held = h->tid ? hold_until(h) - hold_start(h) : 0;

		/* What is not proven is warned about only where nothing can prove it. */
		if (h->tid && !hold_proven(h) && !n->edge.refused)
			continue;
		if (held > value) {
			value = held;
			longest = h;
		}
	}
	return longest;
}

/*
 * Each hold has its own steps, whatever was warned of before it, also at the same line. No more than
 * one line in OTHER_NS tells of another hold: with a threshold far below that they would flood.
 */
static void raise_hold(const struct env *e, struct node *n, struct hold *h,
		       const struct condition *c, enum warn_level level)
{
	struct warning *w = &n->warn[DP_WARN_GIL_HOLD];
	uint8_t highest = w->level > level ? w->level : (uint8_t)level;

	if (!h->warned && level <= w->level && e->now - w->raised_ns < OTHER_NS)
		return;
	h->warned = (uint8_t)level;
	warn_note_holder(w, h);
	raise_to(e, n, DP_WARN_GIL_HOLD, c, level);
	w->level = highest;
	w->below_ns = 0;
}

static void warn_hold(const struct env *e, struct node *n)
{
	struct hold *h = longest_hold(n);
	struct warning *w = &n->warn[DP_WARN_GIL_HOLD];
	struct condition c = {.d = e->options.warn_hold_ns, .cause = w->cause};
	enum warn_level level;

	if (h) {
		c.value = hold_until(h) - hold_start(h);
		c.since = hold_start(h);
		c.not_before = h->known_ns;
		c.cause = cause_of_hold(n, h);
		level = warning_level(c.value, c.d);
		/* Another node keeps the dataflow from its start: of this one there is but a notice. */
		if (level > LEVEL_NOTICE && hold_in_dora(h) && streams_at_barrier(&n->streams))
			level = LEVEL_NOTICE;
		if (level != LEVEL_NONE && h->stack_state == STACK_ASKED &&
		    e->now - h->stack_asked_ns < STACK_WAIT_NS)
			return;
		if (level > (enum warn_level)h->warned)
			raise_hold(e, n, h, &c, level);
		else if (h->warned)
			warn_note_holder(w, h);
	}
	if (w->level != LEVEL_NONE)
		fall(e, n, DP_WARN_GIL_HOLD, &c);
}

/* The holder now, or the function whose holds cost the token most, if it has just let go. */
static void blame_holder(const struct env *e, const struct node *n, struct warning *w,
			 uint64_t since)
{
	const struct gil *g = &n->timeline.gils[0];
	struct blame_share share;
	const struct dp_blame *b;

	warn_note_holder(w, &g->cur);
	if (w->holder_tid && w->place.known)
		return;
	/* It may have let go a moment ago, and still wait for late evidence. */
	if (g->closing_count && g->closing[g->closing_count - 1].place.known) {
		w->place = g->closing[g->closing_count - 1].place;
		return;
	}
	blame_window(&n->timeline, node_consumer(n), since, e->now, &share);
	if (share.top_function < 0)
		return;
	b = &n->timeline.functions.at[share.top_function].b;
	w->place.known = true;
	w->place.line = b->line;
	memcpy(w->place.function, b->function, sizeof(w->place.function));
	memcpy(w->place.file, b->file, sizeof(w->place.file));
}

/* Cause and place of what the token waits for, into the warning. Gives the cause. */
static int8_t blame_pending(const struct env *e, const struct node *n, struct warning *w,
			    const struct delivery *d)
{
	int8_t cause = cause_of_delivery(d, e->options.pending_threshold_ns, e->now);

	memset(&w->place, 0, sizeof(w->place));
	w->holder_tid = 0;
	if (cause == DP_CAUSE_GIL_NATIVE || cause == DP_CAUSE_GIL_CONTENTION ||
	    cause == DP_CAUSE_DORA_INTERNAL || cause == DP_CAUSE_DEADLOCK)
		blame_holder(e, n, w, d->delivered_ns);
	else if (activity_is_cause(cause))
		w->place = n->activity.place;
	return cause;
}

/* Two places are the same within one function: there the line moves on all the time. */
static bool same_place(const struct warning *a, const struct warning *b)
{
	return strcmp(a->place.function, b->place.function) == 0 &&
	       strcmp(a->place.file, b->place.file) == 0;
}

/* A token that came after the warning was raised: does it wait for another cause, or elsewhere? */
static void examine_later_token(const struct env *e, struct node *n, const struct delivery *d,
				struct condition *c)
{
	struct warning *w = &n->warn[DP_WARN_TOKEN_PENDING];
	struct warning was = *w;

	c->cause = blame_pending(e, n, w, d);
	/* What is not known yet may be at the next tick. */
	if (c->cause != DP_CAUSE_UNKNOWN)
		was.examined_ns = w->examined_ns = d->delivered_ns;
	if (c->cause != DP_CAUSE_UNKNOWN && !(c->cause == was.cause && same_place(&was, w)) &&
	    warning_name(w, (uint32_t)c->cause))
		raise_other(e, n, DP_WARN_TOKEN_PENDING, c, warning_level(c->value, c->d));
	else
		*w = was;
}

static void warn_pending(const struct env *e, struct node *n)
{
	const struct delivery *d = oldest_certain(n);
	struct warning *w = &n->warn[DP_WARN_TOKEN_PENDING];
	struct condition c = {.d = e->options.pending_threshold_ns, .cause = w->cause};
	enum warn_level level;

	if (d) {
		c.value = e->now - d->delivered_ns;
		c.since = d->delivered_ns;
		level = warning_level(c.value, c.d);
		if (level > w->level) {
			c.cause = blame_pending(e, n, w, d);
			warning_name(w, (uint32_t)c.cause);
		} else if (level != LEVEL_NONE && d->delivered_ns > w->raised_ns &&
			   d->delivered_ns > w->examined_ns) {
			examine_later_token(e, n, d, &c);
		}
	}
	step(e, n, DP_WARN_TOKEN_PENDING, &c);
}

static void warn_deadlock(const struct env *e, struct node *n)
{
	const struct hold *h = &n->timeline.gils[0].cur;
	struct warning *w = &n->warn[DP_WARN_DEADLOCK];
	bool dead = h->tid && hold_cause(h, node_consumer(n)) == DP_CAUSE_DEADLOCK;

	if (dead && w->level == LEVEL_NONE) {
		w->level = LEVEL_CRITICAL;
		w->cause = DP_CAUSE_DEADLOCK;
		w->raised_ns = e->now;
		warn_note_holder(w, h);
		warn_say(e, n, DP_WARN_DEADLOCK, e->now, NULL);
	} else if (!dead && w->level != LEVEL_NONE) {
		warn_resolve(e, n, DP_WARN_DEADLOCK, e->now);
	}
}

/* Where the consumer is, and who has the GIL that it waits for. */
static void note_polling_place(const struct env *e, struct node *n, struct warning *w)
{
	const struct hold *h = &n->timeline.gils[0].cur;

	w->holder_tid = 0;
	w->place = n->activity.place;
	if (w->cause == DP_CAUSE_GIL_CONTENTION || polling_is_by(n, DP_EVIDENCE_GIL_HELD, e->now) ||
	    polling_is_by(n, DP_EVIDENCE_GIL_WAIT, e->now)) {
		memset(&w->place, 0, sizeof(w->place));
		warn_note_holder(w, h);
	}
}

static void warn_polling(const struct env *e, struct node *n)
{
	const struct polling *p = &n->polling;
	struct warning *w = &n->warn[DP_WARN_NOT_POLLING];
	struct condition c = {.d = e->options.polling_threshold_ns, .cause = w->cause};

	if (!c.d)
		return;
	if (p->since_ns) {
		c.value = e->now - p->since_ns;
		c.since = p->since_ns;
		c.not_before = p->known_ns;
		if (warning_level(c.value, c.d) > w->level) {
			w->cause = c.cause = polling_cause(n, e->now);
			note_polling_place(e, n, w);
		}
	}
	step(e, n, DP_WARN_NOT_POLLING, &c);
}

void warn_tick(const struct env *e, struct node *n)
{
	/* What a warning will name. */
	waits_ask(&n->waits, e, &n->id, &n->timeline.gils[0].cur);
	warn_hold(e, n);
	warn_polling(e, n);
	warn_pending(e, n);
	warn_deadlock(e, n);
}

void warn_node_gone(const struct env *e, struct node *n, uint64_t t_ns)
{
	for (int i = 0; i < DP_WARN_COUNT; i++)
		if (n->warn[i].level != LEVEL_NONE)
			warn_resolve(e, n, (enum dp_warning_kind)i, t_ns);
}
