// SPDX-License-Identifier: MIT
/*
 * Which socket a connection is: addresses, copies of a descriptor, closing, marking by the agent.
 */
#include "socket_target.h"

/* ---- the target, in its own process ------------------------------------------------------ */

static uint16_t port_of(const struct target *t)
{
	return ntohs(((const struct sockaddr_in *)&t->addr)->sin_port);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_marked_by_the_agent),

	};

	return cmocka_run_group_tests(tests, session_start, session_stop);
}
