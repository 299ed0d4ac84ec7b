/* SPDX-License-Identifier: MIT */
/*
 * What /proc says of a process, read as data with bounded buffers. `proc` is "/proc" or a test's
 * own tree.
 */
#ifndef DORA_PROBE_PROCFS_H
#define DORA_PROBE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora/nodeconfig.h"

/*
 * The daemon connections that a process has open: sockets whose peer is the listener of its node
 * configuration. fds ascending (dora opens events, events-close, drop, control in this order).
 * Returns their number (at most max) or -errno. *ret_incomplete: there may be others, since a limit
 * (of number, or of time) was hit or the kernel does not tell the peer of a unix socket.
 */
int dp_proc_daemon_sockets(const char *proc, pid_t pid, const struct dp_node_config *config,
			   int *ret_fds, int max, bool *ret_incomplete);

/* Is the socket open in `other` too? What a process forks has all of its descriptors. */
int dp_proc_shares_socket(const char *proc, pid_t pid, int fd, pid_t other);

/* A mapping of a dora region ("shmem_…"). A receiver maps a message to read, its owner to write. */
struct dp_proc_region {
	uint64_t addr, end;
	bool writable;
	char name[DP_REGION_NAME_MAX];
};

/* Calls fn for each; for 65536 of them at most. Returns how many, or -errno. */
int dp_proc_regions(const char *proc, pid_t pid,
		    void (*fn)(void *ctx, const struct dp_proc_region *r), void *ctx);

/*
 * The file behind a mapping: when it was last changed, in CLOCK_MONOTONIC ns by the wall clock of
 * now (0 unknown), and its size. 0 or -errno.
 */
int dp_proc_region_file(const char *proc, pid_t pid, const struct dp_proc_region *r,
			uint64_t *ret_changed_ns, uint64_t *ret_bytes);

/* When a process started, CLOCK_MONOTONIC ns, to a clock tick (10 ms); 0 unknown. */
uint64_t dp_proc_started(const char *proc, pid_t pid);

/* The process that listens at the node configuration's address: its pid, or 0 when not found. */
pid_t dp_proc_daemon(const char *proc, pid_t pid, const struct dp_node_config *config);
/* Does process `pid` itself listen there? */
bool dp_proc_listens(const char *proc, pid_t pid, const struct dp_node_config *config);

/* The threads of a process, at most `max`. Returns how many, or -errno. */
int dp_proc_threads(const char *proc, pid_t pid, pid_t *ret, int max);

/* Calls fn for every process. 0 or -errno. */
int dp_proc_each(const char *proc, void (*fn)(void *ctx, pid_t pid), void *ctx);

#endif
