// SPDX-License-Identifier: MIT
/* /proc/PID/stat and status, read (task.h). */
#include "base/task.h"

#include <stdio.h>

#include "base/procfile.h"

/* A name is 64 bytes at most and 23 numbers follow; a list of supplementary groups is long. */
#define STAT_MAX   1024
#define STATUS_MAX 8192

static ssize_t read_of(const char *proc, pid_t pid, pid_t tid, const char *name, char *buf,
		       size_t len)
{
	char of_thread[40];

	if (tid) {
		snprintf(of_thread, sizeof(of_thread), "task/%d/%s", (int)tid, name);
		name = of_thread;
	}
	return dp_procfile_read_pid(proc, pid, name, buf, len);
}

int dp_task_stat(const char *proc, pid_t pid, pid_t tid, struct dp_task_stat *ret)
{
	char text[STAT_MAX];
	ssize_t n = read_of(proc, pid, tid, "stat", text, sizeof(text));

	return n < 0 ? (int)n : dp_task_stat_parse(text, ret);
}

int dp_task_status(const char *proc, pid_t pid, pid_t tid, struct dp_task_status *ret)
{
	char text[STATUS_MAX];
	ssize_t n = read_of(proc, pid, tid, "status", text, sizeof(text));

	if (n < 0)
		return (int)n;
	dp_task_status_parse(text, ret);
	return 0;
}
