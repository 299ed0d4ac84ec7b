// SPDX-License-Identifier: MIT
/*
 * Whom a nudge is meant for: the node that has not moved since Stop, be it in one hold, one sleep
 * or a loop of many, and which thread the signal goes to.
 */
#include "base/units.h"
#include "decide/deciding.h"

#include <string.h>
#include <sys/syscall.h>

void policy_refuse_nudge(struct deciding *d, enum dp_refusal why, uint32_t tid, const char *text)
{
	if (policy_refuse(d, why, DP_ACTION_NUDGE, tid))
		dp_say(&d->say, text);
}

static void say_since(struct deciding *d, uint64_t since_ns, const struct dp_place *place)
{
	dp_say(&d->say, " for ");
	dp_say_duration(&d->say, d->now > since_ns ? d->now - since_ns : 0);
	dp_say(&d->say, " in ");
	dp_say_place(&d->say, place);
}

void policy_say_subject(struct deciding *d, const struct subject *s)
{
	switch (s->kind) {
	case SUBJECT_HOLD:
		dp_sayf(&d->say, "thread %u holds the GIL", d->v->hold.tid);
		say_since(d, s->since_ns, s->place);
		if (d->v->hold.deadlock && d->ret->kind != DP_DECIDE_REFUSE)
			dp_say(&d->say,
			       ", in a deadlock that a signal ends only if the call looks at it");
		break;
	case SUBJECT_SLEEP:
		dp_sayf(&d->say, "thread %u is blocked", s->tid);
		say_since(d, s->since_ns, s->place);
		break;
	case SUBJECT_LOOP:
		dp_say(&d->say, "the node goes on in ");
		dp_say_place(&d->say, s->place);
		dp_say(&d->say, ", as before Stop");
		break;
	case SUBJECT_AWAY:
		dp_say(&d->say,
		       "the node has not come back to next() since before Stop; it is in ");
		dp_say_place(&d->say, s->place);
		break;
	case SUBJECT_FINALISING:
		dp_say(&d->say,
		       d->v->progress.finalising_ns
			       ? "main has ended, and a thread that is no daemon keeps the process"
			       : "main waits for the end of a thread");
		if (d->v->progress.worker_tid)
			dp_sayf(&d->say, "; thread %u goes on as before Stop",
				d->v->progress.worker_tid);
		break;
	case SUBJECT_UNCLEAR:
		dp_say(&d->say, "the node goes on, at what cannot be seen");
		break;
	}
}

/* A lock is taken up again after EINTR unless the code that waits for it looks at signals. */
static bool waits_for_lock(int32_t syscall_nr)
{
	return syscall_nr == SYS_futex;
}

/* A hold since before Stop; one that is proven never to end is no clean-up either, whenever it began. */
static bool is_old_hold(const struct dp_policy_view *v)
{
	return v->hold.id && v->hold.confirmed &&
	       (v->hold.start_ns <= v->stop_ns || v->hold.deadlock);
}

/* Another thread that runs bytecode beside it gives way to who wakes. */
static bool is_old_sleep(const struct dp_policy_view *v)
{
	return (!v->hold.id || policy_gives_way(v)) && v->blocked.since_ns &&
	       v->blocked.since_ns <= v->stop_ns;
}

static void fill_hold(const struct deciding *d, struct subject *s)
{
	const struct dp_policy_hold *h = &d->v->hold;

	s->kind = SUBJECT_HOLD;
	s->id = h->id;
	/* Between two bytecodes it gives the GIL to main, which the signal wakes and which runs the handler. */
	s->tid = policy_gives_way(d->v) ? d->v->progress.main_tid : h->tid;
	s->since_ns = h->start_ns;
	s->expected_end_ns = h->expected_end_ns;
	s->ends_as_asked = h->ends_as_asked;
	s->place = &h->place;
	s->one_shot =
		h->sched_state == DP_SCHED_SYSCALL ? waits_for_lock(h->syscall_nr) : h->native != 0;
}

static void fill_sleep(const struct deciding *d, struct subject *s)
{
	const struct dp_policy_blocked *b = &d->v->blocked;

	s->kind = SUBJECT_SLEEP;
	s->id = b->since_ns;
	/* Only main runs Python's handlers: a signal to another thread would wake nobody. */
	s->tid = d->v->progress.main_tid ? d->v->progress.main_tid : b->tid;
	s->since_ns = b->since_ns;
	s->expected_end_ns = b->expected_end_ns;
	s->ends_as_asked = true;
	s->place = &b->place;
	s->one_shot = waits_for_lock(b->syscall_nr);
}

static void fill_main(const struct deciding *d, struct subject *s, enum subject_kind kind)
{
	s->kind = kind;
	s->tid = d->v->progress.main_tid;
	if (kind != SUBJECT_LOOP && kind != SUBJECT_AWAY) {
		/* It may be cleaning up: as long as it took before. */
		s->since_ns = d->v->stop_ns;
		s->expected_end_ns = policy_later(d->v->stop_ns, policy_need(d->v));
		return;
	}
	s->since_ns = d->v->progress.busy_since_ns;
	s->expected_end_ns = d->v->progress.busy_until_ns;
	s->place = kind == SUBJECT_LOOP ? &d->v->progress.place : &d->v->progress.away_place;
}

/* The moment from which on a node is nudged that may be about to end by itself. */
static uint64_t late(const struct dp_policy_view *v)
{
	uint64_t span = v->deadline_ns > v->stop_ns ? v->deadline_ns - v->stop_ns : 0;

	return policy_later(v->stop_ns, span / 100 * DP_POLICY_LATE_PER_CENT);
}

/* The last moment at which a node that could not be judged can still leave after a signal. */
static uint64_t last_moment(const struct dp_policy_view *v)
{
	uint64_t last = v->deadline_ns > DP_POLICY_LAST_NS ? v->deadline_ns - DP_POLICY_LAST_NS : 0;

	return last > late(v) ? last : late(v);
}

/* Since when a look counts: what was seen before the last nudge says nothing of its effect. */
static bool is_fresh(const struct deciding *d, uint64_t seen_ns, uint64_t age_ns)
{
	uint64_t sent = d->st->attempts ? d->st->sent_ns : 0;

	return seen_ns > d->v->stop_ns && seen_ns > sent && policy_later(seen_ns, age_ns) >= d->now;
}

/*
 * A sleep or a hold that began before Stop has not seen it. But bytecode and other threads move
 * meanwhile: a token that came back since is a sign of life. While one native call keeps the GIL
 * nothing of the node's Python can move, so what looks like it was dora's own thread.
 */
static bool moves_beside(const struct deciding *d, bool in_hold)
{
	const struct dp_policy_view *v = d->v;

	if (!v->moved_ns)
		return false;
	if (d->st->attempts)
		return v->moved_ns > d->st->sent_ns;
	return (!in_hold || v->hold.native == 0) && v->moved_ns > v->stop_ns;
}

static bool refuse_moved(struct deciding *d, uint32_t tid)
{
	policy_refuse_nudge(d, DP_REFUSE_MOVED, tid, "the node moves by itself since Stop");
	return false;
}

static bool find_old(struct deciding *d, struct subject *s)
{
	if (is_old_hold(d->v)) {
		fill_hold(d, s);
		return !moves_beside(d, true) || refuse_moved(d, s->tid);
	}
	fill_sleep(d, s);
	/*
	 * Only from what was not seen is it known that the node has not reacted: after losses that
	 * proves nothing, unless its stack is the one of before.
	 */
	if (d->v->lost && d->v->progress.same_ns <= d->v->stop_ns) {
		policy_refuse_nudge(
			d, DP_REFUSE_RECORDS_LOST, s->tid,
			"records were lost since Stop: whether the node has reacted is not known");
		return false;
	}
	return !moves_beside(d, false) || refuse_moved(d, s->tid);
}

/*
 * Nothing of the process has asked dora for an event since before Stop, so it cannot have taken it. Not under asyncio,
 * where what was asked for before may come later, nor after a signal, whose handler may have begun a clean-up.
 */
static bool is_away(const struct deciding *d)
{
	const struct dp_policy_progress *p = &d->v->progress;

	return is_fresh(d, p->looked_ns, DP_POLICY_FRESH_NS) && p->away_ns &&
	       p->away_ns <= d->v->stop_ns && !p->asyncio && !d->st->attempts &&
	       d->v->stop_reason == DP_STOP_STOP;
}

/*
 * Threads that main waits for may end by themselves. Those that go on as before Stop get most of the
 * time; those that began something else, or that nobody has seen before, all that there is.
 */
static bool find_finalising(struct deciding *d, struct subject *s)
{
	bool as_before = d->v->progress.worker_tid != 0;

	fill_main(d, s, SUBJECT_FINALISING);
	if (d->now >= (as_before ? late(d->v) : last_moment(d->v)))
		return true;
	if (policy_refuse(d, DP_REFUSE_FINALISING, DP_ACTION_NUDGE, s->tid)) {
		policy_say_subject(d, s);
		dp_say(&d->say,
		       ": whether it ends by itself is not known, and it is let alone until the deadline is near");
	}
	return false;
}

/* What is going on began after Stop, or nobody has seen what was before. */
static void refuse_new(struct deciding *d)
{
	const struct dp_policy_view *v = d->v;
	const struct dp_policy_hold *h = &v->hold;
	struct subject s = {0};

	if (h->id && !h->confirmed) {
		policy_refuse_nudge(d, DP_REFUSE_UNCONFIRMED, h->tid,
				    "that this thread keeps the GIL is not proven");
	} else if (h->id && h->start_lo_ns <= v->stop_ns) {
		policy_refuse_nudge(
			d, DP_REFUSE_START_UNPROVEN, h->tid,
			"it is not proven that this hold began before Stop: it may be the clean-up");
	} else if (h->id) {
		fill_hold(d, &s);
		if (policy_refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, h->tid)) {
			dp_say(&d->say, "this hold began after Stop (clean-up): ");
			policy_say_subject(d, &s);
		}
	} else if (v->blocked.since_ns) {
		fill_sleep(d, &s);
		if (policy_refuse(d, DP_REFUSE_AFTER_STOP, DP_ACTION_NUDGE, s.tid)) {
			dp_say(&d->say, "blocked only since after Stop (clean-up): ");
			policy_say_subject(d, &s);
		}
	} else if (!v->progress.main_tid) {
		policy_refuse_nudge(
			d, DP_REFUSE_UNCLEAR, 0,
			"no Python: what the node does cannot be seen, and it is let alone");
	} else {
		policy_refuse_nudge(
			d, DP_REFUSE_AFTER_STOP, v->progress.main_tid,
			"the node is at what it did not do before Stop: it cleans up, and is let alone");
	}
}

/*
 * Does nothing say whether it has taken Stop? What began after Stop is held for the clean-up, unless the
 * probe came later still and has not seen the node before, or the event loop still calls from where it did:
 * then it may be the next step of the same handler, or a handler of Stop.
 */
static bool is_unclear(const struct deciding *d)
{
	const struct dp_policy_progress *p = &d->v->progress;

	if (!p->main_tid)
		return false;
	if (p->came_late && !p->known_before)
		return true;
	if (is_fresh(d, p->call_ns, DP_POLICY_LEFT_NS) && p->call_ns >= p->other_ns)
		return true;
	if (d->v->hold.id)
		return false;
	if (is_fresh(d, p->idle_ns, DP_POLICY_LEFT_NS))
		return true;
	return !p->known_before && !d->v->blocked.since_ns;
}

bool policy_find_subject(struct deciding *d, struct subject *s)
{
	const struct dp_policy_progress *p = &d->v->progress;

	memset(s, 0, sizeof(*s));
	if (p->finalising_ns || is_fresh(d, p->joining_ns, DP_POLICY_LEFT_NS) ||
	    (is_old_sleep(d->v) && d->v->blocked.joins && !d->st->attempts))
		return find_finalising(d, s);
	if (is_old_hold(d->v) || is_old_sleep(d->v))
		return find_old(d, s);
	if (p->took_ns && policy_later(p->took_ns, DP_POLICY_QUEUE_NS) >= d->now) {
		policy_refuse_nudge(d, DP_REFUSE_MOVED, p->main_tid,
				    "the node still takes messages: Stop comes after them");
		return false;
	}
	if (is_fresh(d, p->same_ns, DP_POLICY_FRESH_NS) && p->same_ns >= p->other_ns) {
		fill_main(d, s, SUBJECT_LOOP);
		return true;
	}
	if (is_away(d)) {
		fill_main(d, s, SUBJECT_AWAY);
		return true;
	}
	/* Nobody has looked since the last nudge. */
	if (p->main_tid && d->st->attempts && p->kept_ns <= d->st->sent_ns &&
	    p->other_ns <= d->st->sent_ns && p->idle_ns <= d->st->sent_ns)
		return false;
	/* At another place of its loop: it will be found at a known one again, or has left it. */
	if (policy_later(p->kept_ns, DP_POLICY_LEFT_NS) >= d->now && p->kept_ns > d->v->stop_ns)
		return false;
	if (!is_unclear(d)) {
		refuse_new(d);
		return false;
	}
	fill_main(d, s, SUBJECT_UNCLEAR);
	if (d->now >= last_moment(d->v))
		return true;
	policy_refuse_nudge(
		d, DP_REFUSE_UNCLEAR, s->tid,
		"whether the node has taken Stop cannot be seen: it is let alone until the deadline is near");
	return false;
}
