/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process, read as data with bounded buffers. `proc` is "/proc" or a test's
 * own tree.
 */
#ifndef DORA_PROBE_PROCFS_H
#define DORA_PROBE_PROCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora/nodeconfig.h"

/*
 * The daemon connections that a process has open: sockets whose peer is the listener of its node
 * configuration. fds ascending (dora opens events, events-close, drop, control in this order).
 * Returns their number (at most max) or -errno.
 */
int dp_proc_daemon_sockets(const char *proc, pid_t pid, const struct dp_node_config *config,
			   int *ret_fds, int max);

/*
 * The nearest ancestor with the same node configuration in its environment, 0 when there is none.
 * What a node starts inherits it, and so does a node that is started by a wrapper (uv run).
 */
pid_t dp_proc_node_ancestor(const char *proc, pid_t pid, const struct dp_node_config *config);

/* Is the socket open in `other` too? What a process forks has all of its descriptors. */
int dp_proc_shares_socket(const char *proc, pid_t pid, int fd, pid_t other);

/* Calls fn for each mapping of a dora region ("shmem_…"). Returns how many, or -errno. */
int dp_proc_regions(const char *proc, pid_t pid,
		    void (*fn)(void *ctx, uint64_t addr, const char *name), void *ctx);

/* The process that listens at the node configuration's address: its pid, or 0 when not found. */
pid_t dp_proc_daemon(const char *proc, pid_t pid, const struct dp_node_config *config);

/* The threads of a process, at most `max`. Returns how many, or -errno. */
int dp_proc_threads(const char *proc, pid_t pid, pid_t *ret, int max);

/* Calls fn for every process. 0 or -errno. */
int dp_proc_each(const char *proc, void (*fn)(void *ctx, pid_t pid), void *ctx);

#endif
