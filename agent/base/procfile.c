// SPDX-License-Identifier: MIT
/* Reading files of /proc and /sys (procfile.h). */
#include "base/procfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"

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

int dp_procfile_open(const char *proc, pid_t pid, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd, err = path_of(proc, pid, name, path);

	if (err)
		return err;
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? dp_procfile_error(errno) : fd;
}

int dp_procfile_reopen(int fd, int flags)
{
	char self[32];
	int again;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	again = open(self, flags | O_CLOEXEC | O_NOCTTY);
	return again < 0 ? -errno : again;
}

int dp_procfile_load(const char *proc, pid_t pid, const char *name, size_t max, char **ret,
		     size_t *ret_len)
{
	int err, fd = dp_procfile_open(proc, pid, name, O_RDONLY);

	if (fd < 0)
		return fd;
	err = dp_procfile_load_fd(fd, max, ret, ret_len);
	close(fd);
	return err;
}

/* ---- lines --------------------------------------------------------------------------------------- */

struct lines {
	int (*each)(void *ctx, char *line);
	void *ctx;
	size_t have;
	bool skips; /* the rest of a line whose beginning was given */
	char text[DP_PROCFILE_LINE + 1];
};

static int give(struct lines *l, char *line)
{
	bool skipped = l->skips;

	l->skips = false;
	return skipped ? 0 : l->each(l->ctx, line);
}

/* Gives the whole lines that are there, and keeps what follows. */
static int give_lines(struct lines *l)
{
	char *line = l->text, *end;
	int r;

	l->text[l->have] = '\0';
	while ((end = memchr(line, '\n', l->have - (size_t)(line - l->text)))) {
		*end = '\0';
		r = give(l, line);
		if (r)
			return r;
		line = end + 1;
	}
	l->have -= (size_t)(line - l->text);
	memmove(l->text, line, l->have + 1);
	if (l->have < DP_PROCFILE_LINE)
		return 0;
	r = give(l, l->text);
	l->have = 0;
	l->skips = true;
	return r;
}

static int lines_of(int fd, size_t max, int (*each)(void *ctx, char *line), void *ctx)
{
	struct lines l;
	size_t total = 0;
	int r = 0;

	l.each = each;
	l.ctx = ctx;
	l.have = 0;
	l.skips = false;
	while (!r && total < max) {
		ssize_t n = read(fd, l.text + l.have, DP_PROCFILE_LINE - l.have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = dp_procfile_error(errno);
		if (n <= 0)
			break;
		total += (size_t)n;
		l.have += (size_t)n;
		r = give_lines(&l);
	}
	/* A last line without its end; one that the limit has cut is none. */
	if (!r && l.have && total < max)
		r = give(&l, l.text);
	return r;
}

int dp_procfile_lines(const char *path, size_t max, int (*each)(void *ctx, char *line), void *ctx)
{
	int r, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	r = lines_of(fd, max, each, ctx);
	close(fd);
	return r;
}

int dp_procfile_lines_pid(const char *proc, pid_t pid, const char *name, size_t max,
			  int (*each)(void *ctx, char *line), void *ctx)
{
	int r, fd = dp_procfile_open(proc, pid, name, O_RDONLY);

	if (fd < 0)
		return fd;
	r = lines_of(fd, max, each, ctx);
	close(fd);
	return r;
}

/* ---- directories and links ----------------------------------------------------------------------- */

int dp_procfile_numbers(const char *proc, pid_t pid, const char *name,
			int (*each)(void *ctx, int number), void *ctx)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint64_t number;
	int r = pid ? path_of(proc, pid, name, path) : 0;
	DIR *d;

	if (r)
		return r;
	d = opendir(pid ? path : proc);
	if (!d)
		return dp_procfile_error(errno);
	while (!r && (entry = readdir(d))) {
		const char *end = dp_number(entry->d_name, 10, INT32_MAX, &number);

		if (end && !*end)
			r = each(ctx, (int)number);
	}
	closedir(d);
	return r;
}

ssize_t dp_procfile_link(const char *path, char *ret, size_t len)
{
	ssize_t n = readlink(path, ret, len - 1);

	ret[n < 0 ? 0 : n] = '\0';
	return n < 0 ? -errno : n;
}

ssize_t dp_procfile_link_pid(const char *proc, pid_t pid, const char *name, char *ret, size_t len)
{
	char path[PATH_MAX];
	ssize_t n = path_of(proc, pid, name, path);

	ret[0] = '\0';
	if (n == 0)
		n = dp_procfile_link(path, ret, len);
	return n < 0 ? dp_procfile_error((int)-n) : n;
}
