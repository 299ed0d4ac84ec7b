// SPDX-License-Identifier: MIT
/* States and totals: from the model's views of the nodes (metrics.h). */
#include "serve/metrics_state.h"

#include <errno.h>
#include <string.h>

static struct member *member_find(struct dp_metrics *m, uint32_t pid, uint64_t start_time)
{
	for (unsigned int i = 0; i < m->member_end; i++)
		if (m->members[i].used && m->members[i].pid == pid &&
		    m->members[i].start_time == start_time)
			return &m->members[i];
	return NULL;
}

static struct member *member_add(struct dp_metrics *m, uint32_t pid, uint64_t start_time,
				 const struct series *s)
{
	unsigned int i = 0;

	while (i < m->member_end && m->members[i].used)
		i++;
	if (i == MEMBERS_MAX)
		return NULL;
	if (i == m->member_end)
		m->member_end++;
	m->members[i] = (struct member){
		.used = 1,
		.pid = pid,
		.start_time = start_time,
		.series = (uint16_t)(s - m->series),
	};
	return &m->members[i];
}

static void keep_max(uint64_t *v, uint64_t with)
{
	if (with != DP_NULL && (*v == DP_NULL || with > *v))
		*v = with;
}

static void totals_add(struct totals *t, const struct totals *a)
{
	t->held_ns += a->held_ns;
	t->returned += a->returned;
	t->abandoned += a->abandoned;
	t->lost += a->lost;
	t->token_gil_ns += a->token_gil_ns;
}

static void totals_max(struct totals *t, const struct totals *a)
{
	keep_max(&t->held_ns, a->held_ns);
	keep_max(&t->returned, a->returned);
	keep_max(&t->abandoned, a->abandoned);
	keep_max(&t->lost, a->lost);
	keep_max(&t->token_gil_ns, a->token_gil_ns);
}

static void keep_max_share(struct dp_estimate *e, const struct dp_estimate *with)
{
	if (with->ratio >= 0 && !(e->ratio > with->ratio))
		*e = *with;
}

/* States of a process that is there. Of several with one name the worst is shown. */
static void series_state(struct series *s, const struct dp_node_view *v, uint64_t now_ns)
{
	s->live = 1;
	if (now_ns > s->last_ns)
		s->last_ns = now_ns;
	keep_max(&s->hold_ns, v->hold_ns);
	keep_max(&s->not_polling_ns, v->not_polling_ns);
	keep_max_share(&s->gil_held, &v->gil_held);
	keep_max_share(&s->gil_wait, &v->gil_wait);
	keep_max_share(&s->running_without_gil, &v->running_without_gil);
	keep_max_share(&s->blocked, &v->blocked);
	s->pending += v->pending_tokens;
	if (v->pending_tokens)
		keep_max(&s->oldest_ns, v->oldest_pending_ns);
	keep_max(&s->need_ns, v->need_ns);
	if (v->grace_ns && (s->grace_ns == DP_NULL || v->grace_ns < s->grace_ns))
		s->grace_ns = v->grace_ns;
	if (v->recommended_grace_ns)
		keep_max(&s->recommended_ns, v->recommended_grace_ns);
	if (v->stop_seen) {
		s->stop_pending = s->stop_ever = 1;
		if (v->deadline_known && v->slack_ns != DP_SNULL &&
		    (s->slack_ns == DP_SNULL || v->slack_ns < s->slack_ns))
			s->slack_ns = v->slack_ns;
	}
}

/* 0, or -ENOSPC when the view found no place. */
static int view_take(struct dp_metrics *m, const struct dp_node_view *v, uint64_t now_ns)
{
	uint64_t start_time = v->facts ? v->facts->start_time : 0;
	struct member *mb = member_find(m, v->pid, start_time);
	char dataflow[DP_UUID_MAX], node[DP_ID_MAX];
	struct series *s;

	metrics_clean(dataflow, sizeof(dataflow), v->facts ? v->facts->dataflow : "");
	metrics_clean(node, sizeof(node), v->facts ? v->facts->node : "");
	s = series_find(m, dataflow, node);
	/* One that has left gets no new place: its series have expired, or made room for others. */
	if (!s && v->gone)
		return 0;
	if (mb && s != &m->series[mb->series]) {
		/*
		 * Its name became known after it was first seen. The totals move with it; the
		 * nameless series goes when nothing else is in it, or they would show twice.
		 */
		unsigned int old = mb->series;

		mb->used = 0;
		mb = NULL;
		if (!m->series[old].node[0] && !series_has_members(m, old))
			m->series[old].used = 0;
	}
	if (!s)
		s = series_add(m, dataflow, node, now_ns);
	if (s && !mb)
		mb = member_add(m, v->pid, start_time, s);
	if (!s || !mb)
		return -ENOSPC;
	mb->seen = 1;
	/* The present hold is added to the model's total when it ends only; a rate would jump. */
	totals_max(&mb->t, &(struct totals){v->held_ns + v->hold_ns, v->tokens_returned,
					    v->tokens_abandoned, v->tokens_lost, v->token_gil_ns});
	if (v->gone) {
		if (v->gone_ns != DP_NULL && v->gone_ns > s->last_ns && v->gone_ns <= now_ns)
			s->last_ns = v->gone_ns;
		return 0;
	}
	if (v->facts)
		series_facts(s, v->facts);
	series_state(s, v, now_ns);
	return 0;
}

/* The states of before are over: each process that is there says its own. */
static void states_clear(struct dp_metrics *m)
{
	const struct dp_estimate unknown = {.ratio = -1, .error = -1};

	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		/* Without views the findings alone say who is there. */
		if (m->views.count)
			s->live = 0;
		s->hold_ns = s->not_polling_ns = s->pending = s->oldest_ns = 0;
		s->need_ns = s->recommended_ns = s->grace_ns = DP_NULL;
		s->slack_ns = DP_SNULL;
		s->gil_held = s->gil_wait = unknown;
		s->running_without_gil = s->blocked = unknown;
		s->stop_pending = 0;
	}
}

void dp_metrics_refresh(struct dp_metrics *m, uint64_t now_ns)
{
	unsigned int count = m->views.count ? m->views.count(m->views.ctx) : 0;
	struct totals sum[DP_METRICS_NODES];
	unsigned int refused = 0;
	struct dp_node_view v;

	states_clear(m);
	for (unsigned int i = 0; i < m->member_end; i++)
		m->members[i].seen = 0;
	for (unsigned int i = 0; i < count; i++)
		if (m->views.view(m->views.ctx, i, &v) == 0 && view_take(m, &v, now_ns))
			refused++;
	/* Each node that finds no place is counted once, not at every look. */
	if (refused > m->refused)
		m->no_room += refused - m->refused;
	m->refused = refused;

	memset(sum, 0, sizeof(sum));
	for (unsigned int i = 0; i < m->member_end; i++) {
		struct member *mb = &m->members[i];

		if (!mb->used)
			continue;
		if (mb->seen) {
			totals_add(&sum[mb->series], &mb->t);
		} else {
			totals_add(&m->series[mb->series].ended, &mb->t);
			mb->used = 0;
		}
	}
	while (m->member_end && !m->members[m->member_end - 1].used)
		m->member_end--;
	m->live = 0;
	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		if (!s->used)
			continue;
		totals_add(&sum[i], &s->ended);
		totals_max(&s->shown, &sum[i]);
		m->live += s->live;
		if (!s->live && now_ns > s->last_ns &&
		    now_ns - s->last_ns >= DP_METRICS_EXPIRY_NS) {
			members_of_end(m, i);
			s->used = 0;
			m->expired++;
		}
	}
}
