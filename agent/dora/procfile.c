// SPDX-License-Identifier: MIT
/* Reading files of /proc/PID (procfile.h). */
#include "dora/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int dp_procfile_error(int err)
{
	switch (err) {
	case ENOENT:
	case ESRCH:
		return -ESRCH;
	case EACCES:
	case EPERM:
		return -EPERM;
	case ENOMEM:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

int dp_procfile_read_fd(int fd, size_t max, char **ret, size_t *ret_len)
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

int dp_procfile_read(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len)
{
	char path[4096];
	int fd, err, n;

	n = snprintf(path, sizeof(path), "%s/%d/%s", proc, (int)pid, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -EIO;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return dp_procfile_error(errno);
	err = dp_procfile_read_fd(fd, max, ret, ret_len);
	close(fd);
	return err;
}
