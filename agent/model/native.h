/* SPDX-License-Identifier: MIT */
/*
 * Is a hold within one native call, or does it run bytecode? From where its bytecode stands over
 * the looks, from the kernel's samples, and from what the thread does with a request for the GIL.
 */
#ifndef DORA_PROBE_MODEL_NATIVE_H
#define DORA_PROBE_MODEL_NATIVE_H

#include "base/units.h"
#include "dora_probe/record.h"

#include <stdbool.h>

/* A sleep with the GIL of at least this length is no bytecode. */
#define NATIVE_SLEEP_NS (10 * MS)

struct native {
	int8_t verdict;     /* 1 proven, 0 refuted, -1 unknown */
	uint64_t frame, ip; /* bytecode position at the last look; ip 0: not known */
	/* the stretch of looks at this position */
	uint64_t since_ns;
	uint32_t looks;            /* without those that found the thread wanting the CPU */
	uint16_t samples, eval;    /* the kernel's counts when it began */
	uint64_t longest_ns;       /* of the earlier stretches */
	uint64_t slept_ns;         /* in sleeps of NATIVE_SLEEP_NS or more that are over */
	uint64_t asleep_ns;        /* in the one of the last look, unless it was told since */
	uint64_t request_since_ns; /* a waiter has been asking for the GIL since; 0 none */
};

/*
 * Since when the holder of a look has been off the CPU, 0 when it is not or nobody knows. A sample
 * of the thread on the CPU after it went off says that its return was missed.
 */
static inline uint64_t look_off_since(const struct dp_rec_look *k)
{
	return k->run_last_ns > k->off_since_ns ? 0 : k->off_since_ns;
}

/* A look at the holder; `seen_ns` is the hold's first evidence. */
void native_look(struct native *n, const struct dp_rec_look *k, uint64_t t_ns, uint64_t seen_ns);
/* The holder sleeps, for `ns` by now, which is NATIVE_SLEEP_NS or more. */
void native_asleep(struct native *n, uint64_t ns);
/* The holder slept for `ns`, NATIVE_SLEEP_NS or more: bytecode does that only where a page is missing. */
void native_slept(struct native *n, uint64_t ns);
/* The stretch at one position ends at t_ns, with the hold or by a move: was it most of the hold? */
void native_stretch_end(struct native *n, uint64_t t_ns, uint64_t seen_ns);

#endif
