// SPDX-License-Identifier: MIT
/* Hooks: real commands that behave badly, and what they find around them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "hooks_support.h"

/* ---- what a hook finds around it ---- */

static void no_descriptor_is_inherited(void **state)
{
	struct state *s = *state;
	int secret = open("/etc/hostname", O_RDONLY), high;
	unsigned int count = 0;
	char *lines, *line;

	/* Without O_CLOEXEC, low and high. */
	assert_true(secret >= 0);
	high = fcntl(secret, F_DUPFD, 500);
	assert_true(high >= 500);
	with(s,
	     "for f in /proc/$$/fd/*; do readlink $f; done > \"$OUT\"; "
	     "readlink /proc/$$/fd/0 >> \"$OUT\"",
	     0);
	run(s);
	wait_for(s, 1);
	close(secret);
	close(high);
	/* Input from nowhere, output into our pipe or the file; the shell has saved the pipe as 10.
	 */
	lines = contents(s->out);
	assert_memory_equal(lines, "/dev/null\n", 10);
	for (line = strtok(lines, "\n"); line; line = strtok(NULL, "\n"), count++)
		if (strcmp(line, "/dev/null") != 0 && strcmp(line, s->out) != 0 &&
		    strncmp(line, "pipe:[", 6) != 0)
			fail_msg("inherited: %s", line);
	assert_in_range(count, 4, 6);
}

static void no_right_is_inherited(void **state)
{
	struct state *s = *state;
	char *status;

	with(s,
	     "grep -E '^(Cap|NoNew|SigBlk|SigIgn)' /proc/self/status > $OUT; "
	     "cut -d' ' -f6 /proc/self/stat >> $OUT; echo $$ >> $OUT; pwd >> $OUT",
	     0);
	run(s);
	wait_for(s, 1);
	status = contents(s->out);
	assert_non_null(strstr(status, "CapInh:\t0000000000000000\n"));
	assert_non_null(strstr(status, "CapPrm:\t0000000000000000\n"));
	assert_non_null(strstr(status, "CapEff:\t0000000000000000\n"));
	assert_non_null(strstr(status, "CapAmb:\t0000000000000000\n"));
	if (geteuid() == 0)
		assert_non_null(strstr(status, "CapBnd:\t0000000000000000\n"));
	assert_non_null(strstr(status, "NoNewPrivs:\t1\n"));
	/* Even a program of another user with the setuid bit gives nothing; and its own session. */
	{
		char *line = strrchr(status, '\t');
		int session = 0, sh = -1;

		assert_non_null(line);
		line = strchr(line, '\n');
		assert_non_null(line);
		assert_int_equal(sscanf(line, "%d %d", &session, &sh), 2);
		assert_int_equal(session, sh);
		assert_int_not_equal(session, getsid(0));
		assert_non_null(strstr(line, "\n/\n"));
	}
}

static void signals_are_as_new(void **state)
{
	struct state *s = *state;
	sigset_t block, old;

	signal(SIGINT, SIG_IGN);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &old);
	with(s, "kill -INT $$; exit 7", 0);
	run(s);
	wait_for(s, 1);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGINT, SIG_DFL);
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_non_null(strstr(s->answer.reason, "--on-warning: ended by SIGINT after"));
}

/* ---- bad behaviour ---- */

static void failing_and_missing_hooks(void **state)
{
	struct state *s = *state;

	with(s, "echo it broke >&2; printf 'more\\033[2J'; exit 3", 0);
	run(s);
	wait_for(s, 1);
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_non_null(strstr(s->answer.reason, "exit code 3 after"));
	assert_non_null(strstr(s->answer.reason, ": it broke more [2J"));

	with(s, "/nonexistent/hook", 0);
	run(s);
	wait_for(s, 1);
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_non_null(strstr(s->answer.reason, "exit code 127 after"));
	assert_non_null(strstr(s->answer.reason, "/nonexistent/hook"));

	/* None configured: nothing is run, nothing to answer. */
	assert_int_equal(dp_hooks_run(s->h, DP_HOOK_ACTION, &s->facts, now(), &s->answer), -ENOENT);
}

static int alive(pid_t pid)
{
	char path[64], *p, buf[512] = "";
	FILE *f;

	/* A zombie that nobody has reaped yet is dead. */
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(buf, sizeof(buf), f))
		buf[0] = '\0';
	fclose(f);
	p = strrchr(buf, ')');
	return p && p[2] != 'Z' && p[2] != 'X';
}

static void assert_dies(pid_t pid)
{
	uint64_t begin = now();

	assert_true(pid > 1);
	while (alive(pid)) {
		assert_true(now() - begin < 20 * SEC);
		nap();
	}
}

static void until_written(struct state *s)
{
	uint64_t begin = now();
	struct stat st;

	while (stat(s->out, &st) || st.st_size == 0) {
		dp_hooks_poll(s->h, begin, done, s);
		assert_true(now() - begin < 20 * SEC);
		nap();
	}
}

static void a_hook_that_hangs_is_killed_with_its_children(void **state)
{
	struct state *s = *state;
	uint64_t begin;

	with(s, "trap '' TERM INT; sleep 600 & echo $! > $OUT.new; mv $OUT.new $OUT; wait",
	     5 * SEC);
	begin = now();
	run(s);
	until_written(s);
	/* Not a moment before its limit, by the caller's clock. */
	dp_hooks_poll(s->h, begin + 4 * SEC, done, s);
	nap();
	assert_int_equal(dp_hooks_poll(s->h, begin + 4 * SEC, done, s), 1);
	assert_int_equal(s->answers, 0);
	while (!s->answers) {
		dp_hooks_poll(s->h, begin + 6 * SEC, done, s);
		assert_true(now() - begin < 20 * SEC);
		nap();
	}
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_non_null(strstr(s->answer.reason, "killed at its time limit, after 5.9"));
	assert_dies(atoi(contents(s->out)));
}

static void what_a_hook_leaves_behind_ends_with_it(void **state)
{
	struct state *s = *state;

	with(s, "sleep 600 & echo $! > $OUT", 0);
	run(s);
	wait_for(s, 1);
	assert_int_equal(s->answer.result, DP_RESULT_SENT);
	assert_dies(atoi(contents(s->out)));
}

static void a_hook_that_floods_is_bounded(void **state)
{
	struct state *s = *state;

	with(s, "yes flood", 300 * MS);
	run(s);
	wait_for(s, 1);
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_non_null(strstr(s->answer.reason, "killed at its time limit"));
	assert_non_null(strstr(s->answer.reason, ": flood flood"));
	assert_true(strlen(s->answer.reason) < DP_REASON_MAX);
	/* A flood that ends by itself is no failure. */
	with(s, "head -c 3000000 /dev/zero; exit 0", 0);
	run(s);
	wait_for(s, 1);
	assert_int_equal(s->answer.result, DP_RESULT_SENT);
}

static void only_so_many_run_at_once(void **state)
{
	struct state *s = *state;
	unsigned int i;
	uint64_t begin = now();

	with(s, "sleep 600", 0);
	for (i = 0; i < DP_HOOKS_RUNNING_MAX; i++)
		run(s);
	assert_int_equal(dp_hooks_run(s->h, DP_HOOK_WARNING, &s->facts, now(), &s->answer), -EBUSY);
	assert_int_equal(s->answer.result, DP_RESULT_FAILED);
	assert_string_equal(s->answer.reason, "--on-warning: not run: 4 hooks are running already");
	assert_int_equal(dp_hooks_poll(s->h, now(), done, s), DP_HOOKS_RUNNING_MAX);
	/* Starting and polling has not waited for any of them; neither does giving them up. */
	dp_hooks_free(s->h);
	s->h = NULL;
	assert_true(now() - begin < 5 * SEC);
}

static void a_hook_dies_with_the_probe(void **state)
{
	struct state *s = *state;
	pid_t probe, hook;
	int status;

	with(s, "echo $$ > $OUT.new; mv $OUT.new $OUT; exec sleep 600", 0);
	/* So that we inherit it, and can see its end. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	probe = fork();
	if (probe == 0) {
		if (dp_hooks_run(s->h, DP_HOOK_WARNING, &s->facts, now(), &s->answer))
			_exit(1);
		pause();
		_exit(1);
	}
	until_written(s);
	hook = atoi(contents(s->out));
	assert_true(alive(hook));
	kill(probe, SIGKILL);
	assert_int_equal(waitpid(probe, &status, 0), probe);
	assert_int_equal(waitpid(hook, &status, 0), hook);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* Its mv may still have been there: ours to reap now. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void the_probe_keeps_its_descriptors(void **state)
{
	struct state *s = *state;
	int first = dup(0), i, last;

	close(first);
	with(s, "exit 1", 0);
	for (i = 0; i < 20; i++) {
		run(s);
		wait_for(s, (unsigned int)i + 1);
	}
	last = dup(0);
	close(last);
	assert_int_equal(first, last);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left unreaped */
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_descriptor_is_inherited),
		T(no_right_is_inherited),
		T(signals_are_as_new),
		T(failing_and_missing_hooks),
		T(a_hook_that_hangs_is_killed_with_its_children),
		T(what_a_hook_leaves_behind_ends_with_it),
		T(a_hook_that_floods_is_bounded),
		T(only_so_many_run_at_once),
		T(a_hook_dies_with_the_probe),
		T(the_probe_keeps_its_descriptors),

	};

	return cmocka_run_group_tests_name("hooks", tests, NULL, NULL);
}
