/* SPDX-License-Identifier: MIT */
/*
 * Bytes of marked sockets, copied exactly: the target is a child of this test that connects to a
 * listener here; what it sends and gets is a function of the position in the stream, so that every
 * copied byte can be checked.
 */
#include "bpf_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BIG (300 * 1024)

/* The byte at `pos` of a stream: no period that a lost or doubled piece could hide behind. */
static unsigned char byte_at(size_t pos)
{
	return (unsigned char)(pos * 2654435761u >> 13 ^ pos);
}

static void fill(unsigned char *buf, size_t pos, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(pos + i);
}

/* ---- the target, in its own process ------------------------------------------------------ */

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

static void check(int ok, const char *what)
{
	if (!ok) {
		perror(what);
		_exit(1);
	}
}

static ssize_t transfer(const char *op, int fd, unsigned char *buf, size_t n)
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

static void target_main(int control, const struct sockaddr *addr, socklen_t addr_len)
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

static void target_start(struct target *t, int family)
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
		close(control[0]);
		close(t->listener);
		target_main(control[1], (void *)&t->addr, t->addr_len);
	}
	close(control[1]);
	t->control = control[0];
	t->server = -1;
}

static uint16_t port_of(const struct target *t)
{
	return ntohs(((const struct sockaddr_in *)&t->addr)->sin_port);
}

static void command_start(struct target *t, const char *op, size_t size, size_t pos, int fd,
			  int fd2)
{
	struct command c = {.size = size, .pos = pos, .fd = fd, .fd2 = fd2};

	snprintf(c.op, sizeof(c.op), "%s", op);
	assert_int_equal(write(t->control, &c, sizeof(c)), sizeof(c));
}

static int command_end(struct target *t)
{
	unsigned char done;

	assert_int_equal(read(t->control, &done, 1), 1);
	return done;
}

static int command(struct target *t, const char *op, int fd, int fd2)
{
	command_start(t, op, 0, 0, fd, fd2);
	return command_end(t);
}

static int target_connect(struct target *t, const char *how)
{
	int fd = command(t, how, -1, -1);

	t->server = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(t->server >= 0);
	return fd;
}

static void target_end(struct target *t)
{
	close(t->control);
	if (t->server >= 0)
		close(t->server);
	close(t->listener);
	if (t->addr.ss_family == AF_UNIX)
		unlink(((struct sockaddr_un *)&t->addr)->sun_path);
	waitpid(t->pid, NULL, 0);
}

static void server_take(struct target *t, size_t n)
{
	unsigned char *buf = malloc(n);

	for (size_t got = 0; got < n;) {
		ssize_t r = read(t->server, buf, n - got);

		assert_true(r > 0);
		got += (size_t)r;
	}
	free(buf);
}

static void server_give(struct target *t, size_t n, size_t pos)
{
	unsigned char *buf = malloc(n);

	fill(buf, pos, n);
	for (size_t sent = 0; sent < n;) {
		ssize_t r = write(t->server, buf + sent, n - sent);

		assert_true(r > 0);
		sent += (size_t)r;
	}
	free(buf);
}

/* Watches the target; only its daemon connections, no GIL. */
static void watch(struct session *s, struct target *t, uint16_t family, uint16_t port)
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
static size_t check_stream(struct session *s, pid_t pid, uint64_t conn, int direction, size_t pos,
			   size_t *ret_cut)
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
		assert_int_equal(d->offset, fresh ? 0 : in_call);
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

static const struct dp_sock_connect *only_connect(struct session *s, pid_t pid)
{
	const struct dp_capture *h = next_capture(s, NULL, DP_CAP_SOCK_CONNECT, pid);

	assert_non_null(h);
	assert_null(next_capture(s, h, DP_CAP_SOCK_CONNECT, pid));
	return body(h);
}

static const size_t sizes[] = {1,     7,     8,      63,     64,     65,     255,   256,
			       257,   1023,  1024,   1025,   4095,   4096,   4097,  8192,
			       12289, 65536, 100000, 131071, 131072, 131073, 200000};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void all_sizes(struct session *s, int family, const char *send, const char *receive)
{
	size_t out = 0, in = 0, cut = 0, moved;
	uint64_t losses[DP_LOSS_COUNT], before[DP_LOSS_COUNT];
	unsigned int gaps = s->gaps;
	struct target t;
	uint64_t conn;
	int fd;

	dp_bpf_losses(s->bpf, 1, before);
	target_start(&t, family);
	/* The configuration of a node always says when it is a unix socket. */
	watch(s, &t, family == AF_UNIX ? AF_UNIX : 0, 0);
	fd = target_connect(&t, "connect");
	drain(s);
	conn = only_connect(s, t.pid)->conn;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		command_start(&t, send, sizes[i], out, fd, -1);
		server_take(&t, sizes[i]);
		command_end(&t);
		out += sizes[i];
		command_start(&t, receive, sizes[i], in, fd, -1);
		server_give(&t, sizes[i], in);
		command_end(&t);
		in += sizes[i];
		drain(s);
	}
	moved = check_stream(s, t.pid, conn, DP_TO_DAEMON, 0, &cut);
	assert_int_equal(moved, out);
	/* Blocking sends are not split: those above the limit are cut to it. */
	assert_int_equal(cut, 1 + (200000 - 131072));
	moved = check_stream(s, t.pid, conn, DP_FROM_DAEMON, 0, &cut);
	assert_int_equal(moved, in);
	dp_bpf_losses(s->bpf, 1, losses);
	/* What was cut is payload, or the decoder counts it. */
	assert_int_equal(losses[DP_LOSS_PAYLOAD_CUT], 0);
	assert_int_equal(losses[DP_LOSS_RING_FULL], before[DP_LOSS_RING_FULL]);
	assert_int_equal(losses[DP_LOSS_READ_FAULT], before[DP_LOSS_READ_FAULT]);
	assert_int_equal(s->gaps, gaps);
	target_end(&t);
	drain(s);
	dp_bpf_unwatch(s->bpf, t.pid);
}

static void test_sendto_recvfrom(void **state)
{
	all_sizes(*state, AF_INET, "sendto", "recvfrom");
}

static void test_write_read(void **state)
{
	all_sizes(*state, AF_UNIX, "write", "read");
}

static void test_writev_readv(void **state)
{
	all_sizes(*state, AF_INET6, "writev", "readv");
}

static void test_sendmsg_recvmsg(void **state)
{
	all_sizes(*state, AF_INET, "sendmsg", "recvmsg");
}

static void test_addresses(void **state)
{
	struct session *s = *state;
	const struct dp_sock_connect *c;
	static const unsigned char loopback[4] = {127, 0, 0, 1};
	struct target t;

	target_start(&t, AF_INET);
	watch(s, &t, AF_INET, port_of(&t));
	target_connect(&t, "nonblock");
	drain(s);
	c = only_connect(s, t.pid);
	assert_int_equal(c->family, AF_INET);
	assert_int_equal(c->port, port_of(&t));
	assert_memory_equal(c->addr, loopback, 4);
	target_end(&t);

	target_start(&t, AF_UNIX);
	watch(s, &t, AF_UNIX, 0);
	target_connect(&t, "connect");
	drain(s);
	c = only_connect(s, t.pid);
	assert_int_equal(c->family, AF_UNIX);
	assert_string_equal((const char *)c->addr, ((struct sockaddr_un *)&t.addr)->sun_path);
	target_end(&t);

	target_start(&t, AF_INET6);
	watch(s, &t, 0, 0);
	target_connect(&t, "connect");
	drain(s);
	c = only_connect(s, t.pid);
	assert_int_equal(c->family, AF_INET6);
	assert_int_equal(c->port, ntohs(((struct sockaddr_in6 *)&t.addr)->sin6_port));
	assert_memory_equal(c->addr, &in6addr_loopback, 16);
	target_end(&t);

	/* Another port than the daemon's: nothing. */
	target_start(&t, AF_INET);
	watch(s, &t, AF_INET, (uint16_t)(port_of(&t) ^ 1));
	target_connect(&t, "connect");
	drain(s);
	assert_null(next_capture(s, NULL, DP_CAP_SOCK_CONNECT, t.pid));
	target_end(&t);
}

static void expect_close(struct session *s, pid_t pid, uint64_t conn, int fd, unsigned int how)
{
	const struct dp_capture *h;
	const struct dp_sock_close *c;

	drain(s);
	h = next_capture(s, NULL, DP_CAP_SOCK_CLOSE, pid);
	assert_non_null(h);
	assert_null(next_capture(s, h, DP_CAP_SOCK_CLOSE, pid));
	c = body(h);
	assert_true(c->conn == conn);
	assert_int_equal(c->fd, fd);
	assert_int_equal(c->how, how);
	s->used = 0;
}

static void expect_no_close(struct session *s, pid_t pid)
{
	drain(s);
	assert_null(next_capture(s, NULL, DP_CAP_SOCK_CLOSE, pid));
	s->used = 0;
}

static void test_descriptors(void **state)
{
	struct session *s = *state;
	struct target t;
	uint64_t conn, second;
	size_t cut;
	int fd, copy, other, server;

	target_start(&t, AF_INET);
	watch(s, &t, 0, 0);
	fd = target_connect(&t, "connect");
	drain(s);
	conn = only_connect(s, t.pid)->conn;
	s->used = 0;

	/* The duplicate is the same connection, and the original's end is not its end. */
	copy = command(&t, "dup", fd, -1);
	command(&t, "close", fd, -1);
	expect_no_close(s, t.pid);
	command_start(&t, "sendto", 100, 0, copy, -1);
	command_end(&t);
	drain(s);
	assert_int_equal(check_stream(s, t.pid, conn, DP_TO_DAEMON, 0, &cut), 100);
	s->used = 0;
	command(&t, "dup2", copy, 40);
	command(&t, "dup3", copy, 41);
	fd = command(&t, "fcntl", copy, -1);
	command(&t, "close", copy, -1);
	command(&t, "close", 40, -1);
	command(&t, "close", 41, -1);
	expect_no_close(s, t.pid);
	command(&t, "shutdown", fd, -1);
	expect_close(s, t.pid, conn, fd, 1);
	command(&t, "close", fd, -1);
	expect_close(s, t.pid, conn, fd, 0);
	server = t.server;

	/* A descriptor used again is another connection. */
	fd = target_connect(&t, "connect");
	drain(s);
	second = only_connect(s, t.pid)->conn;
	assert_true(second != conn);
	s->used = 0;

	/* Replaced by a descriptor that is not marked, and bytes on it are not ours. */
	other = command(&t, "dup", 2, -1);
	command(&t, "dup2", other, fd);
	expect_close(s, t.pid, second, fd, 3);
	close(t.server);

	fd = target_connect(&t, "connect");
	drain(s);
	conn = only_connect(s, t.pid)->conn;
	s->used = 0;
	command_start(&t, "exit", 0, 0, -1, -1);
	waitpid(t.pid, NULL, 0);
	drain(s);
	expect_close(s, t.pid, conn, fd, 2);
	target_end(&t);
	close(server);
	dp_bpf_unwatch(s->bpf, t.pid);
}

static void test_peek_is_not_counted(void **state)
{
	struct session *s = *state;
	struct target t;
	size_t cut;
	uint64_t conn;
	int fd;

	target_start(&t, AF_INET);
	watch(s, &t, 0, 0);
	fd = target_connect(&t, "connect");
	drain(s);
	conn = only_connect(s, t.pid)->conn;
	server_give(&t, 500, 0);
	command_start(&t, "peek", 500, 0, fd, -1);
	command_end(&t);
	command_start(&t, "recvfrom", 500, 0, fd, -1);
	command_end(&t);
	drain(s);
	assert_int_equal(check_stream(s, t.pid, conn, DP_FROM_DAEMON, 0, &cut), 500);
	target_end(&t);
	dp_bpf_unwatch(s->bpf, t.pid);
}

/* A socket that was open before, marked by its descriptors as found in /proc. */
static void test_marked_by_the_agent(void **state)
{
	struct session *s = *state;
	uint64_t conn = dp_bpf_new_conn(s->bpf);
	struct target t;
	size_t cut;
	int fd, copy;

	assert_true(dp_bpf_new_conn(s->bpf) != conn);
	target_start(&t, AF_INET);
	fd = target_connect(&t, "connect");
	copy = command(&t, "dup", fd, -1);
	watch(s, &t, 0, 0);
	assert_int_equal(dp_bpf_mark_socket(s->bpf, t.pid, fd, conn), 0);
	assert_int_equal(dp_bpf_mark_socket(s->bpf, t.pid, copy, conn), 0);
	assert_int_equal(dp_bpf_mark_socket(s->bpf, t.pid, fd, conn), -EEXIST);
	command_start(&t, "write", 5000, 0, copy, -1);
	command_end(&t);
	drain(s);
	assert_int_equal(check_stream(s, t.pid, conn, DP_TO_DAEMON, 0, &cut), 5000);
	s->used = 0;
	command(&t, "close", copy, -1);
	expect_no_close(s, t.pid);
	command(&t, "close", fd, -1);
	expect_close(s, t.pid, conn, fd, 0);
	target_end(&t);
	dp_bpf_unwatch(s->bpf, t.pid);
}

/* The time of a send is when it was entered, that of a receive when it returned. */
static void test_times(void **state)
{
	struct session *s = *state;
	const struct dp_capture *h;
	uint64_t asked, given, answered;
	struct target t;
	int fd;

	target_start(&t, AF_INET);
	watch(s, &t, 0, 0);
	fd = target_connect(&t, "connect");
	asked = now_ns();
	command_start(&t, "recvfrom", 100, 0, fd, -1);
	poll(NULL, 0, 30);
	given = now_ns();
	server_give(&t, 100, 0);
	command_end(&t);
	answered = now_ns();
	drain(s);
	h = next_capture(s, NULL, DP_CAP_SOCK_DATA, t.pid);
	assert_non_null(h);
	assert_true(asked < given && h->t_ns >= given && h->t_ns <= answered);
	s->used = 0;
	asked = now_ns();
	/* More than the socket's buffers: the call is blocked until it is taken. */
	command_start(&t, "sendto", BIG, 0, fd, -1);
	poll(NULL, 0, 30);
	given = now_ns();
	server_take(&t, BIG);
	command_end(&t);
	drain(s);
	h = next_capture(s, NULL, DP_CAP_SOCK_DATA, t.pid);
	assert_non_null(h);
	assert_true(h->t_ns >= asked && h->t_ns < given);
	target_end(&t);
	dp_bpf_unwatch(s->bpf, t.pid);
}

static void test_children_are_strangers(void **state)
{
	struct session *s = *state;
	struct target t;
	int fd;

	target_start(&t, AF_INET);
	drain(s);
	s->used = 0;
	fd = target_connect(&t, "connect");
	command_start(&t, "sendto", 1000, 0, fd, -1);
	command_end(&t);
	command(&t, "close", fd, -1);
	target_end(&t);
	drain(s);
	assert_int_equal(s->used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sendto_recvfrom),
		cmocka_unit_test(test_write_read),
		cmocka_unit_test(test_writev_readv),
		cmocka_unit_test(test_sendmsg_recvmsg),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_peek_is_not_counted),
		cmocka_unit_test(test_marked_by_the_agent),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_children_are_strangers),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
