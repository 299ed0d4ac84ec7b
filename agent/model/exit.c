// SPDX-License-Identifier: MIT
/* The exit of a process; see exit.h. */
#include "model/exit.h"

#include "model/blame.h"
#include "model/cause.h"
#include "model/memory.h"

#include <signal.h>

/* A signal of nobody knows whom is the daemon's at the end of the grace when this much is gone. */
#define NEARLY(grace) ((grace) / 10 * 9)
/* An exit that took longer after Stop gets a cause also where it was no kill. */
#define SLOW_EXIT_NS (1 * SEC)

/* What can be known of the signal that ended a process. */
struct death {
	const struct env *env;
	const struct node *n;
	uint32_t by;  /* 0: it ended by itself */
	bool unknown; /* nobody saw how */
	int code;
	uint64_t t_ns;
};

static bool ignores(const struct identity *id, uint32_t signal)
{
	return id->facts.signals_ignored & (1ULL << (signal - 1));
}

/* Did the daemon send what ended it? */
static bool by_daemon(const struct death *d)
{
	const struct signals *s = &d->n->signals;

	return d->by && s->kill_signal == d->by && s->killer_pid &&
	       s->killer_pid == d->n->id.facts.daemon_pid;
}

/* Nobody knows who sent it, or who the daemon is, but it came when the daemon's was due. */
static bool when_due(const struct death *d)
{
	const struct signals *s = &d->n->signals;

	return d->by && s->kill_signal == d->by &&
	       (s->killer_pid == 0 || d->n->id.facts.daemon_pid == 0) &&
	       s->kill_ns - d->n->stop.at_ns >= NEARLY(d->n->stop.grace_ns);
}

/*
 * SIGKILL before its turn. From dora 0.4 on a grace that is over begins with SIGTERM, so a SIGKILL
 * without one was asked for (--force, a second Ctrl-C) or is the end of the daemon itself. A process
 * that ignores SIGTERM is not seen to get it, nor is anything that was lost.
 */
static bool is_forced(const struct death *d)
{
	const struct node *n = d->n;

	if (n->stop.forced || commands_find(&d->env->commands, &n->id, d->t_ns, true))
		return true;
	return d->by == SIGKILL && n->id.grace.first_signal == SIGTERM &&
	       n->id.grace_source != DP_DEADLINE_ASSUMED && !n->stop.term_ns &&
	       !ignores(&n->id, SIGTERM) && n->guard.lost_ns <= n->stop.at_ns;
}

/*
 * Was its end the end of the grace? dora's own words are no evidence: 1.x calls such a kill clean,
 * and 0.5.0 speaks of kills that were none. A process that ends by itself once the daemon's SIGTERM
 * has come, whatever its code, had been given all the time there was.
 */
static bool is_grace_kill(const struct death *d)
{
	const struct stop *s = &d->n->stop;

	if (!stop_is_on(s)) {
		/* Up to 0.3.13 the daemon has no other reason for a signal: Stop was not seen. */
		return by_daemon(d) && d->by == SIGKILL && d->n->id.grace.first_signal == SIGKILL &&
		       !is_forced(d);
	}
	if (s->term_ns)
		return !d->by || by_daemon(d) || when_due(d);
	return (by_daemon(d) && !is_forced(d)) || when_due(d);
}

/* The finish grace of dora 1.x: a Stop that nobody asked for, so long after all inputs had closed. */
static bool is_finish_kill(const struct death *d)
{
	const struct node *n = d->n;
	uint64_t closed = n->watchdog.inputs_closed_ns, finish = watchdog_finish_ns(&n->id);

	return closed && finish && n->stop.reason == DP_STOP_STOP &&
	       n->stop.at_ns >= closed + NEARLY(finish) &&
	       !commands_find(&d->env->commands, &n->id, n->stop.at_ns, false);
}

/* The watchdog whose time was over when the daemon sent SIGKILL, without a Stop; 0 none. */
static uint8_t watchdog_of(const struct death *d)
{
	const struct node *n = d->n;
	struct watchdog_deadline due = watchdog_due(&n->watchdog, &n->stop, &n->id);

	if (!by_daemon(d) || d->by != SIGKILL || !due.at_ns || due.ends_as == DP_EXIT_FINISH_KILL)
		return 0;
	/* A node that was found silent may have been so for any time. */
	if (!n->watchdog.request_ns && due.ends_as == DP_EXIT_HEALTH_KILL)
		return due.ends_as;
	return n->signals.kill_ns - due.since_ns >= NEARLY(due.at_ns - due.since_ns) ? due.ends_as
										     : 0;
}

/*
 * dora 1.x, `dora run`: a thread of the node's looks whether that process lives, and kills the node's
 * own process group when it does not. Any other SIGKILL to itself is its own doing.
 */
static bool is_orphan(const struct death *d)
{
	const struct node *n = d->n;

	return d->by == SIGKILL && n->signals.kill_signal == SIGKILL &&
	       n->signals.killer_pid == n->id.pid && n->id.limits.run_parent_pid &&
	       n->id.orphaned_ns;
}

static uint8_t reason_of(const struct death *d)
{
	uint8_t watchdog = watchdog_of(d);

	if (d->unknown)
		return DP_EXIT_UNKNOWN;
	if (is_orphan(d))
		return DP_EXIT_ORPHAN;
	if (is_grace_kill(d))
		return is_finish_kill(d) ? DP_EXIT_FINISH_KILL : DP_EXIT_GRACE_KILL;
	if (watchdog)
		return watchdog;
	if (d->by)
		return DP_EXIT_SIGNAL;
	return d->code ? DP_EXIT_ERROR : DP_EXIT_CLEAN;
}

/* Since when it was to end; 0 where nobody knows. The daemon's SIGTERM alone is not the beginning. */
static uint64_t told_ns(const struct stop *s)
{
	return s->seen && s->reason == DP_STOP_STOP ? s->at_ns : 0;
}

/* Death by another's hand: not by itself, nor by a fault of its own. */
static bool by_another(const struct death *d, uint8_t reason)
{
	if (reason == DP_EXIT_SIGNAL)
		return d->by == SIGKILL || d->by == SIGTERM;
	return reason != DP_EXIT_CLEAN && reason != DP_EXIT_ERROR && reason != DP_EXIT_UNKNOWN;
}

/* It left after a signal of the guard's, by itself or by that signal, which is never SIGKILL. */
static bool is_saved(const struct death *d, uint8_t reason)
{
	const struct guard *g = &d->n->guard;

	if (d->unknown || !g->signals_sent || !d->n->stop.seen)
		return false;
	return !by_another(d, reason) ||
	       (reason == DP_EXIT_SIGNAL && d->by == SIGTERM && g->policy.terminated);
}

/*
 * From when on the time until its end is looked at for a cause: since it was told, since it has been
 * silent, for the grace that it had without our seeing the Stop; 0 it ended by itself.
 */
static uint64_t stall_begin(const struct death *d, uint8_t reason)
{
	const struct node *n = d->n;
	uint64_t told = told_ns(&n->stop), back = d->t_ns - SLOW_EXIT_NS, from;

	if (told || !by_another(d, reason))
		return told;
	if (reason == DP_EXIT_STARTUP_KILL)
		return n->id.limits.started_ns ? n->id.limits.started_ns : n->id.first_ns;
	if (reason == DP_EXIT_GRACE_KILL)
		from = d->t_ns - (n->stop.seen ? n->stop.grace_ns : n->id.grace.deadline_ns);
	else
		from = n->watchdog.request_ns && n->watchdog.request_ns < back
			       ? n->watchdog.request_ns
			       : back;
	return from > n->id.first_ns && from < d->t_ns ? from : n->id.first_ns;
}

/* What the GIL had to do with the time that it had to end. */
static void blame_exit(const struct death *d, struct dp_exit_finding *f)
{
	const struct node *n = d->n;
	uint64_t from = stall_begin(d, f->reason), t = d->t_ns;
	struct blame_share share;

	f->cause = -1;
	f->gil_share = -1;
	if (!from || t <= from)
		return;
	blame_window(&n->timeline, node_consumer(n), from, t, &share);
	if (n->id.facts.gil_observable)
		f->gil_share = (double)share.gil_ns / (double)(t - from);
	if (f->reason == DP_EXIT_STARTUP_KILL)
		f->cause = DP_CAUSE_NOT_CONNECTED;
	else if (by_another(d, f->reason) || t - from >= SLOW_EXIT_NS)
		f->cause = cause_of_stall(n, from, t);
}

/* `sent_ns`: the guard's last signal, 0 none. Of what came before it nobody knows that it was clean-up. */
static void measure(const struct stop *s, bool grace_kill, uint32_t by, uint64_t sent_ns,
		    uint64_t t, struct ending *ret)
{
	uint64_t from = s->moved_ns ? s->moved_ns : s->at_ns, own = sent_ns > from ? sent_ns : from;

	if (told_ns(s) && grace_kill) {
		ret->killed_after_ns = t - s->at_ns;
	} else if (s->seen && !by && s->reason == DP_STOP_STOP) {
		ret->cleanup_ns = t > from ? t - from : 1;
		ret->own_cleanup_ns = t > own ? t - own : 1;
		ret->margin_ns = s->deadline_ns ? (int64_t)(s->deadline_ns - t) : DP_SNULL;
	}
}

uint8_t exit_record(const struct env *e, struct node *n, uint64_t abandoned,
		    const struct dp_record *r)
{
	bool unknown = r->u.exit.is_unknown;
	int status = unknown ? 0 : r->u.exit.status, code = unknown ? -1 : (status >> 8) & 0xff;
	uint32_t by = (uint32_t)(status & 0x7f);
	struct dp_finding f = {.type = DP_FIND_EXIT};
	char explanation[DP_REASON_MAX];
	struct dp_exit_finding *x = &f.u.exit;
	uint64_t t = r->h.t_ns, told = told_ns(&n->stop);
	struct death d = {.env = e, .n = n, .by = by, .unknown = unknown, .code = code, .t_ns = t};

	x->code = by ? -1 : code;
	x->signal = by;
	x->killer_pid = by && n->signals.kill_signal == by ? n->signals.killer_pid : 0;
	x->since_stop_ns = told ? t - told : DP_NULL;
	x->reason = reason_of(&d);
	x->grace_kill = x->reason == DP_EXIT_GRACE_KILL;
	x->saved = is_saved(&d, x->reason);
	x->tokens_abandoned = abandoned;
	blame_exit(&d, x);
	if (!unknown)
		measure(&n->stop, x->grace_kill, by,
			n->guard.signals_sent ? n->guard.policy.sent_ns : 0, t, &n->ending);
	if (by == SIGBUS) {
		memory_explain(&n->memory, explanation, sizeof(explanation));
		x->explanation = explanation;
	}
	say_finding(e, &n->id, t, &f);
	return x->reason;
}
