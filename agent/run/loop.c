// SPDX-License-Identifier: MIT
/* The table of descriptors (loop.h). */
#include "run/loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

int dp_loop_open(struct dp_loop *l)
{
	*l = (struct dp_loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
	return l->epoll < 0 ? -errno : 0;
}

int dp_loop_add(struct dp_loop *l, int fd, uint32_t events, void (*fn)(void *ctx, int fd),
		void *ctx)
{
	struct epoll_event e = {.events = events, .data.u32 = l->count};

	if (l->count == DP_LOOP_FDS)
		return -ENOSPC;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		return -errno;
	l->at[l->count].fd = fd;
	l->at[l->count].fn = fn;
	l->at[l->count].ctx = ctx;
	l->count++;
	return 0;
}

int dp_loop_wait(struct dp_loop *l)
{
	struct epoll_event events[DP_LOOP_FDS];
	int n = epoll_wait(l->epoll, events, DP_LOOP_FDS, -1);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		uint32_t at = events[i].data.u32;

		if (l->at[at].fn)
			l->at[at].fn(l->at[at].ctx, l->at[at].fd);
	}
	return 0;
}

void dp_loop_close(struct dp_loop *l)
{
	if (l->epoll >= 0)
		close(l->epoll);
	l->epoll = -1;
}
