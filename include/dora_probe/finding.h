/* SPDX-License-Identifier: MIT */
/*
 * A finding: one line of what the probe says. The model makes them; show/ prints them. One struct
 * per JSON event, with the fields of its list in fields.h. A time or duration of DP_NULL, a pid or tid of 0,
 * an empty string and an enum of -1 print as null.
 */
#ifndef DORA_PROBE_FINDING_H
#define DORA_PROBE_FINDING_H

#include "dora_probe/record.h"

#include <stdbool.h>

#define DP_NULL        UINT64_MAX
#define DP_SNULL       INT64_MIN
#define DP_WAITERS_MAX 8

enum dp_finding_type {
#define DP_FIND_TYPE(e, list, event) DP_FIND_##e,
	DP_FINDING_EVENTS(DP_FIND_TYPE)
#undef DP_FIND_TYPE
		DP_FIND_SUMMARY, /* begins the summary: totals */
	DP_FIND_SUMMARY_NODE,    /* one per node, between SUMMARY and SUMMARY_END */
	DP_FIND_SUMMARY_END,
	DP_FIND_COUNT
};

/* Where a thread is: from its stack. Pointers into the model, valid during the callback. */
struct dp_place {
	const char *thread;   /* name, NULL unknown */
	const char *function; /* NULL unknown */
	const char *file;
	const char *library;
	const char *user_function; /* the first frame that is of no library; NULL unknown */
	const char *user_file;
	int32_t user_line;
	bool collecting; /* the garbage collector runs there */
	int32_t line;    /* 0 unknown */
};

/* An estimated share of some time, with its standard error. */
struct dp_estimate {
	double ratio; /* 0 to 1; below 0: not known */
	double error;
};

#define DP_FINDING_F(kind, type, name, null, unit, meaning) type name;
#define DP_FINDING_V(kind, name, value, null, unit, meaning)
#define DP_FINDING_M(type, name) type name;
/* The members of a list of fields. */
#define DP_FINDING(list) DP_FINDING_##list(DP_FINDING_F, DP_FINDING_V, DP_FINDING_M)

struct dp_start_finding {
	DP_FINDING(start)
};

struct dp_node_finding {
	DP_FINDING(node)
};

struct dp_hold_finding {
	DP_FINDING(hold)
};

struct dp_wait_finding {
	DP_FINDING(wait)
};

struct dp_token_finding {
	DP_FINDING(token)
};

struct dp_warning_finding {
	DP_FINDING(warning)
};

struct dp_signal_finding {
	DP_FINDING(signal)
};

struct dp_stop_finding {
	DP_FINDING(stop)
};

struct dp_action_finding {
	DP_FINDING(action)
};

struct dp_exit_finding {
	DP_FINDING(exit)
};

struct dp_loss_finding {
	DP_FINDING(loss)
};

struct dp_forecast_finding {
	DP_FINDING(forecast)
};

struct dp_share_finding {
	DP_FINDING(share)
};

struct dp_stock_finding {
	DP_FINDING(stock)
};

struct dp_summary_finding {
	DP_FINDING(summary)
};

#define DP_BLAME_MAX 3
struct dp_blame {
	DP_FINDING(blame)
};

struct dp_summary_node_finding {
	DP_FINDING(summary_node)
};

struct dp_finding {
	uint8_t type;           /* enum dp_finding_type */
	uint64_t t_ns;          /* model time at which it became true */
	int64_t wall_offset_ns; /* wall clock = t_ns + this; DP_SNULL unknown */
	uint32_t pid;           /* 0: about no process */
	const char *dataflow;   /* of the process; NULL unknown */
	const char *node;       /* NULL unknown */
	union {
#define DP_FIND_MEMBER(e, list, event) struct dp_##list##_finding list;
		DP_FINDING_EVENTS(DP_FIND_MEMBER)
#undef DP_FIND_MEMBER
		struct dp_summary_finding summary;
		struct dp_summary_node_finding summary_node;
	} u;
};

#endif
