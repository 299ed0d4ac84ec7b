/* SPDX-License-Identifier: MIT */
/*
 * Where the bytecode loop lies, against the truth of a debugger: where a thread that runs nothing but bytecode is found,
 * and where one that is within a native call is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <libgen.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "python/eval_loop.h"
#include "pythons.h"

#define SAMPLES 60

static struct pythons all;
static char target_path[4096];

/* The tid that the target says after "holder". */
static pid_t hear_holder(struct child *c)
{
	char line[512];
	int tid;

	while (fgets(line, sizeof(line), c->out))
		if (sscanf(line, "holder %d", &tid) == 1)
			return tid;
	fail_msg("the target ended before it said its holder");
	return 0;
}

static struct dp_py *open_python(pid_t pid)
{
	uint64_t until = now_ns() + DEADLINE_NS;
	struct dp_py *p = NULL;
	char why[256] = "";
	int rc;

	while ((rc = dp_py_open(pid, &p, why, sizeof(why))) == -EAGAIN && now_ns() < until)
		short_pause();
	if (rc != 0)
		fail_msg("%d: %s", rc, why);
	return p;
}

/* Where the thread is when a debugger stops it. */
static uint64_t stopped_at(pid_t tid)
{
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};
	int status;

	assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
	assert_int_equal(waitpid(tid, &status, __WALL), tid);
	assert_int_equal(ptrace(PTRACE_GETREGSET, tid, (void *)1 /* NT_PRSTATUS */, &iov), 0);
	assert_int_equal(ptrace(PTRACE_CONT, tid, NULL, NULL), 0);
#ifdef __x86_64__
	return regs.rip;
#else
	return regs.pc;
#endif
}

/* How many of SAMPLES find the thread in the loop. */
static unsigned int samples_in_loop(const struct dp_py *p, pid_t tid)
{
	unsigned int in = 0;

	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t pc = stopped_at(tid);

		for (int k = 0; k < DP_EVAL_RANGES; k++)
			in += pc >= p->eval[k].from && pc < p->eval[k].to;
		short_pause();
	}
	return in;
}

static void test_loop_is_where_bytecode_runs(void **state)
{
	(void)state;
	for (const struct python *py = all.item; py < all.item + all.count; py++) {
		struct child spins, calls;
		struct dp_py *p;
		unsigned int in, out;
		pid_t tid;

		if (!supported(py))
			continue;
		spins = start_target(py, target_path, "spin");
		calls = start_target(py, target_path, "native_main");
		tid = hear_holder(&spins);
		p = open_python(spins.pid);
		assert_true(p->eval[0].to != 0);
		in = samples_in_loop(p, tid);
		dp_py_close(p);
		tid = hear_holder(&calls);
		p = open_python(calls.pid);
		out = samples_in_loop(p, tid);
		dp_py_close(p);
		stop(&spins);
		stop(&calls);
		printf("  %s: bytecode %u of %d in the loop, a native call %u\n", py->version, in,
		       SAMPLES, out);
		/* A loop looks at signals and the clock now and then, in functions of its own. */
		assert_true(in >= SAMPLES * 9 / 10);
		assert_int_equal(out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_loop_is_where_bytecode_runs)};
	char self[] = __FILE__;
	int failed;

	snprintf(target_path, sizeof(target_path), "%s/python_target.py", dirname(self));
	pythons_find(&all);
	failed = cmocka_run_group_tests_name("the bytecode loop", tests, NULL, NULL);
	if (all.skipped)
		printf("pythons: %u skipped\n", all.skipped);
	return failed != 0;
}
