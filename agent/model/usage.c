// SPDX-License-Identifier: MIT
/* Warnings about what a node's time goes to; see usage.h. */
#include "model/usage.h"

#include "model/warn.h"

#include <stdio.h>
#include <string.h>

/* From this share on the GIL is held most of the time; below LOW it no longer is. */
#define HIGH   0.75
#define VERY   0.90
#define LOW    0.65
#define ASK_NS (200 * MS)
/* A node loads its modules with the GIL held: nothing is said of one that has just started. */
#define YOUNG_NS (10 * SEC)
/* So many stretches in a row begin and end a convoy. */
#define CONVOY_BEGINS 3
#define CONVOY_ENDS   3
/* CPython's default. */
#define INTERVAL_NS (5 * MS)
/* So long a warning of a share waits for the first stack of who has the GIL. */
#define ASKED_FOR_NS (2 * SEC)

static uint64_t interval_of(const struct node *n)
{
	uint64_t us = n->id.facts.switch_interval_us;

	return us ? us * 1000 : INTERVAL_NS;
}

void usage_gil(struct node *n, const struct dp_record *r)
{
	bool is_main = r->h.tid == n->id.pid;

	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_GIL_LOOK:
		if (r->u.look.gil == 0)
			shares_look(&n->shares, r->h.tid, &r->u.look);
		break;
	case DP_REC_GIL_WAIT_END:
		if (r->u.wait.gil != 0 || !r->u.wait.begin_ns ||
		    r->u.wait.begin_ns > dp_wait_over(r))
			break;
		shares_wait(&n->shares, is_main, r->u.wait.begin_ns, dp_wait_over(r));
		convoy_wait(&n->convoy, r->h.tid, dp_wait_over(r) - r->u.wait.begin_ns,
			    interval_of(n));
		break;
	case DP_REC_GIL_OFFCPU:
		if (r->u.gil_span.gil == 0)
			shares_off(&n->shares, is_main, &r->u.gil_span);
		break;
	case DP_REC_GIL_RELEASE:
	case DP_REC_GIL_EDGE_HOLD:
	case DP_REC_GIL_RUN:
		convoy_held(&n->convoy, r->h.tid);
		break;
	default:
		break;
	}
}

static bool same_function(const struct place *a, const struct place *b)
{
	return strcmp(a->function, b->function) == 0 && strcmp(a->file, b->file) == 0;
}

/* The majority vote of Boyer and Moore over stacks of whoever had the GIL and ran. */
void usage_stack(struct node *n, const struct dp_record *r)
{
	const struct dp_rec_stack *s = &r->u.stack;
	struct usage *u = &n->usage;
	struct place p = {0};

	if (!u->asked_ns || r->h.tid == u->convoy_tid || !s->frame_count || s->syscall_nr >= 0)
		return;
	place_from_stack(&p, s);
	if (u->votes && (u->holder_tid != r->h.tid || !same_function(&u->place, &p))) {
		u->votes--;
		return;
	}
	u->votes++;
	u->place = p;
	u->holder_tid = r->h.tid;
}

void usage_tick(const struct env *e, struct node *n)
{
	struct dp_request q = {.type = DP_REQ_READ_STACK, .tid = n->timeline.gils[0].cur.tid};

	if (!n->usage.is_high || !q.tid || e->now - n->usage.asked_ns < ASK_NS)
		return;
	n->usage.asked_ns = e->now;
	say_request(e, &n->id, &q);
}

/* How much of [from, to] lay in holds of the length that is warned of as such. */
static double in_long_holds(const struct env *e, const struct node *n, uint64_t from, uint64_t to)
{
	const struct timeline *t = &n->timeline;
	const struct gil *g = &t->gils[0];
	uint64_t sum = 0, known = 0;

	for (uint32_t i = span_first(&t->ended_holds, from); i < t->ended_holds.count; i++) {
		const struct span *s = span_at(&t->ended_holds, i);

		if (s->to - s->from >= e->options.warn_hold_ns)
			sum += overlap(s->from, s->to, from, to);
		known = s->to;
	}
	for (uint32_t i = 0; i <= g->closing_count; i++) {
		const struct hold *h = i < g->closing_count ? &g->closing[i] : &g->cur;

		if (h->tid && hold_proven(h) &&
		    hold_until(h) - hold_start(h) >= e->options.warn_hold_ns)
			sum += overlap(hold_start(h) > known ? hold_start(h) : known, hold_until(h),
				       from, to);
	}
	return (double)sum;
}

static void note(struct node *n, enum dp_warning_kind kind, int8_t cause)
{
	struct warning *w = &n->warn[kind];

	w->cause = cause;
	w->place = n->usage.place;
	w->holder_tid = n->usage.votes ? n->usage.holder_tid : 0;
	w->held_ns = DP_NULL;
}

static void raise(const struct env *e, struct node *n, enum dp_warning_kind kind,
		  enum warn_level level, const char *what)
{
	n->warn[kind].level = (uint8_t)level;
	n->warn[kind].raised_ns = e->now;
	warn_say(e, n, kind, e->now, what);
}

/* Who computes: the node's own handler, or somebody beside it? */
static int8_t cause_of_share(const struct node *n)
{
	if (!n->usage.votes)
		return DP_CAUSE_UNKNOWN;
	return n->usage.holder_tid == node_consumer(n) ? DP_CAUSE_BUSY_PYTHON
						       : DP_CAUSE_GIL_CONTENTION;
}

/*
 * Nobody has seen it take a message yet, nor wait for one in next(). Small messages have no token,
 * and those of dora 1.x do not pass the daemon.
 */
static bool is_loading(const struct env *e, const struct node *n)
{
	uint64_t began = n->id.limits.started_ns ? n->id.limits.started_ns : n->id.first_ns;

	return n->id.facts.is_dora && !n->account.tokens && !n->streams.answered_ns &&
	       !n->id.consumer_tid && !n->activity.seen_in_next && e->now - began < YOUNG_NS;
}

static void warn_share(const struct env *e, struct node *n)
{
	struct warning *w = &n->warn[DP_WARN_GIL_SHARE];
	char what[DP_REASON_MAX];
	enum warn_level level;
	struct dp_estimate held;
	struct share_sum now;
	double ratio, of, in_long;

	shares_recent(&n->shares, &now);
	held = share_estimate(&now, SHARE_HELD);
	of = now.clock.of_ns + now.looks.of_ns;
	in_long = in_long_holds(e, n, e->now - (uint64_t)of, e->now);
	ratio = of > 2 * in_long ? (held.ratio * of - in_long) / (of - in_long) : 0;
	if (ratio >= HIGH && !n->usage.is_high)
		n->usage.high_ns = e->now;
	n->usage.is_high = ratio >= HIGH;
	if (w->level != LEVEL_NONE && (ratio < LOW || n->stop.seen)) {
		warn_resolve(e, n, DP_WARN_GIL_SHARE, e->now);
		return;
	}
	level = ratio >= VERY ? LEVEL_WARNING : ratio >= HIGH ? LEVEL_NOTICE : LEVEL_NONE;
	if (n->shares.stretches < SHARES_RECENT || level <= w->level || n->stop.seen ||
	    is_loading(e, n))
		return;
	/* Who it is has been asked for only since. */
	if (!n->usage.votes && e->now - n->usage.high_ns < ASKED_FOR_NS)
		return;
	note(n, DP_WARN_GIL_SHARE, cause_of_share(n));
	snprintf(what, sizeof(what),
		 "the GIL was held for %.0f %% of the last %.0f s (error %.1f %%), in short holds",
		 ratio * 100, of / SEC, held.error * 100);
	raise(e, n, DP_WARN_GIL_SHARE, level, what);
}

static void warn_convoy(const struct env *e, struct node *n, uint64_t length_ns)
{
	struct warning *w = &n->warn[DP_WARN_CONVOY];
	struct usage *u = &n->usage;
	char what[DP_REASON_MAX];
	double part;
	uint32_t tid = convoy_stretch(&n->convoy, length_ns, &part);

	if (!tid) {
		u->convoys = 0;
		if (w->level != LEVEL_NONE && ++u->no_convoys >= CONVOY_ENDS)
			warn_resolve(e, n, DP_WARN_CONVOY, e->now);
		return;
	}
	u->no_convoys = 0;
	u->is_high = true;
	u->convoy_tid = tid;
	if (++u->convoys < CONVOY_BEGINS || w->level != LEVEL_NONE || n->stop.seen)
		return;
	note(n, DP_WARN_CONVOY, DP_CAUSE_GIL_CONTENTION);
	snprintf(
		what, sizeof(what),
		"thread %u waits a switch interval (%.0f ms) or more for the GIL at each call that gives it up: %.0f %% of its time",
		tid, (double)interval_of(n) / MS, part * 100);
	raise(e, n, DP_WARN_CONVOY, part >= 0.5 ? LEVEL_WARNING : LEVEL_NOTICE, what);
}

static void say_share(const struct env *e, struct node *n, uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_SHARE};

	if (shares_take(&n->shares, &f.u.share))
		say_finding(e, &n->id, t_ns, &f);
}

void usage_stretch(const struct env *e, struct node *n, const struct dp_record *r)
{
	const struct gil *g = &n->timeline.gils[0];
	struct share_waiter waiters[WAITERS_MAX];
	bool was_high = n->usage.is_high;

	for (uint32_t i = 0; i < g->waiter_count; i++)
		waiters[i] = (struct share_waiter){.since_ns = g->waiters[i].begin_ns,
						   .is_main = g->waiters[i].tid == n->id.pid};
	n->usage.wants_line = r->u.share.every_ns != 0;
	if (shares_stretch(&n->shares, r, node_consumer(n) == n->id.pid, waiters, g->waiter_count))
		say_share(e, n, r->h.t_ns);
	warn_share(e, n);
	warn_convoy(e, n, r->h.t_ns > r->u.share.from_ns ? r->h.t_ns - r->u.share.from_ns : 0);
	if (was_high && !n->usage.is_high)
		memset(&n->usage.place, 0, sizeof(n->usage.place));
	if (!n->usage.is_high)
		n->usage.votes = n->usage.convoy_tid = 0;
}

void usage_end(const struct env *e, struct node *n, uint64_t t_ns)
{
	if (n->usage.wants_line)
		say_share(e, n, t_ns);
}
