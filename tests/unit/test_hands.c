// SPDX-License-Identifier: MIT
/* The guard's hands, on real processes: Pythons that hold the GIL in a blocking call. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

static uint64_t start_time_of(pid_t pid)
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
static struct child python(const char *program)
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
static long syscall_of(pid_t pid, pid_t tid)
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

static void until_asleep(pid_t pid, pid_t tid)
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
static int ended(struct child *c, int timeout_ms)
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

static void finish(struct child *c)
{
	if (c->pid) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	close(c->out);
	close(c->in);
}

static struct dp_request nudge(const struct child *c, int sig)
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

static int still(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
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

static int not_any_more(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
{
	(void)ctx;
	(void)pid;
	(void)tid;
	snprintf(why, len, "the GIL is free");
	return 0;
}

static int cannot_tell(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
{
	(void)ctx;
	(void)pid;
	(void)tid;
	(void)why;
	(void)len;
	return -EFAULT;
}

/* A look during which the process leaves. */
static int dies_meanwhile(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
{
	struct child *c = ctx;

	(void)tid;
	(void)why;
	(void)len;
	kill(pid, SIGKILL);
	assert_true(ended(c, WAIT_MS) >= 0);
	return 1;
}

/* A look during which the thread, not its process, leaves. */
static int thread_ends_meanwhile(void *ctx, pid_t pid, pid_t tid, char *why, size_t len)
{
	struct child *c = ctx;
	struct timespec ms = {0, 1000000};
	char path[64];
	int i;

	(void)why;
	(void)len;
	assert_int_equal(write(c->in, "x", 1), 1);
	snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
	for (i = 0; i < WAIT_MS && access(path, F_OK) == 0; i++)
		nanosleep(&ms, NULL);
	assert_int_not_equal(access(path, F_OK), 0);
	return 1;
}

/* Hands from options that are gone, and other ones in their place, when this returns. */
static int new_hands(const struct state *s, int no_thread_pidfd, struct dp_hands **ret)
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

static int setup(void **state)
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

static unsigned int files_in(const char *dir)
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

static int teardown(void **state)
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

/* ---- what works ---- */

static void main_thread_leaves_its_call(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);
	struct dp_rec_action a;
	int looks = 0, status;

	until_asleep(c.pid, c.tid);
	assert_int_equal(dp_hands_aim(s->h, c.pid, c.start_time, c.tid), 0);
	dp_hands_act(s->h, &q, still, &looks, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	assert_int_equal(a.action, DP_ACTION_NUDGE);
	assert_int_equal(a.signal, SIGINT);
	assert_int_equal(a.attempt, 1);
	assert_int_equal(looks, 1);
	assert_non_null(strstr(a.reason, "because of a test; by t"));
	status = ended(&c, WAIT_MS);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	finish(&c);
}

static void free_the_thread(struct state *s, struct child *c, const char *how)
{
	struct dp_request q = nudge(c, SIGUSR1);
	struct dp_rec_action a;
	int status;

	until_asleep(c->pid, c->tid);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	if (!strstr(a.reason, how))
		fail_msg("not %s: %s", how, a.reason);
	status = ended(c, WAIT_MS);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

static void the_signal_goes_to_the_thread(void **state)
{
	struct child c = python(THREAD_HOLDS);
	int fd = (int)syscall(SYS_pidfd_open, c.tid, O_EXCL);

	if (fd >= 0)
		close(fd);
	else
		print_message("this kernel has no pidfds of threads\n");
	assert_int_not_equal(c.tid, c.pid);
	free_the_thread(*state, &c, fd >= 0 ? "by thread pidfd" : "by tgkill");
	finish(&c);
}

static void the_older_way_works_and_says_so(void **state)
{
	struct state *s = *state;
	struct child c = python(THREAD_HOLDS);

	dp_hands_free(s->h);
	assert_int_equal(new_hands(s, 1, &s->h), 0);
	free_the_thread(s, &c, "by tgkill (no thread pidfd before Linux 6.9)");
	finish(&c);
}

static void another_pid_namespace(void **state)
{
	struct state *s = *state;
	struct child c = {.out = -1, .in = -1};
	int out[2], report[2];
	pid_t helper;
	char line[16] = "";
	DIR *d;
	struct dirent *e;
	char path[64];

	if (geteuid() != 0) {
		print_message("skipped: a PID namespace needs root\n");
		skip();
	}
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(report), 0);
	helper = fork();
	if (helper == 0) {
		pid_t inner;
		int status;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWPID))
			_exit(125);
		inner = fork();
		if (inner == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			dup2(out[1], 1);
			execl(PYTHON, "python3", "-S", "-c", THREAD_HOLDS, (char *)NULL);
			_exit(126);
		}
		if (write(report[1], &inner, sizeof(inner)) != sizeof(inner))
			_exit(124);
		waitpid(inner, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 123);
	}
	assert_int_equal(read(report[0], &c.pid, sizeof(c.pid)), sizeof(c.pid));
	assert_true(read(out[0], line, sizeof(line) - 1) > 0);
	assert_true(atoi(line) < 10); /* its own name for the thread, in there */
	snprintf(path, sizeof(path), "/proc/%d/task", (int)c.pid);
	d = opendir(path);
	assert_non_null(d);
	while ((e = readdir(d)))
		if (atoi(e->d_name) > 1 && atoi(e->d_name) != c.pid)
			c.tid = atoi(e->d_name);
	closedir(d);
	c.start_time = start_time_of(c.pid);
	{
		struct dp_request q = nudge(&c, SIGUSR1);
		struct dp_rec_action a;
		int status;

		until_asleep(c.pid, c.tid);
		dp_hands_act(s->h, &q, still, NULL, &a);
		assert_int_equal(a.result, DP_RESULT_SENT);
		assert_int_equal(waitpid(helper, &status, 0), helper);
		assert_int_equal(WEXITSTATUS(status), 42);
	}
	close(out[0]);
	close(out[1]);
	close(report[0]);
	close(report[1]);
}

static void terminate_is_for_the_process(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGTERM);
	struct dp_rec_action a;
	int status;

	until_asleep(c.pid, c.tid);
	q.action = DP_ACTION_TERMINATE;
	q.tid = 0;
	/* No other signal passes for it. */
	q.signal = SIGINT;
	dp_hands_act(s->h, &q, NULL, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_REFUSED);
	q.signal = SIGTERM;
	dp_hands_act(s->h, &q, NULL, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	assert_int_equal(a.action, DP_ACTION_TERMINATE);
	status = ended(&c, WAIT_MS);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGTERM);
	finish(&c);
}

/* ---- what is refused; the process must not have noticed anything ---- */

static void refused(struct state *s, struct child *c, const struct dp_request *q,
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

static void what_is_not_as_decided_is_refused(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS), other = python(MAIN_HOLDS);
	struct dp_request q;
	struct dp_rec_action a;

	until_asleep(c.pid, c.tid);
	until_asleep(other.pid, other.tid);

	/* The pid has passed to another process: the start time is not the one we knew. */
	q = nudge(&c, SIGINT);
	q.start_time--;
	refused(s, &c, &q, still, NULL, "has left, or its pid has passed to another");
	q.start_time = 0;
	refused(s, &c, &q, still, NULL, "has left");
	assert_int_equal(dp_hands_aim(s->h, c.pid, c.start_time + 1, c.tid), -ESRCH);

	/* A thread that is not its own, or does not exist. */
	q = nudge(&c, SIGINT);
	q.tid = (uint32_t)other.tid;
	refused(s, &c, &q, still, NULL, "is not this process's");
	assert_int_equal(ended(&other, 0), -1);
	q.tid = 4194305; /* above the largest possible one (PID_MAX_LIMIT) */
	refused(s, &c, &q, still, NULL, "is not this process's");
	q.tid = 0;
	refused(s, &c, &q, still, NULL, "is not this process's");
	assert_true(dp_hands_aim(s->h, c.pid, c.start_time, other.tid) < 0);

	/* Signals that are never sent; one that it does not catch. */
	q = nudge(&c, SIGKILL);
	refused(s, &c, &q, still, NULL, "never sent");
	q = nudge(&c, SIGSTOP);
	refused(s, &c, &q, still, NULL, "never sent");
	q = nudge(&c, 65);
	refused(s, &c, &q, still, NULL, "never sent");
	q = nudge(&c, 0);
	refused(s, &c, &q, still, NULL, "never sent");
	q = nudge(&c, SIGUSR2);
	refused(s, &c, &q, still, NULL, "does not catch signal 12");

	/* Ourselves, init, no request for a signal, no look. */
	q = nudge(&c, SIGINT);
	q.pid = (uint32_t)getpid();
	refused(s, &c, &q, still, NULL, "has left");
	q.pid = 1;
	refused(s, &c, &q, still, NULL, "has left");
	q = nudge(&c, SIGINT);
	q.action = DP_ACTION_HOOK;
	refused(s, &c, &q, still, NULL, "not a request");
	q = nudge(&c, SIGINT);
	q.type = DP_REQ_READ_STACK;
	refused(s, &c, &q, still, NULL, "not a request");
	q = nudge(&c, SIGINT);
	refused(s, &c, &q, NULL, NULL, "not a request");

	/* The second look says that it is over, or cannot tell. */
	refused(s, &c, &q, not_any_more, NULL, "the GIL is free");
	refused(s, &c, &q, cannot_tell, NULL, "second look failed: Bad address");

	/* After all that the way is still open. */
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	assert_true(WIFEXITED(ended(&c, WAIT_MS)));
	assert_int_equal(ended(&other, 0), -1);
	finish(&c);
	finish(&other);
}

static void an_ignored_signal_is_refused(void **state)
{
	struct state *s = *state;
	struct child c = python("import signal\n"
				"signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
				"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);

	until_asleep(c.pid, c.tid);
	refused(s, &c, &q, still, NULL, "does not catch signal 2");
	q = nudge(&c, SIGTERM);
	q.action = DP_ACTION_TERMINATE;
	refused(s, &c, &q, NULL, NULL, "ignores signal 15");
	finish(&c);
}

static void leaving_in_between_is_no_failure(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);

	until_asleep(c.pid, c.tid);
	refused(s, NULL, &q, dies_meanwhile, &c, "has left");
	/* And long gone. */
	refused(s, NULL, &q, still, NULL, "has left");
	assert_int_equal(dp_hands_aim(s->h, (pid_t)q.pid, q.start_time, (pid_t)q.tid), -ESRCH);
	finish(&c);

	/* The same without pidfds of threads. */
	dp_hands_free(s->h);
	assert_int_equal(new_hands(s, 1, &s->h), 0);
	c = python(MAIN_HOLDS);
	q = nudge(&c, SIGINT);
	until_asleep(c.pid, c.tid);
	refused(s, NULL, &q, dies_meanwhile, &c, "has left");
	finish(&c);
}

static void a_thread_that_ends_in_between(void **state)
{
	struct state *s = *state;
	struct child c = python("import os, threading, signal\n"
				"signal.signal(signal.SIGUSR1, lambda *a: os._exit(9))\n"
				"def wait():\n"
				"    os.write(1, b'%d\\n' % threading.get_native_id())\n"
				"    os.read(0, 1)\n"
				"threading.Thread(target=wait).start()\n"
				"import time\n"
				"time.sleep(600)\n");
	struct dp_request q = nudge(&c, SIGUSR1);

	refused(s, NULL, &q, thread_ends_meanwhile, &c, "has left");
	assert_int_equal(ended(&c, 100), -1);
	finish(&c);
}

static void two_probes_do_not_both_act(void **state)
{
	struct state *s = *state;
	struct child c = python("import signal\nsignal.signal(2, lambda *a: None)\n" THREAD_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);
	struct dp_hands *second;
	struct dp_rec_action a;
	char holder[32];
	int ready[2];
	pid_t pid;
	char b = 0;

	/* Its main thread: a nudge there changes nothing, so that it lives through this test. */
	q.tid = (uint32_t)c.pid;
	assert_int_equal(new_hands(s, 0, &second), 0);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	assert_int_equal(files_in(s->dir), 1);
	dp_hands_act(second, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_REFUSED);
	snprintf(holder, sizeof(holder), "another dora-probe, pid %d ", (int)getpid());
	assert_non_null(strstr(a.reason, holder));
	/* Once the first lets go, the second may. */
	dp_hands_forget(s->h, c.pid);
	assert_int_equal(files_in(s->dir), 0);
	dp_hands_act(second, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_REFUSED);
	dp_hands_free(second);

	/* A probe that was killed holds nothing; its file stays and means nothing. */
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct dp_rec_action mine;
		struct dp_hands *third;

		if (!new_hands(s, 0, &third)) {
			dp_hands_act(third, &q, still, NULL, &mine);
			b = (char)mine.result;
			if (write(ready[1], &b, 1) == 1)
				pause();
		}
		_exit(1);
	}
	assert_int_equal(read(ready[0], &b, 1), 1);
	assert_int_equal(b, DP_RESULT_SENT);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_REFUSED);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(files_in(s->dir), 1);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	close(ready[0]);
	close(ready[1]);
	finish(&c);
}

static void a_lock_directory_that_others_can_write_is_not_used(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);
	struct dp_rec_action a;
	char path[128], name[192];

	until_asleep(c.pid, c.tid);
	assert_int_equal(chmod(s->dir, 0777), 0);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_FAILED);
	assert_non_null(strstr(a.reason, "mend it with: install -d -m 755"));
	assert_int_equal(chmod(s->dir, 0755), 0);

	/* A link in place of the lock, or of the directory, is not followed. */
	snprintf(path, sizeof(path), "%s/elsewhere", s->dir);
	snprintf(name, sizeof(name), "%s/%d-%llu.lock", s->dir, (int)c.pid,
		 (unsigned long long)c.start_time);
	assert_int_equal(symlink(path, name), 0);
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_FAILED);
	assert_int_not_equal(access(path, F_OK), 0);
	unlink(name);
	assert_int_equal(ended(&c, 0), -1);
	finish(&c);
}

static void hostile_process_names_do_not_mislead(void **state)
{
	struct state *s = *state;
	int ready[2];
	struct child c = {.out = -1, .in = -1};
	char b, why[128];

	assert_int_equal(pipe(ready), 0);
	c.pid = fork();
	if (c.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, ") Z 1 1 (\nSig", 0, 0, 0);
		if (write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &b, 1), 1);
	c.tid = c.pid;
	c.start_time = start_time_of(c.pid);
	assert_int_equal(dp_hands_self_test(s->h, c.pid, c.start_time, why, sizeof(why)), 0);
	assert_int_equal(dp_hands_aim(s->h, c.pid, c.start_time, c.tid), 0);
	kill(c.pid, SIGKILL);
	waitpid(c.pid, NULL, 0);
	assert_int_equal(dp_hands_self_test(s->h, c.pid, c.start_time, why, sizeof(why)), -ESRCH);
	close(ready[0]);
	close(ready[1]);
}

static void self_test_tells_a_missing_right(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);
	char why[256];
	int status;
	pid_t pid;

	assert_int_equal(dp_hands_self_test(s->h, c.pid, c.start_time, why, sizeof(why)), 0);
	assert_int_equal(dp_hands_self_test(s->h, c.pid, c.start_time + 1, why, sizeof(why)),
			 -ESRCH);
	assert_int_equal(dp_hands_self_test(s->h, c.pid, c.start_time, why, sizeof(why)), 0);
	if (geteuid() != 0) {
		print_message("skipped in part: another user's process needs root to be made\n");
	} else {
		until_asleep(c.pid, c.tid);
		pid = fork();
		if (pid == 0) {
			struct dp_hands_options o = {.lock_dir = "/tmp/dp_hands_nobody"};
			struct dp_rec_action a;
			struct dp_hands *h;

			if (setuid(65534) || dp_hands_new(&o, &h))
				_exit(10);
			if (dp_hands_self_test(h, c.pid, c.start_time, why, sizeof(why)) != -EPERM)
				_exit(11);
			/* The whole set: setcap replaces what the file had. */
			if (!strstr(why, "setcap cap_bpf,") ||
			    !strstr(why, "cap_kill+ep dora-probe"))
				_exit(12);
			dp_hands_act(h, &q, still, NULL, &a);
			if (a.result != DP_RESULT_FAILED || !strstr(a.reason, "not permitted"))
				_exit(13);
			dp_hands_free(h);
			rmdir(o.lock_dir);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 0);
		assert_int_equal(ended(&c, 0), -1);
	}
	finish(&c);
}

static void a_long_reason_leaves_room_for_how(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	struct dp_request q = nudge(&c, SIGINT);
	struct dp_rec_action a;

	until_asleep(c.pid, c.tid);
	memset(q.reason, 'x', sizeof(q.reason)); /* not even ended by NUL */
	dp_hands_act(s->h, &q, still, NULL, &a);
	assert_int_equal(a.result, DP_RESULT_SENT);
	assert_non_null(memchr(a.reason, 0, sizeof(a.reason)));
	assert_non_null(strstr(a.reason, "xxx; by t"));
	assert_true(ended(&c, WAIT_MS) >= 0);
	finish(&c);
}

static void descriptors_are_given_back(void **state)
{
	struct state *s = *state;
	struct child c = python(MAIN_HOLDS);
	unsigned int before = files_in("/proc/self/fd"), i;
	DIR *d;
	struct dirent *e;

	/* More threads than slots: init's are not ours, so only failures; then the same one often.
	 */
	for (i = 0; i < 100; i++) {
		assert_int_equal(dp_hands_aim(s->h, c.pid, c.start_time, c.tid), 0);
		assert_true(dp_hands_aim(s->h, c.pid, c.start_time, 2 + (pid_t)i % 3) < 0);
	}
	assert_true(files_in("/proc/self/fd") <= before + 2);
	dp_hands_forget(s->h, c.pid);
	assert_int_equal(files_in("/proc/self/fd"), before);
	d = opendir("/proc/self/task");
	assert_non_null(d);
	while ((e = readdir(d)))
		assert_true(dp_hands_aim(s->h, getpid(), start_time_of(getpid()),
					 atoi(e->d_name)) == -EINVAL);
	closedir(d);
	finish(&c);
}

#define WITH_HANDS(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HANDS(main_thread_leaves_its_call),
		WITH_HANDS(the_signal_goes_to_the_thread),
		WITH_HANDS(the_older_way_works_and_says_so),
		WITH_HANDS(another_pid_namespace),
		WITH_HANDS(terminate_is_for_the_process),
		WITH_HANDS(what_is_not_as_decided_is_refused),
		WITH_HANDS(an_ignored_signal_is_refused),
		WITH_HANDS(leaving_in_between_is_no_failure),
		WITH_HANDS(a_thread_that_ends_in_between),
		WITH_HANDS(two_probes_do_not_both_act),
		WITH_HANDS(a_lock_directory_that_others_can_write_is_not_used),
		WITH_HANDS(hostile_process_names_do_not_mislead),
		WITH_HANDS(self_test_tells_a_missing_right),
		WITH_HANDS(a_long_reason_leaves_room_for_how),
		WITH_HANDS(descriptors_are_given_back),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}
