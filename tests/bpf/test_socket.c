// SPDX-License-Identifier: MIT
/* Bytes of marked sockets, copied exactly: by each system call, at each size. */
#include "base/array.h"
#include "socket_target.h"

/* ---- the target, in its own process ------------------------------------------------------ */

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

static const size_t sizes[] = {1,     7,     8,      63,     64,     65,     255,   256,
			       257,   1023,  1024,   1025,   4095,   4096,   4097,  8192,
			       12289, 65536, 100000, 131071, 131072, 131073, 200000};

static void all_sizes(struct session *s, int family, const char *send, const char *receive)
{
	size_t out = 0, in = 0, cut = 0, moved, tail;
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
	for (size_t i = 0; i < DP_COUNT_OF(sizes); i++) {
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
	/* Blocking sends are not split: those above the limit are cut to it, and to their end. */
	tail = strstr(send, "msg") || strchr(send, 'v') ? 0 : DP_SOCK_TAIL;
	assert_int_equal(cut, 1 + (200000 - 131072 - tail));
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

/*
 * The time of a send is when it was entered, but at most DP_SEND_BACK_NS before it returned; that of a
 * receive when it returned.
 */
static void test_times(void **state)
{
	struct session *s = *state;
	const struct dp_capture *h;
	uint64_t asked, given, answered;
	const char *forced = getenv("DORA_PROBE_SOURCES");
	struct target t;
	int fd;

	target_start(&t, AF_INET);
	watch(s, &t, 0, 0);
	fd = target_connect(&t, "connect");
	asked = now_ns();
	command_start(&t, "recvfrom", 100, 0, fd, -1);
	wait_blocked_in(&t, SYS_recvfrom);
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
	/* More than the receiver's window and the sender's buffer: the call is blocked until it is taken. */
	command(&t, "narrow", fd, -1);
	command_start(&t, "sendto", BIG, 0, fd, -1);
	wait_blocked_in(&t, SYS_sendto);
	given = now_ns();
	/* Blocked for longer than its time may lie back. */
	while (now_ns() < given + DP_SEND_BACK_NS)
		poll(NULL, 0, 1);
	server_take(&t, BIG);
	command_end(&t);
	answered = now_ns();
	drain(s);
	h = next_capture(s, NULL, DP_CAP_SOCK_DATA, t.pid);
	assert_non_null(h);
	assert_true(h->t_ns > given && h->t_ns <= answered);
	/* By tracepoints it is when the call first woke somebody. */
	if (forced && !strcmp(forced, "syscalls"))
		assert_true(h->t_ns + DP_SEND_BACK_NS <= answered);
	s->used = 0;
	asked = now_ns();
	command_start(&t, "sendto", 100, 0, fd, -1);
	command_end(&t);
	answered = now_ns();
	drain(s);
	h = next_capture(s, NULL, DP_CAP_SOCK_DATA, t.pid);
	assert_non_null(h);
	assert_true(h->t_ns >= asked && h->t_ns <= answered);
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

/* What is left alone of a process is not seen, of the connections that it had and of those that it makes, and then again. */
static void left_alone(struct session *s, uint16_t family, const char *send)
{
	struct dp_target w = {.watch_sockets = 1, .daemon_family = family == AF_UNIX ? AF_UNIX : 0};
	struct target t;
	int fd;

	target_start(&t, family);
	watch(s, &t, w.daemon_family, 0);
	fd = target_connect(&t, "connect");
	command_start(&t, send, 8, 0, fd, -1);
	server_take(&t, 8);
	command_end(&t);
	drain(s);
	only_connect(s, t.pid);
	w.resting = 1u << DP_SOURCE_SOCKET;
	assert_int_equal(dp_bpf_watch(s->bpf, t.pid, &w), 0);
	s->used = 0;
	command_start(&t, send, 1000, 0, fd, -1);
	server_take(&t, 1000);
	command_end(&t);
	drain(s);
	assert_int_equal(count_captures(s, DP_CAP_SOCK_DATA, t.pid), 0);
	w.resting = 0;
	assert_int_equal(dp_bpf_watch(s->bpf, t.pid, &w), 0);
	command_start(&t, send, 500, 0, fd, -1);
	server_take(&t, 500);
	command_end(&t);
	drain(s);
	assert_int_equal(count_captures(s, DP_CAP_SOCK_DATA, t.pid), 1);
	target_end(&t);
	drain(s);
	dp_bpf_unwatch(s->bpf, t.pid);
}

static void test_left_alone(void **state)
{
	left_alone(*state, AF_INET, "sendto");
	left_alone(*state, AF_UNIX, "write");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sendto_recvfrom),
		cmocka_unit_test(test_write_read),
		cmocka_unit_test(test_writev_readv),
		cmocka_unit_test(test_sendmsg_recvmsg),
		cmocka_unit_test(test_peek_is_not_counted),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_children_are_strangers),
		cmocka_unit_test(test_left_alone),
	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
