// SPDX-License-Identifier: MIT
/* Reference page and schema of the JSON lines (fields_page.h). */
#include "show/fields_page.h"

#include <stdbool.h>
#include <string.h>

#include "base/array.h"
#include "dora_probe/finding.h"
#include "dora_probe/names.h"

typedef const char *word_name(unsigned int v);

/* What a kind of field prints. */
struct kind {
	const char *type;  /* in the schema */
	const char *shown; /* on the page */
	word_name *word;   /* its values are word(first) to word(end - 1); NULL no words */
	unsigned int first, end;
	bool has_name; /* followed by a field NAME_name with the name of the signal */
};

#define WORD(name, count)                                                                          \
	{                                                                                          \
		.type = "word", .shown = "string", .word = (name), .end = (count)                  \
	}
#define KIND_NUMBER                                                                                \
	{                                                                                          \
		.type = "natural", .shown = "integer"                                              \
	}
#define KIND_COUNT                                                                                 \
	{                                                                                          \
		.type = "natural", .shown = "integer"                                              \
	}
#define KIND_MOMENT                                                                                \
	{                                                                                          \
		.type = "positive", .shown = "integer"                                             \
	}
#define KIND_ID                                                                                    \
	{                                                                                          \
		.type = "positive", .shown = "integer"                                             \
	}
#define KIND_LINE                                                                                  \
	{                                                                                          \
		.type = "positive", .shown = "integer"                                             \
	}
#define KIND_SLACK                                                                                 \
	{                                                                                          \
		.type = "integer", .shown = "integer"                                              \
	}
#define KIND_CODE                                                                                  \
	{                                                                                          \
		.type = "natural", .shown = "integer"                                              \
	}
#define KIND_TEXT                                                                                  \
	{                                                                                          \
		.type = "text", .shown = "string"                                                  \
	}
#define KIND_BOOL                                                                                  \
	{                                                                                          \
		.type = "flag", .shown = "boolean"                                                 \
	}
#define KIND_TRUTH                                                                                 \
	{                                                                                          \
		.type = "flag", .shown = "boolean"                                                 \
	}
#define KIND_SHARE                                                                                 \
	{                                                                                          \
		.type = "share", .shown = "number"                                                 \
	}
#define KIND_ESTIMATE                                                                              \
	{                                                                                          \
		.type = "estimate", .shown = "object: `ratio` and its standard `error`, 0 to 1"    \
	}
#define KIND_SIGNAL                                                                                \
	{                                                                                          \
		.type = "positive", .shown = "integer", .has_name = true                           \
	}
#define KIND_TOKEN                                                                                 \
	{                                                                                          \
		.type = "uuid", .shown = "string"                                                  \
	}
#define KIND_WALL                                                                                  \
	{                                                                                          \
		.type = "time", .shown = "string"                                                  \
	}
#define KIND_CAUSE WORD(dp_cause_name, DP_CAUSE_COUNT)
#define KIND_TRANSPORT                                                                             \
	{                                                                                          \
		.type = "word", .shown = "string", .word = dp_transport_name,                      \
		.first = DP_TRANSPORT_UNKNOWN + 1, .end = DP_TRANSPORT_COUNT                       \
	}
#define KIND_DEADLINE                                                                              \
	{                                                                                          \
		.type = "word", .shown = "string", .word = dp_deadline_source_name,                \
		.first = DP_DEADLINE_NONE + 1, .end = DP_DEADLINE_COUNT                            \
	}
#define KIND_LEVEL                                                                                 \
	{                                                                                          \
		.type = "word", .shown = "string", .word = dp_level_name,                          \
		.first = DP_LEVEL_NONE + 1, .end = DP_LEVEL_COUNT                                  \
	}
#define KIND_DORA      WORD(dp_dora_source_name, DP_DORA_FROM_COUNT)
#define KIND_KIND      WORD(dp_warning_name, DP_WARN_COUNT)
#define KIND_SEVERITY  WORD(dp_severity_name, DP_SEVERITY_COUNT)
#define KIND_PRECISION WORD(dp_precision_name, DP_PRECISION_COUNT)
#define KIND_STATE     WORD(dp_token_state_name, DP_TOKEN_COUNT)
#define KIND_STOP      WORD(dp_stop_reason_name, DP_STOP_COUNT)
#define KIND_WITNESS   WORD(dp_witness_name, DP_WITNESS_COUNT)
#define KIND_ACTION    WORD(dp_action_name, DP_ACTION_COUNT)
#define KIND_RESULT    WORD(dp_action_result_name, DP_RESULT_COUNT)
#define KIND_EXIT      WORD(dp_exit_reason_name, DP_EXIT_COUNT)
#define KIND_LOSS      WORD(dp_loss_name, DP_LOSS_COUNT)
#define KIND_TARGETS                                                                               \
	{                                                                                          \
		.type = "texts", .shown = "array of strings"                                       \
	}
#define KIND_MISSING                                                                               \
	{                                                                                          \
		.type = "texts", .shown = "array of strings"                                       \
	}
#define KIND_SOURCES                                                                               \
	{                                                                                          \
		.type = "words", .shown = "array of strings", .word = dp_source_name,              \
		.end = DP_SOURCE_COUNT                                                             \
	}
#define KIND_SPOILS                                                                                \
	{                                                                                          \
		.type = "words", .shown = "array of strings", .word = dp_spoils_name,              \
		.end = DP_SPOILS_COUNT                                                             \
	}
#define KIND_EVIDENCE                                                                              \
	{                                                                                          \
		.type = "words", .shown = "array of strings", .word = dp_evidence_name,            \
		.end = DP_EVIDENCE_COUNT                                                           \
	}
#define KIND_WAITERS                                                                               \
	{                                                                                          \
		.type = "positives", .shown = "array of integers"                                  \
	}
#define KIND_READINESS                                                                             \
	{                                                                                          \
		.type = "object", .shown = "object"                                                \
	}
#define KIND_NODES                                                                                 \
	{                                                                                          \
		.type = "objects", .shown = "array of objects"                                     \
	}
#define KIND_BLAMES                                                                                \
	{                                                                                          \
		.type = "objects", .shown = "array of objects"                                     \
	}

#define KIND_WAIT WORD(dp_wait_name, DP_WAIT_COUNT)
#define KIND_PROOF                                                                                 \
	{                                                                                          \
		.type = "word", .shown = "string", .word = dp_proof_name,                          \
		.first = DP_PROOF_NONE + 1, .end = DP_PROOF_COUNT                                  \
	}
#define KIND_CHAIN                                                                                 \
	{                                                                                          \
		.type = "objects", .shown = "array of objects"                                     \
	}

struct field {
	const char *name;
	struct kind kind;
	bool maybe_null;
	const char *unit, *meaning;
};

#define NULL_never                                false
#define NULL_maybe                                true
#define F(kind, type, name, null, unit, meaning)  V(kind, name, , null, unit, meaning)
#define V(kind, name, value, null, unit, meaning) {#name, KIND_##kind, NULL_##null, unit, meaning},
#define M(type, name)
#define FIELDS(list)                    static const struct field list##_fields[] = {DP_FINDING_##list(F, V, M)};
#define FIELDS_OF_EVENT(e, list, event) FIELDS(list)
FIELDS(line)
DP_FINDING_EVENTS(FIELDS_OF_EVENT)
FIELDS(summary)
FIELDS(summary_end)
FIELDS(summary_node)
FIELDS(blame)
FIELDS(link)

/* One object of the output; the summary's line comes from two lists. */
static const struct section {
	const char *event;
	const struct field *fields;
	size_t count;
} sections[] = {
#define SECTION(list, event)             {event, list##_fields, DP_COUNT_OF(list##_fields)},
#define SECTION_OF_EVENT(e, list, event) SECTION(list, event)
	SECTION(line, "line") DP_FINDING_EVENTS(SECTION_OF_EVENT) SECTION(summary, "summary")
		SECTION(summary_end, "summary") SECTION(summary_node, "summary.nodes")
			SECTION(blame, "summary.nodes.blame") SECTION(link, "warning.chain")};
#define SECTIONS (DP_COUNT_OF(sections))

static bool goes_on(size_t i)
{
	return i && strcmp(sections[i].event, sections[i - 1].event) == 0;
}

/* ---- page ------------------------------------------------------------------------------------ */

static const char head[] =
	"<!-- Written by tests/tools/docs.py from include/dora_probe/fields.h -->\n"
	"# JSON lines\n\n"
	"With `--json` each line of standard output is one object. It has every field of its event, in this order; a field that can be null is null where its\n"
	"value is not known, never 0 or \"\". Times are integers of nanoseconds: `ns` is a length, `ns (clock)` a moment of CLOCK_MONOTONIC. A replay prints the\n"
	"lines of the live run. Fields may be added; those that are here keep their name and meaning.\n\n"
	"Hooks (`--on-warning`, `--on-action`) find the fields of `warning` and `action` in environment variables, `DORA_PROBE_HELD_NS` for `held_ns`; what would\n"
	"be null is not set, and a signal is there by its name. In a trace for Perfetto (`report -o x.json`) a line is the arguments of its slice.\n";

static void page_row(FILE *out, const struct field *f)
{
	const char *sep = f->meaning[0] ? ": " : "";

	fprintf(out, "| `%s` | %s | %s | %s | %s", f->name, f->kind.shown, f->unit,
		f->maybe_null ? "yes" : "", f->meaning);
	for (unsigned int v = f->kind.first; f->kind.word && v < f->kind.end; v++, sep = ", ")
		fprintf(out, "%s`%s`", sep, f->kind.word(v));
	fputs(" |\n", out);
	if (f->kind.has_name)
		fprintf(out, "| `%s_name` | string | | %s | its name |\n", f->name,
			f->maybe_null ? "yes" : "");
}

void dp_fields_page(FILE *out)
{
	fputs(head, out);
	for (size_t i = 0; i < SECTIONS; i++) {
		if (i == 0)
			fputs("\n## Every line\n", out);
		else if (!goes_on(i))
			fprintf(out, "\n## `%s`\n", sections[i].event);
		if (!goes_on(i))
			fputs("\n| field | type | unit | null | meaning |\n|---|---|---|---|---|\n",
			      out);
		for (size_t k = 0; k < sections[i].count; k++)
			page_row(out, &sections[i].fields[k]);
	}
}

/* ---- schema ---------------------------------------------------------------------------------- */

static void schema_row(FILE *out, const struct field *f)
{
	const char *sep = ", \"values\": [", *null = f->maybe_null ? "true" : "false";

	fprintf(out, "    \"%s\": {\"type\": \"%s\", \"null\": %s", f->name, f->kind.type, null);
	for (unsigned int v = f->kind.first; f->kind.word && v < f->kind.end; v++, sep = ", ")
		fprintf(out, "%s\"%s\"", sep, f->kind.word(v));
	fputs(f->kind.word ? "]}" : "}", out);
	if (f->kind.has_name)
		fprintf(out, ",\n    \"%s_name\": {\"type\": \"text\", \"null\": %s}", f->name,
			null);
}

void dp_fields_schema(FILE *out)
{
	for (size_t i = 0; i < SECTIONS; i++) {
		if (!goes_on(i))
			fprintf(out, "%s  \"%s\": {\n", i ? "\n  },\n" : "{\n", sections[i].event);
		for (size_t k = 0; k < sections[i].count; k++) {
			if (k || goes_on(i))
				fputs(",\n", out);
			schema_row(out, &sections[i].fields[k]);
		}
	}
	fputs("\n  }\n}\n", out);
}
