/* SPDX-License-Identifier: MIT */
/*
 * One row for each option: the parser of the command line, its defaults, --help, the manual page's
 * OPTIONS and the tests come from it.
 */
#ifndef DORA_PROBE_OPTION_TABLE_H
#define DORA_PROBE_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/options.h"
#include "cli/values.h"

enum dp_option_group {
	DP_OPTIONS_TARGETS,
	DP_OPTIONS_OUTPUT,
	DP_OPTIONS_WARN,
	DP_OPTIONS_STOP,
	DP_OPTIONS_SENSE,
	DP_OPTIONS_OTHER,
	DP_OPTIONS_GROUP_COUNT
};

/* What an option without a destination prints before the program ends. */
enum dp_option_print {
	DP_PRINT_NOTHING,
	DP_PRINT_HELP,
	DP_PRINT_USAGE,
	DP_PRINT_VERSION,
	DP_PRINT_PAGE /* a part of the documentation, by the option's value */
};

struct dp_option {
	const char *name;     /* "pid" for --pid */
	char letter;          /* 'q' for -q; 0 none */
	const char *argument; /* what stands for the value in texts; NULL: the option takes none */
	bool may_lack;        /* the value may be left out */
	bool hidden;          /* in no text */
	uint8_t commands;     /* 1 << enum dp_command of those that take it */
	enum dp_option_group group;
	enum dp_option_print prints;

	/* The destination in struct dp_options and its parser. */
	size_t offset, size;
	dp_value_parser *read; /* NULL: an option without a value puts `set` there, one byte */
	struct dp_value_limits limits;
	int8_t set;
	/* A byte that becomes 1 when the option is given, with or without a value; 0 none. */
	size_t mark_offset;
	const char *standard; /* the default as the user would write it; NULL: what is all zero */
	const char *follows;  /* name of the option whose value this one has when not given */

	/*
	 * The sentence in --help, without its full stop; @ is the default. The manual page has it
	 * too unless `manual` says more: there *x* is bold and _x_ is italic.
	 */
	const char *help, *manual;
};

extern const struct dp_option dp_options_table[];
extern const size_t dp_options_count;

/* The heading of a group in --help and in the manual page, without a colon; NULL none. */
const char *dp_option_group_title(enum dp_option_group g);
/* Is the destination what the model is told (struct dp_rec_options)? */
bool dp_option_is_model(const struct dp_option *o);

#endif
