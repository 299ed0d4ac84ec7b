// SPDX-License-Identifier: MIT
/* Reading files of /proc and /sys (procfile.h). */
#include "base/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int dp_procfile_error(int err)
{
	switch (err) {
	case ENOENT:
		return -ESRCH;
	case EACCES:
		return -EPERM;
	default:
		return -err;
	}
}

ssize_t dp_procfile_read(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t have = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (n > 0 && have + 1 < len) {
		n = read(fd, buf + have, len - 1 - have);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			have += (size_t)n;
	}
	/* ESRCH: the task left between open and read. */
	n = n < 0 ? -errno : (ssize_t)have;
	close(fd);
	buf[have] = '\0';
	return n;
}

static int path_of(const char *proc, pid_t pid, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%d/%s", proc, (int)pid, name);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

ssize_t dp_procfile_read_pid(const char *proc, pid_t pid, const char *name, char *buf, size_t len)
{
	char path[PATH_MAX];
	ssize_t n = path_of(proc, pid, name, path);

	if (n == 0)
		n = dp_procfile_read(path, buf, len);
	return n < 0 ? dp_procfile_error((int)-n) : n;
}

int dp_procfile_load_fd(int fd, size_t max, char **ret, size_t *ret_len)
{
	size_t cap = 16384, len = 0;
	char *buf = NULL;
	int err;

	for (;;) {
		ssize_t n;

		if (!buf || len + 1 == cap) {
			size_t want = buf ? cap * 2 : cap;
			char *more;

			if (want > max + 1)
				want = max + 1;
			if (buf && want == cap)
				break;
			more = realloc(buf, want);
			if (!more) {
				err = -ENOMEM;
				goto cleanup;
			}
			buf = more;
			cap = want;
		}
		n = read(fd, buf + len, cap - 1 - len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			err = dp_procfile_error(errno);
			goto cleanup;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	*ret = buf;
	*ret_len = len;
	return 0;
cleanup:
	free(buf);
	return err;
}

int dp_procfile_load(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len)
{
	char path[PATH_MAX];
	int fd, err = path_of(proc, pid, name, path);

	if (err)
		return err;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return dp_procfile_error(errno);
	err = dp_procfile_load_fd(fd, max, ret, ret_len);
	close(fd);
	return err;
}
