/* SPDX-License-Identifier: MIT */
/* Reading files of /proc and /sys within a limit. */
#ifndef DORA_PROBE_BASE_PROCFILE_H
#define DORA_PROBE_BASE_PROCFILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a small file into buf of `len` bytes (at least 1), NUL-terminated; what does not fit is
 * left out. Returns the bytes (at most len - 1), or -errno.
 */
ssize_t dp_procfile_read(const char *path, char *buf, size_t len);

/* The same of proc/PID/name, with the errors of dp_procfile_error(). */
ssize_t dp_procfile_read_pid(const char *proc, pid_t pid, const char *name, char *buf, size_t len);

/*
 * Reads proc/PID/name, at most `max` bytes; what is longer is cut there. *ret is owned by the
 * caller, NUL-terminated behind *ret_len bytes. 0; -ENOMEM; or as dp_procfile_error() says.
 */
int dp_procfile_load(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len);

/* The same from an open file, from where it stands. */
int dp_procfile_load_fd(int fd, size_t max, char **ret, size_t *ret_len);

/*
 * What an errno of an operation on /proc/PID means: -ESRCH no such process or thread, -EPERM it may
 * not be read, any other as -errno.
 */
int dp_procfile_error(int err);

#endif
