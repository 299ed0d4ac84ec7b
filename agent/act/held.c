// SPDX-License-Identifier: MIT
/* Processes and threads, held so that their ids cannot pass to others; see held.h. */
#include "act/held.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/task.h"

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

int hands_check_identity(const struct dp_hands *h, pid_t pid, uint64_t start_time)
{
	struct dp_task_stat s;
	int err = dp_task_stat(h->proc, pid, 0, &s);

	if (err)
		return err;
	return s.start_time == start_time && !dp_task_state_is_dead(s.state) ? 0 : -ESRCH;
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
		if (t->fd >= 0 ? !hands_pidfd_alive(t->fd)
			       : hands_check_identity(h, pid, start_time) != 0)
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

static bool is_thread_of(const struct dp_hands *h, pid_t pid, pid_t tid)
{
	struct dp_task_stat s;

	return dp_task_stat(h->proc, pid, tid, &s) == 0 && !dp_task_state_is_dead(s.state);
}

/* Holds a thread: gets the descriptor, then checks that it belongs to the process, then that it lives. */
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
	struct target *t = NULL;
	struct thread *th;
	int err = hands_hold_process(h, pid, start_time, &t);

	return t ? hands_hold_thread(h, t, tid, &th) : err;
}
