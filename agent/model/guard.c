// SPDX-License-Identifier: MIT
/*
 * The guard's side of the model: what the policy (decide/policy.h) is told at every tick, and what
 * becomes of its decisions; the outlook of a Stop, forecasts before one, and recommended grace.
 */
#include "decide/recommend.h"
#include "model/internal.h"

#include <string.h>

#define RECOMMEND_NODES 64
#define AFTER_SENT_NS   (400 * MS)

static int is_stopping(const struct node *n)
{
	return n->stop_seen && n->stop_reason != DP_STOP_ALL_INPUTS_CLOSED;
}

void guard_moved(struct node *n, uint64_t t_ns)
{
	if (is_stopping(n) && t_ns > n->stop_ns && !n->moved_ns)
		n->moved_ns = t_ns;
}

/* When a hold ends, going by earlier holds of the same function and line; 0 unknown. */
static uint64_t expected_end(const struct node *n, const struct hold *h)
{
	if (!h->place.known || !h->place.function[0])
		return 0;
	for (uint32_t i = 0; i < n->function_count; i++) {
		const struct function_cost *f = &n->functions[i];

		if (f->max_hold_ns && f->b.line == h->place.line &&
		    strcmp(f->b.function, h->place.function) == 0 &&
		    strcmp(f->b.file, h->place.file) == 0) {
			uint64_t end = hold_start(h) + f->max_hold_ns;

			/* It has outlived what was measured: that says nothing any more. */
			return end > hold_until(h) ? end : 0;
		}
	}
	return 0;
}

/* The same by what it asked the kernel for, where it is a sleep: that is no guess. */
static uint64_t end_of(const struct node *n, const struct hold *h)
{
	return h->sleep_end_ns ? h->sleep_end_ns : expected_end(n, h);
}

/* The clean-up that a node of this name needed before, in this run; DP_NULL not measured. */
static uint64_t measured_need(const struct dp_model *m, const struct node *n)
{
	uint64_t need = DP_NULL;

	for (uint32_t i = 0; i < m->node_count; i++) {
		const struct node *o = &m->nodes[i];

		if (o->cleanup_ns && n->facts.node[0] &&
		    strcmp(o->facts.node, n->facts.node) == 0 &&
		    (need == DP_NULL || o->cleanup_ns > need))
			need = o->cleanup_ns;
	}
	return need;
}

static const struct hold *current_hold(const struct node *n)
{
	const struct hold *h = &n->gils[0].cur;
	uint64_t since = h->lo_ns ? h->lo_ns : h->seen_ns;

	return h->tid && h->last_ns - since >= CANDIDATE_NS ? h : NULL;
}

static int is_asleep(const struct node *n)
{
	return n->asleep_ns && !current_hold(n);
}

static void fill_view(const struct dp_model *m, const struct node *n, struct dp_policy_view *v)
{
	const struct hold *h = current_hold(n);
	const struct life *l = n->pending_first;
	uint64_t unused;
	char text[DP_RECOMMENDATION_MAX];

	memset(v, 0, sizeof(*v));
	v->stop_reason = n->stop_reason;
	if (is_stopping(n)) {
		v->stop_ns = n->stop_ns;
		v->deadline_ns = n->deadline_ns;
		v->grace_ns = stop_grace(m, n);
		v->moved_ns = n->moved_ns;
		v->lost = n->lost_ns > n->stop_ns;
	} else {
		v->grace_ns = n->grace.deadline_ns;
	}
	v->pending_tokens = n->pending_count;
	v->oldest_delivered_ns = l ? l->delivered_ns : 0;
	v->need_ns = n->need_ns;
	v->dataflow_grace_ns = DP_NULL;
	v->pending_cause = -1;
	if (m->options.stop_dataflow_after_ns && l &&
	    m->now - l->delivered_ns >= m->options.stop_dataflow_after_ns) {
		v->pending_cause = cause_of_life(m, l, m->now);
		guard_recommend_all((struct dp_model *)m, &unused, text, sizeof(text));
		v->dataflow_grace_ns = unused;
	}
	v->signals_caught = n->facts.signals_caught;
	v->signals_ignored = n->facts.signals_ignored;
	v->masks_known = n->facts.start_time != 0;
	v->first_signal = n->first_signal ? n->first_signal : n->grace.first_signal;
	v->outputs_done = n->outputs_done;
	v->exited = n->exited || n->gone;
	for (uint32_t i = 0; i < m->node_count; i++)
		v->dataflow_stopping |= &m->nodes[i] != n && m->nodes[i].policy.dataflow_stopped &&
					strcmp(m->nodes[i].facts.dataflow, n->facts.dataflow) == 0;
	if (h) {
		v->hold = (struct dp_policy_hold){
			.id = hold_start(h) ^ ((uint64_t)h->tid << 40),
			.start_ns = hold_start(h),
			.start_lo_ns = h->lo_ns,
			.expected_end_ns = expected_end(n, h),
			.tid = h->tid,
			.syscall_nr = h->syscall_nr,
			.confirmed = (uint8_t)hold_proven(h),
			.is_main = h->tid == n->pid,
			.activity = h->activity,
			.native = h->native,
			.place = place_view(&h->place),
		};
	} else if (is_asleep(n)) {
		v->blocked = (struct dp_policy_blocked){
			.since_ns = n->asleep_ns,
			.tid = node_consumer(n),
			.syscall_nr = n->asleep_nr,
			.place = place_view(&n->doing_place),
		};
	}
}

static void say_action(struct dp_model *m, struct node *n, const struct dp_policy_decision *d,
		       enum dp_action_result result)
{
	struct dp_finding f = {.type = DP_FIND_ACTION};

	f.u.action = (struct dp_action_finding){
		.action = d->action,
		.result = (uint8_t)result,
		.dry_run = m->options.dry_run,
		.signal = d->signal,
		.tid = d->tid,
		.attempt = d->attempt,
		.reason = d->reason[0] ? d->reason : NULL,
	};
	model_say(m, n, m->now, &f);
}

static void decide(struct dp_model *m, struct node *n)
{
	struct dp_policy_view v;
	struct dp_policy_decision d;
	struct dp_request q = {.type = DP_REQ_ACT, .pid = n->pid};

	/* What was just sent is given a moment to work before anything else is said about it. */
	if (n->policy.answer == 1 + DP_RESULT_SENT && n->policy.sent_ns &&
	    m->now - n->policy.sent_ns < AFTER_SENT_NS)
		return;
	fill_view(m, n, &v);
	dp_policy_decide(&n->policy, &m->policy, &v, m->now, &d);
	if (d.kind == DP_DECIDE_NOTHING)
		return;
	if (d.kind == DP_DECIDE_REFUSE) {
		say_action(m, n, &d, DP_RESULT_REFUSED);
		return;
	}
	if (d.pretend) {
		say_action(m, n, &d, DP_RESULT_WOULD_SEND);
		dp_policy_answer(&n->policy, d.action, DP_RESULT_WOULD_SEND);
		return;
	}
	q.action = d.action;
	q.signal = d.signal;
	q.attempt = d.attempt;
	q.tid = d.tid;
	q.grace_ns = d.grace_ns;
	memcpy(q.dataflow, n->facts.dataflow, sizeof(q.dataflow));
	memcpy(q.reason, d.reason, sizeof(q.reason));
	model_ask(m, &q);
}

void guard_answer(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	(void)m;
	dp_policy_answer(&n->policy, r->u.action.action, r->u.action.result);
}

static void stop_warning(struct dp_model *m, struct node *n, enum dp_warning_kind kind,
			 uint8_t change, uint8_t severity, const char *text)
{
	struct warning *w = &n->warn[kind];

	if (change == DP_STEP_NONE)
		return;
	w->level = (uint8_t)(LEVEL_NOTICE + severity);
	if (change == DP_STEP_RAISED) {
		w->cause = cause_of_stall(n, n->stop_ns, m->now);
		w->holder_tid = 0;
		memset(&w->place, 0, sizeof(w->place));
		if (current_hold(n))
			warn_note_holder(n, w);
		else if (is_asleep(n))
			w->place = n->doing_place;
		warn_say(m, n, kind, m->now, 0, text);
		return;
	}
	warn_say(m, n, kind, m->now, 1, NULL);
	memset(w, 0, sizeof(*w));
	w->cause = -1;
}

static void outlook(struct dp_model *m, struct node *n)
{
	const struct hold *h = current_hold(n);
	struct dp_outlook_view v = {
		.stop_ns = n->stop_ns,
		.deadline_ns = n->deadline_ns,
		.grace_ns = stop_grace(m, n),
		.need_ns = n->need_ns,
		.moved_ns = n->moved_ns,
		.outputs_done = n->outputs_done,
		.exited = n->exited,
	};
	struct dp_stop_change change;

	if (h) {
		v.stuck_since_ns = hold_start(h);
		v.stuck_expected_end_ns = end_of(n, h);
	} else if (is_asleep(n)) {
		v.stuck_since_ns = n->asleep_ns;
		v.stuck_expected_end_ns = n->asleep_end_ns;
	}
	for (uint32_t i = 0; !v.stuck_since_ns && i < n->gils[0].waiter_count; i++)
		if (n->gils[0].waiters[i].tid == node_consumer(n))
			v.stuck_since_ns = n->gils[0].waiters[i].begin_ns;
	dp_stop_warn(&n->stop_steps, &v, m->now, &change);
	n->slack_ns = change.outlook.slack_ns;
	stop_warning(m, n, DP_WARN_STOP_PENDING, change.pending, change.pending_severity, change.text);
	stop_warning(m, n, DP_WARN_DEADLINE, change.deadline, change.deadline_severity, change.text);
}

/* "If you stopped now": said when the risk comes up and when it is over. */
static void forecast(struct dp_model *m, struct node *n)
{
	const struct hold *h = current_hold(n);
	struct dp_forecast_view v = {
		.grace_ns = m->options.grace_ns ? m->options.grace_ns : n->grace.deadline_ns,
		.longest_hold_ns = n->max_own_hold_ns,
		.need_ns = n->need_ns,
		.pending_tokens = n->pending_count,
	};
	struct dp_finding f = {.type = DP_FIND_FORECAST};
	struct dp_forecast r;

	if (h && hold_proven(h)) {
		v.hold_start_ns = hold_start(h);
		v.hold_expected_end_ns = end_of(n, h);
	}
	n->forecast_ns = DP_NULL;
	if (dp_forecast(&v, n->facts.node, m->now, &r) < 0)
		return;
	n->forecast_ns = r.need_ns;
	if (r.at_risk == n->at_risk)
		return;
	n->at_risk = r.at_risk;
	f.u.forecast = (struct dp_forecast_finding){.need_ns = r.need_ns,
						    .grace_ns = v.grace_ns,
						    .at_risk = r.at_risk,
						    .at_least = r.at_least,
						    .text = r.text};
	model_say(m, n, m->now, &f);
}

static void measured(const struct node *n, struct dp_measured *ret)
{
	*ret = (struct dp_measured){
		.node = n->facts.node[0] ? n->facts.node : NULL,
		.holds = n->holds_count,
		.max_hold_ns = n->max_own_hold_ns,
		.max_hold_function = n->max_own_hold_ns == n->max_hold_ns && n->max_hold_function[0]
					     ? n->max_hold_function
					     : NULL,
		.stops = n->cleanup_ns ? 1 : 0,
		.max_cleanup_ns = n->cleanup_ns,
		.least_margin_ns = n->margin_ns,
		.killed_after_ns = n->killed_after_ns,
		.hold_unfinished = n->hold_unfinished,
		.observable = n->facts.gil_observable,
	};
}

void guard_recommend(struct dp_model *m, struct node *n)
{
	struct dp_measured v;
	char text[DP_RECOMMENDATION_MAX];

	(void)m;
	measured(n, &v);
	n->recommended_ns = DP_NULL;
	dp_recommend(&v, &n->recommended_ns, text, sizeof(text));
}

void guard_recommend_all(struct dp_model *m, uint64_t *ret_ns, char *text, size_t text_len)
{
	struct dp_measured v[RECOMMEND_NODES];
	size_t count = 0;

	*ret_ns = DP_NULL;
	text[0] = '\0';
	for (uint32_t i = 0; i < m->node_count && count < RECOMMEND_NODES; i++)
		if (m->nodes[i].facts.is_dora)
			measured(&m->nodes[i], &v[count++]);
	if (count)
		dp_recommend_all(v, count, ret_ns, text, text_len);
}

void guard_tick(struct dp_model *m, struct node *n)
{
	if (!n->facts.is_dora)
		return;
	if (m->now - n->second_ns >= SEC) {
		n->second_ns = m->now;
		n->need_ns = measured_need(m, n);
		guard_recommend(m, n);
		if (!n->stop_seen)
			forecast(m, n);
	}
	if (is_stopping(n))
		outlook(m, n);
	if (is_stopping(n) || m->options.stop_dataflow_after_ns)
		decide(m, n);
}
