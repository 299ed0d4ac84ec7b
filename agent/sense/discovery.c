// SPDX-License-Identifier: MIT
/* Who is wanted, and taking them up; see watched.h. */
#include "sense/watched.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/task.h"
#include "dora/stop_command.h"
#include "sense/procfs.h"

static int is_named(const struct dp_wanted *w, pid_t pid)
{
	for (unsigned int i = 0; i < w->pids.count; i++)
		if (w->pids.pid[i] == pid)
			return 1;
	return 0;
}

/* Can processes that nobody named be wanted, now or later? */
int wanted_others(const struct dp_wanted *w)
{
	return w->all || w->nodes.count || w->dataflows.count;
}

/* Does the user's selection want this process? */
static int is_selected(const struct dp_targets *t, pid_t pid, const struct dp_node_config *c)
{
	const struct dp_wanted *w = &t->wanted;

	if (is_named(w, pid))
		return 1;
	if (!c)
		return 0;
	if (w->all)
		return 1;
	for (unsigned int i = 0; i < w->nodes.count; i++)
		if (strcmp(w->nodes.name[i], c->node) == 0)
			return 1;
	for (unsigned int i = 0; i < w->dataflows.count; i++)
		if (strcmp(w->dataflows.name[i], c->dataflow) == 0 ||
		    (c->dataflow_name[0] && strcmp(w->dataflows.name[i], c->dataflow_name) == 0))
			return 1;
	return 0;
}

/* Says why a process that was named cannot be watched; -ENOENT and others have no sentence here. */
static int refused(struct dp_targets *t, pid_t pid, int err)
{
	if (!is_named(&t->wanted, pid))
		return err;
	target_say(t, pid,
		   err == -ESRCH ? "no such process; `dora-probe list` shows the nodes"
				 : "may not be read; run as root (sudo)");
	return err;
}

/* A slot for the process, with what its configuration says (NULL: it is no node). NULL: no room. */
static struct target *add(struct dp_targets *t, pid_t pid, const struct dp_node_config *config,
			  uint64_t start_time)
{
	struct target *x = NULL;

	for (int i = 0; i < DP_MAX_TARGETS && !x; i++)
		if (!t->at[i].pid)
			x = &t->at[i];
	if (!x) {
		target_emit_loss(t, pid, DP_LOSS_NODE_LIMIT, 1);
		return NULL;
	}
	memset(x, 0, sizeof(*x));
	x->pid = pid;
	x->start_time = start_time;
	x->named = (uint8_t)is_named(&t->wanted, pid);
	x->since_ns = dp_now();
	if (config) {
		x->config = *config;
		x->is_dora = 1;
		t->restarts |= config->restarts;
		if (config->transport != DP_TRANSPORT_SHMEM)
			x->heir_of = dp_proc_node_ancestor("/proc", pid, config);
	}
	t->alive++;
	return x;
}

int target_take(struct dp_targets *t, pid_t pid, int running)
{
	struct dp_node_config config;
	struct dp_task_stat stat;
	struct target *x;
	int err;

	if (target_find(t, pid))
		return 0;
	if (!is_named(&t->wanted, pid) && !wanted_others(&t->wanted))
		return 1;
	err = dp_node_config_read("/proc", pid, &config);
	if (!is_selected(t, pid, err ? NULL : &config))
		return 1;
	if (err && err != -ENOENT && err != -EBADMSG)
		return refused(t, pid, err);
	if (dp_task_stat("/proc", pid, 0, &stat) < 0)
		return refused(t, pid, -ESRCH);
	x = add(t, pid, err ? NULL : &config, stat.start_time);
	if (!x)
		return -ENOSPC;
	if (running) {
		/* Facts first, so that the records of its connections find the node. */
		target_refresh_facts(x);
		target_tell_kernel(t, x);
		if (x->is_dora)
			target_mark_open(t, x);
		err = target_settle(t, x, x->since_ns);
		if (err > 0)
			target_tell_open(t, x);
		if (err == 1 && x->announced)
			target_take_stock(t, x, x->since_ns);
		return err < 0 ? err : 0;
	}
	target_tell_kernel(t, x); /* in time for its connect */
	x->next_try_ns = x->since_ns + RETRY_NS;
	return 0;
}

static void scan_one(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;

	target_take(t, pid, 1);
}

/* A `dora stop` that began before we came is still there while it waits for the nodes. */
static void stop_under_way(void *ctx, pid_t pid)
{
	struct dp_targets *t = ctx;
	struct dp_record r;

	dp_record_init(&r, DP_REC_DORA_COMMAND, dp_now(), (uint32_t)pid, 0);
	memset(&r.u.command, 0, sizeof(r.u.command));
	if (dp_stop_command_read(NULL, pid, &r.u.command) || !dp_targets_trusts(t, r.u.command.uid))
		return;
	r.u.command.started_ns = dp_proc_started("/proc", pid);
	target_emit(t, &r);
	dp_targets_commanded(t, pid, r.u.command.started_ns);
}

int dp_targets_scan(struct dp_targets *t)
{
	int first = 0;

	for (unsigned int i = 0; i < t->wanted.pids.count; i++) {
		int err = target_take(t, t->wanted.pids.pid[i], 1);

		if (err < 0 && !first)
			first = err;
	}
	if (wanted_others(&t->wanted))
		dp_proc_each("/proc", scan_one, t);
	if (t->alive)
		dp_proc_each("/proc", stop_under_way, t);
	/* A Python that cannot be read is no target, which is not the kernel's fault. */
	if (first == -ENOTSUP)
		first = -ENOENT;
	if (t->alive == 0 && t->wanted.pids.count)
		return first ? first : -ESRCH;
	return (int)t->alive;
}
