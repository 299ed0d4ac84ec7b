// SPDX-License-Identifier: MIT
/* How a node is brought down: Stop on the wire, signals, the deadline, the exit and what it was. */
#include "model/internal.h"

#include <signal.h>
#include <string.h>

/* A `dora stop` concerns the Stop events that follow within this time. */
#define COMMAND_NS (30 * SEC)
/* A deadly signal of the daemon is the grace kill when most of the grace is gone. */
#define NEARLY(d) ((d) / 10 * 9)

static uint64_t grace_of(const struct dp_model *m, const struct node *n)
{
	uint64_t grace = m->options.grace_ns ? m->options.grace_ns : n->grace.deadline_ns;

	/* What a `dora stop` asked for may give more time, never less than --grace. */
	if (n->command_grace_ns && n->stop_ns - n->command_ns <= COMMAND_NS &&
	    (!m->options.grace_ns || n->command_grace_ns > grace))
		grace = n->command_grace_ns;
	return grace;
}

uint64_t stop_grace(const struct dp_model *m, const struct node *n)
{
	return grace_of(m, n);
}

static void say_stop(struct dp_model *m, struct node *n, enum dp_stop_reason why, uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_STOP};

	f.u.stop.reason = (uint8_t)why;
	f.u.stop.deadline_ns = n->deadline_ns ? n->deadline_ns : DP_NULL;
	f.u.stop.kill_signal = n->deadline_ns ? n->first_signal : 0;
	model_say(m, n, t_ns, &f);
}

static void begin_stop(struct dp_model *m, struct node *n, enum dp_stop_reason why, uint64_t t_ns)
{
	uint64_t grace;

	if (n->stop_seen)
		return;
	n->stop_seen = 1;
	n->stop_ns = t_ns;
	n->stop_reason = (uint8_t)why;
	if (n->grace.first_signal == 0)
		dp_grace_of(n->facts.dora, &n->grace);
	grace = grace_of(m, n);
	if (why == DP_STOP_SIGTERM) {
		/* The daemon's own SIGTERM: what is left is its second stage. */
		n->deadline_ns = n->grace.first_signal == SIGTERM ? t_ns + grace / 2 : t_ns;
		n->sigkill_ns = n->deadline_ns;
	} else {
		n->deadline_ns = t_ns + grace;
		n->sigkill_ns =
			n->grace.first_signal == SIGTERM ? t_ns + grace + grace / 2 : t_ns + grace;
	}
	n->first_signal = n->grace.first_signal;
	/* A process that catches or ignores SIGTERM lives until SIGKILL. */
	if (n->first_signal == SIGTERM &&
	    ((n->facts.signals_caught | n->facts.signals_ignored) & (1ULL << (SIGTERM - 1)))) {
		n->first_signal = SIGKILL;
		if (n->sigkill_ns)
			n->deadline_ns = n->sigkill_ns;
	}
	say_stop(m, n, why, t_ns);
}

void stop_wire(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_wire *w = &r->u.wire;

	switch (w->kind) {
	case DP_WIRE_STOP:
		begin_stop(m, n, DP_STOP_STOP, r->h.t_ns);
		break;
	case DP_WIRE_ALL_INPUTS_CLOSED:
		if (!n->inputs_closed && !n->stop_seen)
			say_stop(m, n, DP_STOP_ALL_INPUTS_CLOSED, r->h.t_ns);
		n->inputs_closed = 1;
		break;
	case DP_WIRE_EVENTS_END:
		n->events_end_ns = r->h.t_ns;
		break;
	case DP_WIRE_NEXT_DROP:
		n->drop_asked_ns = r->h.t_ns;
		n->drop_asking = 1;
		break;
	case DP_WIRE_DROPS_END:
		n->drop_asking = 0;
		break;
	case DP_WIRE_NEXT_EVENT:
		n->event_tid = r->h.tid;
		break;
	case DP_WIRE_EVENT_STREAM_DROPPED:
		n->stream_dropped_ns = r->h.t_ns;
		guard_moved(n, r->h.t_ns);
		break;
	case DP_WIRE_OUTPUTS_DONE:
		n->outputs_done = 1;
		n->outputs_done_ns = r->h.t_ns;
		guard_moved(n, r->h.t_ns);
		break;
	default:
		break;
	}
}

void stop_signal(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;
	struct dp_signal_finding *s;

	if (o->signal == 0 || o->signal > 64)
		return;
	s = &n->sig[o->signal];
	if (o->kind == DP_SIGNAL_GENERATED) {
		if (o->result != 0)
			return; /* ignored, or one was pending already */
		*s = (struct dp_signal_finding){.signal = o->signal,
						.sender_pid = o->sender_pid,
						.sent_ns = r->h.t_ns,
						.delivered_ns = DP_NULL,
						.handled_ns = DP_NULL};
		if (o->signal == SIGTERM || o->signal == SIGKILL) {
			n->kill_signal = o->signal;
			n->killer_pid = o->sender_pid;
			n->kill_ns = r->h.t_ns;
			if (o->signal == SIGTERM && n->facts.is_dora &&
			    o->sender_pid == n->facts.daemon_pid && o->sender_pid) {
				if (!n->stop_seen)
					begin_stop(m, n, DP_STOP_SIGTERM, r->h.t_ns);
				else
					say_stop(m, n, DP_STOP_SIGTERM, r->h.t_ns);
			}
		}
	} else if (o->kind == DP_SIGNAL_DELIVERED && o->signal == SIGKILL && !n->fatal_ns) {
		/* What a signal without handler ends is shown by the kernel as SIGKILL to each
		 * thread, whichever signal it was: said at the exit. */
		n->fatal_ns = r->h.t_ns;
		return;
	} else if (s->signal == 0 || o->signal == SIGKILL) {
		return; /* generated before we watched, or seen at another thread */
	} else if (o->kind == DP_SIGNAL_DELIVERED) {
		s->delivered_ns = r->h.t_ns;
		s->tid = r->h.tid;
		n->sig_disposition[o->signal] = o->disposition;
	} else {
		s->handled_ns = r->h.t_ns;
	}
	/* Said once: when it was handled, or at delivery where Python has no handler to run. */
	if (o->kind == DP_SIGNAL_HANDLED ||
	    (o->kind == DP_SIGNAL_DELIVERED &&
	     (o->disposition != DP_SIGDISP_CAUGHT || !n->facts.is_python))) {
		struct dp_finding f = {.type = DP_FIND_SIGNAL};

		f.u.signal = *s;
		model_say(m, n, r->h.t_ns, &f);
		s->signal = 0;
	}
}

void stop_command(struct dp_model *m, const struct dp_record *r)
{
	const struct dp_rec_stop_command *c = &r->u.stop_command;

	for (uint32_t i = 0; i < m->node_count; i++) {
		struct node *n = &m->nodes[i];

		if (n->gone || !n->facts.is_dora || n->stop_seen)
			continue;
		if (c->target[0] && strcmp(c->target, n->facts.dataflow) != 0 &&
		    strcmp(c->target, n->facts.dataflow_name) != 0)
			continue;
		n->command_ns = r->h.t_ns;
		n->command_grace_ns = c->grace_ns;
	}
}

void stop_exit(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	int status = r->u.exit.status;
	int by = status & 0x7f, code = (status >> 8) & 0xff;
	struct dp_finding f = {.type = DP_FIND_EXIT};
	struct dp_exit_finding *e = &f.u.exit;
	uint64_t t = r->h.t_ns;
	uint64_t abandoned;

	n->exited = 1;
	for (int i = 1; i <= 64; i++) {
		struct dp_finding g = {.type = DP_FIND_SIGNAL};

		if (!n->sig[i].signal)
			continue;
		if (i == by && n->sig[i].delivered_ns == DP_NULL && n->fatal_ns)
			n->sig[i].delivered_ns = n->fatal_ns;
		g.u.signal = n->sig[i];
		model_say(m, n, t, &g);
		n->sig[i].signal = 0;
	}
	/* Ends the open hold and the tokens first: their share belongs to this exit. */
	gil_end(m, n, t, 0);
	token_stream_closed(m, n, t);
	e->code = by ? -1 : code;
	e->signal = (uint32_t)by;
	e->killer_pid = by && n->kill_signal == (uint32_t)by ? n->killer_pid : 0;
	e->since_stop_ns = n->stop_seen ? t - n->stop_ns : DP_NULL;
	e->cause = -1;
	e->gil_share = -1;
	/*
	 * The daemon's (or anybody's) deadly signal after Stop when the grace was nearly over.
	 * dora's own words are no evidence: 1.x calls such a kill clean.
	 */
	e->grace_kill = by && n->stop_seen && n->stop_reason != DP_STOP_ALL_INPUTS_CLOSED &&
			n->kill_ns && n->kill_signal == (uint32_t)by &&
			(n->facts.daemon_pid == 0 || n->killer_pid == n->facts.daemon_pid ||
			 n->killer_pid == 0) &&
			n->kill_ns - n->stop_ns >= NEARLY(grace_of(m, n));
	if (n->stop_seen && n->stop_reason == DP_STOP_SIGTERM && by)
		e->grace_kill = 1;
	e->saved = !e->grace_kill && n->nudges > 0 && n->stop_seen;
	e->reason = e->grace_kill ? DP_EXIT_GRACE_KILL
		    : by          ? DP_EXIT_SIGNAL
		    : code        ? DP_EXIT_ERROR
				  : DP_EXIT_CLEAN;
	if (n->stop_seen && t > n->stop_ns) {
		struct blame_share share;

		blame_window(n, n->stop_ns, t, &share);
		if (n->facts.gil_observable)
			e->gil_share = (double)share.gil_ns / (double)(t - n->stop_ns);
		if (e->grace_kill || t - n->stop_ns >= SEC)
			e->cause = cause_of_stall(n, n->stop_ns, t);
	}
	if (n->stop_seen && e->grace_kill) {
		n->killed_after_ns = e->since_stop_ns;
	} else if (n->stop_seen && !by && n->stop_reason == DP_STOP_STOP) {
		uint64_t from = n->moved_ns ? n->moved_ns : n->stop_ns;

		n->cleanup_ns = t > from ? t - from : 1;
		n->margin_ns = (int64_t)(n->deadline_ns - t);
	}
	/* Lives that ended at this moment are said a little later: count them now. */
	abandoned = n->abandoned;
	for (const struct life *l = m->ending; l; l = l->next_ending)
		if (l->receiver == n && l->state == DP_TOKEN_ABANDONED)
			abandoned++;
	e->tokens_abandoned = node_tokens_known(n) ? abandoned : DP_NULL;
	model_say(m, n, t, &f);
}

void stop_action(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_action *a = &r->u.action;
	struct dp_finding f = {.type = DP_FIND_ACTION};

	if ((a->action == DP_ACTION_NUDGE || a->action == DP_ACTION_TERMINATE) &&
	    a->result == DP_RESULT_SENT)
		n->nudges++;
	guard_answer(m, n, r);
	f.u.action = (struct dp_action_finding){
		.action = a->action,
		.result = a->result,
		.dry_run = a->dry_run,
		.signal = a->signal,
		.tid = r->h.tid,
		.attempt = a->attempt,
		.reason = a->reason[0] ? a->reason : NULL,
	};
	model_say(m, n, r->h.t_ns, &f);
}
