// SPDX-License-Identifier: MIT
/*
 * One look at a GIL, ten to a hundred times a second for each node, so it is counted in system
 * calls: one while the GIL is free or the same thread holds it in the same frame, and one more for each stretch of
 * pages of which is asked whether they are in memory.
 */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "python/internal.h"

#define ROUNDS 3 /* 3.11 and 3.12 need it: thread state, then cframe, then frame */

struct gil_words {
	uint64_t interval, last_holder;
	int32_t locked;
	uint32_t pad;
	uint64_t switch_number;
};

_Static_assert(sizeof(struct gil_words) == 32, "the front of struct _gil_runtime_state");

/* What one gather brings; the later parts follow pointers that an earlier look found. */
struct view {
	struct gil_words gil, again; /* before and behind the thread state */
	uint8_t tstate[DP_FIELD_MAX + 8];
	uint32_t drop_request, tid;
	uint64_t frame, ip;
	bool has_tstate, has_again, has_drop_request, has_tid, has_frame, has_ip;
};

static uint64_t field(const struct view *v, uint32_t offset)
{
	uint64_t w;

	memcpy(&w, v->tstate + offset, sizeof(w));
	return w;
}

static size_t tstate_extent(const struct dp_layout *l)
{
	const uint32_t used[] = {l->ts_interp,    l->ts_frame,     l->ts_cframe,
				 l->ts_native_id, l->ts_thread_id, l->ts_eval_breaker};
	uint32_t end = 0;

	for (size_t i = 0; i < DP_COUNT_OF(used); i++)
		if (used[i] != DP_NO_OFFSET && used[i] + 8 > end)
			end = used[i] + 8;
	return end;
}

/* Reads these spans, of a copy only what is in memory: as dp_remote_gather(), or -ENODATA. */
static int gather_spans(const struct dp_py *py, const struct dp_span *span, unsigned int n,
			struct dp_pages *known)
{
	if (py->pagemap >= 0 && !dp_remote_resident(py->pagemap, span, n, known))
		return -ENODATA;
	return dp_remote_gather(py->pid, span, n);
}

/* Likely pointers last: a gather stops at the first that has become unreadable. */
static int gather(const struct dp_py *py, const struct dp_gil *g, struct view *v,
		  struct dp_pages *known)
{
	const struct dp_layout *l = &py->layout;
	struct dp_span span[7];
	bool *has[7];
	unsigned int n = 0;
	bool gil_read = false;
	int rc;

	memset(v, 0, offsetof(struct view, tstate));
	v->has_tstate = v->has_again = v->has_drop_request = v->has_tid = v->has_frame = v->has_ip =
		false;
	has[n] = &gil_read;
	span[n++] = (struct dp_span){g->site.addr + l->gil_interval, &v->gil, sizeof(v->gil)};
	if (g->drop_request != 0) {
		has[n] = &v->has_drop_request;
		span[n++] = (struct dp_span){g->drop_request, &v->drop_request,
					     sizeof(v->drop_request)};
	}
	has[n] = &v->has_tstate;
	span[n++] = (struct dp_span){g->tstate, v->tstate, tstate_extent(l)};
	has[n] = &v->has_again;
	span[n++] = (struct dp_span){g->site.addr + l->gil_interval, &v->again, sizeof(v->again)};
	if (l->ts_native_id == DP_NO_OFFSET && g->pthread != 0 &&
	    py->off_pthread_tid != DP_NO_OFFSET) {
		has[n] = &v->has_tid;
		span[n++] =
			(struct dp_span){g->pthread + py->off_pthread_tid, &v->tid, sizeof(v->tid)};
	}
	if (l->ts_cframe != DP_NO_OFFSET && g->cframe != 0) {
		has[n] = &v->has_frame;
		span[n++] =
			(struct dp_span){g->cframe + l->cframe_frame, &v->frame, sizeof(v->frame)};
	}
	v->ip = 0;
	if (g->frame != 0) {
		has[n] = &v->has_ip;
		if (l->fr_ip != DP_NO_OFFSET)
			span[n++] = (struct dp_span){g->frame + l->fr_ip, &v->ip, 8};
		else
			span[n++] = (struct dp_span){g->frame + l->fr_lasti, &v->ip, 4};
	}
	rc = gather_spans(py, span, n, known);
	if (rc < 0)
		return rc;
	for (int i = 0; i < rc && i < (int)n; i++)
		*has[i] = true;
	return gil_read ? 0 : -EFAULT;
}

/* Follows the thread state one step further; true when all that was gathered belongs together. */
static bool settle(const struct dp_py *py, struct dp_gil *g, struct view *v)
{
	const struct dp_layout *l = &py->layout;
	bool same = true;
	uint64_t pthread, cframe, frame;

	/*
	 * What was gathered is the state of another thread than the holder: not to be used. take_gil sets locked before
	 * last_holder, so the holder may be the one before: what is reported was seen twice.
	 */
	if (v->gil.last_holder != g->tstate || !v->has_tstate || !v->has_again ||
	    v->again.locked != 1 || v->again.last_holder != g->tstate) {
		g->tstate = v->has_again ? v->again.last_holder : v->gil.last_holder;
		v->has_tstate = false;
		return false;
	}
	if (l->ts_native_id == DP_NO_OFFSET) {
		pthread = field(v, l->ts_thread_id);
		same = pthread == g->pthread;
		v->has_tid &= same;
		g->pthread = pthread;
	}
	if (l->ts_cframe != DP_NO_OFFSET) {
		cframe = field(v, l->ts_cframe);
		if (cframe != g->cframe) {
			g->cframe = cframe;
			return false;
		}
		frame = v->has_frame ? v->frame : 0;
	} else {
		frame = field(v, l->ts_frame);
	}
	same = same && frame == g->frame;
	g->frame = frame;
	return same;
}

static uint32_t holder_tid(struct dp_py *py, const struct view *v)
{
	if (py->layout.ts_native_id != DP_NO_OFFSET) {
		uint64_t tid = field(v, py->layout.ts_native_id);

		return tid <= INT32_MAX ? dp_tids_outer(&py->tids, (uint32_t)tid) : 0;
	}
	return v->has_tid ? dp_tids_outer(&py->tids, v->tid) : 0;
}

static uint8_t drop_request(const struct dp_py *py, const struct dp_gil *g, const struct view *v)
{
	const struct dp_layout *l = &py->layout;

	if (g->drop_request == 0)
		return l->ts_eval_breaker == DP_NO_OFFSET ? 2 : field(v, l->ts_eval_breaker) & 1;
	/* A holder in a subinterpreter that shares the GIL is asked at its own interpreter. */
	if (!v->has_drop_request ||
	    (l->rt_drop_request == DP_NO_OFFSET && field(v, l->ts_interp) != g->interp))
		return 2;
	return v->drop_request != 0;
}

/* The GIL alone, which leads to the rest. 0 with its words in `v`. */
static int front(const struct dp_py *py, const struct dp_gil *g, struct view *v,
		 struct dp_pages *known)
{
	const struct dp_span span = {g->site.addr + py->layout.gil_interval, &v->gil,
				     sizeof(v->gil)};
	int rc = gather_spans(py, &span, 1, known);

	if (rc == 1)
		return 0;
	return rc < 0 ? rc : -EFAULT;
}

/*
 * All that belongs to the holder, and whether it belongs together in *ret_settled. Where the last look found the GIL held, it is
 * read at once with what that one found of the holder; else, and where that is not in memory any more, the
 * GIL comes first. 0 with what was read in `v`, of which nothing but the GIL's words counts while it is not locked.
 */
static int read_all(const struct dp_py *py, struct dp_gil *g, struct view *v, bool *ret_settled)
{
	struct dp_pages known = {0};
	int rc = g->was_held ? gather(py, g, v, &known) : -ENODATA;

	*ret_settled = false;
	if (rc < 0) {
		rc = front(py, g, v, &known);
		if (rc == 0 && v->gil.locked == 1)
			g->tstate = v->gil.last_holder;
	} else if (v->gil.locked == 1) {
		*ret_settled = settle(py, g, v);
	}
	for (int i = 0; rc == 0 && v->gil.locked == 1 && i < ROUNDS && !*ret_settled; i++) {
		rc = gather(py, g, v, &known);
		if (rc == 0 && v->gil.locked == 1)
			*ret_settled = settle(py, g, v);
	}
	return rc;
}

int dp_py_look(struct dp_py *py, unsigned int index, struct dp_rec_look *ret, uint32_t *ret_tid)
{
	struct dp_gil *g;
	struct view v;
	bool settled;
	int rc;

	if (index >= py->gil_count)
		return -EINVAL;
	g = &py->gil[index];
	ret->before_ns = dp_now();
	ret->gil = (uint8_t)index;
	ret->locked = 2;
	ret->drop_request = 2;
	ret->switch_number = ret->frame = ret->ip = 0;
	*ret_tid = 0;
	rc = read_all(py, g, &v, &settled);
	g->was_held = rc == 0 && v.gil.locked == 1;
	if (rc < 0)
		return rc;
	ret->switch_number = v.gil.switch_number;
	ret->locked = v.gil.locked == 1;
	if (!ret->locked) {
		ret->drop_request = 0;
		return 0;
	}
	/* The GIL changes hands faster than it can be read: held, by nobody that can be named. */
	if (!v.has_tstate)
		return 0;
	*ret_tid = holder_tid(py, &v);
	ret->drop_request = drop_request(py, g, &v);
	if (settled) {
		ret->frame = g->frame;
		ret->ip = v.has_ip ? v.ip : 0;
	}
	return 0;
}
