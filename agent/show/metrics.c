// SPDX-License-Identifier: MIT
/* Counting: findings and node views become series (metrics.h). */
#include "base/clock.h"
#include "base/utf8.h"
#include "show/metrics_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- labels ----------------------------------------------------------------------------- */

/* A label's value: backslash, quote and line feed are escaped (the same in both formats). */
size_t metrics_escape(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	for (; *src && n + 2 < cap; src++) {
		if (*src == '\\' || *src == '"' || *src == '\n') {
			dst[n++] = '\\';
			dst[n++] = *src == '\n' ? 'n' : *src;
		} else {
			dst[n++] = *src;
		}
	}
	dst[n] = '\0';
	return n;
}

/*
 * Copies what both formats can carry: valid UTF-8, cut between characters. What may not be shown,
 * but for the line feed, and broken sequences become '?', so that keys are equal exactly when the
 * printed labels are, and no two series can print alike. NULL is "".
 */
void metrics_clean(char *dst, size_t cap, const char *src)
{
	size_t n = 0;

	while (src && *src) {
		uint32_t c;
		size_t len = dp_utf8_decode(src, SIZE_MAX, &c);
		bool bad = c != '\n' && !dp_utf8_may_show(c);

		if (n + (bad ? 1 : len) >= cap)
			break;
		if (bad) {
			dst[n++] = '?';
		} else {
			memcpy(dst + n, src, len);
			n += len;
		}
		src += c == UINT32_MAX ? 1 : len;
	}
	dst[n] = '\0';
}

/* ---- series ----------------------------------------------------------------------------- */

static void series_key(struct series *s, const char *dataflow, const char *node)
{
	char a[2 * DP_UUID_MAX], b[2 * DP_ID_MAX];

	snprintf(s->dataflow, sizeof(s->dataflow), "%s", dataflow);
	snprintf(s->node, sizeof(s->node), "%s", node);
	metrics_escape(a, sizeof(a), dataflow);
	metrics_escape(b, sizeof(b), node);
	snprintf(s->labels, sizeof(s->labels), "dataflow=\"%s\",node=\"%s\"", a, b);
}

static void members_of_end(struct dp_metrics *m, unsigned int series)
{
	for (unsigned int i = 0; i < m->member_end; i++)
		if (m->members[i].used && m->members[i].series == series)
			m->members[i].used = 0;
}

static int series_has_members(const struct dp_metrics *m, unsigned int series)
{
	for (unsigned int i = 0; i < m->member_end; i++)
		if (m->members[i].used && m->members[i].series == series)
			return 1;
	return 0;
}

static struct series *series_find(struct dp_metrics *m, const char *dataflow, const char *node)
{
	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		if (s->used && strcmp(s->node, node) == 0 && strcmp(s->dataflow, dataflow) == 0)
			return s;
	}
	return NULL;
}

/* A free place, or that of the node that left longest ago; NULL when all nodes are there. */
static struct series *series_add(struct dp_metrics *m, const char *dataflow, const char *node,
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
	series_key(best, dataflow, node);
	return best;
}

static struct series *series_get(struct dp_metrics *m, const char *dataflow, const char *node,
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

static void series_facts(struct series *s, const struct dp_rec_node *f)
{
	s->has_facts = 1;
	s->transport = f->transport;
	s->gil = f->gil_observable;
	s->tokens = f->tokens_observable;
	metrics_clean(s->python, sizeof(s->python), f->python);
	metrics_clean(s->dora, sizeof(s->dora), f->dora);
	metrics_clean(s->dataflow_name, sizeof(s->dataflow_name), f->dataflow_name);
}

struct dp_metrics *dp_metrics_new(const char *version, const struct dp_metrics_views *views)
{
	struct dp_metrics *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (views)
		m->views = *views;
	metrics_clean(m->version, sizeof(m->version), version);
	m->overhead = -1;
	m->start_ns = dp_clock_ns(CLOCK_REALTIME);
	return m;
}

void dp_metrics_free(struct dp_metrics *m)
{
	free(m);
}

/* ---- findings --------------------------------------------------------------------------- */

#define X_BOUND(ns, le) ns##ULL,
#define X_LE(ns, le)    "le=\"" le "\"",
#define BUCKETS(LIST)                                                                              \
	{                                                                                          \
		LIST(X_BOUND)                                                                      \
	}
#define BUCKET_LES(LIST)                                                                           \
	{                                                                                          \
		LIST(X_LE)                                                                         \
	}
#define COUNT_ONE(ns, le)  +1
#define BUCKET_COUNT(LIST) (0 LIST(COUNT_ONE))

const struct buckets metrics_buckets[H_COUNT] = {
#define ROW(LIST)                                                                                  \
	{                                                                                          \
		BUCKETS(LIST), BUCKET_LES(LIST), BUCKET_COUNT(LIST)                                \
	}
	[H_HOLD] = ROW(DP_BUCKETS_GIL_HOLD),       [H_WAIT] = ROW(DP_BUCKETS_GIL_WAIT),
	[H_TOKEN] = ROW(DP_BUCKETS_TOKEN_PENDING), [H_STOP] = ROW(DP_BUCKETS_STOP_DURATION),
	[H_SIGNAL] = ROW(DP_BUCKETS_SIGNAL_DELAY),
};

/* Returns the index of the bucket. */
static unsigned int observe(struct series *s, unsigned int h, uint64_t ns)
{
	unsigned int i = 0;

	while (i < metrics_buckets[h].count && ns > metrics_buckets[h].bound[i])
		i++;
	s->h[h].bucket[i]++;
	s->h[h].count++;
	s->h[h].sum_ns += ns;
	return i;
}

static void exemplar_set(struct exemplar *e, const struct dp_finding *f,
			 const struct dp_place *place, int cause, uint64_t value_ns)
{
	const char *function = place ? place->function : NULL;

	if ((!function || !*function) && cause < 0)
		return;
	e->set = 1;
	e->value_ns = value_ns;
	e->wall_ns = DP_SNULL;
	if (f->wall_offset_ns != DP_SNULL &&
	    (__builtin_add_overflow((int64_t)f->t_ns, f->wall_offset_ns, &e->wall_ns) ||
	     e->wall_ns < 0))
		e->wall_ns = DP_SNULL;
	metrics_clean(e->function, sizeof(e->function), function);
	e->line = place && place->line > 0 ? place->line : 0;
	e->cause = (int8_t)cause;
}

static int known(uint64_t ns)
{
	return ns != DP_NULL;
}

static void count_hold(struct series *s, const struct dp_finding *f)
{
	const struct dp_hold_finding *h = &f->u.hold;
	uint64_t ns;

	/* What could not be confirmed is no proven hold (the histogram's help says proven). */
	if (h->precision == DP_PRECISION_UNCONFIRMED || !known(h->start_ns) || !known(h->end_ns) ||
	    h->end_ns < h->start_ns)
		return;
	ns = h->end_ns - h->start_ns;
	exemplar_set(&s->hold_exemplar[observe(s, H_HOLD, ns)], f, &h->place, -1, ns);
}

static void count_token(struct series *s, const struct dp_finding *f)
{
	const struct dp_token_finding *t = &f->u.token;

	/* Of a token whose trail was lost nobody knows how long it was pending. */
	if (t->state == DP_TOKEN_LOST || !known(t->pending_ns))
		return;
	exemplar_set(&s->token_exemplar[observe(s, H_TOKEN, t->pending_ns)], f, NULL,
		     t->cause < DP_CAUSE_COUNT ? t->cause : -1, t->pending_ns);
}

static void count_warning(struct series *s, const struct dp_finding *f)
{
	const struct dp_warning_finding *w = &f->u.warning;
	int cause = w->cause >= 0 && w->cause < DP_CAUSE_COUNT ? w->cause : DP_CAUSE_UNKNOWN;

	if (w->resolved || w->kind >= DP_WARN_COUNT)
		return;
	s->warnings[w->kind][cause]++;
	if (w->place.function && *w->place.function)
		exemplar_set(&s->warning_exemplar[w->kind], f, &w->place, cause,
			     known(w->held_ns) ? w->held_ns : 0);
}

static void count_signal(struct series *s, const struct dp_signal_finding *g)
{
	if (known(g->sent_ns) && known(g->handled_ns) && g->sent_ns && g->handled_ns >= g->sent_ns)
		observe(s, H_SIGNAL, g->handled_ns - g->sent_ns);
}

static void count_exit(struct series *s, const struct dp_exit_finding *x)
{
	if (x->reason < DP_EXIT_COUNT)
		s->exits[x->reason]++;
	if (known(x->since_stop_ns))
		observe(s, H_STOP, x->since_stop_ns);
}

void dp_metrics_finding(struct dp_metrics *m, const struct dp_finding *f)
{
	const char *dataflow = f->dataflow, *node = f->node;
	struct series *s;

	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_LOSS:
		if (f->u.loss.reason < DP_LOSS_COUNT &&
		    f->u.loss.total > m->losses[f->u.loss.reason])
			m->losses[f->u.loss.reason] = f->u.loss.total;
		return;
	case DP_FIND_NODE:
	case DP_FIND_GIL_HOLD:
	case DP_FIND_GIL_WAIT:
	case DP_FIND_TOKEN:
	case DP_FIND_WARNING:
	case DP_FIND_SIGNAL:
	case DP_FIND_STOP:
	case DP_FIND_ACTION:
	case DP_FIND_EXIT:
		break;
	case DP_FIND_START:
	case DP_FIND_FORECAST:
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
	default:
		return;
	}
	if (f->type == DP_FIND_TOKEN && !node && !dataflow) {
		dataflow = f->u.token.dataflow;
		node = f->u.token.receiver;
	}
	if (!f->pid && !node)
		return;
	s = series_get(m, dataflow, node, f->t_ns);
	if (!s)
		return;
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_NODE:
		/* Until the next look at the views the finding is all that says it is there. */
		s->live = 1;
		if (f->u.node.facts)
			series_facts(s, f->u.node.facts);
		break;
	case DP_FIND_GIL_HOLD:
		count_hold(s, f);
		break;
	case DP_FIND_GIL_WAIT:
		if (known(f->u.wait.start_ns) && known(f->u.wait.end_ns) &&
		    f->u.wait.end_ns >= f->u.wait.start_ns)
			observe(s, H_WAIT, f->u.wait.end_ns - f->u.wait.start_ns);
		break;
	case DP_FIND_TOKEN:
		count_token(s, f);
		break;
	case DP_FIND_WARNING:
		count_warning(s, f);
		break;
	case DP_FIND_SIGNAL:
		count_signal(s, &f->u.signal);
		break;
	case DP_FIND_STOP:
		s->stop_ever = 1;
		break;
	case DP_FIND_ACTION:
		if (f->u.action.action < DP_ACTION_COUNT && f->u.action.result < DP_RESULT_COUNT)
			s->actions[f->u.action.action][f->u.action.result]++;
		break;
	case DP_FIND_EXIT:
		count_exit(s, &f->u.exit);
		if (!m->views.count)
			s->live = 0;
		break;
	default:
		break;
	}
}

void dp_metrics_cost(struct dp_metrics *m, const struct dp_metrics_cost *c)
{
	if (c->records > m->records)
		m->records = c->records;
	for (unsigned int i = 0; i < DP_LOSS_COUNT; i++)
		if (c->losses[i] > m->losses[i])
			m->losses[i] = c->losses[i];
	m->overhead = c->overhead_ratio;
	m->sources = c->sources;
	for (unsigned int i = 0; i < c->program_count; i++) {
		char name[PROGRAM_MAX];
		unsigned int j = 0;

		metrics_clean(name, sizeof(name), c->programs[i].name);
		while (j < m->program_count && strcmp(m->programs[j].name, name) != 0)
			j++;
		if (j == DP_METRICS_PROGRAMS_MAX)
			continue;
		if (j == m->program_count) {
			snprintf(m->programs[j].name, sizeof(name), "%s", name);
			m->program_count++;
		}
		if (c->programs[i].run_ns > m->programs[j].run_ns)
			m->programs[j].run_ns = c->programs[i].run_ns;
	}
}

/* ---- views ------------------------------------------------------------------------------ */

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

/* States of a process that is there. Of several with one name the worst is shown. */
static void series_state(struct series *s, const struct dp_node_view *v, uint64_t now_ns)
{
	s->live = 1;
	if (now_ns > s->last_ns)
		s->last_ns = now_ns;
	keep_max(&s->hold_ns, v->hold_ns);
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

void dp_metrics_refresh(struct dp_metrics *m, uint64_t now_ns)
{
	unsigned int count = m->views.count ? m->views.count(m->views.ctx) : 0;
	struct totals sum[DP_METRICS_NODES];
	unsigned int refused = 0;
	struct dp_node_view v;

	for (unsigned int i = 0; i < DP_METRICS_NODES; i++) {
		struct series *s = &m->series[i];

		/* Without views the findings alone say who is there. */
		if (m->views.count)
			s->live = 0;
		s->hold_ns = s->pending = s->oldest_ns = 0;
		s->need_ns = s->recommended_ns = s->grace_ns = DP_NULL;
		s->slack_ns = DP_SNULL;
		s->stop_pending = 0;
	}
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
