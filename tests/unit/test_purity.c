// SPDX-License-Identifier: MIT
/*
 * The model is a pure function of its records: its objects may import string handling and each
 * other, and nothing that reads a clock, a file or the system. Read from the symbol tables of the
 * objects that the agent is linked from.
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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const allowed[] = {
	"memcpy",         "memset",           "memmove",
	"memcmp",         "memchr",           "strcmp",
	"strncmp",        "strlen",           "strnlen",
	"strrchr",        "strchr",           "strstr",
	"strcspn",        "strspn",           "snprintf",
	"__snprintf_chk", "vsnprintf", "__vsnprintf_chk", "__memcpy_chk",     "__memset_chk",
	"__memmove_chk",  "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_",
	"strncpy",        "__strncpy_chk",
};

struct names {
	char at[4096][96];
	int count;
};

static void symbols(const char *path, int want_undefined, struct names *ret)
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
		Elf_Data *d;

		gelf_getshdr(scn, &sh);
		if (sh.sh_type != SHT_SYMTAB)
			continue;
		d = elf_getdata(scn, NULL);
		for (size_t i = 1; i < sh.sh_size / sh.sh_entsize; i++) {
			GElf_Sym s;
			const char *name;

			gelf_getsym(d, (int)i, &s);
			name = elf_strptr(e, sh.sh_link, s.st_name);
			if (!name || !name[0] || (s.st_shndx == SHN_UNDEF) != want_undefined)
				continue;
			assert_true(ret->count < 4096);
			snprintf(ret->at[ret->count++], 96, "%s", name);
		}
	}
	elf_end(e);
	close(fd);
}

static int listed(const struct names *n, const char *name)
{
	for (int i = 0; i < n->count; i++)
		if (strcmp(n->at[i], name) == 0)
			return 1;
	return 0;
}

static int is_allowed(const char *path, const char *name)
{
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (strcmp(allowed[i], name) == 0)
			return 1;
	/* dp_model_new and dp_model_free alone. */
	return strstr(path, "/model/model.o") && (!strcmp(name, "calloc") || !strcmp(name, "free"));
}

static void test_model_imports_nothing(void **state)
{
	static const char *const patterns[] = {"build/obj/agent/model/*.o",
					       "build/obj/agent/dora/grace.o",
					       "build/obj/agent/decide/*.o"};
	static struct names own, used;
	glob_t g = {0};
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		glob(patterns[i], i ? GLOB_APPEND : 0, NULL, &g);
	assert_true(g.gl_pathc >= 15);
	for (size_t i = 0; i < g.gl_pathc; i++)
		symbols(g.gl_pathv[i], 0, &own);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		used.count = 0;
		symbols(g.gl_pathv[i], 1, &used);
		for (int j = 0; j < used.count; j++)
			if (!listed(&own, used.at[j]) && !is_allowed(g.gl_pathv[i], used.at[j]) &&
			    strncmp(used.at[j], "__asan", 6) && strncmp(used.at[j], "__ubsan", 7)) {
				print_error("%s imports %s\n", g.gl_pathv[i], used.at[j]);
				bad++;
			}
	}
	globfree(&g);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model_imports_nothing)};

	return cmocka_run_group_tests_name("model: purity", tests, NULL, NULL);
}
