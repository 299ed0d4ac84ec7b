// SPDX-License-Identifier: MIT
/*
 * What did the GIL cost; see blame.h.
 *
 * Ended holds are the proven ones of the main GIL, one after the other, since a GIL has one holder;
 * ended waits are the consumer's own waits for it. Time counts as cost of the GIL where
 *   - another thread than the consumer held it, or
 *   - the consumer itself held it within native code, or
 *   - the consumer was waiting for it.
 */
#include "model/blame.h"

/* The waits' part of [from, to], the open wait of the consumer included. */
static uint64_t waits_in(const struct timeline *t, uint32_t consumer, uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	for (uint32_t i = span_first(&t->ended_waits, from); i < t->ended_waits.count; i++) {
		const struct span *s = span_at(&t->ended_waits, i);

		if (s->from >= to)
			break;
		sum += overlap(s->from, s->to, from, to);
	}
	for (uint32_t i = 0; i < t->gils[0].waiter_count; i++) {
		const struct waiter *w = &t->gils[0].waiters[i];

		if (w->tid == consumer)
			sum += overlap(w->begin_ns, to, from, to);
	}
	return sum;
}

static void add_hold(uint32_t consumer, const struct span *s, uint64_t from, uint64_t to,
		     struct blame_share *ret)
{
	uint64_t part = overlap(s->from, s->to, from, to);

	if (part == 0)
		return;
	if (s->tid == consumer && s->native != 1) {
		ret->python_ns += part;
		return;
	}
	ret->gil_ns += part;
	if (s->native == 1) {
		ret->native_ns += part;
		if (s->tid == consumer)
			ret->own_native_ns += part;
		if (part > ret->longest_native_ns)
			ret->longest_native_ns = part;
	} else if (s->native < 0 && part > ret->longest_undecided_ns) {
		ret->longest_undecided_ns = part;
	}
	if (s->dora)
		ret->dora_ns += part;
	if (s->deadlock)
		ret->deadlock_ns += part;
}

/* A hold that is not in the ring yet, as a span; false when it is not proven or reaches not past
 * `after`. */
static bool unfinished_span(uint32_t consumer, const struct hold *h, uint64_t after,
			    struct span *ret)
{
	uint64_t from = hold_start(h);

	if (h->tid == 0 || h->by_probe || !hold_proven(h) || hold_until(h) <= after)
		return false;
	*ret = (struct span){
		.from = from > after ? from : after,
		.to = hold_until(h),
		.tid = h->tid,
		.native = h->native.verdict,
		.dora = hold_in_dora(h),
		.deadlock = hold_cause(h, consumer) == DP_CAUSE_DEADLOCK,
		.function = -1,
	};
	return true;
}

/* Adds the waits in [from, to] that no counted hold covers already. */
static void add_uncovered_waits(const struct timeline *t, uint32_t consumer, const struct span *s,
				uint64_t *cursor, uint64_t to, struct blame_share *ret)
{
	uint64_t end = s && s->from < to ? s->from : to;

	if (end > *cursor)
		ret->gil_ns += waits_in(t, consumer, *cursor, end);
	if (!s)
		return;
	/* Within a hold of the consumer itself it cannot wait; within another's it is counted. */
	if (s->to > *cursor)
		*cursor = s->to;
}

void blame_window(const struct timeline *t, uint32_t consumer, uint64_t from, uint64_t to,
		  struct blame_share *ret)
{
	struct blame_share share = {.top_function = -1};
	const struct gil *g = &t->gils[0];
	struct span open;
	uint64_t cursor = from, best = 0, known = 0;

	if (to <= from) {
		*ret = share;
		return;
	}
	for (uint32_t i = span_first(&t->ended_holds, from); i < t->ended_holds.count; i++) {
		const struct span *s = span_at(&t->ended_holds, i);

		if (s->from >= to)
			break;
		add_uncovered_waits(t, consumer, s, &cursor, to, &share);
		add_hold(consumer, s, from, to, &share);
		if (s->function >= 0 && overlap(s->from, s->to, from, to) > best) {
			best = overlap(s->from, s->to, from, to);
			share.top_function = s->function;
		}
	}
	/* Then those that wait for late evidence on their end, and the one that goes on. */
	if (t->ended_holds.count)
		known = span_at(&t->ended_holds, t->ended_holds.count - 1)->to;
	for (uint32_t i = 0; i <= g->closing_count; i++) {
		const struct hold *h = i < g->closing_count ? &g->closing[i] : &g->cur;

		if (!unfinished_span(consumer, h, known, &open))
			continue;
		known = open.to;
		if (open.from >= to || open.to <= from)
			continue;
		add_uncovered_waits(t, consumer, &open, &cursor, to, &share);
		add_hold(consumer, &open, from, to, &share);
	}
	add_uncovered_waits(t, consumer, NULL, &cursor, to, &share);
	*ret = share;
}

void blame_charge(struct timeline *t, uint32_t consumer, uint64_t from, uint64_t to)
{
	for (uint32_t i = span_first(&t->ended_holds, from); i < t->ended_holds.count; i++) {
		const struct span *s = span_at(&t->ended_holds, i);
		struct blame_share part = {0};

		if (s->from >= to)
			break;
		if (s->function < 0)
			continue;
		add_hold(consumer, s, from, to, &part);
		t->functions.at[s->function].b.token_ns += part.gil_ns;
	}
}
