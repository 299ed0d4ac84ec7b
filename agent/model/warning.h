/* SPDX-License-Identifier: MIT */
/*
 * The state of one kind of warning at one node: which step it has reached, and what it has named.
 */
#ifndef DORA_PROBE_MODEL_WARNING_H
#define DORA_PROBE_MODEL_WARNING_H

#include "model/place.h"

enum warn_level { LEVEL_NONE, LEVEL_NOTICE, LEVEL_WARNING, LEVEL_CRITICAL };

#define NAMED_MAX 8

struct warning {
	uint8_t level; /* enum warn_level: the highest since it was raised */
	int8_t cause;  /* enum dp_cause, -1 none */
	uint64_t raised_ns;
	uint64_t below_ns; /* below half of the threshold since; 0 not */
	uint32_t holder_tid;
	struct place place;
	uint64_t held_ns;
	uint64_t examined_ns;      /* delivery of the last token whose cause was looked at */
	uint32_t named[NAMED_MAX]; /* what it has named since it was raised, as place_hash() */
	uint32_t named_count;
};

void warning_clear(struct warning *w);
/*
 * Notes its place, with a key (thread or cause). False when that was named before; where the list
 * is full everything counts as named.
 */
bool warning_name(struct warning *w, uint32_t key);
/* The step that `value` has reached against the threshold `d`: D, 4 D, 10 D. */
enum warn_level warning_level(uint64_t value, uint64_t d);
/* The value at which a step is reached. */
uint64_t warning_threshold(enum warn_level l, uint64_t d);

#endif
