// SPDX-License-Identifier: MIT
/* Who else knows that a node was told to stop; see witness.h. */
#include "model/witness.h"

#include "model/stop.h"

#include <signal.h>
#include <string.h>

/* The node's own frame is the best witness: the others wait for it this long. */
#define OWN_FRAME_NS (300 * MS)
/* What was on its way when Stop was given may still arrive this much later. */
#define ON_ITS_WAY_NS (100 * MS)
/* From its start `dora stop` takes a moment to reach the daemon; 0.2 to 1 s were seen. */
#define COMMAND_TAKES_NS (1500 * MS)
#define COMMAND_LATE_NS  (3 * SEC)
/* What nobody has borne out for so long was no Stop of this node. */
#define FORGET_NS (60 * SEC)
/* At the daemon's deadly signal this much of the grace must have gone since Stop. */
#define NEARLY(grace) ((grace) / 10 * 9)

static void hear(struct stop *s, enum dp_witness who, uint64_t at_ns)
{
	if (!s->confirmed && (!s->heard_ns[who] || at_ns < s->heard_ns[who]))
		s->heard_ns[who] = at_ns;
}

static bool same_dataflow(const struct node *a, const struct node *b)
{
	return a != b && a->id.facts.dataflow[0] &&
	       strcmp(a->id.facts.dataflow, b->id.facts.dataflow) == 0;
}

void witness_frame(const struct env *e, struct table *t, const struct node *told, uint64_t t_ns)
{
	const struct dp_rec_command *c = commands_find(&e->commands, &told->id, t_ns, false);

	/* `dora node stop` and the like: its own. */
	if (c && c->node[0])
		return;
	for (uint32_t i = 0; i < t->count; i++) {
		struct node *n = &t->nodes[i];

		if (!n->id.gone && n->id.facts.is_dora && same_dataflow(n, told))
			hear(&n->stop, DP_WITNESS_SIBLING, t_ns);
	}
}

void witness_signal(struct table *t, const struct dp_record *r)
{
	const struct dp_signal_op *g = &r->u.signal;

	/* `dora run` and the daemon take SIGINT for "stop all dataflows" (daemon, set_up_ctrlc_handler). */
	if (r->h.type != DP_REC_SIGNAL || g->kind != DP_SIGNAL_GENERATED || g->signal != SIGINT ||
	    !r->h.pid)
		return;
	for (uint32_t i = 0; i < t->count; i++) {
		struct node *n = &t->nodes[i];

		if (!n->id.gone && n->id.facts.is_dora && n->id.facts.daemon_pid == r->h.pid)
			hear(&n->stop, DP_WITNESS_DAEMON, r->h.t_ns);
	}
}

/* Does the command name this node, or its dataflow, and may its user end it? */
static bool is_named(const struct identity *id, const struct dp_rec_command *c)
{
	if (!c->dataflow[0] || (strcmp(c->dataflow, id->facts.dataflow) != 0 &&
				strcmp(c->dataflow, id->facts.dataflow_name) != 0))
		return false;
	if (c->node[0] && strcmp(c->node, id->facts.node) != 0)
		return false;
	return c->uid == 0 || c->uid == id->facts.uid;
}

void witness_command(const struct env *e, struct table *t, const struct dp_record *r)
{
	const struct dp_rec_command *c = commands_newest(&e->commands);

	for (uint32_t i = 0; c && i < t->count; i++) {
		struct node *n = &t->nodes[i];

		if (n->id.gone || !n->id.facts.is_dora || !is_named(&n->id, c))
			continue;
		n->stop.command_pid = r->h.pid;
		n->stop.command_began_ns = c->started_ns;
		/* Found running when the probe came. */
		if (r->h.t_ns >= c->started_ns + COMMAND_TAKES_NS)
			hear(&n->stop, DP_WITNESS_COMMAND, c->started_ns);
	}
}

void witness_record(struct table *t, const struct dp_record *r)
{
	const struct dp_rec_witness *w = &r->u.witness;

	for (uint32_t i = 0; w->found && i < t->count; i++) {
		struct node *n = &t->nodes[i];

		if (n->id.gone)
			continue;
		if (w->witness == DP_WITNESS_COMMAND && n->stop.command_pid &&
		    n->stop.command_pid == r->h.pid)
			hear(&n->stop, DP_WITNESS_COMMAND, n->stop.command_began_ns);
		if (w->witness == DP_WITNESS_UNREAD && n->id.pid == r->h.pid)
			hear(&n->stop, DP_WITNESS_UNREAD, r->h.t_ns);
	}
}

/* Would this node have heard of a Stop that was given at `at_ns`, and has not? */
static bool would_have_heard(const struct node *n, uint64_t at_ns, uint64_t margin_ns)
{
	const struct streams *s = &n->streams;

	/* It reads nothing, and its daemon may have answered. */
	if (activity_is_stopped(&n->activity) && n->activity.stopped_ns <= at_ns + margin_ns)
		return false;
	/* What was lost around that time may have been its Stop. */
	if (n->guard.lost_ns + SEC >= at_ns && n->guard.lost_ns)
		return false;
	return streams_is_asking(s) || s->answered_ns > at_ns + margin_ns;
}

static uint64_t margin_of(enum dp_witness who)
{
	return who == DP_WITNESS_COMMAND ? COMMAND_LATE_NS : ON_ITS_WAY_NS;
}

/* Stop that one node alone was given (1.x has commands for one) is none of the dataflow. */
static bool another_would_have_heard(const struct table *t, const struct node *n, uint64_t at_ns)
{
	for (uint32_t i = 0; i < t->count; i++) {
		const struct node *o = &t->nodes[i];

		if (!o->id.gone && !o->stop.seen && same_dataflow(o, n) &&
		    would_have_heard(o, at_ns, ON_ITS_WAY_NS))
			return true;
	}
	return false;
}

static bool is_believed(const struct env *e, const struct table *t, const struct node *n,
			enum dp_witness who)
{
	uint64_t at = n->stop.heard_ns[who];
	uint64_t wait = who == DP_WITNESS_COMMAND ? COMMAND_TAKES_NS : OWN_FRAME_NS;

	if (!at || e->now - at > FORGET_NS)
		return false;
	if (who == DP_WITNESS_UNREAD)
		return true;
	if (e->now - at < wait || would_have_heard(n, at, margin_of(who)))
		return false;
	return who != DP_WITNESS_SIBLING || !another_would_have_heard(t, n, at);
}

/* The earliest of the witnesses that know the moment; the command only knows that it was no earlier. */
static enum dp_witness earliest(const struct stop *s, const bool believed[DP_WITNESS_COUNT])
{
	enum dp_witness best = DP_WITNESS_COUNT;

	for (unsigned int i = 0; i < DP_WITNESS_COUNT; i++)
		if (believed[i] && i != DP_WITNESS_COMMAND &&
		    (best == DP_WITNESS_COUNT || s->heard_ns[i] < s->heard_ns[best]))
			best = (enum dp_witness)i;
	return best == DP_WITNESS_COUNT ? DP_WITNESS_COMMAND : best;
}

static void ask_for_a_peek(const struct env *e, struct node *n)
{
	const struct stop *s = &n->stop;
	struct dp_request q = {.type = DP_REQ_PEEK_STOP};
	bool heard = false;

	for (unsigned int i = 0; i < DP_WITNESS_COUNT; i++)
		heard |= s->heard_ns[i] && e->now - s->heard_ns[i] >= OWN_FRAME_NS &&
			 e->now - s->heard_ns[i] < FORGET_NS;
	/* Once for a connection that was open before the probe: a Stop may lie there since then. */
	if (!heard && (!n->streams.opened_ns || n->stop.peeked_ns))
		return;
	if (n->stop.peeked_ns && e->now - n->stop.peeked_ns < SEC)
		return;
	n->stop.peeked_ns = e->now;
	say_request(e, &n->id, &q);
}

void witness_tick(const struct env *e, const struct table *t, struct node *n)
{
	bool believed[DP_WITNESS_COUNT], any = false, confirmed = false;
	struct stop *s = &n->stop;

	if (!n->id.facts.is_dora || s->confirmed)
		return;
	for (unsigned int i = 0; i < DP_WITNESS_COUNT; i++) {
		believed[i] = is_believed(e, t, n, (enum dp_witness)i);
		any |= believed[i];
		confirmed |= believed[i] && i != DP_WITNESS_SIBLING;
	}
	if (any && !s->seen) {
		enum dp_witness who = earliest(s, believed);

		stop_by_witness(s, e, &n->id, who, s->heard_ns[who]);
	}
	s->confirmed |= s->seen && confirmed;
	if (!s->seen)
		ask_for_a_peek(e, n);
}

void witness_look_back(const struct env *e, struct node *n, bool by_daemon, uint64_t t_ns)
{
	struct stop *s = &n->stop;
	enum dp_witness who = DP_WITNESS_COUNT;

	if (s->seen || !n->id.facts.is_dora)
		return;
	for (unsigned int i = 0; i < DP_WITNESS_COUNT; i++) {
		uint64_t at = s->heard_ns[i];
		const struct dp_rec_command *c = commands_find(&e->commands, &n->id, at, false);
		uint64_t grace = stop_grace(&n->id, c, e->options.grace_ns).ns;

		if (!at || t_ns < at || (who != DP_WITNESS_COUNT && s->heard_ns[who] <= at))
			continue;
		if (by_daemon ? t_ns - at >= NEARLY(grace)
			      : !would_have_heard(n, at, margin_of((enum dp_witness)i)))
			who = (enum dp_witness)i;
	}
	if (who == DP_WITNESS_COUNT)
		return;
	stop_by_witness(s, e, &n->id, who, s->heard_ns[who]);
	s->confirmed = by_daemon;
}
