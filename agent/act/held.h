/* SPDX-License-Identifier: MIT */
/* The hands from inside: for hands.c, held.c and lock.c of this room alone. */
#ifndef DORA_PROBE_HELD_H
#define DORA_PROBE_HELD_H

#include <stdbool.h>

#include "act/hands.h"

#define THREADS_MAX 4

struct thread {
	pid_t tid;
	int fd; /* -1: the kernel has no pidfds of threads */
};

struct target {
	pid_t pid; /* 0: free */
	uint64_t start_time;
	int fd; /* process pidfd; -1: the kernel has none (before 5.3) */
	int lock_fd;
	unsigned int next; /* thread slot to be given up next */
	struct thread threads[THREADS_MAX];
};

struct dp_hands {
	bool no_thread_pidfd;
	char proc[128];
	char lock_dir[128];
	struct target targets[DP_MAX_TARGETS];
};

/* ---- held.c: processes and threads, held so that their ids cannot pass to others -------------- */

/* Is this pid still the process that started then? 0; -ESRCH gone, or another one by now. */
int hands_check_identity(const struct dp_hands *h, pid_t pid, uint64_t start_time);
/* Does the task of this pidfd live? */
int hands_pidfd_alive(int fd);
/* Closes it if it is open, and makes it -1. */
void hands_close_fd(int *fd);
/* The process, held by its pidfd. 0; -EINVAL; -ESRCH gone; -ENOSPC; other -errno. */
int hands_hold_process(struct dp_hands *h, pid_t pid, uint64_t start_time, struct target **ret);
/* A thread of it. As above. */
int hands_hold_thread(struct dp_hands *h, struct target *t, pid_t tid, struct thread **ret);

/* ---- lock.c: one probe at a time --------------------------------------------------------------- */

/* Locks the process against other probes. 0; -EBUSY another one acts; other -errno; `why` says it. */
int hands_lock(struct dp_hands *h, struct target *t, char *why, size_t len);
/* Gives the lock up, if it is held. */
void hands_unlock(struct dp_hands *h, struct target *t);

#endif
