// SPDX-License-Identifier: MIT
/* What becomes of a hold: taken, put aside, settled; see gil.h. */
#include "model/gil.h"

#include <string.h>

void timeline_clear(struct timeline *t, uint64_t t_ns)
{
	memset(t, 0, offsetof(struct timeline, functions));
	t->functions.count = 0;
	t->ended_holds.head = t->ended_holds.count = 0;
	t->ended_waits.head = t->ended_waits.count = 0;
	for (int i = 0; i < DP_MAX_GILS; i++)
		t->gils[i].trust_ns = t_ns;
}

static uint8_t gil_of(const struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_GIL_LOOK:
		return r->u.look.gil;
	case DP_REC_GIL_WAIT_BEGIN:
	case DP_REC_GIL_WAIT_END:
		return r->u.wait.gil;
	default:
		return r->u.gil_span.gil;
	}
}

void timeline_meet(struct timeline *t, const struct dp_record *r)
{
	if (gil_of(r) >= t->gil_count)
		t->gil_count = gil_of(r) + 1u;
}

const struct hold *timeline_current(const struct timeline *t)
{
	const struct hold *h = &t->gils[0].cur;

	return h->tid && hold_age(h) >= CANDIDATE_NS ? h : NULL;
}

uint64_t timeline_oldest_age(const struct timeline *t)
{
	uint64_t oldest = 0;

	for (uint32_t i = 0; i < t->gil_count; i++)
		if (t->gils[i].cur.tid && hold_age(&t->gils[i].cur) > oldest)
			oldest = hold_age(&t->gils[i].cur);
	return oldest;
}

uint64_t timeline_expected_end(const struct timeline *t, const struct hold *h)
{
	uint64_t longest = functions_longest_hold(&t->functions, &h->place);
	uint64_t end = hold_start(h) + longest;

	/* What it has outlived says nothing any more. */
	return longest && end > hold_until(h) ? end : 0;
}

void gil_take(struct gil *g, uint32_t tid, uint64_t lo_ns, uint64_t seen_ns)
{
	hold_begin(&g->cur, tid, lo_ns, seen_ns);
	for (uint32_t i = 0; i < g->waiter_count && i < DP_WAITERS_MAX; i++)
		if (g->waiters[i].tid != tid)
			g->cur.waiters[g->cur.waiter_count++] = g->waiters[i].tid;
}

/* What every proven hold adds to the accounts, however short it is. */
static void account(struct timeline *t, unsigned int gil, const struct hold *h, uint32_t consumer)
{
	uint64_t start = hold_start(h), end = hold_until(h);
	uint64_t length = end > start ? end - start : 0;
	int function = functions_index(&t->functions, &h->place);

	if (!hold_proven(h))
		return;
	if (gil == 0 && !h->by_probe) {
		struct span s = {.from = start,
				 .to = end,
				 .tid = h->tid,
				 .native = h->native.verdict,
				 .function = (int16_t)function,
				 .dora = hold_in_dora(h),
				 .deadlock = hold_cause(h, consumer) == DP_CAUSE_DEADLOCK};

		span_push(&t->ended_holds, &s);
	}
	t->held_ns += length;
	functions_held(&t->functions, function, length);
}

/*
 * Is a hold worth a line? A proven one is. Arming takes the kernel up to a tenth of a second on a
 * busy machine: a candidate that was over before the source that could have proven it was there is
 * said only if it was long enough to warn about. Where a process is known to release so often that
 * it cannot be watched, looks that agree say nothing, however many there are.
 */
static bool is_worth_saying(const struct timeline_of *p, const struct hold *h, uint64_t length)
{
	if (hold_proven(h) || p->edge->refused || p->edge->failed)
		return true;
	return length >= p->env->options.warn_hold_ns && !edge_releases_often(p->edge, h->hi_ns);
}

static void count(struct timeline *t, const struct hold *h, uint64_t length)
{
	t->holds++;
	if (length > t->max_own_hold_ns && !hold_in_dora(h))
		t->max_own_hold_ns = length;
	if (length > t->max_hold_ns) {
		t->max_hold_ns = length;
		memcpy(t->max_hold_function, h->place.function, sizeof(t->max_hold_function));
	}
}

static uint64_t off_cpu_of(const struct hold *h, uint64_t length)
{
	if (h->off_ns > length)
		return length;
	return h->off_ns || h->looks ? h->off_ns : DP_NULL;
}

static void say_hold(const struct timeline_of *p, unsigned int gil, const struct hold *h,
		     uint64_t length)
{
	struct dp_finding f = {.type = DP_FIND_GIL_HOLD};
	uint64_t end = hold_until(h);

	f.u.hold = (struct dp_hold_finding){
		.tid = h->tid,
		.gil = (uint8_t)gil,
		.precision = hold_precision(h),
		.native = h->native.verdict,
		.waiter_count = (uint8_t)h->waiter_count,
		.start_lo_ns = h->lo_ns ? h->lo_ns : DP_NULL,
		.start_ns = hold_start(h),
		.end_ns = end,
		.end_hi_ns = h->open_end ? DP_NULL : h->hi_ns,
		.off_cpu_ns = off_cpu_of(h, length),
		.place = place_view(&h->place),
		.dora_internal = hold_in_dora(h),
	};
	memcpy(f.u.hold.waiters, h->waiters, sizeof(h->waiters));
	say_finding(p->env, p->id, h->open_end ? end : h->hi_ns, &f);
}

/* No more evidence will come: counts the hold, and says it as what it was. */
static void settle(const struct timeline_of *p, unsigned int gil, struct hold *h)
{
	uint64_t start = hold_start(h), end = hold_until(h);
	uint64_t length = end > start ? end - start : 0;

	if (h->native.since_ns && end > h->native.since_ns)
		native_stretch_end(&h->native, end, h->seen_ns);
	/* The last stack may show its tail only: a result that is thrown away, the next line. */
	if (h->most.known)
		h->place = h->most;
	account(p->t, gil, h, identity_consumer(p->id));
	if (p->edge->refused || p->edge->failed) {
		hold_forget_moment(h);
		start = hold_start(h), end = hold_until(h);
		length = end > start ? end - start : 0;
	}
	if (length < p->env->options.hold_threshold_ns || length == 0 || h->by_probe ||
	    !is_worth_saying(p, h, length))
		return;
	if (hold_proven(h))
		count(p->t, h, length);
	say_hold(p, gil, h, length);
}

static void forget_closing(struct gil *g, uint32_t n)
{
	g->closing_count -= n;
	memmove(&g->closing[0], &g->closing[n], g->closing_count * sizeof(g->closing[0]));
}

void gil_release(const struct timeline_of *p, unsigned int gil, uint64_t hi)
{
	struct gil *g = &p->t->gils[gil];
	struct hold *h = &g->cur;

	if (h->tid == 0)
		return;
	hold_close(h, p->env->now, hi);
	/* Asleep in the kernel while the uprobe goes: it was held, and that is nobody's fault there. */
	h->by_probe = edge_stalled(p->edge, hold_start(h), hold_until(h)) &&
		      h->off_ns * 2 >= hold_until(h) - hold_start(h);
	/* The consumer's own hold that was there at Stop is over: it can react now. */
	if (p->stop->seen && h->tid == identity_consumer(p->id) && h->seen_ns <= p->stop->at_ns &&
	    h->hi_ns > p->stop->at_ns && hold_proven(h))
		stop_moved(p->stop, h->hi_ns);
	/* What never reached the kernel's own minimum is not worth keeping. */
	if (h->hi_ns - (h->lo_ns ? h->lo_ns : h->seen_ns) >= DP_RUN_MIN_NS ||
	    h->last_ns - h->seen_ns >= DP_RUN_MIN_NS) {
		if (g->closing_count == CLOSING_MAX) {
			settle(p, gil, &g->closing[0]);
			forget_closing(g, 1);
		}
		g->closing[g->closing_count++] = *h;
	}
	memset(h, 0, sizeof(*h));
}

void gil_settle(const struct timeline_of *p, unsigned int gil)
{
	struct gil *g = &p->t->gils[gil];
	uint32_t done = 0;

	while (done < g->closing_count && p->env->now - g->closing[done].close_ns >= CLOSING_NS)
		settle(p, gil, &g->closing[done++]);
	if (done)
		forget_closing(g, done);
}

void gil_settle_all(const struct timeline_of *p, unsigned int gil, uint64_t t_ns, bool probe_ends)
{
	struct gil *g = &p->t->gils[gil];

	for (uint32_t i = 0; i < g->closing_count; i++)
		settle(p, gil, &g->closing[i]);
	g->closing_count = 0;
	if (g->cur.tid) {
		struct hold h = g->cur;

		h.open_end = probe_ends;
		if (hold_until(&h) - hold_start(&h) >= p->env->options.hold_threshold_ns)
			p->t->hold_unfinished = true;
		h.hi_ns = t_ns;
		settle(p, gil, &h);
		memset(&g->cur, 0, sizeof(g->cur));
	}
	g->waiter_count = 0;
}
