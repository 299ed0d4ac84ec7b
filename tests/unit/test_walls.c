// SPDX-License-Identifier: MIT
/*
 * The walls of the house. A room of agent/ may use the rooms below its floor and the public
 * headers in include/dora_probe/, nothing above and nothing beside it; within model/ the files use
 * each other without a circle. Arrows are read from #include lines (shown with file and line) and
 * from the symbol tables of the objects.
 */
#include <stdlib.h>

#include "objects.h"

/* ---- the plan of the house ------------------------------------------------------------------ */

/* Rooms with the same number are beside each other. `dora_probe` is include/dora_probe/. */
static const struct {
	const char *room;
	int floor;
} floors[] = {
	{"cli", 9},  {"run", 8},  {"serve", 7},      {"view", 7},   {"sense", 6},
	{"act", 6},  {"show", 6}, {"model", 5},      {"decide", 4}, {"python", 3},
	{"dora", 3}, {"base", 2}, {"dora_probe", 1},
};

/* Arrows down that there must not be all the same, as " from>to ". */
static const char forbidden[] = " decide>dora decide>python model>python act>python"
				" show>model show>decide show>dora show>python"
				" serve>sense serve>act serve>decide serve>dora serve>python"
				" view>sense view>act view>decide view>dora view>python ";

static int floor_of(const char *room)
{
	for (size_t i = 0; i < DP_COUNT_OF(floors); i++)
		if (strcmp(floors[i].room, room) == 0)
			return floors[i].floor;
	return 0;
}

static bool may_use(const char *from, const char *to)
{
	char both[96];

	if (strcmp(from, to) == 0)
		return true;
	snprintf(both, sizeof(both), " %s>%s ", from, to);
	return !strstr(forbidden, both) && floor_of(from) && floor_of(to) &&
	       floor_of(from) > floor_of(to);
}

/* ---- a graph of names ----------------------------------------------------------------------- */

struct graph {
	char name[PARTS_MAX][64];
	bool arrow[PARTS_MAX][PARTS_MAX];
	int count;
	int mark[PARTS_MAX]; /* 0 not seen, 1 on the way, 2 done */
};

static int part(struct graph *g, const char *name)
{
	for (int i = 0; i < g->count; i++)
		if (strcmp(g->name[i], name) == 0)
			return i;
	assert_true(g->count < PARTS_MAX);
	snprintf(g->name[g->count], sizeof(g->name[0]), "%s", name);
	return g->count++;
}

static void arrow(struct graph *g, const char *from, const char *to)
{
	int a = part(g, from), b = part(g, to);

	if (a != b)
		g->arrow[a][b] = true;
}

/*
 * Follows the arrows from `at`. The part at which a circle closes, -1 without one; on the way back
 * to it each part of the circle is printed with the next.
 */
static int find_circle(struct graph *g, int at)
{
	int closes = -1;

	g->mark[at] = 1;
	for (int i = 0; i < g->count && closes < 0; i++) {
		if (!g->arrow[at][i] || g->mark[i] == 2)
			continue;
		closes = g->mark[i] == 1 ? i : find_circle(g, i);
		if (closes >= 0 && g->mark[closes] == 1)
			print_error("circle: %s -> %s\n", g->name[at], g->name[i]);
		if (closes == at)
			g->mark[at] = 2;
	}
	g->mark[at] = 2;
	return closes;
}

static bool has_circle(struct graph *g)
{
	memset(g->mark, 0, sizeof(g->mark));
	for (int i = 0; i < g->count; i++)
		if (!g->mark[i] && find_circle(g, i) >= 0)
			return true;
	return false;
}

/* ---- includes ------------------------------------------------------------------------------- */

/* The header of an #include "room/name.h" line; false for any other line. */
static bool included(const char *line, char header[128])
{
	char quoted[128];

	if (sscanf(line, " # include \"%127[^\"]\"", quoted) != 1 || !strchr(quoted, '/'))
		return false;
	snprintf(header, 128, "%s", quoted);
	return true;
}

/* Number of includes of `path` (shown as `shown`) that its room may not have. */
static int bad_includes(const char *path, const char *shown, struct graph *model)
{
	char line[512], header[128], from[32], to[32], a[64], b[64], full[160];
	FILE *f = fopen(path, "r");
	int bad = 0;

	assert_non_null(f);
	room_of(shown, from);
	for (int n = 1; fgets(line, sizeof(line), f); n++) {
		if (!included(line, header))
			continue;
		snprintf(full, sizeof(full), "agent/%s", header);
		room_of(full, to);
		if (model && strcmp(from, "model") == 0 && strcmp(to, "model") == 0) {
			stem_of(shown, a);
			stem_of(header, b);
			arrow(model, a, b);
		}
		if (may_use(from, to))
			continue;
		print_error("%s:%d: %s/ may not include \"%s\"\n", shown, n, from, header);
		bad++;
	}
	fclose(f);
	return bad;
}

static void test_no_include_goes_up(void **state)
{
	static struct graph model;
	glob_t g = {0};
	int bad = 0;

	(void)state;
	glob("agent/*/*.c", 0, NULL, &g);
	glob("agent/*/*.h", GLOB_APPEND, NULL, &g);
	glob("include/*/*.h", GLOB_APPEND, NULL, &g);
	assert_true(g.gl_pathc > 100);
	for (size_t i = 0; i < g.gl_pathc; i++)
		bad += bad_includes(g.gl_pathv[i], g.gl_pathv[i], &model);
	globfree(&g);
	assert_int_equal(bad, 0);
	assert_true(model.count > 20);
	assert_false(has_circle(&model));
}

/* ---- symbols -------------------------------------------------------------------------------- */

static void test_no_symbol_goes_up(void **state)
{
	static struct graph model;
	int bad = 0;

	(void)state;
	for (int i = 0; i < objects.imported_count; i++) {
		const struct symbol *s = &objects.imported[i];
		const char *from = objects.path[s->object];
		int to = definer(s->name);
		char from_room[32], to_room[32], a[64], b[64];

		if (to < 0)
			continue;
		room_of(from, from_room);
		room_of(objects.path[to], to_room);
		if (strcmp(from_room, "model") == 0 && strcmp(to_room, "model") == 0) {
			stem_of(from, a);
			stem_of(objects.path[to], b);
			arrow(&model, a, b);
		}
		if (may_use(from_room, to_room))
			continue;
		print_error("%s.o: %s/ may not use %s of %s.o\n", from, from_room, s->name,
			    objects.path[to]);
		bad++;
	}
	assert_int_equal(bad, 0);
	assert_true(model.count > 20);
	assert_false(has_circle(&model));
}

/* ---- the test itself ------------------------------------------------------------------------ */

static int bad_in(const char *shown, const char *text)
{
	char path[] = "/tmp/dp-walls-XXXXXX";
	int fd = mkstemp(path), bad;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	bad = bad_includes(path, shown, NULL);
	unlink(path);
	return bad;
}

static void test_finds_what_it_is_for(void **state)
{
	static struct graph g;

	(void)state;
	assert_int_equal(bad_in("agent/base/x.c", "#include \"cli/watch.h\"\n"), 1);
	assert_int_equal(bad_in("agent/sense/x.c", "#include \"show/show.h\"\n"), 1);
	assert_int_equal(bad_in("agent/show/x.h", "\n#include \"sense/merge.h\"\n"), 1);
	assert_int_equal(bad_in("agent/show/x.c", "#include \"serve/metrics.h\"\n"), 1);
	assert_int_equal(bad_in("agent/show/x.c", "#include \"decide/policy.h\"\n"), 1);
	assert_int_equal(bad_in("agent/serve/x.c", "#include \"view/panel.h\"\n"), 1);
	assert_int_equal(bad_in("agent/serve/x.c", "#include \"sense/merge.h\"\n"), 1);
	assert_int_equal(bad_in("agent/serve/x.c", "#include \"cli/options.h\"\n"), 1);
	assert_int_equal(bad_in("agent/view/x.c", "#include \"serve/metrics.h\"\n"), 1);
	assert_int_equal(bad_in("agent/view/x.c", "#include \"act/hands.h\"\n"), 1);
	assert_int_equal(bad_in("agent/view/x.c", "#include \"show/row.h\"\n"), 0);
	assert_int_equal(bad_in("agent/serve/x.c", "#include \"show/line.h\"\n"), 0);
	assert_int_equal(bad_in("agent/decide/x.c", "#include \"model/model.h\"\n"), 1);
	assert_int_equal(bad_in("agent/decide/x.c", "#include \"dora/nodeconfig.h\"\n"), 1);
	assert_int_equal(bad_in("agent/base/x.c", "#include \"decide/policy.h\"\n"), 1);
	assert_int_equal(bad_in("agent/base/x.c", "#include \"dora/wire.h\"\n"), 1);
	assert_int_equal(bad_in("agent/nowhere/x.c", "#include \"base/units.h\"\n"), 1);
	assert_int_equal(bad_in("include/dora_probe/x.h", "#include \"base/units.h\"\n"), 1);
	assert_int_equal(bad_in("agent/cli/x.c", "#include \"run/loop.h\"\n"), 0);
	assert_int_equal(bad_in("agent/model/x.c", "#include \"decide/policy.h\"\n"), 0);
	assert_int_equal(bad_in("agent/model/x.c", "#include <time.h>\n#include \"x.skel.h\"\n"),
			 0);
	assert_int_equal(bad_in("agent/sense/x.c", "#include \"dora_probe/record.h\"\n"), 0);
	assert_int_equal(bad_in("agent/base/x.c", "#include \"dora_probe/record.h\"\n"), 0);
	for (size_t i = 0; i < DP_COUNT_OF(floors); i++) {
		char shown[64];

		snprintf(shown, sizeof(shown), "agent/%s/x.c", floors[i].room);
		if (strcmp(floors[i].room, "dora_probe") != 0)
			assert_int_equal(bad_in(shown, "#include \"base/units.h\"\n"), 0);
	}

	arrow(&g, "a", "b");
	arrow(&g, "b", "c");
	arrow(&g, "a", "c");
	assert_false(has_circle(&g));
	arrow(&g, "c", "a");
	assert_true(has_circle(&g));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_include_goes_up),
		cmocka_unit_test(test_no_symbol_goes_up),
		cmocka_unit_test(test_finds_what_it_is_for),
	};

	return cmocka_run_group_tests_name("walls", tests, load_objects, NULL);
}
