// SPDX-License-Identifier: MIT
/* A thread that waits a switch interval at each of its calls; see convoy.h. */
#include "model/convoy.h"

#include "base/units.h"

/* So many such waits a second, and this part of the time, make a convoy. */
#define WAITS_A_SECOND 10
#define LEAST_PART     0.1

/* The thread's place; one that is new takes that of the thread with the least waits. */
static uint32_t place_of(struct convoy *c, uint32_t tid)
{
	uint32_t least = 0;

	for (uint32_t i = 0; i < CONVOY_THREADS; i++) {
		if (c->at[i].tid == tid)
			return i;
		if (c->at[i].wait_ns < c->at[least].wait_ns)
			least = i;
	}
	c->at[least].tid = tid;
	c->at[least].waits = 0;
	c->at[least].wait_ns = 0;
	c->at[least].held_long = false;
	return least;
}

void convoy_wait(struct convoy *c, uint32_t tid, uint64_t wait_ns, uint64_t interval_ns)
{
	uint32_t i = place_of(c, tid);

	if (wait_ns >= interval_ns && !c->at[i].held_long) {
		c->at[i].waits++;
		c->at[i].wait_ns += wait_ns;
	}
	c->at[i].held_long = false;
}

void convoy_held(struct convoy *c, uint32_t tid)
{
	c->at[place_of(c, tid)].held_long = true;
}

uint32_t convoy_stretch(struct convoy *c, uint64_t length_ns, double *ret_part)
{
	uint32_t worst = 0, tid = 0;

	for (uint32_t i = 1; i < CONVOY_THREADS; i++)
		if (c->at[i].wait_ns > c->at[worst].wait_ns)
			worst = i;
	*ret_part = length_ns ? (double)c->at[worst].wait_ns / (double)length_ns : 0;
	if (c->at[worst].waits * SEC >= WAITS_A_SECOND * length_ns && *ret_part >= LEAST_PART)
		tid = c->at[worst].tid;
	for (uint32_t i = 0; i < CONVOY_THREADS; i++) {
		c->at[i].waits = 0;
		c->at[i].wait_ns = 0;
	}
	return tid;
}
