/* SPDX-License-Identifier: MIT */
/* What metrics.c and refresh.c count and exposition.c writes. Private to serve/. */
#ifndef DORA_PROBE_SERVE_METRICS_STATE_H
#define DORA_PROBE_SERVE_METRICS_STATE_H

#include "serve/metrics.h"

/* A process in each view, and those that left but whose views are still there. */
#define MEMBERS_MAX (4 * DP_METRICS_NODES)
#define PROGRAM_MAX 32
/* Each byte may need a backslash; the rest is the two label names with their quotes. */
#define LABELS_MAX (2 * (DP_UUID_MAX + DP_ID_MAX) + 32)
struct exemplar {
	uint64_t value_ns;
	int64_t wall_ns;                /* DP_SNULL unknown */
	char function[DP_FUNCTION_MAX]; /* "" none */
	int32_t line;
	int8_t cause; /* -1 none */
	uint8_t set;
};

struct histogram {
	uint64_t bucket[DP_BUCKETS_MAX + 1];
	uint64_t count, sum_ns;
};

enum { H_HOLD, H_WAIT, H_TOKEN, H_STOP, H_SIGNAL, H_COUNT };

struct totals {
	uint64_t held_ns, returned, abandoned, lost, token_gil_ns;
};

/* One pair of (dataflow, node). */
struct series {
	uint8_t used;
	uint8_t live;        /* a process of it is there */
	uint8_t gil, tokens; /* observable, as far as its facts are known */
	uint8_t stop_ever;
	uint64_t last_ns;
	char dataflow[DP_UUID_MAX], node[DP_ID_MAX];
	char labels[LABELS_MAX]; /* dataflow="…",node="…", escaped */
	/* facts */
	char python[24], dora[24], dataflow_name[DP_ID_MAX];
	uint8_t transport, has_facts;
	uint8_t level; /* enum dp_level */
	/* from views, of the processes that are there */
	uint64_t hold_ns, not_polling_ns, pending, oldest_ns, need_ns, grace_ns, recommended_ns;
	int64_t slack_ns;
	struct dp_estimate gil_held, gil_wait, running_without_gil, blocked;
	uint8_t stop_pending;
	struct totals ended; /* of the processes whose views are gone */
	struct totals shown; /* never falls, whatever the views say */
	/* from findings */
	struct histogram h[H_COUNT];
	struct exemplar hold_exemplar[DP_BUCKETS_MAX + 1];
	struct exemplar token_exemplar[DP_BUCKETS_MAX + 1];
	uint64_t exits[DP_EXIT_COUNT];
	uint64_t lives; /* the highest number that a life of it had */
	uint64_t warnings[DP_WARN_COUNT][DP_CAUSE_COUNT];
	struct exemplar warning_exemplar[DP_WARN_COUNT];
	uint64_t actions[DP_ACTION_COUNT][DP_RESULT_COUNT];
};

/* A process that a view told of, and what it has added to its series. */
struct member {
	uint8_t used, seen;
	uint32_t pid;
	uint64_t start_time;
	uint16_t series;
	struct totals t;
};

struct program {
	char name[PROGRAM_MAX];
	uint64_t run_ns;
};

struct dp_metrics {
	struct dp_node_views views;
	char version[32];
	struct series series[DP_METRICS_NODES];
	struct member members[MEMBERS_MAX];
	unsigned int member_end; /* one past the highest used */
	struct program programs[DP_METRICS_PROGRAMS_MAX];
	unsigned int program_count;
	uint64_t records;
	uint64_t losses[DP_LOSS_COUNT];
	uint64_t no_room;     /* findings and processes that found no series */
	unsigned int refused; /* processes without a place at the last look */
	uint64_t expired;
	uint64_t render_ns;
	double overhead;
	uint64_t start_ns; /* wall clock of dp_metrics_new, 0 unknown */
	uint32_t sources;
	unsigned int live;
};

struct buckets {
	uint64_t bound[DP_BUCKETS_MAX];
	const char *le[DP_BUCKETS_MAX]; /* le="…" */
	unsigned int count;
};
extern const struct buckets metrics_buckets[H_COUNT];

/* The series of the node; NULL without one. */
struct series *series_find(struct dp_metrics *m, const char *dataflow, const char *node);
/* A free place, or that of the node that left longest ago; NULL when all nodes are there. */
struct series *series_add(struct dp_metrics *m, const char *dataflow, const char *node,
			  uint64_t t_ns);
/* The series of (dataflow, node), names as they came, made where it is new; NULL, counted in no_room: no place. */
struct series *series_get(struct dp_metrics *m, const char *dataflow, const char *node,
			  uint64_t t_ns);
/* What the node's own record says of it: versions, transport, what can be observed. */
void series_facts(struct series *s, const struct dp_rec_node *f);
/* Is there a process that counts into it? */
int series_has_members(const struct dp_metrics *m, unsigned int series);
/* Forgets the processes that count into it. */
void members_of_end(struct dp_metrics *m, unsigned int series);

/*
 * A label's value: backslash, quote and line feed are escaped (the same in both formats). Returns
 * its length.
 */
size_t metrics_escape(char *dst, size_t cap, const char *src);
/* Valid UTF-8 without control characters, cut between characters. NULL is "". */
void metrics_clean(char *dst, size_t cap, const char *src);

#endif
