/* SPDX-License-Identifier: MIT */
/* Connections of a process to a listener, told by its own descriptors. */
#ifndef DORA_PROBE_PEERS_H
#define DORA_PROBE_PEERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "dora/nodeconfig.h"

/*
 * The descriptors of process `pid` whose peer is the listener of `config`, ascending: each is had for the moment of one
 * question (pidfd_getfd), so nothing else of the machine is looked through. Returns their number (at most max; more
 * descriptors than 65536 are not looked at: *ret_incomplete), or -errno: -ENOSYS before Linux 5.6, -EPERM without the
 * right to trace it.
 */
int dp_peers(pid_t pid, const struct dp_node_config *config, int *ret_fds, int max,
	     bool *ret_incomplete);

/*
 * Where its TCP connections over IPv4 loopback lead, each place once: family, port and addr of ret. How many, at most
 * max; -errno as above.
 */
int dp_peers_tcp(pid_t pid, struct dp_node_config *ret, int max);

#endif
