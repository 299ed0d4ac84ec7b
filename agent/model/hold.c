// SPDX-License-Identifier: MIT
/* One hold of a GIL; see hold.h. */
#include "model/hold.h"

#include "decide/policy.h"

#include <string.h>

/*
 * A sleep counts as the whole hold if it began within this time of the hold's start: that is the
 * widest bracket that a start has.
 */
#define SLEEP_FIRST_NS (60 * MS)
/* A chain of waits that ends at the GIL is called a deadlock from this length of the hold on. */
#define DEADLOCK_NS (2 * SEC)

void hold_begin(struct hold *h, uint32_t tid, uint64_t lo_ns, uint64_t seen_ns)
{
	memset(h, 0, sizeof(*h));
	h->tid = tid;
	h->lo_ns = lo_ns;
	h->seen_ns = seen_ns;
	h->last_ns = seen_ns;
	h->native.verdict = -1;
}

/* Two stretches that touch are one: what was put aside may do so with what has come since. */
static void join_best(struct hold *h)
{
	struct proof *p = &h->proof, *b = &h->best;

	if (!b->to || b->to < p->from || b->from > p->to)
		return;
	p->from = b->from < p->from ? b->from : p->from;
	p->to = b->to > p->to ? b->to : p->to;
	*b = (struct proof){0};
}

void hold_prove(struct hold *h, uint64_t now, uint64_t from, uint64_t to)
{
	if (from < h->lo_ns)
		from = h->lo_ns;
	if (to <= from)
		return;
	if (h->known_ns == 0)
		h->known_ns = now;
	if (h->proof.to == 0) {
		h->proof = (struct proof){.from = from, .to = to};
	} else if (from <= h->proof.to && to >= h->proof.from) {
		if (from < h->proof.from)
			h->proof.from = from;
		if (to > h->proof.to)
			h->proof.to = to;
		join_best(h);
	} else if (from > h->proof.to) {
		h->best = *hold_proof(h);
		h->proof = (struct proof){.from = from, .to = to};
	}
	if (from < h->seen_ns)
		h->seen_ns = from;
	if (to > h->last_ns)
		h->last_ns = to;
}

void hold_close(struct hold *h, uint64_t now, uint64_t hi)
{
	h->hi_ns = hi < h->seen_ns ? h->seen_ns : hi;
	if (h->last_ns > h->hi_ns)
		h->last_ns = h->hi_ns;
	if (h->proof.to > h->hi_ns)
		h->proof.to = h->hi_ns;
	if (h->proof.to && h->proof.to < h->proof.from)
		h->proof.to = h->proof.from;
	h->close_ns = now;
}

void hold_forget_moment(struct hold *h)
{
	if (!hold_proven(h) || h->last_ns - h->seen_ns <= 2 * (hold_until(h) - hold_start(h)))
		return;
	h->proof = (struct proof){0};
	h->best = (struct proof){0};
}

void hold_note_waiter(struct hold *h, uint32_t tid)
{
	for (uint32_t i = 0; i < h->waiter_count; i++)
		if (h->waiters[i] == tid)
			return;
	if (h->tid && h->tid != tid && h->waiter_count < DP_WAITERS_MAX)
		h->waiters[h->waiter_count++] = tid;
}

uint64_t sleep_end(const struct dp_rec_stack *s, uint64_t since_ns)
{
	uint64_t begin = s->asleep_since_ns;

	if (s->state != 'S' || !begin || begin > since_ns + SLEEP_FIRST_NS ||
	    since_ns > begin + SLEEP_FIRST_NS)
		return 0;
	if (s->sleep_until_ns)
		return s->sleep_until_ns;
	return s->sleep_ns && s->sleep_ns < UINT64_MAX - begin ? begin + s->sleep_ns : 0;
}

static uint8_t sched_state_of(const struct dp_rec_stack *s)
{
	if (s->state == 'D')
		return DP_SCHED_DISK_SLEEP;
	if (s->state == 'R')
		return DP_SCHED_ON_CPU;
	if (s->state == 'S' && s->syscall_nr >= 0)
		return DP_SCHED_SYSCALL;
	return DP_SCHED_UNKNOWN;
}

/* The majority vote of Boyer and Moore; of two places seen as often the earlier one stays. */
static void vote_place(struct hold *h)
{
	bool same = h->most.known && place_same(&h->most, &h->place);

	if (!h->place.function[0])
		return;
	if (!same && h->most_votes) {
		h->most_votes--;
		return;
	}
	h->most = h->place;
	h->most_votes++;
}

void hold_stack(struct hold *h, const struct dp_rec_stack *s)
{
	if (h->stack_state == STACK_NOT_ASKED)
		return;
	h->stack_state = STACK_HAD;
	if (s->status != 0 && !s->frame_count) {
		if (!h->place.thread[0])
			place_name_thread(&h->place, s);
		return;
	}
	/* That it slept meanwhile says nothing of what it does. */
	if (h->stopped && !place_is_stopped(s))
		h->native.verdict = -1;
	h->stopped = place_is_stopped(s);
	place_from_stack(&h->place, s);
	vote_place(h);
	if (s->library[0] && h->stacks < UINT16_MAX) {
		h->stacks++;
		if (place_library_is_dora(s->library))
			h->dora_stacks++;
	}
	h->syscall_nr = s->syscall_nr;
	h->sched_state = sched_state_of(s);
	h->sleep_end_ns = sleep_end(s, hold_start(h));
}

void hold_stack_missed(struct hold *h)
{
	if (h->stack_state == STACK_ASKED)
		h->stack_state = STACK_HAD;
}

void hold_asleep(struct hold *h, const struct dp_rec_stack *s, uint64_t t_ns)
{
	if (h->lo_ns != 0 || s->state != 'S' || !s->asleep_since_ns ||
	    s->asleep_since_ns >= h->seen_ns)
		return;
	hold_prove(h, t_ns, s->asleep_since_ns, h->last_ns);
	if (h->last_ns - s->asleep_since_ns >= NATIVE_SLEEP_NS)
		native_asleep(&h->native, h->last_ns - s->asleep_since_ns);
}

void hold_late_stack(struct hold *h, const struct dp_rec_stack *s)
{
	if (h->stack_state != STACK_ASKED)
		return;
	place_name_thread(&h->place, s);
	h->stack_state = STACK_HAD;
}

uint8_t hold_precision(const struct hold *h)
{
	const struct proof *p = hold_proof(h);

	if (!hold_proven(h))
		return DP_PRECISION_UNCONFIRMED;
	if (h->open_end || h->lo_ns == 0)
		return DP_PRECISION_AT_LEAST;
	if (p->from - h->lo_ns <= EXACT_NS && h->hi_ns - p->to <= EXACT_NS)
		return DP_PRECISION_EXACT;
	return DP_PRECISION_BOUNDED;
}

int8_t hold_cause(const struct hold *h, uint32_t consumer)
{
	if (!hold_proven(h))
		return DP_CAUSE_UNKNOWN;
	if (h->stopped)
		return DP_CAUSE_STOPPED;
	if (h->deadlock && hold_until(h) - hold_start(h) >= DEADLOCK_NS)
		return DP_CAUSE_DEADLOCK;
	if (hold_in_dora(h))
		return DP_CAUSE_DORA_INTERNAL;
	if (h->native.verdict == 1)
		return DP_CAUSE_GIL_NATIVE;
	if (h->native.verdict == 0)
		return h->tid == consumer ? DP_CAUSE_BUSY_PYTHON : DP_CAUSE_GIL_CONTENTION;
	return DP_CAUSE_UNKNOWN;
}
