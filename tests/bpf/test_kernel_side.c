// SPDX-License-Identifier: MIT
/*
 * The kernel side as a whole: a full ring, what stays behind, what its programs cost, missing
 * rights.
 */
#include "process_target.h"

/* ---- the target: does what a word on its control socket says, answers with a number ------ */

/* A ring that is too small: what is lost is counted, and shows as gaps of the same number. */
static void test_ring_overflow(void **state)
{
	struct dp_bpf_options o = {.ring_bytes = 4096};
	uint64_t losses[DP_LOSS_COUNT];
	struct session *s;
	struct target t;

	(void)state;
	assert_int_equal(session_start_with((void **)&s, &o), 0);
	target_start(s, &t);
	ask(&t, "catch");
	drain(s);
	s->used = 0;
	s->gaps = 0;
	/*
	 * Each is told when it is sent and when it is delivered, 56 bytes of the ring; its delivery
	 * is waited for, since one that is pending still takes in the next.
	 */
	for (int i = 0; i < DP_SIGNALS_MAX; i++) {
		kill(t.pid, SIGUSR1);
		ask(&t, "catch");
	}
	ask(&t, "thread");
	drain(s);
	/* One more on each CPU, so that a gap has its end. */
	for (size_t cpu = 0; cpu < (size_t)sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
		kill(t.pid, SIGHUP);
		drain(s);
	}
	drain(s);
	dp_bpf_losses(s->bpf, 1, losses);
	assert_true(losses[DP_LOSS_RING_FULL] > 0);
	assert_int_equal(s->gaps, losses[DP_LOSS_RING_FULL]);
	target_end(s, &t);
	session_stop((void **)&s);
}

/* Entries of a process leave the maps with it. */
static void test_nothing_stays(void **state)
{
	struct session *s = *state;
	struct dp_thread_state ts;
	struct target t;

	target_start(s, &t);
	ask(&t, "thread");
	assert_int_equal(dp_bpf_thread(s->bpf, t.pid, &ts), -ENOENT);
	target_end(s, &t);
	assert_int_equal(dp_bpf_watch(s->bpf, -1, &(struct dp_target){0}), -EINVAL);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		assert_int_equal(dp_bpf_watch(s->bpf, 1000000 + i, &(struct dp_target){0}), 0);
	assert_int_equal(dp_bpf_watch(s->bpf, 999999, &(struct dp_target){0}), -E2BIG);
	for (int i = 0; i < DP_MAX_TARGETS; i++)
		dp_bpf_unwatch(s->bpf, 1000000 + i);
	assert_int_equal(dp_bpf_watch(s->bpf, 999999, &(struct dp_target){0}), 0);
	dp_bpf_unwatch(s->bpf, 999999);
}

static void test_programs_and_stats(void **state)
{
	struct session *s = *state;
	struct dp_bpf_program p[64];
	uint64_t runs = 0, ns = 0;
	uint64_t losses[DP_LOSS_COUNT];
	int n;

	assert_int_equal(dp_bpf_watch(s->bpf, getpid(), &(struct dp_target){0}), 0);
	assert_int_equal(dp_bpf_stats(s->bpf, 1), 0);
	poll(NULL, 0, 300);
	dp_bpf_unwatch(s->bpf, getpid());
	n = dp_bpf_programs(s->bpf, p, 64);
	assert_in_range(n, 10, 64);
	for (int i = 0; i < n; i++) {
		runs += p[i].run_count;
		ns += p[i].run_ns;
	}
	assert_true(runs > 10 && ns > 0);
	assert_int_equal(dp_bpf_stats(s->bpf, 0), 0);
	assert_int_equal(dp_bpf_sources(s->bpf) & ~(1u << DP_SOURCE_SYSCALLS),
			 1u << DP_SOURCE_FUTEX | 1u << DP_SOURCE_SCHED | 1u << DP_SOURCE_CPU_CLOCK |
				 1u << DP_SOURCE_SOCKET | 1u << DP_SOURCE_REGION |
				 1u << DP_SOURCE_SIGNAL | 1u << DP_SOURCE_LIFECYCLE);
	dp_bpf_losses(s->bpf, 1, losses);
	assert_int_equal(losses[DP_LOSS_RING_FULL], 0);
	assert_int_equal(losses[DP_LOSS_MAP_FULL], 0);
}

/* Links to programs that this process holds, by the kernel's own account. */
static unsigned int links_held(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		char path[64], line[256];
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f))
			n += strncmp(line, "link_type:", 10) == 0;
		if (f)
			fclose(f);
	}
	return n;
}

/* Nobody pays while nothing is watched: what tells of new programs alone is left. */
static void test_attached_while_watched(void **state)
{
	struct session *s = *state;
	struct dp_target t = {0};

	dp_bpf_rest(s->bpf);
	assert_int_equal(links_held(), 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dp_bpf_watch(s->bpf, getpid(), &t), 0);
		assert_true(links_held() > 6);
		assert_int_equal(dp_bpf_watch(s->bpf, getppid(), &t), 0);
		dp_bpf_rest(s->bpf);
		dp_bpf_unwatch(s->bpf, getpid());
		assert_true(links_held() > 6);
		dp_bpf_unwatch(s->bpf, getppid());
		assert_int_equal(links_held(), 1);
		/* Of one that is not watched: nothing is counted off. */
		dp_bpf_unwatch(s->bpf, getpid());
	}
}

/* Without rights: said so, with the command that mends it. */
static void test_no_rights(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct dp_bpf_options o = {0};
		struct dp_bpf *b = NULL;
		char why[256] = "";

		if (setgid(65534) || setuid(65534))
			_exit(1);
		if (dp_bpf_open(&o, &b, why, sizeof(why)) != -EPERM || b)
			_exit(2);
		_exit(strstr(why, "CAP_BPF") && strstr(why, "sudo ") ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_nothing_stays),
		cmocka_unit_test(test_programs_and_stats),
		cmocka_unit_test(test_attached_while_watched),
		cmocka_unit_test(test_no_rights),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
