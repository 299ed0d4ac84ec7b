/* SPDX-License-Identifier: MIT */
/* The command line, parsed once and strictly. option_table.h has a row for each option. */
#ifndef DORA_PROBE_OPTIONS_H
#define DORA_PROBE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "dora_probe/record.h"
#include "sense/wanted.h"

enum dp_command {
	DP_CMD_WATCH,
	DP_CMD_LIST,
	DP_CMD_DOCTOR,
	DP_CMD_REPLAY,
	DP_CMD_REPORT,
	DP_CMD_COUNT
};

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

/* What the rows of option_table.c write to. Texts point into argv. */
struct dp_options {
	enum dp_command command;
	struct dp_wanted wanted;
	bool json, view;
	int8_t verbosity; /* -1, 0, 1 */
	bool fail_on_warning;
	const char *listen; /* ADDR:PORT, checked */
	const char *on_warning, *on_action;
	const char *hook_user;
	const char *dora_cli;
	double max_overhead; /* per cent of a core per watched process */
	const char *record;
	const char *file;            /* replay, report */
	const char *output;          /* report -o */
	uint64_t duration_ns;        /* 0: until the end */
	uint64_t share_interval_ns;  /* between two lines about shares; 0 none */
	uint64_t exact_ns;           /* 0 with model.exact: whole run */
	struct dp_rec_options model; /* what the model is told */
	uint64_t given;              /* 1 << row of each option that the user gave */
};

/*
 * Parses argv. Returns -1 to go on, or the exit code to end with (--help, --version: 0; a mistake:
 * 2, with one sentence on standard error).
 */
int dp_options_parse(int argc, char **argv, struct dp_options *ret);

/* Replay: puts what the user gave (o->given) over what the recording says. */
void dp_options_override(const struct dp_options *o, struct dp_rec_options *model);

#endif
