// SPDX-License-Identifier: MIT
/*
 * The model with all that it calls is pure: no clock, no file, no system call. What base/ is for
 * is done nowhere else.
 */
#include "objects.h"

/* ---- the plan of the house ------------------------------------------------------------------ */

/* What pure code may import from the C library; spaces around each. */
static const char pure[] =
	" memcpy memset memmove memcmp bcmp memchr strcmp strncmp strlen strnlen strrchr strchr strstr strcspn strspn strncpy snprintf vsnprintf "
	" __snprintf_chk __vsnprintf_chk __memcpy_chk __memset_chk __memmove_chk __strncpy_chk __stack_chk_fail __stack_chk_guard _GLOBAL_OFFSET_TABLE_ ";

/* What base/ has beside pure code: the clock, files and standard error. */
static const char base_io[] = " clock log procfile task ";

/* ---- symbols -------------------------------------------------------------------------------- */

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
	{"gettimeofday", ""},
	{"time", ""},
	{"fopen", ""},
	{"fopen64", ""},
	{"fgets", ""},
	{"getline", ""},
	{"opendir", "agent/base/procfile"},
	{"readlink", "agent/base/procfile"},
	{"readlinkat", ""},
	{"scandir", ""},
	{"stderr", ""},
	{"perror", ""},
	{"dprintf", ""},
	{"vdprintf", ""},
	{"psignal", ""},
	{"sigabbrev_np", ""},
	{"strtol", ""},
	{"strtoul", ""},
	{"strtoll", ""},
	{"strtoull", ""},
	{"strtod", ""},
	{"strtof", ""},
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
	/* glibc's names of the same functions in C23, and of those that check lengths. */
	if (strncmp(symbol, "__isoc23_", 9) == 0)
		symbol += 9;
	if (strcmp(symbol, "__readlink_chk") == 0 || strcmp(symbol, "__readlink_alias") == 0)
		symbol = "readlink";
	if (strcmp(symbol, "__fgets_chk") == 0)
		symbol = "fgets";
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

static void test_finds_what_is_impure(void **state)
{
	(void)state;
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
		cmocka_unit_test(test_model_and_decide_are_pure),
		cmocka_unit_test(test_base_is_pure_but_for_its_io),
		cmocka_unit_test(test_nothing_is_done_beside_base),
		cmocka_unit_test(test_finds_what_is_impure),
	};

	return cmocka_run_group_tests_name("purity", tests, load_objects, NULL);
}
