// SPDX-License-Identifier: MIT
/* What a process' time goes to; see shares.h. */
#include "model/shares.h"

#include "model/native.h"
#include "model/spans.h"

#include <string.h>

/*
 * Below a quarter of the samples that its CPU time should have given, once that is long enough to
 * tell, the clock is not there (no right to it, or it is skipped): the agent's own looks stand in.
 */
#define SAMPLE_NS      (1000 * MS / 49)
#define CPU_TO_TELL_NS (200 * MS)

/* Half a CPU without the GIL: somebody of the process computes. A tenth and less: nobody does. */
#define COMPUTES 0.5
#define IDLE     0.1

/*
 * Adds [from, to], which ends no earlier than those before it. Returns how much of it was not covered
 * yet.
 */
static uint64_t cover_add(struct cover *c, uint64_t from, uint64_t to)
{
	uint64_t fresh = to > from ? to - from : 0, first = from, last = to;

	if (!fresh)
		return 0;
	while (c->count && c->at[c->count - 1].to >= from) {
		uint64_t a = c->at[c->count - 1].from, b = c->at[c->count - 1].to;

		fresh -= overlap(from, to, a, b);
		first = a < first ? a : first;
		last = b > last ? b : last;
		c->count--;
	}
	if (c->count == COVER_MAX) {
		memmove(&c->at[0], &c->at[1], (COVER_MAX - 1) * sizeof(c->at[0]));
		c->count--;
	}
	c->at[c->count].from = first;
	c->at[c->count++].to = last;
	return fresh;
}

void shares_wait(struct shares *s, bool is_main, uint64_t from, uint64_t to)
{
	uint64_t begin = from > s->main_wait_until_ns ? from : s->main_wait_until_ns;

	if (!from || to <= from)
		return;
	s->wait_ns += cover_add(&s->waits, from, to);
	if (!is_main || to <= begin)
		return;
	s->main_wait_ns += to - begin;
	s->main_wait_until_ns = to;
}

void shares_look(struct shares *s, uint32_t tid, const struct dp_rec_look *k)
{
	s->off_since_ns = k->locked == 1 && tid ? look_off_since(k) : 0;
	s->off_tid = tid;
	s->off_runnable = k->off_runnable;
}

/* Off the CPU with the GIL: stretches come in order, since a GIL has one holder. */
static void add_off(struct shares *s, bool is_main, bool runnable, uint64_t from, uint64_t to)
{
	uint64_t begin = from > s->off_until_ns ? from : s->off_until_ns;

	if (to <= begin)
		return;
	s->off_ns += to - begin;
	if (is_main && !runnable)
		s->main_off_ns += to - begin;
	s->off_until_ns = to;
}

void shares_off(struct shares *s, bool is_main, const struct dp_gil_span *g)
{
	add_off(s, is_main, g->preempted, g->from_ns, g->to_ns);
	s->off_since_ns = 0;
}

static void add_sampled(struct share_sampled *s, const struct share_sampled *a)
{
	s->of_ns += a->of_ns;
	s->ns += a->ns;
	s->more_ns += a->more_ns;
	s->samples += a->samples;
	s->held += a->held;
}

static void add(struct share_sum *s, const struct share_sum *a)
{
	add_sampled(&s->clock, &a->clock);
	add_sampled(&s->looks, &a->looks);
	s->wait.of_ns += a->wait.of_ns;
	s->wait.ns += a->wait.ns;
	s->wait.variance += a->wait.variance;
	s->blocked.of_ns += a->blocked.of_ns;
	s->blocked.ns += a->blocked.ns;
	s->blocked.variance += a->blocked.variance;
}

static double between(double low, double v, double high)
{
	return v < low ? low : v > high ? high : v;
}

static void put_held(struct share_sum *ret, const struct shares *s, const struct dp_rec_share *r,
		     double length)
{
	bool blind = r->cpu_ns == UINT64_MAX ||
		     (r->cpu_ns > CPU_TO_TELL_NS && r->samples * 4ULL * SAMPLE_NS < r->cpu_ns);

	if (!blind)
		ret->clock = (struct share_sampled){.of_ns = length,
						    .ns = (double)r->cpu_ns,
						    .more_ns = (double)(r->off_ns + s->off_ns),
						    .samples = r->samples,
						    .held = r->samples_held};
	else if (r->looks)
		ret->looks = (struct share_sampled){
			.of_ns = length, .ns = length, .samples = r->looks, .held = r->looks_held};
}

/* How the short ones overlap with the others is not known. */
static void put_wait(struct share_sum *ret, const struct shares *s, const struct dp_rec_share *r,
		     double length)
{
	double brief = (double)r->wait_ns;

	ret->wait.of_ns = length;
	ret->wait.ns = between(0, (double)s->wait_ns + brief, length);
	ret->wait.variance = brief * brief / 12;
}

/* What is left of the main thread's time. Whose the short waits are is not known: half of them. */
static void put_blocked(struct share_sum *ret, const struct shares *s, const struct dp_rec_share *r,
			double length)
{
	double brief = (double)(r->wait_ns + r->off_ns);
	double rest = length - (double)r->main_cpu_ns - (double)r->main_queued_ns -
		      (double)(s->main_wait_ns + s->main_off_ns) - brief / 2;

	if (r->main_cpu_ns == UINT64_MAX || r->main_queued_ns == UINT64_MAX)
		return;
	ret->blocked.of_ns = length;
	ret->blocked.ns = between(0, rest, length);
	ret->blocked.variance = brief * brief / 12;
}

/* What goes on is counted up to the end of the stretch, and from there on later. */
static void close_open(struct shares *s, uint32_t main_tid, uint64_t end_ns,
		       const struct share_waiter *waiters, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		shares_wait(s, waiters[i].is_main, waiters[i].since_ns, end_ns);
	if (s->off_since_ns)
		add_off(s, s->off_tid == main_tid, s->off_runnable, s->off_since_ns, end_ns);
}

static void note_computing(struct shares *s, const struct share_sum *now, uint64_t from_ns,
			   uint64_t to_ns)
{
	double ratio = share_estimate(now, SHARE_WITHOUT).ratio;
	double held = share_estimate(now, SHARE_HELD).ratio;

	if (ratio < 0)
		return;
	s->last_from_ns = from_ns;
	s->last_to_ns = to_ns;
	s->computes = ratio >= COMPUTES;
	s->rests = ratio < IDLE;
	s->idle = held >= 0 && ratio + held < IDLE;
}

bool shares_stretch(struct shares *s, const struct dp_record *r, bool main_takes,
		    const struct share_waiter *waiters, uint32_t count)
{
	const struct dp_rec_share *k = &r->u.share;
	struct share_sum now = {0};
	uint64_t length_ns = r->h.t_ns > k->from_ns ? r->h.t_ns - k->from_ns : 0;
	double length = (double)length_ns;

	close_open(s, r->h.pid, r->h.t_ns, waiters, count);
	if (length_ns) {
		put_held(&now, s, k, length);
		put_wait(&now, s, k, length);
		if (main_takes)
			put_blocked(&now, s, k, length);
	}
	s->wait_ns = s->main_wait_ns = s->off_ns = s->main_off_ns = 0;
	if (!length_ns)
		return false;
	note_computing(s, &now, k->from_ns, r->h.t_ns);
	s->recent[s->stretches++ % SHARES_RECENT] = now;
	add(&s->interval, &now);
	add(&s->total, &now);
	s->interval_ns += length_ns;
	return k->every_ns && s->interval_ns >= k->every_ns;
}

bool shares_take(struct shares *s, struct dp_share_finding *ret)
{
	if (!s->interval_ns)
		return false;
	*ret = (struct dp_share_finding){
		.duration_ns = s->interval_ns,
		.gil_held = share_estimate(&s->interval, SHARE_HELD),
		.gil_wait = share_estimate(&s->interval, SHARE_WAIT),
		.running_without_gil = share_estimate(&s->interval, SHARE_WITHOUT),
		.blocked = share_estimate(&s->interval, SHARE_BLOCKED),
	};
	memset(&s->interval, 0, sizeof(s->interval));
	s->interval_ns = 0;
	return true;
}

/* The root by Newton's way, from above: the model needs no library. */
static double square_root(double v)
{
	double x = v > 1 ? v : 1;

	if (!(v > 0))
		return 0;
	for (int i = 0; i < 100; i++) {
		double next = (x + v / x) / 2;

		if (next >= x)
			break;
		x = next;
	}
	return x;
}

/* Mean and variance of the share of which `held` of `samples` were seen: Beta(k + 1/2, n - k + 1/2). */
static double mean_of(const struct share_sampled *s)
{
	return (s->held + 0.5) / (s->samples + 1);
}

static double variance_of(const struct share_sampled *s)
{
	double mean = mean_of(s);

	return s->ns * s->ns * mean * (1 - mean) / (s->samples + 2);
}

static struct dp_estimate estimate(double ns, double variance, double of_ns)
{
	struct dp_estimate e = {.ratio = -1, .error = -1};

	if (of_ns > 0) {
		e.ratio = between(0, ns / of_ns, 1);
		e.error = between(0, square_root(variance) / of_ns, 1);
	}
	return e;
}

struct dp_estimate share_estimate(const struct share_sum *s, enum share_kind kind)
{
	const struct share_sampled *c = &s->clock, *k = &s->looks;

	switch (kind) {
	case SHARE_HELD:
		return estimate(c->ns * mean_of(c) + c->more_ns + k->ns * mean_of(k),
				variance_of(c) + variance_of(k), c->of_ns + k->of_ns);
	case SHARE_WITHOUT:
		return estimate(c->ns * (1 - mean_of(c)), variance_of(c), c->of_ns);
	case SHARE_WAIT:
		return estimate(s->wait.ns, s->wait.variance, s->wait.of_ns);
	case SHARE_BLOCKED:
	default:
		return estimate(s->blocked.ns, s->blocked.variance, s->blocked.of_ns);
	}
}

void shares_recent(const struct shares *s, struct share_sum *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < SHARES_RECENT; i++)
		add(ret, &s->recent[i]);
}
