// SPDX-License-Identifier: MIT
/* The guard's hands, on real processes: which thread a signal reaches, and by which way. */
#include <errno.h>
#include <sched.h>

#include "hands_support.h"
#include "skipping.h"

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

	if (geteuid() != 0)
		skip_because("a PID namespace needs root");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HANDS(main_thread_leaves_its_call),
		WITH_HANDS(the_signal_goes_to_the_thread),
		WITH_HANDS(the_older_way_works_and_says_so),
		WITH_HANDS(another_pid_namespace),
		WITH_HANDS(terminate_is_for_the_process),
		WITH_HANDS(leaving_in_between_is_no_failure),
		WITH_HANDS(a_thread_that_ends_in_between),
		WITH_HANDS(self_test_tells_a_missing_right),
		WITH_HANDS(a_long_reason_leaves_room_for_how),
		WITH_HANDS(descriptors_are_given_back),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("hands", tests, NULL, NULL);
}
