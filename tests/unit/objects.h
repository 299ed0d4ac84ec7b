/* SPDX-License-Identifier: MIT */
/* The plan of the house, and the symbol tables of the objects that the agent is linked from. */
#ifndef DORA_PROBE_OBJECTS_H
#define DORA_PROBE_OBJECTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <gelf.h>
#include <glob.h>
#include <libelf.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/array.h"

/* How the symbols begin that a sanitizer or coverage build puts into every object. */
static const char *const instrumentation[] = {"__asan", "__ubsan",     "__tsan", "__gcov",
					      "__llvm", "__sanitizer", "llvm_"};

/* "agent/model/x.c" -> "model", "include/dora_probe/x.h" -> "dora_probe"; "" for anything else. */
static inline void room_of(const char *path, char ret[32])
{
	const char *slash = strchr(path, '/');
	const char *end = slash ? strchr(slash + 1, '/') : NULL;

	snprintf(ret, 32, "%.*s", end ? (int)(end - slash - 1) : 0, slash ? slash + 1 : "");
}

#define PARTS_MAX 256

/* "agent/model/hold.c" -> "hold" */
static inline void stem_of(const char *path, char ret[64])
{
	const char *base = strrchr(path, '/');
	const char *dot = strrchr(path, '.');

	base = base ? base + 1 : path;
	snprintf(ret, 64, "%.*s", dot && dot > base ? (int)(dot - base) : (int)strlen(base), base);
}

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

static inline bool is_instrumentation(const char *name)
{
	for (size_t i = 0; i < DP_COUNT_OF(instrumentation); i++)
		if (strncmp(name, instrumentation[i], strlen(instrumentation[i])) == 0)
			return true;
	return false;
}

static inline void keep_symbol(const GElf_Sym *s, const char *name, int object)
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

static inline void read_symbols(const char *path, int object)
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
static inline int load_objects(void **state)
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
static inline int definer(const char *name)
{
	for (int i = 0; i < objects.defined_count; i++)
		if (strcmp(objects.defined[i].name, name) == 0)
			return objects.defined[i].object;
	return -1;
}

#endif
