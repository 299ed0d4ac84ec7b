// SPDX-License-Identifier: MIT
/*
 * Arriving late, on this machine: whose peer a socket is among many, what is mapped, and since when a
 * thread sleeps. Truth comes from the sockets, files and sleepers that the test makes itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sense/asleep.h"
#include "base/clock.h"
#include "base/units.h"
#include "sense/procfs.h"
#include "sense/sockdiag.h"
#include "skipping.h"

#define CLIENTS 4

/* ---- sockets ------------------------------------------------------------------------------------ */

struct talk {
	struct dp_node_config config;
	int listener, client[CLIENTS], daemon[CLIENTS];
};

static void connect_all(struct talk *t, const void *addr, socklen_t len)
{
	for (int i = 0; i < CLIENTS; i++) {
		t->client[i] = socket(t->config.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_true(t->client[i] >= 0);
		assert_int_equal(connect(t->client[i], addr, len), 0);
		/* One is left in the queue: a busy daemon has not accepted it yet. */
		t->daemon[i] = i < CLIENTS - 1 ? accept(t->listener, NULL, NULL) : -1;
	}
}

static void talk_unix(struct talk *t, const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	memset(t, 0, sizeof(*t));
	t->config.family = AF_UNIX;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	memcpy(t->config.socket_path, a.sun_path, sizeof(t->config.socket_path));
	t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(path);
	assert_int_equal(bind(t->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(t->listener, CLIENTS), 0);
	connect_all(t, &a, sizeof(a));
	unlink(path);
}

static void talk_tcp(struct talk *t)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	memset(t, 0, sizeof(*t));
	t->config.family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(t->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(t->listener, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(listen(t->listener, CLIENTS), 0);
	memcpy(t->config.addr, &a.sin_addr, 4);
	t->config.port = ntohs(a.sin_port);
	connect_all(t, &a, sizeof(a));
}

static void talk_end(struct talk *t)
{
	for (int i = 0; i < CLIENTS; i++) {
		close(t->client[i]);
		if (t->daemon[i] >= 0)
			close(t->daemon[i]);
	}
	close(t->listener);
}

static void expect_clients(const struct talk *t, int *took_us)
{
	int fds[16];
	bool incomplete = true;
	uint64_t began = dp_now();
	int n = dp_proc_daemon_sockets("/proc", getpid(), &t->config, fds, 16, &incomplete);

	*took_us = (int)((dp_now() - began) / 1000);
	assert_int_equal(n, CLIENTS);
	assert_false(incomplete);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(fds[i], t->client[i]);
}

/* A child that goes when the test does, whatever fails. */
static pid_t child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Pairs of a process of its own, with chatter that nobody reads: strangers of the same machine. */
static pid_t strangers(int pairs)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = child();
	if (pid == 0) {
		const struct rlimit many = {.rlim_cur = 2 * (rlim_t)pairs + 64,
					    .rlim_max = 2 * (rlim_t)pairs + 64};
		int two[2];

		setrlimit(RLIMIT_NOFILE, &many);
		for (int i = 0; i < pairs; i++)
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, two) < 0)
				break;
		(void)!write(ready[1], "r", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

/* 10,000 sockets of others, and pairs of the node's own before and behind its connections. */
static void test_exact_peers(void **state)
{
	char path[] = "/tmp/dora-probe-late.XXXXXX";
	int own[40][2], took_unix, took_tcp;
	struct talk u, t;
	pid_t pid;

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, own[i]), 0);
	talk_unix(&u, path);
	talk_tcp(&t);
	for (int i = 20; i < 40; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, own[i]), 0);
	pid = strangers(5000);
	expect_clients(&u, &took_unix);
	expect_clients(&t, &took_tcp);
	print_message("with 10,000 sockets of others: unix %d us, tcp %d us\n", took_unix,
		      took_tcp);
	end_child(pid);
	for (int i = 0; i < 40; i++) {
		close(own[i][0]);
		close(own[i][1]);
	}
	talk_end(&u);
	talk_end(&t);
}

/* A listener of another path, and a daemon that is gone, have none of our sockets. */
static void test_no_peers(void **state)
{
	char path[] = "/tmp/dora-probe-late.XXXXXX";
	struct dp_sockets found = {.count = 0};
	struct talk u;

	(void)state;
	skip_if_emulated("sock_diag is not translated");
	assert_non_null(mkdtemp(path));
	assert_int_equal(rmdir(path), 0);
	talk_unix(&u, path);
	u.config.socket_path[strlen(path) - 1] ^= 1;
	assert_int_equal(dp_sockdiag_clients(getpid(), &u.config, &found), 0);
	assert_int_equal(found.count, 0);
	u.config.socket_path[strlen(path) - 1] ^= 1;
	assert_int_equal(dp_sockdiag_clients(getpid(), &u.config, &found), 0);
	assert_int_equal(found.count, CLIENTS);
	assert_false(found.incomplete);
	for (int i = 0; i < CLIENTS; i++)
		if (u.daemon[i] >= 0)
			close(u.daemon[i]);
	close(u.listener);
	assert_int_equal(dp_sockdiag_clients(getpid(), &u.config, &found), 0);
	assert_int_equal(found.count, 0);
	for (int i = 0; i < CLIENTS; i++)
		close(u.client[i]);
	assert_int_equal(dp_sockdiag_clients(0x3ffffff, &u.config, &found), -ESRCH);
}

#define NO_RIGHT 77 /* exit code of a child that may not make a namespace */

/* A process in another network namespace: the answers are about its sockets, and we stay where we are. */
static void test_other_namespace(void **state)
{
	struct dp_sockets found = {.count = 0};
	struct dp_node_config config;
	char here[64] = "", after[64] = "";
	int tell[2];
	pid_t pid;

	(void)state;
	skip_if_emulated("sock_diag is not translated");
	assert_int_equal(pipe(tell), 0);
	pid = child();
	if (pid == 0) {
		struct talk u;

		if (unshare(CLONE_NEWNET) < 0)
			_exit(errno == EPERM ? NO_RIGHT : 1);
		talk_unix(&u, "/tmp/dora-probe-late.elsewhere");
		(void)!write(tell[1], &u.config, sizeof(u.config));
		pause();
		_exit(0);
	}
	close(tell[1]);
	if (read(tell[0], &config, sizeof(config)) != sizeof(config)) {
		int status;

		close(tell[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == NO_RIGHT);
		skip_because("no right to make a namespace");
	}
	assert_true(readlink("/proc/thread-self/ns/net", here, sizeof(here) - 1) > 0);
	assert_int_equal(dp_sockdiag_clients(pid, &config, &found), 0);
	assert_int_equal(found.count, CLIENTS);
	assert_true(readlink("/proc/thread-self/ns/net", after, sizeof(after) - 1) > 0);
	assert_string_equal(here, after);
	assert_int_equal(dp_sockdiag_clients(getpid(), &config, &found), 0);
	assert_int_equal(found.count, 0);
	end_child(pid);
	close(tell[0]);
}

static void test_sockets_limit(void **state)
{
	struct dp_sockets s = {.count = 0};

	(void)state;
	dp_sockets_add(&s, 0);
	assert_int_equal(s.count, 0);
	for (uint64_t i = 1; i <= DP_CLIENTS_MAX; i++)
		dp_sockets_add(&s, i);
	assert_false(s.incomplete);
	dp_sockets_add(&s, 9999);
	assert_true(s.incomplete);
	assert_true(dp_sockets_has(&s, DP_CLIENTS_MAX));
	assert_false(dp_sockets_has(&s, 9999) || dp_sockets_has(&s, 0));
}

/* ---- mapped regions ----------------------------------------------------------------------------- */

struct seen {
	unsigned int read_only, writable;
	uint64_t changed_ns, bytes;
};

static void see(void *ctx, const struct dp_proc_region *r)
{
	struct seen *s = ctx;

	if (strncmp(r->name, "shmem_7E57", 10) != 0)
		return;
	if (r->writable)
		s->writable++;
	else
		s->read_only++;
	assert_int_equal(dp_proc_region_file("/proc", getpid(), r, &s->changed_ns, &s->bytes), 0);
}

static void test_mapped_regions(void **state)
{
	char path[64];
	struct seen s = {0};
	uint64_t before, after;
	void *own, *message;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/dev/shm/shmem_7E57%x", (unsigned int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		assert_true(errno == ENOENT || errno == EACCES || errno == EROFS);
		skip_because("no /dev/shm to write to");
	}
	/* The file's time is that of the last clock tick. */
	before = dp_now() - 20 * MS;
	assert_int_equal(ftruncate(fd, 8192), 0);
	after = dp_now() + 20 * MS;
	own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	message = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(own != MAP_FAILED && message != MAP_FAILED);
	unlink(path); /* its owner gave it up; who has it mapped has it still */
	close(fd);
	dp_proc_regions("/proc", getpid(), see, &s);
	munmap(own, 8192);
	munmap(message, 8192);
	/* Its name ends in " (deleted)" then, which is no part of it. */
	assert_int_equal(s.read_only, 1);
	assert_int_equal(s.writable, 1);
	assert_int_equal(s.bytes, 8192);
	assert_true(s.changed_ns >= before && s.changed_ns <= after);
}

static void test_started(void **state)
{
	uint64_t before = dp_now(), started;
	pid_t pid = child();

	(void)state;
	if (pid == 0) {
		pause();
		_exit(0);
	}
	started = dp_proc_started("/proc", pid);
	end_child(pid);
	/* To a clock tick, on both sides. */
	assert_true(started + 20 * MS >= before && started <= dp_now() + 20 * MS);
	assert_int_equal(dp_proc_started("/proc", 0x3ffffff), 0);
}

/* ---- sleeps ------------------------------------------------------------------------------------- */

struct sleeper {
	pthread_t thread;
	int cpu;
	volatile pid_t tid;
	volatile uint64_t began_ns;
	volatile int busy;
};

static void *sleep_on_cpu(void *ctx)
{
	struct sleeper *s = ctx;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)s->cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	s->tid = (pid_t)syscall(SYS_gettid);
	s->began_ns = dp_now();
	while (s->busy)
		;
	if (!s->busy)
		sleep(30);
	return NULL;
}

static void begin_sleeper(struct sleeper *s, int cpu, int busy)
{
	*s = (struct sleeper){.cpu = cpu, .busy = busy};
	assert_int_equal(pthread_create(&s->thread, NULL, sleep_on_cpu, s), 0);
	while (!s->began_ns)
		usleep(1000);
}

static void end_sleeper(struct sleeper *s)
{
	s->busy = 0;
	pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
}

/* On each CPU, since their clocks differ; the sleep is never said to be longer than it was. */
static void test_asleep_since(void **state)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	bool has_account = access("/proc/thread-self/sched", R_OK) == 0;
	struct sleeper s[4];
	cpu_set_t allowed;
	int count = 0;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int cpu = 0; cpu < cpus && count < 4; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed))
			begin_sleeper(&s[count++], cpu, 0);
	usleep(400000);
	for (int i = 0; i < count; i++) {
		uint64_t since = dp_asleep_since(getpid(), s[i].tid), now = dp_now();

		if (!has_account) {
			assert_int_equal(since, 0);
			continue;
		}
		/* A CPU may be too busy to answer in time. */
		for (int again = 0; !since && again < 20; again++) {
			usleep(200000);
			since = dp_asleep_since(getpid(), s[i].tid);
			now = dp_now();
		}
		assert_true(since != 0);
		print_message("cpu %d: asleep for %lld us, said %lld us\n", s[i].cpu,
			      (long long)(now - s[i].began_ns) / 1000,
			      (long long)(now - since) / 1000);
		assert_true(since + MS >= s[i].began_ns);
		assert_true(since <= now);
	}
	for (int i = 0; i < count; i++)
		end_sleeper(&s[i]);
}

static void test_not_asleep(void **state)
{
	struct sleeper s;

	(void)state;
	begin_sleeper(&s, 0, 1);
	assert_int_equal(dp_asleep_since(getpid(), s.tid), 0);
	end_sleeper(&s);
	assert_int_equal(dp_asleep_since(0x3ffffff, 0x3ffffff), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exact_peers),     cmocka_unit_test(test_no_peers),
		cmocka_unit_test(test_other_namespace), cmocka_unit_test(test_sockets_limit),
		cmocka_unit_test(test_mapped_regions),  cmocka_unit_test(test_started),
		cmocka_unit_test(test_asleep_since),    cmocka_unit_test(test_not_asleep),
	};

	return cmocka_run_group_tests_name("late", tests, NULL, NULL);
}
