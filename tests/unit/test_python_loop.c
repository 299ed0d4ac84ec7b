// SPDX-License-Identifier: MIT
/*
 * Where the bytecode loop lies, against the truth of a debugger: where a thread that runs nothing but bytecode is found,
 * and where one that is within a native call is.
 */
#include <sys/ptrace.h>
#include <sys/user.h>

#include "python/eval_loop.h"
#include "python_support.h"

#define SAMPLES 60

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
	EACH_PYTHON(py)
	{
		struct child spins = start_target(py, target_path, "spin");
		struct child calls = start_target(py, target_path, "native_main");
		struct facts f = {0};
		unsigned int in, out;
		struct dp_py *p;

		hear(&spins, &f, "holder");
		p = open_python(py, spins.pid);
		assert_true(p->eval[0].to != 0);
		in = samples_in_loop(p, (pid_t)f.holder);
		dp_py_close(p);
		hear(&calls, &f, "holder");
		p = open_python(py, calls.pid);
		out = samples_in_loop(p, (pid_t)f.holder);
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

	return python_tests("python: the bytecode loop", tests, DP_COUNT_OF(tests));
}
