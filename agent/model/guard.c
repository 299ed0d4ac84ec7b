// SPDX-License-Identifier: MIT
/* The shutdown guard; see guard.h. */
#include "model/guard.h"

#include "decide/recommend.h"
#include "model/cause.h"
#include "model/outlook.h"

#include <string.h>

/* What was just sent is given this long to work before anything else is said about it. */
#define AFTER_SENT_NS (400 * MS)

/* Has another node's token stopped the dataflow already? */
static bool dataflow_is_stopping(const struct table *t, const struct node *n)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (&t->nodes[i] != n && t->nodes[i].guard.policy.dataflow_stopped &&
		    strcmp(t->nodes[i].id.facts.dataflow, n->id.facts.dataflow) == 0)
			return true;
	return false;
}

static void fill_stop(const struct node *n, struct dp_policy_view *v)
{
	v->stop_reason = n->stop.reason;
	v->outputs_done = n->stop.outputs_done;
	v->first_signal = n->stop.first_signal ? n->stop.first_signal : n->id.grace.first_signal;
	v->grace_ns = n->id.grace.deadline_ns;
	/* What a sibling alone says is no reason for a signal: witness.h. */
	if (!stop_is_on(&n->stop) || !n->stop.confirmed)
		return;
	v->stop_ns = n->stop.at_ns;
	v->deadline_ns = n->stop.deadline_ns;
	v->grace_ns = n->stop.grace_ns;
	v->moved_ns = n->stop.moved_ns;
	v->lost = n->guard.lost_ns > n->stop.at_ns;
}

static void fill_tokens(const struct env *e, const struct table *t, const struct node *n,
			struct dp_policy_view *v)
{
	const struct delivery *d = n->account.pending_first;
	uint64_t after = e->options.stop_dataflow_after_ns;
	char text[DP_RECOMMENDATION_MAX];

	v->pending_tokens = n->account.pending_count;
	v->oldest_delivered_ns = d ? d->delivered_ns : 0;
	v->dataflow_grace_ns = DP_NULL;
	v->pending_cause = -1;
	v->dataflow_stopping = dataflow_is_stopping(t, n);
	if (after && d && e->now - d->delivered_ns >= after) {
		v->pending_cause = cause_of_delivery(d, e->options.pending_threshold_ns, e->now);
		v->dataflow_grace_ns = outlook_recommend_all(t, text, sizeof(text));
	}
}

/* Whom the holder waits for, as it was read last. */
static void fill_wait(const struct node *n, const struct hold *h, struct dp_policy_hold *ret)
{
	const struct dp_rec_waits *w = waits_of(&n->waits, h);

	_Static_assert(sizeof(ret->waits_for) >= WAITS_WORDS_MAX, "room for the words");
	if (!w || w->status != 0 || w->link_count == 0)
		return;
	ret->waits = w->links[0].waits;
	ret->deadlock = hold_cause(h, node_consumer(n)) == DP_CAUSE_DEADLOCK;
	waits_words(w, ret->waits_for);
}

static void fill_subject(const struct node *n, struct dp_policy_view *v)
{
	const struct hold *h = timeline_current(&n->timeline);
	const struct activity *a = &n->activity;

	if (h) {
		v->hold = (struct dp_policy_hold){
			.id = hold_start(h) ^ ((uint64_t)h->tid << 40),
			.start_ns = hold_start(h),
			.start_lo_ns = h->lo_ns,
			.expected_end_ns = outlook_hold_end(n, h),
			.ends_as_asked = h->sleep_end_ns != 0,
			.tid = h->tid,
			.syscall_nr = h->syscall_nr,
			.confirmed = hold_proven(h),
			.is_main = h->tid == n->id.pid,
			.sched_state = h->sched_state,
			.native = h->native.verdict,
			.place = place_view(&h->place),
		};
		fill_wait(n, h, &v->hold);
	}
	/* Beside another thread's hold, too: a signal wakes main, whoever has the GIL. */
	if (a->asleep_ns && (!h || h->tid != node_consumer(n))) {
		v->blocked = (struct dp_policy_blocked){
			.since_ns = a->asleep_ns,
			.expected_end_ns = a->asleep_end_ns,
			.tid = node_consumer(n),
			.syscall_nr = a->asleep_nr,
			.joins = !node_consumer_known(n),
			.place = place_view(&a->place),
		};
	}
}

/* Whether the node has gone on to something else since Stop, and what the last nudge did. */
static void fill_progress(const struct env *e, const struct node *n, struct dp_policy_view *v)
{
	const struct progress *p = &n->progress;
	const struct activity *a = &n->activity;
	/* Who could not move gets so long to come back first. */
	bool had_a_chance = e->now >= p->held_up_ns + PROGRESS_CHANCE_NS;
	uint32_t sig = e->options.nudge_signal;

	if (!n->id.facts.is_python)
		return;
	v->progress = (struct dp_policy_progress){
		.same_ns = p->same_ns,
		.kept_ns = p->kept_ns,
		.other_ns = p->other_ns,
		.call_ns = p->call_ns,
		.idle_ns = p->idle_ns,
		.finalising_ns = p->finalising_ns,
		.joining_ns = p->joining_ns,
		.worker_tid = progress_threads_go_on(p, e->now),
		.took_ns = n->account.took_ns > n->stop.at_ns ? n->account.took_ns : 0,
		.away_ns = a->calls_seen && had_a_chance ? a->not_polled_ns : 0,
		.looked_ns = a->looked_ns,
		.busy_since_ns = p->busy_since_ns,
		.busy_until_ns = progress_expected_end(p),
		.delivered_ns = sig <= 64 ? n->signals.delivered_ns[sig] : 0,
		.handled_ns = sig <= 64 ? n->signals.handled_ns[sig] : 0,
		.main_tid = n->id.pid,
		.known_before = p->before_ns != 0,
		.came_late = n->id.first_ns > n->stop.at_ns,
		.asyncio = p->asyncio,
		.place = place_view(&p->place),
		.away_place = place_view(&a->place),
	};
}

static void fill_view(const struct env *e, const struct table *t, const struct node *n,
		      struct dp_policy_view *v)
{
	memset(v, 0, sizeof(*v));
	v->need_ns = n->outlook.need_ns;
	v->signals_caught = n->id.facts.signals_caught;
	v->signals_ignored = n->id.facts.signals_ignored;
	v->masks_known = n->id.facts.start_time != 0;
	v->exited = n->id.exited || n->id.gone;
	v->stopped = activity_is_stopped(&n->activity);
	fill_stop(n, v);
	fill_tokens(e, t, n, v);
	fill_subject(n, v);
	fill_progress(e, n, v);
}

/* A decision that asks for nothing from outside. */
static void say_decision(const struct env *e, struct node *n, const struct dp_policy_decision *d,
			 enum dp_action_result result)
{
	struct dp_finding f = {.type = DP_FIND_ACTION};

	f.u.action = (struct dp_action_finding){
		.action = d->action,
		.result = (uint8_t)result,
		.dry_run = e->options.dry_run,
		.signal = d->signal,
		.tid = d->tid,
		.attempt = d->attempt,
		.reason = d->reason[0] ? d->reason : NULL,
	};
	say_finding(e, &n->id, e->now, &f);
}

static void request(const struct env *e, const struct node *n, const struct dp_policy_decision *d)
{
	struct dp_request q = {
		.type = DP_REQ_ACT,
		.action = d->action,
		.signal = d->signal,
		.attempt = d->attempt,
		.tid = d->tid,
		.grace_ns = d->grace_ns,
		.anywhere = d->anywhere,
	};

	memcpy(q.dataflow, n->id.facts.dataflow, sizeof(q.dataflow));
	memcpy(q.reason, d->reason, sizeof(q.reason));
	say_request(e, &n->id, &q);
}

/*
 * Can the consumer not move on, whatever it was told? It is in the call that was there at Stop, or
 * another thread keeps the GIL. Where it is meanwhile says nothing of what it would do.
 */
static bool is_held_up(const struct env *e, const struct node *n)
{
	const struct hold *h = timeline_current(&n->timeline);
	const struct gil *g = &n->timeline.gils[0];
	uint32_t consumer = node_consumer(n);

	if (h && (h->tid != consumer || hold_proven(h)) && hold_start(h) <= n->stop.at_ns)
		return true;
	if (h && h->tid != consumer && e->now - hold_start(h) >= PROGRESS_WAIT_NS)
		return true;
	if (node_is_asleep(n) && n->activity.asleep_ns <= n->stop.at_ns)
		return true;
	for (uint32_t i = 0; i < g->waiter_count; i++)
		if (g->waiters[i].tid == consumer &&
		    e->now - g->waiters[i].begin_ns >= PROGRESS_WAIT_NS)
			return true;
	return false;
}

void guard_decide(const struct env *e, const struct table *t, const struct dp_policy_config *cfg,
		  struct node *n)
{
	struct dp_policy_state *st = &n->guard.policy;
	struct dp_policy_view v;
	struct dp_policy_decision d;

	if (stop_is_on(&n->stop) && is_held_up(e, n))
		n->progress.held_up_ns = e->now;
	if (st->answer == 1 + DP_RESULT_SENT && st->sent_ns && e->now - st->sent_ns < AFTER_SENT_NS)
		return;
	fill_view(e, t, n, &v);
	dp_policy_decide(st, cfg, &v, e->now, &d);
	if (d.kind == DP_DECIDE_NOTHING)
		return;
	if (d.kind == DP_DECIDE_REFUSE) {
		say_decision(e, n, &d, DP_RESULT_REFUSED);
	} else if (d.pretend) {
		say_decision(e, n, &d, DP_RESULT_WOULD_SEND);
		dp_policy_answer(st, d.action, DP_RESULT_WOULD_SEND);
	} else {
		request(e, n, &d);
	}
}

void guard_answer(const struct env *e, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_action *a = &r->u.action;
	struct dp_finding f = {.type = DP_FIND_ACTION};

	if ((a->action == DP_ACTION_NUDGE || a->action == DP_ACTION_TERMINATE) &&
	    a->result == DP_RESULT_SENT)
		n->guard.signals_sent++;
	dp_policy_answer(&n->guard.policy, a->action, a->result);
	f.u.action = (struct dp_action_finding){
		.action = a->action,
		.result = a->result,
		.signal = a->signal,
		.tid = r->h.tid,
		.attempt = a->attempt,
		.reason = a->reason[0] ? a->reason : NULL,
	};
	say_finding(e, &n->id, r->h.t_ns, &f);
}
