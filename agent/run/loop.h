/* SPDX-License-Identifier: MIT */
/* What a run waits for: a table from descriptors to functions, over one epoll. */
#ifndef DORA_PROBE_LOOP_H
#define DORA_PROBE_LOOP_H

#include <stdint.h>

#define DP_LOOP_FDS 8

struct dp_loop {
	int epoll; /* -1: not open */
	unsigned int count;
	struct {
		int fd;
		void (*fn)(void *ctx, int fd); /* NULL: it only wakes the loop */
		void *ctx;
	} at[DP_LOOP_FDS];
};

/* 0 or -errno. */
int dp_loop_open(struct dp_loop *l);
/*
 * Calls fn when `fd` has one of `events` (EPOLLIN …; 0: errors and hang-ups alone, which are always
 * among them). The descriptor stays the caller's. 0; -ENOSPC no place in the table; other -errno.
 */
int dp_loop_add(struct dp_loop *l, int fd, uint32_t events, void (*fn)(void *ctx, int fd),
		void *ctx);
/* Waits, without limit, and calls what is due. A signal that interrupts it is no error. 0 or -errno. */
int dp_loop_wait(struct dp_loop *l);
void dp_loop_close(struct dp_loop *l);

#endif
