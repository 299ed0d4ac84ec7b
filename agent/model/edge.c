// SPDX-License-Identifier: MIT
/* When the edge source is armed; see edge.h. */
#include "model/edge.h"

#include "base/units.h"

/* Age of a candidate at which the source is armed: the kernel takes 5 to 30 ms for it. */
#define ARM_NS (10 * MS)
/*
 * While the kernel detaches the uprobe, a thread that comes by waits in handler_chain for 8 to 16
 * ms, often with the GIL (measured on 6.18, 15 to 50 ms after the request). That is no reason to
 * arm, unless it lasts longer.
 */
#define DETACH_NS (60 * MS)
#define STALL_NS  (25 * MS)
/* Until the kernel has detached it, on a busy machine; from the request on. */
#define DETACHING_NS     (150 * MS)
#define BACKOFF_FIRST_NS (250 * MS)
#define BACKOFF_MAX_NS   (4 * SEC)
/* A process that was dear to arm for is expected to be so for this long. */
#define OFTEN_NS      (2 * BACKOFF_MAX_NS)
#define KEEP_FIRST_NS (1 * SEC)
#define KEEP_MAX_NS   (60 * SEC)
/* Time over which the rate of releases is judged. */
#define RATE_NS (100 * MS)

void edge_source(struct edge *d, const struct env *e, const struct dp_record *r)
{
	if (r->u.source.source != DP_SOURCE_EDGE)
		return;
	d->asked = EDGE_NOTHING_ASKED;
	d->armed = r->u.source.on;
	d->failed = r->u.source.error != 0;
	if (d->armed) {
		d->armed_ns = r->h.t_ns;
		d->useful_ns = e->now;
		d->rate_ns = e->now;
		d->rate_count = 0;
		if (!d->keep_ns)
			d->keep_ns = KEEP_FIRST_NS;
	} else {
		d->armed_ns = 0;
		d->detached_ns = e->now + DETACH_NS;
		if (r->u.source.error)
			d->retry_ns = e->now + BACKOFF_MAX_NS;
	}
}

void edge_look(struct edge *d, const struct dp_rec_look *k)
{
	d->rate_count = k->edge_releases;
	if (k->edge_armed_ns)
		d->armed_ns = k->edge_armed_ns;
}

bool edge_releases_often(const struct edge *d, uint64_t t_ns)
{
	return d->often_ns && t_ns < d->often_ns + OFTEN_NS;
}

bool edge_stalled(const struct edge *d, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t asked_ns = d->detached_ns > DETACH_NS ? d->detached_ns - DETACH_NS : 0;

	return asked_ns && to_ns > asked_ns && from_ns < asked_ns + DETACHING_NS &&
	       to_ns - from_ns < STALL_NS;
}

static void ask(struct edge *d, const struct env *e, const struct identity *id, bool arm)
{
	struct dp_request q = {.type = arm ? DP_REQ_ARM_EDGE : DP_REQ_DISARM_EDGE};

	d->asked = arm ? EDGE_ARM_ASKED : EDGE_DISARM_ASKED;
	say_request(e, id, &q);
}

/* Is it too dear while armed? Then it is to be left alone for a time that doubles. */
static bool is_too_dear(struct edge *d, const struct env *e)
{
	uint64_t allowed = e->options.max_edge_rate * (e->now - d->rate_ns) / SEC;
	uint64_t armed_for = d->armed_ns ? e->now - d->armed_ns : 0;

	if (d->rate_count > allowed && d->armed_ns && armed_for >= RATE_NS) {
		d->backoff_ns = d->backoff_ns ? d->backoff_ns * 2 : BACKOFF_FIRST_NS;
		if (d->backoff_ns > BACKOFF_MAX_NS)
			d->backoff_ns = BACKOFF_MAX_NS;
		d->often_ns = e->now;
		d->retry_ns = e->now + d->backoff_ns;
		return true;
	}
	/* Seen to be cheap for long enough: what was is forgotten. */
	if (d->armed_ns && armed_for >= SEC && !edge_releases_often(d, e->now))
		d->backoff_ns = d->often_ns = 0;
	return false;
}

/*
 * A process that keeps making false candidates cheaply stays armed, which refutes them for good; a
 * dear one is left alone for a time that doubles, a quarter of it when the candidate is stuck.
 */
void edge_govern(struct edge *d, const struct env *e, const struct identity *id, uint64_t age,
		 bool stuck)
{
	bool candidate = age >= (e->now < d->detached_ns ? STALL_NS : ARM_NS);
	bool exact = e->options.exact &&
		     (e->options.exact_until_ns == 0 || e->now < e->options.exact_until_ns);
	uint64_t retry_ns = d->retry_ns;

	if (d->refused || d->asked || id->facts.gil_count == 0)
		return;
	if (!d->armed) {
		if (stuck && d->often_ns && retry_ns > d->often_ns + d->backoff_ns / 4)
			retry_ns = d->often_ns + d->backoff_ns / 4;
		if ((candidate || exact) && e->now >= retry_ns)
			ask(d, e, id, true);
		return;
	}
	if (candidate)
		d->useful_ns = e->now;
	if (e->now - d->rate_ns >= RATE_NS && e->options.max_edge_rate && !exact &&
	    is_too_dear(d, e)) {
		ask(d, e, id, false);
	} else if (!exact && e->now - d->useful_ns > d->keep_ns) {
		/* Was it for nothing? Then the next time it stays longer. */
		d->keep_ns = d->keep_ns * 2 > KEEP_MAX_NS ? KEEP_MAX_NS : d->keep_ns * 2;
		ask(d, e, id, false);
	}
}
