/* SPDX-License-Identifier: MIT */
/*
 * The CPythons of this machine, and children that run them, for tests.
 *
 * DP_TEST_PYTHONS, a colon-separated list, replaces the default: /usr/bin/python3* and what pyenv
 * has. A minor version that is missing is counted as a skip.
 */
#ifndef DORA_PROBE_TESTS_PYTHONS_H
#define DORA_PROBE_TESTS_PYTHONS_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "python/internal.h"

#define PYTHONS_MAX 32
#define DEADLINE_NS 20000000000ull

struct python {
	char path[256];
	char version[32]; /* "3.11.7" */
	unsigned int major, minor;
};

struct pythons {
	struct python item[PYTHONS_MAX];
	unsigned int count;
	unsigned int skipped; /* minor versions of DP_PYTHONS that are not here */
};

struct child {
	pid_t pid;
	FILE *out;
};

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CPU time of this thread: what a call costs, whatever else the machine does. */
static inline uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline void short_pause(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static inline void exec_child(char *const argv[], const int fd[2])
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(fd[1], 1);
	close(fd[0]);
	close(fd[1]);
	execv(argv[0], argv);
	_exit(127);
}

/* Starts argv with standard output to us; it dies with us. */
static inline struct child start(char *const argv[], bool new_pid_ns)
{
	struct child c = {-1, NULL};
	int fd[2];

	if (pipe(fd) < 0)
		return c;
	if (new_pid_ns) {
		/* The grandchild is process 1 of the namespace; its pid comes through the pipe. */
		int back[2], go[2];
		pid_t middle;

		if (pipe(back) < 0 || pipe(go) < 0)
			return c;
		/* It becomes our child when the middle ends, and only then dies with us. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		middle = fork();
		if (middle == 0) {
			pid_t pid = -1;

			if (unshare(CLONE_NEWPID) == 0) {
				pid = fork();
				if (pid == 0) {
					char byte;

					if (read(go[0], &byte, 1) != 1)
						_exit(1);
					exec_child(argv, fd);
				}
			}
			if (write(back[1], &pid, sizeof(pid)) != sizeof(pid))
				_exit(1);
			_exit(0);
		}
		waitpid(middle, NULL, 0);
		if (read(back[0], &c.pid, sizeof(c.pid)) != sizeof(c.pid))
			c.pid = -1;
		if (write(go[1], "", 1) != 1)
			c.pid = -1;
		close(back[0]);
		close(back[1]);
		close(go[0]);
		close(go[1]);
	} else {
		c.pid = fork();
		if (c.pid == 0)
			exec_child(argv, fd);
	}
	close(fd[1]);
	c.out = fdopen(fd[0], "r");
	return c;
}

static inline void stop(struct child *c)
{
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	if (c->out)
		fclose(c->out);
	c->pid = -1;
	c->out = NULL;
}

static inline struct child start_target(const struct python *py, const char *target,
					const char *scenario)
{
	char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t)target,
			(char *)(uintptr_t)scenario, NULL};

	return start(argv, false);
}

static inline void pythons_add(struct pythons *ps, const char *path)
{
	struct python *p = &ps->item[ps->count];
	char *argv[] = {
		p->path, (char *)(uintptr_t) "-c",
		(char *)(uintptr_t) "import sys; print('.'.join(map(str, sys.version_info[:3])))",
		NULL};
	struct child c;
	char line[64] = "";

	if (ps->count == PYTHONS_MAX || strlen(path) >= sizeof(p->path) || access(path, X_OK) < 0)
		return;
	strcpy(p->path, path);
	c = start(argv, false);
	if (c.out && fgets(line, sizeof(line), c.out) &&
	    sscanf(line, "%u.%u", &p->major, &p->minor) == 2) {
		line[strcspn(line, "\n")] = '\0';
		snprintf(p->version, sizeof(p->version), "%.31s", line);
		ps->count++;
	}
	stop(&c);
}

static inline bool plain_name(const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	return strncmp(base, "python3", 7) == 0 &&
	       strspn(base + 7, ".0123456789") == strlen(base + 7);
}

static inline void pythons_glob(struct pythons *ps, const char *pattern)
{
	char real[2][4096];
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		bool known = false;

		if (!plain_name(g.gl_pathv[i]) || !realpath(g.gl_pathv[i], real[0]))
			continue;
		for (unsigned int k = 0; k < ps->count; k++)
			known |= realpath(ps->item[k].path, real[1]) &&
				 strcmp(real[0], real[1]) == 0;
		if (!known)
			pythons_add(ps, real[0]);
	}
	globfree(&g);
}

static inline void pythons_find(struct pythons *ps)
{
	const char *list = getenv("DP_TEST_PYTHONS"), *home = getenv("HOME");
	char pattern[512];

	memset(ps, 0, sizeof(*ps));
	if (list) {
		char *copy = strdup(list), *save = NULL;

		for (char *p = strtok_r(copy, ":", &save); p; p = strtok_r(NULL, ":", &save))
			pythons_add(ps, p);
		free(copy);
	} else {
		pythons_glob(ps, "/usr/bin/python3*");
		snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/*/bin/python3",
			 home ? home : "/root");
		pythons_glob(ps, pattern);
	}
	for (unsigned int minor = DP_PYTHON_FIRST; minor <= DP_PYTHON_LAST; minor++) {
		bool found = false;

		for (unsigned int i = 0; i < ps->count; i++)
			found |= ps->item[i].major == 3 && ps->item[i].minor == minor;
		if (!found) {
			ps->skipped++;
			printf("SKIP Python 3.%u: none on this machine (DP_TEST_PYTHONS names "
			       "more)\n",
			       minor);
		}
	}
	for (unsigned int i = 0; i < ps->count; i++)
		printf("Python %s: %s\n", ps->item[i].version, ps->item[i].path);
}

static inline bool supported(const struct python *py)
{
	return py->major == 3 && py->minor >= DP_PYTHON_FIRST && py->minor <= DP_PYTHON_LAST;
}

#endif
