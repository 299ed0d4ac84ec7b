// SPDX-License-Identifier: MIT
/* Counting: findings and the agent's own numbers (metrics.h). */
#include "serve/metrics_state.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

struct dp_metrics *dp_metrics_new(const char *version, const struct dp_node_views *views)
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

static void count_loss(struct dp_metrics *m, const struct dp_loss_finding *l)
{
	if (l->reason < DP_LOSS_COUNT && l->total > m->losses[l->reason])
		m->losses[l->reason] = l->total;
}

static void count(const struct dp_metrics *m, struct series *s, const struct dp_finding *f)
{
	switch ((enum dp_finding_type)f->type) {
	case DP_FIND_NODE:
		/* Until the next look at the views the finding is all that says it is there. */
		s->live = 1;
		if (f->u.node.facts)
			series_facts(s, f->u.node.facts);
		s->level = f->u.node.level;
		if (f->u.node.life > s->lives)
			s->lives = f->u.node.life;
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

/* Is it about a node, so that one of its series counts it? */
static bool belongs_to_series(unsigned int type)
{
	switch ((enum dp_finding_type)type) {
	case DP_FIND_NODE:
	case DP_FIND_GIL_HOLD:
	case DP_FIND_GIL_WAIT:
	case DP_FIND_TOKEN:
	case DP_FIND_WARNING:
	case DP_FIND_SIGNAL:
	case DP_FIND_STOP:
	case DP_FIND_ACTION:
	case DP_FIND_EXIT:
		return true;
	case DP_FIND_LOSS:
	case DP_FIND_START:
	case DP_FIND_FORECAST:
	case DP_FIND_SHARE:
	case DP_FIND_STOCK:
	case DP_FIND_SUMMARY:
	case DP_FIND_SUMMARY_NODE:
	case DP_FIND_SUMMARY_END:
	case DP_FIND_COUNT:
		break;
	}
	return false;
}

void dp_metrics_finding(struct dp_metrics *m, const struct dp_finding *f)
{
	const char *dataflow = f->dataflow, *node = f->node;
	struct series *s;

	if (f->type == DP_FIND_LOSS)
		count_loss(m, &f->u.loss);
	if (!belongs_to_series(f->type))
		return;
	if (f->type == DP_FIND_TOKEN && !node && !dataflow) {
		dataflow = f->u.token.dataflow;
		node = f->u.token.receiver;
	}
	if (!f->pid && !node)
		return;
	s = series_get(m, dataflow, node, f->t_ns);
	if (s)
		count(m, s, f);
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
