// SPDX-License-Identifier: MIT
/* Completions of the command line (completion.h). Each file names its generator in its head. */
#include "cli/completion.h"

#include <string.h>

#include "base/array.h"
#include "cli/manual.h"
#include "cli/option_table.h"

#define HEAD                                                                                       \
	"# SPDX-License-Identifier: MIT\n"                                                         \
	"# Made from agent/cli/option_table.c by tests/tools/docs.py.\n"

/* The commands, what each is for, and whether it takes a file. */
static const struct {
	const char *name, *help;
	enum dp_command command;
	bool file;
} commands[] = {
	{"watch", "watch nodes until Ctrl-C", DP_CMD_WATCH, false},
	{"list", "the nodes of this machine", DP_CMD_LIST, false},
	{"doctor", "what this machine offers and lacks", DP_CMD_DOCTOR, false},
	{"replay", "the findings of a recording", DP_CMD_REPLAY, true},
	{"report", "a recording as a text, a page or a trace", DP_CMD_REPORT, true},
};

enum kind { WORDS, PIDS, FILES, FREE };

/* What may stand for the value of an option; its words, with spaces between, in `words`. */
static enum kind kind_of(const struct dp_option *o, char *words, size_t len)
{
	static const struct {
		dp_value_parser *read;
		const char *words;
	} known[] = {
		{dp_value_duration, "50ms 100ms 500ms 1s 5s 10s 1m"},
		{dp_value_signal, "INT TERM USR1 USR2 HUP"},
		{dp_value_listen, "127.0.0.1:9469 [::1]:9469"},
	};
	size_t n = 0;

	*words = '\0';
	if (o->limits.name) {
		for (uint64_t i = o->limits.min; i <= o->limits.max && n < len; i++)
			n += (size_t)snprintf(words + n, len - n, "%s%s", n ? " " : "",
					      o->limits.name((unsigned int)i));
		return WORDS;
	}
	for (size_t i = 0; i < DP_COUNT_OF(known); i++) {
		if (o->read == known[i].read) {
			snprintf(words, len, "%s", known[i].words);
			return WORDS;
		}
	}
	if (o->read == dp_value_pids)
		return PIDS;
	return o->read == dp_value_text ? FILES : FREE;
}

static bool is_shown(const struct dp_option *o, enum dp_command command)
{
	return !o->hidden && o->commands & 1u << command;
}

/* ---- bash ----------------------------------------------------------------------------------- */

/* The words that complete the value of an option: one branch of a `case` over the word before. */
static void bash_value(FILE *out, const struct dp_option *o)
{
	char words[256];
	enum kind kind;

	if (o->hidden || !o->argument || o->may_lack)
		return;
	fprintf(out, "\t--%s", o->name);
	if (o->letter)
		fprintf(out, " | -%c", o->letter);
	fputs(")\n", out);
	kind = kind_of(o, words, sizeof(words));
	if (kind == WORDS)
		fprintf(out, "\t\tmapfile -t COMPREPLY < <(compgen -W '%s' -- \"$cur\")\n", words);
	else if (kind == PIDS)
		fputs("\t\tmapfile -t COMPREPLY < <(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$cur\")\n",
		      out);
	else if (kind == FILES)
		fputs("\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n", out);
	fputs("\t\treturn\n\t\t;;\n", out);
}

void dp_completion_bash(FILE *out)
{
	fputs(HEAD
	      "\n_dora_probe()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} words\n"
	      "\n\tCOMPREPLY=()\n\tcase $prev in\n",
	      out);
	for (size_t i = 0; i < dp_options_count; i++)
		bash_value(out, &dp_options_table[i]);
	fputs("\tesac\n\tcase ${COMP_WORDS[1]} in\n", out);
	for (size_t c = DP_COUNT_OF(commands); c-- > 0;) {
		/* Without a command's name watch is meant. */
		fprintf(out, "\t%s)\n",
			commands[c].command == DP_CMD_WATCH ? "*" : commands[c].name);
		if (commands[c].file)
			fputs("\t\tif [[ $cur != -* ]]; then\n"
			      "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
			      "\t\t\treturn\n\t\tfi\n",
			      out);
		fputs("\t\twords='", out);
		for (size_t i = 0, n = 0; i < dp_options_count; i++)
			if (is_shown(&dp_options_table[i], commands[c].command))
				fprintf(out, "%s--%s", n++ ? " " : "", dp_options_table[i].name);
		fputs("'\n\t\t;;\n", out);
	}
	fputs("\tesac\n\t((COMP_CWORD == 1)) && words+=' ", out);
	for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
		fprintf(out, "%s%s", c ? " " : "", commands[c].name);
	fputs("'\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
	      "\ncomplete -F _dora_probe dora-probe\n",
	      out);
}

/* ---- zsh ------------------------------------------------------------------------------------ */

/* One argument of _arguments: '--name=[what it is]:VALUE:(words)'. */
static void zsh_option(FILE *out, const struct dp_option *o)
{
	char words[256], help[512];
	enum kind kind = kind_of(o, words, sizeof(words));

	fprintf(out, "\t\t'%s--%s%s[",
		o->read == dp_value_pids || o->read == dp_value_name ? "*" : "", o->name,
		!o->argument  ? ""
		: o->may_lack ? "=-"
			      : "=");
	/* What ends a description, a field or the quoted word is escaped. */
	for (const char *c = dp_option_sentence(o, help, sizeof(help)); *c; c++) {
		if (*c == '\'')
			fputs("'\\'", out);
		else if (strchr("[]:\\", *c))
			fputc('\\', out);
		fputc(*c, out);
	}
	fputc(']', out);
	if (o->argument) {
		fprintf(out, "%s%s:", o->may_lack ? "::" : ":", o->argument);
		if (kind == WORDS && strchr(words, ':'))
			fputs("( )", out); /* A colon would end the field. */
		else if (kind == WORDS)
			fprintf(out, "(%s)", words);
		else
			fputs(kind == PIDS ? "_pids" : kind == FILES ? "_files" : "( )", out);
	}
	fputs("' \\\n", out);
}

void dp_completion_zsh(FILE *out)
{
	fputs("#compdef dora-probe\n" HEAD "\n_dora-probe()\n{\n"
	      "\tlocal command=${words[2]}\n\n\tif ((CURRENT == 2)) && [[ $PREFIX != -* ]]; then\n"
	      "\t\tlocal -a known=(\n",
	      out);
	for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
		fprintf(out, "\t\t\t'%s:%s'\n", commands[c].name, commands[c].help);
	fputs("\t\t)\n\t\t_describe command known\n\t\treturn\n\tfi\n\tcase $command in\n", out);
	for (size_t c = DP_COUNT_OF(commands); c-- > 0;) {
		fprintf(out, "\t%s)\n\t\t_arguments \\\n",
			commands[c].command == DP_CMD_WATCH ? "*" : commands[c].name);
		for (size_t i = 0; i < dp_options_count; i++)
			if (is_shown(&dp_options_table[i], commands[c].command))
				zsh_option(out, &dp_options_table[i]);
		fprintf(out, "\t\t\t%s\n\t\t;;\n",
			commands[c].file ? "'*:recording:_files'" : "'*: :( )'");
	}
	fputs("\tesac\n}\n\n_dora-probe \"$@\"\n", out);
}

/* ---- fish ----------------------------------------------------------------------------------- */

static void fish_option(FILE *out, const struct dp_option *o)
{
	char words[256], help[512];
	enum kind kind = kind_of(o, words, sizeof(words));
	bool all = true;

	fputs("complete -c dora-probe", out);
	for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
		all = all && is_shown(o, commands[c].command);
	if (!all && is_shown(o, DP_CMD_WATCH)) {
		/* Without a command's name watch is meant. */
		fputs(" -n 'not __fish_seen_subcommand_from", out);
		for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
			if (!is_shown(o, commands[c].command))
				fprintf(out, " %s", commands[c].name);
		fputc('\'', out);
	} else if (!all) {
		fputs(" -n '__fish_seen_subcommand_from", out);
		for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
			if (is_shown(o, commands[c].command))
				fprintf(out, " %s", commands[c].name);
		fputc('\'', out);
	}
	if (o->letter)
		fprintf(out, " -s %c", o->letter);
	fprintf(out, " -l %s", o->name);
	if (o->argument && !o->may_lack)
		fputs(kind == FILES ? " -r -F" : " -x", out);
	if (o->argument && kind == WORDS)
		fprintf(out, " -a '%s'", words);
	if (kind == PIDS)
		fputs(" -a '(__fish_complete_pids)'", out);
	fputs(" -d '", out);
	for (const char *c = dp_option_sentence(o, help, sizeof(help)); *c; c++) {
		if (*c == '\'' || *c == '\\')
			fputc('\\', out);
		fputc(*c, out);
	}
	fputs("'\n", out);
}

void dp_completion_fish(FILE *out)
{
	fputs(HEAD "\ncomplete -c dora-probe -f\n", out);
	for (size_t c = 0; c < DP_COUNT_OF(commands); c++)
		fprintf(out,
			"complete -c dora-probe -n __fish_use_subcommand -a %s -d '%s'\n"
			"%s%s%s",
			commands[c].name, commands[c].help,
			commands[c].file ? "complete -c dora-probe -n '__fish_seen_subcommand_from "
					 : "",
			commands[c].file ? commands[c].name : "", commands[c].file ? "' -F\n" : "");
	for (size_t i = 0; i < dp_options_count; i++)
		if (!dp_options_table[i].hidden)
			fish_option(out, &dp_options_table[i]);
}
