// SPDX-License-Identifier: MIT
/* Signals of a process; see signals.h. */
#include "model/signals.h"

#include <signal.h>

static void generated(struct signals *s, const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;

	if (o->result != 0)
		return; /* ignored, or one was pending already */
	s->open[o->signal] = (struct dp_signal_finding){.signal = o->signal,
							.sender_pid = o->sender_pid,
							.sent_ns = r->h.t_ns,
							.delivered_ns = DP_NULL,
							.handled_ns = DP_NULL};
	if (o->signal == SIGTERM || o->signal == SIGKILL) {
		s->kill_signal = o->signal;
		s->killer_pid = o->sender_pid;
		s->kill_ns = r->h.t_ns;
	}
}

static void say(struct dp_signal_finding *s, const struct env *e, struct identity *id,
		uint64_t t_ns)
{
	struct dp_finding f = {.type = DP_FIND_SIGNAL};

	f.u.signal = *s;
	say_finding(e, id, t_ns, &f);
	s->signal = 0;
}

/* Delivered or handled. */
static void arrived(struct signals *s, const struct env *e, struct identity *id,
		    const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;
	struct dp_signal_finding *open = &s->open[o->signal];

	if (open->signal == 0 || o->signal == SIGKILL)
		return; /* generated before we watched, or seen at another thread */
	if (o->kind == DP_SIGNAL_DELIVERED) {
		open->delivered_ns = s->delivered_ns[o->signal] = r->h.t_ns;
		open->tid = r->h.tid;
	} else {
		open->handled_ns = s->handled_ns[o->signal] = r->h.t_ns;
	}
	/* Said once: when it was handled, or at delivery where Python has no handler to run. */
	if (o->kind == DP_SIGNAL_HANDLED ||
	    (o->kind == DP_SIGNAL_DELIVERED &&
	     (o->disposition != DP_SIGDISP_CAUGHT || !id->facts.is_python)))
		say(open, e, id, r->h.t_ns);
}

void signals_record(struct signals *s, const struct env *e, struct identity *id,
		    const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;

	if (o->signal == 0 || o->signal > 64)
		return;
	if (o->kind == DP_SIGNAL_GENERATED)
		generated(s, r);
	else if (o->kind == DP_SIGNAL_DELIVERED && o->signal == SIGKILL && !s->fatal_ns)
		/* What a signal without handler ends is shown by the kernel as SIGKILL to each
		 * thread, whichever signal it was: said at the exit. */
		s->fatal_ns = r->h.t_ns;
	else
		arrived(s, e, id, r);
}

uint32_t signals_of_daemon(const struct identity *id, const struct dp_record *r)
{
	const struct dp_signal_op *o = &r->u.signal;

	if (o->kind != DP_SIGNAL_GENERATED || o->result != 0 || !id->facts.is_dora ||
	    !o->sender_pid || o->sender_pid != id->facts.daemon_pid)
		return 0;
	return o->signal == SIGTERM || o->signal == SIGKILL ? o->signal : 0;
}

void signals_exit(struct signals *s, const struct env *e, struct identity *id, int by,
		  uint64_t t_ns)
{
	for (int i = 1; i <= 64; i++) {
		if (!s->open[i].signal)
			continue;
		if (i == by && s->open[i].delivered_ns == DP_NULL && s->fatal_ns)
			s->open[i].delivered_ns = s->fatal_ns;
		say(&s->open[i], e, id, t_ns);
	}
}
