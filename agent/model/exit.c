// SPDX-License-Identifier: MIT
/* The exit of a process; see exit.h. */
#include "model/exit.h"

#include "model/blame.h"
#include "model/cause.h"

/* The daemon's deadly signal after Stop is the grace kill when this much of the grace is gone. */
#define NEARLY(grace) ((grace) / 10 * 9)
/* An exit that took longer after Stop gets a cause also where it was no kill. */
#define SLOW_EXIT_NS (1 * SEC)

/*
 * The daemon's (or, where that is not known, anybody's) deadly signal after Stop when the grace was
 * nearly over. dora's own words are no evidence: 1.x calls such a kill clean.
 */
static bool is_grace_kill(const struct env *e, const struct node *n, uint32_t by)
{
	const struct signals *s = &n->signals;
	uint32_t daemon = n->id.facts.daemon_pid;

	if (!by || !stop_is_on(&n->stop))
		return false;
	if (n->stop.reason == DP_STOP_SIGTERM)
		return true;
	return s->kill_ns && s->kill_signal == by &&
	       (daemon == 0 || s->killer_pid == daemon || s->killer_pid == 0) &&
	       s->kill_ns - n->stop.at_ns >=
		       NEARLY(stop_grace(&n->stop, &n->id, e->options.grace_ns));
}

static uint8_t reason_of(bool grace_kill, uint32_t by, int code)
{
	if (grace_kill)
		return DP_EXIT_GRACE_KILL;
	if (by)
		return DP_EXIT_SIGNAL;
	return code ? DP_EXIT_ERROR : DP_EXIT_CLEAN;
}

/* What the GIL had to do with the time from Stop to the exit at `t`. */
static void blame_exit(const struct node *n, uint64_t t, struct dp_exit_finding *f)
{
	uint64_t stop = n->stop.at_ns;
	struct blame_share share;

	f->cause = -1;
	f->gil_share = -1;
	if (!n->stop.seen || t <= stop)
		return;
	blame_window(&n->timeline, node_consumer(n), stop, t, &share);
	if (n->id.facts.gil_observable)
		f->gil_share = (double)share.gil_ns / (double)(t - stop);
	if (f->grace_kill || t - stop >= SLOW_EXIT_NS)
		f->cause = cause_of_stall(n, stop, t);
}

static void measure(const struct stop *s, bool grace_kill, uint32_t by, uint64_t t,
		    struct ending *ret)
{
	uint64_t from = s->moved_ns ? s->moved_ns : s->at_ns;

	if (s->seen && grace_kill) {
		ret->killed_after_ns = t - s->at_ns;
	} else if (s->seen && !by && s->reason == DP_STOP_STOP) {
		ret->cleanup_ns = t > from ? t - from : 1;
		ret->margin_ns = (int64_t)(s->deadline_ns - t);
	}
}

uint8_t exit_record(const struct env *e, struct node *n, uint64_t abandoned,
		    const struct dp_record *r)
{
	int status = r->u.exit.status, code = (status >> 8) & 0xff;
	uint32_t by = (uint32_t)(status & 0x7f);
	struct dp_finding f = {.type = DP_FIND_EXIT};
	struct dp_exit_finding *x = &f.u.exit;
	uint64_t t = r->h.t_ns;

	x->code = by ? -1 : code;
	x->signal = by;
	x->killer_pid = by && n->signals.kill_signal == by ? n->signals.killer_pid : 0;
	x->since_stop_ns = n->stop.seen ? t - n->stop.at_ns : DP_NULL;
	x->grace_kill = is_grace_kill(e, n, by);
	x->saved = !x->grace_kill && n->guard.signals_sent > 0 && n->stop.seen;
	x->reason = reason_of(x->grace_kill, by, code);
	x->tokens_abandoned = abandoned;
	blame_exit(n, t, x);
	measure(&n->stop, x->grace_kill, by, t, &n->ending);
	say_finding(e, &n->id, t, &f);
	return x->reason;
}
