// SPDX-License-Identifier: MIT
/* Since when a thread sleeps (asleep.h). */
#include "sense/asleep.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"
#include "base/task.h"
#include "base/units.h"

#define SCHED_MAX  4096
#define WAIT_NS    (20 * MS)
#define BELIEVE_NS (1 * SEC)
#define OFFSETS    64 /* CPUs whose offset is kept */

/* se.exec_start of a text of sched, printed in ms with six decimals; 0 it is not there. */
static uint64_t exec_start(const char *text)
{
	const char *p = strstr(text, "\nse.exec_start");
	uint64_t ms, ns;

	p = p ? strchr(p, ':') : NULL;
	if (!p)
		return 0;
	p = dp_number(p + 1 + strspn(p + 1, " "), 10, UINT64_MAX / MS - 1, &ms);
	if (!p || *p != '.' || strspn(p + 1, "0123456789") != 6 ||
	    !dp_number(p + 1, 10, 999999, &ns))
		return 0;
	return ms * MS + ns;
}

/* se.exec_start of the thread that calls; it was read at `*ret_now`. */
static uint64_t own_exec_start(uint64_t *ret_now)
{
	char text[SCHED_MAX];

	/* It is brought up to date when the thread is switched, or might be. */
	sched_yield();
	*ret_now = dp_now();
	if (dp_procfile_read("/proc/thread-self/sched", text, sizeof(text)) < 0)
		return 0;
	return exec_start(text);
}

/* CLOCK_MONOTONIC minus the clock of one CPU, asked by a thread that runs there. */
struct question {
	sem_t answered;
	atomic_int users; /* the one who asks, and the thread: the last one frees it */
	uint64_t offset;
	bool known;
};

static void leave(struct question *q)
{
	if (atomic_fetch_sub(&q->users, 1) > 1)
		return;
	sem_destroy(&q->answered);
	free(q);
}

static void *answer(void *ctx)
{
	struct question *q = ctx;
	uint64_t now, own = own_exec_start(&now);

	q->offset = now - own;
	q->known = own != 0;
	sem_post(&q->answered);
	leave(q);
	return NULL;
}

/* Starts the thread on the CPU. 0 or an errno. */
static int begin(struct question *q, int32_t cpu)
{
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
	size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);
	int err;

	if (!set)
		return ENOMEM;
	CPU_ZERO_S(size, set);
	CPU_SET_S((size_t)cpu, size, set);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_attr_setaffinity_np(&attr, size, set);
	if (!err)
		err = pthread_create(&thread, &attr, answer, q);
	pthread_attr_destroy(&attr);
	CPU_FREE(set);
	return err;
}

static bool ask(int32_t cpu, uint64_t *ret_offset)
{
	struct question *q = calloc(1, sizeof(*q));
	uint64_t until_ns = dp_now() + WAIT_NS;
	const struct timespec until = {.tv_sec = (time_t)(until_ns / SEC),
				       .tv_nsec = (long)(until_ns % SEC)};
	bool known;

	if (!q)
		return false;
	sem_init(&q->answered, 0, 0);
	q->users = 2;
	if (begin(q, cpu) != 0) {
		q->users = 1;
		leave(q);
		return false;
	}
	/* A CPU that somebody keeps for himself answers late or never: not known then. */
	known = sem_clockwait(&q->answered, CLOCK_MONOTONIC, &until) == 0 && q->known;
	if (known)
		*ret_offset = q->offset;
	leave(q);
	return known;
}

static bool offset_of(int32_t cpu, uint64_t *ret)
{
	static struct {
		uint64_t asked_ns, offset;
		int32_t cpu;
		bool known;
	} kept[OFFSETS];
	unsigned int i = (unsigned int)cpu % OFFSETS;
	uint64_t now = dp_now();

	if (!kept[i].asked_ns || kept[i].cpu != cpu || now - kept[i].asked_ns >= BELIEVE_NS) {
		kept[i].asked_ns = now;
		kept[i].cpu = cpu;
		kept[i].known = ask(cpu, &kept[i].offset);
	}
	*ret = kept[i].offset;
	return kept[i].known;
}

uint64_t dp_asleep_since(pid_t pid, pid_t tid)
{
	char name[48], text[SCHED_MAX];
	struct dp_task_stat stat, after;
	uint64_t begin_ns, offset, since;

	snprintf(name, sizeof(name), "task/%d/sched", (int)tid);
	if (dp_task_stat("/proc", pid, tid, &stat) < 0 ||
	    (stat.state != 'S' && stat.state != 'D') ||
	    dp_procfile_read_pid("/proc", pid, name, text, sizeof(text)) < 0 ||
	    dp_task_stat("/proc", pid, tid, &after) < 0 || after.cpu != stat.cpu)
		return 0;
	begin_ns = exec_start(text);
	if (!begin_ns || stat.cpu < 0 || !offset_of(stat.cpu, &offset))
		return 0;
	since = begin_ns + offset;
	return since < dp_now() ? since : 0;
}
