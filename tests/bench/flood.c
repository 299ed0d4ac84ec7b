// SPDX-License-Identifier: MIT
/*
 * A node, for the probe's eyes, that does one thing as often as it is told: flood KIND RATE SECONDS
 *
 *   frames   a frame without a token to its daemon
 *   batches  the same, 200 of them in one call of send: as many records as the machine can take, with few calls
 *   tokens   a message with a new drop token, which never comes back
 *   regions  a message's memory mapped and unmapped
 *   signals  a signal to itself, which it handles
 *   forks    a child that ends
 *   rest     nothing
 *
 * The daemon is a child of its own, which listens on the port of DORA_NODE_CONFIG (FLOOD_PORT) and reads. Prints
 * "ready", waits for a line, floods (RATE 0: as fast as it can), prints how often and for how many nanoseconds,
 * and waits for the end of its input.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* dora-message 0.5's own bytes (tests/unit/golden). */
static const char register_hex[] =
	"00000000100000000000000000112233445566778899aabbccddeeff04000000000000007265637605000000000000"
	"00302e352e308877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10";
static const char poll_hex[] = "080000008877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf10";
static const char send_hex[] =
	"0200000004000000000000006461746100008877665544332211a1a2a3a4a5a6a7a8a9aaabacadaeaf100600"
	"0000050000000000000000000000000000000000000000000000000100000000000000000000000000000088"
	"130000000000000000000000000000000000000000000001010000000d000000000000002f73686d656d5f41"
	"424344454688130000000000001000000000000000d0d1d2d3d4d5d6d7d8d9dadbdcdddedf88776655443322"
	"11a1a2a3a4a5a6a7a8a9aaabacadaeaf10";
#define STAMP_BYTES 24

struct frame {
	uint64_t len;
	unsigned char body[512];
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static void fill(struct frame *f, const char *hex)
{
	unsigned int v;

	for (f->len = 0; hex[0] && sscanf(hex, "%2x", &v) == 1; hex += 2)
		f->body[f->len++] = (unsigned char)v;
}

/* As dora does it: the length, then the body. */
static void put(int fd, const struct frame *f)
{
	if (send(fd, &f->len, 8, 0) != 8 || send(fd, f->body, f->len, 0) != (ssize_t)f->len)
		exit(1);
}

static void be_daemon(int listener)
{
	static char buf[1 << 20];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	fd = accept(listener, NULL, NULL);
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	_exit(0);
}

static int connect_to_daemon(void)
{
	const char *port = getenv("FLOOD_PORT");
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0),
	    one = 1;

	if (!port)
		exit(2);
	a.sin_port = htons((uint16_t)atoi(port));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (void *)&a, sizeof(a)) || listen(listener, 1))
		exit(2);
	if (fork() == 0)
		be_daemon(listener);
	if (connect(fd, (void *)&a, sizeof(a)))
		exit(2);
	close(listener);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void on_signal(int sig)
{
	(void)sig;
}

struct flood {
	const char *kind;
	int fd;
	uint64_t sent;
	struct frame poll, send;
};

/* The token's last eight bytes are its number; they stand before the time stamp. */
static void number(struct frame *f, uint64_t n)
{
	memcpy(f->body + f->len - STAMP_BYTES - 8, &n, 8);
}

static void map_region(uint64_t n)
{
	char name[40];
	int fd;
	void *p;

	snprintf(name, sizeof(name), "/dev/shm/shmem_F%07llX", (unsigned long long)(n % 8));
	fd = open(name, O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 4096))
		exit(1);
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	munmap(p, 4096);
}

/* So many frames of one call; a call counts as that many. */
#define BATCH 200

static void put_batch(struct flood *f)
{
	static unsigned char all[BATCH * (8 + sizeof(f->poll.body))];
	size_t len = 0;

	for (int i = 0; i < BATCH; i++) {
		memcpy(all + len, &f->poll.len, 8);
		memcpy(all + len + 8, f->poll.body, f->poll.len);
		len += 8 + f->poll.len;
	}
	if (send(f->fd, all, len, 0) != (ssize_t)len)
		exit(1);
	f->sent += BATCH - 1;
}

static void once(struct flood *f)
{
	uint64_t n = f->sent++;

	switch (f->kind[0]) {
	case 'f':
		if (f->kind[1] == 'r')
			put(f->fd, &f->poll);
		else if (fork() == 0)
			_exit(0);
		else
			wait(NULL);
		break;
	case 'b':
		put_batch(f);
		break;
	case 't':
		number(&f->send, n);
		put(f->fd, &f->send);
		break;
	case 's':
		kill(getpid(), SIGUSR1);
		break;
	default:
		map_region(n);
	}
}

/* In steps of a millisecond, each of as many as are due by then. */
static void run(struct flood *f, double rate, double seconds)
{
	uint64_t begin = now(), end = begin + (uint64_t)(seconds * 1e9), t;

	/* Where a frame begins shows in calls of one frame alone. */
	if (f->kind[0] == 'b')
		put(f->fd, &f->poll);
	while ((t = now()) < end) {
		uint64_t due =
			rate > 0 ? (uint64_t)((double)(t - begin) * rate / 1e9) : f->sent + 64;

		while (f->sent < due)
			once(f);
		if (rate > 0)
			usleep(1000);
	}
	printf("%llu %llu\n", (unsigned long long)f->sent, (unsigned long long)(now() - begin));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct flood f;
	struct frame hello;

	if (argc < 4)
		return 2;
	f.kind = argv[1];
	signal(SIGUSR1, on_signal);
	fill(&hello, register_hex);
	fill(&f.poll, poll_hex);
	fill(&f.send, send_hex);
	f.fd = connect_to_daemon();
	put(f.fd, &hello);
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return 0;
	if (strcmp(f.kind, "rest") != 0)
		run(&f, atof(argv[2]), atof(argv[3]));
	while (getchar() != EOF)
		;
	return 0;
}
