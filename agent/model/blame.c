// SPDX-License-Identifier: MIT
/*
 * Interval arithmetic: what did the GIL cost in a stretch of time, and whose hold was it.
 *
 * `holds` are the closed, proven holds of the main GIL: one after the other, since a GIL has one
 * holder. `waits` are the consumer's own waits for it. Time counts as cost of the GIL where
 *   - another thread than the consumer held it, or
 *   - the consumer itself held it within native code, or
 *   - the consumer was waiting for it.
 */
#include "model/internal.h"

static const struct span *span_at(const struct span_ring *r, uint32_t i)
{
	return &r->at[(r->head + SPANS_MAX - r->count + i) % SPANS_MAX];
}

void span_push(struct span_ring *r, const struct span *s)
{
	struct span add = *s;

	/* Late evidence may close a hold a little into the one before: no time counts twice. */
	if (r->count) {
		const struct span *last = span_at(r, r->count - 1);

		if (add.from < last->to)
			add.from = last->to;
	}
	if (add.from >= add.to)
		return;
	r->at[r->head] = add;
	r->head = (r->head + 1) % SPANS_MAX;
	if (r->count < SPANS_MAX)
		r->count++;
}

/* Index of the first span that ends after t. */
static uint32_t span_first(const struct span_ring *r, uint64_t t)
{
	uint32_t lo = 0, hi = r->count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (span_at(r, mid)->to <= t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint64_t overlap(uint64_t a_from, uint64_t a_to, uint64_t b_from, uint64_t b_to)
{
	uint64_t from = a_from > b_from ? a_from : b_from;
	uint64_t to = a_to < b_to ? a_to : b_to;

	return to > from ? to - from : 0;
}

/* The waits' part of [from, to], the open wait of the consumer included. */
static uint64_t waits_in(const struct node *n, uint64_t from, uint64_t to)
{
	uint32_t consumer = node_consumer(n);
	uint64_t sum = 0;

	for (uint32_t i = span_first(&n->waits, from); i < n->waits.count; i++) {
		const struct span *s = span_at(&n->waits, i);

		if (s->from >= to)
			break;
		sum += overlap(s->from, s->to, from, to);
	}
	for (uint32_t i = 0; i < n->gils[0].waiter_count; i++) {
		const struct waiter *w = &n->gils[0].waiters[i];

		if (w->tid == consumer)
			sum += overlap(w->begin_ns, to, from, to);
	}
	return sum;
}

static void add_hold(const struct node *n, const struct span *s, uint64_t from, uint64_t to,
		     struct blame_share *ret)
{
	uint64_t part = overlap(s->from, s->to, from, to);

	if (part == 0)
		return;
	if (s->tid == node_consumer(n) && s->native != 1) {
		ret->python_ns += part;
		return;
	}
	ret->gil_ns += part;
	if (s->native == 1) {
		ret->native_ns += part;
		if (s->tid == node_consumer(n))
			ret->own_native_ns += part;
		if (part > ret->longest_native_ns)
			ret->longest_native_ns = part;
	}
	if (s->dora)
		ret->dora_ns += part;
	if (s->deadlock)
		ret->deadlock_ns += part;
}

/* A hold that is not in the ring yet, as a span; 0 when it is not proven or reaches not past
 * `after`. */
static int unfinished_span(const struct node *n, const struct hold *h, uint64_t after,
			   struct span *ret)
{
	uint64_t from = hold_start(h);

	if (h->tid == 0 || !hold_proven(h) || hold_until(h) <= after)
		return 0;
	*ret = (struct span){
		.from = from > after ? from : after,
		.to = hold_until(h),
		.tid = h->tid,
		.native = h->native,
		.dora = (uint8_t)hold_in_dora(h),
		.deadlock = cause_of_hold(n, h) == DP_CAUSE_DEADLOCK,
		.function = -1,
	};
	return 1;
}

/* Adds the waits in [from, to] that no counted hold covers already. */
static void add_uncovered_waits(const struct node *n, const struct span *s, uint64_t *cursor,
				uint64_t to, struct blame_share *ret)
{
	uint64_t end = s && s->from < to ? s->from : to;

	if (end > *cursor)
		ret->gil_ns += waits_in(n, *cursor, end);
	if (!s)
		return;
	/* Within a hold of the consumer itself it cannot wait; within another's it is counted. */
	if (s->to > *cursor)
		*cursor = s->to;
}

void blame_window(const struct node *n, uint64_t from, uint64_t to, struct blame_share *ret)
{
	struct blame_share share = {.top_function = -1};
	const struct gil *g = &n->gils[0];
	struct span open;
	uint64_t cursor = from, best = 0, known = 0;

	if (to <= from) {
		*ret = share;
		return;
	}
	for (uint32_t i = span_first(&n->holds, from); i < n->holds.count; i++) {
		const struct span *s = span_at(&n->holds, i);

		if (s->from >= to)
			break;
		add_uncovered_waits(n, s, &cursor, to, &share);
		add_hold(n, s, from, to, &share);
		if (s->function >= 0 && overlap(s->from, s->to, from, to) > best) {
			best = overlap(s->from, s->to, from, to);
			share.top_function = s->function;
		}
	}
	/* Then those that wait for late evidence on their end, and the one that goes on. */
	if (n->holds.count)
		known = span_at(&n->holds, n->holds.count - 1)->to;
	for (uint32_t i = 0; i <= g->closing_count; i++) {
		const struct hold *h = i < g->closing_count ? &g->closing[i] : &g->cur;

		if (!unfinished_span(n, h, known, &open))
			continue;
		known = open.to;
		if (open.from >= to || open.to <= from)
			continue;
		add_uncovered_waits(n, &open, &cursor, to, &share);
		add_hold(n, &open, from, to, &share);
	}
	add_uncovered_waits(n, NULL, &cursor, to, &share);
	*ret = share;
}

void blame_charge(struct node *n, uint64_t from, uint64_t to)
{
	for (uint32_t i = span_first(&n->holds, from); i < n->holds.count; i++) {
		const struct span *s = span_at(&n->holds, i);
		struct blame_share part = {0};

		if (s->from >= to)
			break;
		if (s->function < 0)
			continue;
		add_hold(n, s, from, to, &part);
		n->functions[s->function].b.token_ns += part.gil_ns;
	}
}
