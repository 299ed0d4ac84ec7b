// SPDX-License-Identifier: MIT
/*
 * The walls of the house. A room of agent/ may use the rooms below its floor and the public headers
 * in include/dora_probe/, nothing above and nothing beside it; within model/ the files use each
 * other without a circle; and the model with all that it calls is pure: no clock, no file, no
 * system call. Arrows are read from #include lines (shown with file and line) and from the symbol
 * tables of the objects that the agent is linked from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <libelf.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"

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

/* What pure code may import from the C library; spaces around each. */
static const char pure[] =
	" memcpy memset memmove memcmp bcmp memchr strcmp strncmp strlen strnlen strrchr strchr strstr strcspn strspn strncpy snprintf vsnprintf "
	" __snprintf_chk __vsnprintf_chk __memcpy_chk __memset_chk __memmove_chk __strncpy_chk __stack_chk_fail _GLOBAL_OFFSET_TABLE_ ";

/* How the symbols begin that a sanitizer or coverage build puts into every object. */
static const char *const instrumentation[] = {"__asan", "__ubsan",     "__tsan", "__gcov",
					      "__llvm", "__sanitizer", "llvm_"};

/* What base/ has beside pure code: the clock, files and standard error. */
static const char base_io[] = " clock log procfile task ";

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

/* "agent/model/x.c" -> "model", "include/dora_probe/x.h" -> "dora_probe"; "" for anything else. */
static void room_of(const char *path, char ret[32])
{
	const char *slash = strchr(path, '/');
	const char *end = slash ? strchr(slash + 1, '/') : NULL;

	snprintf(ret, 32, "%.*s", end ? (int)(end - slash - 1) : 0, slash ? slash + 1 : "");
}

/* ---- a graph of names ----------------------------------------------------------------------- */

#define PARTS_MAX 256

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

/* "agent/model/hold.c" -> "hold" */
static void stem_of(const char *path, char ret[64])
{
	const char *base = strrchr(path, '/');
	const char *dot = strrchr(path, '.');

	base = base ? base + 1 : path;
	snprintf(ret, 64, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
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

struct symbol {
	char name[96];
	int object;
};

static struct {
	char path[PARTS_MAX][96]; /* "agent/model/hold" */
	int count;
	struct symbol defined[8192], imported[16384];
	int defined_count, imported_count;
} objects;

static bool is_instrumentation(const char *name)
{
	for (size_t i = 0; i < DP_COUNT_OF(instrumentation); i++)
		if (strncmp(name, instrumentation[i], strlen(instrumentation[i])) == 0)
			return true;
	return false;
}

static void keep_symbol(const GElf_Sym *s, const char *name, int object)
{
	struct symbol *at;

	if (!name || !name[0] || GELF_ST_BIND(s->st_info) == STB_LOCAL || is_instrumentation(name))
		return;
	if (s->st_shndx == SHN_UNDEF) {
		assert_true(objects.imported_count < 16384);
		at = &objects.imported[objects.imported_count++];
	} else {
		assert_true(objects.defined_count < 8192);
		at = &objects.defined[objects.defined_count++];
	}
	snprintf(at->name, sizeof(at->name), "%s", name);
	at->object = object;
}

static void read_symbols(const char *path, int object)
{
	int fd = open(path, O_RDONLY);
	Elf *e;
	Elf_Scn *scn = NULL;

	assert_true(fd >= 0);
	elf_version(EV_CURRENT);
	e = elf_begin(fd, ELF_C_READ, NULL);
	assert_non_null(e);
	while ((scn = elf_nextscn(e, scn))) {
		GElf_Shdr sh;
		GElf_Sym s;
		Elf_Data *d;

		gelf_getshdr(scn, &sh);
		if (sh.sh_type != SHT_SYMTAB)
			continue;
		d = elf_getdata(scn, NULL);
		for (size_t i = 1; i < sh.sh_size / sh.sh_entsize; i++) {
			gelf_getsym(d, (int)i, &s);
			keep_symbol(&s, elf_strptr(e, sh.sh_link, s.st_name), object);
		}
	}
	elf_end(e);
	close(fd);
}

/* The objects of this very build: beside the test's own binary, one for each source file. */
static int load_objects(void **state)
{
	char self[PATH_MAX] = "", object[PATH_MAX + 128], *build;
	glob_t g = {0};

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	build = dirname(dirname(self));
	glob("agent/*/*.c", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *source = g.gl_pathv[i];
		int len = (int)strlen(source) - 2;

		assert_true(objects.count < PARTS_MAX);
		snprintf(objects.path[objects.count], 96, "%.*s", len, source);
		snprintf(object, sizeof(object), "%s/obj/%.*s.o", build, len, source);
		read_symbols(object, objects.count++);
	}
	globfree(&g);
	assert_true(objects.count > 50);
	return 0;
}

/* The object that defines it; -1 for what comes from a library. */
static int definer(const char *name)
{
	for (int i = 0; i < objects.defined_count; i++)
		if (strcmp(objects.defined[i].name, name) == 0)
			return objects.defined[i].object;
	return -1;
}

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

static bool is_pure(const char *path, const char *name)
{
	char word[128];

	snprintf(word, sizeof(word), " %s ", name);
	if (strstr(pure, word))
		return true;
	/* dp_model_new and dp_model_free alone. */
	return strcmp(path, "agent/model/model") == 0 &&
	       (strcmp(name, "calloc") == 0 || strcmp(name, "free") == 0);
}

/* Number of impure imports of the object and of what it calls. */
static int impure_imports(int object, bool seen[PARTS_MAX])
{
	int bad = 0;

	if (seen[object])
		return 0;
	seen[object] = true;
	for (int i = 0; i < objects.imported_count; i++) {
		const struct symbol *s = &objects.imported[i];
		int to;

		if (s->object != object)
			continue;
		to = definer(s->name);
		if (to >= 0) {
			bad += impure_imports(to, seen);
		} else if (!is_pure(objects.path[object], s->name)) {
			print_error("%s.o: pure code may not use %s\n", objects.path[object],
				    s->name);
			bad++;
		}
	}
	return bad;
}

static void test_model_and_decide_are_pure(void **state)
{
	bool seen[PARTS_MAX] = {false};
	int bad = 0, looked_at = 0;

	(void)state;
	for (int i = 0; i < objects.count; i++) {
		char room[32];

		room_of(objects.path[i], room);
		if (strcmp(room, "model") != 0 && strcmp(room, "decide") != 0)
			continue;
		bad += impure_imports(i, seen);
		looked_at++;
	}
	assert_true(looked_at > 25);
	assert_int_equal(bad, 0);
}

static void test_base_is_pure_but_for_its_io(void **state)
{
	int bad = 0, looked_at = 0;

	(void)state;
	for (int i = 0; i < objects.count; i++) {
		bool seen[PARTS_MAX] = {false};
		char room[32], stem[64], word[70];

		room_of(objects.path[i], room);
		stem_of(objects.path[i], stem);
		snprintf(word, sizeof(word), " %s ", stem);
		if (strcmp(room, "base") != 0 || strstr(base_io, word))
			continue;
		bad += impure_imports(i, seen);
		looked_at++;
	}
	assert_true(looked_at > 0);
	assert_int_equal(bad, 0);
}

/*
 * What base/ has is not done beside it: the symbols of the C library with which one would, and the
 * only object that may import each ("" none).
 */
static const struct {
	const char *symbol, *only;
} of_base[] = {
	{"clock_gettime", "agent/base/clock"},
	{"stderr", ""},
	{"perror", ""},
	{"psignal", ""},
	{"sigabbrev_np", ""},
	{"strtol", ""},
	{"strtoul", ""},
	{"strtoll", ""},
	{"strtoull", ""},
	{"atoi", ""},
	{"atol", ""},
	{"atoll", ""},
	{"strsignal", ""},
	{"err", ""},
	{"errx", ""},
	{"warn", ""},
	{"warnx", ""},
};

static bool is_done_beside_base(const char *object, const char *symbol)
{
	/* glibc's names of the same functions in C23. */
	if (strncmp(symbol, "__isoc23_", 9) == 0)
		symbol += 9;
	for (size_t i = 0; i < DP_COUNT_OF(of_base); i++)
		if (strcmp(of_base[i].symbol, symbol) == 0)
			return strcmp(of_base[i].only, object) != 0;
	return false;
}

static void test_nothing_is_done_beside_base(void **state)
{
	int bad = 0;

	(void)state;
	for (int i = 0; i < objects.imported_count; i++) {
		const struct symbol *s = &objects.imported[i];
		const char *from = objects.path[s->object];

		if (!is_done_beside_base(from, s->name))
			continue;
		print_error("%s.o: %s is for base/ alone\n", from, s->name);
		bad++;
	}
	assert_int_equal(bad, 0);
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
	assert_false(is_pure("agent/model/hold", "clock_gettime"));
	assert_false(is_pure("agent/model/hold", "calloc"));
	assert_true(is_done_beside_base("agent/act/hands", "clock_gettime"));
	assert_true(is_done_beside_base("agent/act/hands", "__isoc23_strtoul"));
	assert_true(is_done_beside_base("agent/base/clock", "stderr"));
	assert_false(is_done_beside_base("agent/base/clock", "clock_gettime"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_include_goes_up),
		cmocka_unit_test(test_no_symbol_goes_up),
		cmocka_unit_test(test_model_and_decide_are_pure),
		cmocka_unit_test(test_base_is_pure_but_for_its_io),
		cmocka_unit_test(test_nothing_is_done_beside_base),
		cmocka_unit_test(test_finds_what_it_is_for),
	};

	return cmocka_run_group_tests_name("walls", tests, load_objects, NULL);
}
