// SPDX-License-Identifier: MIT
/*
 * The GIL timeline of a process: from looks and edges to holds.
 *
 * A row of looks that all say "held by T" is a candidate, not a hold: a thread that releases the
 * GIL a thousand times a second for a microsecond looks the same in each of them. It becomes a hold
 * by a proof, a stretch without a gap in which T cannot have released it: P1  the edge source
 * (uprobe on pthread_cond_signal) is armed and has seen no release; P2  a waiter has been asleep
 * all the time: a release would have woken it by a futex call; P3  T was off the CPU: only T can
 * release what it holds. Proofs that touch are joined; the longest counts. `lo` is the last time T
 * was known not to hold, from the kernel programs, so the true start lies in [lo, proof.from].
 */
#include "model/internal.h"

#include <string.h>

#define BACKOFF_FIRST_NS (250 * MS)
#define BACKOFF_MAX_NS   (4 * SEC)
/* Bytecode that stands still for this long is worth arming for sooner. */
#define STUCK_NS         (100 * MS)
/* A process that was dear to arm for is expected to be so for this long. */
#define OFTEN_NS         (2 * BACKOFF_MAX_NS)
/*
 * While the kernel detaches the uprobe, a thread that comes by waits in handler_chain for 8 to 16
 * ms, often with the GIL (measured on 6.18, 15 to 50 ms after the request). That is no reason to
 * arm, unless it lasts longer.
 */
#define DETACH_NS     (60 * MS)
#define STALL_NS      (25 * MS)
#define KEEP_FIRST_NS (1 * SEC)
#define KEEP_MAX_NS   (60 * SEC)
/*
 * A hold on the CPU is called native when its bytecode has stood still for this long and the cpu
 * clock has found the thread outside the bytecode loop this many times and never in it: a loop may
 * well stand at its one costly instruction in every look. Without samples it takes many looks.
 */
#define STILL_LOOKS_ONLY 15
#define STILL_NS         (25 * MS)
#define STILL_SAMPLES    3
/* A waiter asks for the GIL after 5 ms; bytecode gives it up within microseconds of that. */
#define DROP_IGNORED_NS (10 * MS)
/* What is stuck from the first moment of its sleep on, but for the bracket of its beginning. */
#define SLEEP_FIRST_NS (60 * MS)
#define SLEEP_NATIVE_NS (10 * MS)

int hold_proven(const struct hold *h)
{
	return h->proof.to != 0 || h->best.to != 0;
}

/* In most looks at its stack: one alone may find the thread between two calls. */
int hold_in_dora(const struct hold *h)
{
	return h->dora_stacks && h->dora_stacks * 2 >= h->stacks;
}

static const struct proof *hold_proof(const struct hold *h)
{
	return h->best.to - h->best.from > h->proof.to - h->proof.from ? &h->best : &h->proof;
}

uint64_t hold_start(const struct hold *h)
{
	return hold_proven(h) ? hold_proof(h)->from : h->seen_ns;
}

uint64_t hold_until(const struct hold *h)
{
	return hold_proven(h) ? hold_proof(h)->to : h->last_ns;
}

/* Joins [from, to] to the hold's proof; `exact` says that `from` is the moment of the take. */
static void prove(struct dp_model *m, struct hold *h, uint64_t from, uint64_t to, int exact)
{
	if (from < h->lo_ns)
		from = h->lo_ns;
	if (to <= from)
		return;
	if (h->known_ns == 0)
		h->known_ns = m->now;
	if (h->proof.to == 0) {
		h->proof = (struct proof){.from = from, .to = to, .exact_from = (uint8_t)exact};
	} else if (from <= h->proof.to && to >= h->proof.from) {
		if (from < h->proof.from || (exact && from == h->proof.from)) {
			h->proof.from = from;
			h->proof.exact_from = (uint8_t)exact;
		}
		if (to > h->proof.to)
			h->proof.to = to;
	} else if (from > h->proof.to) {
		h->best = *hold_proof(h);
		h->proof = (struct proof){.from = from, .to = to, .exact_from = (uint8_t)exact};
	}
	if (from < h->seen_ns)
		h->seen_ns = from;
	if (to > h->last_ns)
		h->last_ns = to;
}

static void open_hold(struct gil *g, uint32_t tid, uint64_t lo, uint64_t seen)
{
	memset(&g->cur, 0, sizeof(g->cur));
	g->cur.tid = tid;
	g->cur.lo_ns = lo;
	g->cur.seen_ns = seen;
	g->cur.last_ns = seen;
	g->cur.native = -1;
	for (uint32_t i = 0; i < g->waiter_count && i < DP_WAITERS_MAX; i++)
		if (g->waiters[i].tid != tid)
			g->cur.waiters[g->cur.waiter_count++] = g->waiters[i].tid;
}

static void finish(struct dp_model *m, struct node *n, unsigned int gil, struct hold *h);

/* The current hold is known not to be held at `hi`: it waits a little for evidence on its end. */
static void close_hold(struct dp_model *m, struct node *n, unsigned int gil, uint64_t hi)
{
	struct gil *g = &n->gils[gil];
	struct hold *h = &g->cur;

	if (h->tid == 0)
		return;
	h->hi_ns = hi < h->seen_ns ? h->seen_ns : hi;
	if (h->last_ns > h->hi_ns)
		h->last_ns = h->hi_ns;
	if (h->proof.to > h->hi_ns)
		h->proof.to = h->hi_ns;
	if (h->proof.to && h->proof.to < h->proof.from)
		h->proof.to = h->proof.from;
	h->close_ns = m->now;
	/* The consumer's own hold that was there at Stop is over: it can react now. */
	if (n->stop_seen && h->tid == node_consumer(n) && h->seen_ns <= n->stop_ns &&
	    h->hi_ns > n->stop_ns && hold_proven(h))
		guard_moved(n, h->hi_ns);
	/* What never reached the kernel's own minimum is not worth keeping. */
	if (h->hi_ns - (h->lo_ns ? h->lo_ns : h->seen_ns) >= DP_RUN_MIN_NS ||
	    h->last_ns - h->seen_ns >= DP_RUN_MIN_NS) {
		if (g->closing_count == CLOSING_MAX) {
			finish(m, n, gil, &g->closing[0]);
			g->closing_count--;
			memmove(&g->closing[0], &g->closing[1],
				g->closing_count * sizeof(g->closing[0]));
		}
		g->closing[g->closing_count++] = *h;
	}
	memset(h, 0, sizeof(*h));
}

/* The latest begin of the proof by sleeping waiters: the earliest waiter still asleep; 0 none. */
static uint64_t waiting_since(const struct gil *g, uint32_t holder)
{
	uint64_t since = 0;

	for (uint32_t i = 0; i < g->waiter_count; i++)
		if (g->waiters[i].tid != holder && (since == 0 || g->waiters[i].begin_ns < since))
			since = g->waiters[i].begin_ns;
	if (since && since < g->last_release_ns)
		since = g->last_release_ns;
	return since && since < g->trust_ns ? g->trust_ns : since;
}

/* From here on the bytecode stands still, as far as is known. */
static void stand(struct hold *h, const struct dp_rec_look *k, uint64_t t_ns)
{
	h->still_since_ns = t_ns;
	h->still_looks = 1;
	h->still_samples = k->run_samples;
	h->still_eval = k->run_eval;
}

/*
 * A loop that calls one function most of the time stands still in three samples now and then. What
 * has moved on since was one native call only if that call took at least half of the hold.
 */
static void end_stand(struct hold *h, uint64_t t_ns)
{
	if (h->native != 1 || !h->native_stood)
		return;
	if (t_ns - h->still_since_ns > h->stood_ns)
		h->stood_ns = t_ns - h->still_since_ns;
	if (h->stood_ns * 2 < t_ns - h->seen_ns)
		h->native = 0;
}

static void prove_native(struct hold *h)
{
	h->native = 1;
	h->native_stood = 0;
}

/* Is the hold within one native call? From where its bytecode stands over the looks. */
static void watch_position(struct hold *h, const struct dp_rec_look *k, uint64_t t_ns)
{
	/* A thread that wants the CPU and has none stands still whatever it runs. */
	int idle = k->off_since_ns && k->off_runnable;
	int told = k->run_eval != UINT16_MAX && k->run_samples >= h->still_samples;

	if (idle || k->drop_request != 1)
		h->drop_since_ns = 0;
	else if (h->drop_since_ns == 0)
		h->drop_since_ns = t_ns;
	else if (t_ns - h->drop_since_ns >= DROP_IGNORED_NS)
		prove_native(h);
	if (k->off_since_ns && !idle && k->before_ns > k->off_since_ns + SLEEP_NATIVE_NS)
		prove_native(h);
	if (k->ip == 0)
		return;
	if (h->ip != k->ip || h->frame != k->frame) {
		/* A hold that moved on between looks runs bytecode, unless it is stuck later. */
		if (h->ip && h->native != 1)
			h->native = 0;
		else
			end_stand(h, t_ns);
		h->ip = k->ip;
		h->frame = k->frame;
		h->drop_since_ns = 0;
		stand(h, k, t_ns);
		return;
	}
	h->still_looks += !idle;
	if (told && k->run_eval > h->still_eval) {
		/* It stands at the same instruction and yet bytecode runs. */
		if (h->native != 1)
			h->native = 0;
		else
			end_stand(h, t_ns);
		stand(h, k, t_ns);
	} else if (t_ns - h->still_since_ns >= STILL_NS &&
		   ((told && k->run_samples - h->still_samples >= STILL_SAMPLES) ||
		    h->still_looks >= STILL_LOOKS_ONLY)) {
		if (h->native != 1)
			h->native_stood = 1;
		h->native = 1;
	}
}

static void look(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_look *k = &r->u.look;
	struct gil *g = &n->gils[k->gil];
	struct hold *h = &g->cur;
	uint32_t tid = r->h.tid;
	uint64_t wait;

	if (k->gil == 0) {
		n->edge.rate_count = k->edge_releases;
		if (k->edge_armed_ns)
			n->edge.armed_ns = k->edge_armed_ns;
	}
	if (k->locked > 1 || (k->locked == 1 && tid == 0))
		return;
	g->last_look_ns = r->h.t_ns;
	if (k->locked == 0) {
		close_hold(m, n, k->gil, r->h.t_ns);
		return;
	}
	if (h->tid == tid && k->notheld_ns > h->seen_ns)
		close_hold(m, n, k->gil, k->notheld_ns);
	else if (h->tid && h->tid != tid)
		close_hold(m, n, k->gil, r->h.t_ns);
	if (h->tid == 0) {
		uint64_t seen = k->before_ns;

		if (k->run_first_ns > k->notheld_ns && k->run_first_ns < seen)
			seen = k->run_first_ns;
		if (k->notheld_ns > seen)
			return; /* taken within the look: the next one will see it */
		open_hold(g, tid, k->notheld_ns, seen);
	}
	if (k->notheld_ns > h->lo_ns)
		h->lo_ns = k->notheld_ns;
	if (k->before_ns > h->last_ns)
		h->last_ns = k->before_ns;
	h->looks++;
	watch_position(h, k, r->h.t_ns);

	if (k->take_ns && k->take_ns >= h->lo_ns && k->take_ns <= h->seen_ns)
		h->seen_ns = k->take_ns;
	/* P3 */
	if (k->off_since_ns && k->off_since_ns < k->before_ns)
		prove(m, h, k->off_since_ns, k->before_ns, 0);
	/* P1 */
	if (k->edge_armed_ns) {
		if (k->edge_take_tid == tid && k->edge_take_ns > k->edge_release_ns &&
		    k->edge_take_ns < k->before_ns)
			prove(m, h, k->edge_take_ns, k->before_ns, 1);
		else if (k->edge_release_ns < k->edge_armed_ns &&
			 k->edge_take_ns < k->edge_armed_ns)
			prove(m, h, k->edge_armed_ns, k->before_ns, 0);
	}
	/* P2 */
	wait = waiting_since(g, tid);
	if (wait && wait < k->before_ns)
		prove(m, h, wait < h->lo_ns ? h->lo_ns : wait, k->before_ns, 0);
	/* An exact take by a contended wait begins a proof only when something goes on proving. */
	if (h->proof.to && k->take_ns && k->take_ns >= h->lo_ns && k->take_ns < h->proof.from &&
	    waiting_since(g, tid) && waiting_since(g, tid) <= k->take_ns)
		prove(m, h, k->take_ns, h->proof.to, 1);
}

static void forget_waiter(struct gil *g, uint32_t tid)
{
	for (uint32_t i = 0; i < g->waiter_count; i++) {
		if (g->waiters[i].tid != tid)
			continue;
		g->waiters[i] = g->waiters[--g->waiter_count];
		return;
	}
}

static void note_waiter(struct hold *h, uint32_t tid)
{
	for (uint32_t i = 0; i < h->waiter_count; i++)
		if (h->waiters[i] == tid)
			return;
	if (h->tid && h->tid != tid && h->waiter_count < DP_WAITERS_MAX)
		h->waiters[h->waiter_count++] = tid;
}

static void wait_begin(struct node *n, const struct dp_record *r)
{
	struct gil *g = &n->gils[r->u.wait.gil];

	forget_waiter(g, r->h.tid);
	if (g->waiter_count < WAITERS_MAX)
		g->waiters[g->waiter_count++] =
			(struct waiter){.tid = r->h.tid, .begin_ns = r->u.wait.begin_ns};
	note_waiter(&g->cur, r->h.tid);
}

static void wait_end(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_gil_wait *w = &r->u.wait;
	struct gil *g = &n->gils[w->gil];
	uint64_t begin = w->begin_ns;

	forget_waiter(g, r->h.tid);
	if (begin == 0 || begin > r->h.t_ns)
		return;
	n->waits_count++;
	n->wait_ns += r->h.t_ns - begin;
	if (w->gil == 0 && r->h.tid == node_consumer(n)) {
		struct span s = {.from = begin,
				 .to = r->h.t_ns,
				 .tid = r->h.tid,
				 .function = -1,
				 .native = -1};

		span_push(&n->waits, &s);
	}
	struct dp_finding f = {.type = DP_FIND_GIL_WAIT};
	uint32_t holder = g->cur.tid;

	/* Who let go last while we waited; at the end of the wait the kernel sees the waiter. */
	if (holder == 0 || holder == r->h.tid)
		holder = g->last_release_ns > begin ? g->last_release_tid : w->holder_tid;
	if (holder == r->h.tid)
		holder = 0;
	f.u.wait = (struct dp_wait_finding){.tid = r->h.tid,
					    .holder_tid = holder,
					    .gil = w->gil,
					    .start_ns = begin,
					    .end_ns = r->h.t_ns};
	model_say(m, n, r->h.t_ns, &f);

	if (w->acquired) {
		uint64_t lo = g->last_release_ns > begin ? g->last_release_ns : begin;

		if (g->cur.tid)
			close_hold(m, n, w->gil, r->h.t_ns);
		open_hold(g, r->h.tid, lo, r->h.t_ns);
	}
}

/* RELEASE and EDGE_HOLD: the thread let go at to_ns exactly; from_ns exact when not 0. */
static void released(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &n->gils[s->gil];
	struct hold *h = &g->cur;
	int edge = r->h.type == DP_REC_GIL_EDGE_HOLD;
	uint64_t wait;

	if (h->tid && h->tid != r->h.tid)
		close_hold(m, n, s->gil, s->from_ns ? s->from_ns : s->to_ns);
	if (h->tid == r->h.tid && s->from_ns && s->from_ns > h->seen_ns && s->from_ns > h->lo_ns &&
	    h->proof.to == 0) {
		/* An older candidate of this thread ended before this take. */
		close_hold(m, n, s->gil, s->from_ns);
	}
	if (h->tid == 0)
		open_hold(g, r->h.tid, s->lo_ns < s->to_ns ? s->lo_ns : 0,
			  s->from_ns ? s->from_ns : s->to_ns);
	if (edge && s->from_ns) {
		if (s->from_ns >= h->lo_ns || h->proof.to == 0) {
			h->lo_ns = s->from_ns;
			h->seen_ns = s->from_ns;
		}
		prove(m, h, s->from_ns, s->to_ns, 1);
	} else if (edge) {
		/* Taken before arming, first release since: proven from the arming on. */
		if (n->edge.armed_ns && n->edge.armed_ns < s->to_ns)
			prove(m, h, n->edge.armed_ns, s->to_ns, 0);
	} else {
		wait = waiting_since(g, r->h.tid);
		if (wait && wait < s->to_ns)
			prove(m, h, wait, s->to_ns, 0);
		if (h->proof.to && s->from_ns && s->from_ns >= h->lo_ns &&
		    h->proof.from <= s->from_ns + EXACT_NS)
			prove(m, h, s->from_ns, s->to_ns, 1);
	}
	if (h->last_ns < s->to_ns)
		h->last_ns = s->to_ns;
	if (h->proof.to == s->to_ns)
		h->proof.exact_to = 1;
	g->last_release_ns = s->to_ns;
	g->last_release_tid = r->h.tid;
	close_hold(m, n, s->gil, s->to_ns);
}

static void off_cpu(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &n->gils[s->gil];
	struct hold *h = &g->cur;

	if (h->tid && h->tid != r->h.tid)
		close_hold(m, n, s->gil, s->from_ns);
	if (h->tid && s->lo_ns > h->seen_ns)
		close_hold(m, n, s->gil, s->lo_ns);
	if (h->tid == 0)
		open_hold(g, r->h.tid, s->lo_ns, s->from_ns);
	if (s->lo_ns > h->lo_ns)
		h->lo_ns = s->lo_ns;
	prove(m, h, s->from_ns, s->to_ns, 0);
	h->off_ns += s->to_ns - s->from_ns;
	if (!s->preempted && s->to_ns - s->from_ns >= SLEEP_NATIVE_NS)
		prove_native(h);
}

static void run(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_gil_span *s = &r->u.gil_span;
	struct gil *g = &n->gils[s->gil];
	struct hold *h = NULL;

	if (g->cur.tid == r->h.tid && g->cur.seen_ns <= s->hi_ns &&
	    (g->cur.lo_ns <= s->from_ns || g->cur.seen_ns <= s->to_ns)) {
		/* The current hold may be a newer one that began after this row ended. */
		if (g->cur.lo_ns < s->to_ns) {
			h = &g->cur;
			if (s->lo_ns > h->lo_ns && s->lo_ns <= h->seen_ns)
				h->lo_ns = s->lo_ns;
			if (s->from_ns < h->seen_ns && s->from_ns >= h->lo_ns)
				h->seen_ns = s->from_ns;
			if (s->to_ns > h->last_ns)
				h->last_ns = s->to_ns;
			if (s->off_ns > h->off_ns)
				h->off_ns = s->off_ns;
			close_hold(m, n, s->gil, s->hi_ns);
			return;
		}
	}
	for (uint32_t i = g->closing_count; i-- > 0;) {
		h = &g->closing[i];
		if (h->tid != r->h.tid || s->hi_ns < h->seen_ns || s->from_ns > h->hi_ns)
			continue;
		if (s->lo_ns > h->lo_ns && s->lo_ns <= h->seen_ns)
			h->lo_ns = s->lo_ns;
		if (s->to_ns > h->last_ns && s->to_ns <= h->hi_ns)
			h->last_ns = s->to_ns;
		if (s->hi_ns < h->hi_ns && s->hi_ns >= h->last_ns)
			h->hi_ns = s->hi_ns;
		if (s->off_ns > h->off_ns)
			h->off_ns = s->off_ns;
		return;
	}
	/* Nobody looked in time: a row of its own, unconfirmed. */
	if (g->cur.tid == 0 && s->to_ns - s->from_ns >= m->options.hold_threshold_ns) {
		open_hold(g, r->h.tid, s->lo_ns, s->from_ns);
		g->cur.last_ns = s->to_ns;
		g->cur.off_ns = s->off_ns;
		close_hold(m, n, s->gil, s->hi_ns);
	}
}

static int releases_often(const struct node *n, uint64_t t_ns)
{
	return n->edge.often_ns && t_ns < n->edge.often_ns + OFTEN_NS;
}

static uint8_t precision_of(const struct hold *h)
{
	const struct proof *p = hold_proof(h);

	if (!hold_proven(h))
		return DP_PRECISION_UNCONFIRMED;
	if (h->open_end || h->lo_ns == 0)
		return DP_PRECISION_AT_LEAST;
	if (p->from - h->lo_ns <= EXACT_NS && h->hi_ns - p->to <= EXACT_NS)
		return DP_PRECISION_EXACT;
	return DP_PRECISION_BOUNDED;
}

static void finish(struct dp_model *m, struct node *n, unsigned int gil, struct hold *h)
{
	uint64_t start = hold_start(h), end = hold_until(h);
	uint64_t length = end > start ? end - start : 0;
	int proven = hold_proven(h);
	struct dp_finding f = {.type = DP_FIND_GIL_HOLD};
	int function;

	if (end > h->still_since_ns)
		end_stand(h, end);
	/* The last stack may show its tail only: a result that is thrown away, the next line. */
	if (h->most.known)
		h->place = h->most;
	function = node_function(n, &h->place);
	if (proven && gil == 0) {
		struct span s = {.from = start,
				 .to = end,
				 .tid = h->tid,
				 .native = h->native,
				 .function = (int16_t)function,
				 .dora = (uint8_t)hold_in_dora(h),
				 .deadlock = cause_of_hold(n, h) == DP_CAUSE_DEADLOCK};

		span_push(&n->holds, &s);
	}
	if (proven) {
		n->held_ns += length;
		if (function >= 0) {
			n->functions[function].b.held_ns += length;
			if (length > n->functions[function].max_hold_ns)
				n->functions[function].max_hold_ns = length;
		}
	}
	if (length < m->options.hold_threshold_ns || length == 0)
		return;
	/*
	 * Arming takes the kernel up to a tenth of a second on a busy machine. What was over before
	 * a source that could have proven it was there is no finding, but for one that was long
	 * enough to warn about. Nor is a row of looks of a process that is known to release so often
	 * that it cannot be watched: such a row says nothing, however long it is.
	 */
	if (!proven && !n->edge.refused && !n->edge.failed &&
	    (length < m->options.warn_hold_ns || releases_often(n, h->hi_ns)))
		return;
	if (proven) {
		n->holds_count++;
		if (length > n->max_own_hold_ns && !hold_in_dora(h))
			n->max_own_hold_ns = length;
		if (length > n->max_hold_ns) {
			n->max_hold_ns = length;
			memcpy(n->max_hold_function, h->place.function,
			       sizeof(n->max_hold_function));
		}
	}
	f.u.hold = (struct dp_hold_finding){
		.tid = h->tid,
		.gil = (uint8_t)gil,
		.precision = precision_of(h),
		.native = h->native,
		.waiter_count = (uint8_t)h->waiter_count,
		.start_lo_ns = h->lo_ns ? h->lo_ns : DP_NULL,
		.start_ns = start,
		.end_ns = end,
		.end_hi_ns = h->open_end ? DP_NULL : h->hi_ns,
		.off_cpu_ns = h->off_ns > length      ? length
			      : h->off_ns || h->looks ? h->off_ns
						      : DP_NULL,
		.place = place_view(&h->place),
		.dora_internal = (uint8_t)hold_in_dora(h),
	};
	memcpy(f.u.hold.waiters, h->waiters, sizeof(h->waiters));
	model_say(m, n, h->open_end ? end : h->hi_ns, &f);
}

void gil_record(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	switch ((enum dp_record_type)r->h.type) {
	case DP_REC_GIL_LOOK:
		look(m, n, r);
		break;
	case DP_REC_GIL_WAIT_BEGIN:
		wait_begin(n, r);
		break;
	case DP_REC_GIL_WAIT_END:
		wait_end(m, n, r);
		break;
	case DP_REC_GIL_RELEASE:
	case DP_REC_GIL_EDGE_HOLD:
		released(m, n, r);
		break;
	case DP_REC_GIL_OFFCPU:
		off_cpu(m, n, r);
		break;
	case DP_REC_GIL_RUN:
		run(m, n, r);
		break;
	default:
		break;
	}
}

/* What a later stack no longer shows of the same hold (the library, once it runs) is kept. */
static void copy_place(struct place *p, const struct dp_rec_stack *s)
{
	struct place was = *p;

	memset(p, 0, sizeof(*p));
	p->known = 1;
	memcpy(p->thread, s->comm, sizeof(p->thread));
	memcpy(p->library, s->library, sizeof(p->library));
	p->dora = strncmp(s->library, "dora", 4) == 0;
	if (s->frame_count) {
		memcpy(p->function, s->frames[0].function, sizeof(p->function));
		memcpy(p->file, s->frames[0].file, sizeof(p->file));
		p->line = s->frames[0].line;
	}
	if (was.known && was.library[0] && was.line == p->line &&
	    strcmp(was.function, p->function) == 0 &&
	    (!p->library[0] || (was.dora && strncmp(p->library, "lib", 3) == 0))) {
		memcpy(p->library, was.library, sizeof(p->library));
		p->dora = was.dora;
	}
}

/* futex(2) on x86-64 and arm64. */
uint64_t sleep_end(const struct dp_rec_stack *s, uint64_t since_ns)
{
	uint64_t begin = s->asleep_since_ns;

	if (s->state != 'S' || !begin || begin > since_ns + SLEEP_FIRST_NS ||
	    since_ns > begin + SLEEP_FIRST_NS)
		return 0;
	if (s->sleep_until_ns)
		return s->sleep_until_ns;
	return s->sleep_ns && s->sleep_ns < UINT64_MAX - begin ? begin + s->sleep_ns : 0;
}

static int is_futex(int32_t nr)
{
	return nr == 202 || nr == 98;
}

static uint8_t activity_of(const struct dp_rec_stack *s)
{
	if (s->state == 'D')
		return DP_ACTIVITY_DISK_SLEEP;
	if (s->state == 'R')
		return DP_ACTIVITY_ON_CPU;
	if (s->state == 'S' && s->syscall_nr >= 0)
		return DP_ACTIVITY_SYSCALL;
	return DP_ACTIVITY_UNKNOWN;
}

/* The majority vote of Boyer and Moore; of two places seen as often the earlier one stays. */
static void vote_place(struct hold *h)
{
	const struct place *p = &h->place;
	int same = h->most.known && h->most.line == p->line &&
		   strcmp(h->most.function, p->function) == 0 && strcmp(h->most.file, p->file) == 0;

	if (!p->function[0])
		return;
	if (!same && h->most_votes) {
		h->most_votes--;
		return;
	}
	h->most = *p;
	h->most_votes++;
}

void gil_stack(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	const struct dp_rec_stack *s = &r->u.stack;

	(void)m;
	for (int i = 0; i < DP_MAX_GILS; i++) {
		struct gil *g = &n->gils[i];
		struct hold *h = &g->cur;

		if (h->tid == r->h.tid && h->stack_state >= 1) {
			if (s->status == 0 || s->frame_count) {
				copy_place(&h->place, s);
				vote_place(h);
				if (s->library[0] && h->stacks < UINT16_MAX) {
					h->stacks++;
					if (strncmp(s->library, "dora", 4) == 0)
						h->dora_stacks++;
				}
				h->syscall_nr = s->syscall_nr;
				h->activity = activity_of(s);
				h->sleep_end_ns = sleep_end(s, hold_start(h));
				h->lock_wait = is_futex(s->syscall_nr) && !s->has_gil_wait &&
					       s->wait_forever;
			} else if (!h->place.thread[0]) {
				memcpy(h->place.thread, s->comm, sizeof(h->place.thread));
			}
			h->stack_state = 2;
		}
		for (uint32_t j = 0; j < g->closing_count; j++) {
			h = &g->closing[j];
			/* Asked while it was held, answered just after: only the name is safe. */
			if (h->tid == r->h.tid && h->stack_state == 1) {
				memcpy(h->place.thread, s->comm, sizeof(h->place.thread));
				h->stack_state = 2;
			}
		}
	}
}

void gil_source(struct dp_model *m, struct node *n, const struct dp_record *r)
{
	struct edge *e = &n->edge;

	if (r->u.source.source != DP_SOURCE_EDGE)
		return;
	e->asked = 0;
	e->armed = r->u.source.on;
	e->failed = r->u.source.error != 0;
	if (e->armed) {
		e->armed_ns = r->h.t_ns;
		e->useful_ns = m->now;
		e->rate_ns = m->now;
		e->rate_count = 0;
		if (!e->keep_ns)
			e->keep_ns = KEEP_FIRST_NS;
	} else {
		e->armed_ns = 0;
		e->detached_ns = m->now + DETACH_NS;
		if (r->u.source.error)
			e->retry_ns = m->now + BACKOFF_MAX_NS;
	}
}

static void ask_edge(struct dp_model *m, struct node *n, int arm)
{
	struct dp_request q = {.type = arm ? DP_REQ_ARM_EDGE : DP_REQ_DISARM_EDGE, .pid = n->pid};

	n->edge.asked = arm ? 1 : 2;
	model_ask(m, &q);
}

/*
 * Arming costs every release of this process some microseconds, so it is bounded: by the rate that
 * the governor allows, and by time without a candidate. A process that keeps making false
 * candidates cheaply stays armed, which refutes them for good; a dear one is left alone for a time
 * that doubles, a quarter of it when the candidate's bytecode stands still (`stuck`).
 */
static void govern_edge(struct dp_model *m, struct node *n, uint64_t age, int stuck)
{
	struct edge *e = &n->edge;
	int candidate = age >= (m->now < e->detached_ns ? STALL_NS : ARM_NS);
	int exact = m->options.exact &&
		    (m->options.exact_until_ns == 0 || m->now < m->options.exact_until_ns);

	if (e->refused || e->asked || n->facts.gil_count == 0)
		return;
	if (!e->armed) {
		uint64_t retry_ns = e->retry_ns;

		if (stuck && e->often_ns && retry_ns > e->often_ns + e->backoff_ns / 4)
			retry_ns = e->often_ns + e->backoff_ns / 4;
		if ((candidate || exact) && m->now >= retry_ns)
			ask_edge(m, n, 1);
		return;
	}
	if (candidate)
		e->useful_ns = m->now;
	if (m->now - e->rate_ns >= 100 * MS && m->options.max_edge_rate && !exact) {
		uint64_t allowed = m->options.max_edge_rate * (m->now - e->rate_ns) / SEC;

		if (e->rate_count > allowed && e->armed_ns && m->now - e->armed_ns >= 100 * MS) {
			e->backoff_ns = e->backoff_ns ? e->backoff_ns * 2 : BACKOFF_FIRST_NS;
			if (e->backoff_ns > BACKOFF_MAX_NS)
				e->backoff_ns = BACKOFF_MAX_NS;
			e->often_ns = m->now;
			e->retry_ns = m->now + e->backoff_ns;
			ask_edge(m, n, 0);
			return;
		}
		/* Seen to be cheap for long enough: what was is forgotten. */
		if (e->armed_ns && m->now - e->armed_ns >= SEC && !releases_often(n, m->now))
			e->backoff_ns = e->often_ns = 0;
	}
	if (!exact && m->now - e->useful_ns > e->keep_ns) {
		/* Was it for nothing? Then the next time it stays longer. */
		e->keep_ns = e->keep_ns * 2 > KEEP_MAX_NS ? KEEP_MAX_NS : e->keep_ns * 2;
		ask_edge(m, n, 0);
	}
}

static void ask_stack(struct dp_model *m, struct node *n, struct hold *h)
{
	struct dp_request q = {.type = DP_REQ_READ_STACK, .pid = n->pid, .tid = h->tid};

	h->stack_asked_ns = m->now;
	if (h->stack_state == 0)
		h->stack_state = 1;
	model_ask(m, &q);
}

void gil_tick(struct dp_model *m, struct node *n)
{
	uint64_t oldest = 0;
	int stuck = 0;

	for (unsigned int i = 0; i < DP_MAX_GILS; i++) {
		struct gil *g = &n->gils[i];
		struct hold *h = &g->cur;
		uint32_t done = 0;

		while (done < g->closing_count &&
		       m->now - g->closing[done].close_ns >= CLOSING_NS) {
			finish(m, n, i, &g->closing[done]);
			done++;
		}
		if (done) {
			g->closing_count -= done;
			memmove(&g->closing[0], &g->closing[done],
				g->closing_count * sizeof(g->closing[0]));
		}
		if (h->tid == 0)
			continue;

		uint64_t since = h->lo_ns ? h->lo_ns : h->seen_ns;
		uint64_t age = h->last_ns > since ? h->last_ns - since : 0;

		if (i == 0)
			oldest = age;
		if (i == 0 && h->ip && h->last_ns >= h->still_since_ns + STUCK_NS)
			stuck = 1;
		if (age < CANDIDATE_NS)
			continue;
		/* The place of a long hold may change while it runs bytecode: ask again, seldom;
		 * after Stop the guard wants to know what the holder is doing. */
		uint64_t every = n->stop_seen ? 100 * MS : h->native == 1 ? SEC : 200 * MS;

		if (h->stack_state == 0 ||
		    (h->stack_state == 2 && m->now - h->stack_asked_ns >= every))
			ask_stack(m, n, h);
	}
	govern_edge(m, n, oldest, stuck);
}

void gil_loss(struct dp_model *m, uint64_t t_ns)
{
	/* A release may be among what was lost: its absence proves nothing up to here. */
	for (uint32_t i = 0; i < m->node_count; i++)
		for (int j = 0; j < DP_MAX_GILS; j++)
			m->nodes[i].gils[j].trust_ns = t_ns;
}

void gil_thread_exit(struct dp_model *m, struct node *n, uint32_t tid, uint64_t t_ns)
{
	for (unsigned int i = 0; i < DP_MAX_GILS; i++) {
		forget_waiter(&n->gils[i], tid);
		if (n->gils[i].cur.tid == tid)
			close_hold(m, n, i, t_ns);
	}
}

void gil_end(struct dp_model *m, struct node *n, uint64_t t_ns, int probe_ends)
{
	for (unsigned int i = 0; i < DP_MAX_GILS; i++) {
		struct gil *g = &n->gils[i];

		for (uint32_t j = 0; j < g->closing_count; j++)
			finish(m, n, i, &g->closing[j]);
		g->closing_count = 0;
		if (g->cur.tid) {
			struct hold h = g->cur;

			if (probe_ends)
				h.open_end = 1;
			if (hold_until(&h) - hold_start(&h) >= m->options.hold_threshold_ns)
				n->hold_unfinished = 1;
			h.hi_ns = t_ns;
			finish(m, n, i, &h);
			memset(&g->cur, 0, sizeof(g->cur));
		}
		g->waiter_count = 0;
	}
}
