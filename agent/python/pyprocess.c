// SPDX-License-Identifier: MIT
/* A CPython process: opened, and what the kernel programs are told of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "python/eval_loop.h"
#include "python/internal.h"

static int open_runtime(struct dp_py *py, unsigned int index, char *why, size_t why_len)
{
	int rc = dp_locate(py->pid, &py->maps, dp_py_age_ms(py->start_time), index, &py->loc, why,
			   why_len);

	if (rc < 0)
		return rc;
	py->info.musl = py->loc.musl;
	py->info.gil_enabled = 1;
	snprintf(py->info.implementation, sizeof(py->info.implementation), "cpython");
	rc = dp_py_find_layout(py, why, why_len);
	return rc ? rc : dp_py_validate(py, why, why_len);
}

/*
 * A process can have two runtimes mapped, of which one runs: a program that embeds Python and loads a
 * library with another, a module that is linked against libpython. One without an interpreter may
 * be young, or the one that is not used: the others are tried before it is waited for.
 */
static int open_any(struct dp_py *py, char *why, size_t why_len)
{
	const struct dp_py fresh = *py;
	int first = open_runtime(py, 0, why, why_len);
	char other_why[DP_REASON_MAX];

	for (unsigned int i = 1; first == -EAGAIN && i < DP_RUNTIMES_MAX; i++) {
		struct dp_py other = fresh;
		int rc = open_runtime(&other, i, other_why, sizeof(other_why));

		if (rc == 0) {
			*py = other;
			return 0;
		}
		if (rc == -ENOENT)
			break;
	}
	return first;
}

static void find_bytecode_loop(struct dp_py *py)
{
	struct dp_elf elf;

	if (dp_elf_open(&elf, py->pid, &py->loc.map) < 0)
		return;
	dp_eval_loop_find(&elf, py->eval);
	dp_elf_close(&elf);
}

int dp_py_open(pid_t pid, struct dp_py **ret, char *why, size_t why_len)
{
	struct dp_task_stat stat;
	unsigned int levels = 1;
	struct dp_py *py;
	uint32_t inner;
	int rc;

	if (why_len > 0)
		why[0] = '\0';
	rc = dp_task_stat("/proc", pid, pid, &stat);
	if (rc < 0)
		return dp_py_exited(why, why_len);
	if (dp_task_state_is_dead(stat.state))
		return dp_py_exited(why, why_len);
	py = calloc(1, sizeof(*py));
	if (!py)
		return -ENOMEM;
	py->pid = pid;
	py->start_time = stat.start_time;
	py->tids.pid = pid;
	py->off_pthread_tid = DP_NO_OFFSET;
	py->pagemap = -1;
	if (dp_task_inner_tid(pid, pid, &inner, &levels) == 0)
		py->tids.other_ns = levels > 1;
	rc = dp_maps_read(pid, &py->maps);
	if (rc < 0) {
		rc = dp_py_failed(rc, why, why_len, "its memory map cannot be read");
		goto cleanup;
	}
	if (py->maps.count == 0) {
		snprintf(why, why_len, "a kernel thread or a process that is ending");
		rc = -ENOENT;
		goto cleanup;
	}
	rc = open_any(py, why, why_len);
	if (rc < 0)
		goto cleanup;
	find_bytecode_loop(py);
	if (!py->info.gil_enabled)
		snprintf(why, why_len,
			 "CPython %s, free-threaded, runs without a GIL: nothing can "
			 "be held; PYTHON_GIL=1 turns it on",
			 py->info.version);
	*ret = py;
	py = NULL;
cleanup:
	dp_py_close(py);
	return rc;
}

void dp_py_close(struct dp_py *py)
{
	if (!py)
		return;
	dp_maps_free(&py->maps);
	if (py->pagemap >= 0)
		close(py->pagemap);
	free(py);
}

const struct dp_py_info *dp_py_info(const struct dp_py *py)
{
	return &py->info;
}

int dp_py_fill_target(struct dp_py *py, struct dp_target *target)
{
	struct dp_gil_site sites[DP_MAX_GILS] = {0};
	struct dp_task_stat stat;
	int rc = dp_task_stat("/proc", py->pid, py->pid, &stat);

	if (rc == 0 && (stat.start_time != py->start_time || stat.state == 'Z'))
		rc = -ESRCH;
	if (rc == 0)
		rc = dp_py_rescan(py);
	if (rc < 0)
		return rc;
	for (unsigned int i = 0; i < py->gil_count; i++)
		sites[i] = py->gil[i].site;
	memcpy(target->gils, sites, sizeof(sites));
	target->gil_count = py->gil_count;
	target->has_native_tid = py->layout.ts_native_id != DP_NO_OFFSET;
	target->off_native_tid = target->has_native_tid ? py->layout.ts_native_id : 0;
	target->off_pthread = py->layout.ts_thread_id;
	/* Not calibrated: an offset that faults, so that the tid is unknown rather than wrong. */
	target->off_pthread_tid = target->has_native_tid ? 0 : py->off_pthread_tid;
	target->other_pid_ns = py->tids.other_ns;
	memcpy(target->eval, py->eval, sizeof(target->eval));
	return (int)py->gil_count;
}

int dp_py_signal_pending(struct dp_py *py)
{
	const struct dp_layout *l = &py->layout;
	uint64_t tstate, breaker;
	uint32_t pending;
	int rc;

	if (l->rt_main_tstate != DP_NO_OFFSET) {
		rc = dp_remote_u64(py->pid, py->loc.runtime + l->rt_main_tstate, &tstate);
		if (rc == 0 && tstate == 0)
			return 0;
		if (rc == 0)
			rc = dp_remote_u64(py->pid, tstate + l->ts_eval_breaker, &breaker);
		/* _PY_SIGNALS_PENDING_BIT */
		return rc != 0 ? rc : (int)(breaker >> 1 & 1);
	}
	/* Py_DEBUG moves the field in 3.12 (from 2008 to 18000, as measured there). */
	if (l->rt_signals_pending == DP_NO_OFFSET || (l->minor == 12 && py->loc.debug_build))
		return -ENOTSUP;
	rc = dp_remote_u32(py->pid, py->loc.runtime + l->rt_signals_pending, &pending);
	return rc < 0 ? rc : pending != 0;
}
