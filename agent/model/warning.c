// SPDX-License-Identifier: MIT
/* The state of a warning; see warning.h. */
#include "model/warning.h"

#include <string.h>

void warning_clear(struct warning *w)
{
	memset(w, 0, sizeof(*w));
	w->cause = -1;
}

bool warning_name(struct warning *w, uint32_t key)
{
	uint32_t x = place_hash(key, &w->place);

	for (uint32_t i = 0; i < w->named_count; i++)
		if (w->named[i] == x)
			return false;
	if (w->named_count == NAMED_MAX)
		return false;
	w->named[w->named_count++] = x;
	return true;
}

enum warn_level warning_level(uint64_t value, uint64_t d)
{
	if (value >= 10 * d)
		return LEVEL_CRITICAL;
	if (value >= 4 * d)
		return LEVEL_WARNING;
	return value >= d ? LEVEL_NOTICE : LEVEL_NONE;
}

uint64_t warning_threshold(enum warn_level l, uint64_t d)
{
	return l == LEVEL_CRITICAL ? 10 * d : l == LEVEL_WARNING ? 4 * d : d;
}
