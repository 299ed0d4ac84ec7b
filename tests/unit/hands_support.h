/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the guard's hands share: Pythons that hold the GIL in a blocking call, and the
 * signals sent to them.
 */
#ifndef DORA_PROBE_HANDS_SUPPORT_H
#define DORA_PROBE_HANDS_SUPPORT_H

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "act/hands.h"

#define PYTHON  "/usr/bin/python3" /* not by PATH: a shim there is a shell, and other processes */
#define WAIT_MS 20000              /* for what must happen; only a failing test waits that long */

/* Exits 42 when a KeyboardInterrupt reaches it in a call that holds the GIL. */
#define MAIN_HOLDS                                                                                 \
	"import ctypes, os\n"                                                                      \
	"lib = ctypes.PyDLL(None)\n"                                                               \
	"try:\n"                                                                                   \
	"    os.write(1, b'%d\\n' % os.getpid())\n"                                                \
	"    lib.usleep(600000000)\n"                                                              \
	"except KeyboardInterrupt:\n"                                                              \
	"    os._exit(42)\n"                                                                       \
	"os._exit(1)\n"

/*
 * A second thread holds the GIL, the main one waits for it in C without the GIL: a signal to main
 * would change nothing. Exits 42 when the call of that thread was interrupted.
 */
#define THREAD_HOLDS                                                                               \
	"import ctypes, os, signal, threading\n"                                                   \
	"signal.signal(signal.SIGUSR1, lambda *a: None)\n"                                         \
	"lib = ctypes.PyDLL(None)\n"                                                               \
	"def hold():\n"                                                                            \
	"    os.write(1, b'%d\\n' % threading.get_native_id())\n"                                  \
	"    lib.usleep(600000000)\n"                                                              \
	"    os._exit(42)\n"                                                                       \
	"threading.Thread(target=hold).start()\n"                                                  \
	"ctypes.CDLL(None).sleep(600)\n"                                                           \
	"while True:\n"                                                                            \
	"    ctypes.CDLL(None).sleep(600)\n"

struct child {
	pid_t pid;
	pid_t tid; /* that it has named */
	int out, in;
	uint64_t start_time;
};

struct state {
	char dir[64];
	struct dp_hands *h;
};

static inline uint64_t start_time_of(pid_t pid)
{
	char path[64], buf[1024], *p;
	unsigned long long start = 0;
	FILE *f;
	size_t n;
	int i;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	p = strrchr(buf, ')');
	assert_non_null(p);
	for (i = 2; i < 22; i++) {
		p = strchr(p + 1, ' ');
		assert_non_null(p);
	}
	assert_int_equal(sscanf(p, " %llu", &start), 1);
	return start;
}

/* Runs a Python program; waits for the line with the id that it writes first. */
static inline struct child python(const char *program)
{
	struct child c = {0};
	int out[2], in[2];
	char line[32] = "";
	size_t n = 0;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_DFL);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(PYTHON, "python3", "-S", "-c", program, (char *)NULL);
		_exit(126);
	}
	close(out[1]);
	close(in[0]);
	c.out = out[0];
	c.in = in[1];
	while (n < sizeof(line) - 1 && read(c.out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	c.tid = atoi(line);
	assert_true(c.tid > 1);
	c.start_time = start_time_of(c.pid);
	return c;
}

/* The system call that a task sleeps in; -1 on the CPU. */
static inline long syscall_of(pid_t pid, pid_t tid)
{
	char path[64], buf[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	f = fopen(path, "r");
	if (!f || !fgets(buf, sizeof(buf), f))
		buf[0] = '\0';
	if (f)
		fclose(f);
	return buf[0] >= '0' && buf[0] <= '9' ? atol(buf) : -1;
}

static inline void until_asleep(pid_t pid, pid_t tid)
{
	struct timespec ms = {0, 1000000};
	int i;

	for (i = 0; i < WAIT_MS; i++) {
		if (syscall_of(pid, tid) == SYS_clock_nanosleep)
			return;
		nanosleep(&ms, NULL);
	}
	fail_msg("thread %d of %d does not sleep", (int)tid, (int)pid);
}

/* Exit status as wait(2) gives it, or -1 when it has not ended. */
static inline int ended(struct child *c, int timeout_ms)
{
	struct pollfd p = {.events = POLLIN};
	int status = -1;

	p.fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	assert_true(p.fd >= 0);
	if (poll(&p, 1, timeout_ms) == 1)
		assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	close(p.fd);
	if (status >= 0)
		c->pid = 0;
	return status;
}

static inline void finish(struct child *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	close(c->out);
	close(c->in);
}

static inline struct dp_request nudge(const struct child *c, int sig)
{
	struct dp_request q = {
		.type = DP_REQ_ACT,
		.action = DP_ACTION_NUDGE,
		.signal = (uint32_t)sig,
		.attempt = 1,
		.pid = (uint32_t)c->pid,
		.tid = (uint32_t)c->tid,
		.start_time = c->start_time,
		.reason = "because of a test",
	};

	return q;
}

static inline int still(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
{
	int *looks = ctx;

	(void)pid;
	(void)tid;
	(void)why;
	(void)len;
	if (looks)
		++*looks;
	return 1;
}

/* Hands from options that are gone, and other ones in their place, when this returns. */
static inline int new_hands(const struct state *s, int no_thread_pidfd, struct dp_hands **ret)
{
	char dir[64], proc[] = "/proc";
	struct dp_hands_options o = {
		.lock_dir = dir, .proc = proc, .no_thread_pidfd = no_thread_pidfd};
	int err;

	memcpy(dir, s->dir, sizeof(dir));
	err = dp_hands_new(&o, ret);
	o.no_thread_pidfd = !no_thread_pidfd;
	memset(dir, 'x', sizeof(dir) - 1);
	memset(proc, 'x', sizeof(proc) - 1);
	return err;
}

static inline int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	strcpy(s->dir, "/tmp/dp_hands_XXXXXX");
	if (!mkdtemp(s->dir))
		return -1;
	*state = s;
	return new_hands(s, 0, &s->h);
}

static inline unsigned int files_in(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static inline int teardown(void **state)
{
	struct state *s = *state;
	char command[128];

	dp_hands_free(s->h);
	/* Whatever happened, the locks are gone with their holder. */
	assert_int_equal(files_in(s->dir), 0);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	if (system(command))
		return -1;
	free(s);
	return 0;
}

static inline void refused(struct state *s, struct child *c, const struct dp_request *q,
			   dp_hands_look look, void *ctx, const char *why)
{
	struct dp_rec_action a;

	dp_hands_act(s->h, q, look, ctx, &a);
	if (a.result != DP_RESULT_REFUSED || !strstr(a.reason, why))
		fail_msg("wanted a refusal with '%s', got %s: %s", why,
			 dp_action_result_name(a.result), a.reason);
	if (c && c->pid) {
		until_asleep(c->pid, c->tid);
		assert_int_equal(ended(c, 0), -1);
	}
}

#define WITH_HANDS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
