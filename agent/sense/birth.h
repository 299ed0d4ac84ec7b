/* SPDX-License-Identifier: MIT */
/*
 * Processes that begin, as the kernel tells of them: with the node configuration of their environment,
 * which /proc no longer has once they have left.
 */
#ifndef DORA_PROBE_BIRTH_H
#define DORA_PROBE_BIRTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/capture.h"

/* Configurations of which not all pieces have come yet. */
#define DP_BIRTHS_MAX 8

/* Zeroed before its first use. */
struct dp_births {
	struct dp_birth_text {
		pid_t pid; /* 0: slot free */
		char *text;
		size_t len;
	} at[DP_BIRTHS_MAX];
	unsigned int next;
};

struct dp_birth {
	pid_t pid, parent;
	uint64_t start_time; /* clock ticks since boot, as /proc has it */
	char exe[DP_EXE_MAX];
	const char *config; /* NULL: none, or not all of it came */
	size_t config_len;
	bool end_is_told; /* the kernel tells of its end, whatever happens */
};

/* A piece of `pid`'s configuration; `bytes` of p->copied. */
void dp_births_piece(struct dp_births *b, pid_t pid, const struct dp_config_piece *p,
		     const char *bytes);
/* The process has begun. What *ret points at is there until dp_births_done(). */
void dp_births_take(struct dp_births *b, pid_t pid, const struct dp_exec_op *o,
		    struct dp_birth *ret);
/* Forgets the configuration of `pid`. */
void dp_births_done(struct dp_births *b, pid_t pid);
void dp_births_free(struct dp_births *b);

#endif
