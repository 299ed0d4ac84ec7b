// SPDX-License-Identifier: MIT
/* What a nudge did at a place. Learned from those that were sent. */
#include "decide/deciding.h"

#include "base/hash.h"

#include <string.h>

/* A string and an end that no UTF-8 has, so that "ab" + "c" is not "a" + "bc". */
static uint64_t part(uint64_t h, const char *s)
{
	return dp_hash_bytes(dp_hash_text(h, s), "\xff", 1);
}

uint64_t policy_place_key(const struct dp_place *p)
{
	uint64_t h = DP_HASH_START;

	if (!p || ((!p->function || !p->function[0]) && (!p->library || !p->library[0])))
		return 0;
	h = part(h, p->function);
	h = part(h, p->file);
	h = part(h, p->library);
	h = dp_hash_u32(h, (uint32_t)p->line);
	return h ? h : 1;
}

struct dp_policy_learned *policy_learned(struct dp_policy_state *st, uint64_t key)
{
	size_t i;

	for (i = 0; key && i < DP_POLICY_MEMORY; i++)
		if (st->learned[i].place == key)
			return &st->learned[i];
	return NULL;
}

void policy_learn(struct dp_policy_state *st, uint64_t key, enum dp_learned what, uint64_t now)
{
	struct dp_policy_learned *l = policy_learned(st, key);
	uint32_t *n;
	size_t i;

	if (!key)
		return;
	if (!l) {
		/* The least recently used one gives way, so a hostile node fills only its table. */
		l = &st->learned[0];
		for (i = 1; i < DP_POLICY_MEMORY; i++)
			if (st->learned[i].used_ns < l->used_ns)
				l = &st->learned[i];
		memset(l, 0, sizeof(*l));
		l->place = key;
	}
	l->used_ns = now;
	n = what == DP_LEARNED_HELPED    ? &l->helped
	    : what == DP_LEARNED_IN_VAIN ? &l->in_vain
					 : &l->swallowed;
	if (*n < UINT32_MAX)
		++*n;
}
