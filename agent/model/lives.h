/* SPDX-License-Identifier: MIT */
/*
 * One entry for each node of a dataflow: the processes that share its configuration, whichever of
 * them is the node, and the lives that it has had, one after the other.
 */
#ifndef DORA_PROBE_MODEL_LIVES_H
#define DORA_PROBE_MODEL_LIVES_H

#include "dora_probe/finding.h"

#include <stdbool.h>

#define ENTRIES_MAX 512
#define MEMBERS_MAX 512
/*
 * So many lives that ended in trouble within LOOP_NS are a crash loop: from the second on it is noted, with
 * LOOP_CRITICAL it is bad.
 */
#define LOOP_NOTICE   2
#define LOOP_LIVES    3
#define LOOP_CRITICAL 10
#define LOOP_NS       (60 * SEC)

/* Totals of lives that are told of in one line, and of those whose slot another process has got. */
struct life_totals {
	uint64_t holds, max_hold_ns, held_ns;
	char max_hold_function[DP_FUNCTION_MAX];
	uint64_t tokens, abandoned, open, lost, max_pending_ns;
	bool tokens_known;
	uint64_t recommended_ns;              /* the largest; DP_NULL none */
	uint64_t cleanup_ns, killed_after_ns; /* the longest; 0 none */
	uint32_t blame_count;
	struct dp_blame blame[DP_BLAME_MAX];
};

struct entry {
	char dataflow[DP_UUID_MAX], node[DP_ID_MAX];
	uint32_t processes; /* of the model's table that point at it */
	uint64_t last_ns;   /* when something of it was last heard of */
	uint32_t life;      /* the highest number given to a life whose slot is gone */
	struct life_totals past;
	/* lives that ended in trouble */
	uint64_t death_ns[LOOP_CRITICAL]; /* the last ones, a ring */
	uint32_t deaths;
	uint8_t loop_level; /* 0 none; 1 + enum dp_severity of the warning that stands */
};

/* What is to be said of an exit. */
enum parting {
	PARTING_NONE,
	PARTING_WAIT,    /* nobody knows yet whose it is */
	PARTING_EXIT,    /* the node's */
	PARTING_WRAPPER, /* that of the process which started a node that goes on */
	PARTING_DROP,    /* of no interest */
};

/* A process with the configuration of a node. */
struct member {
	uint32_t pid, above_pid;
	struct entry *entry; /* NULL: slot free */
	uint8_t role;        /* enum dp_member_role */
	bool connected, proven, is_python;
	bool exited;
	uint8_t parting; /* enum parting */
	uint64_t exit_ns;
	int32_t status;
	bool unknown; /* … which nobody saw: 0 */
	uint32_t killer_pid;
	uint8_t kill_signal;
};

struct lives {
	struct entry entries[ENTRIES_MAX];
	struct member members[MEMBERS_MAX];
	uint32_t entry_high, member_high; /* slots used at some time */
};

/* The entry of this name, taken up when it is new; NULL without a name, or when there is no room. */
struct entry *lives_entry(struct lives *l, const char *dataflow, const char *node, uint64_t t_ns);
/* The process that is there with this pid; NULL none. */
struct member *lives_find(struct lives *l, uint32_t pid);
/* A MEMBER record. NULL when there is no room. */
struct member *lives_member(struct lives *l, const struct dp_record *r);
/* A deadly signal for one of them: who sent it. */
void lives_signal(struct lives *l, const struct dp_record *r);
/* The process runs another program: it is no member any more. */
void lives_forget(struct lives *l, uint32_t pid);
/*
 * A process has ended. True: the exit is the caller's to say, since it is known to be a node's, or
 * nothing is known of it. False: lives_next() tells.
 */
bool lives_exit(struct lives *l, const struct dp_record *r);
/* An exit of which it is decided by now what is to be said (PARTING_EXIT, _WRAPPER, _DROP), once. */
bool lives_next(struct lives *l, uint64_t now, struct member *ret);

/* A life ended in trouble: the severity of the crash loop when that has risen, else -1. */
int lives_died(struct entry *e, uint64_t t_ns);
/* Is the crash loop that was warned of over, because the node runs or has left quietly? */
bool lives_loop_ends(struct entry *e, uint64_t now);

/* Adds `b` to `a`. */
void lives_add(struct life_totals *a, const struct life_totals *b);

#endif
