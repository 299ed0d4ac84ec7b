// SPDX-License-Identifier: MIT
/* The nudge: whether a signal can help its subject, how often, and what the last one did. */
#include "base/units.h"
#include "decide/deciding.h"

#include <string.h>

static bool was_sent(const struct dp_policy_state *st)
{
	return st->answer == 1 + DP_RESULT_SENT;
}

static uint64_t interval(const struct dp_policy_config *cfg)
{
	return cfg->nudge_interval_ns ? cfg->nudge_interval_ns : DP_POLICY_INTERVAL_NS;
}

void policy_close_subject(struct deciding *d)
{
	struct dp_policy_state *st = d->st;

	if (st->subject && was_sent(st) && d->now - st->sent_ns <= interval(d->cfg))
		policy_learn(st, st->subject_place, DP_LEARNED_HELPED, d->now);
	st->subject = 0;
}

static bool may_be_clean_up(const struct subject *s)
{
	return s->kind == SUBJECT_FINALISING || s->kind == SUBJECT_UNCLEAR;
}

static bool ends_in_time(const struct deciding *d, const struct subject *s, uint64_t due)
{
	/* What it is expected to end with is the clean-up: none comes after that. */
	if (may_be_clean_up(s))
		return (!d->v->deadline_ns || s->expected_end_ns <= d->v->deadline_ns) &&
		       policy_ends_before(d, s->since_ns, s->expected_end_ns, 0);
	/* Tokens are lost one after the other from now on: in time is then at once. */
	if (d->cfg->save_tokens && d->v->pending_tokens && !d->cfg->nudge_after_ns &&
	    s->expected_end_ns > policy_later(due, 100 * MS))
		return false;
	return policy_ends_before(d, s->since_ns, s->expected_end_ns, d->v->deadline_ns);
}

/* The thread that a refusal of the signal as such is about. */
static uint32_t thread_in_question(const struct dp_policy_view *v)
{
	if (v->hold.id)
		return v->hold.tid;
	return v->blocked.since_ns ? v->blocked.tid : v->progress.main_tid;
}

/* Does the process take the signal? Else leaves the line that says why not. */
static bool signal_taken(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint32_t sig = policy_nudge_signal(d->cfg), tid = thread_in_question(v), other;
	enum dp_refusal why;

	if (sig == SIG_KILL || sig == SIG_STOP || sig > 64) {
		policy_refuse_nudge(d, DP_REFUSE_FORBIDDEN_SIGNAL, tid,
				    "this signal is no nudge: no process can catch it");
		return false;
	}
	if (!v->masks_known) {
		policy_refuse_nudge(d, DP_REFUSE_MASKS_UNKNOWN, tid,
				    "which signals the process catches could not be read");
		return false;
	}
	if (policy_in_mask(v->signals_caught, sig)) {
		d->st->caught = true;
		return true;
	}
	/* Python gives its handlers back when it ends. */
	if (d->st->caught) {
		if (!d->st->attempts)
			policy_refuse_nudge(d, DP_REFUSE_MOVED, tid, "Python is ending");
		return false;
	}
	why = policy_in_mask(v->signals_ignored, sig) ? DP_REFUSE_IGNORED : DP_REFUSE_DEFAULT_KILLS;
	if (!policy_refuse(d, why, DP_ACTION_NUDGE, tid))
		return false;
	dp_say(&d->say, "the process ");
	if (why == DP_REFUSE_IGNORED) {
		dp_say(&d->say, "ignores ");
		dp_say_signal(&d->say, sig);
		if (sig == SIG_INT)
			dp_say(&d->say, " (as one started by a background shell does)");
	} else {
		dp_say(&d->say, "does not catch ");
		dp_say_signal(&d->say, sig);
		dp_say(&d->say, ", which would end it at once");
	}
	other = dp_policy_other_signal(v->signals_caught, sig);
	if (other) {
		dp_say(&d->say, "; it catches ");
		dp_say_signal(&d->say, other);
		dp_say(&d->say, ": --nudge-signal");
	}
	return false;
}

/* Is the place known for calls that do not poll signals? */
static bool refuse_learned(struct deciding *d, const struct subject *s)
{
	struct dp_policy_learned *l =
		s->one_shot ? policy_learned(d->st, policy_place_key(s->place)) : NULL;

	if (!l || !l->in_vain || l->helped || l->swallowed || d->st->subject == s->id)
		return false;
	l->used_ns = d->now;
	if (policy_refuse(d, DP_REFUSE_NOT_POLLING_BEFORE, DP_ACTION_NUDGE, s->tid)) {
		policy_say_subject(d, s);
		dp_say(&d->say, ", a call that an earlier nudge has shown not to poll signals");
	}
	return true;
}

/*
 * pthread_join, mutexes, Rust's locks and static initialisers take up their wait again after EINTR, and
 * no Python handler can run meanwhile. A nudge would but interrupt what follows a wait that has ended.
 */
static bool waits_on_after_signals(uint8_t waits)
{
	return waits == DP_WAIT_THREAD || waits == DP_WAIT_MUTEX || waits == DP_WAIT_LOCK ||
	       waits == DP_WAIT_STATIC;
}

static void refuse_deadlock(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;

	if (!policy_refuse(d, DP_REFUSE_DEADLOCK, DP_ACTION_NUDGE, s->tid))
		return;
	dp_say(&d->say, "a proven deadlock that ends by ");
	if (policy_in_mask(d->v->signals_caught, SIG_TERM))
		dp_say(&d->say, "SIGKILL alone (no handler can run)");
	else if (policy_in_mask(d->v->signals_ignored, SIG_TERM))
		dp_say(&d->say, "SIGKILL alone (it ignores SIGTERM)");
	else
		dp_say(&d->say, "SIGTERM alone (--shutdown terminate)");
	/* A long place may be cut. */
	if (h->waits_for[0])
		dp_sayf(&d->say, ", %s", h->waits_for);
	dp_say(&d->say, ": ");
	policy_say_subject(d, s);
}

static void refuse_lock_wait(struct deciding *d, const struct subject *s)
{
	if (!policy_refuse(d, DP_REFUSE_LOCK_WAIT, DP_ACTION_NUDGE, s->tid))
		return;
	dp_say(&d->say, "no signal ends such a wait, which may end by itself: ");
	policy_say_subject(d, s);
	if (d->v->hold.waits_for[0])
		dp_sayf(&d->say, " and %s", d->v->hold.waits_for);
}

/* Does the holder wait for a lock or a thread, from which no signal wakes it? Leaves the line. */
static bool refuse_wait(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;

	if (h->sched_state != DP_SCHED_SYSCALL || !waits_on_after_signals(h->waits))
		return false;
	if (h->deadlock)
		refuse_deadlock(d, s);
	else
		refuse_lock_wait(d, s);
	return true;
}

/* Can a signal help this thread where it is? Else leaves the line that says why not. */
static bool can_help(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;

	if (s->kind != SUBJECT_HOLD)
		return true;
	if (h->sched_state == DP_SCHED_DISK_SLEEP) {
		if (policy_refuse(d, DP_REFUSE_DISK_SLEEP, DP_ACTION_NUDGE, s->tid)) {
			policy_say_subject(d, s);
			dp_say(&d->say, ", uninterruptible (state D): no signal reaches it");
		}
		return false;
	}
	if (refuse_wait(d, s))
		return false;
	if (!h->is_main && h->sched_state == DP_SCHED_ON_CPU && !policy_gives_way(d->v)) {
		if (policy_refuse(d, DP_REFUSE_NON_MAIN_ON_CPU, DP_ACTION_NUDGE, s->tid)) {
			policy_say_subject(d, s);
			dp_say(&d->say, ", on the CPU and not the main thread: no signal helps");
		}
		return false;
	}
	if (!h->is_main && h->sched_state == DP_SCHED_UNKNOWN) {
		policy_refuse_nudge(
			d, DP_REFUSE_STATE_UNKNOWN, s->tid,
			"not the main thread, and what it does could not be read: whether a signal helps is not known");
		return false;
	}
	return !refuse_learned(d, s);
}

/* The Python handler has run since the last nudge, and the node goes on: the answer is swallowed. */
static bool was_handled(const struct deciding *d)
{
	return d->v->progress.handled_ns > d->st->sent_ns;
}

/* The thread has the signal and has not run its handler: the call that it is in polls none. */
static bool is_not_polling(const struct deciding *d, const struct subject *s)
{
	if (was_handled(d))
		return false;
	return s->one_shot || d->v->progress.delivered_ns > d->st->sent_ns;
}

static void refuse_not_polling(struct deciding *d, const struct subject *s)
{
	if (!policy_refuse(d, DP_REFUSE_NOT_POLLING, DP_ACTION_NUDGE, s->tid))
		return;
	policy_learn(d->st, policy_place_key(s->place), DP_LEARNED_IN_VAIN, d->now);
	policy_say_subject(d, s);
	if (s->kind == SUBJECT_HOLD || s->kind == SUBJECT_SLEEP)
		dp_say(&d->say, " and goes on after a nudge");
	dp_say(&d->say, ": this call does not poll signals, no more are sent");
}

static void refuse_spent(struct deciding *d, const struct subject *s)
{
	if (!was_handled(d)) {
		policy_refuse_nudge(d, DP_REFUSE_TRIES_SPENT, s->tid,
				    "the call goes on after every nudge: no more are sent");
		return;
	}
	if (!policy_refuse(d, DP_REFUSE_SWALLOWED, DP_ACTION_NUDGE, s->tid))
		return;
	dp_sayf(&d->say, "all %u nudges were handled and swallowed", d->st->attempts);
	if (s->place) {
		dp_say(&d->say, " in ");
		dp_say_place(&d->say, s->place);
	}
	dp_say(&d->say, " (a bare except, a handler of its own)");
}

/* Is another try in order? Else leaves the line that says why no more will come, or nothing. */
static bool another_try(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;

	if (!st->attempts)
		return true;
	if (d->now < st->next_ns || !st->answer)
		return false;
	if (st->answer == 1 + DP_RESULT_FAILED) {
		policy_refuse_nudge(d, DP_REFUSE_CANNOT_SEND, s->tid,
				    "the last nudge could not be sent: no further try");
		return false;
	}
	/* Where nothing is sent nothing is learned, so the one line that says so is enough. */
	if (st->answer == 1 + DP_RESULT_WOULD_SEND &&
	    (s->one_shot || d->cfg->mode == DP_SHUTDOWN_OBSERVE))
		return false;
	/* Should the handler run later, and the node go on all the same, another one is in order. */
	if (was_sent(st) && is_not_polling(d, s)) {
		refuse_not_polling(d, s);
		return false;
	}
	if (was_sent(st) && was_handled(d))
		policy_learn(st, policy_place_key(s->place), DP_LEARNED_SWALLOWED, d->now);
	if (st->attempts >= DP_POLICY_TRIES) {
		refuse_spent(d, s);
		return false;
	}
	return true;
}

/* What the nudge before this one did; first, since a long place may cut what follows it. */
static void say_last(struct deciding *d)
{
	if (!d->st->attempts || !was_sent(d->st) || !was_handled(d))
		return;
	dp_sayf(&d->say, "nudge %u was handled and swallowed", d->st->attempts);
	if (d->v->progress.asyncio && d->st->attempts == 1)
		dp_say(&d->say, " (asyncio's first SIGINT only cancels the main task)");
	dp_say(&d->say, ": ");
}

static void send_nudge(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;
	uint64_t wait = interval(d->cfg);

	d->ret->kind = DP_DECIDE_NUDGE;
	d->ret->action = DP_ACTION_NUDGE;
	d->ret->tid = s->tid;
	d->ret->signal = policy_nudge_signal(d->cfg);
	d->ret->anywhere = s->kind == SUBJECT_HOLD
				   ? s->tid != d->v->hold.tid
				   : s->kind != SUBJECT_SLEEP || s->tid != d->v->blocked.tid;
	say_last(d);
	policy_say_subject(d, s);
	policy_say_since_stop(d);
	if (d->v->lost)
		dp_say(&d->say, "; records were lost meanwhile");
	st->subject = s->id;
	st->subject_place = policy_place_key(s->place);
	st->answer = 0;
	st->sent_ns = d->now;
	/* After the last one all that follows is what it did. */
	if (st->attempts < DP_POLICY_TRIES - 1)
		wait = wait > UINT64_MAX >> st->attempts ? UINT64_MAX : wait << st->attempts;
	st->next_ns = policy_later(d->now, wait);
	st->attempts++;
	d->ret->attempt = st->attempts;
}

/* The call that the last nudge was meant for is over: was it the nudge? */
static void close_what_is_over(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;

	if (d->st->subject && d->st->subject != v->hold.id && d->st->subject != v->blocked.since_ns)
		policy_close_subject(d);
}

void policy_nudge(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t due = dp_policy_due(d->cfg, v);
	struct subject s;

	close_what_is_over(d);
	if (d->now < due)
		return;
	/* Only with SIGKILL is there nothing left to do; a process may well outlive a SIGTERM. */
	if (v->deadline_ns && d->now >= v->deadline_ns) {
		policy_refuse_nudge(d, DP_REFUSE_DEADLINE_PASSED, 0,
				    "the deadline has passed: the daemon ends the node now");
		return;
	}
	if (v->stopped) {
		policy_refuse_nudge(
			d, DP_REFUSE_STOPPED, v->progress.main_tid,
			"the process is stopped (SIGSTOP, Ctrl-Z, a debugger): before SIGCONT no signal but SIGKILL reaches it");
		return;
	}
	if (!signal_taken(d) || !policy_find_subject(d, &s) || !can_help(d, &s))
		return;
	if (!d->st->attempts && ends_in_time(d, &s, due)) {
		if (policy_refuse(d, DP_REFUSE_ENDS_IN_TIME, DP_ACTION_NUDGE, s.tid)) {
			policy_say_subject(d, &s);
			dp_say(&d->say,
			       s.ends_as_asked ? "; this sleep ends by itself in time"
			       : may_be_clean_up(&s)
				       ? "; as its clean-up went before, it ends by itself in time"
				       : "; as earlier calls went, it ends by itself in time");
		}
		return;
	}
	if (another_try(d, &s))
		send_nudge(d, &s);
}
