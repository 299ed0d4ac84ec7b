// SPDX-License-Identifier: MIT
/* Which of the files mapped into a process holds a CPython runtime, and where. */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/procfile.h"
#include "python/internal.h"

#define FILES_MAX   1024
#define SCAN_PIECE  (32u * 1024)
#define SCAN_MAX    (16u << 20)
#define STARTING_MS 2000 /* how long a Python may take from exec to having its library mapped */

/* How far a search for the runtime goes, in the order of cost. */
enum depth { BY_EXPORT, BY_SECTION, BY_CONTENT, DEPTH_COUNT };

struct search {
	pid_t pid;
	const struct dp_maps *maps;
	char exe[DP_PATH_KEPT_MAX];
	char exe_base[DP_LIBRARY_MAX];
};

static bool is_exe(const struct search *s, const struct dp_map *map)
{
	return s->exe[0] != '\0' && strcmp(s->exe, map->path) == 0;
}

static bool named_python(const char *base)
{
	return strncmp(base, "python", 6) == 0 || strncmp(base, "libpython", 9) == 0;
}

/* The loader searches the executable first, then libraries; an embedding may have any name. */
static int rank(const struct search *s, const struct dp_map *map)
{
	return is_exe(s, map) ? 0 : named_python(map->base) ? 1 : 2;
}

static bool first_of_file(const struct search *s, unsigned int index)
{
	const struct dp_map *map = &s->maps->map[index];

	if (map->inode == 0)
		return false;
	for (unsigned int i = index; i-- > 0;)
		if (dp_map_same_file(&s->maps->map[i], map))
			return false;
	return true;
}

struct content {
	pid_t pid;
	const struct dp_map *file;
	uint64_t scanned;
	uint64_t found;
};

/* _Py_DebugOffsets begins with this cookie and PY_VERSION_HEX (3.13 and later). */
static int scan_mapping(void *arg, const struct dp_map *map)
{
	struct content *c = arg;
	uint8_t buf[SCAN_PIECE];

	if (!map->writable || !dp_map_same_file(map, c->file))
		return 0;
	for (uint64_t at = map->start; at < map->end && c->scanned < SCAN_MAX;
	     at += sizeof(buf) - 16) {
		size_t len = map->end - at < sizeof(buf) ? (size_t)(map->end - at) : sizeof(buf);
		ssize_t n = dp_remote_read_some(c->pid, at, buf, len);

		c->scanned += len;
		for (ssize_t i = 0; i + 16 <= n; i += 8) {
			uint64_t version;

			memcpy(&version, buf + i + 8, sizeof(version));
			if (memcmp(buf + i, "xdebugpy", 8) == 0 && version >> 24 == 3) {
				c->found = at + (uint64_t)i;
				return 1;
			}
		}
	}
	return 0;
}

static int runtime_in(const struct search *s, const struct dp_elf *elf, const struct dp_map *map,
		      enum depth depth, struct dp_elf_symbol *ret)
{
	struct content c = {.pid = s->pid, .file = map};

	switch (depth) {
	case BY_EXPORT:
		return dp_elf_dynsym(elf, "_PyRuntime", ret);
	case BY_SECTION:
		/* .PyRuntime is there since 3.10 and survives strip. */
		if (dp_elf_section(elf, ".PyRuntime", ret) == 0)
			return 0;
		return rank(s, map) < 2 ? dp_elf_symtab(elf, "_PyRuntime", ret) : -ENOENT;
	default:
		if (rank(s, map) == 2 || dp_maps_walk(s->pid, scan_mapping, &c) != 1)
			return -ENOENT;
		*ret = (struct dp_elf_symbol){c.found - elf->bias, 0};
		return 0;
	}
}

static uint64_t address_of(const struct dp_elf *elf, const char *name)
{
	struct dp_elf_symbol sym;

	return dp_elf_dynsym(elf, name, &sym) == 0 ? sym.value + elf->bias : 0;
}

static void fill_location(const struct dp_elf *elf, const struct dp_map *map,
			  const struct dp_elf_symbol *sym, struct dp_location *ret)
{
	ret->map = *map;
	ret->runtime = sym->value + elf->bias;
	ret->runtime_size = sym->size;
	ret->code_type = address_of(elf, "PyCode_Type");
	ret->unicode_type = address_of(elf, "PyUnicode_Type");
	ret->version = address_of(elf, "Py_Version");
	/* Only builds with Py_REF_DEBUG have it, that is --with-pydebug. */
	ret->debug_build = address_of(elf, "_Py_NegativeRefcount") != 0;
	for (unsigned int i = 0; i < elf->load_count; i++) {
		const struct dp_elf_segment *seg = &elf->load[i];

		if (!(seg->flags & PF_W))
			continue;
		ret->data_start = seg->vaddr + elf->bias;
		ret->data_end = ret->data_start + seg->memsz;
		if (ret->runtime >= ret->data_start && ret->runtime < ret->data_end)
			break;
	}
}

/* Why there is no _PyRuntime: the user should hear what the process is. */
static int explain(const struct search *s, uint64_t age_ms, bool foreign, char *why, size_t len)
{
	bool has_libc = false;

	for (unsigned int i = 0; i < s->maps->count; i++) {
		const struct dp_map *map = &s->maps->map[i];
		struct dp_elf elf;
		bool python, python2;

		if (strstr(map->base, "pypy")) {
			snprintf(why, len,
				 "PyPy: its GIL cannot be observed; run the node with "
				 "CPython 3.8 or later");
			return -ENOENT;
		}
		if (strstr(map->base, "graalpy") || strstr(map->base, "libpythonvm")) {
			snprintf(why, len,
				 "GraalPy: its GIL cannot be observed; run the node with "
				 "CPython 3.8 or later");
			return -ENOENT;
		}
		if (strncmp(map->base, "libc.", 5) == 0 || strncmp(map->base, "libc-", 5) == 0 ||
		    strncmp(map->base, "ld-musl-", 8) == 0)
			has_libc = true;
		if (rank(s, map) == 2 || !first_of_file(s, i) || dp_elf_open(&elf, s->pid, map) < 0)
			continue;
		python = address_of(&elf, "Py_Initialize") != 0;
		python2 = address_of(&elf, "PyString_FromString") != 0;
		dp_elf_close(&elf);
		if (!python)
			continue;
		snprintf(why, len, "%s is too old: dora-probe reads CPython " DP_PYTHONS,
			 python2 ? "Python 2" : "CPython 3.6 or earlier");
		return -ENOENT;
	}
	if (age_ms < STARTING_MS && (named_python(s->exe_base) || !has_libc) && !foreign) {
		snprintf(why, len, "still starting: no Python library is mapped yet");
		return -EAGAIN;
	}
	if (s->maps->count == DP_MAPS_KEPT_MAX)
		snprintf(
			why, len,
			"it has more than %d executable mappings, not all of which were looked at: a Python among them is not seen",
			DP_MAPS_KEPT_MAX);
	else if (foreign)
		snprintf(why, len,
			 "not a 64-bit program of this machine: only native 64-bit "
			 "CPython can be read");
	else
		snprintf(why, len, "no CPython in this process (no mapped file has _PyRuntime)");
	return -ENOENT;
}

/* What a search has come upon. */
struct found {
	struct dp_location loc;
	unsigned int skip;              /* runtimes that are to be passed over */
	uint64_t seen[DP_RUNTIMES_MAX]; /* addresses of those that were */
	unsigned int seen_count;
	bool musl, foreign;
};

/* Is this a runtime that was not met yet, and not to be passed over? */
static bool is_wanted(struct found *f, uint64_t runtime)
{
	for (unsigned int i = 0; i < f->seen_count; i++)
		if (f->seen[i] == runtime)
			return false;
	if (f->seen_count == f->skip || f->seen_count == DP_RUNTIMES_MAX)
		return f->seen_count == f->skip;
	f->seen[f->seen_count++] = runtime;
	return false;
}

/* The files of one rank. True: f->loc is the runtime that is wanted. */
static bool search_files(const struct search *s, enum depth depth, int want, struct found *f)
{
	unsigned int files = 0;

	for (unsigned int i = 0; i < s->maps->count && files < FILES_MAX; i++) {
		const struct dp_map *map = &s->maps->map[i];
		struct dp_elf_symbol sym;
		struct dp_elf elf;
		int rc;

		if (rank(s, map) != want || !first_of_file(s, i))
			continue;
		files++;
		rc = dp_elf_open(&elf, s->pid, map);
		if (rc == -ENOEXEC && want == 0)
			f->foreign = true;
		if (rc < 0)
			continue;
		rc = runtime_in(s, &elf, map, depth, &sym);
		if (rc == 0) {
			memset(&f->loc, 0, sizeof(f->loc));
			f->loc.musl = f->musl;
			fill_location(&elf, map, &sym, &f->loc);
		}
		dp_elf_close(&elf);
		if (rc == 0 && is_wanted(f, f->loc.runtime))
			return true;
	}
	return false;
}

int dp_locate(pid_t pid, const struct dp_maps *maps, uint64_t age_ms, unsigned int index,
	      struct dp_location *ret, char *why, size_t why_len)
{
	struct search s = {.pid = pid, .maps = maps};
	struct found found = {.skip = index};

	dp_procfile_link_pid("/proc", pid, "exe", s.exe, sizeof(s.exe));
	for (unsigned int i = 0; i < maps->count; i++) {
		const struct dp_map *map = &maps->map[i];

		if (is_exe(&s, map))
			memcpy(s.exe_base, map->base, sizeof(s.exe_base));
		if (strncmp(map->base, "ld-musl-", 8) == 0 ||
		    strncmp(map->base, "libc.musl-", 10) == 0)
			found.musl = true;
	}
	for (int depth = 0; depth < DEPTH_COUNT; depth++) {
		for (int want = 0; want <= 2; want++) {
			if (search_files(&s, (enum depth)depth, want, &found)) {
				*ret = found.loc;
				return 0;
			}
		}
	}
	if (index) {
		snprintf(why, why_len, "no further runtime");
		return -ENOENT;
	}
	return explain(&s, age_ms, found.foreign, why, why_len);
}

/*
 * "3.8.18 (default, …": how Py_GetVersion's buffer begins. Other version-like strings of the data
 * (of libraries) lack the " (".
 */
static bool version_text(const char *p, size_t len, char *ret, size_t cap)
{
	size_t i = 0;
	int dots = 0;

	for (; i < len && i < cap - 1 && (isalnum((unsigned char)p[i]) || p[i] == '.'); i++)
		dots += p[i] == '.';
	if (i < 5 || i + 2 > len || dots != 2 || p[0] != '3' || p[1] != '.' || p[i] != ' ' ||
	    p[i + 1] != '(')
		return false;
	memcpy(ret, p, i);
	ret[i] = '\0';
	return true;
}

int dp_locate_version_text(pid_t pid, const struct dp_location *loc, char *ret, size_t cap)
{
	char buf[SCAN_PIECE];
	uint64_t end = loc->data_end;

	if (end - loc->data_start > SCAN_MAX)
		end = loc->data_start + SCAN_MAX;
	for (uint64_t at = loc->data_start; at < end; at += sizeof(buf) - 64) {
		size_t len = end - at < sizeof(buf) ? (size_t)(end - at) : sizeof(buf);
		ssize_t n = dp_remote_read_some(pid, at, buf, len);

		for (ssize_t i = 1; i + 8 < n; i++)
			if (buf[i] == '3' && buf[i - 1] == '\0' &&
			    version_text(buf + i, (size_t)(n - i), ret, cap))
				return 0;
	}
	return -ENOENT;
}
