/* SPDX-License-Identifier: MIT */
/*
 * A finding: one line of what the probe says. The model makes them; show/ prints them. One struct
 * per JSON event of the README, field by field. A time or duration of DP_NULL, a pid or tid of 0,
 * an empty string and an enum of -1 print as null.
 */
#ifndef DORA_PROBE_FINDING_H
#define DORA_PROBE_FINDING_H

#include "dora_probe/record.h"

#define DP_NULL        UINT64_MAX
#define DP_SNULL       INT64_MIN
#define DP_WAITERS_MAX 8

enum dp_finding_type {
	DP_FIND_START,
	DP_FIND_NODE,
	DP_FIND_GIL_HOLD,
	DP_FIND_GIL_WAIT,
	DP_FIND_TOKEN,
	DP_FIND_WARNING,
	DP_FIND_SIGNAL,
	DP_FIND_STOP,
	DP_FIND_ACTION,
	DP_FIND_EXIT,
	DP_FIND_LOSS,
	DP_FIND_FORECAST,     /* "if you stopped now, …" (event `forecast`) */
	DP_FIND_SUMMARY,      /* begins the summary: totals */
	DP_FIND_SUMMARY_NODE, /* one per node, between SUMMARY and SUMMARY_END */
	DP_FIND_SUMMARY_END,
	DP_FIND_COUNT
};

/* Where a thread is: from its stack. Pointers into the model, valid during the callback. */
struct dp_place {
	const char *thread;   /* name, NULL unknown */
	const char *function; /* NULL unknown */
	const char *file;
	const char *library;
	int32_t line; /* 0 unknown */
};

struct dp_node_finding {
	const struct dp_rec_node *facts;
	/* the nudge signal at this node: enum dp_signal_disposition */
	uint8_t nudge_disposition;
	uint8_t other_caught_signal; /* a signal that the node catches, 0 none */
	uint32_t nudge_signal;
};

struct dp_hold_finding {
	uint32_t tid;
	uint8_t gil;
	uint8_t precision; /* enum dp_precision */
	int8_t native;     /* 0, 1, -1 unknown */
	uint8_t waiter_count;
	uint64_t start_lo_ns, start_ns, end_ns, end_hi_ns;
	uint64_t off_cpu_ns; /* DP_NULL unknown */
	struct dp_place place;
	uint32_t waiters[DP_WAITERS_MAX];
	uint8_t dora_internal; /* the holder is inside dora's own code */
};

struct dp_wait_finding {
	uint32_t tid;
	uint32_t holder_tid;
	uint8_t gil;
	uint64_t start_ns, end_ns;
};

struct dp_token_finding {
	uint8_t token[DP_TOKEN_LEN];
	const char *dataflow, *owner, *receiver, *output, *region;
	uint32_t owner_pid, receiver_pid; /* 0: not watched */
	uint64_t bytes;
	uint64_t sent_ns, delivered_ns, mapped_ns, released_ns, reported_ns, returned_ns;
	uint64_t given_up_ns;
	uint64_t pending_ns;
	uint8_t state; /* enum dp_token_state */
	uint64_t gil_held_ns;
	int8_t cause;  /* enum dp_cause, -1 none (not slow) */
	uint8_t print; /* passes --token-threshold: a line is to be printed */
};

struct dp_warning_finding {
	uint8_t kind;     /* enum dp_warning_kind */
	uint8_t severity; /* enum dp_severity */
	int8_t cause;     /* enum dp_cause, -1 none */
	uint8_t resolved;
	uint32_t holder_tid;
	struct dp_place place;
	uint64_t held_ns;
	uint64_t pending_tokens; /* DP_NULL unknown */
	uint64_t oldest_pending_ns;
	uint64_t deadline_ns;
	int64_t slack_ns; /* DP_SNULL unknown */
	const char *advice;
};

struct dp_signal_finding {
	uint32_t signal;
	uint32_t sender_pid;
	uint32_t tid; /* that it was delivered to */
	uint64_t sent_ns, delivered_ns, handled_ns;
};

struct dp_stop_finding {
	uint8_t reason;       /* enum dp_stop_reason */
	uint64_t deadline_ns; /* DP_NULL none */
	uint32_t kill_signal; /* 0 none */
};

struct dp_action_finding {
	uint8_t action; /* enum dp_action */
	uint8_t result; /* enum dp_action_result */
	uint8_t dry_run;
	uint32_t signal;
	uint32_t tid;
	uint32_t attempt;
	const char *reason;
};

struct dp_exit_finding {
	int32_t code;    /* -1: ended by a signal or unknown */
	uint32_t signal; /* 0 none */
	uint8_t reason;  /* enum dp_exit_reason */
	uint8_t grace_kill, saved;
	int8_t cause; /* enum dp_cause, -1 none */
	uint32_t killer_pid;
	uint64_t since_stop_ns;
	double gil_share;          /* 0–1; negative: unknown */
	uint64_t tokens_abandoned; /* DP_NULL: its tokens cannot be observed */
};

struct dp_loss_finding {
	uint32_t reason; /* enum dp_loss */
	uint64_t count, total;
};

struct dp_forecast_finding {
	uint64_t need_ns; /* that a stop now would take */
	uint64_t grace_ns;
	uint8_t at_risk;
	uint8_t at_least; /* a hold of unknown length is in it */
	const char *text; /* the sentence */
};

struct dp_summary_finding {
	uint64_t records, records_lost;
	uint32_t nodes;
	const char *recommendation;    /* how the dataflow's grace came about, NULL none */
	uint64_t recommended_grace_ns; /* of the whole dataflow; DP_NULL unknown */
};

#define DP_BLAME_MAX 3
struct dp_blame {
	char function[DP_FUNCTION_MAX];
	char file[DP_FILE_MAX];
	int32_t line;
	uint64_t token_ns; /* token time that its holds cost */
	uint64_t held_ns;
};

struct dp_summary_node_finding {
	const char *dataflow, *node;
	uint64_t holds, max_hold_ns, gil_held_ns;
	const char *max_hold_function; /* NULL none */
	/* DP_NULL: its tokens cannot be observed */
	uint64_t tokens, tokens_abandoned, tokens_open, tokens_lost, max_pending_ns;
	uint64_t recommended_grace_ns; /* DP_NULL unknown */
	uint32_t blame_count;
	struct dp_blame blame[DP_BLAME_MAX];
};

struct dp_finding {
	uint8_t type;           /* enum dp_finding_type */
	uint64_t t_ns;          /* model time at which it became true */
	int64_t wall_offset_ns; /* wall clock = t_ns + this; DP_SNULL unknown */
	uint32_t pid;           /* 0: about no process */
	const char *dataflow;   /* of the process; NULL unknown */
	const char *node;       /* NULL unknown */
	union {
		struct {
			const struct dp_rec_session *session;
			uint32_t sources; /* bit per enum dp_source */
		} start;
		struct dp_node_finding node;
		struct dp_hold_finding hold;
		struct dp_wait_finding wait;
		struct dp_token_finding token;
		struct dp_warning_finding warning;
		struct dp_signal_finding signal;
		struct dp_stop_finding stop;
		struct dp_action_finding action;
		struct dp_exit_finding exit;
		struct dp_loss_finding loss;
		struct dp_forecast_finding forecast;
		struct dp_summary_finding summary;
		struct dp_summary_node_finding summary_node;
	} u;
};

#endif
