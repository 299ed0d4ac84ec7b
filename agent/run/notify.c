// SPDX-License-Identifier: MIT
/* The service manager is told (notify.h). */
#include "run/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/number.h"
#include "base/units.h"

/* A path, or @ and an abstract name. */
static int connected(const char *address)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(address);
	int fd;

	if ((address[0] != '/' && address[0] != '@') || len < 2 || len >= sizeof(a.sun_path))
		return -1;
	memcpy(a.sun_path, address, len);
	if (address[0] == '@')
		a.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* Nothing but a number: true, and it is in *ret. */
static bool read_number(const char *s, uint64_t max, uint64_t *ret)
{
	const char *end = dp_number(s, 10, max, ret);

	return end && !*end;
}

/* Half of what $WATCHDOG_USEC allows, as sd_watchdog_enabled(3) advises; 0: it is meant for another process. */
static uint64_t interval(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, whose;

	if (!usec || !read_number(usec, UINT64_MAX / US, &us))
		return 0;
	if (pid && (!read_number(pid, INT32_MAX, &whose) || whose != (uint64_t)getpid()))
		return 0;
	return us * US / 2;
}

void dp_notify_open(struct dp_notify *n)
{
	const char *address = getenv("NOTIFY_SOCKET");

	*n = (struct dp_notify){.fd = address ? connected(address) : -1};
	if (n->fd >= 0)
		n->interval_ns = interval();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void dp_notify_tell(struct dp_notify *n, const char *state)
{
	/* A manager that does not listen is no reason to fail or to wait. */
	if (n->fd >= 0 && send(n->fd, state, strlen(state), MSG_NOSIGNAL) < 0 && errno == EBADF)
		n->fd = -1;
}

void dp_notify_alive(struct dp_notify *n, uint64_t now_ns)
{
	if (!n->interval_ns || now_ns < n->next_ns)
		return;
	n->next_ns = now_ns + n->interval_ns;
	dp_notify_tell(n, "WATCHDOG=1");
}

void dp_notify_close(struct dp_notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
