// SPDX-License-Identifier: MIT
/* Does a signal end a call of this function? Learned from the nudges that were sent. */
#include "decide/deciding.h"

#include <string.h>

static uint64_t hash(uint64_t h, const char *s)
{
	/* FNV-1a, 64 bit. */
	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

uint64_t policy_place_key(const struct dp_place *p)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	if ((!p->function || !p->function[0]) && (!p->library || !p->library[0]))
		return 0;
	h = hash(h, p->function);
	h = hash(h, p->file);
	h = hash(h, p->library);
	h = (h ^ (uint32_t)p->line) * 0x100000001b3ULL;
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

void policy_learn(struct dp_policy_state *st, uint64_t key, bool helped, uint64_t now)
{
	struct dp_policy_learned *l = policy_learned(st, key);
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
	if (helped && l->helped < UINT32_MAX)
		l->helped++;
	else if (!helped && l->in_vain < UINT32_MAX)
		l->in_vain++;
}
