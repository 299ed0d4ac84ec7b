/* SPDX-License-Identifier: MIT */
/*
 * Real CPythons with a known state: what is read from outside must be what they say themselves.
 * The targets run tests/unit/python_target.py. Waiting is by condition with a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dlfcn.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "python/internal.h"
#include "pythons.h"

#define FACTS_MAX 512

/* What a target said of itself. */
struct facts {
	uint32_t holder, main, hog[2], thread[16];
	unsigned int hogs, threads, frames;
	char ctypes[256];
	struct {
		uint32_t tid;
		int line;
		char function[512], file[1024];
	} frame[FACTS_MAX];
};

static struct pythons all;
static unsigned int skipped;
static char target_path[4096];

#define EACH_PYTHON(py)                                                                            \
	for (const struct python *py = all.item; py < all.item + all.count; py++)                  \
		if (supported(py))

static void skip_case(const char *what, const char *why)
{
	printf("SKIP %s: %s\n", what, why);
	skipped++;
}

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

/* Reads what the target says until it says `last`. */
static void hear(struct child *c, struct facts *f, const char *last)
{
	char line[2048];

	while (fgets(line, sizeof(line), c->out)) {
		char *word[5] = {0}, *save = NULL;
		int n = 0;

		line[strcspn(line, "\n")] = '\0';
		for (char *w = strtok_r(line, "\t", &save); w && n < 5;
		     w = strtok_r(NULL, "\t", &save))
			word[n++] = w;
		if (n == 0)
			continue;
		if (strcmp(word[0], "frame") == 0 && f->frames < FACTS_MAX) {
			assert_int_equal(n, 5);
			f->frame[f->frames].tid = (uint32_t)atoi(word[1]);
			f->frame[f->frames].line = atoi(word[2]);
			snprintf(f->frame[f->frames].function, 512, "%s", word[3]);
			snprintf(f->frame[f->frames].file, 1024, "%s", word[4]);
			f->frames++;
		} else if (strcmp(word[0], "holder") == 0) {
			f->holder = (uint32_t)atoi(word[1]);
		} else if (strcmp(word[0], "main") == 0) {
			f->main = (uint32_t)atoi(word[1]);
		} else if (strcmp(word[0], "thread") == 0 && f->threads < 16) {
			f->thread[f->threads++] = (uint32_t)atoi(word[1]);
		} else if (strcmp(word[0], "hog") == 0 && f->hogs < 2) {
			f->hog[f->hogs++] = (uint32_t)atoi(word[1]);
		} else if (strcmp(word[0], "ctypes") == 0) {
			snprintf(f->ctypes, sizeof(f->ctypes), "%s", word[1]);
		}
		if (strcmp(word[0], last) == 0)
			return;
	}
	fail_msg("the target ended before it said '%s'", last);
}

/* A target that may still be starting; the version must be the one it said. */
static struct dp_py *open_python(const struct python *py, pid_t pid)
{
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_py *p = NULL;
	char why[256] = "";
	int rc;

	while ((rc = dp_py_open(pid, &p, why, sizeof(why))) == -EAGAIN && now_ns() < until)
		short_pause();
	if (rc != 0)
		fail_msg("%s (%s): open: %d %s", py->version, py->path, rc, why);
	assert_string_equal(why, "");
	assert_string_equal(dp_py_info(p)->version, py->version);
	assert_string_equal(dp_py_info(p)->implementation, "cpython");
	assert_int_equal(dp_py_info(p)->hexversion >> 16, 3u << 8 | py->minor);
	assert_int_equal(dp_py_info(p)->free_threaded, 0);
	assert_int_equal(dp_py_info(p)->gil_enabled, 1);
	return p;
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

/*
 * The stack of a thread that is on its way into a sleep without end. A stack is several reads: only
 * those of a sleeper are of one moment, so it is read anew once it sleeps.
 */
static void stack_of_sleeper(struct dp_py *p, uint32_t tid, struct dp_rec_stack *s)
{
	uint64_t until = now_ns() + DEADLINE_NS;
	bool sleeps = false;

	while (!sleeps && now_ns() < until) {
		assert_int_equal(dp_py_stack(p, (pid_t)tid, s), 0);
		sleeps = s->state == 'S' &&
			 (s->syscall_nr == SYS_clock_nanosleep || s->syscall_nr == SYS_nanosleep ||
			  s->syscall_nr == SYS_pselect6 || s->syscall_nr == 23);
	}
	if (!sleeps)
		fail_msg("%s: thread %u does not sleep: %c, system call %d", dp_py_info(p)->version,
			 tid, s->state, (int)s->syscall_nr);
	assert_int_equal(dp_py_stack(p, (pid_t)tid, s), 0);
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
		assert_true(s.wait_uaddr >= t.gils[0].addr + t.gils[0].off_cond &&
			    s.wait_uaddr < t.gils[0].addr + t.gils[0].off_cond + 48);
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

static void says_what_is_no_cpython(void **state)
{
	char *sleeper[] = {(char *)(uintptr_t) "/bin/sleep", (char *)(uintptr_t) "600", NULL};
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_py *p = NULL;
	struct dp_rec_stack s;
	char why[256];
	struct child c;
	pid_t gone;
	int rc;

	(void)state;
	c = start(sleeper, false);
	/* Until its exec it is a copy of this very test, which is no CPython for other reasons. */
	while (((rc = dp_py_open(c.pid, &p, why, sizeof(why))) == -EAGAIN ||
		!strstr(why, "no CPython")) &&
	       now_ns() < until)
		short_pause();
	assert_int_equal(rc, -ENOENT);
	assert_non_null(strstr(why, "no CPython"));
	assert_null(p);
	/* Its state is read before its system call: until both are those of the sleep. */
	while (dp_native_stack(c.pid, c.pid, &s) == 0 &&
	       (s.state != 'S' || s.syscall_nr != SYS_clock_nanosleep) && now_ns() < until)
		short_pause();
	assert_int_equal(s.status, 0);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.syscall_nr, SYS_clock_nanosleep);
	assert_int_equal(s.frame_count, 0);
	assert_string_equal(s.comm, "sleep");
	assert_string_equal(s.library, "sleep");
	gone = c.pid;
	stop(&c);
	assert_int_equal(dp_py_open(gone, &p, why, sizeof(why)), -ESRCH);
	assert_int_equal(dp_native_stack(gone, gone, &s), -ESRCH);
	assert_int_equal(dp_py_open(2, &p, why, sizeof(why)), -ENOENT);
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

static void says_that_it_is_too_old(void **state)
{
	unsigned int tested = 0;

	(void)state;
	for (unsigned int i = 0; i < all.count; i++) {
		const struct python *py = &all.item[i];
		char *argv[] = {(char *)(uintptr_t)py->path, (char *)(uintptr_t) "-c",
				(char *)(uintptr_t) "import time\nprint('ready', "
						    "flush=True)\ntime.sleep(600)",
				NULL};
		struct facts f = {0};
		struct dp_py *p = NULL;
		char why[256];
		struct child c;
		int rc;

		if (supported(py) || py->minor > 15)
			continue;
		c = start(argv, false);
		hear(&c, &f, "ready");
		rc = dp_py_open(c.pid, &p, why, sizeof(why));
		assert_int_equal(rc, py->minor == 7 ? -ENOTSUP : -ENOENT);
		assert_non_null(strstr(why, "3.8 to 3.15"));
		stop(&c);
		tested++;
	}
	if (tested == 0)
		skip_case("too old a Python", "none older than 3.8 on this machine");
}

/* The image in memory tells the same as the file, for when no file can be opened. */
static void reads_elf_from_memory(void **state)
{
	static const char *const names[] = {"pthread_cond_signal", "lfind", "getppid", "nice"};
	struct dp_maps maps = {0};
	struct dp_elf_symbol file_sym, memory_sym;
	struct dp_elf file, memory;
	const struct dp_map *libc;
	struct dp_map pathless;

	(void)state;
	assert_int_equal(dp_maps_read(getpid(), &maps), 0);
	libc = dp_maps_find(&maps, (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "lfind"));
	assert_non_null(libc);
	pathless = *libc;
	pathless.path[0] = '\0';
	pathless.end += 4096; /* no such entry in map_files */
	assert_int_equal(dp_elf_open(&file, getpid(), libc), 0);
	assert_int_equal(dp_elf_open(&memory, getpid(), &pathless), 0);
	assert_true(file.fd >= 0 && memory.fd == -1);
	assert_string_equal(memory.path, "");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(dp_elf_dynsym(&file, names[i], &file_sym), 0);
		assert_int_equal(dp_elf_dynsym(&memory, names[i], &memory_sym), 0);
		assert_true(file_sym.value == memory_sym.value && file_sym.size == memory_sym.size);
		assert_true(file_sym.value + file.bias ==
			    (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, names[i]));
	}
	assert_int_equal(dp_elf_dynsym(&memory, "no_such_function", &memory_sym), -ENOENT);
	dp_elf_close(&file);
	dp_elf_close(&memory);
	dp_maps_free(&maps);
}

/* The function that the dynamic loader gives us is the one found in a target's libc. */
static void finds_cond_signal(void **state)
{
	void *fn = dlsym(RTLD_DEFAULT, "pthread_cond_signal");
	struct dp_maps maps = {0};
	const struct dp_map *mine;
	uint64_t file_offset;

	(void)state;
	assert_non_null(fn);
	assert_int_equal(dp_maps_read(getpid(), &maps), 0);
	mine = dp_maps_find(&maps, (uint64_t)(uintptr_t)fn);
	assert_non_null(mine);
	file_offset = (uint64_t)(uintptr_t)fn - mine->start + mine->offset;
	EACH_PYTHON(py)
	{
		struct child c = start_target(py, target_path, "free");
		struct facts f = {0};
		struct stat theirs, ours;
		uint64_t offset = 0;
		struct dp_py *p;
		char path[256];

		hear(&c, &f, "main");
		p = open_python(py, c.pid);
		assert_int_equal(dp_py_cond_signal_site(p, path, sizeof(path), &offset), 0);
		assert_int_equal(stat(path, &theirs), 0);
		assert_int_equal(stat(mine->path, &ours), 0);
		if (theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev)
			assert_int_equal(offset, file_offset);
		else
			skip_case("cond_signal offset", "the target has a libc of its own");
		assert_int_equal(dp_py_cond_signal_site(p, path, 4, &offset), -ENOENT);
		dp_py_close(p);
		stop(&c);
	}
	dp_maps_free(&maps);
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
		cmocka_unit_test(reads_stacks_as_python_does),
		cmocka_unit_test(reads_moving_targets),
		cmocka_unit_test(survives_short_lived_threads),
		cmocka_unit_test(finds_subinterpreters),
		cmocka_unit_test(translates_pid_namespaces),
		cmocka_unit_test(reads_a_deleted_executable),
		cmocka_unit_test(opens_while_it_starts),
		cmocka_unit_test(finds_the_runtime_that_runs),
		cmocka_unit_test(says_what_is_no_cpython),
		cmocka_unit_test(says_when_a_sleep_ends),
		cmocka_unit_test(says_that_it_is_too_old),
		cmocka_unit_test(reads_elf_from_memory),
		cmocka_unit_test(finds_cond_signal),
		cmocka_unit_test(measures_its_cost),
	};
	char self[] = __FILE__;
	int failed;

	if (!realpath(dirname(self), target_path)) {
		fprintf(stderr, "run it from the top of the source tree\n");
		return 1;
	}
	strcat(target_path, "/python_target.py");
	setvbuf(stdout, NULL, _IOLBF, 0);
	pythons_find(&all);
	failed = cmocka_run_group_tests_name("python", tests, NULL, NULL);
	printf("python: %u skipped\n", skipped + all.skipped);
	return failed;
}
