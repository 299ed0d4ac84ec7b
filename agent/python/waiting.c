// SPDX-License-Identifier: MIT
/*
 * What one thread waits for, by its system call and the word in memory that it sleeps on.
 *
 * A futex word tells its owner where a protocol of the C library puts one there (glibc 2.31 to 2.43,
 * docs/facts/dora-protocol.md has what was measured):
 *   pthread_join    the word is the tid of the joined thread, cleared by the kernel as it exits
 *   pthread_mutex   2 is "locked, with waiters"; the owner's tid stands 8 bytes behind the word
 *   PI and robust   the word itself holds the owner's tid
 * Conditions, semaphores, and the locks of Rust and C++ hold none. Two are known by their value: a
 * lock (Rust's std and the C library's own: 2 is "locked, with waiters") and a function-static
 * initialiser of libstdc++.
 */
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/array.h"
#include "python/internal.h"

/* Linux 5.14; headers of older systems, Debian 11's, lack it. */
#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif

#define MUTEX_CONTENDED 2
#define MUTEX_OWNER     8 /* bytes behind the lock word, glibc and musl alike on 64 bits */
/* __cxa_guard_acquire: "in progress" and "somebody waits", gcc's libsupc++/guard.cc. */
#define GUARD_CONTENDED 0x10100u

static bool is_of_process(struct dp_py *py, uint32_t inner, uint32_t *ret)
{
	*ret = dp_tids_outer(&py->tids, inner);
	return *ret != 0;
}

struct lookup {
	uint64_t addr;
	bool shared;
};

static int find_mapping(void *arg, const struct dp_map *map)
{
	struct lookup *l = arg;

	if (l->addr < map->start || l->addr >= map->end)
		return 0;
	l->shared = map->shared;
	return 1;
}

/* In memory of this process alone nobody else can wake the thread, whatever the call's flags say. */
static bool may_be_woken_from_outside(pid_t pid, uint64_t addr, uint64_t op)
{
	struct lookup l = {.addr = addr, .shared = true};

	if (op & FUTEX_PRIVATE_FLAG)
		return false;
	return dp_maps_walk(pid, find_mapping, &l) != 1 || l.shared;
}

/* Who has a mutex of the C library that is locked with waiters; 0 it is none, or that is unknown. */
static uint32_t mutex_owner(struct dp_py *py, uint64_t word)
{
	uint32_t v[3], owner;

	if (dp_remote_read(py->pid, word, v, sizeof(v)) < 0 || v[0] != MUTEX_CONTENDED)
		return 0;
	return is_of_process(py, v[MUTEX_OWNER / 4], &owner) ? owner : 0;
}

static void read_futex(struct dp_py *py, struct dp_waiting *w)
{
	const uint64_t *arg = w->call.arg;
	uint64_t cmd = arg[1] & (uint64_t)FUTEX_CMD_MASK;
	uint32_t value = (uint32_t)arg[2], word = 0, owner = 0;
	bool plain = cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET;
	bool pi = cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2;

	if (!plain && !pi && cmd != FUTEX_WAIT_REQUEUE_PI)
		return; /* a wake: it does not wait */
	w->word = arg[0];
	w->forever = arg[3] == 0;
	if (dp_native_in_a_gil(py, w->word)) {
		/* A wait for the GIL is cut into switch intervals, and yet has no end of its own. */
		w->waits = DP_WAIT_GIL;
		w->forever = true;
		return;
	}
	if (dp_remote_u32(py->pid, w->word, &word) < 0) {
		w->waits = DP_WAIT_UNKNOWN;
		return;
	}
	w->waits = DP_WAIT_FUTEX;
	if (pi || (plain && value & FUTEX_WAITERS && word == value)) {
		if (is_of_process(py, word & FUTEX_TID_MASK, &owner))
			w->waits = DP_WAIT_MUTEX;
	} else if (plain && word == value && !(arg[1] & FUTEX_PRIVATE_FLAG) &&
		   is_of_process(py, word, &owner)) {
		w->waits = DP_WAIT_THREAD;
	} else if (plain && value == MUTEX_CONTENDED) {
		owner = mutex_owner(py, w->word);
		if (owner)
			w->waits = DP_WAIT_MUTEX;
		else if (word == value)
			w->waits = DP_WAIT_LOCK;
	} else if (cmd == FUTEX_WAIT && value == GUARD_CONTENDED && word == value) {
		w->waits = DP_WAIT_STATIC;
	}
	w->for_tid = owner == (uint32_t)w->tid ? 0 : owner;
	if (!owner && may_be_woken_from_outside(py->pid, w->word, arg[1]))
		w->waits = DP_WAIT_SHARED;
}

/* Sleeps for a time, and no more than that. */
static bool is_sleep(const struct dp_task_syscall *s)
{
	switch (s->nr) {
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return true;
#ifdef SYS_select
	case SYS_select:
#endif
	case SYS_pselect6:
		return s->arg[0] == 0;
#ifdef SYS_poll
	case SYS_poll:
#endif
	case SYS_ppoll:
		return s->arg[1] == 0;
	default:
		return false;
	}
}

/* Waits for something that comes from outside of the process. */
static bool is_io(int32_t nr)
{
	static const int32_t calls[] = {
		SYS_read,           SYS_readv,    SYS_pread64,    SYS_preadv,       SYS_write,
		SYS_writev,         SYS_recvfrom, SYS_recvmsg,    SYS_sendto,       SYS_sendmsg,
		SYS_recvmmsg,       SYS_accept,   SYS_accept4,    SYS_connect,      SYS_epoll_pwait,
		SYS_io_uring_enter, SYS_ppoll,    SYS_pselect6,   SYS_io_getevents, SYS_ioctl,
#ifdef SYS_poll
		SYS_poll,           SYS_select,   SYS_epoll_wait,
#endif
	};

	for (size_t i = 0; i < DP_COUNT_OF(calls); i++)
		if (nr == calls[i])
			return true;
	return false;
}

void dp_waiting_read(struct dp_py *py, pid_t tid, struct dp_waiting *ret)
{
	struct dp_waiting w = {.tid = tid, .call = {.nr = -2}};
	int32_t nr;

	if (dp_task_syscall(py->pid, tid, &w.call) < 0) {
		*ret = w;
		return;
	}
	nr = w.call.nr;
	if (nr < 0)
		w.waits = DP_WAIT_NOTHING;
	else if (nr == SYS_futex)
		read_futex(py, &w);
	else if (is_sleep(&w.call))
		w.waits = DP_WAIT_SLEEP;
	else if (is_io(nr))
		w.waits = DP_WAIT_IO;
	else if (nr == SYS_wait4 || nr == SYS_waitid)
		w.waits = DP_WAIT_CHILD;
	else
		w.waits = DP_WAIT_SYSCALL;
	*ret = w;
}

bool dp_waiting_is_ownerless(const struct dp_waiting *w)
{
	return (w->waits == DP_WAIT_FUTEX || w->waits == DP_WAIT_LOCK ||
		w->waits == DP_WAIT_STATIC) &&
	       w->forever;
}
