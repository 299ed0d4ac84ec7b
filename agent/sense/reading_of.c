// SPDX-License-Identifier: MIT
/* What is read of a target, and by whom: here what is in memory, the rest by a reader; watched.h. */
#include "sense/watched.h"

#include <errno.h>

#include "dora/stop_command.h"
#include "sense/resident.h"

int target_look(struct target *x, unsigned int gil, struct dp_rec_look *ret, uint32_t *ret_tid)
{
	int err = dp_py_look(x->py, gil, ret, ret_tid);

	return err == -ENODATA ? dp_reader_look(x->reader, gil, ret, ret_tid) : err;
}

void target_check_reader(struct dp_targets *t, struct target *x, uint64_t now)
{
	const char *sentence;

	if (!dp_reader_check(x->reader, now, &sentence))
		return;
	target_emit_loss(t, x->pid, DP_LOSS_READ_STUCK, 1);
	/* The node's reason says so from now on, the message comes once. */
	if (!x->given_up) {
		x->given_up = 1;
		/* One that is of no use without a Python is let go, and has its sentence then. */
		if (x->py || x->is_dora || !x->named)
			target_say(t, x->pid, sentence);
		target_refresh_facts(x);
		if (x->announced)
			target_emit_facts(t, x);
	}
}

void targets_check_reader(struct dp_targets *t, uint64_t now)
{
	const char *sentence;

	if (dp_reader_check(t->reader, now, &sentence))
		target_emit_loss(t, 0, DP_LOSS_READ_STUCK, 1);
}

int targets_config(struct dp_targets *t, pid_t pid, struct dp_node_config *ret)
{
	if (dp_resident_start(pid))
		return dp_node_config_read("/proc", pid, ret);
	return dp_reader_config(t->reader, pid, ret);
}

int dp_targets_command(struct dp_targets *t, pid_t pid, struct dp_rec_command *ret)
{
	if (dp_resident_start(pid))
		return dp_stop_command_read(NULL, pid, ret);
	return dp_reader_command(t->reader, pid, ret);
}

uint64_t dp_targets_readers_ns(const struct dp_targets *t)
{
	uint64_t sum = t->ended_cpu_ns + dp_reader_cpu_ns(t->reader);

	for (int i = 0; i < DP_MAX_TARGETS; i++)
		if (t->at[i].pid)
			sum += dp_reader_cpu_ns(t->at[i].reader);
	return sum;
}
