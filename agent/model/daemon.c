// SPDX-License-Identifier: MIT
/* The daemon of a node; see daemon.h. */
#include "model/daemon.h"

#include "base/sentence.h"
#include "base/signals.h"
#include "model/warn.h"
#include "model/witness.h"

#include <signal.h>
#include <stdio.h>

/* Nodes that the daemon's end takes with it have gone by then, and nothing is to be said of them. */
#define LIVES_ON_NS (200 * MS)
/* How often dora's orphan guard looks (orphan_guard.rs of 1.x). */
#define GUARD_NS (500 * MS)

/*
 * The first SIGINT to `dora run` or the daemon is a Stop of all, the second one its end: what lives is
 * killed at once (daemon, set_up_ctrlc_handler).
 */
static void interrupted(struct stop *s)
{
	if (++s->interrupts > 1)
		s->forced = true;
}

void daemon_record(struct table *t, const struct dp_record *r)
{
	bool end = r->h.type == DP_REC_PROC_EXIT && r->u.exit.is_process;
	bool interrupt = r->h.type == DP_REC_SIGNAL && r->u.signal.signal == SIGINT &&
			 r->u.signal.kind == DP_SIGNAL_GENERATED && r->u.signal.result == 0;

	witness_signal(t, r);
	if (!r->h.pid || (!end && !interrupt))
		return;
	for (uint32_t i = 0; i < t->count; i++) {
		struct node *n = &t->nodes[i];

		if (n->id.gone || !n->id.facts.is_dora || n->id.facts.daemon_pid != r->h.pid)
			continue;
		if (interrupt)
			interrupted(&n->stop);
		if (end && !n->id.orphaned_ns) {
			n->id.orphaned_ns = r->h.t_ns;
			n->id.orphaned_by = (uint32_t)r->u.exit.status;
			stop_unenforced(&n->stop);
		}
	}
}

static void say_gone(struct dp_sentence *s, const struct identity *id)
{
	uint32_t by = id->orphaned_by & 0x7f;
	char number[16], name[32];

	snprintf(number, sizeof(number), "%u", id->facts.daemon_pid);
	dp_say(s, "its daemon (pid ");
	dp_say(s, number);
	dp_say(s, by ? ") was ended by " : ") has ended");
	if (by)
		dp_say(s, dp_signal_text(by, name, sizeof(name)));
	if (id->limits.run_parent_pid == id->facts.daemon_pid) {
		dp_say(s, "; dora's orphan guard ends the node within ");
		dp_say_duration(s, GUARD_NS);
		return;
	}
	snprintf(number, sizeof(number), "%u", id->pid);
	dp_say(s, "; nobody stops or restarts the node any more: end it (kill -INT ");
	dp_say(s, number);
	dp_say(s, "), then start the dataflow anew");
}

void daemon_tick(const struct env *e, struct node *n)
{
	struct warning *w = &n->warn[DP_WARN_DAEMON_GONE];
	char text[DP_REASON_MAX];
	struct dp_sentence s;

	if (!n->id.orphaned_ns || w->level != LEVEL_NONE ||
	    e->now - n->id.orphaned_ns < LIVES_ON_NS)
		return;
	w->level = LEVEL_CRITICAL;
	w->raised_ns = e->now;
	dp_sentence_begin(&s, text, sizeof(text));
	say_gone(&s, &n->id);
	warn_say_text(e, n, DP_WARN_DAEMON_GONE, e->now, text);
}
