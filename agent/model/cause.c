// SPDX-License-Identifier: MIT
/* Which cause it was; see cause.h. */
#include "model/cause.h"

#include "model/blame.h"

/* Messages that a node has taken since, after which an array that is still there is a kept one. */
#define KEPT_POLLS     3
#define UNCOLLECTED_NS (200 * MS)

/* The share of the GIL in a stretch, as a cause; -1 when it is not the GIL. */
static int8_t cause_of_share(const struct blame_share *b, uint64_t length)
{
	if (b->gil_ns * 2 < length)
		return b->python_ns * 2 >= length ? DP_CAUSE_BUSY_PYTHON : -1;
	if (b->deadlock_ns * 2 >= b->gil_ns)
		return DP_CAUSE_DEADLOCK;
	if (b->dora_ns * 2 >= b->gil_ns)
		return DP_CAUSE_DORA_INTERNAL;
	/* Other threads that take it again and again are a contention, be their calls native. */
	if (b->native_ns * 2 >= b->gil_ns &&
	    (b->own_native_ns * 2 >= b->gil_ns || b->longest_native_ns * 3 >= b->gil_ns))
		return DP_CAUSE_GIL_NATIVE;
	/* One hold, and what goes on in it is not known yet, or never was. */
	if (b->longest_undecided_ns * 2 >= b->gil_ns)
		return DP_CAUSE_UNKNOWN;
	return DP_CAUSE_GIL_CONTENTION;
}

/*
 * The node object went because the interpreter ended, and nobody had asked the node to stop: an
 * exception, or the script's end. The tokens are pending because the receiver left.
 */
static bool left_by_itself(const struct node *n)
{
	return n->activity.finalizing && !n->stop.seen && !n->stop.inputs_closed;
}

/* How often the node took a message between mapping this one and letting it go. */
static uint64_t polls_since(const struct node *n, const struct delivery *d)
{
	return (uint32_t)((d->released_ns ? d->maps_after : (uint32_t)n->account.map_count) -
			  d->maps_before);
}

/* Does this owner's drop thread wait for Python? Of a version that is not known nobody can say. */
static bool hands_over_one_by_one(const struct node *owner)
{
	const char *dora = owner->id.facts.dora;

	return dp_version_at_least(dora, 0, 0, 1) && !dp_version_at_least(dora, 0, 4, 2);
}

/*
 * Up to 0.4.1 the owner's drop thread hands each token to Python before it asks for the next
 * (drop_stream.rs, a channel without room), so its requests show whether it collects. A token that
 * does not come back although the owner asks is with a receiver, watched or not.
 */
uint64_t cause_uncollected_ns(const struct delivery *d, uint64_t now)
{
	const struct token *t = d->token;
	uint64_t asked = now;

	if (!t->owner || !t->owner->streams.collect_ns || !t->last_report_ns)
		return 0;
	/* After a loss its requests may be among the lost records. */
	if (!hands_over_one_by_one(t->owner) || t->doubtful)
		return 0;
	for (const struct delivery *o = t->deliveries; o; o = o->next_of_token)
		if (!o->reported_ns)
			return 0;
	if (t->returned_ns)
		asked = t->asked_ns;
	else if (t->owner->streams.collecting)
		asked = t->owner->streams.collect_ns;
	return asked > t->last_report_ns ? asked - t->last_report_ns : 0;
}

/* Did the node object go while this array was alive? Then dora gives its token up. */
static bool node_went_first(const struct node *n, const struct delivery *d, uint64_t over,
			    uint64_t pending)
{
	uint64_t dropped = n->streams.events_dropped_ns;

	return dropped && !left_by_itself(n) && d->mapped_ns && d->mapped_ns < dropped &&
	       dropped < over && (!d->released_ns || d->released_ns > dropped) &&
	       (over - dropped) * 10 >= pending * 3;
}

/*
 * It was mapped for `held` ns while the consumer waited in next(). `event` keeps the last array until the
 * next message is there, and the report goes with the one after that: an array that went with the next
 * message waited for messages alone, as far as its report's share of the time, or how short it was, says.
 */
static int8_t cause_in_next(const struct delivery *d, uint64_t over, uint64_t held)
{
	if (!d->released_ns || polls_since(d->receiver, d) != 1)
		return DP_CAUSE_REFERENCE_KEPT;
	if ((over - d->released_ns) * 3 >= over - d->delivered_ns)
		return DP_CAUSE_NOT_REPORTED;
	return held < ACTIVITY_AFTER_NS ? DP_CAUSE_UNKNOWN : DP_CAUSE_REFERENCE_KEPT;
}

/*
 * What it was seen doing most. That main waits for a thread says nothing of what that one does; it may be the one
 * that runs. Where none does, it sleeps, whichever it is.
 */
static int8_t cause_of_activity(const struct node *n, enum consumer_state most)
{
	const struct hold *h = &n->timeline.gils[0].cur;
	int8_t c = DP_CAUSE_UNKNOWN;

	if (!node_consumer_known(n))
		return n->shares.idle ? DP_CAUSE_BLOCKED : DP_CAUSE_UNKNOWN;
	/* One call that it waits for is no contention. */
	if (most == CONSUMER_GIL_WAIT && h->tid && h->tid != node_consumer(n))
		c = hold_cause(h, node_consumer(n));
	return c != DP_CAUSE_UNKNOWN ? c : activity_cause(most);
}

/* What kept the array from being freed in the `held` ns from its delivery on; `over`: its report, or now. */
static int8_t cause_of_held(const struct delivery *d, uint64_t over, uint64_t held)
{
	const struct node *n = d->receiver;
	struct blame_share share;
	enum consumer_state most;
	int8_t c;

	blame_window(&n->timeline, node_consumer(n), d->delivered_ns, d->delivered_ns + held,
		     &share);
	c = cause_of_share(&share, held);
	if (c == DP_CAUSE_GIL_CONTENTION && !node_consumer_known(n))
		return DP_CAUSE_UNKNOWN;
	if (c >= 0 && c != DP_CAUSE_BUSY_PYTHON &&
	    !(c == DP_CAUSE_DORA_INTERNAL && left_by_itself(n)))
		return c;
	if (d->state == DP_TOKEN_ABANDONED && (n->id.gone || n->id.exited || left_by_itself(n)))
		return DP_CAUSE_RECEIVER_GONE;
	most = activity_most(&n->activity, d->delivered_ns, d->delivered_ns + held);
	/* It took later messages, or waits in next() for one: the array is kept. */
	if (d->mapped_ns && polls_since(n, d) >= KEPT_POLLS)
		return DP_CAUSE_REFERENCE_KEPT;
	if (d->mapped_ns && (most == CONSUMER_NEXT || most == CONSUMER_POLLING))
		return cause_in_next(d, over, held);
	if (c >= 0)
		return c;
	if (!n->id.facts.gil_observable && n->id.facts.is_python)
		return DP_CAUSE_UNKNOWN;
	return cause_of_activity(n, most);
}

/*
 * Records were lost while it was pending, or not looked for. The GIL's holds are proven by what was seen; every other
 * cause needs something that was not seen: no later message, no release, no request.
 */
static int8_t cause_in_doubt(const struct delivery *d, uint64_t over)
{
	struct blame_share share;
	int8_t c;

	if (!d->reported_ns)
		return DP_CAUSE_UNKNOWN;
	blame_window(&d->receiver->timeline, node_consumer(d->receiver), d->delivered_ns, over,
		     &share);
	c = cause_of_share(&share, over > d->delivered_ns ? over - d->delivered_ns : 1);
	return c >= 0 ? c : DP_CAUSE_UNKNOWN;
}

int8_t cause_of_delivery(const struct delivery *d, uint64_t pending_threshold_ns, uint64_t now)
{
	uint64_t over = d->reported_ns ? d->reported_ns : now;
	uint64_t pending = over > d->delivered_ns ? over - d->delivered_ns : 1;
	uint64_t uncollected = cause_uncollected_ns(d, now);

	if (d->doubtful || d->blind)
		return cause_in_doubt(d, over);
	if (activity_was_stopped(&d->receiver->activity, d->delivered_ns, over))
		return DP_CAUSE_STOPPED;
	/* What was pending for long here has its cause here, whatever the owner did afterwards. */
	if (pending < pending_threshold_ns && uncollected > pending &&
	    uncollected >= UNCOLLECTED_NS)
		return DP_CAUSE_OWNER_NOT_COLLECTING;
	if (node_went_first(d->receiver, d, over, pending))
		return DP_CAUSE_NODE_DROPPED_FIRST;
	if (d->released_ns && (over - d->released_ns) * 2 >= pending)
		return DP_CAUSE_NOT_REPORTED;
	return cause_of_held(d, over, (d->released_ns ? d->released_ns : over) - d->delivered_ns);
}

int8_t cause_of_hold(const struct node *n, const struct hold *h)
{
	int8_t c = hold_cause(h, node_consumer(n));

	/* It may be the consumer itself that runs. */
	return c == DP_CAUSE_GIL_CONTENTION && !node_consumer_known(n) ? DP_CAUSE_UNKNOWN : c;
}

int8_t cause_of_stall(const struct node *n, uint64_t from, uint64_t to)
{
	struct blame_share share;
	int8_t c;

	/* Of what was before the probe came nobody knows whose the GIL was. */
	if (from < n->id.first_ns)
		from = n->id.first_ns;
	if (to <= from)
		return DP_CAUSE_UNKNOWN;
	if (activity_was_stopped(&n->activity, from, to))
		return DP_CAUSE_STOPPED;
	blame_window(&n->timeline, node_consumer(n), from, to, &share);
	c = cause_of_share(&share, to - from);
	/* It may be the consumer itself that runs. */
	if (c == DP_CAUSE_GIL_CONTENTION && !node_consumer_known(n))
		return DP_CAUSE_UNKNOWN;
	return c >= 0 ? c : cause_of_activity(n, activity_most(&n->activity, from, to));
}
