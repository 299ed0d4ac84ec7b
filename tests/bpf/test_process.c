// SPDX-License-Identifier: MIT
/* Regions, signals, and the lives of processes, as a watched child of this test makes them. */
#include <sys/mount.h>
#include <sys/stat.h>

#include "process_target.h"

/* ---- the target: does what a word on its control socket says, answers with a number ------ */

/* The next region capture is this; returns it. */
static const void *expect_region(struct session *s, const void *after, struct target *t, int kind,
				 uint64_t addr)
{
	const struct dp_capture *h = next_capture(s, after, DP_CAP_REGION, t->pid);
	const struct dp_region_op *r;

	assert_non_null(h);
	r = body(h);
	assert_int_equal(r->kind, kind);
	assert_string_equal(r->name, REGION);
	assert_true(r->addr == addr);
	assert_int_equal(h->tid, t->pid);
	return h;
}

/* None after `after`; what there is instead is printed. */
static void expect_no_region(struct session *s, const void *after, struct target *t)
{
	const struct dp_capture *h = next_capture(s, after, DP_CAP_REGION, t->pid);
	const struct dp_region_op *r = h ? body(h) : NULL;

	if (r)
		fail_msg("a region nobody asked for: kind %d, %.*s at %llx, tid %u", r->kind,
			 (int)sizeof(r->name), r->name, (unsigned long long)r->addr, h->tid);
}

static int regions_by_calls(const struct session *s)
{
	const char *forced = getenv("DORA_PROBE_SOURCES");

	return forced && !strcmp(forced, "syscalls") &&
	       dp_bpf_sources(s->bpf) & 1u << DP_SOURCE_SYSCALLS;
}

static void test_regions(void **state)
{
	static const char *const how[] = {"open", "openat2"};
	struct session *s = *state;
	struct target t;
	const void *h;
	uint64_t addr;

	target_start(s, &t);
	addr = ask(&t, "create");
	drain(s);
	h = expect_region(s, NULL, &t, DP_REGION_CREATED, 0);
	expect_no_region(s, h, &t);
	s->used = 0;
	ask(&t, "unmap");
	drain(s);
	expect_region(s, NULL, &t, DP_REGION_UNMAPPED, addr);
	for (int i = 0; i < 2; i++) {
		s->used = 0;
		addr = ask(&t, how[i]);
		ask(&t, "unmap");
		drain(s);
		h = expect_region(s, NULL, &t, DP_REGION_MAPPED, addr);
		h = expect_region(s, h, &t, DP_REGION_UNMAPPED, addr);
		expect_no_region(s, h, &t);
	}
	s->used = 0;
	ask(&t, "badmap");
	drain(s);
	expect_no_region(s, NULL, &t);
	ask(&t, "unlink");
	drain(s);
	/*
	 * No tracepoint tells of it, and nothing needs it where the owner has unmapped before. An older
	 * kernel's regions come by calls without being asked to.
	 */
	h = regions_by_calls(s) || next_capture(s, NULL, DP_CAP_REGION, t.pid)
		    ? expect_region(s, NULL, &t, DP_REGION_UNLINKED, 0)
		    : NULL;
	expect_no_region(s, h, &t);
	s->used = 0;
	ask(&t, "others");
	drain(s);
	expect_no_region(s, NULL, &t);
	target_end(s, &t);
}

/* A process whose regions are left alone: what it maps meanwhile is not told, nor that it goes later. */
static void test_regions_left_alone(void **state)
{
	struct dp_target w = {.resting = 1u << DP_SOURCE_REGION};
	struct session *s = *state;
	struct target t;
	const void *h;
	uint64_t addr;

	target_start(s, &t);
	ask(&t, "create");
	ask(&t, "unmap");
	assert_int_equal(dp_bpf_watch(s->bpf, t.pid, &w), 0);
	drain(s);
	s->used = 0;
	ask(&t, "open");
	ask(&t, "unmap");
	ask(&t, "open");
	drain(s);
	expect_no_region(s, NULL, &t);
	w.resting = 0;
	assert_int_equal(dp_bpf_watch(s->bpf, t.pid, &w), 0);
	ask(&t, "unmap");
	drain(s);
	expect_no_region(s, NULL, &t);
	addr = ask(&t, "open");
	ask(&t, "unmap");
	drain(s);
	h = expect_region(s, NULL, &t, DP_REGION_MAPPED, addr);
	expect_region(s, h, &t, DP_REGION_UNMAPPED, addr);
	ask(&t, "unlink");
	target_end(s, &t);
}

/* A region that was mapped before the probe came. */
static void test_region_marked_by_the_agent(void **state)
{
	struct session *s = *state;
	struct target t;
	uint64_t addr;

	target_start(s, &t);
	dp_bpf_unwatch(s->bpf, t.pid);
	addr = ask(&t, "create");
	assert_int_equal(dp_bpf_watch(s->bpf, t.pid, &(struct dp_target){0}), 0);
	assert_int_equal(dp_bpf_mark_region(s->bpf, t.pid, addr, REGION), 0);
	assert_int_equal(
		dp_bpf_mark_region(s->bpf, t.pid, addr, "0123456789012345678901234567890123"),
		-ENAMETOOLONG);
	drain(s);
	s->used = 0;
	ask(&t, "unmap");
	drain(s);
	expect_region(s, NULL, &t, DP_REGION_UNMAPPED, addr);
	target_end(s, &t);
}

static const struct dp_signal_op *expect_signal(struct session *s, struct target *t, int kind,
						int sig, uint64_t *ret_t)
{
	const struct dp_capture *h = NULL;

	while ((h = next_capture(s, h, DP_CAP_SIGNAL, t->pid))) {
		const struct dp_signal_op *op = body(h);

		if (op->kind == kind && op->signal == sig) {
			*ret_t = h->t_ns;
			return op;
		}
	}
	fail_msg("signal %d, kind %d is missing", sig, kind);
	return NULL;
}

/* Captures about this signal to the process. */
static unsigned int signals_of(struct session *s, pid_t pid, int sig)
{
	const struct dp_capture *h = NULL;
	unsigned int n = 0;

	while ((h = next_capture(s, h, DP_CAP_SIGNAL, pid)))
		n += ((const struct dp_signal_op *)body(h))->signal == sig;
	return n;
}

static void test_signals(void **state)
{
	struct session *s = *state;
	const struct dp_signal_op *op;
	uint64_t sent, t_ns, t2_ns;
	struct target t;

	target_start(s, &t);
	ask(&t, "catch");
	ask(&t, "ignore");
	sent = now_ns();
	kill(t.pid, SIGUSR1);
	await(s, DP_CAP_SIGNAL, t.pid, 2, 2000);
	op = expect_signal(s, &t, DP_SIGNAL_GENERATED, SIGUSR1, &t_ns);
	assert_true(t_ns >= sent);
	assert_int_equal(op->sender_pid, getpid());
	assert_int_equal(op->group, 1);
	assert_int_equal(op->result, 0);
	op = expect_signal(s, &t, DP_SIGNAL_DELIVERED, SIGUSR1, &t2_ns);
	assert_true(t2_ns >= t_ns);
	assert_int_equal(op->disposition, DP_SIGDISP_CAUGHT);

	s->used = 0;
	kill(t.pid, SIGUSR2); /* ignored: the next one is the first that is told */
	syscall(SYS_tgkill, t.pid, t.pid, SIGTERM);
	assert_int_equal(target_end(s, &t), SIGTERM);
	assert_int_equal(signals_of(s, t.pid, SIGUSR2), 0);
	op = expect_signal(s, &t, DP_SIGNAL_GENERATED, SIGTERM, &t_ns);
	assert_int_equal(op->group, 0);
	assert_int_equal(op->sender_pid, getpid());
	/* complete_signal (kernel/signal.c) turns what is fatal anyway into SIGKILL for all
	 * threads. */
	op = expect_signal(s, &t, DP_SIGNAL_DELIVERED, SIGKILL, &t_ns);
	assert_int_equal(op->disposition, DP_SIGDISP_DEFAULT);
}

/* A flood: of those that are ignored nothing is told, of others a few; what was not told is counted. */
static void test_flood_of_signals(void **state)
{
	struct session *s = *state;
	uint64_t before[DP_LOSS_COUNT], losses[DP_LOSS_COUNT], started, seconds;
	struct target t;
	unsigned int told;

	target_start(s, &t);
	ask(&t, "catch");
	ask(&t, "ignore");
	dp_bpf_losses(s->bpf, 1, before);
	started = now_ns();
	s->used = 0;
	ask(&t, "flood");
	/* From another sender: told, whatever the process sends itself. */
	kill(t.pid, SIGUSR1);
	ask(&t, "thread");
	drain(s);
	seconds = (now_ns() - started) / 1000000000 + 1;
	assert_int_equal(signals_of(s, t.pid, SIGUSR2), 0);
	told = signals_of(s, t.pid, SIGUSR1);
	assert_in_range(told, 2 * DP_SIGNALS_MAX + 1, 2 * (DP_SIGNALS_MAX + 1) * (seconds + 1));
	dp_bpf_losses(s->bpf, 1, losses);
	assert_int_equal(told + losses[DP_LOSS_SIGNAL_REPEATED] - before[DP_LOSS_SIGNAL_REPEATED],
			 2 * FLOOD + 2);
	assert_int_equal(losses[DP_LOSS_RING_FULL], before[DP_LOSS_RING_FULL]);
	target_end(s, &t);
}

/* The capture of the whole process' end. */
static const struct dp_exit_op *process_exit(struct session *s, pid_t pid, uint32_t *ret_tid)
{
	const struct dp_exit_op *found = NULL;
	const struct dp_capture *h = NULL;

	while ((h = next_capture(s, h, DP_CAP_EXIT, pid))) {
		const struct dp_exit_op *e = body(h);

		if (!e->is_process)
			continue;
		assert_null(found);
		found = e;
		*ret_tid = h->tid;
	}
	assert_non_null(found);
	return found;
}

static void test_exit_status(void **state)
{
	static const char *const how[] = {"exit", "segv", "exec"};
	struct session *s = *state;
	struct target t;
	uint32_t tid;

	for (int i = 0; i < 3; i++) {
		int status;

		target_start(s, &t);
		tell(&t, how[i]);
		status = target_end(s, &t);
		assert_int_equal(process_exit(s, t.pid, &tid)->status, status);
		assert_int_equal(tid, t.pid);
		assert_int_equal(count_captures(s, DP_CAP_EXEC, t.pid), i == 2);
		s->used = 0;
	}
	target_start(s, &t);
	kill(t.pid, SIGKILL);
	assert_int_equal(target_end(s, &t), SIGKILL);
	assert_int_equal(process_exit(s, t.pid, &tid)->status, SIGKILL);
}

static void test_threads_and_children(void **state)
{
	struct session *s = *state;
	const struct dp_capture *h;
	const struct dp_fork_op *f;
	const struct dp_exit_op *e;
	struct target t;
	pid_t child;

	target_start(s, &t);
	ask(&t, "thread");
	await(s, DP_CAP_EXIT, t.pid, 1, 2000);
	h = next_capture(s, NULL, DP_CAP_FORK, t.pid);
	assert_non_null(h);
	f = body(h);
	assert_int_equal(f->child_pid, t.pid);
	assert_int_not_equal(f->child_tid, t.pid);
	h = next_capture(s, NULL, DP_CAP_EXIT, t.pid);
	assert_non_null(h);
	e = body(h);
	assert_int_equal(h->tid, f->child_tid);
	assert_int_equal(e->is_process, 0);
	assert_int_equal(e->status, 0);

	s->used = 0;
	child = (pid_t)ask(&t, "fork");
	drain(s);
	h = next_capture(s, NULL, DP_CAP_FORK, t.pid);
	assert_non_null(h);
	f = body(h);
	assert_int_equal(f->child_pid, child);
	assert_int_equal(f->child_tid, child);
	/* The child is another process, which nobody watches: its exit is not said, its death is.
	 */
	assert_int_equal(count_captures(s, 0, child), 0);
	s->used = 0;
	tell(&t, "leader");
	assert_int_equal(target_end(s, &t), 4 << 8);
}

static void test_exec_of_everybody(void **state)
{
	struct dp_bpf_options o = {.trace_all_exec = 1};
	const char *argv[] = {"/bin/true", NULL};
	struct session *s;
	struct child c;

	(void)state;
	assert_int_equal(session_start_with((void **)&s, &o), 0);
	child_start(&c, argv);
	assert_int_equal(child_end(&c), 0);
	drain(s);
	assert_int_equal(count_captures(s, DP_CAP_EXEC, c.pid), 1);
	assert_int_equal(count_captures(s, 0, c.pid), 1);
	session_stop((void **)&s);
}

/*
 * A node's configuration is told with its exec, in pieces and behind variables of any length, and the
 * end of such a process too, though nobody watches it.
 */
static void test_configuration_of_the_newborn(void **state)
{
	static char before[3 * DP_CONFIG_PIECE], config[2 * DP_CONFIG_PIECE + 2];
	static const char name[] = "DORA_NODE_CONFIG=";
	const char *argv[] = {"/usr/bin/env", "-i", before, config, "/bin/true", NULL};
	struct dp_bpf_options o = {.trace_all_exec = 1};
	const struct dp_capture *h = NULL;
	const struct dp_exec_op *exec;
	size_t seen = 0;
	struct session *s;
	struct child c;

	(void)state;
	memset(before, 'A', sizeof(before) - 1);
	memcpy(before, "A=", 2);
	/* Within another one it is no name. */
	memcpy(before + DP_CONFIG_PIECE - 1, name, sizeof(name) - 1);
	memcpy(config, name, sizeof(name) - 1);
	for (size_t i = sizeof(name) - 1; i < sizeof(config) - 1; i++)
		config[i] = (char)('a' + i % 26);
	assert_int_equal(session_start_with((void **)&s, &o), 0);
	child_start(&c, argv);
	assert_int_equal(child_end(&c), 0);
	drain(s);
	while ((h = next_capture(s, h, DP_CAP_NODE_CONFIG, c.pid))) {
		const struct dp_config_piece *p = body(h);

		assert_int_equal(p->offset, seen);
		assert_memory_equal(p + 1, config + sizeof(name) - 1 + seen, p->copied);
		seen += p->copied;
	}
	assert_int_equal(seen, sizeof(config) - sizeof(name));
	assert_int_equal(count_captures(s, DP_CAP_EXEC, c.pid), 2);
	h = next_capture(s, NULL, DP_CAP_EXEC, c.pid);
	exec = body(h);
	assert_int_equal(exec->config_len, 0);
	assert_string_equal(exec->exe, "env");
	assert_int_equal(exec->parent_pid, getpid());
	h = next_capture(s, h, DP_CAP_EXEC, c.pid);
	exec = body(h);
	assert_int_equal(exec->config_len, seen);
	assert_string_equal(exec->exe, "true");
	assert_int_equal(count_captures(s, DP_CAP_EXIT, c.pid), 1);
	session_stop((void **)&s);
}

/*
 * /dev/shm as a container may have it, a folder within another file system: the tracepoints do not know regions
 * there, and regions alone go by system calls.
 */
static void move_shm_into_a_folder(void)
{
	char mount_point[] = "/tmp/dora-probe-shm-XXXXXX", folder[64];

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(mount_point) || mount("shm", mount_point, "tmpfs", 0, NULL))
		exit(9);
	snprintf(folder, sizeof(folder), "%s/shm", mount_point);
	if (mkdir(folder, 0700) || mount(folder, "/dev/shm", NULL, MS_BIND, NULL) ||
	    umount2(mount_point, MNT_DETACH) || rmdir(mount_point))
		exit(9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_regions_left_alone),
		cmocka_unit_test(test_region_marked_by_the_agent),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_flood_of_signals),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_threads_and_children),
		cmocka_unit_test(test_exec_of_everybody),
		cmocka_unit_test(test_configuration_of_the_newborn),
	};

	if (getenv("DP_TEST_SHM_IN_FOLDER"))
		move_shm_into_a_folder();
	return cmocka_run_group_tests(tests, session_start, session_stop);
}
