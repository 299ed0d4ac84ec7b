// SPDX-License-Identifier: MIT
/* /proc/PID/task/TID: the system call, and the tid in the thread's own PID namespace. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/procfile.h"
#include "base/units.h"
#include "python/internal.h"

#define TASKS_MAX  8192
#define BELIEVE_NS SEC

int dp_task_inner_tid(pid_t pid, pid_t tid, uint32_t *ret_inner, unsigned int *ret_levels)
{
	struct dp_task_status s;
	int rc = dp_task_status("/proc", pid, tid, &s);

	if (rc < 0)
		return rc;
	if (!s.has_inner)
		return -EBADMSG;
	*ret_inner = s.inner_id;
	*ret_levels = s.levels;
	return 0;
}

int dp_task_syscall(pid_t pid, pid_t tid, struct dp_task_syscall *ret)
{
	struct dp_task_syscall s = {.nr = -1};
	char name[40], buf[256];
	ssize_t n;
	long nr;
	int used = 0;

	snprintf(name, sizeof(name), "task/%d/syscall", (int)tid);
	n = dp_procfile_read_pid("/proc", pid, name, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	if (strncmp(buf, "running", 7) == 0) {
		*ret = s;
		return 0;
	}
	if (sscanf(buf, "%ld %n", &nr, &used) != 1 || nr < -1 || nr > 4096)
		return -EBADMSG;
	s.nr = (int32_t)nr;
	if (nr == -1) {
		if (sscanf(buf + used, "%" SCNx64 " %" SCNx64, &s.sp, &s.pc) != 2)
			return -EBADMSG;
	} else if (sscanf(buf + used,
			  "%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
			  " %" SCNx64 " %" SCNx64,
			  &s.arg[0], &s.arg[1], &s.arg[2], &s.arg[3], &s.arg[4], &s.arg[5], &s.sp,
			  &s.pc) != 8) {
		return -EBADMSG;
	}
	*ret = s;
	return 0;
}

struct inner_search {
	pid_t pid;
	uint32_t inner, found;
	unsigned int seen;
};

static int try_tid(void *ctx, int tid)
{
	struct inner_search *s = ctx;
	unsigned int levels;
	uint32_t v;

	if (dp_task_inner_tid(s->pid, tid, &v, &levels) == 0 && v == s->inner)
		s->found = (uint32_t)tid;
	return s->found || ++s->seen == TASKS_MAX;
}

static uint32_t find_inner(pid_t pid, uint32_t inner)
{
	struct inner_search s = {.pid = pid, .inner = inner};

	dp_procfile_numbers("/proc", pid, "task", try_tid, &s);
	return s.found;
}

uint32_t dp_tids_outer(struct dp_tids *t, uint32_t inner)
{
	unsigned int i = inner % DP_TID_CACHE;
	uint64_t now = dp_now();
	uint32_t outer = 0;

	if (inner == 0 || inner > INT32_MAX)
		return 0;
	if (t->slot[i].inner == inner && now - t->slot[i].checked_ns < BELIEVE_NS)
		return t->slot[i].outer;
	if (t->other_ns) {
		outer = find_inner(t->pid, inner);
	} else {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/task/%u", t->pid, inner);
		outer = access(path, F_OK) == 0 ? inner : 0;
	}
	/* A thread that is not there may be about to start: only what was found is kept. */
	if (outer != 0) {
		t->slot[i].inner = inner;
		t->slot[i].outer = outer;
		t->slot[i].checked_ns = now;
	} else if (t->slot[i].inner == inner) {
		t->slot[i].inner = 0;
	}
	return outer;
}
