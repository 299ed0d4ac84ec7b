// SPDX-License-Identifier: MIT
/* dora's watchdogs; see watchdog.h. */
#include "model/watchdog.h"

#include "base/units.h"

/* DORA_FINISH_DRAIN_GRACE_SECS of dora 1.x, when nobody has set it. */
#define FINISH_NS (120 * SEC)

void watchdog_record(struct watchdog *w, const struct dp_record *r)
{
	switch (r->h.type) {
	case DP_REC_WIRE_REQUEST:
	case DP_REC_TOKEN_SENT:
	case DP_REC_TOKEN_REPORTED:
		w->request_ns = r->h.t_ns;
		break;
	case DP_REC_WIRE_EVENT:
		if (r->u.wire.kind == DP_WIRE_ALL_INPUTS_CLOSED && !w->inputs_closed_ns)
			w->inputs_closed_ns = r->h.t_ns;
		break;
	default:
		break;
	}
}

bool watchdog_is_connected(const struct watchdog *w, const struct identity *id)
{
	return w->request_ns || id->limits.connected;
}

uint64_t watchdog_finish_ns(const struct identity *id)
{
	if (id->limits.finish_ns)
		return id->limits.finish_ns;
	return id->limits_known && dp_version_at_least(id->facts.dora, 1, 0, 0) ? FINISH_NS : 0;
}

/* The first of several is what counts. */
static void run(struct watchdog_deadline *due, uint64_t since_ns, uint64_t length_ns,
		uint8_t source, uint8_t ends_as)
{
	uint64_t at_ns = since_ns + length_ns;

	if (!length_ns || (due->at_ns && due->at_ns <= at_ns))
		return;
	*due = (struct watchdog_deadline){
		.since_ns = since_ns, .at_ns = at_ns, .source = source, .ends_as = ends_as};
}

struct watchdog_deadline watchdog_due(const struct watchdog *w, const struct stop *s,
				      const struct identity *id)
{
	const struct dp_rec_limits *l = &id->limits;
	struct watchdog_deadline due = {0};
	uint64_t finish = watchdog_finish_ns(id);

	/* A Stop takes the process out of their hands, and so does the daemon's own end. */
	if (s->seen || id->orphaned_ns)
		return due;
	if (!watchdog_is_connected(w, id))
		run(&due, l->started_ns ? l->started_ns : id->first_ns, l->startup_ns,
		    DP_DEADLINE_DESCRIPTOR, DP_EXIT_STARTUP_KILL);
	else
		run(&due, w->request_ns ? w->request_ns : id->first_ns, l->health_ns,
		    DP_DEADLINE_DESCRIPTOR, DP_EXIT_HEALTH_KILL);
	if (w->inputs_closed_ns && finish)
		run(&due, w->inputs_closed_ns, finish + stop_default_ns(id),
		    l->finish_ns ? DP_DEADLINE_DESCRIPTOR : DP_DEADLINE_VERSION,
		    DP_EXIT_FINISH_KILL);
	return due;
}
