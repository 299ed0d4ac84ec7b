/* SPDX-License-Identifier: MIT */
/*
 * Sockets by the kernel's own table (NETLINK_SOCK_DIAG): whose peer is a given listener, in the
 * network namespace of another process, whatever else that machine has open.
 */
#ifndef DORA_PROBE_SOCKDIAG_H
#define DORA_PROBE_SOCKDIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora/nodeconfig.h"

#define DP_CLIENTS_MAX 256

/* Sockets by inode. */
struct dp_sockets {
	uint64_t inode[DP_CLIENTS_MAX];
	int count;
	/* A limit of number or time was hit, or the way does not exist: there may be others. */
	bool incomplete;
};

/* Adds one; inode 0, which a socket that belongs to no process has, is left out. */
void dp_sockets_add(struct dp_sockets *s, uint64_t inode);
bool dp_sockets_has(const struct dp_sockets *s, uint64_t inode);

/*
 * The client ends of connections to the listener of `config`, in the network namespace of `pid`:
 * TCP by address and port, unix by the peer. At most 1 << 20 sockets are looked at, for 300 ms. 0;
 * -ENOTSUP the kernel does not have this table; -EPERM the namespace may not be entered; -ESRCH;
 * other -errno. On failure *ret is untouched.
 */
int dp_sockdiag_clients(pid_t pid, const struct dp_node_config *config, struct dp_sockets *ret);

/* The same of the listener itself, TCP alone: its inode, in a moment, whatever is connected. */
int dp_sockdiag_listener(pid_t pid, const struct dp_node_config *config, struct dp_sockets *ret);

/*
 * What one answer of the kernel adds to them: `bytes` are whole netlink messages, aligned as such. 1: another answer follows;
 * 0: that was the end; -errno, and *ret is untouched.
 */
int dp_sockdiag_answer(const void *bytes, size_t len, const struct dp_node_config *config,
		       struct dp_sockets *ret);

#endif
