// SPDX-License-Identifier: MIT
/*
 * The GIL timeline of a process: from looks and edges to holds.
 *
 * Looks that all say "held by T" are a candidate, not a hold: a thread that releases the GIL a
 * thousand times a second for a microsecond looks the same in each of them. It becomes a hold by a
 * proof, a stretch without a gap in which T cannot have released it:
 *   P1  the edge source is armed and has seen no release;
 *   P2  a waiter has been asleep all the time: a release would have woken it by a futex call;
 *   P3  T was off the CPU: only T can release what it holds.
 * `lo` is the last time T was known not to hold, from the kernel programs, so the true start lies
 * in [lo, start of the proof].
 */
#include "model/timeline.h"
#include "model/native.h"
#include "model/stretch.h"

#include <string.h>

/* A bytecode position that has not changed for this long is worth arming for sooner. */
#define STUCK_NS (100 * MS)
/* How often the stack of a long hold is read anew, since its place may change. */
#define STACK_STOPPING_NS (100 * MS)
#define STACK_NATIVE_NS   (1 * SEC)
#define STACK_BYTECODE_NS (200 * MS)
/* … and that of one whose stack could not be read yet: a reader that was slow has it by then. */
#define STACK_AGAIN_NS (20 * MS)

/* Since when a waiter has been asleep without a release: the earliest one; 0 none. */
static uint64_t waiting_since(const struct gil *g, uint32_t holder)
{
	uint64_t since = 0;

	for (uint32_t i = 0; i < g->waiter_count; i++)
		if (g->waiters[i].tid != holder && (since == 0 || g->waiters[i].begin_ns < since))
			since = g->waiters[i].begin_ns;
	if (since && since < g->last_release_ns)
		since = g->last_release_ns;
	return since && since < g->trust_ns ? g->trust_ns : since;
}

/* What a look proves, by P3, P1 and P2. */
static void prove_by_look(const struct gil *g, struct hold *h, const struct dp_rec_look *k,
			  uint64_t now)
{
	uint64_t wait = waiting_since(g, h->tid);
	uint64_t off = look_off_since(k);

	if (off && off < k->before_ns)
		hold_prove(h, now, off, k->before_ns);
	if (k->edge_armed_ns) {
		if (k->edge_take_tid == h->tid && k->edge_take_ns > k->edge_release_ns &&
		    k->edge_take_ns < k->before_ns)
			hold_prove(h, now, k->edge_take_ns, k->before_ns);
		else if (k->edge_release_ns < k->edge_armed_ns &&
			 k->edge_take_ns < k->edge_armed_ns)
			hold_prove(h, now, k->edge_armed_ns, k->before_ns);
	}
	if (wait && wait < k->before_ns)
		hold_prove(h, now, wait < h->lo_ns ? h->lo_ns : wait, k->before_ns);
	/* An exact take by a contended wait begins a proof only when something goes on proving. */
	if (h->proof.to && k->take_ns && k->take_ns >= h->lo_ns && k->take_ns < h->proof.from &&
	    wait && wait <= k->take_ns)
		hold_prove(h, now, k->take_ns, h->proof.to);
}

/* When the look has first seen its holder hold; 0 when it was taken within the look. */
static uint64_t first_seen(const struct dp_rec_look *k)
{
	uint64_t seen = k->before_ns;

	if (k->run_first_ns > k->notheld_ns && k->run_first_ns < seen)
		seen = k->run_first_ns;
	return k->notheld_ns > seen ? 0 : seen;
}

static void look(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_rec_look *k = &r->u.look;
	struct gil *g = &p->t->gils[k->gil];
	struct hold *h = &g->cur;
	uint32_t tid = r->h.tid;

	if (k->locked > 1 || (k->locked == 1 && tid == 0))
		return;
	if (k->locked == 0) {
		gil_release(p, k->gil, r->h.t_ns);
		return;
	}
	if (h->tid == tid && k->notheld_ns > h->seen_ns)
		gil_release(p, k->gil, k->notheld_ns);
	else if (h->tid && h->tid != tid)
		gil_release(p, k->gil, r->h.t_ns);
	if (h->tid == 0) {
		uint64_t seen = first_seen(k);

		if (!seen)
			return; /* the next look will see it */
		gil_take(g, tid, k->notheld_ns, seen);
	}
	if (k->notheld_ns > h->lo_ns)
		h->lo_ns = k->notheld_ns;
	if (k->before_ns > h->last_ns)
		h->last_ns = k->before_ns;
	h->looks++;
	native_look(&h->native, k, r->h.t_ns, h->seen_ns);
	if (k->take_ns && k->take_ns >= h->lo_ns && k->take_ns <= h->seen_ns)
		h->seen_ns = k->take_ns;
	prove_by_look(g, h, k, p->env->now);
}

static void forget_waiter(struct gil *g, uint32_t tid)
{
	for (uint32_t i = 0; i < g->waiter_count; i++) {
		if (g->waiters[i].tid != tid)
			continue;
		g->waiters[i] = g->waiters[--g->waiter_count];
		return;
	}
}

static void wait_begin(struct gil *g, const struct dp_record *r)
{
	forget_waiter(g, r->h.tid);
	if (g->waiter_count < WAITERS_MAX)
		g->waiters[g->waiter_count++] =
			(struct waiter){.tid = r->h.tid, .begin_ns = r->u.wait.begin_ns};
	hold_note_waiter(&g->cur, r->h.tid);
}

/* Who let go last while the thread of the record waited; 0 unknown. */
static uint32_t waited_for(const struct gil *g, const struct dp_record *r)
{
	const struct dp_gil_wait *w = &r->u.wait;
	uint32_t holder = g->cur.tid;

	/* At the end of the wait the kernel sees the waiter itself as holder. */
	if (holder == 0 || holder == r->h.tid)
		holder = g->last_release_ns > w->begin_ns ? g->last_release_tid : w->holder_tid;
	return holder == r->h.tid ? 0 : holder;
}

static void say_wait(const struct timeline_of *p, const struct gil *g, const struct dp_record *r)
{
	struct dp_finding f = {.type = DP_FIND_GIL_WAIT};

	f.u.wait = (struct dp_wait_finding){.tid = r->h.tid,
					    .holder_tid = waited_for(g, r),
					    .gil = r->u.wait.gil,
					    .start_ns = r->u.wait.begin_ns,
					    .end_ns = dp_wait_over(r)};
	say_finding(p->env, p->id, r->h.t_ns, &f);
}

static void wait_end(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_gil_wait *w = &r->u.wait;
	struct gil *g = &p->t->gils[w->gil];
	uint64_t begin = w->begin_ns, end = dp_wait_over(r);

	forget_waiter(g, r->h.tid);
	if (begin == 0 || begin > end)
		return;
	p->t->waits++;
	p->t->wait_ns += end - begin;
	/* Who waits for a thread that the probe holds up waits for the probe. */
	if (w->gil == 0 && r->h.tid == identity_consumer(p->id) &&
	    !edge_stalled(p->edge, begin, end)) {
		struct span s = {
			.from = begin, .to = end, .tid = r->h.tid, .function = -1, .native = -1};

		span_push(&p->t->ended_waits, &s);
	}
	say_wait(p, g, r);
	if (w->acquired) {
		uint64_t lo = g->last_release_ns > begin ? g->last_release_ns : begin;

		/* Told late: a look has seen it hold already. */
		if (g->cur.tid == r->h.tid && g->cur.seen_ns >= end && g->cur.lo_ns <= end) {
			g->cur.seen_ns = end;
			if (g->cur.lo_ns < lo && lo <= end)
				g->cur.lo_ns = lo;
			return;
		}
		gil_release(p, w->gil, end);
		gil_take(g, r->h.tid, lo < end ? lo : end, end);
	}
}

/* What the release of a hold proves of it. */
static void prove_by_release(const struct timeline_of *p, const struct dp_record *r, struct hold *h,
			     uint64_t to_ns)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	const struct gil *g = &p->t->gils[s->gil];
	uint64_t now = p->env->now, wait;

	if (r->h.type == DP_REC_GIL_EDGE_HOLD && s->from_ns) {
		if (s->from_ns >= h->lo_ns || h->proof.to == 0) {
			h->lo_ns = s->from_ns;
			h->seen_ns = s->from_ns;
		}
		hold_prove(h, now, s->from_ns, to_ns);
	} else if (r->h.type == DP_REC_GIL_EDGE_HOLD) {
		/* Taken before arming, first release since: proven from the arming on. */
		if (p->edge->armed_ns && p->edge->armed_ns < to_ns)
			hold_prove(h, now, p->edge->armed_ns, to_ns);
	} else {
		wait = waiting_since(g, r->h.tid);
		if (wait && wait < to_ns)
			hold_prove(h, now, wait, to_ns);
		if (h->proof.to && s->from_ns && s->from_ns >= h->lo_ns &&
		    h->proof.from <= s->from_ns + EXACT_NS)
			hold_prove(h, now, s->from_ns, to_ns);
	}
}

/*
 * The GIL is free a moment before its release is told (drop_gil clears `locked`, then signals), and
 * the thread may lose the CPU between the two: a look that found the GIL free has closed the hold
 * already. Then the release proves that hold, as far as looks saw it, and is no second one. Without its
 * take only the edge's first release says that there was no other take between.
 */
static bool released_before(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &p->t->gils[s->gil];
	uint64_t begin = s->from_ns ? s->from_ns : s->lo_ns;

	if (g->cur.tid == r->h.tid || (!s->from_ns && r->h.type != DP_REC_GIL_EDGE_HOLD))
		return false;
	for (uint32_t i = g->closing_count; i-- > 0;) {
		struct hold *h = &g->closing[i];

		if (h->tid != r->h.tid || begin > h->hi_ns || h->seen_ns > s->to_ns)
			continue;
		prove_by_release(p, r, h, s->to_ns < h->last_ns ? s->to_ns : h->last_ns);
		g->last_release_ns = h->hi_ns;
		g->last_release_tid = r->h.tid;
		return true;
	}
	return false;
}

/* RELEASE and EDGE_HOLD: the thread let go at to_ns exactly; from_ns is exact when not 0. */
static void released(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &p->t->gils[s->gil];
	struct hold *h = &g->cur;

	if (released_before(p, r))
		return;
	if (h->tid && h->tid != r->h.tid)
		gil_release(p, s->gil, s->from_ns ? s->from_ns : s->to_ns);
	/* A candidate of this thread that began before this take, and that nothing proves, is an
	 * older one. */
	if (h->tid == r->h.tid && s->from_ns && s->from_ns > h->seen_ns && s->from_ns > h->lo_ns &&
	    h->proof.to == 0)
		gil_release(p, s->gil, s->from_ns);
	if (h->tid == 0)
		gil_take(g, r->h.tid, s->lo_ns < s->to_ns ? s->lo_ns : 0,
			 s->from_ns ? s->from_ns : s->to_ns);
	prove_by_release(p, r, h, s->to_ns);
	if (h->last_ns < s->to_ns)
		h->last_ns = s->to_ns;
	g->last_release_ns = s->to_ns;
	g->last_release_tid = r->h.tid;
	gil_release(p, s->gil, s->to_ns);
}

void timeline_record(const struct timeline_of *p, const struct dp_record *r)
{
	timeline_meet(p->t, r);
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_GIL_LOOK:
		look(p, r);
		break;
	case DP_REC_GIL_WAIT_BEGIN:
		wait_begin(&p->t->gils[r->u.wait.gil], r);
		break;
	case DP_REC_GIL_WAIT_END:
		wait_end(p, r);
		break;
	case DP_REC_GIL_RELEASE:
	case DP_REC_GIL_EDGE_HOLD:
		released(p, r);
		break;
	case DP_REC_GIL_OFFCPU:
		stretch_off_cpu(p, r);
		break;
	case DP_REC_GIL_RUN:
		stretch_run(p, r);
		break;
	default:
		break;
	}
}

void timeline_stack(struct timeline *t, const struct dp_record *r)
{
	for (uint32_t i = 0; i < t->gil_count; i++) {
		struct gil *g = &t->gils[i];

		if (g->cur.tid == r->h.tid) {
			/* Read, at least begun, in the course of an earlier hold? */
			if (r->u.stack.read_ns && r->u.stack.read_ns < g->cur.seen_ns) {
				hold_stack_missed(&g->cur);
			} else {
				hold_asleep(&g->cur, &r->u.stack, r->h.t_ns);
				hold_stack(&g->cur, &r->u.stack);
			}
		}
		for (uint32_t j = 0; j < g->closing_count; j++)
			if (g->closing[j].tid == r->h.tid)
				hold_late_stack(&g->closing[j], &r->u.stack);
	}
}

static void ask_stack(const struct timeline_of *p, struct hold *h)
{
	struct dp_request q = {.type = DP_REQ_READ_STACK, .tid = h->tid};

	h->stack_asked_ns = p->env->now;
	if (h->stack_state == STACK_NOT_ASKED)
		h->stack_state = STACK_ASKED;
	say_request(p->env, p->id, &q);
}

/* How long after it was asked for the stack of a hold is asked for again. */
static uint64_t stack_interval(const struct hold *h, bool stopping)
{
	uint64_t every = h->native.verdict == 1 ? STACK_NATIVE_NS : STACK_BYTECODE_NS;
	uint64_t again = hold_age(h) / 4;

	if (stopping)
		every = STACK_STOPPING_NS;
	if (h->place.known)
		return every;
	/* The more often in vain, the less often. */
	if (again < STACK_AGAIN_NS)
		again = STACK_AGAIN_NS;
	return again < every ? again : every;
}

void timeline_tick(const struct timeline_of *p, bool stopping)
{
	for (unsigned int i = 0; i < p->t->gil_count; i++) {
		struct hold *h = &p->t->gils[i].cur;

		gil_settle(p, i);
		if (h->tid == 0 || hold_age(h) < CANDIDATE_NS)
			continue;
		if (h->stack_state == STACK_NOT_ASKED ||
		    (h->stack_state == STACK_HAD &&
		     p->env->now - h->stack_asked_ns >= stack_interval(h, stopping)))
			ask_stack(p, h);
	}
}

bool timeline_is_stuck(const struct timeline *t)
{
	const struct hold *h = &t->gils[0].cur;

	return h->tid && h->native.ip && h->last_ns >= h->native.since_ns + STUCK_NS;
}

void timeline_loss(struct timeline *t, uint64_t t_ns)
{
	for (int i = 0; i < DP_MAX_GILS; i++)
		t->gils[i].trust_ns = t_ns;
}

void timeline_switches_unseen(struct timeline *t, uint64_t t_ns)
{
	timeline_loss(t, t_ns);
	for (uint32_t i = 0; i < t->gil_count; i++)
		t->gils[i].waiter_count = 0;
}

void timeline_thread_exit(const struct timeline_of *p, uint32_t tid, uint64_t t_ns)
{
	for (unsigned int i = 0; i < p->t->gil_count; i++) {
		forget_waiter(&p->t->gils[i], tid);
		if (p->t->gils[i].cur.tid == tid)
			gil_release(p, i, t_ns);
	}
}

void timeline_end(const struct timeline_of *p, uint64_t t_ns, bool probe_ends)
{
	for (unsigned int i = 0; i < p->t->gil_count; i++)
		gil_settle_all(p, i, t_ns, probe_ends);
}
