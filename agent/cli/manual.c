// SPDX-License-Identifier: MIT
/* The manual page's OPTIONS (manual.h). */
#include "cli/manual.h"

#include <string.h>

#define WIDTH 100

/* Appends to the text of `len` bytes in `ret`; nothing where it has no room. Returns the new
 * length. */
static size_t add(char *ret, size_t size, size_t len, const char *piece)
{
	size_t n = strlen(piece);

	if (len + n >= size)
		return len;
	memcpy(ret + len, piece, n + 1);
	return len + n;
}

/* `text` with the default for @ and, for roff, with fonts for *x* and _x_ and plain hyphens. */
static const char *fill(const struct dp_option *o, const char *text, bool roff, char *ret,
			size_t size)
{
	bool bold = false, italic = false;
	size_t len = 0;

	*ret = '\0';
	for (; *text; text++) {
		char one[2] = {*text, '\0'};

		if (*text == '@') {
			len = add(ret, size, len, o->standard ? o->standard : "none");
		} else if (roff && *text == '\\' && text[1]) {
			one[0] = *++text;
			len = add(ret, size, len, one);
		} else if (roff && *text == '*') {
			bold = !bold;
			len = add(ret, size, len, bold ? "\\fB" : "\\fP");
		} else if (roff && *text == '_' && !bold) {
			italic = !italic;
			len = add(ret, size, len, italic ? "\\fI" : "\\fP");
		} else {
			len = add(ret, size, len, roff && *text == '-' ? "\\-" : one);
		}
	}
	return ret;
}

const char *dp_option_sentence(const struct dp_option *o, char *ret, size_t len)
{
	return fill(o, o->help, false, ret, len);
}

/* In lines of at most WIDTH bytes; no line may look like a request of roff's. */
static void print_wrapped(FILE *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column && column + 1 + n > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		if (column)
			column += (size_t)fprintf(out, " ");
		else if (*text == '.' || *text == '\'')
			column += (size_t)fprintf(out, "\\&");
		column += (size_t)fprintf(out, "%.*s", (int)n, text);
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

/* "-o OUT, --output OUT", "--exact[=D]", with fonts. */
static void print_tag(FILE *out, const struct dp_option *o)
{
	const char font = o->limits.name ? 'B' : 'I';
	char markup[64], name[80];

	fputs(".TP\n", out);
	if (o->letter)
		fprintf(out, "\\fB\\-%c\\fP", o->letter);
	if (o->letter && o->argument)
		fprintf(out, " \\f%c%s\\fP", font, o->argument);
	snprintf(markup, sizeof(markup), "*--%s*", o->name);
	fprintf(out, "%s%s", o->letter ? ", " : "", fill(o, markup, true, name, sizeof(name)));
	if (o->argument)
		fprintf(out, o->may_lack ? "[=\\f%c%s\\fP]" : " \\f%c%s\\fP", font, o->argument);
	fputc('\n', out);
}

static void print_option(FILE *out, const struct dp_option *o)
{
	char text[2048], roff[2048];

	print_tag(out, o);
	if (o->manual)
		snprintf(text, sizeof(text), "%s", o->manual);
	else
		snprintf(text, sizeof(text), "%s.", o->help);
	print_wrapped(out, fill(o, text, true, roff, sizeof(roff)));
}

void dp_manual_options(FILE *out)
{
	fputs("Durations \\fID\\fP are written 300ms, 2s or 1m30s, in whole numbers of h, m, s, ms and us.\n",
	      out);
	for (int g = 0; g < DP_OPTIONS_GROUP_COUNT; g++) {
		fprintf(out, ".SS %s\n", dp_option_group_title((enum dp_option_group)g));
		for (size_t i = 0; i < dp_options_count; i++)
			if ((int)dp_options_table[i].group == g && !dp_options_table[i].hidden)
				print_option(out, &dp_options_table[i]);
	}
}
