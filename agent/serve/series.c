// SPDX-License-Identifier: MIT
/* Series: one for each pair of dataflow and node, found, made and given up (metrics_state.h). */
#include "serve/metrics_state.h"

#include <stdio.h>
#include <string.h>

static void series_key(struct series *s, const char *dataflow, const char *node)
{
	char a[2 * DP_UUID_MAX], b[2 * DP_ID_MAX];

	snprintf(s->dataflow, sizeof(s->dataflow), "%s", dataflow);
	snprintf(s->node, sizeof(s->node), "%s", node);
	metrics_escape(a, sizeof(a), dataflow);
	metrics_escape(b, sizeof(b), node);
	snprintf(s->labels, sizeof(s->labels), "dataflow=\"%s\",node=\"%s\"", a, b);
}

void members_of_end(struct dp_metrics *m, unsigned int series)
{
	for (unsigned int i = 0; i < m->member_end; i++)
		if (m->members[i].used && m->members[i].series == series)
			m->members[i].used = 0;
}

int series_has_members(const struct dp_metrics *m, unsigned int series)
{
	for (unsigned int i = 0; i < m->member_end; i++)
		if (m->members[i].used && m->members[i].series == series)
			return 1;
	return 0;
}

struct series *series_find(struct dp_metrics *m, const char *dataflow, const char *node)
{
	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		if (s->used && strcmp(s->node, node) == 0 && strcmp(s->dataflow, dataflow) == 0)
			return s;
	}
	return NULL;
}

struct series *series_add(struct dp_metrics *m, const char *dataflow, const char *node,
			  uint64_t t_ns)
{
	struct series *best = NULL;

	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		if (!s->used) {
			best = s;
			break;
		}
		if (!s->live && (!best || s->last_ns < best->last_ns))
			best = s;
	}
	if (!best)
		return NULL;
	if (best->used) {
		members_of_end(m, (unsigned int)(best - m->series));
		m->expired++;
	}
	memset(best, 0, sizeof(*best));
	best->used = 1;
	best->last_ns = t_ns;
	best->need_ns = best->recommended_ns = best->grace_ns = DP_NULL;
	best->slack_ns = DP_SNULL;
	best->gil_held.ratio = best->gil_held.error = best->gil_wait.ratio = -1;
	best->running_without_gil.ratio = best->blocked.ratio = -1;
	series_key(best, dataflow, node);
	return best;
}

struct series *series_get(struct dp_metrics *m, const char *dataflow, const char *node,
			  uint64_t t_ns)
{
	char d[DP_UUID_MAX], n[DP_ID_MAX];
	struct series *s;

	metrics_clean(d, sizeof(d), dataflow);
	metrics_clean(n, sizeof(n), node);
	s = series_find(m, d, n);
	if (!s)
		s = series_add(m, d, n, t_ns);
	if (!s)
		m->no_room++;
	else if (t_ns > s->last_ns)
		s->last_ns = t_ns;
	return s;
}

void series_facts(struct series *s, const struct dp_rec_node *f)
{
	s->has_facts = 1;
	s->transport = f->transport;
	s->gil = f->gil_observable;
	s->tokens = f->tokens_observable;
	metrics_clean(s->python, sizeof(s->python), f->python);
	metrics_clean(s->dora, sizeof(s->dora), f->dora);
	metrics_clean(s->dataflow_name, sizeof(s->dataflow_name), f->dataflow_name);
}
