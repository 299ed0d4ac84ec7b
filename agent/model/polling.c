// SPDX-License-Identifier: MIT
/* Does the node come back to next()? See polling.h. */
#include "model/polling.h"

#include "model/cause.h"

#include <string.h>

/* How often the consumer is looked at: where it was last seen in next(), and where elsewhere. */
#define CALM_NS   (1 * SEC)
#define BUSY_NS   (500 * MS)
#define CLOSER_NS (100 * MS)
/* The edge source learns of next() for so long at a time, so often, and not sooner again. */
#define LEARN_NS       (3 * SEC)
#define LEARNS_MAX     6
#define LEARN_AGAIN_NS (10 * SEC)
/* A sleep or a run is believed for this long after the look that found it. */
#define FRESH_NS (1200 * MS)
/* The event thread asks for more within microseconds, unless the channel is full. */
#define UNTAKEN_NS (250 * MS)
/* Threads of other processes are not looked through for ever. */
#define FINDS_MAX 10

/* Has it ever been handed events, or was it found with its connections open? */
static bool is_running(const struct node *n)
{
	return n->streams.asked_ns || n->streams.opened_ns;
}

/* What began after Stop, or after the last input has closed, is its clean-up: stop_pending is of that. */
static bool is_cleaning_up(const struct node *n, uint64_t since_ns)
{
	return n->stop.inputs_closed || (n->stop.seen && since_ns > n->stop.at_ns);
}

static uint64_t untaken_since(const struct env *e, const struct node *n)
{
	const struct streams *s = &n->streams;

	if (!s->asked_ns || streams_is_asking(s) || s->events_end_ns || s->events_dropped_ns ||
	    n->guard.lost_ns >= s->answered_ns || e->now - s->answered_ns < UNTAKEN_NS)
		return 0;
	return s->answered_ns;
}

static uint64_t gil_wait_since(const struct node *n)
{
	const struct gil *g = &n->timeline.gils[0];

	for (uint32_t i = 0; i < g->waiter_count; i++)
		if (g->waiters[i].tid == node_consumer(n))
			return g->waiters[i].begin_ns;
	return 0;
}

static uint64_t gil_held_since(const struct node *n)
{
	const struct hold *h = &n->timeline.gils[0].cur;

	return h->tid == node_consumer(n) && hold_proven(h) && !hold_in_dora(h) ? hold_start(h) : 0;
}

/*
 * What the last look has shown is true of that moment. It may have been back since: so the threshold counts as
 * crossed only by a look.
 */
static uint64_t not_polled_since(const struct env *e, const struct activity *a)
{
	uint64_t since = a->not_polled_ns, d = e->options.polling_threshold_ns;

	if (since && e->now - since >= d && a->looked_ns < since + d)
		return e->now - d + 1;
	return since;
}

/* Since when the consumer is away, by this piece of evidence alone; 0: it says nothing. */
static uint64_t since_by(const struct env *e, const struct node *n, enum dp_evidence i)
{
	const struct activity *a = &n->activity;
	bool fresh = a->looked_ns && e->now - a->looked_ns <= FRESH_NS;

	switch (i) {
	case DP_EVIDENCE_ASLEEP:
		return fresh ? a->asleep_ns : 0;
	case DP_EVIDENCE_GIL_HELD:
		return gil_held_since(n);
	case DP_EVIDENCE_GIL_WAIT:
		return gil_wait_since(n);
	case DP_EVIDENCE_INPUTS_UNTAKEN:
		return untaken_since(e, n);
	case DP_EVIDENCE_NO_GIL_TAKEN:
		return fresh ? a->no_gil_since_ns : 0;
	case DP_EVIDENCE_NEXT_NOT_CALLED:
		return fresh ? not_polled_since(e, a) : 0;
	case DP_EVIDENCE_STOPPED:
		return fresh && activity_is_stopped(a) ? a->stopped_ns : 0;
	case DP_EVIDENCE_COUNT:
		break;
	}
	return 0;
}

static void prove(const struct env *e, struct node *n)
{
	struct polling *p = &n->polling;
	uint64_t earliest = 0;

	p->evidence = 0;
	/* In dora's code, or waiting in an event loop: whatever is seen besides, it is back. */
	if (is_running(n) && node_consumer_known(n) &&
	    !activity_in_next(&n->activity, e->now, FRESH_NS))
		for (unsigned int i = 0; i < DP_EVIDENCE_COUNT; i++) {
			uint64_t since = since_by(e, n, (enum dp_evidence)i);

			if (!since || since > e->now || is_cleaning_up(n, since))
				continue;
			p->evidence |= 1u << i;
			p->since_by[i] = since;
			if (!earliest || since < earliest)
				earliest = since;
		}
	if (earliest && !p->since_ns)
		p->known_ns = e->now;
	p->since_ns = earliest;
}

static uint64_t look_interval(const struct env *e, const struct node *n)
{
	const struct polling *p = &n->polling;
	uint64_t d = e->options.polling_threshold_ns, away = p->since_ns ? e->now - p->since_ns : 0;

	if (away >= d / 2 && away < 2 * d)
		return CLOSER_NS;
	return n->activity.in_next && !p->learning ? CALM_NS : BUSY_NS;
}

/*
 * A node that polls shows the edge source once how a call of next() looks there: by then it is known that
 * the absence of one proves something.
 */
static void learn(const struct env *e, struct node *n)
{
	struct polling *p = &n->polling;

	if (!p->learning && n->activity.in_next && !n->activity.polled_ns &&
	    p->learns < LEARNS_MAX && (!p->learns || e->now - p->learn_ns >= LEARN_AGAIN_NS)) {
		p->learning = true;
		p->learn_ns = e->now;
		p->learns++;
	}
	if (n->activity.polled_ns || e->now - p->learn_ns >= LEARN_NS)
		p->learning = false;
}

static void take_for_consumer(struct node *n, uint32_t tid)
{
	if (!tid)
		return;
	n->id.consumer_tid = tid;
	activity_begin(&n->activity);
}

/*
 * Main waits for the end of a thread, and there is but one: who takes events, if anybody does, is that one. A wait that
 * began after Stop may be main's clean-up.
 */
static bool main_waits_for_it(const struct node *n)
{
	const struct activity *a = &n->activity;

	if (n->stop.seen && (!a->asleep_ns || a->asleep_ns > n->stop.at_ns))
		return false;
	return a->in_join && a->away_looks >= 2;
}

/* Main is elsewhere, and was never seen in next(): is another thread there? */
static void find_consumer(const struct env *e, struct node *n)
{
	struct dp_request q = {.type = DP_REQ_FIND_CONSUMER};
	struct polling *p = &n->polling;

	if (n->id.consumer_tid || n->activity.seen_in_next || !n->activity.looked_ns ||
	    p->finds >= FINDS_MAX || e->now - p->found_ns < SEC)
		return;
	p->finds++;
	p->found_ns = e->now;
	if (main_waits_for_it(n))
		take_for_consumer(n, progress_only_thread(&n->progress, e->now));
	say_request(e, &n->id, &q);
}

void polling_tick(const struct env *e, struct node *n)
{
	struct polling *p = &n->polling;

	if (!e->options.polling_threshold_ns || !n->id.facts.is_dora || !n->id.facts.is_python)
		return;
	/* An array that it maps is a message that it has taken. */
	if (n->account.map_count != p->maps) {
		p->maps = n->account.map_count;
		p->taken_ns = e->now;
	}
	prove(e, n);
	find_consumer(e, n);
	learn(e, n);
	/* Others ask for looks as well (progress.h), which are as good. */
	if (!is_running(n) || e->now - p->taken_ns < CALM_NS ||
	    e->now - n->activity.looked_ns < look_interval(e, n))
		return;
	activity_ask(&n->activity, e, &n->id);
}

void polling_found(struct node *n, const struct dp_record *r)
{
	const struct dp_rec_stack *s = &r->u.stack;

	/* Threads of dora's own are in its code as well, and have no Python frame. */
	if (n->polling.finds && !n->id.consumer_tid && !n->activity.seen_in_next &&
	    r->h.tid != n->id.pid && s->frame_count && place_library_is_dora(s->library))
		take_for_consumer(n, r->h.tid);
}

void polling_thread_gone(struct node *n, uint32_t tid)
{
	/* What it did last goes on no longer: main does what there is to do, or another one that is yet to be found. */
	if (tid != n->id.consumer_tid)
		return;
	n->id.consumer_tid = 0;
	activity_begin(&n->activity);
}

uint64_t polling_suspects(const struct node *n, uint64_t now)
{
	const struct activity *a = &n->activity;
	uint64_t since = 0;

	if (a->state == CONSUMER_RUNNING && a->running_looks >= 2)
		since = a->running_ns;
	else if (a->away_looks >= 2)
		since = a->away_ns;
	else if (n->polling.learning)
		since = n->polling.learn_ns;
	return since && now > since ? now - since : 0;
}

bool polling_is_by(const struct node *n, enum dp_evidence i, uint64_t now)
{
	const struct polling *p = &n->polling;

	return p->evidence & 1u << i && (now - p->since_by[i]) * 2 >= now - p->since_ns;
}

/* One thread that has kept the GIL for most of the wait is its cause; many that took turns are a contention. */
static int8_t cause_of_wait(const struct node *n, uint64_t now)
{
	const struct hold *h = &n->timeline.gils[0].cur;
	uint64_t waited = now - n->polling.since_by[DP_EVIDENCE_GIL_WAIT];
	int8_t c = DP_CAUSE_UNKNOWN;

	if (h->tid && h->tid != node_consumer(n) && hold_proven(h) &&
	    (hold_until(h) - hold_start(h)) * 2 >= waited)
		c = hold_cause(h, node_consumer(n));
	return c != DP_CAUSE_UNKNOWN ? c : DP_CAUSE_GIL_CONTENTION;
}

int8_t polling_cause(const struct node *n, uint64_t now)
{
	const struct hold *h = &n->timeline.gils[0].cur;

	if (polling_is_by(n, DP_EVIDENCE_STOPPED, now))
		return DP_CAUSE_STOPPED;
	if (polling_is_by(n, DP_EVIDENCE_GIL_HELD, now) && h->tid)
		return hold_cause(h, node_consumer(n));
	if (polling_is_by(n, DP_EVIDENCE_GIL_WAIT, now))
		return cause_of_wait(n, now);
	if (polling_is_by(n, DP_EVIDENCE_ASLEEP, now))
		return activity_cause((enum consumer_state)n->activity.state);
	if (polling_is_by(n, DP_EVIDENCE_NO_GIL_TAKEN, now))
		return DP_CAUSE_RUNNING_WITHOUT_GIL;
	return cause_of_stall(n, n->polling.since_ns, now);
}
