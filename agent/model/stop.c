// SPDX-License-Identifier: MIT
/* Being told to stop; see stop.h. */
#include "model/stop.h"

#include "model/watchdog.h"

#include <signal.h>
#include <string.h>

static void say_stop(const struct stop *s, const struct env *e, struct identity *id,
		     enum dp_stop_reason why, uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_STOP};

	f.u.stop.reason = (uint8_t)why;
	f.u.stop.deadline_ns = s->deadline_ns ? s->deadline_ns : DP_NULL;
	f.u.stop.kill_signal = s->deadline_ns ? s->first_signal : 0;
	f.u.stop.witness = s->witness;
	f.u.stop.deadline_source = s->deadline_ns ? s->source : DP_DEADLINE_NONE;
	say_finding(e, id, t_ns, &f);
}

/* No Stop, and no deadline up to 0.5.0; 1.x gives a grace to finish, then stops the node. */
static void say_inputs_closed(const struct env *e, struct identity *id, uint64_t t_ns)
{
	uint64_t finish = watchdog_finish_ns(id);
	struct stop s = {0};

	if (finish) {
		stop_begin(&s, id, NULL, e->options.grace_ns, DP_STOP_STOP, t_ns + finish);
		s.source = id->limits.finish_ns ? DP_DEADLINE_DESCRIPTOR : DP_DEADLINE_VERSION;
	}
	say_stop(&s, e, id, DP_STOP_ALL_INPUTS_CLOSED, t_ns);
}

static void begin(struct stop *s, const struct env *e, struct identity *id, enum dp_stop_reason why,
		  uint64_t t_ns)
{
	stop_begin(s, id, commands_find(&e->commands, id, t_ns, false), e->options.grace_ns, why,
		   t_ns);
	say_stop(s, e, id, why, t_ns);
}

void stop_signal(struct stop *s, const struct env *e, struct identity *id, uint32_t signal,
		 uint64_t t_ns)
{
	uint64_t deadline_ns = s->deadline_ns;
	uint32_t first_signal = s->first_signal;

	s->confirmed = true;
	if (!s->seen) {
		s->witness = DP_WITNESS_DAEMON;
		/* SIGKILL alone is no way to be told to stop, it is the end. */
		if (signal == SIGTERM)
			begin(s, e, id, DP_STOP_SIGTERM, t_ns);
		return;
	}
	stop_corrected(s, id, signal, t_ns);
	/* Of SIGKILL the exit tells, at once. */
	if (signal == SIGTERM && (s->deadline_ns != deadline_ns || s->first_signal != first_signal))
		say_stop(s, e, id, DP_STOP_SIGTERM, t_ns);
}

void stop_by_witness(struct stop *s, const struct env *e, struct identity *id, enum dp_witness who,
		     uint64_t at_ns)
{
	s->witness = (uint8_t)who;
	begin(s, e, id, DP_STOP_STOP, at_ns);
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
		begin(s, e, id, DP_STOP_STOP, t);
		break;
	case DP_WIRE_ALL_INPUTS_CLOSED:
		if (!s->inputs_closed && !s->seen)
			say_inputs_closed(e, id, t);
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
