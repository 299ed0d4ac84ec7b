// SPDX-License-Identifier: MIT
/* Whole stretches of a thread, put down to the hold that they are of; see stretch.h. */
#include "model/stretch.h"

#include "model/native.h"

static void note_off_cpu(const struct timeline_of *p, struct hold *h, const struct dp_gil_span *s)
{
	hold_prove(h, p->env->now, s->from_ns, s->to_ns);
	h->off_ns += s->off_ns;
	if (!s->preempted && s->to_ns - s->from_ns >= NATIVE_SLEEP_NS)
		native_slept(&h->native, s->to_ns - s->from_ns);
}

/*
 * Time off the CPU may be told after a look that found the GIL free and closed the hold: where nobody saw the
 * thread come back it is told when it lets go of the GIL, and the look may be a moment older. It began within that
 * hold, and ends with it.
 */
static struct hold *closed_before(struct gil *g, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;

	if (g->cur.tid == r->h.tid && s->from_ns >= g->cur.lo_ns)
		return NULL;
	for (uint32_t i = g->closing_count; i-- > 0;) {
		struct hold *h = &g->closing[i];

		if (h->tid == r->h.tid && h->lo_ns <= s->from_ns && h->seen_ns <= s->to_ns &&
		    h->hi_ns > s->from_ns)
			return h;
	}
	return NULL;
}

static void note_off_cpu_closed(const struct timeline_of *p, struct hold *h,
				const struct dp_gil_span *told)
{
	struct dp_gil_span s = *told;

	if (s.to_ns > h->hi_ns) {
		uint64_t past = s.to_ns - h->hi_ns;

		s.off_ns -= s.off_ns < past ? s.off_ns : past;
		s.to_ns = h->hi_ns;
	}
	note_off_cpu(p, h, &s);
}

void stretch_off_cpu(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &p->t->gils[s->gil];
	struct hold *h = &g->cur, *closed = closed_before(g, r);

	if (closed) {
		note_off_cpu_closed(p, closed, s);
		return;
	}
	if (h->tid && h->tid != r->h.tid)
		gil_release(p, s->gil, s->from_ns);
	if (h->tid && s->lo_ns > h->seen_ns)
		gil_release(p, s->gil, s->lo_ns);
	if (h->tid == 0)
		gil_take(g, r->h.tid, s->lo_ns, s->from_ns);
	if (s->lo_ns > h->lo_ns)
		h->lo_ns = s->lo_ns;
	note_off_cpu(p, h, s);
}

/* The kernel's own run of samples of a hold, narrower than what the looks had. */
static void narrow_closing(struct hold *h, const struct dp_gil_span *s)
{
	if (s->lo_ns > h->lo_ns && s->lo_ns <= h->seen_ns)
		h->lo_ns = s->lo_ns;
	if (s->to_ns > h->last_ns && s->to_ns <= h->hi_ns)
		h->last_ns = s->to_ns;
	if (s->hi_ns < h->hi_ns && s->hi_ns >= h->last_ns)
		h->hi_ns = s->hi_ns;
	if (s->off_ns > h->off_ns)
		h->off_ns = s->off_ns;
}

static void narrow_current(struct hold *h, const struct dp_gil_span *s)
{
	if (s->lo_ns > h->lo_ns && s->lo_ns <= h->seen_ns)
		h->lo_ns = s->lo_ns;
	if (s->from_ns < h->seen_ns && s->from_ns >= h->lo_ns)
		h->seen_ns = s->from_ns;
	if (s->to_ns > h->last_ns)
		h->last_ns = s->to_ns;
	if (s->off_ns > h->off_ns)
		h->off_ns = s->off_ns;
}

/* Does the run belong to this hold? The current one may be newer, begun after the run ended. */
static bool is_run_of(const struct hold *h, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;

	return h->tid == r->h.tid && h->seen_ns <= s->hi_ns &&
	       (h->lo_ns <= s->from_ns || h->seen_ns <= s->to_ns) && h->lo_ns < s->to_ns;
}

void stretch_run(const struct timeline_of *p, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &p->t->gils[s->gil];

	if (is_run_of(&g->cur, r)) {
		narrow_current(&g->cur, s);
		gil_release(p, s->gil, s->hi_ns);
		return;
	}
	for (uint32_t i = g->closing_count; i-- > 0;) {
		struct hold *h = &g->closing[i];

		if (h->tid == r->h.tid && s->hi_ns >= h->seen_ns && s->from_ns <= h->hi_ns) {
			narrow_closing(h, s);
			return;
		}
	}
	/* Nobody looked in time: a candidate of its own, which nothing will confirm. */
	if (g->cur.tid == 0 && s->to_ns - s->from_ns >= p->env->options.hold_threshold_ns) {
		gil_take(g, r->h.tid, s->lo_ns, s->from_ns);
		g->cur.last_ns = s->to_ns;
		g->cur.off_ns = s->off_ns;
		gil_release(p, s->gil, s->hi_ns);
	}
}
