// SPDX-License-Identifier: MIT
/* What the guard's hands refuse; the process must not have noticed anything. */
#include <errno.h>
#include <sys/stat.h>

#include "hands_support.h"

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

/* ---- what is refused; the process must not have noticed anything ---- */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_HANDS(what_is_not_as_decided_is_refused),
		WITH_HANDS(an_ignored_signal_is_refused),
		WITH_HANDS(two_probes_do_not_both_act),
		WITH_HANDS(a_lock_directory_that_others_can_write_is_not_used),
		WITH_HANDS(hostile_process_names_do_not_mislead),

	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("hands: refusals", tests, NULL, NULL);
}
