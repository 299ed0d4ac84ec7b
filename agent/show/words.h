/* SPDX-License-Identifier: MIT */
/* The words that sentences for a person share: causes, durations, places, threads. */
#ifndef DORA_PROBE_WORDS_H
#define DORA_PROBE_WORDS_H

#include <stdbool.h>

#include <stdint.h>

#include "dora_probe/finding.h"
#include "show/line.h"

/* True for a string that is known and not empty. */
static inline int has(const char *s)
{
	return s && *s;
}

/* The ending of a noun that is counted. */
static inline const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* An enum dp_cause, negative or unknown values too. Static string. */
const char *cause_words(int cause);
void put_duration(struct dp_line *l, uint64_t ns);
/* 0: "an unknown signal". */
void put_signal(struct dp_line *l, uint32_t sig);
/*
 * " in process (vision.py:42), inside libfoo.so", or nothing. `native`: the thread is known to be
 * inside one native call; without that, a library says where the thread was and no more.
 */
void put_place(struct dp_line *l, const struct dp_place *p, int native);
/* "thread MainThread (tid 1234)", as much of it as is known; nothing where neither is. */
void put_thread(struct dp_line *l, const struct dp_place *p, uint32_t tid);

/* "83 % held, 2 % waited for", the shares that are known; false: none is, and nothing is written. */
bool put_shares(struct dp_line *l, const struct dp_estimate *held, const struct dp_estimate *wait,
		const struct dp_estimate *without, const struct dp_estimate *blocked);

#endif
