// SPDX-License-Identifier: MIT
/* What a thread of a Python process is doing: its Python frames and its system call. */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "python/internal.h"

#define WALKS       8
#define MAIN_THREAD "MainThread" /* threading's own name for it, imported or not */

/* tid of a thread state, as the target has it; 0 unknown. */
static uint32_t inner_tid(const struct dp_py *py, const uint8_t *tstate)
{
	const struct dp_layout *l = &py->layout;
	uint64_t v;
	uint32_t tid;

	if (l->ts_native_id != DP_NO_OFFSET) {
		memcpy(&v, tstate + l->ts_native_id, sizeof(v));
		return v <= INT32_MAX ? (uint32_t)v : 0;
	}
	memcpy(&v, tstate + l->ts_thread_id, sizeof(v));
	if (py->off_pthread_tid == DP_NO_OFFSET ||
	    dp_remote_u32(py->pid, v + py->off_pthread_tid, &tid) < 0)
		return 0;
	return tid;
}

static uint64_t word(const uint8_t *block, uint32_t offset)
{
	uint64_t v;

	memcpy(&v, block + offset, sizeof(v));
	return v;
}

static size_t block_len(const struct dp_layout *l)
{
	const uint32_t used[] = {l->ts_prev, l->ts_next, l->ts_interp, l->ts_thread_id,
				 l->ts_native_id};
	uint32_t end = 0;

	for (size_t i = 0; i < DP_COUNT_OF(used); i++)
		if (used[i] != DP_NO_OFFSET && used[i] + 8 > end)
			end = used[i] + 8;
	return end;
}

/*
 * The stack asked for is mostly a holder's, whose thread state its GIL names. A thread that runs a subinterpreter has a
 * state in each of the two: the one with a GIL is what it does.
 */
static bool find_holder(const struct dp_py *py, uint32_t inner, uint8_t *block, uint64_t *ret)
{
	const struct dp_layout *l = &py->layout;

	for (unsigned int i = 0; i < py->gil_count; i++) {
		const struct dp_gil *g = &py->gil[i];
		uint64_t holder;
		uint32_t locked;
		struct dp_span span[] = {
			{g->site.addr + l->gil_last_holder, &holder, sizeof(holder)},
			{g->site.addr + l->gil_locked, &locked, sizeof(locked)},
		};

		if (dp_remote_gather(py->pid, span, 2) == 2 && locked == 1 && holder != 0 &&
		    dp_remote_read(py->pid, holder, block, block_len(l)) == 0 &&
		    inner_tid(py, block) == inner) {
			*ret = holder;
			return true;
		}
	}
	return false;
}

/*
 * Walks one interpreter's list. 1 found; 0 not in it; -EAGAIN the list changed under the walk: a
 * thread state that was freed or is being made does not point back to where the walk came from.
 *
 * Two may have the same tid for a moment: a new thread's state is made by the thread that starts
 * it, under its own id (_PyThreadState_Prealloc). The new one has no frame and comes first.
 */
static int walk_list(const struct dp_py *py, uint64_t interp, uint32_t inner, unsigned int *budget,
		     uint64_t *ret)
{
	const struct dp_layout *l = &py->layout;
	uint8_t block[DP_FIELD_MAX + 8];
	uint64_t at, from = 0, found = 0, frame, ip;
	int rc = dp_remote_u64(py->pid, interp + l->is_threads_head, &at);

	while (rc == 0 && at != 0 && *budget > 0) {
		--*budget;
		rc = dp_remote_read(py->pid, at, block, block_len(l));
		if (rc < 0)
			break;
		if (word(block, l->ts_prev) != from || word(block, l->ts_interp) != interp)
			return -EAGAIN;
		if (inner_tid(py, block) == inner) {
			found = at;
			if (dp_frames_top(py, at, &frame, &ip) == 0 && frame != 0)
				break;
		}
		from = at;
		at = word(block, l->ts_next);
	}
	if (rc < 0)
		return rc == -EFAULT ? -EAGAIN : rc;
	if (found == 0)
		return 0;
	*ret = found;
	return 1;
}

/* 0 and *ret, which is 0 when no thread state has that tid, and its pthread_self(); -errno. */
static int find_tstate(const struct dp_py *py, uint32_t inner, uint64_t *ret, uint8_t *ret_is_main,
		       uint64_t *ret_ident)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], tstate = 0, main_thread = 0;
	uint8_t block[DP_FIELD_MAX + 8];
	unsigned int budget = DP_TSTATES_MAX;
	int rc = 0, n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	if (n <= 0)
		return n;
	if (!find_holder(py, inner, block, &tstate)) {
		for (int walk = 0; walk < WALKS; walk++) {
			rc = 0;
			for (int i = 0; rc == 0 && i < n; i++)
				rc = walk_list(py, interp[i], inner, &budget, &tstate);
			/* "In no list" is believed when two walks say so. */
			if (rc == 1 || (rc == 0 && walk > 0) || (rc < 0 && rc != -EAGAIN))
				break;
		}
		if (rc < 0)
			return rc == -EAGAIN ? -EFAULT : rc;
	}
	if (tstate != 0) {
		rc = dp_remote_read(py->pid, tstate, block, block_len(l));
		if (rc == 0)
			rc = dp_remote_u64(py->pid, py->loc.runtime + l->rt_main_thread,
					   &main_thread);
		if (rc < 0)
			return rc;
		*ret_ident = word(block, l->ts_thread_id);
		*ret_is_main = word(block, l->ts_interp) == interp[0] &&
			       word(block, l->ts_thread_id) == main_thread;
	}
	*ret = tstate;
	return 0;
}

/* The collector runs in the thread that holds the GIL, and only there while its flag is set. */
static bool is_collecting(const struct dp_py *py, uint64_t tstate)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp, holder = 0, at;
	uint32_t locked = 0, flag = 0;

	if (py->info.free_threaded || py->gil_count == 0 ||
	    dp_remote_u64(py->pid, tstate + l->ts_interp, &interp) < 0)
		return false;
	at = l->rt_collecting != DP_NO_OFFSET ? py->loc.runtime + l->rt_collecting
					      : interp + l->is_collecting;
	if (l->rt_collecting == DP_NO_OFFSET && l->is_collecting == DP_NO_OFFSET)
		return false;
	return dp_remote_u32(py->pid, at, &flag) == 0 && flag == 1 &&
	       dp_remote_u64(py->pid, py->gil[0].site.addr + l->gil_last_holder, &holder) == 0 &&
	       dp_remote_u32(py->pid, py->gil[0].site.addr + l->gil_locked, &locked) == 0 &&
	       locked == 1 && holder == tstate;
}

int dp_py_stack(struct dp_py *py, pid_t tid, struct dp_rec_stack *ret)
{
	struct dp_rec_stack out = {.syscall_nr = -2};
	unsigned int levels;
	uint64_t tstate = 0, ident = 0;
	uint32_t inner;
	int rc, native;

	native = dp_native_fill(py->pid, tid, &py->maps, py, &out);
	rc = dp_task_inner_tid(py->pid, tid, &inner, &levels);
	if (rc == 0)
		rc = find_tstate(py, inner, &tstate, &out.is_main, &ident);
	if (rc == 0 && tstate != 0)
		rc = dp_frames_read(py, tstate, &out);
	/* A thread that Python's threading does not know has its process' name alone. */
	if (tstate != 0 && !dp_thread_name(py, ident, out.thread, sizeof(out.thread)) &&
	    out.is_main)
		memcpy(out.thread, MAIN_THREAD, sizeof(MAIN_THREAD));
	out.collecting = tstate != 0 && is_collecting(py, tstate);
	/* A system call that cannot be read leaves syscall_nr at -2: the frames still count. */
	if (rc == 0 && (native == -ESRCH || (native < 0 && out.frame_count == 0)))
		rc = native;
	out.status = rc;
	*ret = out;
	return rc;
}

unsigned int dp_py_threads(struct dp_py *py, pid_t *ret, unsigned int cap)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], at;
	uint8_t block[DP_FIELD_MAX + 8];
	unsigned int count = 0, budget = DP_TSTATES_MAX;
	int n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	for (int i = 0; i < n; i++) {
		if (dp_remote_u64(py->pid, interp[i] + l->is_threads_head, &at) < 0)
			continue;
		while (at != 0 && count < cap && budget-- > 0 &&
		       dp_remote_read(py->pid, at, block, block_len(l)) == 0 &&
		       word(block, l->ts_interp) == interp[i]) {
			uint32_t tid = dp_tids_outer(&py->tids, inner_tid(py, block));

			if (tid != 0)
				ret[count++] = (pid_t)tid;
			at = word(block, l->ts_next);
		}
	}
	return count;
}
