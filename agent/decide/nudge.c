// SPDX-License-Identifier: MIT
/* The nudge: which thread it would go to, whether a signal can help there, and how often. */
#include "base/units.h"
#include "decide/deciding.h"

#include <string.h>
#include <sys/syscall.h>

/* The thread that a nudge would go to, whichever way it is stuck. */
struct subject {
	uint64_t id;
	uint64_t since_ns;
	uint64_t expected_end_ns;
	bool ends_as_asked;
	uint32_t tid;
	bool blocked;
	bool one_shot; /* whether a signal helps here is learned from the first one */
	const struct dp_place *place;
};

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

	if (!st->subject)
		return;
	if (was_sent(st) && d->now - st->sent_ns <= interval(d->cfg))
		policy_learn(st, st->subject_place, true, d->now);
	st->subject = 0;
	st->tries = 0;
	st->answer = 0;
}

static void refuse_nudge(struct deciding *d, enum dp_refusal why, uint32_t tid, const char *text)
{
	if (policy_refuse(d, why, DP_ACTION_NUDGE, tid))
		dp_say(&d->say, text);
}

/* "thread 12 holds the GIL for 4.2 s in f (x.py:12)" */
static void say_stuck(struct deciding *d, const struct subject *s)
{
	dp_sayf(&d->say, "thread %u %s for ", s->tid, s->blocked ? "is blocked" : "holds the GIL");
	dp_say_duration(&d->say, d->now > s->since_ns ? d->now - s->since_ns : 0);
	dp_say(&d->say, " in ");
	dp_say_place(&d->say, s->place);
}

static bool ends_in_time(const struct deciding *d, const struct subject *s, uint64_t due)
{
	/* Tokens are lost one after the other from now on: in time is then at once. */
	if (d->cfg->save_tokens && d->v->pending_tokens && !d->cfg->nudge_after_ns &&
	    s->expected_end_ns > policy_later(due, 100 * MS))
		return false;
	return policy_ends_before(d, s->since_ns, s->expected_end_ns, d->v->deadline_ns);
}

/* A lock is taken up again after EINTR unless the code that waits for it looks at signals. */
static bool waits_for_lock(int32_t syscall_nr)
{
	return syscall_nr == SYS_futex;
}

/* The holder of the GIL as subject, if it has been holding since before Stop. */
static bool find_holder(struct deciding *d, struct subject *s)
{
	const struct dp_policy_view *v = d->v;
	const struct dp_policy_hold *h = &v->hold;

	s->id = h->id;
	s->tid = h->tid;
	s->since_ns = h->start_ns;
	s->expected_end_ns = h->expected_end_ns;
	s->ends_as_asked = h->ends_as_asked;
	s->place = &h->place;
	s->one_shot =
		h->sched_state == DP_SCHED_SYSCALL ? waits_for_lock(h->syscall_nr) : h->native != 0;
	if (!h->confirmed) {
		refuse_nudge(d, DP_REFUSE_UNCONFIRMED, h->tid,
			     "that this thread keeps the GIL is not proven");
		return false;
	}
	if (h->start_ns > v->stop_ns && h->start_lo_ns <= v->stop_ns) {
		refuse_nudge(
			d, DP_REFUSE_START_UNPROVEN, h->tid,
			"it is not proven that this hold began before Stop: it may be the clean-up");
		return false;
	}
	if (h->start_ns > v->stop_ns) {
		if (policy_refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, h->tid)) {
			dp_say(&d->say, "this hold began after Stop (clean-up): ");
			say_stuck(d, s);
		}
		return false;
	}
	return true;
}

/* The consumer asleep while the GIL is free, if it has been so since before Stop. */
static bool find_sleeper(struct deciding *d, struct subject *s)
{
	const struct dp_policy_view *v = d->v;
	const struct dp_policy_blocked *b = &v->blocked;

	s->id = b->since_ns;
	s->tid = b->tid;
	s->since_ns = b->since_ns;
	s->expected_end_ns = b->expected_end_ns;
	s->ends_as_asked = true;
	s->place = &b->place;
	s->blocked = true;
	s->one_shot = waits_for_lock(b->syscall_nr);
	if (b->since_ns > v->stop_ns) {
		if (policy_refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, b->tid)) {
			dp_say(&d->say, "blocked only since after Stop (clean-up): ");
			say_stuck(d, s);
		}
		return false;
	}
	/* Only from what was not seen is it known that the node has not reacted: after losses
	 * that proves nothing. */
	if (v->lost) {
		refuse_nudge(
			d, DP_REFUSE_RECORDS_LOST, b->tid,
			"records were lost since Stop: whether the node has reacted is not known");
		return false;
	}
	return true;
}

/* Has a thread been stuck since before Stop? Fills *s; else leaves the line that says why not. */
static bool find_subject(struct deciding *d, struct subject *s)
{
	memset(s, 0, sizeof(*s));
	if (d->v->hold.id)
		return find_holder(d, s);
	if (d->v->blocked.since_ns)
		return find_sleeper(d, s);
	refuse_nudge(
		d, DP_REFUSE_NOTHING_HELD, 0,
		"still running, but no thread keeps the GIL and the main thread is not blocked: nothing that a signal could end");
	return false;
}

/*
 * A move since Stop, or since the last nudge. While one native call keeps the GIL nothing of the
 * node's Python can move, so what looks like it was dora's own thread.
 */
static bool has_moved(const struct deciding *d, const struct subject *s)
{
	const struct dp_policy_view *v = d->v;

	if (!v->moved_ns)
		return false;
	if (d->st->subject == s->id && d->st->subject_blocked == s->blocked && d->st->tries)
		return v->moved_ns > d->st->sent_ns;
	return (s->blocked || v->hold.native == 0) && v->moved_ns > v->stop_ns;
}

/* Does the process take the signal? Else leaves the line that says why not. */
static bool signal_taken(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_view *v = d->v;
	uint32_t sig = policy_nudge_signal(d->cfg), other;
	enum dp_refusal why;

	if (sig == SIG_KILL || sig == SIG_STOP || sig > 64) {
		refuse_nudge(d, DP_REFUSE_FORBIDDEN_SIGNAL, s->tid,
			     "this signal is no nudge: no process can catch it");
		return false;
	}
	if (!v->masks_known) {
		refuse_nudge(d, DP_REFUSE_MASKS_UNKNOWN, s->tid,
			     "which signals the process catches could not be read");
		return false;
	}
	if (policy_in_mask(v->signals_caught, sig))
		return true;
	why = policy_in_mask(v->signals_ignored, sig) ? DP_REFUSE_IGNORED : DP_REFUSE_DEFAULT_KILLS;
	if (!policy_refuse(d, why, DP_ACTION_NUDGE, s->tid))
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

/* Can a signal help this thread where it is? Else leaves the line that says why not. */
static bool can_help(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;
	struct dp_policy_learned *l;

	if (s->blocked)
		return true;
	if (h->sched_state == DP_SCHED_DISK_SLEEP) {
		if (policy_refuse(d, DP_REFUSE_DISK_SLEEP, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say, ", uninterruptible (state D): no signal reaches it");
		}
		return false;
	}
	if (!h->is_main && h->sched_state == DP_SCHED_ON_CPU) {
		if (policy_refuse(d, DP_REFUSE_NON_MAIN_ON_CPU, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say, ", on the CPU and not the main thread: no signal helps");
		}
		return false;
	}
	if (!h->is_main && h->sched_state == DP_SCHED_UNKNOWN) {
		refuse_nudge(
			d, DP_REFUSE_STATE_UNKNOWN, s->tid,
			"not the main thread, and what it does could not be read: whether a signal helps is not known");
		return false;
	}
	l = s->one_shot ? policy_learned(d->st, policy_place_key(s->place)) : NULL;
	if (l && l->in_vain && !l->helped && d->st->subject != s->id) {
		l->used_ns = d->now;
		if (policy_refuse(d, DP_REFUSE_NOT_POLLING_BEFORE, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say,
			       ", a call that an earlier nudge has shown not to poll signals");
		}
		return false;
	}
	return true;
}

/* Is another try in order? Else leaves the line that says why no more will come, or nothing. */
static bool another_try(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;

	if (!st->tries)
		return true;
	if (d->now < st->next_ns || !st->answer)
		return false;
	if (st->answer == 1 + DP_RESULT_FAILED) {
		refuse_nudge(d, DP_REFUSE_CANNOT_SEND, s->tid,
			     "the last nudge could not be sent: no further try");
		return false;
	}
	/* Where nothing is sent nothing is learned, so the one line that says so is enough. */
	if (st->answer == 1 + DP_RESULT_WOULD_SEND &&
	    (s->one_shot || d->cfg->mode == DP_SHUTDOWN_OBSERVE))
		return false;
	if (was_sent(st) && s->one_shot) {
		policy_learn(st, policy_place_key(s->place), false, d->now);
		if (policy_refuse(d, DP_REFUSE_NOT_POLLING, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say,
			       " and goes on after a nudge: this call does not poll signals, no more are sent");
		}
		/* From here on the answer changes nothing. */
		st->next_ns = UINT64_MAX;
		return false;
	}
	if (st->tries >= DP_POLICY_TRIES) {
		refuse_nudge(d, DP_REFUSE_TRIES_SPENT, s->tid,
			     "the call goes on after every nudge: no more are sent");
		return false;
	}
	return true;
}

static void send_nudge(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;
	uint64_t wait = interval(d->cfg);

	st->subject = s->id;
	st->subject_blocked = s->blocked;
	st->subject_place = policy_place_key(s->place);
	st->answer = 0;
	st->sent_ns = d->now;
	st->next_ns = policy_later(d->now,
				   wait > UINT64_MAX >> st->tries ? UINT64_MAX : wait << st->tries);
	st->tries++;
	st->attempts++;
	d->ret->kind = DP_DECIDE_NUDGE;
	d->ret->action = DP_ACTION_NUDGE;
	d->ret->tid = s->tid;
	d->ret->signal = policy_nudge_signal(d->cfg);
	d->ret->attempt = st->attempts;
	say_stuck(d, s);
	policy_say_since_stop(d);
	if (d->v->lost)
		dp_say(&d->say, "; records were lost meanwhile");
}

void policy_nudge(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t due = dp_policy_due(d->cfg, v);
	struct subject s;

	if (d->st->subject != (d->st->subject_blocked ? v->blocked.since_ns : v->hold.id) ||
	    (d->st->subject_blocked && v->hold.id))
		policy_close_subject(d);
	if (d->now < due)
		return;
	/* Only with SIGKILL is there nothing left to do; a process may well outlive a SIGTERM. */
	if (v->deadline_ns && d->now >= v->deadline_ns) {
		refuse_nudge(d, DP_REFUSE_DEADLINE_PASSED, 0,
			     "the deadline has passed: the daemon ends the node now");
		return;
	}
	if (!find_subject(d, &s))
		return;
	if (has_moved(d, &s)) {
		refuse_nudge(d, DP_REFUSE_MOVED, s.tid, "the node moves by itself since Stop");
		return;
	}
	if (!signal_taken(d, &s) || !can_help(d, &s))
		return;
	if (!d->st->tries && ends_in_time(d, &s, due)) {
		if (policy_refuse(d, DP_REFUSE_ENDS_IN_TIME, DP_ACTION_NUDGE, s.tid)) {
			say_stuck(d, &s);
			dp_say(&d->say,
			       s.ends_as_asked
				       ? "; this sleep ends by itself in time"
				       : "; as earlier calls went, it ends by itself in time");
		}
		return;
	}
	if (another_try(d, &s))
		send_nudge(d, &s);
}
