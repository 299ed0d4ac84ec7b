/* SPDX-License-Identifier: MIT */
/*
 * One hold of a GIL by one thread: a candidate first, a hold once something proves it.
 *
 * The proofs are stretches without a gap in which the thread cannot have released the GIL. Those
 * that touch are joined; the longest counts. docs/model.md has the states of a hold in a picture.
 */
#ifndef DORA_PROBE_MODEL_HOLD_H
#define DORA_PROBE_MODEL_HOLD_H

#include "model/native.h"
#include "model/place.h"
#include "base/units.h"

/* From this age on a candidate's stack is read and the guard takes it into account. */
#define CANDIDATE_NS (20 * MS)
/* Two moments that are no further apart are said to be the same one. */
#define EXACT_NS (1 * MS)

/* A stretch [from, to] that is proven to be one hold without a gap. */
struct proof {
	uint64_t from;
	uint64_t to; /* 0: there is none */
};

enum stack_state { STACK_NOT_ASKED, STACK_ASKED, STACK_HAD };

struct hold {
	uint32_t tid;       /* 0: nobody holds the GIL, as far as is known */
	uint64_t lo_ns;     /* last time it was known not to hold; 0 unknown */
	uint64_t seen_ns;   /* first evidence of holding */
	uint64_t last_ns;   /* last evidence of holding */
	uint64_t known_ns;  /* model time at which the first proof arrived */
	uint64_t hi_ns;     /* first time known not to hold any more; 0 still held */
	uint64_t off_ns;    /* off the CPU, of that */
	uint64_t close_ns;  /* model time at which it was closed */
	uint32_t looks;     /* at it */
	bool by_probe;      /* the probe itself has held the thread up */
	bool open_end;      /* ended with the probe, not by a release */
	uint8_t warned;     /* enum warn_level: the step at which a warning has named it */
	struct proof proof; /* the current one */
	struct proof best;  /* a longer one before a gap */
	struct native native;
	/* from its stacks */
	uint8_t stack_state; /* enum stack_state */
	uint8_t sched_state; /* enum dp_sched_state, at the last stack */
	bool stopped;        /* the process, then */
	bool waits_known;    /* whom it waits for was read, see waits.h */
	bool deadlock;       /* … and is proven to end at this GIL */
	int32_t syscall_nr;
	uint16_t stacks, dora_stacks; /* with native code; of these, in dora's own */
	uint64_t sleep_end_ns;        /* it is one sleep, up to then; 0 it is none, unknown */
	uint64_t stack_asked_ns;
	struct place place; /* as last seen */
	struct place most;  /* where it was seen most, by a majority vote over its stacks */
	uint32_t most_votes;
	uint32_t waiter_count;
	uint32_t waiters[DP_WAITERS_MAX];
};

static inline bool hold_proven(const struct hold *h)
{
	return h->proof.to != 0 || h->best.to != 0;
}

static inline const struct proof *hold_proof(const struct hold *h)
{
	return h->best.to - h->best.from > h->proof.to - h->proof.from ? &h->best : &h->proof;
}

/* Start and end so far of the part that is shown as held: proven, else what the looks saw. */
static inline uint64_t hold_start(const struct hold *h)
{
	return hold_proven(h) ? hold_proof(h)->from : h->seen_ns;
}

static inline uint64_t hold_until(const struct hold *h)
{
	return hold_proven(h) ? hold_proof(h)->to : h->last_ns;
}

/* The age of what may be one hold: since the thread was last known not to hold. */
static inline uint64_t hold_age(const struct hold *h)
{
	uint64_t since = h->lo_ns ? h->lo_ns : h->seen_ns;

	return h->last_ns > since ? h->last_ns - since : 0;
}

/* Is it inside dora's own code? In most of its stacks: one alone may be between two calls. */
static inline bool hold_in_dora(const struct hold *h)
{
	return h->dora_stacks && h->dora_stacks * 2 >= h->stacks;
}

/* Begins a hold, with no proof and no waiter yet. */
void hold_begin(struct hold *h, uint32_t tid, uint64_t lo_ns, uint64_t seen_ns);
/* Joins [from, to] to the proofs, cut at lo_ns. `now` is the model's time. */
void hold_prove(struct hold *h, uint64_t now, uint64_t from, uint64_t to);
/* Ends the hold: the GIL is known not to be held at `hi`, and what reaches beyond is cut off. */
void hold_close(struct hold *h, uint64_t now, uint64_t hi);
/*
 * Where no edge source can prove a hold that nobody waits for, a proof of a moment of it (its thread lost the CPU once)
 * must not stand for the whole: then it is what the looks saw, unconfirmed.
 */
void hold_forget_moment(struct hold *h);
/* Notes that a thread waits for it; the holder itself and what has no room are left out. */
void hold_note_waiter(struct hold *h, uint32_t tid);

/* The answer to a request for the holder's stack, while it holds. */
void hold_stack(struct hold *h, const struct dp_rec_stack *s);
/* The stack that was asked for is not of this hold: it may be asked for again. */
void hold_stack_missed(struct hold *h);
/*
 * A stack of the holder, read at t_ns: where nobody saw the hold begin, a sleep that began before the first
 * look is of it, since only the holder can let go.
 */
void hold_asleep(struct hold *h, const struct dp_rec_stack *s, uint64_t t_ns);
/* A stack of the holder that came after the end of the hold: the name of the thread alone is safe. */
void hold_late_stack(struct hold *h, const struct dp_rec_stack *s);

/* enum dp_precision of a hold that has ended. */
uint8_t hold_precision(const struct hold *h);
/* Why it lasts, enum dp_cause; `consumer` is the thread that takes the node's events. */
int8_t hold_cause(const struct hold *h, uint32_t consumer);

/*
 * When the sleep ends that the thread of this stack is in, where it has been in it since
 * `since_ns`; 0: it is in none, or in one of several.
 */
uint64_t sleep_end(const struct dp_rec_stack *s, uint64_t since_ns);

#endif
