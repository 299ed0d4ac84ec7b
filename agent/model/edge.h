/* SPDX-License-Identifier: MIT */
/*
 * The governor of a process' edge source: the uprobe on pthread_cond_signal, by which takes and
 * releases of the GIL are seen exactly. It costs every release some microseconds, so it is armed
 * for a candidate, or all the time with --exact, and not while the process releases too often.
 */
#ifndef DORA_PROBE_MODEL_EDGE_H
#define DORA_PROBE_MODEL_EDGE_H

#include "model/say.h"

enum edge_request { EDGE_NOTHING_ASKED, EDGE_ARM_ASKED, EDGE_DISARM_ASKED };

struct edge {
	bool armed;
	bool refused;         /* cannot be armed at all */
	bool failed;          /* could not be armed the last time */
	uint8_t asked;        /* enum edge_request: not answered yet */
	uint64_t armed_ns;    /* by the kernel's clock; 0 not armed */
	uint64_t useful_ns;   /* last candidate or hold while armed */
	uint64_t retry_ns;    /* not to be armed before */
	uint64_t detached_ns; /* until then the kernel may still be detaching */
	uint64_t backoff_ns;
	uint64_t often_ns; /* when it was last seen to release more often than the budget allows */
	uint64_t keep_ns;  /* how long to stay armed without a candidate */
	uint64_t rate_ns, rate_count; /* releases at the last reading */
};

/* The edge source went on, off, or failed to. */
void edge_source(struct edge *d, const struct env *e, const struct dp_record *r);
/* What a look of the main GIL knows of it. */
void edge_look(struct edge *d, const struct dp_rec_look *k);
/*
 * Arms or disarms: `age` is that of the candidate, 0 without one; `stuck` says that its bytecode
 * position has not changed for long.
 */
void edge_govern(struct edge *d, const struct env *e, const struct identity *id, uint64_t age,
		 bool stuck);
/* Was the process seen lately to release more often than the budget allows? */
bool edge_releases_often(const struct edge *d, uint64_t t_ns);
/*
 * Is [from, to] a time in which the detaching of the source holds threads up? Each that comes by its
 * uprobe then waits for 5 to 16 ms, with the GIL where it has just taken it (measured on 6.18: 10 to 55
 * ms after the request, at each of five).
 */
bool edge_stalled(const struct edge *d, uint64_t from_ns, uint64_t to_ns);

#endif
