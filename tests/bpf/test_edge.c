// SPDX-License-Identifier: MIT
/*
 * The edge source (a uprobe on pthread_cond_signal) on a real CPython, against what the script
 * itself measured.
 */
#include <stdbool.h>

#include "gil_script.h"

static void await_armed(struct fixture *f)
{
	uint64_t until = now_ns() + 5000 * MS;
	int r;

	while (!(r = dp_bpf_armed(f->s->bpf, f->c.pid)) && now_ns() < until)
		poll(NULL, 0, 1);
	assert_int_equal(r, 1);
}

static void edge_gives_exact_holds(struct fixture *f)
{
	struct dp_edge_state e;
	char libc[512];
	uint64_t offset = 0, v[8], t0, call, armed, disarmed;
	const struct dp_capture *h = NULL;
	int found = 0;

	assert_true(symbol_in(f->c.pid, "pthread_cond_signal", "/libc.so", libc, &offset));
	tell(f, "tid", v);
	f->s->used = 0;
	t0 = now_ns();
	assert_int_equal(dp_bpf_arm(f->s->bpf, f->c.pid, libc, offset, NULL), 0);
	call = now_ns() - t0;
	await_armed(f);
	armed = now_ns() - t0;
	assert_int_equal(dp_bpf_arm(f->s->bpf, f->c.pid, libc, offset, NULL), -EALREADY);
	assert_true(dp_bpf_sources(f->s->bpf) & 1u << DP_SOURCE_EDGE);
	assert_int_equal(dp_bpf_edge(f->s->bpf, f->c.pid, 0, &e), 0);
	assert_true(e.armed_ns >= t0);
	tell(f, "hold 30000", v);
	await(f->s, DP_CAP_GIL_EDGE_HOLD, f->c.pid, 1, 1000);
	drain(f->s);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_EDGE_HOLD, f->c.pid))) {
		const struct dp_gil_span *span = body(h);

		/*
		 * Holds before and after the call are told too where they last long: what the script does to
		 * answer takes an emulated processor some milliseconds.
		 */
		if (!span->from_ns || span->to_ns < v[1] || span->from_ns >= v[1])
			continue;
		found++;
		/* Taken between the two times that the script told around its system call, and so let go of. */
		assert_in_range(span->from_ns, v[2], v[0]);
		assert_in_range(span->to_ns, v[1], v[3]);
		/* It slept; what a busy machine adds on either side is on the CPU. */
		assert_true(span->off_ns > (span->to_ns - span->from_ns) / 2);
		assert_true(span->off_ns <= span->to_ns - span->from_ns);
	}
	assert_int_equal(found, 1);

	/* A thousand releases a second, each of a microsecond: every one is counted, none a hold.
	 */
	assert_int_equal(dp_bpf_edge(f->s->bpf, f->c.pid, 0, &e), 0);
	t0 = e.releases;
	f->s->used = 0;
	tell(f, "loop 200", v);
	drain(f->s);
	assert_int_equal(dp_bpf_edge(f->s->bpf, f->c.pid, 0, &e), 0);
	assert_true(e.releases - t0 >= v[0] && e.releases - t0 <= v[0] + 20);
	while ((h = next_capture(f->s, h, DP_CAP_GIL_EDGE_HOLD, f->c.pid))) {
		const struct dp_gil_span *span = body(h);

		assert_true(span->to_ns - span->from_ns - span->off_ns < on_this_machine(20 * MS));
	}

	t0 = now_ns();
	dp_bpf_disarm(f->s->bpf, f->c.pid);
	disarmed = now_ns() - t0;
	assert_int_equal(dp_bpf_edge(f->s->bpf, f->c.pid, 0, &e), -ENOENT);
	assert_false(dp_bpf_sources(f->s->bpf) & 1u << DP_SOURCE_EDGE);
	/* The loop must not stand still for what the kernel takes. */
	assert_true(call < on_this_machine(5 * MS) && disarmed < on_this_machine(5 * MS));
	print_message("    arm: %.2f ms, in force after %.1f; disarm: %.2f ms\n",
		      (double)call / 1e6, (double)armed / 1e6, (double)disarmed / 1e6);
}

/* Armed in the middle of a hold: the release is exact, the take is said to be older. */
static void edge_armed_within_a_hold(struct fixture *f)
{
	const struct dp_capture *h;
	const struct dp_gil_span *span;
	struct timespec pause = {.tv_nsec = 60 * 1000 * 1000};
	struct dp_thread_state ts;
	char libc[512];
	uint64_t offset = 0, v[8];

	assert_true(symbol_in(f->c.pid, "pthread_cond_signal", "/libc.so", libc, &offset));
	f->s->used = 0;
	child_tell(&f->c, "hold 500000");
	nanosleep(&pause, NULL);
	assert_int_equal(dp_bpf_thread(f->s->bpf, f->c.pid, &ts), 0);
	assert_true(ts.run_first_ns && ts.off_since_ns && !ts.off_runnable);
	assert_int_equal(dp_bpf_arm(f->s->bpf, f->c.pid, libc, offset, NULL), 0);
	await_armed(f);
	child_numbers(&f->c, v);
	await(f->s, DP_CAP_GIL_EDGE_HOLD, f->c.pid, 1, 1000);
	h = next_capture(f->s, NULL, DP_CAP_GIL_EDGE_HOLD, f->c.pid);
	assert_non_null(h);
	span = body(h);
	assert_int_equal(span->from_ns, 0);
	near("release", span->to_ns, v[1], MS);
	dp_bpf_disarm(f->s->bpf, f->c.pid);
}

/* The executable mapping of a library of the process, by a part of its name. */
static bool code_of(pid_t pid, const char *part, struct dp_code_range *ret)
{
	char path[64], line[512], perms[8];
	unsigned long long from, to;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (!found && fgets(line, sizeof(line), f))
		if (strstr(line, part) && sscanf(line, "%llx-%llx %7s", &from, &to, perms) == 3 &&
		    perms[2] == 'x') {
			*ret = (struct dp_code_range){from, to};
			found = true;
		}
	fclose(f);
	return found;
}

/* By whose code the GIL is let go: a library's alone, here that of ctypes in dora's place, is noted. */
static void release_by_a_library_is_noted(struct fixture *f)
{
	struct dp_thread_state ts;
	uint64_t offset = 0, v[8];
	char libc[512];

	if (!code_of(f->c.pid, "/_ctypes.", &f->t.dora)) {
		print_message("    SKIP: ctypes is no library of its own\n");
		return;
	}
	assert_int_equal(dp_bpf_watch(f->s->bpf, f->c.pid, &f->t), 0);
	assert_true(symbol_in(f->c.pid, "pthread_cond_signal", "/libc.so", libc, &offset));
	assert_int_equal(dp_bpf_arm(f->s->bpf, f->c.pid, libc, offset, NULL), 0);
	await_armed(f);
	tell(f, "loop 50", v);
	assert_int_equal(dp_bpf_thread(f->s->bpf, f->c.pid, &ts), 0);
	assert_int_equal(ts.polled_ns, 0);
	tell(f, "foreign", v);
	assert_int_equal(dp_bpf_thread(f->s->bpf, f->c.pid, &ts), 0);
	assert_in_range(ts.polled_ns, v[0], v[1]);
	dp_bpf_disarm(f->s->bpf, f->c.pid);
}

static void test_edge_by_library(void **state)
{
	on_each_python(state, release_by_a_library_is_noted);
}

static void test_edge(void **state)
{
	on_each_python(state, edge_gives_exact_holds);
}

static void test_edge_within(void **state)
{
	on_each_python(state, edge_armed_within_a_hold);
}

/* Disarmed while the kernel is still attaching; failures are told; the slot is free again. */
static void test_edge_in_a_hurry(void **state)
{
	struct session *s = *state;
	struct dp_target t = {.gil_count = 1};
	char libc[512];
	uint64_t offset = 0;

	assert_true(symbol_in(getpid(), "pthread_cond_signal", "/libc.so", libc, &offset));
	assert_int_equal(dp_bpf_arm(s->bpf, getpid(), libc, offset, NULL), -ENOENT);
	assert_int_equal(dp_bpf_watch(s->bpf, getpid(), &t), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(dp_bpf_arm(s->bpf, getpid(), libc, offset, NULL), 0);
		dp_bpf_disarm(s->bpf, getpid());
		assert_int_equal(dp_bpf_armed(s->bpf, getpid()), -ENOENT);
	}
	assert_int_equal(dp_bpf_arm(s->bpf, getpid(), "/nowhere", offset, NULL), 0);
	for (int i = 0; i < 1000 && !dp_bpf_armed(s->bpf, getpid()); i++)
		poll(NULL, 0, 1);
	assert_int_equal(dp_bpf_armed(s->bpf, getpid()), -ENOENT);
	dp_bpf_unwatch(s->bpf, getpid());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edge),
		cmocka_unit_test(test_edge_within),
		cmocka_unit_test(test_edge_by_library),
		cmocka_unit_test(test_edge_in_a_hurry),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
