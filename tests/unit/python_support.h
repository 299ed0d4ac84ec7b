/* SPDX-License-Identifier: MIT */
/*
 * What the tests on real CPythons share: a process that runs tests/unit/python_target.py, what it
 * says of itself, waiting by condition with a deadline.
 */
#ifndef DORA_PROBE_PYTHON_SUPPORT_H
#define DORA_PROBE_PYTHON_SUPPORT_H

#include <libgen.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/array.h"
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

static inline void skip_case(const char *what, const char *why)
{
	printf("SKIP %s: %s\n", what, why);
	skipped++;
}

/* Reads what the target says until it says `last`. */
static inline void hear(struct child *c, struct facts *f, const char *last)
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
static inline struct dp_py *open_python(const struct python *py, pid_t pid)
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
	assert_int_equal(dp_py_info(p)->free_threaded, 0);
	assert_int_equal(dp_py_info(p)->gil_enabled, 1);
	return p;
}

/*
 * The stack of a thread that is on its way into a sleep without end. A stack is several reads: only
 * those of a sleeper are of one moment, so it is read anew once it sleeps.
 */
static inline void stack_of_sleeper(struct dp_py *p, uint32_t tid, struct dp_rec_stack *s)
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

/* Runs them on every Python that is found; main()'s exit code. */
static inline int python_tests(const char *name, const struct CMUnitTest *tests, size_t count)
{
	char self[] = __FILE__;
	int failed;

	if (!realpath(dirname(self), target_path)) {
		fprintf(stderr, "run it from the top of the source tree\n");
		return 1;
	}
	strcat(target_path, "/python_target.py");
	setvbuf(stdout, NULL, _IOLBF, 0);
	pythons_find(&all);
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	printf("python: %u skipped\n", skipped + all.skipped);
	return failed;
}

#endif
