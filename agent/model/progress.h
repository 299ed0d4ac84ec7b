/* SPDX-License-Identifier: MIT */
/*
 * Has the node gone on to something else since it was told to stop? Told by the stacks of its
 * consumer: a place is a whole stack, each call with its line. What is at a place where it was
 * before Stop has not taken Stop yet, be it one call or a loop of many; a clean-up is at a place of
 * its own, since some caller is at another line.
 */
#ifndef DORA_PROBE_MODEL_PROGRESS_H
#define DORA_PROBE_MODEL_PROGRESS_H

#include "model/deadline.h"
#include "model/place.h"
#include "model/say.h"

/* How often the consumer is looked at before any Stop. */
#define PROGRESS_EVERY_NS (500 * MS)
#define PROGRESS_PLACES   32
#define PROGRESS_NEW      16
/* Who could not run gets so long to come back to next() and take Stop before a look counts. */
#define PROGRESS_CHANCE_NS (300 * MS)
/* A wait for the GIL, or another thread's hold, that is no mere handing over. */
#define PROGRESS_WAIT_NS (200 * MS)

struct progress {
	struct {
		uint64_t key;
		uint64_t seen_ns;
	} known[PROGRESS_PLACES]; /* places before Stop, and those of the same loop after it */
	/* places since Stop that are not known: known as well once it comes back to a known one */
	uint64_t fresh[PROGRESS_NEW];
	uint32_t fresh_count;
	uint64_t asked_ns;
	uint64_t before_ns;  /* last stack before Stop; 0 none, as all below */
	uint64_t same_ns;    /* since Stop: last at a known place, when it could have left it */
	uint64_t kept_ns;    /* since Stop: the same, or in a wait for the GIL there */
	uint64_t held_up_ns; /* since Stop: last found unable to move on, by the caller */
	uint64_t other_ns;   /* since Stop: last at another */
	uint64_t idle_ns;    /* since Stop: last in asyncio's wait, which shows none of its tasks */
	uint64_t finalising_ns; /* main has ended, and Python waits for its other threads; since */
	uint64_t busy_since_ns; /* it has been away from next() since; 0 it is there, unknown */
	uint64_t longest_busy_ns; /* of the times away that are over */
	bool asyncio;             /* the last stack stood below asyncio */
	struct place place;       /* of same_ns */
};

/* A stack of some thread of the process. `took_ns`: when it took its last message. */
void progress_stack(struct progress *p, const struct stop *s, uint32_t consumer, uint64_t took_ns,
		    const struct dp_record *r);
/* When it is back in next(), going by the longest time that it has been away; 0 unknown. */
uint64_t progress_expected_end(const struct progress *p);
/*
 * Asks for the consumer's stack while there is no Stop; afterwards, when others ask for that one,
 * for main's where it is another thread or has closed its outputs.
 */
void progress_ask(struct progress *p, const struct env *e, const struct identity *id,
		  const struct stop *s);

#endif
