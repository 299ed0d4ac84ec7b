// SPDX-License-Identifier: MIT
/* The `node` line of a process; see introduce.h. */
#include "model/introduce.h"

void introduce_role(struct identity *id, const struct member *of, const struct dp_rec_node *facts)
{
	id->role = (int8_t)(of ? of->role : facts->is_dora ? DP_MEMBER_NODE : -1);
	id->unproven = of && !of->proven;
}

/* Has its line waited long enough? What is no Python, and not connected, may be any program. */
static bool has_waited(const struct identity *id, uint64_t t_ns)
{
	return t_ns - id->first_ns >= INTRODUCE_NS && !(id->unproven && !id->facts.is_python);
}

/* A node that has just started is not understood, or has not imported dora, yet. */
static bool is_growing(const struct identity *id, const struct dp_rec_node *f)
{
	return f->is_dora &&
	       (id->unproven || !f->implementation[0] || (f->is_python && !f->dora[0]));
}

/* Whether its tokens can be seen shows with the first frame, which may come any moment. */
static bool is_unheard(const struct identity *id, uint64_t t_ns)
{
	return id->facts.unheard && t_ns - id->first_ns < UNHEARD_NS;
}

void introduce_facts(const struct env *e, struct identity *id, bool changed, uint64_t t_ns)
{
	if (!id->announced &&
	    (is_unheard(id, t_ns) || (is_growing(id, &id->facts) && !has_waited(id, t_ns))))
		return;
	if (!id->announced || changed)
		say_node(e, id, t_ns);
}

void introduce_tick(const struct env *e, struct identity *id)
{
	if (id->announced || is_unheard(id, e->now))
		return;
	if (has_waited(id, e->now) || (id->facts.unheard && !is_growing(id, &id->facts)))
		say_node(e, id, e->now);
}
