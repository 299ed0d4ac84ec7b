// SPDX-License-Identifier: MIT
/* How the text output is laid out: columns, wrapping, width, colour, the table at the end. */
#include <pty.h>
#include <stdint.h>
#include <time.h>

#include "show/wrap.h"
#include "text_support.h"

static void test_summary(void **state)
{
	const struct dp_finding f[] = {finding_full(DP_FIND_SUMMARY),
				       finding_full(DP_FIND_SUMMARY_NODE),
				       finding_full(DP_FIND_SUMMARY_END)};
	static const char want[] =
		"\nSummary: 12345 records, 3 lost: the figures below may be too low\n"
		"  grace period to ask for: 12.0 s (camera)\n"
		"\n"
		"  node              holds  longest hold  GIL held  tokens  abandoned  longest "
		"pending  "
		"grace needed\n"
		"  camera               12        1.23 s    8.10 s     340         57           "
		"1.34 s  "
		"      12.1 s\n"
		"      longest hold in process\n"
		"      of its time: GIL held 81.2 % (error 1.1), waited for 5.0 %, running without it "
		"10.0 % (error 1.1), main thread asleep 3.8 %\n"
		"      12.3 s of token time lost to the GIL held for 8.00 s in process "
		"(vision.py:42)\n"
		"      1 drop token still pending at the end\n"
		"      2 drop tokens lost from sight, not counted as abandoned\n"
		"  counted since the probe came: they ran before\n";

	(void)state;
	for (int verbose = -1; verbose <= 1; verbose++) {
		char *text = text_of(f, 3, verbose, 0);

		assert_string_equal(text, want);
		free(text);
	}
}

static void expect_wrapped(const char *text, size_t columns, size_t indent, const char *want)
{
	struct dp_line l = {.limit = 4096};

	dp_wrap(&l, text, strlen(text), columns, indent);
	dp_line_add(&l, "", 1);
	assert_int_equal(l.error, 0);
	assert_string_equal(l.data, want);
	dp_line_free(&l);
}

/* A line that is too wide goes on below, at a space; what fits is left as it is. */
static void test_wrap(void **state)
{
	(void)state;
	expect_wrapped("", 20, 4, "");
	expect_wrapped("exactly twenty wide.\n\n", 20, 4, "exactly twenty wide.\n\n");
	expect_wrapped("exactly twenty wide. No\n", 20, 4, "exactly twenty wide.\n    No\n");
	expect_wrapped("exactly twentyonewide\n", 20, 4, "exactly\n    twentyonewide\n");
	/* Columns before the sentence are no place to break, a word that is too wide stays whole. */
	expect_wrapped("a b aVeryLongWordIndeed c\n", 16, 4, "a b aVeryLongWordIndeed\n    c\n");
	expect_wrapped("one two three four five\n", 10, 2, "one two\n  three\n  four\n  five\n");
	/* Without an indent of its own: a little further than the line. */
	expect_wrapped("  three four five six\n", 16, 0, "  three four\n    five six\n");
	/* Characters and colours. */
	expect_wrapped("ÄÖÜ ÄÖÜ ÄÖÜ\n", 7, 2, "ÄÖÜ ÄÖÜ\n  ÄÖÜ\n");
	expect_wrapped("\033[1;31mone\033[0m two six\n", 7, 2, "\033[1;31mone\033[0m two\n  six\n");
	/* An indent that leaves no room. */
	expect_wrapped("one two three\n", 8, 30, "one two\n    three\n");
}

/* However a finding is filled, its text is as wide as is wanted, and says the same. */
static void test_width(void **state)
{
	(void)state;
	for (int type = 0; type < DP_FIND_COUNT; type++) {
		const struct dp_finding f = finding_full((enum dp_finding_type)type);
		char *wide = text_of(&f, 1, 1, 0), *text = text_in(&f, 1, 1, 0, 80);
		size_t w = 0;

		for (const char *p = text, *end; (end = strchr(p, '\n')); p = end + 1)
			assert_true(end - p <= 80);
		for (const char *p = text; *p; p++) {
			if (*p == ' ' || *p == '\n')
				continue;
			w += strspn(wide + w, " \n");
			assert_int_equal(wide[w++], *p);
		}
		free(wide);
		free(text);
	}
}

/* Rows stay aligned as longer names come, hostile ones cannot break out, colour only when told. */
static void test_layout(void **state)
{
	struct dp_finding f[4];
	char *text;

	(void)state;
	for (int i = 0; i < 4; i++)
		f[i] = finding_full(DP_FIND_LOSS);
	f[0].node = "a";
	f[1].node = "detector-left";
	f[2].node = NULL;
	f[3].node = "\033[31m\r\n";
	f[3].wall_offset_ns = DP_SNULL;
	text = text_of(f, 4, 0, 0);
#define LOSS                                                                                       \
	"12 lost (ring_full), 34 in all: may have spoilt holds, waits, tokens, stop, signals, "    \
	"exits, nodes around this time\n"
	assert_string_equal(text, "2026-11-23\n"
				  "07:02:27.123  a         loss      " LOSS
				  "07:02:27.123  detector-left  loss      " LOSS
				  "07:02:27.123  pid 1234       loss      " LOSS
				  "+100.000      \\x1b[31m\\x0d\\x0a  loss      " LOSS);
	free(text);

	f[0] = finding_full(DP_FIND_WARNING);
	f[0].u.warning.severity = DP_SEVERITY_CRITICAL;
	text = text_of(f, 1, 0, 1);
	assert_non_null(strstr(text, "\033[1;31mCRITICAL\033[0m"));
	free(text);
	text = text_of(f, 1, 0, 0);
	assert_null(strchr(text, '\033'));
	free(text);
}

static void test_colour_wanted(void **state)
{
	int master, slave, fd = temp_fd();

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	unsetenv("NO_COLOR");
	setenv("TERM", "xterm", 1);
	assert_int_equal(dp_show_colour_wanted(slave), 1);
	assert_int_equal(dp_show_colour_wanted(fd), 0);
	setenv("NO_COLOR", "", 1); /* empty does not count (no-color.org) */
	assert_int_equal(dp_show_colour_wanted(slave), 1);
	setenv("NO_COLOR", "1", 1);
	assert_int_equal(dp_show_colour_wanted(slave), 0);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_int_equal(dp_show_colour_wanted(slave), 0);
	close(master);
	close(slave);
	close(fd);
}

/* No enum value, string or number from a damaged recording makes the text unprintable. */
static void test_out_of_range(void **state)
{
	(void)state;
	for (int type = 0; type < DP_FIND_COUNT; type++) {
		struct dp_finding f = finding_empty((enum dp_finding_type)type);
		char *text;

		/* Pointers stay as they are: those come from the model, never from outside. */
		f.t_ns = UINT64_MAX;
		f.wall_offset_ns = INT64_MAX;
		f.u.warning.kind = type == DP_FIND_WARNING ? 200 : f.u.warning.kind;
		f.u.warning.severity = type == DP_FIND_WARNING ? 200 : f.u.warning.severity;
		f.u.token.state = type == DP_FIND_TOKEN ? 200 : f.u.token.state;
		f.u.stop.reason = type == DP_FIND_STOP ? 200 : f.u.stop.reason;
		if (type == DP_FIND_ACTION)
			f.u.action = (struct dp_action_finding){
				.action = 200, .result = 200, .signal = UINT32_MAX};
		if (type == DP_FIND_GIL_HOLD)
			f.u.hold.waiter_count = 255;
		text = text_of(&f, 1, 1, 1);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_summary),       cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_width),         cmocka_unit_test(test_layout),
		cmocka_unit_test(test_colour_wanted), cmocka_unit_test(test_out_of_range),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
