/* SPDX-License-Identifier: MIT */
/*
 * Since when a thread sleeps that has slept since before the probe; see watched.h. The scheduler tells
 * it by its own clock (se.exec_start of /proc/PID/task/TID/sched: when the thread last ran), one for
 * each CPU, which stands still while the machine's host, or an interrupt, has the CPU. So that clock is
 * read on the very CPU. What it has stood still since makes a sleep look shorter, never longer.
 */
#include "sense/watched.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"
#include "base/procfile.h"

#define SCHED_MAX 8192

/* "se.exec_start : 123456.789012", milliseconds, as ns; 0 where there is none (no CONFIG_SCHED_DEBUG). */
static uint64_t exec_start(const char *text)
{
	const char *p = strstr(text, "se.exec_start");
	uint64_t ms = 0, rest = 0;

	p = p ? strchr(p, ':') : NULL;
	if (!p)
		return 0;
	p += 1 + strspn(p + 1, " ");
	p = dp_number(p, 10, UINT64_MAX / SEC, &ms);
	if (!p || *p != '.' || !dp_number(p + 1, 10, 999999, &rest))
		return 0;
	return ms * MS + rest;
}

static uint64_t exec_start_of(pid_t pid, pid_t tid)
{
	char name[48], text[SCHED_MAX];

	snprintf(name, sizeof(name), "task/%d/sched", (int)tid);
	return dp_procfile_read_pid("/proc", pid, name, text, sizeof(text)) < 0 ? 0
										: exec_start(text);
}

/* The CPU that a thread last ran on: field 39 of its stat, the 37th behind the name; -1 unknown. */
static int last_cpu(pid_t pid, pid_t tid)
{
	char name[48], text[1024], *p;
	uint64_t cpu = 0;

	snprintf(name, sizeof(name), "task/%d/stat", (int)tid);
	if (dp_procfile_read_pid("/proc", pid, name, text, sizeof(text)) < 0)
		return -1;
	p = strrchr(text, ')');
	for (int field = 2; p && field < 39; field++)
		p = strchr(p + 1, ' ');
	return p && dp_number(p + 1, 10, CPU_SETSIZE - 1, &cpu) ? (int)cpu : -1;
}

/* Our time minus that CPU's clock, by our own last run there; 0 unknown. */
static uint64_t clock_ahead(int cpu)
{
	cpu_set_t was, one;
	char text[SCHED_MAX];
	uint64_t ahead = 0, now, ran = 0;

	if (cpu < 0 || sched_getaffinity(0, sizeof(was), &was) < 0)
		return 0;
	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return 0;
	sched_yield(); /* brings exec_start up to date */
	now = dp_now();
	if (dp_procfile_read("/proc/thread-self/sched", text, sizeof(text)) > 0)
		ran = exec_start(text);
	if (ran && now > ran)
		ahead = now - ran;
	sched_setaffinity(0, sizeof(was), &was);
	return ahead;
}

uint64_t dp_asleep_since(pid_t pid, pid_t tid)
{
	uint64_t ran = exec_start_of(pid, tid), ahead = ran ? clock_ahead(last_cpu(pid, tid)) : 0;

	return ahead && ran + ahead <= dp_now() ? ran + ahead : 0;
}
