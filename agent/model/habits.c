// SPDX-License-Identifier: MIT
/* What daemons were seen to do; see habits.h. */
#include "model/habits.h"

#include <signal.h>
#include <string.h>

/* Nodes of one dataflow hear of its Stop together. */
#define TOGETHER_NS SEC
/* A grace that differs less is the one that was expected: the daemon's timers tremble. */
#define TREMBLE_NS (250 * MS)

/* From 1.0 on one node can be stopped, with another grace: was it the whole dataflow? */
static bool is_of_dataflow(const struct table *t, const struct node *n)
{
	const char *dora = n->id.facts.dora;

	if (dp_version_at_least(dora, 0, 0, 1) && !dp_version_at_least(dora, 1, 0, 0))
		return true;
	for (uint32_t i = 0; i < t->count; i++) {
		const struct node *o = &t->nodes[i];
		uint64_t a = o->stop.at_ns, b = n->stop.at_ns;

		if (o != n && o->stop.seen &&
		    strcmp(o->id.facts.dataflow, n->id.facts.dataflow) == 0 &&
		    (a > b ? a - b : b - a) < TOGETHER_NS)
			return true;
	}
	return false;
}

/* Was the grace the daemon's own, and is the beginning known to the moment? */
static bool shows_default(const struct stop *s)
{
	return s->seen && s->reason == DP_STOP_STOP && s->witness == DP_WITNESS_NODE &&
	       !s->forced && !s->commanded;
}

void habits_judge(const struct habits *h, struct identity *id)
{
	uint32_t have = h->count < HABITS_MAX ? h->count : HABITS_MAX;

	identity_judge(id);
	for (uint32_t i = 1; i <= have; i++) {
		uint32_t at = (h->count - i) % HABITS_MAX;

		if (!id->facts.daemon_pid || h->at[at].daemon_pid != id->facts.daemon_pid)
			continue;
		id->grace = h->at[at].grace;
		id->grace_source = DP_DEADLINE_LEARNED;
		return;
	}
}

void habits_note(struct habits *h, struct table *t, const struct node *n, uint32_t signal,
		 uint64_t t_ns)
{
	const struct dp_grace *g = &n->id.grace;
	uint64_t took = t_ns - n->stop.at_ns;
	uint32_t slot = h->count % HABITS_MAX;
	bool assumed = n->id.grace_source == DP_DEADLINE_ASSUMED;
	bool as_known = !assumed && g->first_signal == signal &&
			took + TREMBLE_NS >= g->deadline_ns && took <= g->deadline_ns + TREMBLE_NS;

	/* The second stage shows nothing that the first did not. */
	if (!shows_default(&n->stop) || n->stop.term_ns || as_known || !is_of_dataflow(t, n))
		return;
	/* Where SIGTERM is known to come first, SIGKILL alone is no grace. */
	if (!assumed && signal == SIGKILL && g->first_signal == SIGTERM)
		return;
	h->at[slot].daemon_pid = n->id.facts.daemon_pid;
	h->at[slot].grace = (struct dp_grace){.deadline_ns = took, .first_signal = signal};
	h->count++;
	for (uint32_t i = 0; i < t->count; i++)
		habits_judge(h, &t->nodes[i].id);
}
