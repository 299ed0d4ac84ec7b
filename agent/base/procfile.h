/* SPDX-License-Identifier: MIT */
/*
 * Files, directories and links of /proc and /sys, read within a limit. `proc` is "/proc" or a test's own
 * tree. Of a process: the errors are those of dp_procfile_error().
 */
#ifndef DORA_PROBE_BASE_PROCFILE_H
#define DORA_PROBE_BASE_PROCFILE_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Reads a small file into buf of `len` bytes (at least 1), NUL-terminated; what does not fit is
 * left out. Returns the bytes (at most len - 1), or -errno.
 */
ssize_t dp_procfile_read(const char *path, char *buf, size_t len);

/* dp_procfile_read() of proc/PID/name. */
ssize_t dp_procfile_read_pid(const char *proc, pid_t pid, const char *name, char *buf, size_t len);

/*
 * Reads proc/PID/name, at most `max` bytes; what is longer is cut there. *ret is owned by the
 * caller, NUL-terminated behind *ret_len bytes. 0; -ENOMEM; other -errno.
 */
int dp_procfile_load(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len);

/* dp_procfile_load() from an open file, from where it stands. */
int dp_procfile_load_fd(int fd, size_t max, char **ret, size_t *ret_len);

/* The most of a line that is given; what is longer is cut. A path of maps has "\012" for a newline. */
#define DP_PROCFILE_LINE (4 * 4096 + 256)

/*
 * Calls `each` with the lines of a file, without the newline, which it may write into; until it returns
 * something other than 0, or `max` bytes are read. That value; 0; -errno.
 */
int dp_procfile_lines(const char *path, size_t max, int (*each)(void *ctx, char *line), void *ctx);

/* dp_procfile_lines() of proc/PID/name. */
int dp_procfile_lines_pid(const char *proc, pid_t pid, const char *name, size_t max,
			  int (*each)(void *ctx, char *line), void *ctx);

/*
 * Calls `each` with the names in the directory proc/PID/name (pid 0: in proc itself) that are numbers:
 * descriptors, threads, processes; until it returns something other than 0. That value; 0; -errno.
 */
int dp_procfile_numbers(const char *proc, pid_t pid, const char *name,
			int (*each)(void *ctx, int number), void *ctx);

/* Where a link leads, NUL-terminated and cut to `len` (at least 1). Its bytes, or -errno. */
ssize_t dp_procfile_link(const char *path, char *ret, size_t len);
ssize_t dp_procfile_link_pid(const char *proc, pid_t pid, const char *name, char *ret, size_t len);

/* Opens proc/PID/name by flags of open(2); O_CLOEXEC comes with it. The descriptor, or -errno. */
int dp_procfile_open(const char *proc, pid_t pid, const char *name, int flags);

/*
 * Opens anew what a descriptor of this process refers to, which may be one of O_PATH; never a controlling
 * terminal. The descriptor, or -errno.
 */
int dp_procfile_reopen(int fd, int flags);

/*
 * What an errno of an operation on /proc/PID means: -ESRCH no such process or thread, -EPERM it may
 * not be read, any other as -errno.
 */
int dp_procfile_error(int err);

#endif
