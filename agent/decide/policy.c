// SPDX-License-Identifier: MIT
/* The shutdown guard's decisions: entry, SIGTERM, stop of a dataflow; see policy.h. */
#include "decide/deciding.h"
#include "decide/slack.h"

#include <string.h>

void dp_policy_configure(struct dp_policy_config *ret, const struct dp_rec_options *o)
{
	memset(ret, 0, sizeof(*ret));
	ret->nudge_after_ns = o->nudge_after_ns;
	ret->nudge_interval_ns = o->nudge_interval_ns;
	ret->stop_dataflow_after_ns = o->stop_dataflow_after_ns;
	ret->nudge_signal = o->nudge_signal;
	ret->mode = o->shutdown;
	ret->save_tokens = o->save_tokens;
	ret->dry_run = o->dry_run;
}

enum dp_signal_disposition dp_policy_disposition(uint64_t caught, uint64_t ignored, uint32_t sig)
{
	if (sig < 1 || sig > 64)
		return DP_SIGDISP_UNKNOWN;
	if (policy_in_mask(caught, sig))
		return DP_SIGDISP_CAUGHT;
	return policy_in_mask(ignored, sig) ? DP_SIGDISP_IGNORED : DP_SIGDISP_DEFAULT;
}

uint32_t dp_policy_other_signal(uint64_t caught, uint32_t sig)
{
	/*
	 * Signals that programs catch in order to be told something. Those of timers, children,
	 * faults and profilers have handlers with other work to do.
	 */
	static const uint8_t candidates[] = {SIG_INT, SIG_USR1, SIG_USR2, SIG_HUP, SIG_TERM};
	size_t i;

	for (i = 0; i < sizeof(candidates); i++)
		if (candidates[i] != sig && policy_in_mask(caught, candidates[i]))
			return candidates[i];
	return 0;
}

static uint64_t grace(const struct dp_policy_view *v)
{
	return v->grace_ns ? v->grace_ns : DP_POLICY_GRACE_NS;
}

static bool stop_counts(const struct dp_policy_view *v)
{
	return v->stop_ns && (v->stop_reason == DP_STOP_STOP || v->stop_reason == DP_STOP_SIGTERM);
}

uint64_t dp_policy_due(const struct dp_policy_config *cfg, const struct dp_policy_view *v)
{
	uint64_t by_default, save, at_risk;

	if (!stop_counts(v))
		return 0;
	if (cfg->nudge_after_ns)
		return policy_later(v->stop_ns, cfg->nudge_after_ns);
	by_default = policy_later(v->stop_ns, grace(v) / 100 * DP_POLICY_NUDGE_PER_CENT);
	if (!cfg->save_tokens || !v->pending_tokens)
		return by_default;
	/*
	 * A token is given up 1 s after it arrived: with only fresh ones a healthy node has longer,
	 * down to the 300 ms that a nudged node may take to react.
	 */
	save = policy_later(v->stop_ns, DP_POLICY_SAVE_AFTER_NS);
	at_risk = v->oldest_delivered_ns
			  ? policy_later(v->oldest_delivered_ns,
					 DP_POLICY_TOKEN_GIVEN_UP_NS - DP_POLICY_SAVE_AFTER_NS)
			  : 0;
	if (at_risk > save)
		save = at_risk;
	return save < by_default ? save : by_default;
}

bool policy_refuse(struct deciding *d, enum dp_refusal why, enum dp_action action, uint32_t tid)
{
	if (d->st->refused >> why & 1)
		return false;
	d->st->refused |= 1ULL << why;
	d->ret->kind = DP_DECIDE_REFUSE;
	d->ret->refusal = (uint8_t)why;
	d->ret->action = (uint8_t)action;
	d->ret->tid = tid;
	d->ret->signal = action == DP_ACTION_TERMINATE ? SIG_TERM : policy_nudge_signal(d->cfg);
	if (action == DP_ACTION_STOP_DATAFLOW)
		d->ret->signal = 0;
	d->ret->attempt = action == DP_ACTION_NUDGE ? d->st->attempts : 0;
	return true;
}

void policy_say_since_stop(struct deciding *d)
{
	dp_say(&d->say, ", ");
	dp_say_duration(&d->say, d->now - d->v->stop_ns);
	dp_say(&d->say, " after Stop");
}

bool policy_ends_before(const struct deciding *d, uint64_t since, uint64_t end, uint64_t limit)
{
	if (end <= since || d->now > dp_believed_until(since, end))
		return false;
	return !limit || policy_later(end, policy_need(d->v)) <= limit;
}

/* True when SIGTERM is the decision, or its refusal. */
static bool terminate(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t limit = DP_POLICY_TERMINATE_NS, due = dp_policy_due(d->cfg, v), wanted;

	if (d->cfg->mode != DP_SHUTDOWN_TERMINATE || d->st->terminated || !v->deadline_ns ||
	    v->stopped)
		return false;
	/* With a grace of a second or two "slack below 1 s" would be true of any node at Stop. */
	if (limit > grace(v) / 5)
		limit = grace(v) / 5;
	/* What moves is in its clean-up already: how much of that is left is not known. */
	wanted = policy_later(limit, v->moved_ns > v->stop_ns ? 0 : policy_need(v));
	if (policy_later(d->now, wanted) <= v->deadline_ns || d->now >= v->deadline_ns)
		return false;
	/* A nudge comes first, unless the user has put it off beyond the deadline. */
	if (d->now < due && policy_later(d->now, limit) <= v->deadline_ns)
		return false;
	if (v->hold.id &&
	    policy_ends_before(d, v->hold.start_ns, v->hold.expected_end_ns, v->deadline_ns))
		return false;
	if (!v->hold.id && v->blocked.since_ns &&
	    policy_ends_before(d, v->blocked.since_ns, v->blocked.expected_end_ns, v->deadline_ns))
		return false;
	if (!v->masks_known) {
		if (!policy_refuse(d, DP_REFUSE_TERM_MASKS_UNKNOWN, DP_ACTION_TERMINATE, 0))
			return false;
		dp_say(&d->say, "whether the process ignores SIGTERM could not be read");
		return true;
	}
	if (policy_in_mask(v->signals_ignored, SIG_TERM)) {
		if (!policy_refuse(d, DP_REFUSE_TERM_IGNORED, DP_ACTION_TERMINATE, 0))
			return false;
		dp_say(&d->say, "the process ignores SIGTERM");
		return true;
	}
	d->st->terminated = 1;
	d->ret->kind = DP_DECIDE_TERMINATE;
	d->ret->action = DP_ACTION_TERMINATE;
	d->ret->signal = SIG_TERM;
	d->ret->attempt = 1;
	dp_say(&d->say, "still running");
	policy_say_since_stop(d);
	dp_say(&d->say, ", and the daemon's ");
	if (v->first_signal)
		dp_say_signal(&d->say, v->first_signal);
	else
		dp_say(&d->say, "signal");
	dp_say(&d->say, " follows in ");
	dp_say_duration(&d->say, v->deadline_ns - d->now);
	return true;
}

static void before_stop(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t pending;

	if (!d->cfg->stop_dataflow_after_ns || d->st->dataflow_stopped || v->dataflow_stopping ||
	    v->stop_ns || !v->pending_tokens || !v->oldest_delivered_ns)
		return;
	/* Stopping the dataflow is for tokens that the GIL keeps, not for a slow handler. */
	if (v->pending_cause != DP_CAUSE_GIL_NATIVE && v->pending_cause != DP_CAUSE_GIL_CONTENTION)
		return;
	pending = d->now > v->oldest_delivered_ns ? d->now - v->oldest_delivered_ns : 0;
	if (pending < d->cfg->stop_dataflow_after_ns)
		return;
	d->st->dataflow_stopped = 1;
	d->ret->kind = DP_DECIDE_STOP_DATAFLOW;
	d->ret->action = DP_ACTION_STOP_DATAFLOW;
	d->ret->attempt = 1;
	d->ret->pretend = d->cfg->dry_run;
	/* Never less than what the dataflow has anyway. */
	d->ret->grace_ns = grace(v);
	if (v->dataflow_grace_ns != DP_NULL && v->dataflow_grace_ns > d->ret->grace_ns)
		d->ret->grace_ns = v->dataflow_grace_ns;
	dp_say(&d->say, "a drop token waits for ");
	dp_say_duration(&d->say, pending);
	dp_say(&d->say, " because of the GIL (");
	dp_say(&d->say, dp_cause_name((unsigned int)v->pending_cause));
	dp_say(&d->say, "); grace ");
	dp_say_duration(&d->say, d->ret->grace_ns);
	if (v->dataflow_grace_ns == DP_NULL)
		dp_say(&d->say, " by default, none can be recommended yet");
}

void dp_policy_decide(struct dp_policy_state *st, const struct dp_policy_config *cfg,
		      const struct dp_policy_view *v, uint64_t now_ns,
		      struct dp_policy_decision *ret)
{
	struct deciding d = {.st = st, .cfg = cfg, .v = v, .now = now_ns, .ret = ret};

	memset(ret, 0, sizeof(*ret));
	dp_sentence_begin(&d.say, ret->reason, sizeof(ret->reason));
	if (v->exited)
		return;
	if (!stop_counts(v)) {
		before_stop(&d);
		return;
	}
	if (st->stop_ns != v->stop_ns) {
		st->stop_ns = v->stop_ns;
		st->refused = 0;
		st->subject = 0;
		st->attempts = 0;
		st->caught = false;
		st->answer = 0;
		st->terminated = 0;
	}
	/* A Stop that lies ahead of the tick's time is looked at by the next one. */
	if (now_ns < v->stop_ns)
		return;
	/* A node that has closed its outputs is through, unless a thread of it keeps the process. */
	if (v->outputs_done && !v->progress.finalising_ns) {
		policy_close_subject(&d);
		return;
	}
	if (!terminate(&d))
		policy_nudge(&d);
	ret->pretend = ret->kind != DP_DECIDE_NOTHING && ret->kind != DP_DECIDE_REFUSE &&
		       (cfg->dry_run || cfg->mode == DP_SHUTDOWN_OBSERVE);
}

void dp_policy_answer(struct dp_policy_state *st, unsigned int action, unsigned int result)
{
	if (action == DP_ACTION_NUDGE && result < DP_RESULT_COUNT)
		st->answer = (uint8_t)(1 + result);
}
