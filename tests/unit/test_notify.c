// SPDX-License-Identifier: MIT
/* What the service manager hears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/units.h"
#include "run/notify.h"

/* A manager that listens at an abstract address; its name goes into the environment. */
static int manager(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	size_t len = (size_t)snprintf(name, sizeof(name), "@dora-probe-test-%d", (int)getpid());

	assert_true(fd >= 0);
	memcpy(a.sun_path, name, len);
	a.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* The next datagram in `ret`; "" none. */
static const char *heard(int fd, char ret[64])
{
	ssize_t n = recv(fd, ret, 63, 0);

	ret[n < 0 ? 0 : n] = '\0';
	return ret;
}

static void test_the_manager_hears_each_state(void **state)
{
	struct dp_notify n;
	int fd = manager();
	char text[64];

	(void)state;
	dp_notify_open(&n);
	assert_null(getenv("NOTIFY_SOCKET"));
	dp_notify_tell(&n, "READY=1");
	assert_string_equal(heard(fd, text), "READY=1");
	/* No watchdog was asked for. */
	dp_notify_alive(&n, 5 * SEC);
	assert_string_equal(heard(fd, text), "");
	dp_notify_tell(&n, "STOPPING=1");
	assert_string_equal(heard(fd, text), "STOPPING=1");
	dp_notify_close(&n);
	dp_notify_tell(&n, "READY=1");
	assert_string_equal(heard(fd, text), "");
	close(fd);
}

static void test_a_sign_of_life_comes_twice_in_its_time(void **state)
{
	struct dp_notify n;
	unsigned int signs = 0;
	int fd = manager();
	char text[64], pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	dp_notify_open(&n);
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	for (uint64_t now = 100 * SEC; now < 160 * SEC; now += 10 * MS)
		dp_notify_alive(&n, now);
	while (*heard(fd, text)) {
		assert_string_equal(text, "WATCHDOG=1");
		signs++;
	}
	assert_int_equal(signs, 4);
	dp_notify_close(&n);
	close(fd);
}

static void test_a_watchdog_of_another_process_or_without_sense_is_none(void **state)
{
	static const char *const wrong[][2] = {
		{"30000000", "1"},
		{"0", NULL},
		{"-5", NULL},
		{"3e7", NULL},
		{"99999999999999999999", NULL},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(wrong); i++) {
		struct dp_notify n;
		int fd = manager();

		setenv("WATCHDOG_USEC", wrong[i][0], 1);
		if (wrong[i][1])
			setenv("WATCHDOG_PID", wrong[i][1], 1);
		dp_notify_open(&n);
		dp_notify_alive(&n, 1000 * SEC);
		assert_string_equal(heard(fd, text), "");
		dp_notify_close(&n);
		close(fd);
	}
}

static void test_nobody_to_tell_is_no_failure(void **state)
{
	static const char *const addresses[] = {
		"", "@", "relative/path", "/nonexistent/notify", "vsock:2:1234", NULL,
	};
	char longest[200];

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	for (size_t i = 0; i < DP_COUNT_OF(addresses); i++) {
		struct dp_notify n;

		if (addresses[i])
			setenv("NOTIFY_SOCKET", addresses[i], 1);
		else
			setenv("NOTIFY_SOCKET", longest, 1);
		dp_notify_open(&n);
		assert_int_equal(n.fd, -1);
		dp_notify_tell(&n, "READY=1");
		dp_notify_alive(&n, SEC);
		dp_notify_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_manager_hears_each_state),
		cmocka_unit_test(test_a_sign_of_life_comes_twice_in_its_time),
		cmocka_unit_test(test_a_watchdog_of_another_process_or_without_sense_is_none),
		cmocka_unit_test(test_nobody_to_tell_is_no_failure),
	};

	return cmocka_run_group_tests_name("notify", tests, NULL, NULL);
}
