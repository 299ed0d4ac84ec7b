// SPDX-License-Identifier: MIT
/* The table of options: what holds for every row, whatever options there are. */
#include "base/array.h"
#include "cli/completion.h"
#include "cli/manual.h"
#include "cli/option_table.h"
#include "options_support.h"

#define EACH_ROW(row)                                                                              \
	for (const struct dp_option *row = dp_options_table;                                       \
	     row < dp_options_table + dp_options_count; row++)

static const char *const commands[DP_CMD_COUNT] = {"watch", "list", "doctor", "replay", "report"};

/* ---- samples of values, by parser ------------------------------------------------------------ */

#define SAMPLE_MAX 320

static const char *of_length(uint64_t n, char *ret)
{
	assert_true(n < SAMPLE_MAX);
	memset(ret, 'n', n);
	ret[n] = '\0';
	/* The parser of words takes "~" for an empty one. */
	return n ? ret : strcpy(ret, "~");
}

static const char *number(uint64_t n, const char *unit, char *ret)
{
	snprintf(ret, SAMPLE_MAX, "%llu%s", (unsigned long long)n, unit);
	return ret;
}

enum sample { LEAST, MOST, UNDER, OVER, SAMPLES };

/* A value at, under or over the row's limit; NULL where its parser has no such limit. */
static const char *at_limit(const struct dp_option *row, enum sample s, char *ret)
{
	const uint64_t min = row->limits.min, max = row->limits.max;

	if (row->read == dp_value_duration) {
		if (s == UNDER)
			return min ? number((min - 1) / 1000, "us", ret) : "-1us";
		return s == LEAST  ? number((min + 999) / 1000, "us", ret)
		       : s == MOST ? number(max / 1000, "us", ret)
				   : number(max / 1000 + 1, "us", ret);
	}
	if (row->read == dp_value_name)
		return of_length(s == LEAST  ? min
				 : s == MOST ? max
				 : s == OVER ? max + 1
					     : min - 1,
				 ret);
	if (row->read == dp_value_pids)
		return number(s == LEAST  ? min
			      : s == MOST ? max
			      : s == OVER ? max + 1
					  : min - 1,
			      "", ret);
	if (row->read == dp_value_percent)
		return s == UNDER   ? number(min, "", ret)
		       : s == LEAST ? number(min, ".1", ret)
				    : number(max, s == OVER ? ".1" : "", ret);
	if (row->read == dp_value_choice)
		return s == LEAST  ? row->limits.name((unsigned int)min)
		       : s == MOST ? row->limits.name((unsigned int)max)
		       : s == OVER ? row->limits.name((unsigned int)max + 1)
				   : "~";
	if (row->read == dp_value_signal)
		return s == LEAST ? "1" : s == MOST ? "64" : s == OVER ? "65" : "0";
	if (row->read == dp_value_listen)
		return s == LEAST  ? "127.0.0.1:1"
		       : s == MOST ? "127.0.0.1:65535"
		       : s == OVER ? "127.0.0.1:65536"
				   : "127.0.0.1:0";
	if (row->read == dp_value_text)
		return s == UNDER ? "~" : s == OVER ? NULL : "x";
	fail_msg("--%s: this test has no samples for its parser", row->name);
	return NULL;
}

/* The largest value where there is an order: no default is that. */
static const char *good_value(const struct dp_option *row)
{
	static char most[SAMPLE_MAX];

	return row->read == dp_value_name     ? "camera"
	       : row->read == dp_value_pids   ? "7,8"
	       : row->read == dp_value_signal ? "USR1"
	       : row->read == dp_value_listen ? "[::1]:7"
	       : row->read == dp_value_text   ? "x.html"
	       : row->read                    ? at_limit(row, MOST, most)
					      : NULL;
}

/* Is what good_value() says at `at`? Also whether the row gives room for just that. */
static bool has_good_value(const struct dp_option *row, const void *at)
{
	const struct dp_pid_list *pids = at;
	const struct dp_name_list *names = at;

	if (!row->read)
		return row->size == 1 && *(const int8_t *)at == row->set;
	if (row->read == dp_value_duration)
		return row->size == 8 && *(const uint64_t *)at == row->limits.max / 1000 * 1000;
	if (row->read == dp_value_name)
		return row->size == sizeof(*names) && names->count == 1 &&
		       strcmp(names->name[0], "camera") == 0;
	if (row->read == dp_value_pids)
		return row->size == sizeof(*pids) && pids->count == 2 && pids->pid[0] == 7 &&
		       pids->pid[1] == 8;
	if (row->read == dp_value_percent)
		return row->size == sizeof(double) &&
		       *(const double *)at == (double)row->limits.max;
	if (row->read == dp_value_choice)
		return row->size == 1 && *(const uint8_t *)at == row->limits.max;
	if (row->read == dp_value_signal)
		return row->size == 4 && *(const uint32_t *)at == 10;
	return row->size == sizeof(char *) &&
	       strcmp(*(const char *const *)at, good_value(row)) == 0;
}

/* ---- command lines with one option ----------------------------------------------------------- */

static bool is_target(const struct dp_option *row)
{
	return row->size && row->offset >= offsetof(struct dp_options, wanted) &&
	       row->offset < offsetof(struct dp_options, wanted) + sizeof(struct dp_wanted);
}

/* A command that takes the row, with all that it needs besides; `target`: with one of those too. */
static const char *line_for(const struct dp_option *row, const char *value, bool target, char *ret,
			    size_t len)
{
	static const char *const rest[DP_CMD_COUNT] = {
		[DP_CMD_WATCH] = "|--node|base", [DP_CMD_REPLAY] = "|f", [DP_CMD_REPORT] = "|f"};
	int c = 0;

	while (!(row->commands & 1u << c))
		c++;
	snprintf(ret, len, "%s%s|--%s%s%s", commands[c],
		 rest[c] && (target || c != DP_CMD_WATCH) ? rest[c] : "", row->name,
		 value ? "=" : "", value && strcmp(value, "~") != 0 ? value : "");
	return ret;
}

/* All bytes that the option may write become those of `base`. */
static void take_back(const struct dp_option *row, struct dp_options *o,
		      const struct dp_options *base)
{
	memcpy((char *)o + row->offset, (const char *)base + row->offset, row->size);
	if (row->mark_offset)
		*((char *)o + row->mark_offset) = *((const char *)base + row->mark_offset);
	o->given = base->given;
}

static void test_a_good_value_lands(void **state)
{
	char line[256];

	(void)state;
	EACH_ROW(row)
	{
		struct dp_options base, o;

		if (row->prints)
			continue;
		/* What the same command line comes to without the option. */
		base = good(is_target(row)                       ? "watch|--node|base"
			    : row->commands & 1u << DP_CMD_WATCH ? "watch|--node|base"
								 : "report|f");
		if (is_target(row)) {
			memset(&base.wanted, 0, sizeof(base.wanted));
			base.given = 0;
		}
		o = good(line_for(row, good_value(row), !is_target(row), line, sizeof(line)));
		if (!has_good_value(row, (const char *)&o + row->offset))
			fail_msg("[%s] does not land", line);
		if (row->mark_offset && *((const uint8_t *)&o + row->mark_offset) != 1)
			fail_msg("[%s] leaves no mark", line);
		if (!(o.given & 1ULL << (row - dp_options_table)))
			fail_msg("[%s] is not given", line);
		take_back(row, &o, &base);
		EACH_ROW(follower)
		{
			if (follower->follows && strcmp(follower->follows, row->name) == 0)
				take_back(follower, &o, &base);
		}
		o.file = base.file; /* words of two command lines */
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed whole, padding too */
		if (memcmp(&o, &base, sizeof(o)) != 0)
			fail_msg("[%s] changes something else", line);
	}
}

static void refuse(const char *line, const struct dp_option *row)
{
	char out[4096], err[4096], name[64];
	struct dp_options o, untouched;
	int code;

	memset(&o, 0x5A, sizeof(o));
	memset(&untouched, 0x5A, sizeof(untouched));
	code = parse(line, &o, out, err, sizeof(out));
	snprintf(name, sizeof(name), "dora-probe: --%s ", row->name);
	if (code != DP_EX_USAGE || *out || strncmp(err, name, strlen(name)) != 0 ||
	    strcspn(err, "\n") + 1 != strlen(err))
		fail_msg("[%s]: %d, out: %s, err: %s", line, code, out, err);
	assert_memory_equal(&o, &untouched, sizeof(o));
}

static void test_limits_are_kept(void **state)
{
	char line[256], value[SAMPLE_MAX];

	(void)state;
	EACH_ROW(row)
	{
		if (!row->read)
			continue;
		for (int s = LEAST; s < SAMPLES; s++) {
			const char *v = at_limit(row, (enum sample)s, value);

			/* A file of a report has an ending. */
			if (!v || (row->read == dp_value_text && s <= MOST))
				continue;
			line_for(row, v, !is_target(row), line, sizeof(line));
			if (s <= MOST)
				good(line);
			else
				refuse(line, row);
		}
	}
}

static void test_bad_values_are_refused(void **state)
{
	static const char *const bad[] = {"~", "\x01", "-1", "1e3x", "9:9:9"};
	char line[256];

	(void)state;
	EACH_ROW(row)
	{
		unsigned int refused = 0;

		for (size_t i = 0; i < DP_COUNT_OF(bad) && row->read; i++) {
			/* Any text that is not empty is a text or a name. */
			if (i && (row->read == dp_value_text || row->read == dp_value_name))
				continue;
			refuse(line_for(row, bad[i], !is_target(row), line, sizeof(line)), row);
			refused++;
		}
		assert_true(refused || !row->read);
	}
}

/* Each command refuses what it has no use for, by name. */
static void test_commands_refuse_the_others(void **state)
{
	char line[256];
	unsigned int refused = 0;

	(void)state;
	EACH_ROW(row)
	{
		for (int c = 0; c < DP_CMD_COUNT; c++) {
			if (row->commands & 1u << c)
				continue;
			snprintf(line, sizeof(line), "%s|--%s%s%s", commands[c], row->name,
				 row->argument ? "=" : "", row->argument ? good_value(row) : "");
			refuse(line, row);
			refused++;
		}
	}
	assert_true(refused > 50);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static const struct dp_option *row_named(const char *name)
{
	EACH_ROW(row)
	{
		if (strcmp(row->name, name) == 0)
			return row;
	}
	return NULL;
}

static void test_rows_are_whole(void **state)
{
	(void)state;
	EACH_ROW(row)
	{
		const struct dp_option *leader = row->follows ? row_named(row->follows) : row;
		char why[DP_VALUE_WHY_MAX];
		char room[sizeof(struct dp_options)] = {0};

		if (!row->help || !row->commands || row_named(row->name) != row ||
		    (row->read && !row->argument) || (row->prints && row->size) ||
		    (!row->prints && (!row->size || (!row->read && !row->set))))
			fail_msg("--%s is not whole", row->name);
		/* What the model was told is in the recording, so its replay may be told otherwise.
		 */
		if (dp_option_is_model(row) &&
		    ~row->commands & (1u << DP_CMD_REPLAY | 1u << DP_CMD_REPORT))
			fail_msg("--%s: replay and report refuse it", row->name);
		if (!leader || leader->size != row->size || leader->read != row->read)
			fail_msg("--%s follows --%s, which is another kind of value", row->name,
				 row->follows);
		if (row->standard && (!row->read || row->read(row->standard, &row->limits, room,
							      why, sizeof(why)) < 0))
			fail_msg("--%s: its own default is refused: %s", row->name, why);
		EACH_ROW(other)
		{
			if (other == row)
				continue;
			if (row->letter && row->letter == other->letter)
				fail_msg("--%s and --%s have one letter", row->name, other->name);
			/* Such a pair excludes each other, in a sentence with their letters. */
			if (row->size && other->size && row->offset == other->offset &&
			    (row->read || !row->letter))
				fail_msg("--%s and --%s have one destination", row->name,
					 other->name);
		}
	}
}

static void test_replay_overrides_what_the_model_is_told(void **state)
{
	char line[256];
	unsigned int seen = 0;

	(void)state;
	EACH_ROW(row)
	{
		struct dp_rec_options told, untouched;
		struct dp_options o;
		size_t at = row->offset - offsetof(struct dp_options, model);

		memset(&told, 0, sizeof(told));
		memset(&untouched, 0, sizeof(untouched));
		if (!(row->commands & 1u << DP_CMD_REPLAY) || !dp_option_is_model(row))
			continue;
		snprintf(line, sizeof(line), "replay|f|--%s%s%s", row->name, row->read ? "=" : "",
			 row->read ? good_value(row) : "");
		o = good(line);
		dp_options_override(&o, &told);
		if (!has_good_value(row, (const char *)&told + at))
			fail_msg("[%s] does not override the recording", line);
		memset((char *)&told + at, 0, row->size);
		EACH_ROW(follower)
		{
			if (follower->follows && strcmp(follower->follows, row->name) == 0)
				memset((char *)&told + follower->offset -
					       offsetof(struct dp_options, model),
				       0, follower->size);
		}
		if (memcmp(&told, &untouched, sizeof(told)) != 0)
			fail_msg("[%s] overrides something else", line);
		seen++;
	}
	assert_true(seen > 5);
}

/* ---- documents; read from the top of the tree, where make runs the tests --------------------- */

static char *read_text(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = calloc(1, 64 * 1024);

	if (!in)
		fail_msg("cannot open %s: run from the top of the tree", path);
	assert_true(fread(text, 1, 64 * 1024 - 1, in) > 0);
	fclose(in);
	return text;
}

static void test_manual_page_is_current(void **state)
{
	char *page = read_text("agent/dist/dora-probe.8"), *made = NULL, *at;
	size_t len = 0;
	FILE *out = open_memstream(&made, &len);

	(void)state;
	dp_manual_options(out);
	fclose(out);
	at = strstr(page, ".SH OPTIONS\n");
	assert_non_null(at);
	at += strlen(".SH OPTIONS\n");
	if (strncmp(at, made, len) != 0 || strncmp(at + len, ".SH ", 4) != 0)
		fail_msg(
			"agent/dist/dora-probe.8: OPTIONS is not what the table says: run tests/tools/docs.py");
	free(made);
	free(page);
}

static void test_manual_page_has_every_option(void **state)
{
	char *page = read_text("agent/dist/dora-probe.8"), tag[80];
	unsigned int roman = 0, fonts = 0;

	(void)state;
	EACH_ROW(row)
	{
		size_t n = (size_t)snprintf(tag, sizeof(tag), "\\fB");

		for (const char *c = "--"; *c; c++)
			n += (size_t)snprintf(tag + n, sizeof(tag) - n, "\\-");
		for (const char *c = row->name; *c; c++)
			n += (size_t)snprintf(tag + n, sizeof(tag) - n, *c == '-' ? "\\-" : "%c",
					      *c);
		snprintf(tag + n, sizeof(tag) - n, "\\fP");
		if (!strstr(page, tag) == !row->hidden)
			fail_msg("the manual page %s --%s", row->hidden ? "has" : "has no",
				 row->name);
	}
	for (const char *p = strstr(page, ".SH OPTIONS"); p < strstr(page, ".SH OUTPUT"); p++) {
		roman += strncmp(p, "\\fP", 3) == 0;
		fonts += strncmp(p, "\\fB", 3) == 0 || strncmp(p, "\\fI", 3) == 0;
	}
	assert_int_equal(roman, fonts);
	free(page);
}

static void test_completions_are_current(void **state)
{
	static const struct {
		const char *path;
		void (*print)(FILE *out);
	} files[] = {
		{"agent/dist/dora-probe.bash", dp_completion_bash},
		{"agent/dist/_dora-probe", dp_completion_zsh},
		{"agent/dist/dora-probe.fish", dp_completion_fish},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(files); i++) {
		char *text = read_text(files[i].path), *made = NULL;
		size_t len = 0;
		FILE *out = open_memstream(&made, &len);

		files[i].print(out);
		fclose(out);
		if (strcmp(text, made) != 0)
			fail_msg("%s is not what the table says: run tests/tools/docs.py",
				 files[i].path);
		EACH_ROW(row)
		{
			if (!row->hidden && !strstr(made, row->name))
				fail_msg("%s has no --%s", files[i].path, row->name);
		}
		free(made);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_good_value_lands),
		cmocka_unit_test(test_limits_are_kept),
		cmocka_unit_test(test_bad_values_are_refused),
		cmocka_unit_test(test_commands_refuse_the_others),
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_replay_overrides_what_the_model_is_told),
		cmocka_unit_test(test_manual_page_is_current),
		cmocka_unit_test(test_manual_page_has_every_option),
		cmocka_unit_test(test_completions_are_current),
	};

	return cmocka_run_group_tests_name("option table", tests, NULL, NULL);
}
