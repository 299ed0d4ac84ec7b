// SPDX-License-Identifier: MIT
/* Whom the holder of the GIL waits for; see waits.h. */
#include "model/waits.h"

#include "decide/policy.h"

#include <stdio.h>

/* A sleep with the GIL is looked into from this age of the hold on, and so often, ns. */
#define WAITS_AFTER_NS (200 * MS)
#define WAITS_EVERY_NS (500 * MS)
/* What has stayed so long is looked at less often, ns. */
#define WAITS_OLD_NS       (10 * SEC)
#define WAITS_EVERY_OLD_NS (2 * SEC)

static bool is_unlimited(const struct dp_rec_waits *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!r->links[i].forever)
			return false;
	return true;
}

/*
 * An end without an owner: somebody who waits for the GIL has to do with it, and nobody else can
 * have. Whoever has a lock has a reference to it, so others of the library do not matter there; an
 * event may be given by any of them. A thread that waits for something from outside of the process is
 * no argument against a reference; against code of the same library, which says less, it is.
 */
static uint8_t proof_of_end(const struct dp_rec_waits *r, bool lock)
{
	if (r->looked_at < r->threads || r->refer_able)
		return DP_PROOF_NONE;
	if (r->refer_gil && (lock || !r->library_able))
		return DP_PROOF_REFERENCE;
	if (r->library_gil && !r->library_able && !r->library_io)
		return DP_PROOF_LIBRARY;
	return DP_PROOF_NONE;
}

uint8_t waits_proof(const struct dp_rec_waits *r)
{
	const struct dp_link *end;

	if (r->status != 0 || r->owned == 0 || r->owned > r->link_count ||
	    !is_unlimited(r, r->owned))
		return DP_PROOF_NONE;
	end = &r->links[r->owned - 1];
	/* A holder that waits for the GIL itself is on its way to take it. */
	if (end->waits == DP_WAIT_GIL)
		return r->owned > 1 ? DP_PROOF_OWNERS : DP_PROOF_NONE;
	if (end->waits == DP_WAIT_LOCK || end->waits == DP_WAIT_FUTEX ||
	    end->waits == DP_WAIT_STATIC)
		return r->link_count > r->owned ? proof_of_end(r, end->waits == DP_WAIT_LOCK)
						: DP_PROOF_NONE;
	return DP_PROOF_NONE;
}

/* Can a sentence about the call say that it waits, and for what? */
static bool has_words(uint8_t waits)
{
	return waits != DP_WAIT_UNKNOWN && waits != DP_WAIT_NOTHING && waits != DP_WAIT_GIL &&
	       waits != DP_WAIT_SYSCALL;
}

void waits_words(const struct dp_rec_waits *r, char ret[WAITS_WORDS_MAX])
{
	const struct dp_link *k = &r->links[0], *next = &r->links[1];
	const char *first = dp_wait_words(k->waits), *does = dp_wait_words(next->waits);

	ret[0] = '\0';
	if (r->status != 0 || r->link_count == 0 || !has_words(k->waits))
		return;
	if (has_words(next->waits) && next->waits != DP_WAIT_SLEEP)
		does = "waits itself";
	if (!k->for_tid)
		snprintf(ret, WAITS_WORDS_MAX, "%s", first);
	else if (r->link_count < 2 || next->tid != k->for_tid)
		snprintf(ret, WAITS_WORDS_MAX, "%s thread %u", first, k->for_tid);
	else if (next->waits == DP_WAIT_UNKNOWN)
		snprintf(ret, WAITS_WORDS_MAX, "%s thread %s (%u)", first, next->thread, next->tid);
	else
		snprintf(ret, WAITS_WORDS_MAX, "%s thread %s (%u), which %s", first, next->thread,
			 next->tid, does);
}

/* In both readings the same threads wait for the same owners. */
static bool is_same_chain(const struct dp_rec_waits *a, const struct dp_rec_waits *b)
{
	if (a->owned != b->owned)
		return false;
	for (uint32_t i = 0; i < a->owned && i < DP_LINKS_MAX; i++)
		if (a->links[i].tid != b->links[i].tid || a->links[i].waits != b->links[i].waits ||
		    a->links[i].for_tid != b->links[i].for_tid)
			return false;
	return true;
}

bool waits_record(struct waits *w, struct hold *current, const struct dp_record *r)
{
	const struct dp_rec_waits *now = &r->u.waits;
	uint8_t proof;

	if (r->h.type != DP_REC_WAITS)
		return false;
	if (current->tid == 0 || current->tid != r->h.tid || now->link_count == 0)
		return true;
	proof = waits_proof(now);
	/* Threads go on while they are read one after the other: one picture may be torn, two not. */
	current->deadlock = proof != DP_PROOF_NONE && current->waits_known &&
			    waits_proof(&w->last) != DP_PROOF_NONE && is_same_chain(&w->last, now);
	current->waits_known = true;
	w->last = *now;
	return true;
}

void waits_ask(struct waits *w, const struct env *e, const struct identity *id,
	       const struct hold *current)
{
	struct dp_request q = {.type = DP_REQ_READ_WAITS, .tid = current->tid};
	uint64_t every = WAITS_EVERY_NS;

	if (current->tid == 0 || !hold_proven(current) || hold_age(current) < WAITS_AFTER_NS ||
	    current->sched_state != DP_SCHED_SYSCALL || current->sleep_end_ns)
		return;
	if (hold_age(current) > WAITS_OLD_NS)
		every = WAITS_EVERY_OLD_NS;
	if (e->now - w->asked_ns < every)
		return;
	w->asked_ns = e->now;
	say_request(e, id, &q);
}
