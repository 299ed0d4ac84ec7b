// SPDX-License-Identifier: MIT
/* Commands of dora that end nodes; see commands.h. */
#include "model/commands.h"

#include <string.h>

/* A command concerns what comes to its nodes within this time. */
#define CONCERNS_NS (30 * SEC)

/* Recordings up to 0.1.0 know `dora stop` alone. */
static struct dp_rec_command of_stop_command(const struct dp_record *r)
{
	const struct dp_rec_stop_command *s = &r->u.stop_command;
	struct dp_rec_command c = {.started_ns = r->h.t_ns,
				   .grace_ns = s->grace_ns,
				   .uid = s->uid,
				   .verb = DP_DORA_STOP,
				   .force = s->force};

	_Static_assert(sizeof(c.dataflow) >= sizeof(s->target), "the target fits");
	memcpy(c.dataflow, s->target, sizeof(s->target));
	return c;
}

void commands_note(struct commands *c, const struct dp_record *r)
{
	struct dp_rec_command *slot = &c->at[c->count % COMMANDS_MAX];

	*slot = r->h.type == DP_REC_STOP_COMMAND ? of_stop_command(r) : r->u.command;
	c->count++;
}

const struct dp_rec_command *commands_newest(const struct commands *c)
{
	return c->count ? &c->at[(c->count - 1) % COMMANDS_MAX] : NULL;
}

/*
 * Does the command end this life of the node? All but stop and destroy bring up another one of the
 * same name, which they do not concern.
 */
static bool concerns(const struct dp_rec_command *c, const struct identity *id)
{
	if (c->node[0] && strcmp(c->node, id->facts.node) != 0)
		return false;
	if (c->verb != DP_DORA_STOP && c->verb != DP_DORA_DESTROY && id->first_ns > c->started_ns)
		return false;
	return !c->dataflow[0] || strcmp(c->dataflow, id->facts.dataflow) == 0 ||
	       strcmp(c->dataflow, id->facts.dataflow_name) == 0;
}

const struct dp_rec_command *commands_find(const struct commands *c, const struct identity *id,
					   uint64_t t_ns, bool force)
{
	uint32_t have = c->count < COMMANDS_MAX ? c->count : COMMANDS_MAX;

	for (uint32_t i = 1; i <= have; i++) {
		const struct dp_rec_command *one = &c->at[(c->count - i) % COMMANDS_MAX];

		if (one->started_ns <= t_ns && t_ns - one->started_ns <= CONCERNS_NS &&
		    (!force || one->force) && concerns(one, id))
			return one;
	}
	return NULL;
}
