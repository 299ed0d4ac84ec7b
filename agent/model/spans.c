// SPDX-License-Identifier: MIT
/* Holds and waits that are over; see spans.h. */
#include "model/spans.h"

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

uint32_t span_first(const struct span_ring *r, uint64_t t)
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

uint64_t overlap(uint64_t a_from, uint64_t a_to, uint64_t b_from, uint64_t b_to)
{
	uint64_t from = a_from > b_from ? a_from : b_from;
	uint64_t to = a_to < b_to ? a_to : b_to;

	return to > from ? to - from : 0;
}
