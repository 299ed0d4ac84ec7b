/* SPDX-License-Identifier: MIT */
/* A watched process: the sum of what the parts of the model keep about it. */
#ifndef DORA_PROBE_MODEL_NODE_H
#define DORA_PROBE_MODEL_NODE_H

#include "decide/policy.h"
#include "decide/slack.h"
#include "model/account.h"
#include "model/activity.h"
#include "model/convoy.h"
#include "model/deadline.h"
#include "model/edge.h"
#include "model/gil.h"
#include "model/identity.h"
#include "model/progress.h"
#include "model/shares.h"
#include "model/signals.h"
#include "model/stock.h"
#include "model/streams.h"
#include "model/waits.h"
#include "model/warning.h"
#include "model/watchdog.h"

/* What is known of a consumer that does not come back to next(): polling.h. */
struct polling {
	uint64_t since_ns;                    /* proven; 0 nothing says so */
	uint64_t known_ns;                    /* model time at which that was proven first */
	uint32_t evidence;                    /* bit per enum dp_evidence */
	uint64_t since_by[DP_EVIDENCE_COUNT]; /* as each of them has it, where its bit is set */
	uint64_t maps;                        /* arrays that it had mapped, at the last tick … */
	uint64_t taken_ns;                    /* … and when that last changed */
	uint64_t found_ns;                    /* last search for the thread that polls */
	uint32_t finds;
	bool learning;     /* the edge source is asked for, to see a call of next() … */
	uint64_t learn_ns; /* … since, or was last */
	uint32_t learns;
};

/* How it ended, as far as that says how much time it needs. */
struct ending {
	uint64_t cleanup_ns; /* end of the hold at Stop, or Stop, to exit by itself; 0 not measured
			      */
	uint64_t own_cleanup_ns;  /* the same, since the guard's last signal */
	uint64_t killed_after_ns; /* by the daemon, after Stop; 0 not */
	int64_t margin_ns;        /* deadline minus exit; DP_SNULL never stopped */
};

/* What can be said of a stop, the one under way or the next. */
struct outlook {
	struct dp_stop_steps steps;
	uint64_t second_ns;      /* last round of what is done once a second */
	uint64_t need_ns;        /* its clean-up as measured; DP_NULL unknown */
	uint64_t forecast_ns;    /* what a stop would take, until there is one; DP_NULL unknown */
	int64_t slack_ns;        /* DP_SNULL unknown */
	uint64_t recommended_ns; /* grace; DP_NULL unknown */
	bool at_risk;
};

/* What the shutdown guard has done. */
struct guard {
	struct dp_policy_state policy;
	uint32_t signals_sent; /* nudges and terminates */
	uint64_t lost_ns;      /* last loss of records */
};

/* What is said of its shares. */
struct usage {
	bool wants_line;     /* a line about shares, at all */
	uint64_t high_ns;    /* since when the share is high */
	bool is_high;        /* there is reason to find out who holds the GIL */
	uint64_t asked_ns;   /* for the holder's stack */
	struct place place;  /* where the GIL is held most, by a vote over the stacks */
	uint32_t holder_tid; /* by whom */
	uint32_t votes;
	uint32_t convoy_tid;          /* the thread that waits; 0 none */
	uint32_t convoys, no_convoys; /* stretches in a row with one, without one */
};

/* The file system of its shared memory, bytes; 0, 0 not known. */
struct memory {
	uint64_t total, free;
};

/* Whether the passing of time alone can make anything of it at the next tick. */
struct rest {
	bool is_on;       /* nothing of it goes on, as of the last tick that it was given */
	bool stirred;     /* a record about it has come since */
	uint64_t tick_ns; /* that tick */
};

struct node {
	struct rest rest;
	struct identity id;
	struct edge edge;
	struct activity activity;
	struct progress progress;
	struct polling polling;
	struct streams streams;
	struct stock stock;
	struct account account;
	struct stop stop;
	struct watchdog watchdog;
	struct signals signals;
	struct waits waits;
	struct warning warn[DP_WARN_COUNT];
	struct outlook outlook;
	struct guard guard;
	struct ending ending;
	struct memory memory;
	struct shares shares;
	struct convoy convoy;
	struct usage usage;
	struct timeline timeline; /* large, cleared by timeline_clear() */
};

static inline uint32_t node_consumer(const struct node *n)
{
	return identity_consumer(&n->id);
}

/*
 * Is the consumer known? Until then it is taken for main. Where main waits for another thread to end,
 * that other one may well be the consumer.
 */
static inline bool node_consumer_known(const struct node *n)
{
	return n->id.consumer_tid || n->activity.seen_in_next || !n->activity.in_join;
}

/* Are its counts of tokens what they look like? */
static inline bool node_tokens_known(const struct node *n)
{
	return n->account.tokens || identity_tokens_countable(&n->id);
}

/* Is the consumer asleep outside next() while nobody holds the GIL? */
static inline bool node_is_asleep(const struct node *n)
{
	return n->activity.asleep_ns && !timeline_current(&n->timeline);
}

#endif
