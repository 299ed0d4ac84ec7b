/* SPDX-License-Identifier: MIT */
/*
 * A child of the test that connects to a listener here and does with its sockets what it is told;
 * what it sends and gets is a function of the position in the stream, so that every copied byte
 * can be checked.
 */
#ifndef DORA_PROBE_SOCKET_TARGET_H
#define DORA_PROBE_SOCKET_TARGET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/glibc.h"
#include "bpf_test.h"

#define BIG (300 * 1024)

/* The byte at `pos` of a stream: no period that a lost or doubled piece could hide behind. */
static inline unsigned char byte_at(size_t pos)
{
	return (unsigned char)(pos * 2654435761u >> 13 ^ pos);
}

static inline void fill(unsigned char *buf, size_t pos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(pos + i);
}

struct target {
	pid_t pid;
	int server;  /* this end of the connection */
	int control; /* commands to the target, one byte back each */
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int listener;
};

struct command {
	char op[16];
	size_t size;
	size_t pos;
	int fd, fd2;
};

static inline void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static inline ssize_t transfer(const char *op, int fd, unsigned char *buf, size_t n)
{
	struct iovec v[3] = {{buf, n / 3}, {buf + n / 3, 0}, {buf + n / 3, n - n / 3}};
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};

	if (!strcmp(op, "sendto"))
		return sendto(fd, buf, n, MSG_NOSIGNAL, NULL, 0);
	if (!strcmp(op, "write"))
		return write(fd, buf, n);
	if (!strcmp(op, "writev"))
		return writev(fd, v, 3);
	if (!strcmp(op, "sendmsg"))
		return sendmsg(fd, &m, MSG_NOSIGNAL);
	if (!strcmp(op, "recvfrom"))
		return recvfrom(fd, buf, n, MSG_WAITALL, NULL, NULL);
	if (!strcmp(op, "read"))
		return read(fd, buf, n);
	if (!strcmp(op, "readv"))
		return readv(fd, v, 3);
	if (!strcmp(op, "recvmsg"))
		return recvmsg(fd, &m, MSG_WAITALL);
	if (!strcmp(op, "peek"))
		return recv(fd, buf, n, MSG_PEEK | MSG_WAITALL);
	errno = EINVAL;
	return -1;
}

static inline void target_main(int control, const struct sockaddr *addr, socklen_t addr_len)
{
	unsigned char *buf = malloc(BIG);
	struct command c;
	int fd = -1, r;

	while (read(control, &c, sizeof(c)) == sizeof(c)) {
		unsigned char done = 1;

		if (!strcmp(c.op, "connect") || !strcmp(c.op, "nonblock")) {
			int nonblock = !strcmp(c.op, "nonblock") ? SOCK_NONBLOCK : 0;

			fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | nonblock, 0);
			r = connect(fd, addr, addr_len);
			check(!r || errno == EINPROGRESS, c.op);
			if (nonblock) {
				struct pollfd p = {.fd = fd, .events = POLLOUT};

				poll(&p, 1, 5000);
				fcntl(fd, F_SETFL, 0);
			}
			done = (unsigned char)fd;
		} else if (!strcmp(c.op, "close")) {
			check(!close(c.fd), c.op);
		} else if (!strcmp(c.op, "shutdown")) {
			check(!shutdown(c.fd, SHUT_WR), c.op);
		} else if (!strcmp(c.op, "dup")) {
			done = (unsigned char)dup(c.fd);
		} else if (!strcmp(c.op, "dup2")) {
			check(dup2(c.fd, c.fd2) == c.fd2, c.op);
		} else if (!strcmp(c.op, "dup3")) {
			check(dup3(c.fd, c.fd2, O_CLOEXEC) == c.fd2, c.op);
		} else if (!strcmp(c.op, "fcntl")) {
			done = (unsigned char)fcntl(c.fd, F_DUPFD_CLOEXEC, 50);
		} else if (!strcmp(c.op, "narrow")) {
			/* So that a send waits for its receiver: loopback's own buffers take megabytes. */
			check(!setsockopt(c.fd, SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int)),
			      c.op);
		} else if (!strcmp(c.op, "exit")) {
			_exit(0);
		} else {
			size_t left = c.size;
			int sends = c.op[0] == 's' || c.op[0] == 'w';

			if (sends)
				fill(buf, c.pos, c.size);
			while (left) {
				ssize_t n = transfer(c.op, c.fd, buf + (c.size - left), left);

				check(n > 0, c.op);
				left -= !strcmp(c.op, "peek") ? left : (size_t)n;
			}
			/* What has been sent may be overwritten at once, as a buffer in use is. */
			memset(buf, 0xee, sends ? c.size : 0);
		}
		check(write(control, &done, 1) == 1, "control");
	}
	_exit(0);
}

static inline void target_start(struct target *t, int family)
{
	int control[2];

	memset(t, 0, sizeof(*t));
	t->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (family == AF_INET) {
		struct sockaddr_in *in = (void *)&t->addr;

		in->sin_family = AF_INET;
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		t->addr_len = sizeof(*in);
	} else if (family == AF_INET6) {
		struct sockaddr_in6 *in6 = (void *)&t->addr;

		in6->sin6_family = AF_INET6;
		in6->sin6_addr = in6addr_loopback;
		t->addr_len = sizeof(*in6);
	} else {
		struct sockaddr_un *un = (void *)&t->addr;

		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "/tmp/dora-probe-test-%d.sock",
			 getpid());
		unlink(un->sun_path);
		t->addr_len =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un->sun_path));
	}
	assert_int_equal(bind(t->listener, (void *)&t->addr, t->addr_len), 0);
	assert_int_equal(listen(t->listener, 8), 0);
	if (family != AF_UNIX)
		getsockname(t->listener, (void *)&t->addr, &t->addr_len);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	t->pid = fork();
	if (!t->pid) {
		/* A node has not the test's descriptors of programs and maps: its sockets have low ones. */
		dup2(control[1], 3);
		dp_close_from(4);
		target_main(3, (void *)&t->addr, t->addr_len);
	}
	close(control[1]);
	t->control = control[0];
	t->server = -1;
}

static inline void command_start(struct target *t, const char *op, size_t size, size_t pos, int fd,
				 int fd2)
{
	struct command c = {.size = size, .pos = pos, .fd = fd, .fd2 = fd2};

	snprintf(c.op, sizeof(c.op), "%s", op);
	assert_int_equal(write(t->control, &c, sizeof(c)), sizeof(c));
}

static inline int command_end(struct target *t)
{
	unsigned char done;

	assert_int_equal(read(t->control, &done, 1), 1);
	return done;
}

/* Returns when the target is blocked in this system call, as the kernel says. */
static inline void wait_blocked_in(const struct target *t, long call)
{
	char path[64], text[128];
	long nr;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", t->pid);
	for (int i = 0; i < 30000; i++) {
		f = fopen(path, "re");
		assert_non_null(f);
		if (!fgets(text, sizeof(text), f) || sscanf(text, "%ld", &nr) != 1)
			nr = -1;
		fclose(f);
		if (nr == call)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("the target was never blocked in call %ld", call);
}

static inline int command(struct target *t, const char *op, int fd, int fd2)
{
	command_start(t, op, 0, 0, fd, fd2);
	return command_end(t);
}

static inline int target_connect(struct target *t, const char *how)
{
	int fd = command(t, how, -1, -1);

	t->server = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(t->server >= 0);
	return fd;
}

static inline void target_end(struct target *t)
{
	close(t->control);
	if (t->server >= 0)
		close(t->server);
	close(t->listener);
	if (t->addr.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&t->addr)->sun_path);
	waitpid(t->pid, NULL, 0);
}

/* Watches the target; only its daemon connections, no GIL. */
static inline void watch(struct session *s, struct target *t, uint16_t family, uint16_t port)
{
	struct dp_target w = {.watch_sockets = 1, .daemon_family = family, .daemon_port = port};

	assert_int_equal(dp_bpf_watch(s->bpf, t->pid, &w), 0);
	drain(s);
	s->used = 0;
}

/*
 * Checks the captures of one direction against the stream that began at `pos`, call by call.
 * Returns the bytes that the calls moved; *ret_cut gets those that were not copied.
 */
static inline size_t check_stream(struct session *s, pid_t pid, uint64_t conn, int direction,
				  size_t pos, size_t *ret_cut)
{
	const struct dp_capture *h = NULL;
	size_t moved = 0, cut = 0, in_call = 0;
	int fresh = 1;

	while ((h = next_capture(s, h, DP_CAP_SOCK_DATA, pid))) {
		const struct dp_sock_data *d = body(h);
		const unsigned char *bytes = (const void *)(d + 1);

		if (d->conn != conn || d->direction != direction)
			continue;
		assert_int_equal(h->size, sizeof(*h) + sizeof(*d) + d->copied);
		if (!fresh && d->last && d->offset > in_call) {
			/* The end of a call that is longer than what is copied. */
			assert_int_equal(in_call, DP_SOCK_COPY_MAX);
			assert_int_equal(d->copied, DP_SOCK_TAIL);
			assert_int_equal(d->offset, d->total - DP_SOCK_TAIL);
			cut += d->offset - in_call;
		} else {
			assert_int_equal(d->offset, fresh ? 0 : in_call);
		}
		assert_true(d->offset + d->copied <= d->total);
		assert_true(d->copied <= DP_SOCK_PIECE_MAX);
		for (size_t i = 0; i < d->copied; i++)
			if (bytes[i] != byte_at(pos + moved + d->offset + i))
				fail_msg("byte %zu of a call of %u", d->offset + i, d->total);
		in_call = d->offset + d->copied;
		fresh = d->last;
		if (!d->last)
			continue;
		assert_int_equal(!!(h->flags & DP_F_CUT), in_call < d->total);
		cut += d->total - in_call;
		if (in_call < d->total)
			assert_int_equal(in_call, DP_SOCK_COPY_MAX);
		moved += d->total;
	}
	assert_true(fresh);
	*ret_cut = cut;
	return moved;
}

static inline const struct dp_sock_connect *only_connect(struct session *s, pid_t pid)
{
	const struct dp_capture *h = next_capture(s, NULL, DP_CAP_SOCK_CONNECT, pid);

	assert_non_null(h);
	assert_null(next_capture(s, h, DP_CAP_SOCK_CONNECT, pid));
	return body(h);
}

#endif
