// SPDX-License-Identifier: MIT
/* What the kernel says of a real CPython's GIL, against what the script itself measured. */
#include "gil_script.h"

#include "base/array.h"

static void off_cpu_hold_is_proven(struct fixture *f)
{
	const struct dp_capture *h = NULL;
	const struct dp_gil_span *span;
	uint64_t v[8];
	int found = 0;

	tell(f, "hold 120000", v);
	await(f->s, DP_CAP_GIL_OFFCPU, f->c.pid, 1, 1000);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_OFFCPU, f->c.pid))) {
		span = body(h);
		if (span->to_ns - span->from_ns < 100 * MS)
			continue;
		found++;
		assert_int_equal(h->tid, f->c.pid);
		assert_int_equal(span->preempted, 0);
		/* Inside the truth, and missing little of it. */
		assert_true(span->from_ns >= v[0] && span->to_ns <= v[1]);
		near("sleep begins", span->from_ns, v[0], 2 * MS);
		/*
		 * The sleep lasts that long; the child may get to its clock late. Of a switch back that never
		 * reached its tracepoint the end is sure up to one tick before (came_back() in gil.bpf.h).
		 */
		assert_true(span->from_ns + span->off_ns >= v[0] + 120 * MS);
		assert_true(span->to_ns + 10 * MS >= span->from_ns + span->off_ns);
		assert_true(span->lo_ns <= v[0]);
	}
	assert_int_equal(found, 1);
}

/* What the target is said to have computed before its return was forgotten. */
#define COMPUTED_NS (50 * MS)

/* CPU time of a thread as the programs read it: up to its last tick or switch, not up to now. */
static uint64_t thread_exec_ns(pid_t tid)
{
	unsigned long long ns;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", tid, tid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu", &ns), 1);
	fclose(f);
	return ns;
}

/*
 * As if the switch that brought the thread back had never reached its tracepoint: it computes, and what
 * is known of it says that it sleeps since it began, COMPUTED_NS of CPU time before its CPU time was read.
 */
static uint64_t forget_the_return(struct fixture *f, uint64_t *ret_read_ns, uint64_t *ret_exec_ns)
{
	struct timespec pause = {.tv_nsec = 1 * MS};
	struct dp_thread_state ts;
	uint64_t since = 0;
	int r = -EEXIST, tries = 0;

	*ret_read_ns = 0;
	do {
		nanosleep(&pause, NULL);
		if (dp_bpf_thread(f->s->bpf, f->c.pid, &ts) || ts.off_since_ns ||
		    !ts.run_first_ns || now_ns() < ts.run_first_ns + 2 * COMPUTED_NS)
			continue;
		since = ts.run_first_ns;
		ts.off_since_ns = since;
		ts.run_last_ns = since;
		*ret_read_ns = now_ns();
		ts.off_exec_ns = thread_exec_ns(f->c.pid) - COMPUTED_NS;
		dp_bpf_thread_unfound(f->s->bpf, f->c.pid);
		r = dp_bpf_thread_found(f->s->bpf, f->c.pid, &ts);
	} while (r == -EEXIST && ++tries < 2000);
	assert_int_equal(r, 0);
	*ret_exec_ns = ts.off_exec_ns;
	return since;
}

static void unseen_return_is_told(struct fixture *f)
{
	const struct dp_capture *h = NULL;
	const struct dp_gil_span *span;
	uint64_t v[8], since, read_ns, told, most, exec;

	f->s->used = 0;
	child_tell(&f->c, "spin_ms 1500");
	since = forget_the_return(f, &read_ns, &exec);
	told = now_ns();
	child_numbers(&f->c, v);
	/* What it did not compute until the end: a hypervisor takes the processor away, too. */
	exec = thread_exec_ns(f->c.pid) - exec;
	most = now_ns() - since - exec;
	await(f->s, DP_CAP_GIL_OFFCPU, f->c.pid, 1, 1000);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_OFFCPU, f->c.pid))) {
		span = body(h);
		/* An emulated machine may have lost a sleep of its own that began there. */
		if (span->from_ns == since && h->t_ns >= told)
			break;
	}
	assert_non_null(h);
	assert_true(span->to_ns <= h->t_ns && span->to_ns >= since);
	/* What it has computed is not taken for sleep, but for what the tick has not told yet. */
	assert_in_range(span->off_ns, read_ns - since - COMPUTED_NS - 10 * MS,
			most + on_this_machine(10 * MS));
	assert_true(span->off_ns - (span->to_ns - span->from_ns) <= 10 * MS);
}

static void run_on_cpu_is_seen(struct fixture *f)
{
	const struct dp_capture *h = NULL;
	uint64_t v[8], longest = 0;

	tell(f, "spin 12000000", v);
	/* The next sleep of the thread (reading its next command) says "not held". */
	await(f->s, DP_CAP_GIL_RUN, f->c.pid, 1, 1000);
	drain(f->s);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_RUN, f->c.pid))) {
		const struct dp_gil_span *span = body(h);
		uint64_t from = span->from_ns > v[0] ? span->from_ns : v[0];
		uint64_t to = span->to_ns < v[1] ? span->to_ns : v[1];

		assert_true(span->from_ns <= span->to_ns && span->to_ns <= span->hi_ns);
		assert_true(span->lo_ns < span->from_ns);
		if (to <= from || to - from <= longest)
			continue;
		longest = to - from;
		/* Bounded by looks at the system calls next to it that said "not held". */
		assert_true(span->hi_ns >= v[1] && span->lo_ns <= v[0]);
	}
	/* 49 Hz: the first look up to 20.4 ms after the start, the last as long before the end. */
	assert_true(v[1] - v[0] > 60 * MS);
	assert_true(longest + 45 * MS > v[1] - v[0]);
}

/* One contended hold; gives the number of its releases that were seen, 0 or 1. */
static int contended_wait(struct fixture *f)
{
	const struct dp_capture *h = NULL;
	const struct dp_gil_wait *w = NULL;
	int begins = 0, ends = 0, releases = 0;
	uint64_t v[8], begin_ns = 0;
	pid_t holder;

	f->s->used = 0;
	assert_int_equal(tell(f, "wait 200000", v), 5);
	holder = (pid_t)v[4];
	await(f->s, DP_CAP_GIL_WAIT_END, f->c.pid, 1, 1000);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_WAIT_BEGIN, f->c.pid))) {
		if (h->tid != v[2])
			continue;
		w = body(h);
		begins++;
		begin_ns = w->begin_ns;
		assert_int_equal(w->holder_tid, holder);
		assert_true(begin_ns > v[0] && begin_ns < v[1]);
		/* Said after one switch interval, not at the end. */
		near("wait is said", h->t_ns, begin_ns + 5 * MS, 10 * MS);
	}
	assert_int_equal(begins, 1);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_WAIT_END, f->c.pid))) {
		w = body(h);
		if (h->tid != v[2] || w->begin_ns != begin_ns)
			continue;
		ends++;
		assert_int_equal(w->acquired, 1);
		assert_int_equal(w->holder_tid, h->tid);
		/*
		 * Not before the call is over, whose length is known; its own time after it may be later
		 * than the hand-over, which comes first where the GIL has been asked for.
		 */
		assert_in_range(h->t_ns, v[0] + 200 * MS, v[3]);
	}
	assert_int_equal(ends, 1);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_RELEASE, f->c.pid))) {
		const struct dp_gil_span *span = body(h);

		if (h->tid != (uint32_t)holder || span->to_ns < v[1] - on_this_machine(MS) ||
		    span->to_ns > v[1] + on_this_machine(3 * MS))
			continue;
		releases++;
		assert_true(!span->from_ns || span->from_ns <= v[0]);
	}
	return releases;
}

/*
 * A release is seen by the wake-up of a waiter. Every 5 ms the waiter is awake for a moment to ask
 * for the GIL: whoever releases it just then wakes nobody, which must be rare.
 */
static void contended_wait_is_exact(struct fixture *f)
{
	int releases = 0;

	for (int round = 0; round < 3 && !releases; round++)
		releases = contended_wait(f);
	assert_int_equal(releases, 1);
}

static void hand_over_between_hogs(struct fixture *f)
{
	const struct dp_capture *h = NULL;
	uint64_t v[8];
	int exact = 0, waits = 0;

	tell(f, "hogs 300", v);
	await(f->s, DP_CAP_GIL_WAIT_END, f->c.pid, 20, 1000);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_RELEASE, f->c.pid))) {
		const struct dp_gil_span *span = body(h);

		if (!span->from_ns)
			continue;
		exact++;
		assert_true(span->to_ns - span->from_ns >= DP_RUN_MIN_NS);
	}
	while ((h = next_capture(f->s, h, DP_CAP_GIL_WAIT_END, f->c.pid)))
		waits += ((const struct dp_gil_wait *)body(h))->acquired;
	/* Every 5 ms and something: 60 at most, fewer on a busy machine. */
	assert_in_range(exact, 15, 62);
	assert_in_range(waits, 20, 66);
}

static void test_off_cpu(void **state)
{
	on_each_python(state, off_cpu_hold_is_proven);
}

static void test_unseen_return(void **state)
{
	on_each_python(state, unseen_return_is_told);
}

static void test_run(void **state)
{
	on_each_python(state, run_on_cpu_is_seen);
}

static void test_wait(void **state)
{
	on_each_python(state, contended_wait_is_exact);
}

static void test_hogs(void **state)
{
	on_each_python(state, hand_over_between_hogs);
}

/* The only child of a process. */
static pid_t child_of(pid_t pid)
{
	char path[64], line[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	fclose(f);
	return atoi(line);
}

/* In a container CPython stores tids of its own PID namespace; captures speak of ours. */
static void test_other_pid_namespace(void **state)
{
	const char *argv[] = {
		"/usr/bin/unshare", "--fork", "--pid", NULL, "-u", "-c", script, NULL};
	struct session *s = *state;
	const struct dp_capture *h = NULL;
	struct dp_target t;
	struct python py;
	struct child c;
	uint64_t v[8];
	pid_t pid;
	int holds = 0, begins = 0, ends = 0;

	if (access(argv[0], X_OK))
		skip_because("no unshare");
	any_python(&py);
	argv[3] = py.path;
	child_start(&c, argv);
	child_numbers(&c, v);
	pid = child_of(c.pid);
	assert_int_equal(gil_of(pid, py.version, &t), 0);
	t.other_pid_ns = 1;
	assert_int_equal(dp_bpf_watch(s->bpf, pid, &t), 0);
	s->used = 0;
	child_tell(&c, "wait 100000");
	assert_int_equal(child_numbers(&c, v), 5);
	/* The main thread is number 1 there. */
	assert_int_equal(v[4], 1);
	await(s, DP_CAP_GIL_WAIT_END, pid, 1, 1000);
	while ((h = next_capture(s, h, DP_CAP_GIL_OFFCPU, pid)))
		holds += h->tid == (uint32_t)pid;
	while ((h = next_capture(s, h, DP_CAP_GIL_WAIT_BEGIN, pid)))
		begins += ((const struct dp_gil_wait *)body(h))->holder_tid == (uint32_t)pid;
	/* On a slow machine the other thread waits a second time, for a moment. */
	while ((h = next_capture(s, h, DP_CAP_GIL_WAIT_END, pid))) {
		const struct dp_gil_wait *w = body(h);

		ends += w->holder_tid == h->tid && h->tid != (uint32_t)pid &&
			h->t_ns - w->begin_ns >= 50 * MS;
	}
	assert_int_equal(holds, 1);
	assert_int_equal(begins, 1);
	assert_int_equal(ends, 1);
	child_end(&c);
	drain(s);
	dp_bpf_unwatch(s->bpf, pid);
}

/* Two interpreters with a GIL each: what is held is said of the right one. */
static void test_two_gils(void **state)
{
	static const char two[] = "import sys, threading, time, _interpreters\n"
				  "i = _interpreters.create()\n"
				  "print(1); sys.stdin.readline()\n"
				  "t = threading.Thread(target=_interpreters.exec,\n"
				  "    args=(i, 'sum(range(30_000_000))'))\n"
				  "t.start(); sum(range(30_000_000)); t.join()\n"
				  "print(threading.get_native_id()); sys.stdin.readline()\n";
	static const enum dp_capture_type kinds[] = {DP_CAP_GIL_RUN, DP_CAP_GIL_RELEASE};
	const char *argv[] = {NULL, "-u", "-c", two, NULL};
	unsigned int runs[2] = {0};
	struct session *s = *state;
	const struct dp_capture *h = NULL;
	struct dp_target t;
	struct python py[8];
	struct child c;
	uint64_t v[8], runtime, sub;
	char path[512];

	for (int n = pythons(py, 8); n--;)
		if (!strncmp(py[n].version, "3.13", 4))
			argv[0] = py[n].path;
	if (!argv[0])
		skip_because("no CPython 3.13");
	child_start(&c, argv);
	child_numbers(&c, v);
	assert_int_equal(gil_of(c.pid, "3.13", &t), 0);
	/* The newest interpreter is the head of the list (cpython 3.13, _PyRuntime + 632). */
	runtime = symbol_in(c.pid, "_PyRuntime", "python", path, NULL);
	sub = peek(c.pid, runtime + 632);
	t.gils[1] = t.gils[0];
	t.gils[1].addr = peek(c.pid, sub + 16);
	t.gil_count = 2;
	assert_true(t.gils[1].addr != t.gils[0].addr);
	assert_int_equal(dp_bpf_watch(s->bpf, c.pid, &t), 0);
	s->used = 0;
	child_tell(&c, "go");
	child_numbers(&c, v);
	child_end(&c);
	drain(s);
	/* The second thread ends in the main interpreter: where it comes there before the first is
	 * through, the first one's release is told instead of its run. */
	for (size_t i = 0; i < DP_COUNT_OF(kinds); i++) {
		for (h = NULL; (h = next_capture(s, h, (int)kinds[i], c.pid));) {
			const struct dp_gil_span *span = body(h);

			if (!span->from_ns || span->to_ns - span->from_ns < 50 * MS)
				continue;
			assert_in_range(span->gil, 0, 1);
			assert_int_equal(h->tid == v[0], span->gil == 0);
			runs[span->gil]++;
		}
	}
	assert_true(runs[0] >= 1 && runs[1] >= 1);
	dp_bpf_unwatch(s->bpf, c.pid);
}

static void test_nothing_of_strangers(void **state)
{
	struct session *s = *state;
	const char *argv[] = {NULL, "-u", "-c", script, NULL};
	struct dp_target t;
	struct python py;
	struct child c;
	uint64_t v[8];

	any_python(&py);
	argv[0] = py.path;
	child_start(&c, argv);
	child_numbers(&c, v);
	assert_int_equal(gil_of(c.pid, py.version, &t), 0);
	drain(s);
	s->used = 0;
	/* Watched and forgotten again: not a capture, not an entry. */
	assert_int_equal(dp_bpf_watch(s->bpf, c.pid, &t), 0);
	dp_bpf_unwatch(s->bpf, c.pid);
	drain(s);
	s->used = 0;
	child_tell(&c, "hold 50000");
	child_numbers(&c, v);
	child_tell(&c, "wait 50000");
	child_numbers(&c, v);
	child_end(&c);
	drain(s);
	assert_int_equal(s->used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off_cpu),
		cmocka_unit_test(test_unseen_return),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_hogs),
		cmocka_unit_test(test_nothing_of_strangers),
		cmocka_unit_test(test_other_pid_namespace),
		cmocka_unit_test(test_two_gils),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
