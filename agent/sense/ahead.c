// SPDX-License-Identifier: MIT
/*
 * Readers that begin while the kernel checks the programs, which takes longer than to look through a
 * Python: for processes that are wanted and run already; see watched.h.
 */
#include "sense/watched.h"

#include "base/clock.h"
#include "base/task.h"
#include "sense/procfs.h"

static void begin(struct dp_targets *t, pid_t pid)
{
	struct ahead *a = &t->ahead[t->ahead_count];
	char why[DP_REASON_MAX];
	struct dp_task_stat stat;

	if (t->ahead_count == DP_MAX_TARGETS || dp_task_stat("/proc", pid, 0, &stat) < 0)
		return;
	*a = (struct ahead){.pid = pid, .start_time = stat.start_time, .since_ns = dp_now()};
	a->reader = dp_reader_new(pid, &t->patience);
	if (!a->reader)
		return;
	t->ahead_count++;
	dp_reader_open(a->reader, &a->py, why, sizeof(why));
}

static void begin_if_wanted(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;
	struct dp_node_config config;

	if (targets_config(t, pid, &config) == 0 && target_is_selected(t, pid, &config))
		begin(t, pid);
}

void dp_targets_begin(struct dp_targets *t)
{
	uint64_t patience = t->patience.left_ns;

	/* Nobody waits for an answer yet. */
	t->patience.left_ns = 0;
	for (unsigned int i = 0; i < t->wanted.pids.count; i++)
		begin(t, t->wanted.pids.pid[i]);
	if (wanted_others(&t->wanted))
		dp_proc_each("/proc", begin_if_wanted, t);
	t->patience.left_ns = patience;
}

bool ahead_take(struct dp_targets *t, struct target *x)
{
	for (unsigned int i = 0; i < t->ahead_count; i++) {
		struct ahead *a = &t->ahead[i];

		if (a->pid != x->pid || a->start_time != x->start_time || !a->reader)
			continue;
		x->reader = a->reader;
		x->py = a->py;
		/* What it finds was read from then on: another program since is told by its exec. */
		x->read_ns = a->since_ns;
		a->reader = NULL;
		a->py = NULL;
		return true;
	}
	return false;
}

void ahead_free(struct dp_targets *t)
{
	for (unsigned int i = 0; i < t->ahead_count; i++) {
		dp_py_close(t->ahead[i].py);
		dp_reader_free(t->ahead[i].reader);
	}
	t->ahead_count = 0;
}
