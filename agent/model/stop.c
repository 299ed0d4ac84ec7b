// SPDX-License-Identifier: MIT
/* Being told to stop; see stop.h. */
#include "model/stop.h"

#include <string.h>

static void say_stop(const struct stop *s, const struct env *e, struct identity *id,
		     enum dp_stop_reason why, uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_STOP};

	f.u.stop.reason = (uint8_t)why;
	f.u.stop.deadline_ns = s->deadline_ns ? s->deadline_ns : DP_NULL;
	f.u.stop.kill_signal = s->deadline_ns ? s->first_signal : 0;
	f.u.stop.witness = s->witness;
	say_finding(e, id, t_ns, &f);
}

void stop_sigterm(struct stop *s, const struct env *e, struct identity *id, uint64_t t_ns)
{
	/* After a Stop it changes no deadline, and is said all the same. */
	if (!s->seen) {
		s->witness = DP_WITNESS_DAEMON;
		stop_begin(s, id, e->options.grace_ns, DP_STOP_SIGTERM, t_ns);
	}
	s->confirmed = true;
	say_stop(s, e, id, DP_STOP_SIGTERM, t_ns);
}

void stop_by_witness(struct stop *s, const struct env *e, struct identity *id, enum dp_witness who,
		     uint64_t at_ns)
{
	s->witness = (uint8_t)who;
	stop_begin(s, id, e->options.grace_ns, DP_STOP_STOP, at_ns);
	say_stop(s, e, id, DP_STOP_STOP, at_ns);
}

void stop_wire(struct stop *s, const struct env *e, struct identity *id, const struct dp_record *r)
{
	uint64_t t = r->h.t_ns;

	switch (r->u.wire.kind) {
	case DP_WIRE_STOP:
		s->confirmed = true;
		if (s->seen)
			break;
		s->witness = DP_WITNESS_NODE;
		stop_begin(s, id, e->options.grace_ns, DP_STOP_STOP, t);
		say_stop(s, e, id, DP_STOP_STOP, t);
		break;
	case DP_WIRE_ALL_INPUTS_CLOSED:
		if (!s->inputs_closed && !s->seen)
			say_stop(s, e, id, DP_STOP_ALL_INPUTS_CLOSED, t);
		s->inputs_closed = true;
		break;
	case DP_WIRE_EVENT_STREAM_DROPPED:
		stop_moved(s, t);
		break;
	case DP_WIRE_OUTPUTS_DONE:
		s->outputs_done = true;
		stop_moved(s, t);
		break;
	default:
		break;
	}
}

void stop_command(struct stop *s, const struct identity *id, const struct dp_record *r)
{
	const struct dp_rec_stop_command *c = &r->u.stop_command;

	if (id->gone || !id->facts.is_dora || s->seen)
		return;
	if (c->target[0] && strcmp(c->target, id->facts.dataflow) != 0 &&
	    strcmp(c->target, id->facts.dataflow_name) != 0)
		return;
	s->command_ns = r->h.t_ns;
	s->command_grace_ns = c->grace_ns;
}
