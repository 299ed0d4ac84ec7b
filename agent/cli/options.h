/* SPDX-License-Identifier: MIT */
/* The command line, parsed once and strictly (argp). */
#ifndef DORA_PROBE_OPTIONS_H
#define DORA_PROBE_OPTIONS_H

#include <stdint.h>
#include <sys/types.h>

#include "dora_probe/capture.h"
#include "dora_probe/record.h"

enum dp_command { DP_CMD_WATCH, DP_CMD_LIST, DP_CMD_DOCTOR, DP_CMD_REPLAY, DP_CMD_REPORT };

/* Exit codes of the README. */
enum dp_exit_code {
	DP_EX_OK = 0,
	DP_EX_INTERNAL = 1,
	DP_EX_USAGE = 2,
	DP_EX_RIGHT = 3,
	DP_EX_FEATURE = 4,
	DP_EX_TARGET = 5,
	DP_EX_WARNED = 10,
};

#define DP_NAMES_MAX 32

struct dp_options {
	enum dp_command command;
	pid_t pids[DP_MAX_TARGETS];
	unsigned int pid_count;
	const char *nodes[DP_NAMES_MAX]; /* --node, into argv */
	unsigned int node_count;
	const char *dataflows[DP_NAMES_MAX]; /* --dataflow: uuid or name */
	unsigned int dataflow_count;
	int all;
	int json, view, verbosity; /* -1, 0, 1 */
	const char *listen;        /* ADDR:PORT, checked */
	int fail_on_warning;
	const char *on_warning, *on_action;
	const char *dora_cli;
	double max_overhead; /* per cent of a core per watched process */
	const char *record;
	const char *file;            /* replay, report */
	const char *output;          /* report -o */
	uint64_t duration_ns;        /* 0: until the end */
	uint64_t exact_ns;           /* 0 with model.exact: whole run */
	struct dp_rec_options model; /* what the model is told */
	/* replay: bit per option of `model` that the user gave (DP_GIVEN_*), to override the file */
	uint32_t given;
};

#define DP_GIVEN_HOLD_THRESHOLD    (1u << 0)
#define DP_GIVEN_WARN_HOLD         (1u << 1)
#define DP_GIVEN_TOKEN_THRESHOLD   (1u << 2)
#define DP_GIVEN_PENDING_THRESHOLD (1u << 3)
#define DP_GIVEN_GRACE             (1u << 4)
#define DP_GIVEN_SHUTDOWN          (1u << 5)
#define DP_GIVEN_NUDGE_SIGNAL      (1u << 6)
#define DP_GIVEN_NUDGE_AFTER       (1u << 7)
#define DP_GIVEN_NUDGE_INTERVAL    (1u << 8)
#define DP_GIVEN_STOP_DATAFLOW     (1u << 9)
#define DP_GIVEN_SAVE_TOKENS       (1u << 10)
#define DP_GIVEN_DRY_RUN           (1u << 11)

/*
 * Parses argv. Returns -1 to go on, or the exit code to end with (--help, --version: 0; a mistake:
 * 2, with one sentence on standard error).
 */
int dp_options_parse(int argc, char **argv, struct dp_options *ret);

/* Replay: puts what the user gave (o->given) over what the recording says. */
void dp_options_override(const struct dp_options *o, struct dp_rec_options *model);

/* "300ms", "2s", "1m30s", "0s": 0 and ns, or -EINVAL, -ERANGE. Also "us", "h". No bare numbers. */
int dp_parse_duration(const char *s, uint64_t *ret_ns);
/* Whole decimal number in [min, max], nothing before or after: 0, -EINVAL, -ERANGE. */
int dp_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
/* "INT", "SIGINT", "2" … without KILL and STOP: 0, -EINVAL unknown, -EPERM not allowed. */
int dp_parse_signal(const char *s, uint32_t *ret);
/* "127.0.0.1:9469", "[::1]:9469": 0 or -EINVAL. */
int dp_parse_listen(const char *s, char *addr, size_t addr_len, uint16_t *ret_port);

#endif
