// SPDX-License-Identifier: MIT
/* The file system of a process' shared memory; see targets.h. */
#include "sense/watched.h"

#include <stdio.h>
#include <sys/statvfs.h>

#include "base/clock.h"

static void emit(struct dp_targets *t, const struct target *x, uint64_t t_ns)
{
	struct dp_record r;

	dp_record_init(&r, DP_REC_SHARED_MEMORY, t_ns, (uint32_t)x->pid, 0);
	r.u.memory.total = x->shm_total;
	r.u.memory.free = x->shm_free;
	target_emit(t, &r);
}

/* Looks at /dev/shm in the process' own mount namespace; false: not to be had, and what was known stays. */
static bool look(struct target *x)
{
	char path[64];
	struct statvfs v;

	snprintf(path, sizeof(path), "/proc/%d/root/dev/shm", (int)x->pid);
	if (statvfs(path, &v) || !v.f_blocks)
		return false;
	x->shm_total = (uint64_t)v.f_blocks * v.f_frsize;
	x->shm_free = (uint64_t)v.f_bavail * v.f_frsize;
	return true;
}

void target_memory(struct dp_targets *t, struct target *x)
{
	bool was_low = x->shm_low;

	if (!look(x))
		return;
	x->shm_low = x->shm_free < x->shm_total / 10;
	if (x->shm_low || was_low)
		emit(t, x, dp_now());
}

void dp_targets_no_memory(struct dp_targets *t, pid_t pid, uint64_t t_ns)
{
	struct target *x = target_find(t, pid);

	/* Its own view has gone with it in most cases: then the last look is the newest there is. */
	if (x && (look(x) || x->shm_total))
		emit(t, x, t_ns);
}
