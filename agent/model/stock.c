// SPDX-License-Identifier: MIT
/* What was found of a process that ran before the probe came; see stock.h. */
#include "model/stock.h"

static void region(struct stock *s, uint64_t since_ns)
{
	if (!since_ns)
		s->oldest_unknown = true;
	else if (!s->oldest_lo_ns || since_ns < s->oldest_lo_ns)
		s->oldest_lo_ns = since_ns;
}

void stock_record(struct stock *s, const struct dp_record *r)
{
	if (r->h.type == DP_REC_STOCK_REGION) {
		region(s, r->u.stock_region.since_lo_ns);
		return;
	}
	s->have = true;
	s->taken_ns = r->h.t_ns;
	s->found = r->u.stock;
}

/* Since when a command runs that ends the node, and that was there before us; 0 none. */
static uint64_t command_since(const struct stock *s, const struct env *e, const struct identity *id)
{
	const struct dp_rec_command *c = commands_find(&e->commands, id, e->now, false);

	return c && c->started_ns < s->taken_ns ? c->started_ns : 0;
}

bool stock_say(struct stock *s, const struct env *e, struct identity *id, bool first)
{
	static const char unknown[] =
		"what happened before the probe came: holds, waits, signals and tokens count from "
		"then on; of what was pending already, at least how long since then";
	const struct dp_rec_stock *k = &s->found;
	struct dp_finding f = {.type = DP_FIND_STOCK};

	if (!s->have || s->said || !id->announced)
		return false;
	s->said = true;
	f.u.stock = (struct dp_stock_finding){
		.started_ns = k->started_ns,
		.connections = k->sockets,
		.messages = k->regions,
		.oldest_lo_ns = s->oldest_unknown ? 0 : s->oldest_lo_ns,
		.regions_own = k->regions_own,
		.signals_pending = k->signals_pending,
		.stop_command_ns = command_since(s, e, id),
		.daemon_started_ns = k->daemon_started_ns,
		.daemon = k->daemon_version[0] ? k->daemon_version : NULL,
		.complete = !k->sockets_incomplete && !k->regions_incomplete,
		.took_ns = (uint64_t)k->took_us * 1000,
		.unknown = first ? unknown : NULL,
	};
	say_finding(e, id, s->taken_ns, &f);
	return true;
}
