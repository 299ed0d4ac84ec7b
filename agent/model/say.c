// SPDX-License-Identifier: MIT
/* The model's way out; see say.h. */
#include "model/say.h"

#include "decide/policy.h"

static void emit(const struct env *e, const struct identity *id, uint64_t t_ns,
		 struct dp_finding *f)
{
	f->t_ns = t_ns;
	f->wall_offset_ns = e->wall_offset_ns;
	if (id) {
		f->pid = id->pid;
		f->dataflow = id->facts.dataflow[0] ? id->facts.dataflow : NULL;
		f->node = id->facts.node[0] ? id->facts.node : NULL;
	}
	e->sink.finding(e->sink.ctx, f);
}

static uint64_t or_null(uint64_t ns)
{
	return ns ? ns : DP_NULL;
}

/* Recordings up to 0.1.0 do not say how: their probe asked the distribution first. */
static uint8_t dora_source(const struct identity *id)
{
	if (id->limits_known)
		return id->limits.dora_source;
	return id->facts.dora[0] ? DP_DORA_FROM_DISTRIBUTION : DP_DORA_FROM_ASSUMED;
}

void say_node(const struct env *e, struct identity *id, uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_NODE};
	const struct dp_rec_node *facts = &id->facts;
	uint32_t signal = e->options.nudge_signal;

	id->announced = true;
	f.u.node = (struct dp_node_finding){
		.facts = facts,
		.dora_source = dora_source(id),
		.health_check_timeout_ns = or_null(id->limits.health_ns),
		.startup_timeout_ns = or_null(id->limits.startup_ns),
		.finish_grace_ns = or_null(id->limits.finish_ns),
		.role = id->role < 0 ? NULL : dp_member_name((unsigned int)id->role),
		.life = id->life,
		.level = e->level,
		.nudge_signal = signal,
		.nudge_disposition = (uint8_t)dp_policy_disposition(facts->signals_caught,
								    facts->signals_ignored, signal),
		.other_caught_signal =
			(uint8_t)dp_policy_other_signal(facts->signals_caught, signal),
	};
	emit(e, id, t_ns, &f);
}

/*
 * What a process does in its first moments, while nobody knows whether it is the node or but starts
 * it, is no line about the node: it is counted, and told if a warning introduces the process.
 */
static bool is_too_early(const struct env *e, const struct identity *id)
{
	return id->unproven && !id->announced && e->now - id->first_ns < INTRODUCE_NS;
}

void say_finding(const struct env *e, struct identity *id, uint64_t t_ns, struct dp_finding *f)
{
	if (id && (f->type == DP_FIND_GIL_HOLD || f->type == DP_FIND_SHARE) && is_too_early(e, id))
		return;
	/* A wait is no line, and the summary comes when everything has been said. */
	if (id && !id->announced && f->type != DP_FIND_SUMMARY_NODE && f->type != DP_FIND_GIL_WAIT)
		say_node(e, id, e->now);
	emit(e, id, t_ns, f);
}

void say_request(const struct env *e, const struct identity *id, struct dp_request *q)
{
	q->pid = id->pid;
	q->start_time = id->facts.start_time;
	e->sink.request(e->sink.ctx, q);
}
