/* SPDX-License-Identifier: MIT */
/* /proc/PID/task/TID: state, name, system call, and the tid in the thread's own PID namespace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "base/utf8.h"
#include "python/internal.h"

#define TASKS_MAX  8192
#define BELIEVE_NS SEC

ssize_t dp_task_read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;
	int rc;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : errno == EACCES ? -EPERM : -errno;
	do {
		n = read(fd, buf + have, cap - 1 - have);
		if (n > 0)
			have += (size_t)n;
	} while ((n > 0 && have < cap - 1) || (n < 0 && errno == EINTR));
	rc = n < 0 ? (errno == EACCES ? -EPERM : -errno) : 0;
	close(fd);
	if (rc < 0)
		return rc;
	buf[have] = '\0';
	return (ssize_t)have;
}

int dp_task_stat(pid_t pid, pid_t tid, struct dp_task_stat *ret)
{
	char path[64], buf[1024], *open_paren, *p;
	struct dp_task_stat s = {0};
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	n = dp_task_read_file(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	/* The name may hold anything, parentheses too; nothing after it does. */
	open_paren = strchr(buf, '(');
	p = strrchr(buf, ')');
	if (!open_paren || !p || p < open_paren || p[1] != ' ' || p[2] == '\0')
		return -EBADMSG;
	dp_utf8_copy(s.comm, sizeof(s.comm), open_paren + 1, (size_t)(p - open_paren - 1));
	p += 2;
	s.state = *p;
	for (int field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EBADMSG;
		p++;
	}
	errno = 0;
	s.start_time = strtoull(p, NULL, 10);
	if (errno != 0)
		return -EBADMSG;
	*ret = s;
	return 0;
}

int dp_task_inner_tid(pid_t pid, pid_t tid, uint32_t *ret_inner, unsigned int *ret_levels)
{
	char path[64], buf[4096], *p, *end;
	unsigned int levels = 0;
	unsigned long v = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	n = dp_task_read_file(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	p = strstr(buf, "\nNSpid:");
	if (!p)
		return -EBADMSG;
	p += strlen("\nNSpid:");
	while (*p == '\t' || *p == ' ') {
		v = strtoul(p + 1, &end, 10);
		if (end == p + 1)
			break;
		p = end;
		levels++;
	}
	if (levels == 0 || v == 0 || v > INT32_MAX)
		return -EBADMSG;
	*ret_inner = (uint32_t)v;
	*ret_levels = levels;
	return 0;
}

int dp_task_syscall(pid_t pid, pid_t tid, struct dp_task_syscall *ret)
{
	struct dp_task_syscall s = {.nr = -1};
	char path[64], buf[256];
	ssize_t n;
	long nr;
	int used = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	n = dp_task_read_file(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	if (strncmp(buf, "running", 7) == 0) {
		*ret = s;
		return 0;
	}
	if (sscanf(buf, "%ld %n", &nr, &used) != 1 || nr < -1 || nr > 4096)
		return -EBADMSG;
	s.nr = (int32_t)nr;
	if (nr == -1) {
		if (sscanf(buf + used, "%" SCNx64 " %" SCNx64, &s.sp, &s.pc) != 2)
			return -EBADMSG;
	} else if (sscanf(buf + used,
			  "%" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
			  " %" SCNx64 " %" SCNx64,
			  &s.arg[0], &s.arg[1], &s.arg[2], &s.arg[3], &s.arg[4], &s.arg[5], &s.sp,
			  &s.pc) != 8) {
		return -EBADMSG;
	}
	*ret = s;
	return 0;
}

static uint32_t find_inner(pid_t pid, uint32_t inner)
{
	unsigned int levels, seen = 0;
	struct dirent *d;
	uint32_t found = 0, v;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while (!found && seen++ < TASKS_MAX && (d = readdir(dir)) != NULL) {
		pid_t tid = (pid_t)strtol(d->d_name, NULL, 10);

		if (tid > 0 && dp_task_inner_tid(pid, tid, &v, &levels) == 0 && v == inner)
			found = (uint32_t)tid;
	}
	closedir(dir);
	return found;
}

uint32_t dp_tids_outer(struct dp_tids *t, uint32_t inner)
{
	unsigned int i = inner % DP_TID_CACHE;
	uint64_t now = dp_now();
	uint32_t outer = 0;

	if (inner == 0 || inner > INT32_MAX)
		return 0;
	if (t->slot[i].inner == inner && now - t->slot[i].checked_ns < BELIEVE_NS)
		return t->slot[i].outer;
	if (t->other_ns) {
		outer = find_inner(t->pid, inner);
	} else {
		char path[64];

		snprintf(path, sizeof(path), "/proc/%d/task/%u", t->pid, inner);
		outer = access(path, F_OK) == 0 ? inner : 0;
	}
	/* A thread that is not there may be about to start: only what was found is kept. */
	if (outer != 0) {
		t->slot[i].inner = inner;
		t->slot[i].outer = outer;
		t->slot[i].checked_ns = now;
	} else if (t->slot[i].inner == inner) {
		t->slot[i].inner = 0;
	}
	return outer;
}
