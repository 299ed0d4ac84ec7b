// SPDX-License-Identifier: MIT
/* Processes and threads, held so that their ids cannot pass to others; see held.h. */
#include "act/held.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Linux 6.9 (64bef697d33b "pidfd: implement PIDFD_THREAD flag for pidfd_open()"); it equals O_EXCL,
 * and glibc 2.36 has no name for it.
 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

ssize_t hands_read_proc(const char *path, char *buf, size_t len)
{
	ssize_t n, got = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((size_t)got < len - 1) {
		n = read(fd, buf + got, len - 1 - (size_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			/* ESRCH: the task left between open and read. */
			got = -errno;
			break;
		}
		if (n == 0)
			break;
		got += n;
	}
	close(fd);
	if (got >= 0)
		buf[got] = '\0';
	return got;
}

/*
 * State (field 3) and start time (field 22) of a task's stat. The name in field 2 is the target's
 * own and may hold anything, parentheses too: what counts is the last one.
 */
static int read_stat(const char *path, char *ret_state, uint64_t *ret_start)
{
	char buf[1024], *p, *end;
	ssize_t n = hands_read_proc(path, buf, sizeof(buf));
	unsigned long long start;
	int field;

	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	p = strrchr(buf, ')');
	if (!p || p[1] != ' ' || !p[2])
		return -EBADMSG;
	p += 2;
	*ret_state = *p;
	for (field = 3; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EBADMSG;
		p++;
	}
	errno = 0;
	start = strtoull(p, &end, 10);
	if (errno || end == p || *end != ' ')
		return -EBADMSG;
	*ret_start = start;
	return 0;
}

int hands_check_identity(const struct dp_hands *h, pid_t pid, uint64_t start_time)
{
	char path[192], state;
	uint64_t start;
	int err;

	snprintf(path, sizeof(path), "%s/%d/stat", h->proc, (int)pid);
	err = read_stat(path, &state, &start);
	if (err)
		return err;
	return start == start_time && state != 'Z' && state != 'X' ? 0 : -ESRCH;
}

/* A pidfd becomes readable when its task has exited. */
int hands_pidfd_alive(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

void hands_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void release(struct dp_hands *h, struct target *t)
{
	unsigned int i;

	if (!t->pid)
		return;
	for (i = 0; i < THREADS_MAX; i++)
		if (t->threads[i].tid)
			hands_close_fd(&t->threads[i].fd);
	hands_close_fd(&t->fd);
	hands_unlock(h, t);
	memset(t, 0, sizeof(*t));
}

void dp_hands_free(struct dp_hands *h)
{
	unsigned int i;

	if (!h)
		return;
	for (i = 0; i < DP_MAX_TARGETS; i++)
		release(h, &h->targets[i]);
	free(h);
}

void dp_hands_forget(struct dp_hands *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < DP_MAX_TARGETS; i++)
		if (h->targets[i].pid == pid)
			release(h, &h->targets[i]);
}

static struct target *find(struct dp_hands *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < DP_MAX_TARGETS; i++)
		if (h->targets[i].pid == pid)
			return &h->targets[i];
	return NULL;
}

/*
 * The process, held by its pidfd. First the descriptor, then the check: if the start time is right
 * and the process of the descriptor still lives, the two are one, since a pid has one bearer.
 */
int hands_hold_process(struct dp_hands *h, pid_t pid, uint64_t start_time, struct target **ret)
{
	struct target *t;
	int fd, err;

	if (pid <= 1 || pid == getpid() || !start_time)
		return -EINVAL;
	t = find(h, pid);
	if (t && t->start_time != start_time) {
		release(h, t);
		t = NULL;
	}
	if (t) {
		if (t->fd >= 0 ? !hands_pidfd_alive(t->fd) : hands_check_identity(h, pid, start_time) != 0)
			return -ESRCH;
		*ret = t;
		return 0;
	}
	t = find(h, 0);
	if (!t)
		return -ENOSPC;
	fd = sys_pidfd_open(pid, 0);
	if (fd < 0 && errno != ENOSYS)
		return -errno;
	err = hands_check_identity(h, pid, start_time);
	if (!err && fd >= 0 && !hands_pidfd_alive(fd))
		err = -ESRCH;
	if (err) {
		hands_close_fd(&fd);
		return err;
	}
	memset(t, 0, sizeof(*t));
	t->pid = pid;
	t->start_time = start_time;
	t->fd = fd;
	t->lock_fd = -1;
	*ret = t;
	return 0;
}

static int is_thread_of(const struct dp_hands *h, pid_t pid, pid_t tid)
{
	char path[192], state;
	uint64_t start;

	snprintf(path, sizeof(path), "%s/%d/task/%d/stat", h->proc, (int)pid, (int)tid);
	return read_stat(path, &state, &start) == 0 && state != 'Z' && state != 'X';
}

/* The same for a thread: descriptor, then that it belongs to the process, then that it lives. */
int hands_hold_thread(struct dp_hands *h, struct target *t, pid_t tid, struct thread **ret)
{
	struct thread *th;
	unsigned int i;
	int fd = -1;

	if (tid <= 1)
		return -EINVAL;
	for (i = 0; i < THREADS_MAX; i++) {
		th = &t->threads[i];
		if (th->tid != tid)
			continue;
		if (th->fd >= 0 ? hands_pidfd_alive(th->fd) : is_thread_of(h, t->pid, tid)) {
			*ret = th;
			return 0;
		}
		/* That thread is gone; its id may have a new bearer in the same process. */
		hands_close_fd(&th->fd);
		th->tid = 0;
	}
	if (!h->no_thread_pidfd) {
		fd = sys_pidfd_open(tid, PIDFD_THREAD);
		/* EINVAL: the flag is not known (before 6.9). */
		if (fd < 0 && errno != EINVAL && errno != ENOSYS)
			return -errno;
	}
	if (!is_thread_of(h, t->pid, tid) || (fd >= 0 && !hands_pidfd_alive(fd))) {
		hands_close_fd(&fd);
		return -ESRCH;
	}
	th = NULL;
	for (i = 0; i < THREADS_MAX; i++)
		if (!t->threads[i].tid)
			th = &t->threads[i];
	if (!th) {
		th = &t->threads[t->next++ % THREADS_MAX];
		hands_close_fd(&th->fd);
	}
	th->tid = tid;
	th->fd = fd;
	*ret = th;
	return 0;
}

int dp_hands_aim(struct dp_hands *h, pid_t pid, uint64_t start_time, pid_t tid)
{
	struct target *t;
	struct thread *th;
	int err = hands_hold_process(h, pid, start_time, &t);

	return err ? err : hands_hold_thread(h, t, tid, &th);
}
