/* SPDX-License-Identifier: MIT */
/* Reading files of /proc/PID whole, within a limit. */
#ifndef DORA_PROBE_DORA_PROCFILE_H
#define DORA_PROBE_DORA_PROCFILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads proc/PID/name, at most `max` bytes; what is longer is cut there. *ret is owned by the
 * caller, NUL-terminated behind *ret_len bytes. 0; -ESRCH no such process; -EPERM; -ENOMEM; -EIO.
 */
int dp_procfile_read(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len);

/* The same from an open file, from where it stands. */
int dp_procfile_read_fd(int fd, size_t max, char **ret, size_t *ret_len);

/* Maps what an operation on /proc/PID said to the errors of the public functions. */
int dp_procfile_error(int err);

#endif
