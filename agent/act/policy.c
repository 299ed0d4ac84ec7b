// SPDX-License-Identifier: MIT
/* The shutdown guard's decisions; see policy.h. */
#include "act/policy.h"

#include <string.h>
#include <sys/syscall.h>

#include "act/sentence.h"

/* Linux numbers of x86 and arm; <signal.h> is kept out so that this stays a pure function. */
enum {
	SIG_HUP = 1,
	SIG_INT = 2,
	SIG_KILL = 9,
	SIG_USR1 = 10,
	SIG_USR2 = 12,
	SIG_TERM = 15,
	SIG_STOP = 19
};

/* What one decision is made of; saves handing five pointers down. */
struct deciding {
	struct dp_policy_state *st;
	const struct dp_policy_config *cfg;
	const struct dp_policy_view *v;
	uint64_t now;
	struct dp_policy_decision *ret;
	struct dp_sentence say;
};

/* The thread that a nudge would go to, whichever way it is stuck. */
struct subject {
	uint64_t id;
	uint64_t since_ns;
	uint64_t expected_end_ns;
	uint32_t tid;
	uint8_t blocked;
	int one_shot; /* whether a signal helps here is learned from the first one */
	const struct dp_place *place;
};

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

static int in_mask(uint64_t mask, uint32_t sig)
{
	return sig >= 1 && sig <= 64 && (mask >> (sig - 1) & 1);
}

enum dp_signal_disposition dp_policy_disposition(uint64_t caught, uint64_t ignored, uint32_t sig)
{
	if (sig < 1 || sig > 64)
		return DP_SIGDISP_UNKNOWN;
	if (in_mask(caught, sig))
		return DP_SIGDISP_CAUGHT;
	return in_mask(ignored, sig) ? DP_SIGDISP_IGNORED : DP_SIGDISP_DEFAULT;
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
		if (candidates[i] != sig && in_mask(caught, candidates[i]))
			return candidates[i];
	return 0;
}

static uint32_t nudge_signal(const struct dp_policy_config *cfg)
{
	return cfg->nudge_signal ? cfg->nudge_signal : SIG_INT;
}

static uint64_t grace(const struct dp_policy_view *v)
{
	return v->grace_ns ? v->grace_ns : DP_POLICY_GRACE_NS;
}

/* Sum that ends at the last representable moment instead of going round. */
static uint64_t later(uint64_t t, uint64_t by)
{
	return t > UINT64_MAX - by ? UINT64_MAX : t + by;
}

static uint64_t need(const struct dp_policy_view *v)
{
	return v->need_ns == DP_NULL ? 0 : v->need_ns;
}

static int stop_counts(const struct dp_policy_view *v)
{
	return v->stop_ns && (v->stop_reason == DP_STOP_STOP || v->stop_reason == DP_STOP_SIGTERM);
}

uint64_t dp_policy_due(const struct dp_policy_config *cfg, const struct dp_policy_view *v)
{
	uint64_t by_default, save, at_risk;

	if (!stop_counts(v))
		return 0;
	if (cfg->nudge_after_ns)
		return later(v->stop_ns, cfg->nudge_after_ns);
	by_default = later(v->stop_ns, grace(v) / 100 * DP_POLICY_NUDGE_PER_CENT);
	if (!cfg->save_tokens || !v->pending_tokens)
		return by_default;
	/*
	 * A token is given up 1 s after it arrived: with only fresh ones a healthy node has longer,
	 * down to the 300 ms that a nudged node may take to react.
	 */
	save = later(v->stop_ns, DP_POLICY_SAVE_AFTER_NS);
	at_risk = v->oldest_delivered_ns
			  ? later(v->oldest_delivered_ns,
				  DP_POLICY_TOKEN_GIVEN_UP_NS - DP_POLICY_SAVE_AFTER_NS)
			  : 0;
	if (at_risk > save)
		save = at_risk;
	return save < by_default ? save : by_default;
}

/* ---- what was learned -------------------------------------------------------------------- */

static uint64_t hash(uint64_t h, const char *s)
{
	/* FNV-1a, 64 bit. */
	for (; s && *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

/* 0 for a place that has no name: nothing is learned about it beyond the hold itself. */
static uint64_t place_key(const struct dp_place *p)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	if ((!p->function || !p->function[0]) && (!p->library || !p->library[0]))
		return 0;
	h = hash(h, p->function);
	h = hash(h, p->file);
	h = hash(h, p->library);
	h = (h ^ (uint32_t)p->line) * 0x100000001b3ULL;
	return h ? h : 1;
}

static struct dp_policy_learned *learned(struct dp_policy_state *st, uint64_t key)
{
	size_t i;

	for (i = 0; key && i < DP_POLICY_MEMORY; i++)
		if (st->learned[i].place == key)
			return &st->learned[i];
	return NULL;
}

static void learn(struct dp_policy_state *st, uint64_t key, int helped, uint64_t now)
{
	struct dp_policy_learned *l = learned(st, key);
	size_t i;

	if (!key)
		return;
	if (!l) {
		/* The least recently used one gives way: a hostile node fills only its own table.
		 */
		l = &st->learned[0];
		for (i = 1; i < DP_POLICY_MEMORY; i++)
			if (st->learned[i].used_ns < l->used_ns)
				l = &st->learned[i];
		memset(l, 0, sizeof(*l));
		l->place = key;
	}
	l->used_ns = now;
	if (helped && l->helped < UINT32_MAX)
		l->helped++;
	else if (!helped && l->in_vain < UINT32_MAX)
		l->in_vain++;
}

static int was_sent(const struct dp_policy_state *st)
{
	return st->answer == 1 + DP_RESULT_SENT;
}

static uint64_t interval(const struct dp_policy_config *cfg)
{
	return cfg->nudge_interval_ns ? cfg->nudge_interval_ns : DP_POLICY_INTERVAL_NS;
}

/* The subject of the last nudge is no more: it helped if that came soon after a signal was sent. */
static void close_subject(struct deciding *d)
{
	struct dp_policy_state *st = d->st;

	if (!st->subject)
		return;
	if (was_sent(st) && d->now - st->sent_ns <= interval(d->cfg))
		learn(st, st->subject_place, 1, d->now);
	st->subject = 0;
	st->tries = 0;
	st->answer = 0;
}

/* ---- audit lines ------------------------------------------------------------------------- */

/* Begins a refusal; 0 when its line is out already in this stop, and nothing is to be said. */
static int refuse(struct deciding *d, enum dp_refusal why, enum dp_action action, uint32_t tid)
{
	if (d->st->refused >> why & 1)
		return 0;
	d->st->refused |= 1ULL << why;
	d->ret->kind = DP_DECIDE_REFUSE;
	d->ret->refusal = (uint8_t)why;
	d->ret->action = (uint8_t)action;
	d->ret->tid = tid;
	d->ret->signal = action == DP_ACTION_TERMINATE ? SIG_TERM : nudge_signal(d->cfg);
	if (action == DP_ACTION_STOP_DATAFLOW)
		d->ret->signal = 0;
	d->ret->attempt = action == DP_ACTION_NUDGE ? d->st->attempts : 0;
	return 1;
}

static void refuse_nudge(struct deciding *d, enum dp_refusal why, uint32_t tid, const char *text)
{
	if (refuse(d, why, DP_ACTION_NUDGE, tid))
		dp_say(&d->say, text);
}

static void say_since_stop(struct deciding *d)
{
	dp_say(&d->say, ", ");
	dp_say_duration(&d->say, d->now - d->v->stop_ns);
	dp_say(&d->say, " after Stop");
}

static void say_thread(struct deciding *d, const struct subject *s)
{
	dp_say(&d->say, "thread ");
	dp_say_u64(&d->say, s->tid);
}

/* "thread 12 holds the GIL for 4.2 s in f (x.py:12)" */
static void say_stuck(struct deciding *d, const struct subject *s)
{
	say_thread(d, s);
	dp_say(&d->say, s->blocked ? " is blocked for " : " holds the GIL for ");
	dp_say_duration(&d->say, d->now > s->since_ns ? d->now - s->since_ns : 0);
	dp_say(&d->say, " in ");
	dp_say_place(&d->say, s->place);
}

/* ---- the nudge --------------------------------------------------------------------------- */

/*
 * Will it end by itself before `limit` (0: there is none)? Earlier calls of the same function say
 * when; that is believed until it has outlasted them by a quarter.
 */
static int ends_before(const struct deciding *d, uint64_t since, uint64_t end, uint64_t limit)
{
	uint64_t patience;

	if (!end || end <= since)
		return 0;
	patience = (end - since) / 4 > 200000000ULL ? (end - since) / 4 : 200000000ULL;
	if (d->now > later(end, patience))
		return 0;
	return !limit || later(end, need(d->v)) <= limit;
}

static int ends_in_time(const struct deciding *d, const struct subject *s, uint64_t due)
{
	/* Tokens are lost one after the other from now on: in time is then at once. */
	if (d->cfg->save_tokens && d->v->pending_tokens && !d->cfg->nudge_after_ns &&
	    s->expected_end_ns > later(due, 100000000ULL))
		return 0;
	return ends_before(d, s->since_ns, s->expected_end_ns, d->v->deadline_ns);
}

/* A lock is taken up again after EINTR unless the code that waits for it looks at signals. */
static int waits_for_lock(int32_t syscall_nr)
{
	return syscall_nr == SYS_futex;
}

/* Has a thread been stuck since before Stop? Fills *s; else leaves the line that says why not. */
static int find_subject(struct deciding *d, struct subject *s)
{
	const struct dp_policy_view *v = d->v;
	const struct dp_policy_hold *h = &v->hold;
	const struct dp_policy_blocked *b = &v->blocked;

	memset(s, 0, sizeof(*s));
	if (h->id) {
		s->id = h->id;
		s->tid = h->tid;
		s->since_ns = h->start_ns;
		s->expected_end_ns = h->expected_end_ns;
		s->place = &h->place;
		s->one_shot = h->activity == DP_ACTIVITY_SYSCALL ? waits_for_lock(h->syscall_nr)
								 : h->native != 0;
		if (!h->confirmed) {
			refuse_nudge(d, DP_REFUSE_UNCONFIRMED, h->tid,
				     "that this thread keeps the GIL is not proven");
			return 0;
		}
		if (h->start_ns > v->stop_ns && h->start_lo_ns <= v->stop_ns) {
			refuse_nudge(d, DP_REFUSE_START_UNPROVEN, h->tid,
				     "it is not proven that this hold began before Stop: it may be "
				     "the clean-up");
			return 0;
		}
		if (h->start_ns > v->stop_ns) {
			if (refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, h->tid)) {
				dp_say(&d->say, "this hold began after Stop (clean-up): ");
				say_stuck(d, s);
			}
			return 0;
		}
		return 1;
	}
	if (!b->since_ns) {
		refuse_nudge(
			d, DP_REFUSE_NOTHING_HELD, 0,
			"still running, but no thread keeps the GIL and the main thread is not "
			"blocked: nothing that a signal could end");
		return 0;
	}
	s->id = b->since_ns;
	s->tid = b->tid;
	s->since_ns = b->since_ns;
	s->expected_end_ns = b->expected_end_ns;
	s->place = &b->place;
	s->blocked = 1;
	s->one_shot = waits_for_lock(b->syscall_nr) != 0;
	if (b->since_ns > v->stop_ns) {
		if (refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, b->tid)) {
			dp_say(&d->say, "blocked only since after Stop (clean-up): ");
			say_stuck(d, s);
		}
		return 0;
	}
	/* That it has not reacted is known from what was not seen; with losses that proves nothing.
	 */
	if (v->lost) {
		refuse_nudge(
			d, DP_REFUSE_RECORDS_LOST, b->tid,
			"records were lost since Stop: whether the node has reacted is not known");
		return 0;
	}
	return 1;
}

/*
 * A move since Stop, or since the last nudge. While one native call keeps the GIL nothing of the
 * node's Python can move, so what looks like it was dora's own thread.
 */
static int has_moved(const struct deciding *d, const struct subject *s)
{
	const struct dp_policy_view *v = d->v;

	if (!v->moved_ns)
		return 0;
	if (d->st->subject == s->id && d->st->subject_blocked == s->blocked && d->st->tries)
		return v->moved_ns > d->st->sent_ns;
	return (s->blocked || v->hold.native == 0) && v->moved_ns > v->stop_ns;
}

/* Does the process take the signal? Else leaves the line that says why not. */
static int signal_taken(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_view *v = d->v;
	uint32_t sig = nudge_signal(d->cfg), other;
	enum dp_refusal why;

	if (sig == SIG_KILL || sig == SIG_STOP || sig > 64) {
		refuse_nudge(d, DP_REFUSE_FORBIDDEN_SIGNAL, s->tid,
			     "this signal is no nudge: no process can catch it");
		return 0;
	}
	if (!v->masks_known) {
		refuse_nudge(d, DP_REFUSE_MASKS_UNKNOWN, s->tid,
			     "which signals the process catches could not be read");
		return 0;
	}
	if (in_mask(v->signals_caught, sig))
		return 1;
	why = in_mask(v->signals_ignored, sig) ? DP_REFUSE_IGNORED : DP_REFUSE_DEFAULT_KILLS;
	if (!refuse(d, why, DP_ACTION_NUDGE, s->tid))
		return 0;
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
	return 0;
}

/* Can a signal help this thread where it is? Else leaves the line that says why not. */
static int can_help(struct deciding *d, const struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;
	struct dp_policy_learned *l;

	if (s->blocked)
		return 1;
	if (h->activity == DP_ACTIVITY_DISK_SLEEP) {
		if (refuse(d, DP_REFUSE_DISK_SLEEP, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say, ", uninterruptible (state D): no signal reaches it");
		}
		return 0;
	}
	if (!h->is_main && h->activity == DP_ACTIVITY_ON_CPU) {
		if (refuse(d, DP_REFUSE_NON_MAIN_ON_CPU, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say, ", on the CPU and not the main thread: no signal helps");
		}
		return 0;
	}
	if (!h->is_main && h->activity == DP_ACTIVITY_UNKNOWN) {
		refuse_nudge(d, DP_REFUSE_STATE_UNKNOWN, s->tid,
			     "not the main thread, and what it does could not be read: whether a "
			     "signal helps is not known");
		return 0;
	}
	l = s->one_shot ? learned(d->st, place_key(s->place)) : NULL;
	if (l && l->in_vain && !l->helped && d->st->subject != s->id) {
		l->used_ns = d->now;
		if (refuse(d, DP_REFUSE_NOT_POLLING_BEFORE, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say,
			       ", a call that an earlier nudge has shown not to poll signals");
		}
		return 0;
	}
	return 1;
}

/* Is another try in order? Else leaves the line that says why no more will come, or nothing. */
static int another_try(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;

	if (!st->tries)
		return 1;
	if (d->now < st->next_ns || !st->answer)
		return 0;
	if (st->answer == 1 + DP_RESULT_FAILED) {
		refuse_nudge(d, DP_REFUSE_CANNOT_SEND, s->tid,
			     "the last nudge could not be sent: no further try");
		return 0;
	}
	/* Where nothing is sent nothing is learned, so the one line that says so is enough. */
	if (st->answer == 1 + DP_RESULT_WOULD_SEND &&
	    (s->one_shot || d->cfg->mode == DP_SHUTDOWN_OBSERVE))
		return 0;
	if (was_sent(st) && s->one_shot) {
		learn(st, place_key(s->place), 0, d->now);
		if (refuse(d, DP_REFUSE_NOT_POLLING, DP_ACTION_NUDGE, s->tid)) {
			say_stuck(d, s);
			dp_say(&d->say,
			       " and goes on after a nudge: this call does not poll signals, "
			       "no more are sent");
		}
		/* From here on the answer is no news. */
		st->next_ns = UINT64_MAX;
		return 0;
	}
	if (st->tries >= DP_POLICY_TRIES) {
		refuse_nudge(d, DP_REFUSE_TRIES_SPENT, s->tid,
			     "the call goes on after every nudge: no more are sent");
		return 0;
	}
	return 1;
}

static void send_nudge(struct deciding *d, const struct subject *s)
{
	struct dp_policy_state *st = d->st;
	uint64_t wait = interval(d->cfg);

	st->subject = s->id;
	st->subject_blocked = s->blocked;
	st->subject_place = place_key(s->place);
	st->answer = 0;
	st->sent_ns = d->now;
	st->next_ns =
		later(d->now, wait > UINT64_MAX >> st->tries ? UINT64_MAX : wait << st->tries);
	st->tries++;
	st->attempts++;
	d->ret->kind = DP_DECIDE_NUDGE;
	d->ret->action = DP_ACTION_NUDGE;
	d->ret->tid = s->tid;
	d->ret->signal = nudge_signal(d->cfg);
	d->ret->attempt = st->attempts;
	say_stuck(d, s);
	say_since_stop(d);
	if (d->v->lost)
		dp_say(&d->say, "; records were lost meanwhile");
}

static void nudge(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t due = dp_policy_due(d->cfg, v);
	struct subject s;

	if (d->st->subject != (d->st->subject_blocked ? v->blocked.since_ns : v->hold.id) ||
	    (d->st->subject_blocked && v->hold.id))
		close_subject(d);
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
		if (refuse(d, DP_REFUSE_ENDS_IN_TIME, DP_ACTION_NUDGE, s.tid)) {
			say_stuck(d, &s);
			dp_say(&d->say, "; as earlier calls went, it ends by itself in time");
		}
		return;
	}
	if (another_try(d, &s))
		send_nudge(d, &s);
}

/* ---- terminate, stop --------------------------------------------------------------------- */

/* 1 when SIGTERM is the decision, or its refusal. */
static int terminate(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	uint64_t limit = DP_POLICY_TERMINATE_NS, due = dp_policy_due(d->cfg, v), wanted;

	if (d->cfg->mode != DP_SHUTDOWN_TERMINATE || d->st->terminated || !v->deadline_ns)
		return 0;
	/* With a grace of a second or two "slack below 1 s" would be true of any node at Stop. */
	if (limit > grace(v) / 5)
		limit = grace(v) / 5;
	/* What moves is in its clean-up already: how much of that is left is not known. */
	wanted = later(limit, v->moved_ns > v->stop_ns ? 0 : need(v));
	if (later(d->now, wanted) <= v->deadline_ns || d->now >= v->deadline_ns)
		return 0;
	/* A nudge comes first, unless the user has put it off beyond the deadline. */
	if (d->now < due && later(d->now, limit) <= v->deadline_ns)
		return 0;
	if (v->hold.id && ends_before(d, v->hold.start_ns, v->hold.expected_end_ns, v->deadline_ns))
		return 0;
	if (!v->masks_known) {
		if (!refuse(d, DP_REFUSE_TERM_MASKS_UNKNOWN, DP_ACTION_TERMINATE, 0))
			return 0;
		dp_say(&d->say, "whether the process ignores SIGTERM could not be read");
		return 1;
	}
	if (in_mask(v->signals_ignored, SIG_TERM)) {
		if (!refuse(d, DP_REFUSE_TERM_IGNORED, DP_ACTION_TERMINATE, 0))
			return 0;
		dp_say(&d->say, "the process ignores SIGTERM");
		return 1;
	}
	d->st->terminated = 1;
	d->ret->kind = DP_DECIDE_TERMINATE;
	d->ret->action = DP_ACTION_TERMINATE;
	d->ret->signal = SIG_TERM;
	d->ret->attempt = 1;
	dp_say(&d->say, "still running");
	say_since_stop(d);
	dp_say(&d->say, ", and the daemon's ");
	if (v->first_signal)
		dp_say_signal(&d->say, v->first_signal);
	else
		dp_say(&d->say, "signal");
	dp_say(&d->say, " follows in ");
	dp_say_duration(&d->say, v->deadline_ns - d->now);
	return 1;
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
	if (v->gone)
		return;
	if (!stop_counts(v)) {
		before_stop(&d);
		return;
	}
	if (st->stop_ns != v->stop_ns) {
		st->stop_ns = v->stop_ns;
		st->refused = 0;
		st->subject = 0;
		st->tries = 0;
		st->attempts = 0;
		st->answer = 0;
		st->terminated = 0;
	}
	/* A Stop that lies ahead of the tick's time is looked at by the next one. */
	if (now_ns < v->stop_ns)
		return;
	if (v->outputs_done) {
		close_subject(&d);
		return;
	}
	if (!terminate(&d))
		nudge(&d);
	ret->pretend = ret->kind != DP_DECIDE_NOTHING && ret->kind != DP_DECIDE_REFUSE &&
		       (cfg->dry_run || cfg->mode == DP_SHUTDOWN_OBSERVE);
}

void dp_policy_answer(struct dp_policy_state *st, unsigned int action, unsigned int result)
{
	if (action == DP_ACTION_NUDGE && result < DP_RESULT_COUNT)
		st->answer = (uint8_t)(1 + result);
}
