/* SPDX-License-Identifier: MIT */
/*
 * What the kernel programs may cost a watched process, and the agent with it: a source that a process floods is left
 * alone for a while, for that process alone, and longer each time. The uprobe has a governor of its own
 * (model/edge.h), signals are limited in the kernel (DP_SIGNALS_MAX).
 */
#ifndef DORA_PROBE_GOVERNOR_H
#define DORA_PROBE_GOVERNOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum governed { GOVERNED_SOCKETS, GOVERNED_REGIONS, GOVERNED_SWITCHES, GOVERNED_COUNT };

struct governed_source {
	uint32_t count; /* in the second that begins at begin_ns */
	uint64_t begin_ns;
	uint32_t most;     /* in a second, since the last tick */
	uint32_t strikes;  /* how often it was left alone lately */
	uint64_t until_ns; /* left alone until then; 0 it is looked at */
	uint64_t since_ns; /* looked at again since; 0 always was */
	uint32_t seconds;  /* for how long it is, or was last, left alone … */
	uint32_t limit;    /* … after so many in a second */
};

struct governor {
	struct governed_source of[GOVERNED_COUNT];
};

/* How often a second each may happen; 0 as often as it likes. */
struct governor_limits {
	uint32_t per_second[GOVERNED_COUNT];
};

/* By --max-overhead, in per cent of a core: a source may take ten times as much before it counts as a flood. */
void governor_limits(double percent, struct governor_limits *ret);
/*
 * It has happened so often more, at that time, which goes by the captures: an agent that comes late has those of
 * several seconds before it at once.
 */
void governor_count(struct governor *g, enum governed i, uint32_t count, uint64_t t_ns);
/* Has anything happened since the last tick? */
bool governor_has_counted(const struct governor *g);
/* At each tick. Returns those that are left alone from now on, a bit per enum governed. */
uint32_t governor_tick(struct governor *g, const struct governor_limits *l, uint64_t now_ns);
/* Why it is left alone and what is not seen meanwhile, as a sentence. */
void governor_says(const struct governor *g, enum governed i, char *buf, size_t len);

#endif
