// SPDX-License-Identifier: MIT
/*
 * Real CPythons with a known state: who holds the GIL, seen from outside, must be who they say
 * themselves; which processes are a Python, and which of its runtimes runs.
 */
#include <signal.h>
#include <sys/wait.h>
#include <sys/ptrace.h>

#include "python_support.h"

static int line_of(const char *mark)
{
	char line[512], want[64];
	FILE *f = fopen(target_path, "r");
	int n = 0, found = 0;

	assert_non_null(f);
	snprintf(want, sizeof(want), "# LINE:%s\n", mark);
	while (fgets(line, sizeof(line), f)) {
		n++;
		if (strstr(line, want)) {
			assert_int_equal(found, 0);
			found = n;
		}
	}
	fclose(f);
	assert_true(found > 0);
	return found;
}

/* Looks until the GIL is held by `tid` with a drop request as wanted (2: whatever). */
static void wait_for_holder(struct dp_py *p, uint32_t tid, uint8_t drop, struct dp_rec_look *look)
{
	uint64_t until = now_ns() + DEADLINE_NS;
	uint32_t seen = 0;

	while (now_ns() < until) {
		assert_int_equal(dp_py_look(p, 0, look, &seen), 0);
		if (look->locked == 1 && seen == tid && (drop == 2 || look->drop_request == drop))
			return;
		short_pause();
	}
	fail_msg("%s: holder %u wanted, %u seen, locked %u, drop request %u",
		 dp_py_info(p)->version, tid, seen, look->locked, look->drop_request);
}

static void wait_for_stack(struct dp_py *p, uint32_t tid, const char *function, int line,
			   struct dp_rec_stack *s)
{
	uint64_t until = now_ns() + DEADLINE_NS;

	while (now_ns() < until) {
		if (dp_py_stack(p, (pid_t)tid, s) == 0 && s->frame_count > 0 &&
		    strcmp(s->frames[0].function, function) == 0 && s->frames[0].line == line) {
			assert_string_equal(s->frames[0].file, target_path);
			return;
		}
		short_pause();
	}
	fail_msg("%s: %s:%d wanted, %s (%s:%d) seen, status %d", dp_py_info(p)->version, function,
		 line, s->frames[0].function, s->frames[0].file, s->frames[0].line, s->status);
}

static const char *qualified(const struct python *py, const char *with_class, const char *plain)
{
	return py->minor >= 11 ? with_class : plain;
}

static void finds_a_native_holder(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "native");
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_target t = {0};
		struct dp_py *p;
		uint64_t until;
		int rc;

		hear(&c, &f, "holder");
		p = open_python(py, c.pid);
		assert_int_equal(dp_py_fill_target(p, &t), 1);
		assert_int_equal(t.gil_count, 1);
		assert_int_equal(t.gils[0].interval_us, 5000);
		assert_int_equal(t.has_native_tid, py->minor >= 11);
		assert_int_equal(t.other_pid_ns, 0);
		/* The main thread asks for the GIL after an interval. */
		wait_for_holder(p, f.holder, 1, &look);
		assert_int_not_equal(f.holder, c.pid);
		wait_for_stack(p, f.holder, "hold_native", line_of("hold_native"), &s);
		stack_of_sleeper(p, f.holder, &s);
		assert_int_equal(s.is_main, 0);
		assert_int_equal(s.has_gil_wait, 0);
		assert_true(s.syscall_nr == SYS_clock_nanosleep || s.syscall_nr == SYS_nanosleep);
		wait_for_holder(p, f.holder, 1, &look);
		assert_true(look.frame != 0);
		assert_true(s.frame == look.frame && s.ip == look.ip);
		if (strcmp(f.ctypes, "builtin") == 0)
			printf("  %s: _ctypes is built in, library %s\n", py->version, s.library);
		else
			assert_string_equal(s.library, basename(f.ctypes));
		/* The main thread: Python's main, waiting for this GIL. */
		until = now_ns() + DEADLINE_NS;
		do {
			wait_for_stack(p, (uint32_t)c.pid, "native", line_of("main_wait"), &s);
		} while (!s.has_gil_wait && now_ns() < until);
		assert_int_equal(s.has_gil_wait, 1);
		assert_int_equal(s.is_main, 1);
		assert_int_equal(s.syscall_nr, SYS_futex);
		/* A signal that only the main thread can handle, and it cannot. */
		assert_int_equal(dp_py_signal_pending(p), 0);
		assert_int_equal(kill(c.pid, SIGUSR1), 0);
		while ((rc = dp_py_signal_pending(p)) == 0 && now_ns() < until)
			short_pause();
		assert_int_equal(rc, 1);
		dp_py_close(p);
		stop(&c);
	}
}

static void finds_the_main_thread_holding(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "native_main");
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_py *p;

		hear(&c, &f, "holder");
		p = open_python(py, c.pid);
		assert_int_equal(f.holder, c.pid);
		wait_for_holder(p, f.holder, 0, &look);
		wait_for_stack(p, f.holder, "native_main", line_of("native_main"), &s);
		assert_int_equal(s.is_main, 1);
		dp_py_close(p);
		stop(&c);
	}
}

static void finds_a_spinning_method(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "spin");
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_py *p;

		hear(&c, &f, "holder");
		p = open_python(py, c.pid);
		wait_for_holder(p, f.holder, 0, &look);
		wait_for_stack(p, f.holder, qualified(py, "Spinner.spin", "spin"), line_of("spin"),
			       &s);
		assert_int_equal(s.is_main, 1);
		assert_int_equal(s.frame_count, 3);
		assert_string_equal(s.frames[1].function, "spin");
		assert_string_equal(s.frames[2].function, "<module>");
		dp_py_close(p);
		stop(&c);
	}
}

static void sees_a_free_gil(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "free");
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		uint64_t until = now_ns() + DEADLINE_NS, before, after, took;
		uint32_t tid = 1;
		struct dp_py *p;

		hear(&c, &f, "main");
		p = open_python(py, c.pid);
		do {
			assert_int_equal(dp_py_look(p, 0, &look, &tid), 0);
		} while (look.locked && now_ns() < until);
		assert_int_equal(look.locked, 0);
		assert_int_equal(tid, 0);
		assert_true(look.before_ns != 0 && look.switch_number != 0);
		wait_for_stack(p, f.main, "free", line_of("free"), &s);
		/* On the CPU, on its way into the sleep, it has no library yet. */
		while (!s.library[0] && now_ns() < until)
			assert_int_equal(dp_py_stack(p, (pid_t)f.main, &s), 0);
		assert_int_equal(s.has_gil_wait, 0);
		assert_string_not_equal(s.library, "");
		/* The signal flag of a process without one, and a thread that is not there. */
		assert_int_equal(dp_py_signal_pending(p), 0);
		assert_int_equal(dp_py_stack(p, 1, &s), -ESRCH);
		assert_int_equal(s.status, -ESRCH);
		before = cpu_ns();
		for (int i = 0; i < 1000; i++)
			dp_py_look(p, 0, &look, &tid);
		after = cpu_ns();
		took = (after - before) / 1000;
		/* One read of 32 bytes; a hundred times that means something else is done. */
		assert_true(took < 100000);
		dp_py_close(p);
		stop(&c);
	}
}

static void finds_subinterpreters(void **state)
{
	unsigned int tested = 0;

	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = {-1, NULL};
		struct facts f = {0};
		struct dp_target t = {0};
		struct dp_py *p;

		if (py->minor < 12)
			continue;
		c = start_target(py, target_path, "subinterpreters");
		hear(&c, &f, "ready");
		p = open_python(py, c.pid);
		assert_int_equal(dp_py_fill_target(p, &t), 2);
		assert_true(t.gils[0].addr != 0 && t.gils[1].addr != 0 &&
			    t.gils[0].addr != t.gils[1].addr);
		dp_py_close(p);
		stop(&c);
		tested++;
	}
	if (tested == 0)
		skip_case("subinterpreters", "needs Python 3.12 or later");
}

static void translates_pid_namespaces(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		char *argv[] = {(char *)(uintptr_t)py->path, target_path,
				(char *)(uintptr_t) "native", NULL};
		struct child c;
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_target t = {0};
		struct dp_py *p;
		uint64_t until = now_ns() + DEADLINE_NS;
		uint32_t tid = 0, levels;

		if (geteuid() != 0) {
			skip_case("PID namespaces", "making one needs root");
			return;
		}
		c = start(argv, true);
		if (c.pid < 0) {
			skip_case("PID namespaces", "unshare(CLONE_NEWPID) is refused here");
			stop(&c);
			return;
		}
		hear(&c, &f, "holder");
		p = open_python(py, c.pid);
		while ((look.locked != 1 || tid == 0 || tid == (uint32_t)c.pid) && now_ns() < until)
			assert_int_equal(dp_py_look(p, 0, &look, &tid), 0);
		assert_int_equal(dp_py_fill_target(p, &t), 1);
		assert_int_equal(t.other_pid_ns, 1);
		/* The target says its own number, the look gives ours. */
		assert_int_not_equal(tid, f.holder);
		assert_int_equal(dp_task_inner_tid(c.pid, (pid_t)tid, &f.main, &levels), 0);
		assert_int_equal(f.main, f.holder);
		wait_for_stack(p, tid, "hold_native", line_of("hold_native"), &s);
		dp_py_close(p);
		stop(&c);
	}
}

static void reads_a_deleted_executable(void **state)
{
	char dir[] = "/tmp/dp-python-XXXXXX", copy[256], command[1024];
	const struct python *py = NULL;

	(void)state;
	EACH_PYTHON(candidate)
	{
		if (strncmp(candidate->path, "/usr/bin/", 9) == 0)
			py = candidate;
	}
	if (!py) {
		skip_case("deleted executable", "no python3 in /usr/bin");
		return;
	}
	assert_non_null(mkdtemp(dir));
	snprintf(copy, sizeof(copy), "%s/python3", dir);
	snprintf(command, sizeof(command), "cp %s %s", py->path, copy);
	assert_int_equal(system(command), 0);
	{
		struct python moved = *py;
		struct child c;
		struct facts f = {0};
		struct dp_rec_look look = {0};
		struct dp_py *p;
		char path[256];
		uint64_t offset;

		setenv("PYTHONHOME", "/usr", 1);
		snprintf(moved.path, sizeof(moved.path), "%.200s", copy);
		c = start_target(&moved, target_path, "native_main");
		unsetenv("PYTHONHOME");
		hear(&c, &f, "holder");
		assert_int_equal(unlink(copy), 0);
		assert_int_equal(rmdir(dir), 0);
		p = open_python(py, c.pid);
		wait_for_holder(p, f.holder, 0, &look);
		assert_int_equal(dp_py_cond_signal_site(p, path, sizeof(path), &offset), 0);
		dp_py_close(p);
		stop(&c);
	}
}

/*
 * Stopped right after exec, before the loader has run, a Python is "still starting"; from there on,
 * at any moment, it is starting or there: never "no Python" and never a wrong version.
 */
static void opens_while_it_starts(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		char *argv[] = {(char *)(uintptr_t)py->path, target_path,
				(char *)(uintptr_t) "free", NULL};
		unsigned int again = 0;

		for (int round = 0; round < 5; round++) {
			uint64_t until = now_ns() + DEADLINE_NS;
			struct dp_py *p = NULL;
			struct child c = {fork(), NULL};
			char why[256];
			int rc, status;

			if (c.pid == 0) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				ptrace(PTRACE_TRACEME, 0, NULL, NULL);
				dup2(open("/dev/null", O_WRONLY), 1);
				execv(argv[0], argv);
				_exit(127);
			}
			assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
			assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
			rc = dp_py_open(c.pid, &p, why, sizeof(why));
			if (rc != -EAGAIN || !strstr(why, "still starting"))
				fail_msg("%s: %d %s", py->version, rc, why);
			assert_int_equal(ptrace(PTRACE_DETACH, c.pid, NULL, NULL), 0);
			while ((rc = dp_py_open(c.pid, &p, why, sizeof(why))) == -EAGAIN &&
			       now_ns() < until)
				again++;
			if (rc != 0)
				fail_msg("%s: %d %s", py->version, rc, why);
			assert_string_equal(dp_py_info(p)->version, py->version);
			dp_py_close(p);
			stop(&c);
		}
		printf("  %s: %u more times \"still starting\" in 5 starts\n", py->version, again);
	}
}

/* The shared library of a Python that was built with one; false where there is none. */
static bool shared_library(const struct python *py, char *ret, size_t len)
{
	char copy[4096];

	snprintf(copy, sizeof(copy), "%s", py->path);
	snprintf(ret, len, "%s/lib/libpython3.%u.so.1.0", dirname(dirname(copy)), py->minor);
	return access(ret, R_OK) == 0;
}

/* A library of another Python is loaded beside the one that runs: that one is found all the same. */
static void finds_the_runtime_that_runs(void **state)
{
	char code[] =
		"import ctypes, sys, time; ctypes.CDLL(sys.argv[1]); print('ready', flush=True); time.sleep(600)";
	unsigned int pairs = 0;

	(void)state;
	EACH_PYTHON(py)
	{
		EACH_PYTHON(other)
		{
			char own[4096], library[4096], line[64];
			char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c", code,
					library, NULL};
			struct dp_py *p = NULL;
			struct child c;
			char why[256];
			int rc;

			if (py == other || !shared_library(py, own, sizeof(own)) ||
			    !shared_library(other, library, sizeof(library)))
				continue;
			c = start(argv, true);
			assert_non_null(fgets(line, sizeof(line), c.out));
			rc = dp_py_open(c.pid, &p, why, sizeof(why));
			if (rc != 0)
				fail_msg("%s beside %s: %d %s", py->version, other->version, rc,
					 why);
			assert_string_equal(dp_py_info(p)->version, py->version);
			dp_py_close(p);
			stop(&c);
			pairs++;
		}
	}
	if (!pairs)
		skip_case("two runtimes", "no two Pythons with a shared library here");
}

static void measures_its_cost(void **state)
{
	(void)state;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "native");
		uint64_t before, look_ns, stack_ns, waiter_ns, free_ns, open_ns;
		struct dp_rec_look look = {0};
		struct dp_rec_stack s;
		struct facts f = {0};
		struct dp_py *p;
		uint32_t tid;
		uint8_t words[32];

		hear(&c, &f, "holder");
		before = cpu_ns();
		p = open_python(py, c.pid);
		open_ns = cpu_ns() - before;
		wait_for_holder(p, f.holder, 1, &look);
		before = cpu_ns();
		for (int i = 0; i < 2000; i++)
			dp_py_look(p, 0, &look, &tid);
		look_ns = (cpu_ns() - before) / 2000;
		before = cpu_ns();
		for (int i = 0; i < 2000; i++)
			dp_remote_read(c.pid, p->gil[0].site.addr, words, sizeof(words));
		free_ns = (cpu_ns() - before) / 2000;
		before = cpu_ns();
		for (int i = 0; i < 100; i++)
			dp_py_stack(p, (pid_t)f.holder, &s);
		stack_ns = (cpu_ns() - before) / 100;
		before = cpu_ns();
		for (int i = 0; i < 100; i++)
			dp_py_stack(p, c.pid, &s);
		waiter_ns = (cpu_ns() - before) / 100;
		printf("  %s: open %.0f us; look %.1f us held, %.1f us free; stack %.0f us holder, "
		       "%.0f us waiter\n",
		       py->version, (double)open_ns / 1e3, (double)look_ns / 1e3,
		       (double)free_ns / 1e3, (double)stack_ns / 1e3, (double)waiter_ns / 1e3);
		/* Ten times what is measured on an idle machine: catches a lost cache. */
		assert_true(look_ns < 60000 && stack_ns < 3000000);
		dp_py_close(p);
		stop(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_a_native_holder),
		cmocka_unit_test(finds_the_main_thread_holding),
		cmocka_unit_test(finds_a_spinning_method),
		cmocka_unit_test(sees_a_free_gil),
		cmocka_unit_test(finds_subinterpreters),
		cmocka_unit_test(translates_pid_namespaces),
		cmocka_unit_test(reads_a_deleted_executable),
		cmocka_unit_test(opens_while_it_starts),
		cmocka_unit_test(finds_the_runtime_that_runs),
		cmocka_unit_test(measures_its_cost),
	};

	return python_tests("python", tests, DP_COUNT_OF(tests));
}
