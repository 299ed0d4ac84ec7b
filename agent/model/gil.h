/* SPDX-License-Identifier: MIT */
/*
 * The GILs of a process: who holds each now, the holds that have just ended and wait for late
 * evidence, who waits; and, once a hold is settled, what it adds to the node's account.
 */
#ifndef DORA_PROBE_MODEL_GIL_H
#define DORA_PROBE_MODEL_GIL_H

#include "model/deadline.h"
#include "model/edge.h"
#include "model/functions.h"
#include "model/hold.h"
#include "model/say.h"
#include "model/spans.h"

#define WAITERS_MAX 32
#define CLOSING_MAX 8
/* How long a hold that has ended, and a token, wait for evidence of the same moment. */
#define CLOSING_NS (30 * MS)

struct waiter {
	uint32_t tid;
	uint64_t begin_ns;
};

struct gil {
	struct hold cur;
	struct hold closing[CLOSING_MAX]; /* ended, oldest first */
	uint32_t closing_count;
	struct waiter waiters[WAITERS_MAX];
	uint32_t waiter_count;
	uint64_t last_release_ns;
	uint32_t last_release_tid;
	uint64_t trust_ns; /* absence of releases proves nothing before this (losses) */
};

/* The GIL timeline of a process. The rings at the end are large: timeline_clear() empties them. */
struct timeline {
	struct gil gils[DP_MAX_GILS];
	uint32_t
		gil_count; /* those from the front of which a record has told: the others are as they were cleared */
	/* totals */
	uint64_t holds, max_hold_ns, held_ns;
	uint64_t max_own_hold_ns; /* without holds inside dora, which its clean-up contains */
	char max_hold_function[DP_FUNCTION_MAX];
	uint64_t waits, wait_ns;
	bool hold_unfinished; /* a hold was going on at the end */
	struct functions functions;
	struct span_ring ended_holds; /* of the main GIL, proven ones */
	struct span_ring ended_waits; /* of the consumer, for the main GIL */
};

/* A process' timeline, and what of the process the timeline's functions need beside it. */
struct timeline_of {
	struct timeline *t;
	const struct env *env;
	struct identity *id;
	const struct edge *edge;
	struct stop *stop;
};

void timeline_clear(struct timeline *t, uint64_t t_ns);
/* A record about one of its GILs. */
void timeline_meet(struct timeline *t, const struct dp_record *r);
/* The hold that goes on at the main GIL, of an age that counts; NULL none. */
const struct hold *timeline_current(const struct timeline *t);
/* Age of the oldest hold or candidate of any GIL of the process, ns; 0 none. */
uint64_t timeline_oldest_age(const struct timeline *t);
/* When a hold ends, going by earlier holds of the same function and line; 0 unknown. */
uint64_t timeline_expected_end(const struct timeline *t, const struct hold *h);

/* `tid` holds from now on. The GIL must be free. */
void gil_take(struct gil *g, uint32_t tid, uint64_t lo_ns, uint64_t seen_ns);
/*
 * The current hold is known not to be held at `hi`: it is put aside for CLOSING_NS. Nothing where
 * nobody holds.
 */
void gil_release(const struct timeline_of *p, unsigned int gil, uint64_t hi);
/* Settles what has waited for CLOSING_NS: counts it, says it. */
void gil_settle(const struct timeline_of *p, unsigned int gil);
/* Settles everything, the current hold too: the process, or the probe (`probe_ends`), ends. */
void gil_settle_all(const struct timeline_of *p, unsigned int gil, uint64_t t_ns, bool probe_ends);

#endif
