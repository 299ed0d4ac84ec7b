/* SPDX-License-Identifier: MIT */
/*
 * What the tests of commands share: a folder, a running set of hooks, and waiting for what they
 * do.
 */
#ifndef DORA_PROBE_HOOKS_SUPPORT_H
#define DORA_PROBE_HOOKS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "act/doracli.h"
#include "act/hooks.h"

#define UUID "019a8f3e-1111-7222-8333-944455556666"

extern char **environ;

struct state {
	char dir[64];
	char out[96]; /* file that hooks write what they found to */
	struct dp_hooks *h;
	struct dp_hook_facts facts;
	/* of the last answer */
	struct dp_rec_action answer;
	uint32_t pid;
	unsigned int answers;
};

static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

static inline void nap(void)
{
	struct timespec t = {0, 2000000};

	nanosleep(&t, NULL);
}

static inline void done(void *ctx, uint32_t pid, const struct dp_rec_action *a)
{
	struct state *s = ctx;

	s->answer = *a;
	s->pid = pid;
	s->answers++;
	assert_non_null(memchr(a->reason, 0, sizeof(a->reason)));
}

static inline int setup(void **state)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return -1;
	strcpy(s->dir, "/tmp/dp_hooks_XXXXXX");
	/* Another user has to find the way in, too. */
	if (!mkdtemp(s->dir) || chmod(s->dir, 0777))
		return -1;
	snprintf(s->out, sizeof(s->out), "%s/out", s->dir);
	setenv("OUT", s->out, 1);
	dp_hook_facts_begin(&s->facts, 4242);
	*state = s;
	return 0;
}

static inline int teardown(void **state)
{
	struct state *s = *state;
	char command[128];

	dp_hooks_free(s->h);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	if (system(command))
		return -1;
	free(s);
	return 0;
}

static inline void with(struct state *s, const char *command, uint64_t limit_ns)
{
	struct dp_hooks_options o = {
		.on_warning = command, .limit_ns = limit_ns, .environment = environ};

	dp_hooks_free(s->h);
	assert_int_equal(dp_hooks_new(&o, &s->h), 0);
	s->answers = 0;
}

static inline void run(struct state *s)
{
	assert_int_equal(dp_hooks_run(s->h, DP_HOOK_WARNING, &s->facts, now(), &s->answer), 0);
}

/* To its end; only a failing test takes long. No poll may take long, whatever the hook does. */
static inline void wait_for(struct state *s, unsigned int answers)
{
	uint64_t begin = now(), before;

	while (s->answers < answers) {
		before = now();
		dp_hooks_poll(s->h, before, done, s);
		assert_true(now() - before < 500 * MS);
		assert_true(before - begin < 20 * SEC);
		nap();
	}
}

static inline char *contents(const char *path)
{
	static char buf[16384];
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return buf;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
