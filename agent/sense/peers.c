// SPDX-License-Identifier: MIT
/* Connections of a process, by its descriptors (peers.h). */
#include "sense/peers.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/procfile.h"

/* A process with more descriptors than this is read up to here. */
#define FDS_MAX 65536

struct peer_search {
	pid_t pid;
	int pidfd;
	void (*fn)(struct peer_search *s, int fd, const struct sockaddr_storage *a, socklen_t len);
	const struct dp_node_config *config;
	int *ret;
	struct dp_node_config *ret_places;
	int max, count, seen, err;
	bool incomplete;
};

static bool is_listener(const struct dp_node_config *c, const struct sockaddr_storage *a,
			socklen_t len)
{
	const struct sockaddr_in *v4 = (const void *)a;
	const struct sockaddr_in6 *v6 = (const void *)a;
	const struct sockaddr_un *un = (const void *)a;
	size_t path = strlen(c->socket_path);

	switch (a->ss_family) {
	case AF_UNIX:
		return c->family == AF_UNIX && path &&
		       len > offsetof(struct sockaddr_un, sun_path) + path &&
		       memcmp(un->sun_path, c->socket_path, path + 1) == 0;
	case AF_INET:
		return c->family == AF_INET && ntohs(v4->sin_port) == c->port &&
		       memcmp(&v4->sin_addr, c->addr, sizeof(v4->sin_addr)) == 0;
	case AF_INET6:
		if (ntohs(v6->sin6_port) != c->port)
			return false;
		if (c->family == AF_INET)
			return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
			       memcmp(v6->sin6_addr.s6_addr + 12, c->addr, 4) == 0;
		return c->family == AF_INET6 && memcmp(&v6->sin6_addr, c->addr, 16) == 0;
	default:
		return false;
	}
}

static bool is_socket(pid_t pid, int fd)
{
	char name[24], link[64];

	snprintf(name, sizeof(name), "fd/%d", fd);
	return dp_procfile_link_pid("/proc", pid, name, link, sizeof(link)) > 0 &&
	       strncmp(link, "socket:", 7) == 0;
}

static int try_descriptor(void *ctx, int fd)
{
	struct peer_search *s = ctx;
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	int own;

	if (s->count == s->max || s->seen++ == FDS_MAX) {
		s->incomplete = true;
		return 1;
	}
	if (!is_socket(s->pid, fd))
		return 0;
	own = (int)syscall(SYS_pidfd_getfd, s->pidfd, fd, 0);
	if (own < 0) {
		/* Closed since. */
		if (errno == EBADF)
			return 0;
		s->err = -errno;
		return 1;
	}
	memset(&a, 0, sizeof(a));
	if (getpeername(own, (struct sockaddr *)&a, &len) == 0)
		s->fn(s, fd, &a, len);
	close(own);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* 0 or -errno. */
static int search(struct peer_search *s)
{
	int r;

	s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (s->pidfd < 0)
		return -errno;
	r = dp_procfile_numbers("/proc", s->pid, "fd", try_descriptor, s);
	close(s->pidfd);
	return s->err ? s->err : r < 0 ? r : 0;
}

static void take_fd(struct peer_search *s, int fd, const struct sockaddr_storage *a, socklen_t len)
{
	if (is_listener(s->config, a, len))
		s->ret[s->count++] = fd;
}

int dp_peers(pid_t pid, const struct dp_node_config *config, int *ret_fds, int max,
	     bool *ret_incomplete)
{
	struct peer_search s = {
		.pid = pid, .fn = take_fd, .config = config, .ret = ret_fds, .max = max};
	int err = search(&s);

	if (err)
		return err;
	*ret_incomplete = s.incomplete;
	qsort(ret_fds, (size_t)s.count, sizeof(ret_fds[0]), by_number);
	return s.count;
}

static void take_place(struct peer_search *s, int fd, const struct sockaddr_storage *a,
		       socklen_t len)
{
	const struct sockaddr_in *v4 = (const void *)a;
	struct dp_node_config place = {.family = AF_INET};

	(void)fd;
	if (a->ss_family != AF_INET || len < sizeof(*v4))
		return;
	memcpy(place.addr, &v4->sin_addr, sizeof(v4->sin_addr));
	place.port = ntohs(v4->sin_port);
	if (place.addr[0] != IN_LOOPBACKNET)
		return;
	for (int i = 0; i < s->count; i++)
		if (is_listener(&s->ret_places[i], a, len))
			return;
	s->ret_places[s->count++] = place;
}

int dp_peers_tcp(pid_t pid, struct dp_node_config *ret, int max)
{
	struct peer_search s = {.pid = pid, .fn = take_place, .ret_places = ret, .max = max};
	int err = search(&s);

	return err ? err : s.count;
}
