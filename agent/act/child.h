/* SPDX-License-Identifier: MIT */
/*
 * A command run beside the loop: own session, no descriptors but its standard ones, no
 * capabilities, a death signal, a time limit, and an output of which only the beginning is kept.
 * Nothing here blocks, and no SIGCHLD handler is needed.
 */
#ifndef DORA_PROBE_CHILD_H
#define DORA_PROBE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DP_CHILD_TEXT_MAX   120
#define DP_CHILD_GROUPS_MAX 64

struct dp_child_options {
	const char *path; /* absolute */
	char *const *argv;
	char *const *envp;
	uint64_t limit_ns;
	bool change_user; /* to uid, gid and groups; needs CAP_SETUID and CAP_SETGID */
	uid_t uid;
	gid_t gid;
	gid_t groups[DP_CHILD_GROUPS_MAX];
	int group_count;
};

struct dp_child {
	pid_t pid; /* 0: none */
	int pidfd;
	int out; /* its standard output and error; -1 closed */
	uint64_t started_ns, deadline_ns;
	size_t text_len;
	uint8_t timed_out;
	char text[DP_CHILD_TEXT_MAX]; /* first line or two of its output, printable */
};

struct dp_child_end {
	int code;   /* exit code, -1 ended by a signal */
	int signal; /* 0 none */
	uint8_t timed_out;
	uint64_t took_ns;
};

/* Starts it. now_ns: CLOCK_MONOTONIC. 0 and *ret, or -errno. */
int dp_child_start(const struct dp_child_options *o, uint64_t now_ns, struct dp_child *ret);

/*
 * Looks after it: takes its output, kills it with its process group at the limit. 1 when it has
 * ended (what it left running in its group ends with it) and *ret is filled, 0 while it runs.
 */
int dp_child_poll(struct dp_child *c, uint64_t now_ns, struct dp_child_end *ret);

/* Kills and reaps it, without waiting for more than that. */
void dp_child_kill(struct dp_child *c);

#endif
