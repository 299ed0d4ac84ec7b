/* SPDX-License-Identifier: MIT */
/* Regions, signals, and the lives of processes, as a watched child of this test makes them. */
#include "bpf_test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define REGION "shmem_D0BA7E57"
#define PATH   "/dev/shm/" REGION
#define FLOOD  3000 /* signals that the target sends itself */

/* ---- the target: does what a word on its control socket says, answers with a number ------ */

static void *quiet_thread(void *arg)
{
	return arg;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void target_main(int control)
{
	const size_t len = 8192;
	uint64_t answer = 0;
	pthread_t thread;
	char op[16];
	void *map = NULL;
	int fd = -1;

	/* The test's own handler is inherited. */
	signal(SIGSEGV, SIG_DFL);
	while (read(control, op, sizeof(op)) == sizeof(op)) {
		answer = 0;
		if (!strcmp(op, "create")) {
			/* As dora's shared_memory_extended does it. */
			fd = open(PATH, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
			if (ftruncate(fd, (off_t)len))
				_exit(9);
			map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			answer = (uintptr_t)map;
			/* A region goes to its receivers with something in it. */
			*(volatile char *)map = 1;
		} else if (!strcmp(op, "open")) {
			fd = open(PATH, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
			map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
			answer = (uintptr_t)map;
		} else if (!strcmp(op, "openat2")) {
			struct {
				uint64_t flags, mode, resolve;
			} how = {.flags = O_RDWR};

			fd = (int)syscall(SYS_openat2, AT_FDCWD, PATH, &how, sizeof(how));
			map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
			answer = (uintptr_t)map;
		} else if (!strcmp(op, "badmap")) {
			fd = open(PATH, O_RDWR);
			/* Length 0 is refused; then the descriptor is used for something else. */
			if (mmap(NULL, 0, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED)
				_exit(9);
			close(fd);
			fd = open("/proc/self/exe", O_RDONLY);
			munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), 4096);
		} else if (!strcmp(op, "unmap")) {
			munmap(map, len);
			close(fd);
		} else if (!strcmp(op, "unlink")) {
			unlink(PATH);
			/* Not a second time. */
			unlink(PATH);
		} else if (!strcmp(op, "others")) {
			fd = open("/dev/shm/shmem_", O_RDWR | O_CREAT, 0600);
			map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
			munmap(map, len);
			close(fd);
			unlink("/dev/shm/shmem_");
			close(open("/dev/shm/shmem_0123456789012345678901234567890123456789",
				   O_RDWR));
			close(open("/dev/null", O_RDWR));
		} else if (!strcmp(op, "thread")) {
			pthread_create(&thread, NULL, quiet_thread, NULL);
			pthread_join(thread, NULL);
		} else if (!strcmp(op, "fork")) {
			pid_t pid = fork();

			if (!pid)
				_exit(5);
			waitpid(pid, NULL, 0);
			answer = (uint64_t)pid;
		} else if (!strcmp(op, "catch")) {
			struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

			sigaction(SIGUSR1, &sa, NULL);
			sigaction(SIGHUP, &sa, NULL);
		} else if (!strcmp(op, "ignore")) {
			signal(SIGUSR2, SIG_IGN);
		} else if (!strcmp(op, "flood")) {
			for (int i = 0; i < FLOOD; i++) {
				raise(SIGUSR1);
				raise(SIGUSR2);
			}
		} else if (!strcmp(op, "exec")) {
			execl("/bin/sh", "sh", "-c", "exit 3", NULL);
		} else if (!strcmp(op, "exit")) {
			exit(7);
		} else if (!strcmp(op, "segv")) {
			raise(SIGSEGV);
		} else if (!strcmp(op, "leader")) {
			/* The main thread goes first; the process ends with the other one. */
			syscall(SYS_exit, 4);
		}
		if (write(control, &answer, sizeof(answer)) != sizeof(answer))
			_exit(9);
	}
	_exit(0);
}

struct target {
	pid_t pid;
	int control;
};

static void target_start(struct session *s, struct target *t)
{
	struct dp_target w = {0};
	int control[2];

	unlink(PATH);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	t->pid = fork();
	if (!t->pid) {
		close(control[0]);
		target_main(control[1]);
	}
	close(control[1]);
	t->control = control[0];
	assert_int_equal(dp_bpf_watch(s->bpf, t->pid, &w), 0);
	drain(s);
	s->used = 0;
}

static void tell(struct target *t, const char *what)
{
	char op[16] = "";

	strcpy(op, what);
	assert_int_equal(write(t->control, op, sizeof(op)), sizeof(op));
}

static uint64_t ask(struct target *t, const char *what)
{
	uint64_t answer;

	tell(t, what);
	assert_int_equal(read(t->control, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

static int target_end(struct session *s, struct target *t)
{
	int status;

	close(t->control);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	drain(s);
	dp_bpf_unwatch(s->bpf, t->pid);
	unlink(PATH);
	return status;
}

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
	assert_null(next_capture(s, h, DP_CAP_REGION, t.pid));
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
		assert_null(next_capture(s, h, DP_CAP_REGION, t.pid));
	}
	s->used = 0;
	ask(&t, "badmap");
	drain(s);
	assert_null(next_capture(s, NULL, DP_CAP_REGION, t.pid));
	ask(&t, "unlink");
	drain(s);
	/* No tracepoint tells of it, and nothing needs it where the owner has unmapped before. */
	h = regions_by_calls(s) ? expect_region(s, NULL, &t, DP_REGION_UNLINKED, 0) : NULL;
	assert_null(next_capture(s, h, DP_CAP_REGION, t.pid));
	s->used = 0;
	ask(&t, "others");
	drain(s);
	assert_null(next_capture(s, NULL, DP_CAP_REGION, t.pid));
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
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_region_marked_by_the_agent),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_flood_of_signals),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_threads_and_children),
		cmocka_unit_test(test_exec_of_everybody),
		cmocka_unit_test(test_ring_overflow),
		cmocka_unit_test(test_nothing_stays),
		cmocka_unit_test(test_programs_and_stats),
		cmocka_unit_test(test_attached_while_watched),
		cmocka_unit_test(test_no_rights),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
