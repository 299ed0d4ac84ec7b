// SPDX-License-Identifier: MIT
/* The table of watched processes. */
#include "model/internal.h"

#include <string.h>

struct node *node_find(struct dp_model *m, uint32_t pid)
{
	if (pid == 0)
		return NULL;
	for (uint32_t i = 0; i < m->node_count; i++)
		if (m->nodes[i].pid == pid && !m->nodes[i].gone)
			return &m->nodes[i];
	return NULL;
}

struct node *node_find_gone(struct dp_model *m, uint32_t pid)
{
	struct node *n = NULL;

	for (uint32_t i = 0; pid && i < m->node_count; i++)
		if (m->nodes[i].pid == pid && m->nodes[i].gone &&
		    (!n || m->nodes[i].gone_ns > n->gone_ns))
			n = &m->nodes[i];
	return n;
}

static void node_clear(struct node *n)
{
	memset(n, 0, offsetof(struct node, holds));
	n->holds.head = n->holds.count = 0;
	n->waits.head = n->waits.count = 0;
	n->slack_ns = DP_SNULL;
	n->margin_ns = DP_SNULL;
	n->need_ns = DP_NULL;
	n->forecast_ns = DP_NULL;
	n->recommended_ns = DP_NULL;
	for (int i = 0; i < DP_WARN_COUNT; i++)
		n->warn[i].cause = -1;
}

struct node *node_add(struct dp_model *m, uint32_t pid, uint64_t t_ns)
{
	struct node *n = node_find(m, pid);

	if (n)
		return n;
	if (m->node_count < NODES_MAX) {
		n = &m->nodes[m->node_count++];
	} else {
		/* The longest gone makes room. Its tokens ended when it left, so nothing points at
		 * it but finished lives, which carry copies of the names. */
		for (uint32_t i = 0; i < NODES_MAX; i++) {
			struct node *o = &m->nodes[i];

			if (o->gone && m->now - o->gone_ns > SEC && (!n || o->gone_ns < n->gone_ns))
				n = o;
		}
		if (!n) {
			model_count_loss(m, DP_LOSS_NODE_LIMIT, 1, t_ns, pid);
			return NULL;
		}
		token_forget(m, n);
	}
	node_clear(n);
	n->pid = pid;
	n->first_ns = t_ns;
	n->trust_ns = t_ns;
	for (int i = 0; i < DP_MAX_GILS; i++)
		n->gils[i].trust_ns = t_ns;
	return n;
}

uint32_t node_consumer(const struct node *n)
{
	/* The main thread of a Linux process has the process' id. */
	return n->consumer_tid ? n->consumer_tid : n->pid;
}

int node_tokens_known(const struct node *n)
{
	return n->facts.tokens_observable || n->tokens || !n->facts.is_dora ||
	       dp_version_at_least(n->facts.dora, 1, 0, 0);
}

int node_function(struct node *n, const struct place *p)
{
	if (!p->known || !p->function[0])
		return -1;
	for (uint32_t i = 0; i < n->function_count; i++) {
		const struct dp_blame *b = &n->functions[i].b;

		if (strcmp(b->function, p->function) == 0 && strcmp(b->file, p->file) == 0 &&
		    b->line == p->line)
			return (int)i;
	}
	if (n->function_count == FUNCTIONS_MAX)
		return -1;

	struct function_cost *f = &n->functions[n->function_count];

	memset(f, 0, sizeof(*f));
	memcpy(f->b.function, p->function, sizeof(f->b.function));
	memcpy(f->b.file, p->file, sizeof(f->b.file));
	f->b.line = p->line;
	return (int)n->function_count++;
}

static uint8_t disposition(const struct dp_rec_node *f, uint32_t signal)
{
	uint64_t bit = signal >= 1 && signal <= 64 ? 1ULL << (signal - 1) : 0;

	if (f->signals_caught & bit)
		return DP_SIGDISP_CAUGHT;
	if (f->signals_ignored & bit)
		return DP_SIGDISP_IGNORED;
	return DP_SIGDISP_DEFAULT;
}

static void node_announce(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	/* SIGINT, SIGTERM, SIGUSR1, SIGUSR2: what a user would choose, in this order. */
	static const uint8_t usual[] = {2, 15, 10, 12};
	struct dp_finding f = {.type = DP_FIND_NODE};

	f.u.node.facts = &n->facts;
	f.u.node.nudge_signal = m->options.nudge_signal;
	f.u.node.nudge_disposition = disposition(&n->facts, m->options.nudge_signal);
	for (size_t i = 0; i < sizeof(usual) && !f.u.node.other_caught_signal; i++)
		if (usual[i] != m->options.nudge_signal &&
		    disposition(&n->facts, usual[i]) == DP_SIGDISP_CAUGHT)
			f.u.node.other_caught_signal = usual[i];
	model_say(m, n, t_ns, &f);
}

void node_facts(struct dp_model *m, const struct dp_record *r)
{
	struct node *n = node_add(m, r->h.pid, r->h.t_ns);
	struct dp_rec_node was;
	int new_words;

	if (!n)
		return;
	was = n->facts;
	n->facts = r->u.node;
	dp_grace_of(n->facts.dora, &n->grace);
	if (n->edge.refused != !n->facts.edge_possible)
		n->edge.refused = !n->facts.edge_possible;
	/* Signal masks change with every handler that is set: not worth a line. */
	new_words = strcmp(was.dora, n->facts.dora) || strcmp(was.node, n->facts.node) ||
		    strcmp(was.reason, n->facts.reason) || strcmp(was.python, n->facts.python) ||
		    was.transport != n->facts.transport ||
		    was.gil_observable != n->facts.gil_observable ||
		    was.tokens_observable != n->facts.tokens_observable ||
		    was.gil_count != n->facts.gil_count;
	/* A node that has just started has not imported dora yet: its line can wait a little. */
	if (!n->announced && n->facts.is_dora && n->facts.is_python && !n->facts.dora[0] &&
	    r->h.t_ns - n->first_ns < NODE_INTRODUCE_NS)
		return;
	if (!n->announced || new_words) {
		n->announced = 1;
		node_announce(m, n, r->h.t_ns);
	}
}

void node_introduce(struct dp_model *m, struct node *n)
{
	if (n->announced)
		return;
	n->announced = 1;
	node_announce(m, n, m->now);
}

void node_gone(struct dp_model *m, struct node *n, uint64_t t_ns)
{
	gil_end(m, n, t_ns, 0);
	warn_node_gone(m, n, t_ns);
	token_node_gone(m, n, t_ns);
	n->gone = 1;
	n->gone_ns = t_ns;
}
