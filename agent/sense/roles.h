/* SPDX-License-Identifier: MIT */
/*
 * Which of the processes with one node configuration is the node. Everything that a node starts
 * inherits its environment, and so does a node from whatever started it (a shell, `uv`, `conda run`,
 * a launcher, the bootloader of a frozen program). Pure: `list` and `watch` feed it what they know.
 */
#ifndef DORA_PROBE_ROLES_H
#define DORA_PROBE_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct dp_member {
	pid_t pid;
	pid_t above;         /* its nearest ancestor among the members; 0 none */
	uint64_t start_time; /* clock ticks since boot */
	bool connected;      /* has a connection to the daemon that is its own */
	bool python;         /* runs a Python interpreter */
	bool dora;           /* has dora's library mapped */
	bool waits;          /* its main thread sleeps in a call in which one waits for a child */
	/* out: */
	uint8_t role; /* enum dp_member_role */
	bool proven;  /* by a connection: its own, or that of the node that it belongs to */
};

/*
 * Gives each of `n` members of one node its role. Who is connected is the node, whoever is above it
 * or began before it a wrapper, the rest helpers. While nobody is connected, one is taken for the
 * node: the outermost that has dora mapped; else, from the outermost down, the first that does not
 * merely wait for a child.
 */
void dp_roles_decide(struct dp_member *m, size_t n);

#endif
