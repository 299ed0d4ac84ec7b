/* SPDX-License-Identifier: MIT */
/* What /proc/PID/stat and status say, of a process or of one thread (proc(5)). */
#ifndef DORA_PROBE_BASE_TASK_PARSE_H
#define DORA_PROBE_BASE_TASK_PARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/record.h"

struct dp_task_stat {
	uint64_t start_time; /* clock ticks since boot: with the pid, the identity */
	pid_t ppid;
	int32_t cpu;                                     /* on which it ran last; -1 unknown */
	uint64_t arg_start, arg_end, env_start, env_end; /* in its memory; 0 unknown */
	int32_t exit_status;    /* as wait(2) gives it, of one that has ended; -1 unknown */
	char state;             /* R S D Z X … */
	char comm[DP_COMM_MAX]; /* as dp_utf8_copy() shows it: the name is the process' own */
};

/* A text of stat. 0; -EBADMSG, and *ret as it was. */
int dp_task_stat_parse(const char *text, struct dp_task_stat *ret);

struct dp_task_status {
	uint64_t signals_ignored, signals_caught; /* bit 0 is signal 1 */
	uint64_t signals_pending; /* of the process or its main thread; 0 where it is not there */
	uint32_t uid, euid;
	uint32_t inner_id;   /* the id in the innermost PID namespace */
	unsigned int levels; /* how many PID namespaces it is in */
	bool has_signals, has_uids, has_inner;
};

/* A text of status; a field that is not there or makes no sense is not `has`. */
void dp_task_status_parse(const char *text, struct dp_task_status *ret);

/* Has it ended, although nobody has waited for it yet? */
static inline bool dp_task_state_is_dead(char state)
{
	return state == 'Z' || state == 'X';
}

#endif
