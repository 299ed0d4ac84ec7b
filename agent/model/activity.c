// SPDX-License-Identifier: MIT
/* What the consumer was seen doing; see activity.h. */
#include "model/activity.h"

#include "base/array.h"
#include "model/spans.h"

#include <string.h>
#include <sys/syscall.h>

/* Whether the process computes is known once a second, or never. */
#define COMPUTING_FRESH_NS (3 * SEC)

static void add(struct activity *a, uint64_t t_ns, enum consumer_state s)
{
	a->samples[a->head].t_ns = t_ns;
	a->samples[a->head].state = (uint8_t)s;
	a->head = (a->head + 1) % ACTIVITY_SAMPLES;
	if (a->count < ACTIVITY_SAMPLES)
		a->count++;
}

/* A thread that runs shows no library: that it is in next() again is told by the call's instruction. */
static enum consumer_state state_of(const struct activity *a, const struct dp_rec_stack *s,
				    const struct hold *own)
{
	if (place_is_stopped(s))
		return CONSUMER_STOPPED;
	if (own)
		return own->native.verdict == 1 ? CONSUMER_NATIVE : CONSUMER_PYTHON;
	if (s->has_gil_wait)
		return CONSUMER_GIL_WAIT;
	if (place_library_is_dora(s->library))
		return CONSUMER_NEXT;
	if (s->state == 'R')
		return s->ip && s->ip == a->next_ip ? CONSUMER_POLLING : CONSUMER_RUNNING;
	return s->syscall_nr != -2 ? CONSUMER_BLOCKED : CONSUMER_UNKNOWN;
}

static void note_sleep(struct activity *a, const struct dp_record *r, bool holds)
{
	const struct dp_rec_stack *s = &r->u.stack;

	a->asleep_ns = 0;
	if (holds || s->state != 'S' || s->syscall_nr < 0 || s->has_gil_wait ||
	    place_library_is_dora(s->library))
		return;
	a->asleep_ns = s->asleep_since_ns ? s->asleep_since_ns : r->h.t_ns;
	a->asleep_nr = s->syscall_nr;
	a->asleep_end_ns = sleep_end(s, a->asleep_ns);
	a->asleep_in_call = s->syscall_nr == SYS_futex && place_library_is_foreign(s->library);
}

/*
 * A call that lets the GIL go and waits while its own threads compute (a join, a pool, a thread pool of a
 * library): the consumer sleeps, and yet the node computes. Whose threads compute is not seen; that a sleep
 * in somebody's native code and their work go together is what is said.
 */
static enum consumer_state state_asleep(const struct activity *a, const struct computing *beside,
					uint64_t t_ns)
{
	uint64_t known_ns = beside->to_ns ? beside->to_ns : beside->came_ns;

	if (!a->asleep_ns || !a->asleep_in_call || t_ns - known_ns > COMPUTING_FRESH_NS)
		return CONSUMER_BLOCKED;
	/* The last stretch began before the sleep: the next one tells. */
	if (beside->from_ns < a->asleep_ns)
		return CONSUMER_UNKNOWN;
	if (beside->without_gil)
		return CONSUMER_POOL;
	/* Between much and nothing: threads of its own that get little of a busy machine, or somebody else's. */
	return beside->rests ? CONSUMER_BLOCKED : CONSUMER_UNKNOWN;
}

/* Who waits for a thread to end may wait for the one that takes the events: what that one does is not seen. */
static bool may_not_be_it(const struct activity *a, const struct computing *beside,
			  const struct dp_rec_stack *s)
{
	return !beside->consumer_known && !a->seen_in_next && place_is_join(s) && !beside->rests;
}

static void note_stopped(struct activity *a, uint64_t t_ns, bool stopped)
{
	bool was = activity_is_stopped(a);

	if (stopped && !was) {
		a->stopped_ns = t_ns;
		a->resumed_ns = 0;
	} else if (!stopped && was) {
		a->resumed_ns = t_ns;
	}
}

/*
 * By the entries of all calls that take events. That dora's code lets go of the GIL says only that the node polls: not
 * every call does (try_recv, drain), so not having seen it says nothing.
 */
static void note_polled(struct activity *a, const struct dp_rec_stack *s, enum consumer_state state)
{
	uint64_t from = s->calls_seen_ns;

	a->polled_ns = s->polled_ns ? s->polled_ns : a->polled_ns;
	a->calls_seen = s->calls_seen_ns != 0;
	a->not_polled_ns = 0;
	if (s->edge_armed_ns && a->calls_seen && state != CONSUMER_NEXT &&
	    state != CONSUMER_POLLING)
		a->not_polled_ns = s->polled_ns > from ? s->polled_ns : from;
}

static void note_state(struct activity *a, const struct dp_record *r, enum consumer_state state)
{
	const struct dp_rec_stack *s = &r->u.stack;
	bool outside =
		state == CONSUMER_RUNNING || state == CONSUMER_BLOCKED || state == CONSUMER_POOL;

	note_stopped(a, r->h.t_ns, state == CONSUMER_STOPPED);
	if (state != CONSUMER_RUNNING) {
		a->running_looks = 0;
	} else if (!a->running_looks++) {
		a->running_ns = r->h.t_ns;
	}
	a->no_gil_since_ns = 0;
	if (outside && s->edge_armed_ns)
		a->no_gil_since_ns =
			s->took_gil_ns > s->edge_armed_ns ? s->took_gil_ns : s->edge_armed_ns;
	note_polled(a, s, state);
	a->looked_ns = r->h.t_ns;
	a->state = (uint8_t)state;
	a->in_next = state == CONSUMER_NEXT || state == CONSUMER_POLLING ||
		     (s->state == 'S' && place_is_idle_loop(s));
	a->seen_in_next |= a->in_next;
	if (a->in_next)
		a->away_looks = 0;
	else if (!a->away_looks++)
		a->away_ns = r->h.t_ns;
	if (state == CONSUMER_NEXT && s->frame_count)
		a->next_ip = s->ip;
	a->in_join = place_is_join(s);
}

static void note_place(struct place *p, const struct dp_rec_stack *s)
{
	if (s->frame_count) {
		place_note_frames(p, s);
		p->known = true;
	}
	place_name_thread(p, s);
	memcpy(p->library, s->library, sizeof(p->library));
}

void activity_stack(struct activity *a, const struct hold *current, uint32_t consumer,
		    bool node_dropped, const struct computing *beside, const struct dp_record *r)
{
	const struct dp_rec_stack *s = &r->u.stack;
	bool holds = current->tid == r->h.tid;
	enum consumer_state state;

	if (node_dropped && s->is_main && s->status == 0 && s->frame_count == 0)
		a->finalizing = true;
	if (r->h.tid != consumer || (s->status != 0 && s->frame_count == 0))
		return;
	note_sleep(a, r, holds);
	state = state_of(a, s, holds ? current : NULL);
	if (state == CONSUMER_BLOCKED)
		state = state_asleep(a, beside, r->h.t_ns);
	if (state == CONSUMER_BLOCKED && may_not_be_it(a, beside, s))
		add(a, r->h.t_ns, CONSUMER_UNKNOWN);
	else if (state != CONSUMER_UNKNOWN)
		add(a, r->h.t_ns, state);
	note_state(a, r, state);
	note_place(&a->place, s);
}

void activity_begin(struct activity *a)
{
	struct activity fresh = {.asked_ns = a->asked_ns,
				 .finalizing = a->finalizing,
				 .polled_ns = a->polled_ns,
				 .stopped_ns = a->stopped_ns,
				 .resumed_ns = a->resumed_ns};

	*a = fresh;
}

void activity_ask(struct activity *a, const struct env *e, const struct identity *id)
{
	struct dp_request q = {.type = DP_REQ_READ_STACK, .tid = identity_consumer(id)};

	if (!id->facts.is_python || e->now - a->asked_ns < ACTIVITY_EVERY_NS)
		return;
	a->asked_ns = e->now;
	say_request(e, id, &q);
}

enum consumer_state activity_most(const struct activity *a, uint64_t from, uint64_t to)
{
	enum consumer_state best = CONSUMER_UNKNOWN;
	unsigned int seen[CONSUMER_STATES] = {0};

	for (uint32_t i = 0; i < a->count; i++)
		if (a->samples[i].t_ns >= from && a->samples[i].t_ns <= to)
			seen[a->samples[i].state]++;
	/* Of states seen as often the first one of the list stands; UNKNOWN is never sampled. */
	for (int s = CONSUMER_UNKNOWN + 1; s < CONSUMER_STATES; s++)
		if (seen[s] > seen[best])
			best = (enum consumer_state)s;
	return best;
}

bool activity_was_stopped(const struct activity *a, uint64_t from, uint64_t to)
{
	return a->stopped_ns && to > from &&
	       overlap(from, to, a->stopped_ns, a->resumed_ns ? a->resumed_ns : to) * 2 >=
		       to - from;
}

int8_t activity_cause(enum consumer_state s)
{
	switch (s) {
	case CONSUMER_BLOCKED:
		return DP_CAUSE_BLOCKED;
	case CONSUMER_PYTHON:
	case CONSUMER_POLLING: /* again and again, and takes no answer for one */
		return DP_CAUSE_BUSY_PYTHON;
	case CONSUMER_GIL_WAIT:
		return DP_CAUSE_GIL_CONTENTION;
	case CONSUMER_NATIVE:
		return DP_CAUSE_GIL_NATIVE;
	case CONSUMER_RUNNING:
	case CONSUMER_POOL:
		return DP_CAUSE_RUNNING_WITHOUT_GIL;
	case CONSUMER_STOPPED:
		return DP_CAUSE_STOPPED;
	default:
		return DP_CAUSE_UNKNOWN;
	}
}

bool activity_is_cause(int8_t cause)
{
	return cause == DP_CAUSE_BLOCKED || cause == DP_CAUSE_BUSY_PYTHON ||
	       cause == DP_CAUSE_RUNNING_WITHOUT_GIL || cause == DP_CAUSE_STOPPED;
}
