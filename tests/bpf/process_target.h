/* SPDX-License-Identifier: MIT */
/* A watched child that does what it is told on its control socket. */
#ifndef DORA_PROBE_PROCESS_TARGET_H
#define DORA_PROBE_PROCESS_TARGET_H

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf_test.h"

#define REGION "shmem_D0BA7E57"
#define PATH   "/dev/shm/" REGION
#define FLOOD  3000 /* signals that the target sends itself */

static inline void *quiet_thread(void *arg)
{
	return arg;
}

static inline void on_signal(int sig)
{
	(void)sig;
}

static inline void target_main(int control)
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

static inline void target_start(struct session *s, struct target *t)
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

static inline void tell(struct target *t, const char *what)
{
	char op[16] = "";

	strcpy(op, what);
	assert_int_equal(write(t->control, op, sizeof(op)), sizeof(op));
}

static inline uint64_t ask(struct target *t, const char *what)
{
	uint64_t answer;

	tell(t, what);
	assert_int_equal(read(t->control, &answer, sizeof(answer)), sizeof(answer));
	return answer;
}

static inline int target_end(struct session *s, struct target *t)
{
	int status;

	close(t->control);
	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	drain(s);
	dp_bpf_unwatch(s->bpf, t->pid);
	unlink(PATH);
	return status;
}

#endif
