// SPDX-License-Identifier: MIT
/* Do the threads that main waits for go on as before Stop? And is the consumer in next(), though it runs? */
#include "model_table.h"

#include "model/activity.h"
#include "model/progress.h"

#include <sys/syscall.h>

#define MAIN   100
#define WORKER 101
#define OTHER  102
#define STOP   (1000 * MS)

static struct stop stopped(void)
{
	return (struct stop){.seen = true, .reason = DP_STOP_STOP, .at_ns = STOP};
}

static const struct hold nobody = {0};

static void see(struct progress *p, const struct stop *s, uint64_t ms, uint32_t tid,
		const char *function, const char *file)
{
	struct dp_record r = {
		.h = {.type = DP_REC_STACK, .t_ns = ms * MS, .pid = MAIN, .tid = tid}};

	r.u.stack.is_main = tid == MAIN;
	r.u.stack.state = 'S';
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "%s", function);
	snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "%s", file);
	progress_stack(p, s, &nobody, MAIN, 0, &r);
}

/* Looks at one worker: `before` Stop, then thrice at `after`, 500 ms apart. */
static uint32_t goes_on(const char *before, const char *after)
{
	struct stop none = {0}, s = stopped();
	struct progress p = {0};

	if (before)
		see(&p, &none, 500, WORKER, before, "node.py");
	for (uint64_t ms = 1500; ms <= 2500; ms += 500)
		see(&p, &s, ms, WORKER, after, "node.py");
	return progress_threads_go_on(&p, 2600 * MS);
}

static void test_a_thread_that_goes_on(void **state)
{
	(void)state;
	assert_int_equal(goes_on("loop", "loop"), WORKER);
	assert_int_equal(goes_on("loop", "upload"), 0);
	/* It began after Stop, or nobody looked before. */
	assert_int_equal(goes_on(NULL, "loop"), 0);
}

static void test_all_of_them_have_to(void **state)
{
	struct stop none = {0}, s = stopped();
	struct progress p = {0};

	(void)state;
	assert_int_equal(progress_threads_go_on(&p, 2600 * MS), 0);
	see(&p, &none, 500, WORKER, "loop", "node.py");
	see(&p, &none, 500, OTHER, "serve", "node.py");
	for (uint64_t ms = 1500; ms <= 2500; ms += 500) {
		see(&p, &s, ms, WORKER, "loop", "node.py");
		see(&p, &s, ms, OTHER, ms < 2500 ? "serve" : "flush", "node.py");
	}
	assert_int_equal(progress_threads_go_on(&p, 2600 * MS), 0);
	/* The other one has ended. */
	for (uint64_t ms = 3000; ms <= 4500; ms += 500)
		see(&p, &s, ms, WORKER, "loop", "node.py");
	assert_int_equal(progress_threads_go_on(&p, 4600 * MS), WORKER);
	/* Nobody has looked for a while. */
	assert_int_equal(progress_threads_go_on(&p, 7000 * MS), 0);
}

static void test_main_waits_for_a_thread(void **state)
{
	struct stop none = {0}, s = stopped();
	struct progress p = {0};

	(void)state;
	see(&p, &none, 500, MAIN, "Thread.join", "/usr/lib/python3.11/threading.py");
	see(&p, &s, 1500, MAIN, "Thread.join", "/usr/lib/python3.11/threading.py");
	assert_int_equal(p.joining_ns, 0); /* as before Stop: its handler */
	see(&p, &s, 1600, MAIN, "Thread.join", "/home/x/mine.py");
	assert_int_equal(p.joining_ns, 0);
	see(&p, &s, 1700, MAIN, "Thread._wait_for_tstate_lock", "/usr/lib/python3.11/threading.py");
	assert_int_equal(p.joining_ns, 1700 * MS);
	see(&p, &s, 1800, MAIN, "_wait_for_tstate_lock", "/usr/lib/python3.8/threading.py");
	assert_int_equal(p.joining_ns, 1800 * MS);
}

/* What slept through Stop is a place of before, though the probe came later; what began after it is none. */
static void test_who_slept_through_stop_is_where_it_was(void **state)
{
	struct stop s = stopped();

	(void)state;
	for (int after = 0; after < 2; after++) {
		struct progress p = {0};
		struct dp_record r = {.h = {.type = DP_REC_STACK, .pid = MAIN, .tid = MAIN}};

		r.u.stack.is_main = 1;
		r.u.stack.state = 'S';
		r.u.stack.frame_count = 1;
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "acquire");
		r.h.t_ns = 2500 * MS;
		r.u.stack.asleep_since_ns = after ? 1200 * MS : 400 * MS;
		progress_stack(&p, &s, &nobody, MAIN, 0, &r);
		assert_int_equal(p.before_ns != 0, !after);
		/* A signal has interrupted it. */
		r.h.t_ns = 3500 * MS;
		r.u.stack.asleep_since_ns = 3000 * MS;
		progress_stack(&p, &s, &nobody, MAIN, 0, &r);
		assert_int_equal(p.same_ns, after ? 0 : 3500 * MS);
	}
}

static struct computing beside;

static enum consumer_state state_at(struct activity *a, char state, uint64_t ip,
				    const char *library)
{
	struct dp_record r = {
		.h = {.type = DP_REC_STACK, .t_ns = 5000 * MS, .pid = MAIN, .tid = MAIN}};

	r.u.stack.is_main = 1;
	r.u.stack.state = state;
	r.u.stack.syscall_nr = state == 'S' ? SYS_futex : -1;
	r.u.stack.asleep_since_ns = state == 'S' ? 2000 * MS : 0;
	r.u.stack.ip = ip;
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "main");
	snprintf(r.u.stack.library, DP_LIBRARY_MAX, "%s", library);
	activity_stack(a, &nobody, MAIN, false, &beside, &r);
	return (enum consumer_state)a->state;
}

/* A thread that runs shows no library; the instruction that called next() gives it away. */
static void test_who_polls_on_is_in_next(void **state)
{
	struct activity a = {0};

	(void)state;
	assert_int_equal(state_at(&a, 'R', 7, ""), CONSUMER_RUNNING);
	assert_int_equal(state_at(&a, 'S', 7, "dora.abi3.so"), CONSUMER_NEXT);
	assert_int_equal(state_at(&a, 'R', 7, ""), CONSUMER_POLLING);
	assert_true(a.in_next);
	assert_int_equal(a.running_looks, 0);
	assert_int_equal(state_at(&a, 'R', 9, ""), CONSUMER_RUNNING);
	assert_false(a.in_next);
	assert_int_equal(activity_cause(CONSUMER_POLLING), DP_CAUSE_BUSY_PYTHON);
	assert_int_equal(activity_cause(CONSUMER_RUNNING), DP_CAUSE_RUNNING_WITHOUT_GIL);
}

/* It sleeps in a native call while threads of its process compute: that is no blocked handler. */
static void test_who_waits_for_its_pool_computes(void **state)
{
	struct activity a = {0};

	(void)state;
	/* Nothing is known yet; and never will be, where there are no samples. */
	beside.came_ns = 3000 * MS;
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_UNKNOWN);
	assert_int_equal(state_at(&a, 'S', 7, "libc.so.6"), CONSUMER_BLOCKED);
	beside.came_ns = 1000 * MS;
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_BLOCKED);
	beside = (struct computing){3000 * MS, 4000 * MS, .without_gil = true};
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_POOL);
	/* A lock of Python's own, a sleep: somebody else computes. */
	assert_int_equal(state_at(&a, 'S', 7, "libc.so.6"), CONSUMER_BLOCKED);
	assert_int_equal(state_at(&a, 'S', 7, "libpython3.11.so.1.0"), CONSUMER_BLOCKED);
	assert_int_equal(state_at(&a, 'S', 7, ""), CONSUMER_BLOCKED);
	assert_int_equal(state_at(&a, 'S', 7, "dora.abi3.so"), CONSUMER_NEXT);
	/* Little, as its threads get on a busy machine, or another thread of the process takes. */
	beside.without_gil = false;
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_UNKNOWN);
	assert_int_equal(state_at(&a, 'S', 7, "libc.so.6"), CONSUMER_BLOCKED);
	beside.rests = true;
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_BLOCKED);
	/* It may have been the consumer itself that computed; and long ago. */
	beside = (struct computing){1900 * MS, 4000 * MS, .without_gil = true};
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_UNKNOWN);
	beside = (struct computing){900 * MS, 1900 * MS, .without_gil = true};
	assert_int_equal(state_at(&a, 'S', 7, "libtorch_cpu.so"), CONSUMER_BLOCKED);
	assert_int_equal(activity_cause(CONSUMER_POOL), DP_CAUSE_RUNNING_WITHOUT_GIL);
	beside = (struct computing){0};
}

/* Main in join(): what the thread does that it waits for, which may be the consumer, is not seen. */
static void test_who_joins_may_not_be_the_consumer(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct activity a = {.seen_in_next = how == 1};
		struct dp_record r = {.h = {.type = DP_REC_STACK, .pid = MAIN, .tid = MAIN}};

		beside = (struct computing){3000 * MS, 4000 * MS, .consumer_known = how == 2};
		beside.rests = how == 3;
		r.u.stack.is_main = 1;
		r.u.stack.state = 'S';
		r.u.stack.syscall_nr = SYS_futex;
		r.u.stack.frame_count = 1;
		snprintf(r.u.stack.library, DP_LIBRARY_MAX, "libc.so.6");
		snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX,
			 "Thread._wait_for_tstate_lock");
		snprintf(r.u.stack.frames[0].file, DP_FILE_MAX, "/usr/lib/python3.11/threading.py");
		for (int i = 0; i < 9; i++) {
			r.h.t_ns = 4000 * MS + (uint64_t)i * 100 * MS;
			r.u.stack.asleep_since_ns = 3500 * MS;
			/* Then a signal has taken main out of it. */
			if (i > 6)
				r.u.stack.frames[0].function[0] = 'x';
			activity_stack(&a, &nobody, MAIN, false, &beside, &r);
		}
		assert_int_equal(activity_most(&a, 0, 5000 * MS),
				 how ? CONSUMER_BLOCKED : CONSUMER_UNKNOWN);
	}
	beside = (struct computing){0};
}

/* Main runs in `function`, 600 ms after Stop; the hold that it has is `current`. */
static void runs_in(struct progress *p, const struct hold *current, uint64_t ms)
{
	struct stop s = stopped();
	struct dp_record r = {
		.h = {.type = DP_REC_STACK, .t_ns = ms * MS, .pid = MAIN, .tid = MAIN}};

	r.u.stack.is_main = 1;
	r.u.stack.state = 'R';
	r.u.stack.syscall_nr = -1;
	r.u.stack.frame_count = 1;
	snprintf(r.u.stack.frames[0].function, DP_FUNCTION_MAX, "work");
	progress_stack(p, &s, current, MAIN, 0, &r);
}

/* One native call that was there at Stop: its place is one of before, though nobody had looked. */
static void test_a_call_over_stop_is_a_place_of_before(void **state)
{
	static const struct {
		struct hold hold;
		bool known;
	} rows[] = {
		{{.tid = MAIN, .native.verdict = 1, .proof = {800 * MS, 1600 * MS}}, true},
		{{.tid = MAIN, .native.verdict = 1, .proof = {1100 * MS, 1600 * MS}}, false},
		{{.tid = MAIN, .native.verdict = 0, .proof = {800 * MS, 1600 * MS}}, false},
		{{.tid = MAIN, .native.verdict = 1, .seen_ns = 800 * MS}, false},
		{{.tid = OTHER, .native.verdict = 1, .proof = {800 * MS, 1600 * MS}}, false},
		{{0}, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct progress p = {0};

		runs_in(&p, &rows[i].hold, 1600);
		if ((p.before_ns == STOP) != rows[i].known || !p.other_ns != rows[i].known)
			fail_msg("row %zu", i);
		/* The next call at the same line is the same loop. */
		runs_in(&p, &nobody, 2500);
		if ((p.same_ns == 2500 * MS) != rows[i].known)
			fail_msg("row %zu: the next call", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call_over_stop_is_a_place_of_before),
		cmocka_unit_test(test_a_thread_that_goes_on),
		cmocka_unit_test(test_all_of_them_have_to),
		cmocka_unit_test(test_main_waits_for_a_thread),
		cmocka_unit_test(test_who_slept_through_stop_is_where_it_was),
		cmocka_unit_test(test_who_polls_on_is_in_next),
		cmocka_unit_test(test_who_waits_for_its_pool_computes),
		cmocka_unit_test(test_who_joins_may_not_be_the_consumer),
	};

	return cmocka_run_group_tests_name("model: threads", tests, NULL, NULL);
}
