// SPDX-License-Identifier: MIT
/* Does the memory of the process look as its version's should? */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "python/internal.h"

#define VALIDATE_TRIES  20
#define INTERVAL_MAX_US 3600000000ull /* sys.setswitchinterval(3600) */
#define PTHREAD_SEARCH  1024

/*
 * Up to 3.10 a thread state knows only pthread_self(). In glibc that is struct pthread, with the
 * kernel's tid at 720 on x86_64 (704 bytes of tcbhead_t, 16 of list) and 208 on aarch64 (24 words
 * of padding, 16 of list); musl has it at 48 on x86_64. Believed when it leads to a thread of this
 * process; else the first kilobyte is searched for the main thread's pid.
 */
static void calibrate(struct dp_py *py, uint64_t pthread)
{
#ifdef __x86_64__
	static const uint32_t usual[] = {720, 48, 56};
#else
	static const uint32_t usual[] = {208, 48, 56};
#endif
	uint8_t block[PTHREAD_SEARCH];
	uint32_t pid = 0, tid;
	unsigned int levels;
	ssize_t n = dp_remote_read_some(py->pid, pthread, block, sizeof(block));

	py->off_pthread_tid = DP_NO_OFFSET;
	for (size_t i = 0; i < DP_COUNT_OF(usual); i++) {
		if (n < (ssize_t)usual[i] + 4)
			continue;
		memcpy(&tid, block + usual[i], sizeof(tid));
		/* 1 may be any counter: in a container main is 1, so only glibc's place counts. */
		if ((tid > 1 || i == 0) && dp_tids_outer(&py->tids, tid) != 0) {
			py->off_pthread_tid = usual[i];
			return;
		}
	}
	if (dp_task_inner_tid(py->pid, py->pid, &pid, &levels) < 0 || pid <= 1)
		return;
	for (uint32_t at = 0; (ssize_t)at + 4 <= n; at += 4) {
		memcpy(&tid, block + at, sizeof(tid));
		if (tid == pid) {
			py->off_pthread_tid = at;
			return;
		}
	}
}

/* Walks to the thread state of Python's main thread, or the oldest one. 0 or -errno. */
static int find_main_tstate(const struct dp_py *py, uint64_t interp, uint64_t *ret_tstate,
			    uint64_t *ret_pthread)
{
	const struct dp_layout *l = &py->layout;
	uint64_t main_thread = 0, at = 0, pthread = 0, owner, prev, last = 0, last_pthread = 0;
	int rc = dp_remote_u64(py->pid, py->loc.runtime + l->rt_main_thread, &main_thread);

	if (rc == 0)
		rc = dp_remote_u64(py->pid, interp + l->is_threads_head, &at);
	for (int i = 0; rc == 0 && at != 0 && i < DP_TSTATES_MAX; i++) {
		rc = dp_remote_u64(py->pid, at + l->ts_thread_id, &pthread);
		if (rc == 0)
			rc = dp_remote_u64(py->pid, at + l->ts_interp, &owner);
		if (rc == 0)
			rc = dp_remote_u64(py->pid, at + l->ts_prev, &prev);
		if (rc != 0)
			return rc;
		if (owner != interp || prev != last)
			return -EBADMSG;
		last = at;
		last_pthread = pthread;
		if (pthread == main_thread)
			break;
		rc = dp_remote_u64(py->pid, at + l->ts_next, &at);
	}
	if (rc < 0)
		return rc;
	if (last == 0)
		return -EAGAIN;
	*ret_tstate = last;
	*ret_pthread = last_pthread;
	return 0;
}

/* Everything that must hold for the layout to be the right one. The target runs: tried again. */
static int validate_once(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t interp[DP_INTERPRETERS_MAX], interval, holder, owner, tstate, pthread;
	const struct dp_gil_site *g;
	uint32_t locked;
	int rc, n = dp_py_interpreters(py, interp, DP_INTERPRETERS_MAX);

	if (n <= 0)
		return n == 0 ? -EAGAIN : n;
	rc = dp_py_rescan(py);
	if (rc < 0)
		return rc;
	rc = find_main_tstate(py, interp[0], &tstate, &pthread);
	if (rc != 0)
		return rc;
	if (l->ts_native_id == DP_NO_OFFSET)
		calibrate(py, pthread);
	if (py->gil_count == 0)
		return py->info.gil_enabled ? -EAGAIN : 0;
	g = &py->gil[0].site;
	rc = dp_remote_u64(py->pid, g->addr + l->gil_interval, &interval);
	if (rc == 0)
		rc = dp_remote_u32(py->pid, g->addr + g->off_locked, &locked);
	if (rc == 0)
		rc = dp_remote_u64(py->pid, g->addr + g->off_last_holder, &holder);
	if (rc != 0)
		return rc;
	if (interval == 0)
		return -EAGAIN;
	if (interval > INTERVAL_MAX_US || locked > 1)
		return -EBADMSG;
	/* last_holder of a free GIL may belong to a thread that has ended. */
	if (locked == 0)
		return 0;
	rc = holder == 0 ? -EBADMSG : dp_remote_u64(py->pid, holder + l->ts_interp, &owner);
	if (rc != 0)
		return rc;
	for (int i = 0; i < n; i++)
		if (interp[i] == owner)
			return 0;
	return -EBADMSG;
}

int dp_py_validate(struct dp_py *py, char *why, size_t len)
{
	const struct timespec pause = {.tv_nsec = 500000};
	int rc = 0;

	for (int i = 0; i < VALIDATE_TRIES; i++) {
		rc = validate_once(py);
		if (rc != -EBADMSG && rc != -EFAULT)
			break;
		nanosleep(&pause, NULL);
	}
	if (rc == 0)
		return 0;
	if (rc == -EAGAIN)
		return dp_py_starting(why, len,
				      "its interpreter does not exist yet (or no longer)");
	if (rc == -EPERM || rc == -ESRCH)
		return dp_py_failed(rc, why, len, "");
	if (dp_py_age_ms(py->start_time) < DP_STARTING_MS)
		return dp_py_starting(why, len, "its state is not consistent yet");
	snprintf(why, len,
		 "CPython %s: its memory does not look as this version's should "
		 "(a changed build?)",
		 py->info.version);
	return -ENOTSUP;
}
