// SPDX-License-Identifier: MIT
/*
 * What processes that nobody watches pay: three loops that are nothing but system calls, each for MS
 * milliseconds on one processor. Prints nanoseconds of CPU time per round: getpid, a wake and a wait in futex, a byte
 * there and back over loopback.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* CPU time of this process and of its partner (0 none), which others on the machine do not lengthen as they do the time. */
static uint64_t spent(pid_t partner)
{
	struct timespec t, p = {0, 0};
	clockid_t clock;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	if (partner && clock_getcpuclockid(partner, &clock) == 0)
		clock_gettime(clock, &p);
	return (uint64_t)(t.tv_sec + p.tv_sec) * 1000000000ULL + (uint64_t)(t.tv_nsec + p.tv_nsec);
}

/* Calls round() for `ms`; the nanoseconds of CPU time of one. */
static double rate(void (*round)(void *), void *ctx, unsigned int ms, pid_t partner)
{
	uint64_t until = now() + ms * 1000000ULL, begin = spent(partner), n = 0;

	while (now() < until) {
		for (int i = 0; i < 16; i++)
			round(ctx);
		n += 16;
	}
	return (double)(spent(partner) - begin) / (double)n;
}

static void get_pid(void *ctx)
{
	(void)ctx;
	syscall(SYS_getpid);
}

/* Two words, one for each side's turn. */
static void futex_hand(uint32_t *mine, uint32_t *other)
{
	__atomic_store_n(other, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, other, FUTEX_WAKE, 1, NULL, NULL, 0);
	while (!__atomic_load_n(mine, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, mine, FUTEX_WAIT, 0, NULL, NULL, 0);
	__atomic_store_n(mine, 0, __ATOMIC_RELEASE);
}

static void futex_round(void *ctx)
{
	uint32_t *words = ctx;

	futex_hand(&words[0], &words[16]);
}

static pid_t futex_partner(uint32_t *words)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (!__atomic_load_n(&words[16], __ATOMIC_ACQUIRE))
		syscall(SYS_futex, &words[16], FUTEX_WAIT, 0, NULL, NULL, 0);
	__atomic_store_n(&words[16], 0, __ATOMIC_RELEASE);
	for (;;)
		futex_hand(&words[16], &words[0]);
}

static void echo_round(void *ctx)
{
	int fd = *(int *)ctx;
	char byte = 0;

	if (send(fd, &byte, 1, 0) != 1 || recv(fd, &byte, 1, 0) != 1)
		exit(1);
}

static pid_t echo_partner(int *ret_fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);
	char byte;
	pid_t pid;

	if (bind(listener, (void *)&a, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&a, &len))
		exit(1);
	pid = fork();
	if (!pid) {
		int fd = accept(listener, NULL, NULL);

		while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, 0) == 1)
			;
		_exit(0);
	}
	*ret_fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(*ret_fd, (void *)&a, len))
		exit(1);
	close(listener);
	return pid;
}

int main(int argc, char **argv)
{
	unsigned int ms = argc > 1 ? (unsigned int)atoi(argv[1]) : 500;
	uint32_t *words =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double pid_ns, futex_ns, echo_ns;
	cpu_set_t set;
	pid_t partner;
	int fd;

	CPU_ZERO(&set);
	CPU_SET((size_t)sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
	pid_ns = rate(get_pid, NULL, ms, 0);
	partner = futex_partner(words);
	futex_ns = rate(futex_round, words, ms, partner);
	kill(partner, SIGKILL);
	waitpid(partner, NULL, 0);
	partner = echo_partner(&fd);
	echo_ns = rate(echo_round, &fd, ms, partner);
	kill(partner, SIGKILL);
	waitpid(partner, NULL, 0);
	printf("%.1f %.1f %.1f\n", pid_ns, futex_ns, echo_ns);
	return 0;
}
