// SPDX-License-Identifier: MIT
/* The command line (options.h): argp for the grammar, option_table.c for the options. */
#include "cli/options.h"

#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/option_table.h"
#include "show/fields_page.h"

/* ---- texts ---------------------------------------------------------------------------------- */

static const char usage[] = "[watch] (--pid PID | --node NAME | --dataflow UUID|NAME | --all)\n"
			    "list\n"
			    "doctor\n"
			    "replay FILE\n"
			    "report FILE [-o OUT]";

static const char doc[] =
	"Says who holds the GIL of dora's Python nodes, where, for how long, which drop tokens wait for it, and whether a node will miss its shutdown deadline.\v"
	"COMMANDS\n"
	"  watch    watch nodes until Ctrl-C (this is meant when no command is given)\n"
	"  list     the nodes of this machine and what can be observed of each\n"
	"  doctor   what this machine offers and lacks, and the command that mends it\n"
	"  replay   the findings of a recording, without privileges\n"
	"  report   a recording as text, .html with a timeline, or .json for Perfetto\n"
	"\n"
	"Durations D are written 300ms, 2s, 1m30s.\n"
	"\n"
	"EXAMPLES\n"
	"  sudo dora-probe --all\n"
	"  sudo dora-probe --node detector --hold-threshold 20ms --json\n"
	"  sudo dora-probe --dataflow robot --shutdown nudge --listen 127.0.0.1:9469\n"
	"  sudo dora-probe --pid 4711 --record run.rec --duration 1m\n"
	"  dora-probe report run.rec -o run.html\n"
	"\n"
	"EXIT STATUS\n"
	"  0 ended as asked, 1 internal error, 2 usage, 3 missing right,\n"
	"  4 missing kernel feature, 5 no such target, 10 a warning was raised (with\n"
	"  --fail-on-warning)\n";

static const char *const command_names[DP_CMD_COUNT] = {
	[DP_CMD_WATCH] = "watch",   [DP_CMD_LIST] = "list",     [DP_CMD_DOCTOR] = "doctor",
	[DP_CMD_REPLAY] = "replay", [DP_CMD_REPORT] = "report",
};

struct parse {
	struct dp_options *o;
	int exit_code; /* -1: go on */
};

static error_t mistake(struct parse *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One sentence on standard error; the return value ends argp_parse. */
static error_t mistake(struct parse *p, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	dp_log("%s", sentence);
	p->exit_code = DP_EX_USAGE;
	return EINVAL;
}

/* ---- argp's own table ----------------------------------------------------------------------- */

/* Above every character: what argp calls an option that has no letter. */
#define KEY_FIRST 256

static int key_of(size_t row)
{
	char letter = dp_options_table[row].letter;

	return letter ? letter : KEY_FIRST + (int)row;
}

/* The row of a key of argp's; NULL for argp's own. */
static const struct dp_option *row_of(int key)
{
	for (size_t i = 0; i < dp_options_count; i++)
		if (key_of(i) == key)
			return &dp_options_table[i];
	return NULL;
}

/* The headings, the rows, and the end; `ret` is zero. */
static void fill_entries(struct argp_option *ret)
{
	static char titles[DP_OPTIONS_GROUP_COUNT][80];

	for (int g = 0; g < DP_OPTIONS_OTHER; g++) {
		snprintf(titles[g], sizeof(titles[g]),
			 "%s:", dp_option_group_title((enum dp_option_group)g));
		*ret++ = (struct argp_option){.doc = titles[g], .group = g + 1};
	}
	for (size_t i = 0; i < dp_options_count; i++) {
		const struct dp_option *o = &dp_options_table[i];

		*ret++ = (struct argp_option){
			.name = o->name,
			.key = key_of(i),
			.arg = o->argument,
			.flags = (o->may_lack ? OPTION_ARG_OPTIONAL : 0) |
				 (o->hidden ? OPTION_HIDDEN : 0),
			.doc = o->help,
			.group = o->group == DP_OPTIONS_OTHER ? -1 : (int)o->group + 1,
		};
	}
}

static char *filter_help(int key, const char *text, void *input)
{
	const struct dp_option *o = row_of(key);

	(void)input;
	/* argp's remark about short options would only be noise here. */
	if (key == ARGP_KEY_HELP_DUP_ARGS_NOTE)
		return NULL;
	/* argp frees what is not its own text. */
	if (text && o && text == o->help && strchr(text, '@')) {
		char full[256];

		return strdup(dp_option_sentence(o, full, sizeof(full)));
	}
	return (char *)(uintptr_t)text;
}

/* ---- values --------------------------------------------------------------------------------- */

static void *destination(struct dp_options *o, const struct dp_option *row)
{
	return (char *)o + row->offset;
}

static uint64_t bit_of(const struct dp_option *row)
{
	return 1ULL << (row - dp_options_table);
}

/* An option without a value. One that has set the same byte to something else is in the way. */
static error_t set_flag(struct parse *p, const struct dp_option *row)
{
	for (size_t i = 0; i < dp_options_count; i++) {
		const struct dp_option *other = &dp_options_table[i];
		const struct dp_option *first = other < row ? other : row;
		const struct dp_option *second = other < row ? row : other;

		if (other != row && other->size && other->offset == row->offset &&
		    p->o->given & bit_of(other))
			return mistake(p, "-%c and -%c exclude each other", first->letter,
				       second->letter);
	}
	*(int8_t *)destination(p->o, row) = row->set;
	return 0;
}

static error_t take(struct parse *p, const struct dp_option *row, const char *arg)
{
	char why[DP_VALUE_WHY_MAX];

	if (!(row->commands & 1u << p->o->command))
		return mistake(p, "--%s has no meaning with \"%s\"", row->name,
			       command_names[p->o->command]);
	if (!row->read) {
		error_t err = set_flag(p, row);

		if (err)
			return err;
	} else if (arg &&
		   row->read(arg, &row->limits, destination(p->o, row), why, sizeof(why)) < 0) {
		return mistake(p, "--%s \"%s\": %s", row->name, arg, why);
	}
	if (row->mark_offset)
		*((uint8_t *)p->o + row->mark_offset) = 1;
	p->o->given |= bit_of(row);
	return 0;
}

/* false: there is no such page. tests/tools/docs.py knows where each is kept. */
static bool print_page(const char *name)
{
	static const struct {
		const char *name;
		void (*print)(FILE *out);
	} pages[] = {
		{"options", dp_manual_options}, {"json", dp_fields_page},
		{"schema", dp_fields_schema},   {"bash", dp_completion_bash},
		{"zsh", dp_completion_zsh},     {"fish", dp_completion_fish},
	};

	for (size_t i = 0; i < DP_COUNT_OF(pages); i++) {
		if (strcmp(pages[i].name, name) == 0) {
			pages[i].print(stdout);
			return true;
		}
	}
	return false;
}

static error_t print(struct parse *p, const struct dp_option *row, const char *arg,
		     struct argp_state *state)
{
	switch (row->prints) {
	case DP_PRINT_HELP:
		argp_state_help(state, stdout,
				ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC);
		break;
	case DP_PRINT_USAGE:
		argp_state_help(state, stdout, ARGP_HELP_USAGE);
		break;
	case DP_PRINT_VERSION:
		puts("dora-probe " DP_VERSION);
		break;
	case DP_PRINT_PAGE:
		if (!print_page(arg))
			return mistake(p, "--%s \"%s\": no such page", row->name, arg);
		break;
	case DP_PRINT_NOTHING:
		break;
	}
	p->exit_code = DP_EX_OK;
	return EINVAL;
}

/* ---- the whole line ------------------------------------------------------------------------- */

static error_t positional(struct parse *p, const char *arg)
{
	struct dp_options *o = p->o;

	if (o->command != DP_CMD_REPLAY && o->command != DP_CMD_REPORT) {
		for (size_t i = 0; i < DP_CMD_COUNT; i++)
			if (strcmp(arg, command_names[i]) == 0)
				return mistake(p, "\"%s\": a command must be the first word", arg);
		return mistake(p,
			       "\"%s\": neither a command nor an option; targets are given by "
			       "--pid, --node, --dataflow or --all",
			       arg);
	}
	if (o->file)
		return mistake(p, "%s reads one file; \"%s\" is a second one",
			       command_names[o->command], arg);
	if (!*arg)
		return mistake(p, "%s \"\": the name of the file must not be empty",
			       command_names[o->command]);
	o->file = arg;
	return 0;
}

static error_t check_report(struct parse *p)
{
	static const char *const endings[] = {".html", ".json", ".txt"};
	const char *out = p->o->output;
	size_t len = out ? strlen(out) : 0;

	if (!out)
		return 0;
	for (size_t i = 0; i < DP_COUNT_OF(endings); i++)
		if (len > strlen(endings[i]) &&
		    strcmp(out + len - strlen(endings[i]), endings[i]) == 0)
			return 0;
	return mistake(p, "-o \"%s\": the name must end in .html, .json or .txt", out);
}

/* Options that were not given and have the value of another. */
static void follow(struct dp_options *o)
{
	for (size_t i = 0; i < dp_options_count; i++) {
		const struct dp_option *row = &dp_options_table[i];

		if (!row->follows || o->given & bit_of(row))
			continue;
		for (size_t k = 0; k < dp_options_count; k++) {
			const struct dp_option *leader = &dp_options_table[k];

			if (strcmp(leader->name, row->follows) != 0)
				continue;
			memcpy(destination(o, row), destination(o, leader), row->size);
			if (o->given & bit_of(leader))
				o->given |= bit_of(row);
		}
	}
}

/* What can only be judged when all is known. */
static error_t check_all(struct parse *p)
{
	struct dp_options *o = p->o;
	const struct dp_wanted *w = &o->wanted;
	unsigned int targets = w->pids.count + w->nodes.count + w->dataflows.count;

	follow(o);
	if (o->command == DP_CMD_REPORT)
		return o->file ? check_report(p)
			       : mistake(p, "report: which recording? report FILE");
	if (o->command == DP_CMD_REPLAY && !o->file)
		return mistake(p, "replay: which recording? replay FILE");
	if (o->command != DP_CMD_WATCH)
		return 0;
	if (!targets && !w->all)
		return mistake(
			p,
			"which nodes? Give --pid, --node, --dataflow or --all; `dora-probe list` shows what there is");
	if (targets && w->all)
		return mistake(
			p, "--all is every node already; leave out --pid, --node and --dataflow");
	if (o->json && o->view)
		return mistake(p, "--json and --view exclude each other");
	if (o->record && strcmp(o->record, "-") == 0)
		return mistake(
			p,
			"--record \"-\": a recording goes to a file, standard output is for findings");
	return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct parse *p = state->input;
	const struct dp_option *row = row_of(key);

	if (p->exit_code >= 0)
		return EINVAL; /* the answer stands; argp only finishes */
	if (row)
		return row->prints ? print(p, row, arg, state) : take(p, row, arg);
	switch (key) {
	case ARGP_KEY_ARG:
		return positional(p, arg);
	case ARGP_KEY_END:
		return check_all(p);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The defaults are read as if the user had written them; a unit test reads each of them too. */
static void set_standards(struct dp_options *o)
{
	char why[DP_VALUE_WHY_MAX];

	for (size_t i = 0; i < dp_options_count; i++) {
		const struct dp_option *row = &dp_options_table[i];

		if (row->standard)
			row->read(row->standard, &row->limits, destination(o, row), why,
				  sizeof(why));
	}
}

/* Number of words for argp in `ret`, which has room for argc + 1; the command is taken out. */
static int take_command(int argc, char **argv, struct dp_options *o, char **ret)
{
	int first = 1, count = 0;

	for (int i = 0; argc > 1 && i < DP_CMD_COUNT; i++) {
		if (strcmp(argv[1], command_names[i]) == 0) {
			o->command = (enum dp_command)i;
			first = 2;
		}
	}
	/* A copy: argp permutes its words, and takes the name of the program from the first. */
	ret[count++] = (char *)(uintptr_t) "dora-probe";
	for (int i = first; i < argc; i++)
		ret[count++] = argv[i];
	return count;
}

int dp_options_parse(int argc, char **argv, struct dp_options *ret)
{
	struct argp_option *entries =
		calloc(DP_OPTIONS_GROUP_COUNT + dp_options_count + 1, sizeof(*entries));
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	const struct argp argp = {.options = entries,
				  .parser = parse_option,
				  .args_doc = usage,
				  .doc = doc,
				  .help_filter = filter_help};
	struct dp_options o = {.command = DP_CMD_WATCH};
	struct parse p = {.o = &o, .exit_code = -1};
	error_t err = ENOMEM;

	if (entries && words) {
		fill_entries(entries);
		set_standards(&o);
		err = argp_parse(&argp, take_command(argc, argv, &o, words), words,
				 ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &p);
	}
	free(words);
	free(entries);
	if (p.exit_code >= 0)
		return p.exit_code;
	if (err == ENOMEM) {
		dp_log("no memory for the command line");
		return DP_EX_INTERNAL;
	}
	/* Unknown options and missing values: getopt has said which. */
	if (err)
		return DP_EX_USAGE;
	*ret = o;
	return -1;
}

void dp_options_override(const struct dp_options *o, struct dp_rec_options *model)
{
	for (size_t i = 0; i < dp_options_count; i++) {
		const struct dp_option *row = &dp_options_table[i];

		if (dp_option_is_model(row) && o->given & bit_of(row))
			memcpy((char *)model + (row->offset - offsetof(struct dp_options, model)),
			       (const char *)o + row->offset, row->size);
	}
}
