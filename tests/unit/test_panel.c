// SPDX-License-Identifier: MIT
/* The live view's screen as text: order, widths, what is cut, and that nothing leaves its line. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/units.h"
#include "view/keys.h"
#include "view/panel.h"
#include "view/view.h"

#define NOW (1000 * SEC)

struct drawn {
	int width, height, count;
	char line[200][DP_PANEL_LINE_BYTES];
	unsigned int mood[200];
};

static int columns(const char *s)
{
	wchar_t wide[DP_PANEL_LINE_BYTES];

	/* Fails the test where a line is no valid UTF-8. */
	assert_true(mbstowcs(wide, s, DP_PANEL_LINE_BYTES) < DP_PANEL_LINE_BYTES);
	return wcswidth(wide, DP_PANEL_LINE_BYTES);
}

static void put(void *ctx, int y, unsigned int mood, const char *text)
{
	struct drawn *d = ctx;

	assert_int_equal(y, d->count);
	assert_true(y < d->height && y < 200);
	/* wcswidth gives -1 for a control character. */
	assert_in_range(columns(text), 0, d->width);
	strcpy(d->line[y], text);
	d->mood[y] = mood;
	d->count++;
}

static struct drawn *draw(const struct dp_panel *p, int width, int height)
{
	struct drawn *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	d->width = width;
	d->height = height;
	dp_panel_draw(p, width, height, put, d);
	return d;
}

static const char *find(const struct drawn *d, const char *words)
{
	for (int i = 0; i < d->count; i++)
		if (strstr(d->line[i], words))
			return d->line[i];
	return NULL;
}

static struct dp_panel_row row(uint32_t pid, const char *node, int64_t slack, uint64_t oldest,
			       uint64_t hold)
{
	struct dp_panel_row r = {.v = {.pid = pid,
				       .slack_ns = slack,
				       .oldest_pending_ns = oldest,
				       .hold_ns = hold,
				       .need_ns = DP_NULL,
				       .recommended_grace_ns = DP_NULL}};

	snprintf(r.facts.node, sizeof(r.facts.node), "%s", node);
	strcpy(r.facts.dataflow, "0190c0de-1111");
	r.facts.gil_observable = r.facts.is_dora = 1;
	return r;
}

static void test_order(void **state)
{
	/* In the right order; sorted from every rotation and backwards. */
	struct dp_panel_row want[] = {
		row(1, "late", -(int64_t)SEC, 0, 0),
		row(2, "soon", SEC, 0, 0),
		row(3, "later", 5 * SEC, 9 * SEC, 9 * SEC),
		row(4, "pending", DP_SNULL, 3 * SEC, 0),
		row(5, "pending_less", DP_SNULL, 2 * SEC, 9 * SEC),
		row(6, "holds", DP_SNULL, 0, 2 * SEC),
		/* below a step: by name, so that they do not change places all the time */
		row(9, "a", DP_SNULL, 0, 10 * MS),
		row(8, "b", DP_SNULL, 50 * MS, 90 * MS),
		row(10, "c", DP_SNULL, 0, 0),
		row(11, "c", DP_SNULL, 0, 0),
		row(7, "gone", -(int64_t)SEC, 9 * SEC, 9 * SEC),
	};
	enum { N = DP_COUNT_OF(want) };
	struct dp_panel_row rows[N];

	(void)state;
	want[N - 1].v.gone = 1;
	for (unsigned int shift = 0; shift < 2 * N; shift++) {
		for (unsigned int i = 0; i < N; i++)
			rows[i] = want[shift < N ? (i + shift) % N : (2 * N - 1 - i + shift) % N];
		dp_panel_sort(rows, N);
		for (unsigned int i = 0; i < N; i++)
			assert_int_equal(rows[i].v.pid, want[i].v.pid);
	}
	dp_panel_sort(NULL, 0);
}

static void test_duration(void **state)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} rows[] = {
		{0, "0us"},
		{999999, "999us"},
		{MS, "1ms"},
		{999999999, "999ms"},
		{SEC, "1s"},
		{1299999999, "1.2s"},
		{99999999999ULL, "99.9s"},
		{100 * SEC, "1m40s"},
		{6000 * SEC, "1h40m"},
		{48ULL * 3600 * SEC, "2d00h"},
		{DP_NULL, "?"},
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++)
		assert_string_equal(dp_panel_duration(rows[i].ns, buf, sizeof(buf)), rows[i].want);
}

static void test_cells(void **state)
{
	static struct dp_panel_messages none;
	struct dp_panel_row rows[2] = {row(1234, "camera", -1500 * (int64_t)MS, 1234 * MS, 2 * SEC),
				       row(99, "", DP_SNULL, 0, 0)};
	struct dp_panel p = {.rows = rows,
			     .row_count = 2,
			     .messages = &none,
			     .now_ns = NOW,
			     .wall_offset_ns = DP_SNULL,
			     .warnings = 3,
			     .warn_hold_ns = 500 * MS};
	struct drawn *d;
	char want[128];

	(void)state;
	rows[0].v.pending_tokens = 12;
	rows[0].v.holds = 345;
	rows[0].v.max_hold_ns = 3 * SEC;
	rows[0].v.need_ns = 2100 * MS;
	rows[0].v.grace_ns = 10 * SEC;
	rows[0].v.place.line = 42;
	strcpy(rows[0].function, "process");
	strcpy(rows[0].file, "/opt/robot/vision.py");
	strcpy(rows[0].thread, "worker");
	d = draw(&p, 110, 30);
	assert_int_equal(d->count, 30);
	assert_memory_equal(d->line[0], " dora-probe  2 nodes, 1 to look at  3 warnings",
			    strlen(" dora-probe  2 nodes, 1 to look at  3 warnings"));
	assert_int_equal(columns(d->line[0]), 110);
	/*
	 * 110 columns: 43 for the numbers and their gaps, 16 + 1 + 10 for the names. The ellipsis
	 * takes three bytes of a width of printf.
	 */
	snprintf(want, sizeof(want), " %-16s %-10s %-38s %10s %6s %11s %12s", "NODE", "DATAFLOW",
		 "GIL HELD NOW", "PENDING", "SLACK", "HOLDS MAX", "NEED/GRACE");
	assert_string_equal(d->line[1], want);
	snprintf(want, sizeof(want), ">%-16s %-12s %-38s %10s %6s %11s %12s", "camera", "…0de-1111",
		 "2s process (vision.py:42) worker", "12 1.2s", "-1.5s", "345 3s", "2.1s/10s");
	assert_string_equal(d->line[2], want);
	assert_int_equal(d->mood[2], DP_MOOD_ALARM | DP_MOOD_SELECTED);
	assert_memory_equal(d->line[3], " pid 99 ", 8);
	assert_int_equal(d->mood[3], DP_MOOD_PLAIN);
	/* The whole place stands in the detail. */
	assert_non_null(find(d, "(/opt/robot/vision.py:42)"));
	free(d);

	/* What does not fit is cut with an ellipsis, and the numbers stay where they are. */
	strcpy(rows[0].facts.node, "camera_front_left_upper");
	d = draw(&p, 80, 24);
	assert_int_equal(d->count, 24);
	assert_int_equal(columns(d->line[2]), 80);
	assert_memory_equal(d->line[2], ">camera_fro…", strlen(">camera_fro…"));
	assert_string_equal(d->line[2] + strlen(d->line[2]) - 8, "2.1s/10s");
	free(d);

	/* The selection goes with the process, not with the row; a pid used again is another. */
	p.selected_pid = 99;
	d = draw(&p, 80, 24);
	assert_int_equal(d->line[3][0], '>');
	assert_int_equal(d->line[2][0], ' ');
	free(d);
	p.selected_start = 77;
	assert_int_equal(dp_panel_selected(&p), 0);
}

/* More nodes than lines: the selected one is in sight. */
static void test_scrolls(void **state)
{
	static struct dp_panel_messages none;
	static struct dp_panel_row rows[100];
	struct dp_panel p = {
		.rows = rows, .row_count = 100, .messages = &none, .wall_offset_ns = DP_SNULL};
	struct drawn *d;
	char name[16];

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "n%02u", i);
		rows[i] = row(i + 1, name, DP_SNULL, 0, 0);
	}
	for (unsigned int i = 0; i < 100; i++) {
		p.selected_pid = i + 1;
		d = draw(&p, 80, 24);
		snprintf(name, sizeof(name), ">n%02u ", i);
		assert_non_null(find(d, name));
		free(d);
	}
}

static void test_messages(void **state)
{
	struct dp_panel_messages *m = calloc(1, sizeof(*m));
	char text[64], *much = malloc(5000);

	(void)state;
	assert_non_null(m);
	assert_non_null(much);
	dp_panel_keep(m, 7, DP_MOOD_NOTICE, "one\n      under it\n\n", 20);
	assert_int_equal(m->count, 2);
	assert_string_equal(m->at[0].text, "one");
	assert_string_equal(m->at[1].text, "under it");
	assert_int_equal(m->at[0].under, 0);
	assert_int_equal(m->at[1].under, 1);
	assert_int_equal(m->at[1].pid, 7);

	/* Cut between characters: 511 bytes hold 255 of two bytes each. */
	for (size_t i = 0; i < 5000; i += 2)
		memcpy(much + i, "\xC2\xB5", 2);
	dp_panel_keep(m, 7, 0, much, 5000);
	assert_int_equal(strlen(m->at[2].text), 510);

	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "line %d", i);
		dp_panel_keep(m, 0, 0, text, strlen(text));
	}
	assert_int_equal(m->count, 1003);
	assert_string_equal(m->at[1002 % DP_PANEL_MESSAGES].text, "line 999");
	free(m);
	free(much);
}

/* The newest at the bottom, wrapped at words, whole where there is room. */
static void test_wraps(void **state)
{
	struct dp_panel_messages *m = calloc(1, sizeof(*m));
	struct dp_panel p = {.messages = m, .wall_offset_ns = DP_SNULL};
	const char *text = "07:02:27.123  camera    WARNING   one two three four five six seven "
			   "eight nine ten eleven";
	struct drawn *d;
	char line[32];

	(void)state;
	assert_non_null(m);
	for (int i = 0; i < 50; i++) {
		snprintf(line, sizeof(line), "old %d", i);
		dp_panel_keep(m, 1, 0, line, strlen(line));
	}
	dp_panel_keep(m, 1, 0, text, strlen(text));
	d = draw(&p, 60, 12);
	assert_string_equal(d->line[9],
			    "07:02:27.123  camera    WARNING   one two three four five");
	assert_string_equal(d->line[10], "              six seven eight nine ten eleven");
	assert_string_equal(d->line[8], "old 49");
	assert_null(find(d, "old 40"));
	free(d);
	free(m);
}

/* Every size, with hostile strings: put() checks widths, lines and that nothing is a control. */
static void test_hostile_at_every_size(void **state)
{
	static const char *const names[] = {
		"\x1b[2J\x1b[31mred",  "\xE2\x80\xAE!drowssap",
		"\xFF\xFE\x80 broken", "\xE6\xBC\xA2\xE5\xAD\x97\xE6\xBC\xA2\xE5\xAD\x97 wide",
		"%s%n%p\n\r\t",
	};
	struct dp_panel_messages *m = calloc(1, sizeof(*m));
	struct dp_panel_row rows[5];
	struct dp_panel p = {.rows = rows,
			     .row_count = 5,
			     .messages = m,
			     .now_ns = NOW,
			     .wall_offset_ns = 0,
			     .warnings = UINT64_MAX,
			     .records_lost = UINT64_MAX,
			     .keys = 1};
	char longest[DP_PANEL_MESSAGE_MAX];

	(void)state;
	assert_non_null(m);
	for (unsigned int i = 0; i < 5; i++) {
		rows[i] = row(UINT32_MAX - i, names[i], INT64_MIN + 1, UINT64_MAX - 1,
			      UINT64_MAX - 1);
		memset(&rows[i].v.held_ns, 0xFE, 8);
		rows[i].v.pending_tokens = rows[i].v.holds = rows[i].v.tokens = UINT64_MAX;
		rows[i].v.max_hold_ns = rows[i].v.need_ns = rows[i].v.grace_ns = UINT64_MAX - 1;
		rows[i].v.stop_seen = i & 1;
		memset(rows[i].function, 0x1B, sizeof(rows[i].function) - 1);
		memset(rows[i].file, 0xE2, sizeof(rows[i].file) - 1);
		memset(rows[i].facts.reason, '\n', sizeof(rows[i].facts.reason) - 1);
		snprintf(rows[i].thread, sizeof(rows[i].thread), "%s", names[i]);
		snprintf(rows[i].library, sizeof(rows[i].library), "%s", names[i]);
	}
	/* A message is printable when it is kept (dp_render_text); a word of 511 is not broken. */
	memset(longest, 'x', sizeof(longest));
	dp_panel_keep(m, UINT32_MAX, 0, longest, sizeof(longest));
	for (int width = 1; width < 200; width += width < 45 ? 1 : 13) {
		for (int height = 1; height < 60; height += height < 26 ? 1 : 7) {
			for (unsigned int i = 0; i < 5; i++) {
				struct drawn *d;

				p.selected_pid = rows[i].v.pid;
				d = draw(&p, width, height);
				if (width >= DP_PANEL_WIDTH_MIN && height >= DP_PANEL_HEIGHT_MIN) {
					assert_int_equal(d->count, height);
					assert_non_null(strstr(d->line[height - 1], "q quit"));
				}
				free(d);
			}
		}
	}
	free(m);
}

/* The row holds copies: what the model's strings become later does not matter. */
static void test_row_copies(void **state)
{
	struct dp_rec_node facts = {.node = "camera", .start_time = 5};
	char function[] = "process";
	struct dp_node_view v = {.pid = 1,
				 .facts = &facts,
				 .place = {.function = function, .line = 3},
				 .max_hold_function = function};
	struct dp_panel_row r;

	(void)state;
	dp_panel_row_from(&r, &v);
	strcpy(facts.node, "other");
	strcpy(function, "gone");
	assert_string_equal(r.facts.node, "camera");
	assert_string_equal(r.function, "process");
	assert_string_equal(r.max_hold_function, "process");
	assert_string_equal(r.file, "");
	assert_int_equal(r.v.place.line, 3);
	assert_null(r.v.facts);
	assert_null(r.v.place.function);
	assert_null(r.v.max_hold_function);
}

static void test_keys(void **state)
{
	static const struct {
		const char *bytes;
		enum dp_view_key want[4]; /* that are not DP_KEY_NONE */
	} rows[] = {
		{"q", {DP_KEY_QUIT}},
		{"p", {DP_KEY_PAUSE}},
		{"\x1b[A", {DP_KEY_UP}},
		{"\x1bOB", {DP_KEY_DOWN}},
		{"\x1b[1;5A", {DP_KEY_UP}},
		{"\x1b[H\x1b[F", {DP_KEY_FIRST, DP_KEY_LAST}},
		{"jkgG", {DP_KEY_DOWN, DP_KEY_UP, DP_KEY_FIRST, DP_KEY_LAST}},
		/* sequences that mean nothing here: no letter in them is a key */
		{"\x1b[15~\x1b[200~", {DP_KEY_NONE}},
		{"\x1bq\x1b[q\x1bOp\x1b[1;2q", {DP_KEY_NONE}},
		{"\x1b\x1b[Bq", {DP_KEY_DOWN, DP_KEY_QUIT}},
		{"\x0c\x03", {DP_KEY_REDRAW, DP_KEY_QUIT}},
		{"xyz\xff\x80 ", {DP_KEY_NONE}},
	};

	(void)state;
	for (size_t i = 0; i < DP_COUNT_OF(rows); i++) {
		struct dp_view_keys k = {0};
		size_t n = 0;

		for (const char *c = rows[i].bytes; *c; c++) {
			enum dp_view_key key = dp_view_key(&k, (uint8_t)*c);

			if (key != DP_KEY_NONE) {
				assert_true(n < 4);
				assert_int_equal(key, rows[i].want[n++]);
			}
		}
		assert_true(n == 4 || rows[i].want[n] == DP_KEY_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_scrolls),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_row_copies),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_hostile_at_every_size),
	};

	/* Widths of characters are the locale's. */
	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
