// SPDX-License-Identifier: MIT
/*
 * Stacks of real CPythons: what is read from outside must be what they say themselves; until when
 * a thread sleeps.
 */
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

#include "python_support.h"

/* What is shown of text that is too long or not printable. */
static bool shown_as(const char *shown, const char *truth, size_t cap)
{
	size_t len = strlen(truth), shown_len = strlen(shown);

	if (len < cap)
		return strcmp(shown, truth) == 0;
	return shown_len < cap && shown_len > cap / 2 && strncmp(shown, "...", 3) == 0 &&
	       strcmp(shown + 3, truth + len - (shown_len - 3)) == 0;
}

static void compare_stack(const struct python *py, const struct facts *f, uint32_t tid,
			  const struct dp_rec_stack *s)
{
	unsigned int at = 0;

	for (unsigned int i = 0; i < f->frames && at < DP_FRAMES_MAX; i++) {
		const struct dp_frame *got = &s->frames[at];

		if (f->frame[i].tid != tid)
			continue;
		if (at >= s->frame_count || got->line != f->frame[i].line ||
		    !shown_as(got->function, f->frame[i].function, DP_FUNCTION_MAX) ||
		    !shown_as(got->file, f->frame[i].file, DP_FILE_MAX))
			fail_msg("%s, frame %u of %u: %s (%s:%d), CPython says %s (%s:%d)",
				 py->version, at, s->frame_count, got->function, got->file,
				 got->line, f->frame[i].function, f->frame[i].file,
				 f->frame[i].line);
		at++;
	}
	assert_int_equal(at, s->frame_count);
}

static void reads_stacks_as_python_does(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "stacks");
		static struct facts f;
		struct dp_rec_stack s;
		unsigned int hostile = 0, cut = 0;
		struct dp_py *p;

		f = (struct facts){0};
		hear(&c, &f, "ready");
		p = open_python(py, c.pid);
		assert_int_equal(f.threads, 11);
		for (unsigned int i = 0; i < f.threads; i++) {
			/* block() says its stack and then sleeps in the same line. */
			stack_of_sleeper(p, f.thread[i], &s);
			compare_stack(py, &f, f.thread[i], &s);
			for (unsigned int k = 0; k < s.frame_count; k++) {
				for (const char *ch = s.frames[k].file; *ch; ch++)
					assert_true((unsigned char)*ch >= 0x20 && *ch != 0x7f);
				hostile += strcmp(s.frames[k].file, "a?[31m??b??c?") == 0;
				cut += strncmp(s.frames[k].file, ".../directory", 13) == 0;
			}
		}
		assert_int_equal(hostile, 1);
		assert_int_equal(cut, 1);
		dp_py_close(p);
		stop(&c);
	}
}

static bool one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

/* Two threads that never rest: every answer must be one that can be true. */
static void reads_moving_targets(void **state)
{
	static const char *const hog_functions[] = {"hog_leaf",
						    "hog",
						    "run",
						    "_bootstrap_inner",
						    "_bootstrap",
						    "Thread.run",
						    "Thread._bootstrap_inner",
						    "Thread._bootstrap",
						    NULL};

	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "hogs");
		unsigned int held = 0, named = 0, both[2] = {0}, full = 0;
		uint64_t until = now_ns() + DEADLINE_NS;
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_py *p;
		uint32_t tid;

		hear(&c, &f, "ready");
		while (f.hogs < 2)
			hear(&c, &f, "hog");
		p = open_python(py, c.pid);
		for (int i = 0; i < 2; i++)
			do {
				s.frame_count = 0;
				dp_py_stack(p, (pid_t)f.hog[i], &s);
			} while ((s.frame_count == 0 ||
				  !one_of(s.frames[0].function, hog_functions)) &&
				 now_ns() < until);
		for (int i = 0; i < 3000; i++) {
			assert_int_equal(dp_py_look(p, 0, &look, &tid), 0);
			assert_true(look.locked <= 1);
			held += look.locked;
			named += tid != 0;
			assert_true(tid == 0 || tid == f.hog[0] || tid == f.hog[1] ||
				    tid == (uint32_t)c.pid);
			both[0] += tid == f.hog[0];
			both[1] += tid == f.hog[1];
			if (i % 10 != 0)
				continue;
			if (dp_py_stack(p, (pid_t)f.hog[i / 10 % 2], &s) != 0)
				continue;
			for (unsigned int k = 0; k < s.frame_count; k++)
				if (!one_of(s.frames[k].function, hog_functions))
					fail_msg("%s: %s (%s:%d) is not of this stack", py->version,
						 s.frames[k].function, s.frames[k].file,
						 s.frames[k].line);
			full += s.frame_count >= 4;
		}
		printf("  %s: %u of 3000 looks held, %u named; %u of 300 stacks whole\n",
		       py->version, held, named, full);
		assert_true(held > 500 && named > held * 9 / 10 && both[0] > 0 && both[1] > 0);
		assert_true(full > 150);
		dp_py_close(p);
		stop(&c);
	}
}

/* Thread states appear and vanish while they are walked: no error but "not there". */
static void survives_short_lived_threads(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "short_lived");
		struct dp_rec_stack s;
		struct facts f = {0};
		unsigned int main_seen = 0;
		struct dp_py *p;

		hear(&c, &f, "ready");
		p = open_python(py, c.pid);
		for (int i = 0; i < 300; i++) {
			int rc = dp_py_stack(p, c.pid, &s);

			assert_true(rc == 0 || rc == -EFAULT);
			if (rc == 0 && s.frame_count > 0 && s.is_main &&
			    strcmp(s.frames[s.frame_count - 1].function, "<module>") == 0)
				main_seen++;
		}
		assert_true(main_seen > 200);
		dp_py_close(p);
		stop(&c);
	}
}

/* One thread that waits in `call`, and what is read of it. */
static struct dp_rec_stack stack_in(void (*call)(void))
{
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_rec_stack s = {0};
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		call();
		_exit(0);
	}
	/* Until it sleeps in its call. */
	while (dp_native_stack(pid, pid, &s) == 0 && (s.state != 'S' || s.syscall_nr < 0) &&
	       now_ns() < until)
		short_pause();
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(s.state, 'S');
	return s;
}

static void in_nanosleep(void)
{
	struct timespec t = {.tv_sec = 71, .tv_nsec = 5};

	syscall(SYS_nanosleep, &t, NULL);
}

static void in_usleep(void)
{
	usleep(72000000);
}

static void sleep_until(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_sec += 73;
	clock_nanosleep(clock, TIMER_ABSTIME, &t, NULL);
}

static void in_monotonic(void)
{
	sleep_until(CLOCK_MONOTONIC);
}

static void in_realtime(void)
{
	sleep_until(CLOCK_REALTIME);
}

static void in_poll(void)
{
	poll(NULL, 0, 74000);
}

static void in_select(void)
{
	struct timeval t = {.tv_sec = 75, .tv_usec = 1};

	select(0, NULL, NULL, NULL, &t);
}

static void in_poll_of_a_pipe(void)
{
	struct pollfd p = {.events = POLLIN};
	int fds[2];

	if (pipe(fds) == 0) {
		p.fd = fds[0];
		poll(&p, 1, 76000);
	}
}

static void in_select_of_a_pipe(void)
{
	struct timeval t = {.tv_sec = 77};
	fd_set set;
	int fds[2];

	FD_ZERO(&set);
	if (pipe(fds) == 0) {
		FD_SET(fds[0], &set);
		select(fds[0] + 1, &set, NULL, NULL, &t);
	}
}

static void says_when_a_sleep_ends(void **state)
{
	const uint64_t second = 1000000000;
	void (*const with_limit[])(void) = {in_poll_of_a_pipe, in_select_of_a_pipe};
	void (*const until[])(void) = {in_monotonic, in_realtime};

	(void)state;
	assert_int_equal(stack_in(in_nanosleep).sleep_ns, 71 * second + 5);
	assert_int_equal(stack_in(in_usleep).sleep_ns, 72 * second);
	assert_int_equal(stack_in(in_poll).sleep_ns, 74 * second);
	assert_true(stack_in(in_select).sleep_ns / 1000 == 75 * second / 1000 + 1);
	for (size_t i = 0; i < 2; i++) {
		uint64_t from = now_ns() + 73 * second;
		struct dp_rec_stack s = stack_in(until[i]);

		assert_int_equal(s.sleep_ns, 0);
		assert_in_range(s.sleep_until_ns, from, now_ns() + 73 * second);
	}
	/* Something may end these sooner. */
	for (size_t i = 0; i < 2; i++) {
		struct dp_rec_stack s = stack_in(with_limit[i]);

		assert_int_equal(s.sleep_ns, 0);
		assert_int_equal(s.sleep_until_ns, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_stacks_as_python_does),
		cmocka_unit_test(reads_moving_targets),
		cmocka_unit_test(survives_short_lived_threads),
		cmocka_unit_test(says_when_a_sleep_ends),

	};

	return python_tests("python: stacks", tests, DP_COUNT_OF(tests));
}
