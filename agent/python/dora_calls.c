// SPDX-License-Identifier: MIT
/*
 * Where the methods of dora's Node are that take events, so that the edge source sees each call of them. next() lets go
 * of the GIL, try_recv(), drain() and is_empty() keep it (docs/facts/dora-protocol.md), and nothing else tells of these.
 *
 * Layouts: PyTypeObject (tp_methods, tp_iternext) and PyMethodDef of the headers 3.8 to 3.14, unchanged. PyO3 hands
 * its array of methods to PyType_FromSpec, which puts it into the type.
 */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "python/internal.h"

#define TYPE_ITERNEXT 224
#define TYPE_METHODS  232
#define METHODS_MAX   128

/* PyMethodDef: ml_name, ml_meth, ml_flags, ml_doc. */
struct method {
	uint64_t name, code, flags, doc;
};

static bool takes_events(pid_t pid, const struct method *m)
{
	static const char *const names[] = {"next", "try_recv", "drain", "is_empty", "recv_async"};
	char name[16] = "";

	if (dp_remote_read_some(pid, m->name, name, sizeof(name) - 1) <= 0)
		return false;
	for (size_t i = 0; i < DP_COUNT_OF(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* What the type has for them; 0 none, or it cannot be read. */
static unsigned int find_code(pid_t pid, uint64_t type, uint64_t ret[DP_DORA_CALLS_MAX])
{
	uint64_t methods, next;
	struct method m;
	unsigned int n = 0;

	if (dp_remote_u64(pid, type + TYPE_METHODS, &methods) < 0 || !methods)
		return 0;
	if (dp_remote_u64(pid, type + TYPE_ITERNEXT, &next) == 0 && next)
		ret[n++] = next;
	for (int i = 0; i < METHODS_MAX && n < DP_DORA_CALLS_MAX; i++) {
		if (dp_remote_read(pid, methods, &m, sizeof(m)) < 0)
			return 0;
		if (!m.name)
			return n;
		if (takes_events(pid, &m))
			ret[n++] = m.code;
		methods += sizeof(m);
	}
	return n == DP_DORA_CALLS_MAX ? n : 0;
}

/* Their offsets in the file, which is one for all of them. */
static int offsets_in(pid_t pid, const struct dp_map *map, const uint64_t *code, unsigned int n,
		      struct dp_dora_calls *ret)
{
	struct dp_elf elf;
	int rc = dp_elf_open(&elf, pid, map);

	if (rc < 0)
		return rc;
	for (unsigned int i = 0; rc == 0 && i < n; i++) {
		if (code[i] < map->start || code[i] >= map->end)
			rc = -ENOENT;
		else
			rc = dp_elf_file_offset(&elf, code[i] - elf.bias, &ret->offset[i]);
	}
	if (rc == 0 && (elf.path[0] == '\0' || strlen(elf.path) >= sizeof(ret->path)))
		rc = -ENOENT;
	if (rc == 0) {
		memcpy(ret->path, elf.path, strlen(elf.path) + 1);
		ret->code = (struct dp_code_range){.from = map->start, .to = map->end};
		ret->count = n;
	}
	dp_elf_close(&elf);
	return rc;
}

int dp_py_dora_calls(struct dp_py *py, struct dp_dora_calls *ret)
{
	uint64_t code[DP_DORA_CALLS_MAX], type = dp_module_attribute(py, "dora", "Node");
	unsigned int n = type ? find_code(py->pid, type, code) : 0;
	const struct dp_map *map;
	int rc;

	memset(ret, 0, sizeof(*ret));
	if (!n)
		return -ENOENT;
	rc = dp_maps_read(py->pid, &py->maps);
	if (rc < 0)
		return rc;
	map = dp_maps_find(&py->maps, code[0]);
	return map ? offsets_in(py->pid, map, code, n, ret) : -ENOENT;
}
