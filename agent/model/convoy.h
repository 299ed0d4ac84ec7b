/* SPDX-License-Identifier: MIT */
/*
 * A convoy: a thread that gives the GIL up at each of its calls, and then waits a switch interval for
 * it, since another thread runs bytecode. The waits alone do not tell it: two threads that both compute
 * wait as long for each other. But those hold the GIL for as long themselves; a thread in a convoy holds
 * it for less than what the kernel tells (2 ms) between two waits.
 */
#ifndef DORA_PROBE_MODEL_CONVOY_H
#define DORA_PROBE_MODEL_CONVOY_H

#include <stdbool.h>
#include <stdint.h>

#define CONVOY_THREADS 8

struct convoy {
	struct {
		uint32_t tid;
		uint32_t waits; /* such waits in this stretch */
		uint64_t wait_ns;
		bool held_long; /* since its last wait */
	} at[CONVOY_THREADS];
};

/* A wait of a thread is over. `interval_ns`: the switch interval. */
void convoy_wait(struct convoy *c, uint32_t tid, uint64_t wait_ns, uint64_t interval_ns);
/* The thread has held the GIL for a time that is told. */
void convoy_held(struct convoy *c, uint32_t tid);
/*
 * A stretch of length_ns is over: the thread that lost most of it in such waits, and what part of it;
 * 0 there is none. The next one is counted anew.
 */
uint32_t convoy_stretch(struct convoy *c, uint64_t length_ns, double *ret_part);

#endif
