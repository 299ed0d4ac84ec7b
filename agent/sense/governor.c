// SPDX-License-Identifier: MIT
/* A source that a process floods is left alone for a while (governor.h). */
#include "sense/governor.h"

#include <stdio.h>

#include "base/units.h"

/* Left alone for 5 s, then 10, 20 … */
#define FIRST_S     5u
#define DOUBLINGS   4u
#define FORGIVEN_NS (60 * SEC)
/* What flows flat out and a source for each message comes to is far below ten times the budget. */
#define FLOOD 10.0

/*
 * What one costs, its program and what the agent does with its capture (6.18, run-time statistics and the floods of
 * tests/bench): bytes or a region 1 µs, a switch 0.4 µs.
 */
static const double cost_ns[GOVERNED_COUNT] = {
	[GOVERNED_SOCKETS] = 1000, [GOVERNED_REGIONS] = 1000, [GOVERNED_SWITCHES] = 400};

void governor_limits(double percent, struct governor_limits *ret)
{
	for (int i = 0; i < GOVERNED_COUNT; i++) {
		double most = FLOOD * percent / 100 * (double)SEC / cost_ns[i];

		ret->per_second[i] = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
	}
}

void governor_count(struct governor *g, enum governed i, uint32_t count, uint64_t t_ns)
{
	struct governed_source *s = &g->of[i];

	if (t_ns >= s->begin_ns + SEC) {
		s->begin_ns = t_ns;
		s->count = 0;
	}
	s->count += count;
	if (s->count > s->most)
		s->most = s->count;
}

/* One too many in this second. */
static void leave_alone(struct governed_source *s, uint32_t limit, uint64_t now_ns)
{
	if (s->since_ns && now_ns - s->since_ns > FORGIVEN_NS)
		s->strikes = 0;
	s->seconds = FIRST_S << (s->strikes < DOUBLINGS ? s->strikes : DOUBLINGS);
	s->strikes++;
	s->until_ns = now_ns + s->seconds * SEC;
	s->limit = limit;
}

bool governor_has_counted(const struct governor *g)
{
	bool ret = false;

	for (int i = 0; i < GOVERNED_COUNT; i++)
		ret |= g->of[i].most != 0;
	return ret;
}

uint32_t governor_tick(struct governor *g, const struct governor_limits *l, uint64_t now_ns)
{
	uint32_t ret = 0;

	for (int i = 0; i < GOVERNED_COUNT; i++) {
		struct governed_source *s = &g->of[i];

		if (s->until_ns && now_ns >= s->until_ns) {
			s->until_ns = 0;
			s->since_ns = s->begin_ns = now_ns;
			s->count = s->most = 0;
		}
		if (!s->until_ns && l->per_second[i] && s->most > l->per_second[i])
			leave_alone(s, l->per_second[i], now_ns);
		s->most = 0;
		if (s->until_ns)
			ret |= 1u << i;
	}
	return ret;
}

void governor_says(const struct governor *g, enum governed i, char *buf, size_t len)
{
	static const char *const what[GOVERNED_COUNT] = {
		[GOVERNED_SOCKETS] = "its sockets are used",
		[GOVERNED_REGIONS] = "it maps shared memory",
		[GOVERNED_SWITCHES] = "its threads are switched",
	};
	static const char *const missing[GOVERNED_COUNT] = {
		[GOVERNED_SOCKETS] = "tokens and Stop unseen",
		[GOVERNED_REGIONS] = "mapped messages unseen",
		[GOVERNED_SWITCHES] = "time off the CPU unseen",
	};

	snprintf(buf, len, "%s more than %u times a second: left alone for %u s, %s", what[i],
		 g->of[i].limit, g->of[i].seconds, missing[i]);
}
