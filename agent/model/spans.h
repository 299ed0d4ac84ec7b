/* SPDX-License-Identifier: MIT */
/*
 * The holds or waits of a process that are over, one after the other, the last SPANS_MAX of
 * them.
 */
#ifndef DORA_PROBE_MODEL_SPANS_H
#define DORA_PROBE_MODEL_SPANS_H

#include <stdbool.h>
#include <stdint.h>

#define SPANS_MAX 2048 /* for tokens that end later */

struct span {
	uint64_t from, to;
	uint32_t tid;
	int16_t function; /* index into struct functions, -1 unknown */
	int8_t native;    /* as struct native's verdict */
	bool dora;        /* inside dora's own code */
	bool deadlock;
};

struct span_ring {
	uint32_t head; /* next to write */
	uint32_t count;
	struct span at[SPANS_MAX];
};

/* The i-th, oldest first. */
static inline const struct span *span_at(const struct span_ring *r, uint32_t i)
{
	return &r->at[(r->head + SPANS_MAX - r->count + i) % SPANS_MAX];
}

/* Index of the first span that ends after t. */
uint32_t span_first(const struct span_ring *r, uint64_t t);
/* Adds a span at the end, cut where it reaches into the last one. */
void span_push(struct span_ring *r, const struct span *s);
/* Length that two stretches have in common. */
uint64_t overlap(uint64_t a_from, uint64_t a_to, uint64_t b_from, uint64_t b_to);

#endif
