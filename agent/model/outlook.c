// SPDX-License-Identifier: MIT
/* What can be said of a stop; see outlook.h. */
#include "model/outlook.h"

#include "base/sentence.h"
#include "decide/recommend.h"
#include "model/cause.h"
#include "model/lives.h"
#include "model/warn.h"

#include <string.h>

#define RECOMMEND_NODES 64
/* Per cent of a watchdog's time after which the node is looked at. */
#define WATCHDOG_LOOK 20

uint64_t outlook_hold_end(const struct node *n, const struct hold *h)
{
	return h->sleep_end_ns ? h->sleep_end_ns : timeline_expected_end(&n->timeline, h);
}

/* The clean-up that a node of this name needed before, in this run; DP_NULL not measured. */
static uint64_t measured_need(const struct table *t, const struct node *n)
{
	const struct entry *of = n->id.entry;
	uint64_t need = of && of->past.cleanup_ns ? of->past.cleanup_ns : DP_NULL;

	for (uint32_t i = 0; i < t->count; i++) {
		const struct node *o = &t->nodes[i];

		if (o->ending.own_cleanup_ns && n->id.facts.node[0] &&
		    strcmp(o->id.facts.node, n->id.facts.node) == 0 &&
		    (need == DP_NULL || o->ending.own_cleanup_ns > need))
			need = o->ending.own_cleanup_ns;
	}
	return need;
}

/* Who holds the GIL, or where the consumer is that does not, into the warning, whose cause is set. */
static void note_what_holds(const struct node *n, struct warning *w)
{
	const struct hold *h = timeline_current(&n->timeline);

	w->holder_tid = 0;
	memset(&w->place, 0, sizeof(w->place));
	if (h)
		warn_note_holder(w, h);
	else if (activity_is_cause(w->cause) || node_is_asleep(n))
		w->place = n->activity.place;
}

static void say_stop_warning(const struct env *e, struct node *n, enum dp_warning_kind kind,
			     uint8_t change, uint8_t severity, const char *text)
{
	struct warning *w = &n->warn[kind];

	if (change == DP_STEP_NONE)
		return;
	w->level = (uint8_t)(LEVEL_NOTICE + severity);
	if (change == DP_STEP_RESOLVED) {
		warn_resolve(e, n, kind, e->now);
		return;
	}
	w->cause = cause_of_stall(n, n->stop.at_ns, e->now);
	note_what_holds(n, w);
	warn_say(e, n, kind, e->now, text);
}

/* What keeps the event loop from its next(), and until when as far as is known. */
static void fill_stuck(const struct node *n, struct dp_outlook_view *v)
{
	const struct hold *h = timeline_current(&n->timeline);
	const struct gil *g = &n->timeline.gils[0];

	if (h) {
		v->stuck_since_ns = hold_start(h);
		v->stuck_expected_end_ns = outlook_hold_end(n, h);
		v->deadlock = hold_cause(h, node_consumer(n)) == DP_CAUSE_DEADLOCK;
	} else if (node_is_asleep(n)) {
		v->stuck_since_ns = n->activity.asleep_ns;
		v->stuck_expected_end_ns = n->activity.asleep_end_ns;
	}
	for (uint32_t i = 0; !v->stuck_since_ns && i < g->waiter_count; i++)
		if (g->waiters[i].tid == node_consumer(n))
			v->stuck_since_ns = g->waiters[i].begin_ns;
}

void outlook_stop(const struct env *e, struct node *n)
{
	struct dp_outlook_view v = {
		.stop_ns = n->stop.at_ns,
		.deadline_ns = n->stop.deadline_ns,
		.grace_ns = n->stop.grace_ns,
		.need_ns = n->outlook.need_ns,
		.moved_ns = n->stop.moved_ns,
		.outputs_done = n->stop.outputs_done,
		.exited = n->id.exited,
	};
	struct dp_stop_change c;

	fill_stuck(n, &v);
	dp_stop_warn(&n->outlook.steps, &v, e->now, &c);
	n->outlook.slack_ns = c.outlook.slack_ns;
	say_stop_warning(e, n, DP_WARN_STOP_PENDING, c.pending, c.pending_severity, c.text);
	say_stop_warning(e, n, DP_WARN_DEADLINE, c.deadline, c.deadline_severity, c.text);
}

/* How much of the watchdog's time is spent, in per cent; 0 none is running. */
static unsigned int watchdog_spent(const struct env *e, const struct watchdog_deadline *d)
{
	uint64_t spent = e->now > d->since_ns ? e->now - d->since_ns : 0;

	if (!d->at_ns)
		return 0;
	return e->now >= d->at_ns ? 100 : (unsigned int)(spent * 100 / (d->at_ns - d->since_ns));
}

/* Has the node been silent for so long, before any Stop, that a watchdog of dora's may end it? */
static bool is_silent(const struct env *e, const struct node *n)
{
	struct watchdog_deadline d = watchdog_due(&n->watchdog, &n->stop, &n->id);

	return watchdog_spent(e, &d) >= WATCHDOG_LOOK;
}

void outlook_look(const struct env *e, struct node *n)
{
	const struct delivery *d = n->account.pending_first;

	if ((d && e->now - d->delivered_ns >= ACTIVITY_AFTER_NS) ||
	    (n->stop.seen && !n->stop.outputs_done) || is_silent(e, n))
		activity_ask(&n->activity, e, &n->id);
	if (n->id.facts.is_dora)
		progress_ask(&n->progress, e, &n->id, &n->stop);
}

static void say_watchdog(const struct env *e, struct node *n, const struct watchdog_deadline *d)
{
	static const char *const before[DP_EXIT_COUNT] = {
		[DP_EXIT_STARTUP_KILL] = "not connected to the daemon for ",
		[DP_EXIT_HEALTH_KILL] = "no request to the daemon for ",
		[DP_EXIT_FINISH_KILL] = "all its inputs have been closed for ",
	};
	static const char *const after[DP_EXIT_COUNT] = {
		[DP_EXIT_STARTUP_KILL] = ": its startup_timeout ends it from ",
		[DP_EXIT_HEALTH_KILL] = ": its health_check_timeout ends it from ",
		[DP_EXIT_FINISH_KILL] =
			": once the other nodes have finished, dora stops it and ends it after ",
	};
	char text[DP_REASON_MAX];
	struct dp_sentence s;

	dp_sentence_begin(&s, text, sizeof(text));
	dp_say(&s, before[d->ends_as]);
	dp_say_duration(&s, e->now - d->since_ns);
	dp_say(&s, after[d->ends_as]);
	dp_say_duration(&s, d->at_ns - d->since_ns);
	/* The daemon looks every 5 s, or as health_check_interval says. */
	dp_say(&s, d->ends_as == DP_EXIT_FINISH_KILL ? "" : " on");
	warn_say(e, n, DP_WARN_DEADLINE, e->now, text);
}

void outlook_watchdog(const struct env *e, struct node *n)
{
	struct watchdog_deadline d = watchdog_due(&n->watchdog, &n->stop, &n->id);
	unsigned int spent = watchdog_spent(e, &d);
	struct warning *w = &n->warn[DP_WARN_DEADLINE];
	uint8_t level = spent >= 90   ? LEVEL_CRITICAL
			: spent >= 70 ? LEVEL_WARNING
			: spent >= 40 ? LEVEL_NOTICE
				      : LEVEL_NONE;

	if (n->stop.seen) {
		/* The deadline is another now, and warned of by its own steps. */
		if (w->level != LEVEL_NONE && !n->outlook.steps.deadline.level)
			warn_resolve(e, n, DP_WARN_DEADLINE, e->now);
		return;
	}
	if (level == LEVEL_NONE && w->level != LEVEL_NONE)
		warn_resolve(e, n, DP_WARN_DEADLINE, e->now);
	if (level <= w->level)
		return;
	w->level = level;
	w->raised_ns = e->now;
	w->cause = d.ends_as == DP_EXIT_STARTUP_KILL ? DP_CAUSE_NOT_CONNECTED
						     : cause_of_stall(n, d.since_ns, e->now);
	note_what_holds(n, w);
	say_watchdog(e, n, &d);
}

/* "If you stopped now": said when the risk comes up and when it is over. */
static void forecast(const struct env *e, struct node *n)
{
	const struct hold *h = timeline_current(&n->timeline);
	struct dp_forecast_view v = {
		.grace_ns = e->options.grace_ns ? e->options.grace_ns : n->id.grace.deadline_ns,
		.longest_hold_ns = n->timeline.max_own_hold_ns,
		.need_ns = n->outlook.need_ns,
		.pending_tokens = n->account.pending_count,
	};
	struct dp_finding f = {.type = DP_FIND_FORECAST};
	struct dp_forecast r;

	if (h && hold_proven(h)) {
		v.hold_start_ns = hold_start(h);
		v.hold_expected_end_ns = outlook_hold_end(n, h);
	}
	n->outlook.forecast_ns = DP_NULL;
	if (dp_forecast(&v, n->id.facts.node, e->now, &r) < 0)
		return;
	n->outlook.forecast_ns = r.need_ns;
	if (r.at_risk == n->outlook.at_risk)
		return;
	n->outlook.at_risk = r.at_risk;
	f.u.forecast = (struct dp_forecast_finding){.need_ns = r.need_ns,
						    .grace_ns = v.grace_ns,
						    .at_risk = r.at_risk,
						    .at_least = r.at_least,
						    .text = r.text};
	say_finding(e, &n->id, e->now, &f);
}

static void measured(const struct node *n, struct dp_measured *ret)
{
	const struct timeline *t = &n->timeline;
	bool longest_is_own = t->max_own_hold_ns == t->max_hold_ns;

	*ret = (struct dp_measured){
		.node = n->id.facts.node[0] ? n->id.facts.node : NULL,
		.holds = t->holds,
		.max_hold_ns = t->max_own_hold_ns,
		.max_hold_function =
			longest_is_own && t->max_hold_function[0] ? t->max_hold_function : NULL,
		.stops = n->ending.cleanup_ns ? 1 : 0,
		.max_cleanup_ns = n->ending.cleanup_ns,
		.least_margin_ns = n->ending.margin_ns,
		.killed_after_ns = n->ending.killed_after_ns,
		.hold_unfinished = t->hold_unfinished,
		.observable = n->id.facts.gil_observable,
	};
}

void outlook_recommend(struct node *n)
{
	struct dp_measured v;
	char text[DP_RECOMMENDATION_MAX];

	measured(n, &v);
	n->outlook.recommended_ns = DP_NULL;
	dp_recommend(&v, &n->outlook.recommended_ns, text, sizeof(text));
}

uint64_t outlook_recommend_all(const struct table *t, char *text, size_t text_len)
{
	struct dp_measured v[RECOMMEND_NODES];
	uint64_t grace_ns = DP_NULL;
	size_t count = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < t->count && count < RECOMMEND_NODES; i++)
		if (t->nodes[i].id.facts.is_dora)
			measured(&t->nodes[i], &v[count++]);
	if (count)
		dp_recommend_all(v, count, &grace_ns, text, text_len);
	return grace_ns;
}

void outlook_second(const struct env *e, const struct table *t, struct node *n)
{
	if (e->now - n->outlook.second_ns < SEC)
		return;
	n->outlook.second_ns = e->now;
	n->outlook.need_ns = measured_need(t, n);
	outlook_recommend(n);
	if (!n->stop.seen)
		forecast(e, n);
}
