// SPDX-License-Identifier: MIT
/* The listening socket, and why there is none (http_state.h). */
#include "serve/http_state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Bytes that one write hands to the kernel at most (it doubles the number): a large exposition goes
 * out over several turns of the loop instead of one long copy per reader.
 */
#define SEND_BUFFER 65536

void say_why(char *why, size_t len, const char *fmt, ...)
{
	va_list ap;

	if (!len)
		return;
	va_start(ap, fmt);
	vsnprintf(why, len, fmt, ap);
	va_end(ap);
}

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* 0, or -EINVAL for what is no numeric address. */
static int parse_address(const char *addr, uint16_t port, union address *ret, socklen_t *ret_len)
{
	union address a = {0};

	if (inet_pton(AF_INET, addr, &a.in.sin_addr) == 1) {
		a.in.sin_family = AF_INET;
		a.in.sin_port = htons(port);
		*ret_len = sizeof(a.in);
	} else if (inet_pton(AF_INET6, addr, &a.in6.sin6_addr) == 1) {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		*ret_len = sizeof(a.in6);
	} else {
		return -EINVAL;
	}
	*ret = a;
	return 0;
}

static bool is_loopback(const union address *a)
{
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

static void say_bind_error(char *why, size_t len, const char *addr, uint16_t port, int error)
{
	switch (error) {
	case EADDRINUSE:
		say_why(why, len,
			"cannot listen on %s port %u: the port is in use; see by whom with "
			"`ss -ltnp 'sport = :%u'`, or choose another with --listen",
			addr, port, port);
		break;
	case EADDRNOTAVAIL:
		say_why(why, len,
			"cannot listen on %s: it is not an address of this machine; "
			"see which there are with `ip -brief address`",
			addr);
		break;
	case EACCES:
		say_why(why, len,
			"cannot listen on port %u: ports below 1024 need CAP_NET_BIND_SERVICE; "
			"choose one of 1024 or above with --listen",
			port);
		break;
	default:
		say_why(why, len, "cannot listen on %s port %u: %s; try `--listen 127.0.0.1:9469`",
			addr, port, strerror(error));
	}
}

int listen_on(const char *addr, uint16_t port, uint16_t *ret_port, int *ret_v6, char *why,
	      size_t why_len)
{
	int fd = -1, one = 1, size = SEND_BUFFER, r;
	union address a;
	socklen_t len;

	if (parse_address(addr, port, &a, &len)) {
		say_why(why, why_len,
			"cannot listen on \"%s\": not a numeric address; "
			"use `--listen 127.0.0.1:9469` or `--listen '[::1]:9469'`",
			addr);
		return -EINVAL;
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		say_bind_error(why, why_len, addr, port, -r);
		return r;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted sockets inherit it. */
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (a.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &a.sa, len) || listen(fd, DP_HTTP_CONNECTIONS) ||
	    getsockname(fd, &a.sa, &len)) {
		r = -errno;
		say_bind_error(why, why_len, addr, port, -r);
		close(fd);
		return r;
	}
	*ret_port = ntohs(a.sa.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
	*ret_v6 = a.sa.sa_family == AF_INET6;
	if (!is_loopback(&a))
		say_why(why, why_len,
			"%s port %u is reachable from other machines: there is neither encryption nor "
			"a "
			"password; `--listen 127.0.0.1:%u` keeps it to this one",
			addr, *ret_port, *ret_port);
	return fd;
}
