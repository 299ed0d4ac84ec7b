// SPDX-License-Identifier: MIT
/* What functions have cost; see functions.h. */
#include "model/functions.h"

#include <string.h>

static bool is_of(const struct function_cost *f, const struct place *p)
{
	return f->b.line == p->line && strcmp(f->b.function, p->function) == 0 &&
	       strcmp(f->b.file, p->file) == 0;
}

int functions_index(struct functions *f, const struct place *p)
{
	struct function_cost *c;

	if (!p->known || !p->function[0])
		return -1;
	for (uint32_t i = 0; i < f->count; i++)
		if (is_of(&f->at[i], p))
			return (int)i;
	if (f->count == FUNCTIONS_MAX)
		return -1;
	c = &f->at[f->count];
	memset(c, 0, sizeof(*c));
	memcpy(c->b.function, p->function, sizeof(c->b.function));
	memcpy(c->b.file, p->file, sizeof(c->b.file));
	c->b.line = p->line;
	return (int)f->count++;
}

uint64_t functions_longest_hold(const struct functions *f, const struct place *p)
{
	if (!p->known || !p->function[0])
		return 0;
	for (uint32_t i = 0; i < f->count; i++)
		if (is_of(&f->at[i], p))
			return f->at[i].max_hold_ns;
	return 0;
}

void functions_held(struct functions *f, int i, uint64_t length_ns)
{
	if (i < 0)
		return;
	f->at[i].b.held_ns += length_ns;
	if (length_ns > f->at[i].max_hold_ns)
		f->at[i].max_hold_ns = length_ns;
}

_Static_assert(FUNCTIONS_MAX <= 64, "the bits of functions_dearest");

uint32_t functions_dearest(const struct functions *f, struct dp_blame ret[DP_BLAME_MAX])
{
	uint64_t taken = 0; /* bit per function */
	uint32_t count = 0;

	while (count < DP_BLAME_MAX) {
		const struct dp_blame *best = NULL;
		uint32_t at = 0;

		for (uint32_t i = 0; i < f->count; i++) {
			const struct dp_blame *b = &f->at[i].b;

			if (taken & (1ULL << i))
				continue;
			if (!best || b->token_ns > best->token_ns ||
			    (b->token_ns == best->token_ns && b->held_ns > best->held_ns)) {
				best = b;
				at = i;
			}
		}
		if (!best || best->held_ns == 0)
			break;
		taken |= 1ULL << at;
		ret[count++] = *best;
	}
	return count;
}
