// SPDX-License-Identifier: MIT
/*
 * Which of the look-alike causes it was, from evidence: intervals of the GIL (blame.c), the steps
 * of a token's life, and what the consuming thread was seen doing while something was pending.
 * Where the evidence is not there, the answer is `unknown`.
 */
#include "model/internal.h"

#include <stdio.h>
#include <string.h>

#define DOING_EVERY_NS (100 * MS)
#define DOING_AFTER_NS (150 * MS)
#define DEADLOCK_NS    (2 * SEC)
#define KEPT_POLLS     3
#define UNCOLLECTED_NS (200 * MS)

static void add_doing(struct node *n, uint64_t t_ns, enum doing d)
{
	n->doing[n->doing_head] = (struct doing_sample){.t_ns = t_ns, .doing = (uint8_t)d};
	n->doing_head = (n->doing_head + 1) % DOING_MAX;
	if (n->doing_count < DOING_MAX)
		n->doing_count++;
}

void doing_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_stack *s = &r->u.stack;
	const struct hold *h = &n->gils[0].cur;

	(void)m;
	if (n->stream_dropped_ns && s->is_main && s->status == 0 && s->frame_count == 0)
		n->finalizing = 1;
	if (r->h.tid != node_consumer(n) || (s->status != 0 && s->frame_count == 0))
		return;
	if (h->tid == r->h.tid)
		add_doing(n, r->h.t_ns, h->native == 1 ? DOING_NATIVE : DOING_PYTHON);
	else if (s->has_gil_wait)
		add_doing(n, r->h.t_ns, DOING_GIL_WAIT);
	else if (strncmp(s->library, "dora", 4) == 0)
		add_doing(n, r->h.t_ns, DOING_NEXT);
	else if (s->syscall_nr != -2)
		add_doing(n, r->h.t_ns, DOING_BLOCKED);
	/* Asleep outside next(), the GIL free: what the guard may end by a signal to this thread.
	 */
	if (h->tid != r->h.tid && s->state == 'S' && s->syscall_nr >= 0 && !s->has_gil_wait &&
	    strncmp(s->library, "dora", 4) != 0) {
		n->asleep_ns = s->asleep_since_ns ? s->asleep_since_ns : r->h.t_ns;
		n->asleep_nr = s->syscall_nr;
		n->asleep_end_ns = sleep_end(s, n->asleep_ns);
	} else {
		n->asleep_ns = 0;
	}
	if (s->frame_count) {
		memcpy(n->doing_place.function, s->frames[0].function,
		       sizeof(n->doing_place.function));
		memcpy(n->doing_place.file, s->frames[0].file, sizeof(n->doing_place.file));
		n->doing_place.line = s->frames[0].line;
		n->doing_place.known = 1;
	}
	memcpy(n->doing_place.thread, s->comm, sizeof(n->doing_place.thread));
	memcpy(n->doing_place.library, s->library, sizeof(n->doing_place.library));
}

/* Looks at the consumer while a token is pending for long, or after Stop. */
void doing_tick(struct dp_model *m, struct node *n)
{
	const struct life *l = n->pending_first;
	int wanted = (l && m->now - l->delivered_ns >= DOING_AFTER_NS) ||
		     (n->stop_seen && !n->outputs_done);
	struct dp_request q = {.type = DP_REQ_READ_STACK, .pid = n->pid, .tid = node_consumer(n)};

	if (!wanted || !n->facts.is_python || m->now - n->doing_asked_ns < DOING_EVERY_NS)
		return;
	n->doing_asked_ns = m->now;
	model_ask(m, &q);
}

/* What was it seen doing most in [from, to]? `ret` gets the number of looks at each. */
static enum doing doing_most(const struct node *n, uint64_t from, uint64_t to,
			     unsigned int ret[DOING_COUNT])
{
	enum doing best = DOING_UNKNOWN;

	memset(ret, 0, DOING_COUNT * sizeof(ret[0]));
	for (uint32_t i = 0; i < n->doing_count; i++)
		if (n->doing[i].t_ns >= from && n->doing[i].t_ns <= to)
			ret[n->doing[i].doing]++;
	for (int d = DOING_UNKNOWN + 1; d < DOING_COUNT; d++)
		if (ret[d] > ret[best] || (best == DOING_UNKNOWN && ret[d]))
			best = (enum doing)d;
	return best;
}

static int8_t cause_of_doing(enum doing d)
{
	switch (d) {
	case DOING_BLOCKED:
		return DP_CAUSE_BLOCKED;
	case DOING_PYTHON:
		return DP_CAUSE_BUSY_PYTHON;
	case DOING_GIL_WAIT:
		return DP_CAUSE_GIL_CONTENTION;
	case DOING_NATIVE:
		return DP_CAUSE_GIL_NATIVE;
	default:
		return DP_CAUSE_UNKNOWN;
	}
}

int8_t cause_of_hold(const struct node *n, const struct hold *h)
{
	if (!hold_proven(h))
		return DP_CAUSE_UNKNOWN;
	if (h->lock_wait && h->waiter_count && hold_until(h) - hold_start(h) >= DEADLOCK_NS)
		return DP_CAUSE_DEADLOCK;
	if (hold_in_dora(h))
		return DP_CAUSE_DORA_INTERNAL;
	if (h->native == 1)
		return DP_CAUSE_GIL_NATIVE;
	if (h->native == 0)
		return h->tid == node_consumer(n) ? DP_CAUSE_BUSY_PYTHON : DP_CAUSE_GIL_CONTENTION;
	return DP_CAUSE_UNKNOWN;
}

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
	return DP_CAUSE_GIL_CONTENTION;
}

/*
 * The node object went because the interpreter ended, and nobody had asked the node to stop: an
 * exception, or the script's end. The tokens are pending because the receiver left.
 */
static int left_by_itself(const struct node *n)
{
	return n->finalizing && !n->stop_seen && !n->inputs_closed;
}

/* How often the node took a message between mapping this one and letting it go. */
static uint64_t polls_since(const struct node *n, const struct life *l)
{
	return (l->released_ns ? l->maps_after : n->map_count) - l->maps_before;
}

/*
 * Up to 0.4.1 the owner's drop thread hands each token to Python before it asks for the next
 * (drop_stream.rs, a channel without room), so its requests show whether it collects. A token that
 * does not come back although the owner asks is with a receiver, watched or not.
 */
uint64_t cause_uncollected_ns(const struct life *l, uint64_t now)
{
	const struct token *t = l->token;
	uint64_t asked = now;

	if (!t->owner || !t->owner->drop_asked_ns || !t->last_report_ns)
		return 0;
	for (const struct life *o = t->lives; o; o = o->next_of_token)
		if (!o->reported_ns)
			return 0;
	if (t->returned_ns)
		asked = t->asked_ns;
	else if (t->owner->drop_asking)
		asked = t->owner->drop_asked_ns;
	return asked > t->last_report_ns ? asked - t->last_report_ns : 0;
}

int8_t cause_of_life(const struct dp_model *m, const struct life *l, uint64_t now)
{
	const struct node *n = l->receiver;
	uint64_t over = l->reported_ns ? l->reported_ns : now;
	uint64_t pending = over > l->delivered_ns ? over - l->delivered_ns : 1;
	uint64_t held = (l->released_ns ? l->released_ns : over) - l->delivered_ns;
	uint64_t uncollected = cause_uncollected_ns(l, now);
	unsigned int seen[DOING_COUNT];
	struct blame_share share;
	enum doing most;
	int8_t c;

	if (l->doubtful && !l->reported_ns)
		return DP_CAUSE_UNKNOWN;
	/* What was pending for long here has its cause here, whatever the owner did afterwards. */
	if (pending < m->options.pending_threshold_ns && uncollected > pending &&
	    uncollected >= UNCOLLECTED_NS)
		return DP_CAUSE_OWNER_NOT_COLLECTING;
	/* The node object went while this array was alive: dora gives its token up. */
	if (n->stream_dropped_ns && !left_by_itself(n) && l->mapped_ns &&
	    l->mapped_ns < n->stream_dropped_ns && n->stream_dropped_ns < over &&
	    (!l->released_ns || l->released_ns > n->stream_dropped_ns) &&
	    (over - n->stream_dropped_ns) * 10 >= pending * 3)
		return DP_CAUSE_NODE_DROPPED_FIRST;
	if (l->released_ns && (over - l->released_ns) * 2 >= pending)
		return DP_CAUSE_NOT_REPORTED;
	blame_window(n, l->delivered_ns, l->delivered_ns + held, &share);
	c = cause_of_share(&share, held);
	if (c >= 0 && c != DP_CAUSE_BUSY_PYTHON &&
	    !(c == DP_CAUSE_DORA_INTERNAL && left_by_itself(n)))
		return c;
	if (l->state == DP_TOKEN_ABANDONED && (n->gone || n->exited || left_by_itself(n)))
		return DP_CAUSE_RECEIVER_GONE;
	most = doing_most(n, l->delivered_ns, l->delivered_ns + held, seen);
	/* It took later messages, or waits in next() for one: the array is kept. The next message
	 * alone says nothing, since `event` keeps the last array until the next one is there. */
	if (l->mapped_ns && (polls_since(n, l) >= KEPT_POLLS || most == DOING_NEXT))
		return DP_CAUSE_REFERENCE_KEPT;
	if (c >= 0)
		return c;
	if (!n->facts.gil_observable && n->facts.is_python)
		return DP_CAUSE_UNKNOWN;
	return cause_of_doing(most);
}

int8_t cause_of_stall(const struct node *n, uint64_t from, uint64_t to)
{
	unsigned int seen[DOING_COUNT];
	struct blame_share share;
	int8_t c;

	if (to <= from)
		return DP_CAUSE_UNKNOWN;
	blame_window(n, from, to, &share);
	c = cause_of_share(&share, to - from);
	if (c >= 0)
		return c;
	return cause_of_doing(doing_most(n, from, to, seen));
}

/*
 * Inputs that are still queued in a node that is on its way out. dora waits for its event thread
 * before it lets go of them, while their owner gives them up.
 */
static unsigned int queued_at_the_end(const struct node *n)
{
	unsigned int count = 0;

	if (!n->stop_seen && !n->inputs_closed)
		return 0;
	for (const struct life *l = n->pending_first; l; l = l->next_pending)
		count += !l->mapped_ns;
	return count;
}

const char *cause_advice(int8_t cause, struct node *n, const struct place *p)
{
	char where[DP_FUNCTION_MAX + DP_FILE_MAX + 32] = "its code";
	unsigned int queued;

	if (p && p->known && p->function[0]) {
		const char *base = strrchr(p->file, '/');

		snprintf(where, sizeof(where), "%s (%s:%d)", p->function, base ? base + 1 : p->file,
			 (int)p->line);
	}
	switch (cause) {
	case DP_CAUSE_GIL_NATIVE:
		snprintf(
			n->advice, sizeof(n->advice),
			"release the GIL in the native call of %s (Py_BEGIN_ALLOW_THREADS, nogil), "
			"split it, or move it to another process",
			where);
		break;
	case DP_CAUSE_GIL_CONTENTION:
		snprintf(n->advice, sizeof(n->advice),
			 "another thread keeps taking the GIL in %s: move that work to a process, "
			 "or shorten it",
			 where);
		break;
	case DP_CAUSE_BUSY_PYTHON:
		snprintf(n->advice, sizeof(n->advice),
			 "%s does not come back to next(): shorten the handler, or give the work "
			 "its "
			 "own process",
			 where);
		break;
	case DP_CAUSE_BLOCKED:
		snprintf(n->advice, sizeof(n->advice),
			 "not the GIL: %s waits; use next(timeout) or wait elsewhere than in the "
			 "event "
			 "loop",
			 where);
		break;
	case DP_CAUSE_REFERENCE_KEPT:
		snprintf(
			n->advice, sizeof(n->advice),
			"the node keeps the array: copy what is needed and drop the event's value");
		break;
	case DP_CAUSE_NOT_REPORTED:
		snprintf(n->advice, sizeof(n->advice),
			 "harmless alone: freed, but no further event came to carry the report; a "
			 "timer "
			 "input makes it prompt");
		break;
	case DP_CAUSE_NODE_DROPPED_FIRST:
		snprintf(n->advice, sizeof(n->advice),
			 "the node object was dropped while arrays were alive: delete events and "
			 "arrays "
			 "before the node");
		break;
	case DP_CAUSE_RECEIVER_GONE:
		snprintf(n->advice, sizeof(n->advice),
			 "the receiver ended with tokens pending; the daemon never cleans these "
			 "up: see "
			 "why it ended");
		break;
	case DP_CAUSE_OWNER_NOT_COLLECTING:
		snprintf(n->advice, sizeof(n->advice),
			 "every receiver has returned it, the owner does not take it: upgrade dora "
			 "(0.5.0 mends it) or send more often");
		break;
	case DP_CAUSE_DORA_INTERNAL:
		queued = queued_at_the_end(n);
		if (queued)
			snprintf(n->advice, sizeof(n->advice),
				 "dora drops the node with %u input%s queued, whose tokens are given "
				 "up meanwhile: take them before leaving (next() until it returns "
				 "None)",
				 queued, queued == 1 ? "" : "s");
		else
			snprintf(n->advice, sizeof(n->advice),
				 "dora's own code holds the GIL (creating or dropping a node): "
				 "nothing to do in the node");
		break;
	case DP_CAUSE_DEADLOCK:
		snprintf(n->advice, sizeof(n->advice),
			 "%s waits for a lock while it holds the GIL that the lock's owner needs: "
			 "break "
			 "the cycle; on dora up to 0.5.0 avoid recv_async",
			 where);
		break;
	default:
		snprintf(n->advice, sizeof(n->advice), "not enough evidence%s%s",
			 n->facts.reason[0] ? ": " : "", n->facts.reason);
		break;
	}
	return n->advice;
}
