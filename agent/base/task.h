/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat and status, read. `proc` is "/proc" or a test's own tree. */
#ifndef DORA_PROBE_BASE_TASK_H
#define DORA_PROBE_BASE_TASK_H

#include "base/task_parse.h"

/*
 * Of the process, or of its thread `tid` when that is not 0. 0; -ESRCH gone; -EPERM; -EBADMSG;
 * other -errno.
 */
int dp_task_stat(const char *proc, pid_t pid, pid_t tid, struct dp_task_stat *ret);
int dp_task_status(const char *proc, pid_t pid, pid_t tid, struct dp_task_status *ret);

#endif
