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
#include "model/hold.h"
#include "model/place.h"
#include "model/say.h"

/* How often the consumer is looked at before any Stop. */
#define PROGRESS_EVERY_NS (500 * MS)
#define PROGRESS_PLACES   32
#define PROGRESS_NEW      16
#define PROGRESS_CALLS    8
/* Other threads than the consumer and main: how often before any Stop, and how much of them is kept. */
#define PROGRESS_THREADS_EVERY_NS (2 * SEC)
#define PROGRESS_THREADS          16
#define PROGRESS_THREAD_PLACES    8
/* A thread that so many looks in a row have found where it was before Stop goes on as before. */
#define PROGRESS_THREAD_LOOKS 3
/* Threads that have not been seen for so long have ended. */
#define PROGRESS_THREAD_FRESH_NS (1500 * MS)
/* Who could not run gets so long to come back to next() and take Stop before a look counts. */
#define PROGRESS_CHANCE_NS (300 * MS)
/* A wait for the GIL, or another thread's hold, that is no mere handing over. */
#define PROGRESS_WAIT_NS (200 * MS)

struct progress_thread {
	uint32_t tid;
	uint64_t seen_ns;
	uint64_t known[PROGRESS_THREAD_PLACES]; /* places before Stop, the last ones */
	uint32_t next;                          /* place in known[] */
	uint32_t same;                          /* since Stop: looks in a row at a known place */
};

struct progress {
	struct {
		uint64_t key;
		uint64_t seen_ns;
	} known[PROGRESS_PLACES]; /* places before Stop, and those of the same loop after it */
	/* places since Stop that are not known: known as well once it comes back to a known one */
	uint64_t fresh[PROGRESS_NEW];
	uint32_t fresh_count;
	/*
	 * The function that calls next(): how many frames deep it is, 0 not seen, and its name as a number. Then its
	 * lines, with those of all its callers, from which it had called something else before Stop; a ring.
	 */
	uint32_t loop_depth;
	uint64_t loop_name;
	uint64_t calls[PROGRESS_CALLS];
	uint32_t next_call;
	uint64_t call_ns; /* since Stop: last at an unknown place below one of these lines */
	uint64_t asked_ns;
	uint64_t before_ns;  /* last stack before Stop; 0 none, as all below */
	uint64_t same_ns;    /* since Stop: last at a known place, when it could have left it */
	uint64_t kept_ns;    /* since Stop: the same, or in a wait for the GIL there */
	uint64_t held_up_ns; /* since Stop: last found unable to move on, by the caller */
	uint64_t other_ns;   /* since Stop: last at another */
	uint64_t idle_ns;    /* since Stop: last in asyncio's wait, which shows none of its tasks */
	uint64_t finalising_ns; /* main has ended, and Python waits for its other threads; since */
	uint64_t
		joining_ns; /* since Stop: main last found waiting for a thread, where it did not before */
	struct progress_thread threads[PROGRESS_THREADS];
	uint64_t threads_asked_ns;
	uint64_t busy_since_ns;   /* it has been away from next() since; 0 it is there, unknown */
	uint64_t longest_busy_ns; /* of the times away that are over */
	bool asyncio;             /* the last stack stood below asyncio */
	struct place place;       /* of same_ns */
};

/*
 * A stack of some thread of the process. `current` is the main GIL's hold, this stack taken in; `took_ns`: when
 * the consumer took its last message.
 */
void progress_stack(struct progress *p, const struct stop *s, const struct hold *current,
		    uint32_t consumer, uint64_t took_ns, const struct dp_record *r);
/* When it is back in next(), going by the longest time that it has been away; 0 unknown. */
uint64_t progress_expected_end(const struct progress *p);
/*
 * Are all other threads that are left where they were before Stop, look after look? The tid of one of
 * them; 0: not all are, there is none, or it is not known where they were.
 */
uint32_t progress_threads_go_on(const struct progress *p, uint64_t now);
/* The only Python thread beside main, by the last rounds of looks before Stop; 0: there are more, or none. */
uint32_t progress_only_thread(const struct progress *p, uint64_t now);
/*
 * Asks for the consumer's stack while there is no Stop; afterwards, when others ask for that one,
 * for main's where it is another thread or has closed its outputs.
 */
void progress_ask(struct progress *p, const struct env *e, const struct identity *id,
		  const struct stop *s);

#endif
